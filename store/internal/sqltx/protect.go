package sqltx

import (
	"fmt"
	"runtime"
	"strings"

	"readmit.dev/readmit/store"
)

// Protect calls f; a panic in it is its own error and nobody else's end.
// The value is printed only where the runtime made it: others may hold secrets.
func Protect(f func(store.Tx) error, t store.Tx) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		what := fmt.Sprintf("%T", p)
		if e, ok := p.(runtime.Error); ok {
			what = e.Error()
		}
		err = fmt.Errorf("a change panicked: %s at %s", what, panicked())
	}()
	return f(t)
}

// panicked is the line that panicked, asked in the function that recovers.
func panicked() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "an unknown line"
		}
	}
}
