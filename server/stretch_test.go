package server_test

import (
	"testing"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
)

// TestStretchIsAnnounced: what a server announces is also what it answers for
// an account that is not there, or accounts could be told apart.
func TestStretchIsAnnounced(t *testing.T) {
	for _, tt := range []struct{ set, want opaque.Stretch }{
		{opaque.Stretch{}, opaque.DefaultStretch},
		{opaque.LeastStretch, opaque.LeastStretch},
	} {
		w := newWorld(t)
		w.stretch = tt.set
		w.restart()
		var hello api.Hello
		w.read(w.get(api.PathHello), &hello)
		if hello.Stretch != wire(tt.want) {
			t.Errorf("announced with %+v: %+v", tt.set, hello.Stretch)
		}
		try, p := w.machine("stranger").start("nobody@example.org", password)
		wantCode(t, "start", p, 0)
		if try.started.Stretch != wire(tt.want) {
			t.Errorf("answered for nobody with %+v: %+v", tt.set, try.started.Stretch)
		}
	}
}
