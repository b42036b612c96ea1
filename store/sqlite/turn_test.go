package sqlite

import (
	"net"
	"runtime"
	"testing"
	"time"
)

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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{}, 1)
	go func() {
		defer close(read)
		for b := make([]byte, 1); ; read <- struct{}{} {
			if _, err := there.Read(b); err != nil {
				return
			}
		}
	}()
	ran := 0
	for range 50 {
		time.Sleep(time.Millisecond) // it waits again
		if _, err := client.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
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
	there.Close()
	<-read
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
