package sqlite

import (
	"os"
	"runtime"
)

// turn lets everybody else go first: those who are ready to run, and those
// whose message has come in over the network.
//
// runtime.Gosched alone does the first. But with one processor the runtime looks
// at its sockets only when nobody is ready, and who gave way by Gosched is. So a
// goroutine waits at a pipe as the others do at their sockets, to be found when
// they are. Where pipes are no such thing (Windows) a turn is only a short wait.
type turn struct {
	read, write *os.File
	came        chan struct{} // closed when nothing comes any more
}

func newTurn() (*turn, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t := &turn{read: r, write: w, came: make(chan struct{})}
	go func() {
		defer close(t.came)
		for b := make([]byte, 1); ; t.came <- struct{}{} {
			if _, err := t.read.Read(b); err != nil {
				return
			}
		}
	}()
	return t, nil
}

// give gives a turn to everybody else. One goroutine at a time calls it.
func (t *turn) give() {
	if _, err := t.write.Write([]byte{0}); err == nil {
		<-t.came
	}
	runtime.Gosched() // those who were found together with this one run first
}

func (t *turn) close() {
	t.write.Close()
	<-t.came
	t.read.Close()
}
