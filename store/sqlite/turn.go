package sqlite

import (
	"os"
	"runtime"
	"time"
)

// longestTurn is how long a turn takes at most: as long as sixteen messages of
// sign-ins keep one processor busy, a quarter of a millisecond each, and too
// short for anybody to put off a commit for long by what writes nothing.
const longestTurn = 4 * time.Millisecond

// turn lets everybody else go first: those who are ready to run, and those
// whose message has come in over the network.
//
// runtime.Gosched alone does the first. But with one processor the runtime looks
// at its sockets only when nobody is ready, and who gave way by Gosched is. So a
// goroutine waits at a pipe as the others do at their sockets, to be found when
// they are. Where the runtime does not wait at pipes so (Windows) there is only
// Gosched.
type turn struct {
	read, write *os.File // nil on Windows
	came        chan struct{}
	written     bool // and has not come yet
	longest     *time.Timer
}

func newTurn() (*turn, error) {
	if runtime.GOOS == "windows" {
		return &turn{}, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t := &turn{read: r, write: w, came: make(chan struct{}), longest: time.NewTimer(longestTurn)}
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

// give gives a turn to everybody else, and reports whether it came to its end.
// One goroutine at a time calls it.
func (t *turn) give() bool {
	if t.write != nil {
		if !t.written {
			_, err := t.write.Write([]byte{0})
			t.written = err == nil
		}
		t.longest.Reset(longestTurn)
		select {
		case <-t.came:
			t.written = false
		case <-t.longest.C:
			return false
		}
	}
	runtime.Gosched() // those who were found together with this one run first
	return true
}

// close ends it; nobody gives one any more.
func (t *turn) close() {
	if t.write == nil {
		return
	}
	t.write.Close()
	for range t.came {
	}
	t.read.Close()
}
