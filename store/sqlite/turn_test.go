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

// TestTurnEnds: closing it lets go of who would wait for one.
func TestTurnEnds(t *testing.T) {
	turn, err := newTurn()
	if err != nil {
		t.Fatal(err)
	}
	turn.close()
	turn.give()
}
