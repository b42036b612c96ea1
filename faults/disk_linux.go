package faults

import (
	"math"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// disk lets the server's files grow no further, as a full disk does, or lets
// them grow again. A limit on one process needs no rights and fills nothing of
// whoever runs this; a real full disk is what "make torture" makes.
func (w *world) disk(ts *testscript.TestScript, _ bool, args []string) {
	limit := unix.Rlimit{Cur: 4096, Max: math.MaxUint64}
	if args[0] == "free" {
		limit.Cur = math.MaxUint64
	}
	ts.Check(unix.Prlimit(w.process.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil))
}
