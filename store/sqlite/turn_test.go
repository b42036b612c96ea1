package sqlite

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// atSocket lets does run for each message that comes to a socket; send sends one.
func atSocket(t *testing.T, does func()) (send func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	t.Cleanup(func() {
		client.Close()
		<-over
		there.Close()
	})
	go func() {
		defer close(over)
		for b := make([]byte, 1); ; does() {
			if _, err := there.Read(b); err != nil {
				return
			}
		}
	}()
	return func() {
		time.Sleep(time.Millisecond) // it waits again
		if _, err := client.Write([]byte{0}); err != nil {
			t.Error(err)
		}
	}
}

// TestTurnIsGivenToWhoeverHasAMessage: with one processor, who was waiting at a
// socket to which something came has run when the turn is over. Not quite always:
// now and then the runtime lets first who gave way, so that nobody starves.
func TestTurnIsGivenToWhoeverHasAMessage(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	turn, err := newTurn()
	if err != nil {
		t.Fatal(err)
	}
	defer turn.close()
	read := make(chan struct{}, 1)
	send := atSocket(t, func() { read <- struct{}{} })
	ran := 0
	for range 50 {
		send()
		turn.give()
		select {
		case <-read:
			ran++
		default:
			<-read
		}
	}
	if ran < 40 {
		t.Errorf("of 50 messages that had come, who waits for them read %d in the turn that was given", ran)
	}
}

// TestGroupHasWhatHasCome: a change whose message had come in when another's
// group was begun is in that group.
func TestGroupHasWhatHasCome(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	turn, err := newTurn()
	if err != nil {
		t.Fatal(err)
	}
	defer turn.close()
	s := &Store{jobs: make(chan *job, maxGroup), turn: turn}
	send := atSocket(t, func() { s.jobs <- &job{} })
	together := 0
	for range 50 {
		send()
		if len(s.gather(nil, &job{})) == 2 {
			together++
		} else {
			<-s.jobs
		}
	}
	if together < 40 {
		t.Errorf("of 50 changes that had come, %d were in the group", together)
	}
}

// TestTurnIsBounded: who keeps the processor busy puts nobody off for long. The
// runtime would look at its sockets only after ten milliseconds.
func TestTurnIsBounded(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	turn, err := newTurn()
	if err != nil {
		t.Fatal(err)
	}
	defer turn.close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-stopped }()
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	ended := 0
	for range 100 {
		if turn.give() {
			ended++
		}
	}
	if ended > 50 {
		t.Errorf("%d of 100 turns came to their end, beside one who never rests", ended)
	}
}

// TestTurnAfterItsEnd: a turn whose pipe is gone is short.
func TestTurnAfterItsEnd(t *testing.T) {
	turn, err := newTurn()
	if err != nil {
		t.Fatal(err)
	}
	turn.close()
	for range 3 {
		turn.give()
	}
}
