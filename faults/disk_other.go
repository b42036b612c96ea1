//go:build !linux

package faults

import "github.com/rogpeppe/go-internal/testscript"

func (w *world) disk(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("only Linux limits the files of a running process")
}
