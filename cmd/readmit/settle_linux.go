package main

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// slack is how late the kernel may wake a thread of an account server that has
// one processor: longer than most fsyncs take, and too short for a person.
const slack = time.Millisecond

// settled, in the environment, says that slack was set before the program began.
const settled = "READMIT_SETTLED"

// settle executes the program once more, with coarser timers, where it has one
// processor alone. The Go runtime's monitor takes the processor from a system
// call that blocks, and as long as it has had to, it looks again after 20 µs and
// the kernel's slack. With a commit every three milliseconds it always has to:
// it wakes up to 2,500 times a second, for fsyncs during which there is nothing
// else to do, and a tenth of the sign-ins is lost (decision 30). Coarser timers
// let it look less often. But its thread is there before this program's first
// line, and the slack of a thread is its own, or what was set before exec
// (prctl(2), PR_SET_TIMERSLACK).
//
// What fails here is left as it is: the server is slower, and as right.
func settle() {
	if _, again := os.LookupEnv(settled); again || runtime.GOMAXPROCS(0) > 1 {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	runtime.LockOSThread() // the slack is this thread's, and exec keeps that one
	defer runtime.UnlockOSThread()
	if now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || now >= int(slack) {
		return
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0); err != nil {
		return
	}
	syscall.Exec(program, os.Args, append(os.Environ(), settled+"=1"))
}
