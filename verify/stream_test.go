package verify

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/verify/verifytest"
)

// A stream that its own service has paused or disabled is not taken for one
// without news.
func TestSilentStream(t *testing.T) {
	for _, status := range []string{"paused", "disabled"} {
		t.Run(status, func(t *testing.T) {
			in(t, nil, func(t *testing.T, w *world) {
				p := verifytest.NewPerson()
				if s := w.v.Status(); !s.Ready {
					t.Fatalf("before: %+v", s)
				}
				w.server.SetStream(status)
				token := w.server.Token(p, 1)
				w.server.Raise(verifytest.AccountDisabled, p, 2)
				time.Sleep(time.Second)
				if s := w.v.Status(); s.Ready || !strings.Contains(s.Error, status) {
					t.Errorf("a second later: %+v", s)
				}
				time.Sleep(2 * time.Minute)
				s := w.v.Status()
				if s.Ready || s.Stale < 2*time.Minute || !strings.Contains(s.Error, status) {
					t.Errorf("two minutes later: %+v", s)
				}
				w.server.SetStream("enabled")
				time.Sleep(lastPause * 5 / 4)
				synctest.Wait()
				// Kept, it comes; lost, whatever it could have ended is refused.
				w.want(p, token, Stale, "when it is enabled again")
				if got := w.v.Status(); got.Error != "" {
					t.Errorf("when it is enabled again: %+v", got)
				}
				time.Sleep(margin + time.Second)
				if s := w.v.Status(); !s.Ready || s.Stale > 26*time.Second {
					t.Errorf("later: %+v", s)
				}
				w.want(p, w.server.Token(p, 3), map[string]Reason{"paused": Behind}[status], "a fresh token")
			})
		})
	}
}

// A service that starts with a stream that delivers nothing is never ready.
func TestStartWithASilentStream(t *testing.T) {
	for name, change := range map[string]func(*Config){"polled": nil, "pushed": pushed} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, server: verifytest.New(issuer, service)}
				w.server.SetStream("disabled")
				c := config(w.server)
				if change != nil {
					change(&c)
				}
				w.start(c)
				defer func() { w.stop() }()
				time.Sleep(time.Minute)
				if s := w.v.Status(); s.Ready || s.Stale != -1 || !strings.Contains(s.Error, "disabled") {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A service that was removed hears of nothing any more, and says so.
func TestServiceThatWasRemoved(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		if s := w.v.Status(); !s.Ready {
			t.Fatalf("before: %+v", s)
		}
		token := w.server.Token(p, 1)
		w.server.Fault(func(rw http.ResponseWriter, r *http.Request) bool {
			gone := strings.HasPrefix(r.URL.Path, "/ssf/")
			if gone {
				rw.WriteHeader(http.StatusUnauthorized)
			}
			return gone
		})
		time.Sleep(2 * lookEvery)
		if s := w.v.Status(); s.Ready || !strings.Contains(s.Error, "register the service anew") {
			t.Errorf("after: %+v", s)
		}
		w.server.Fault(nil)
		time.Sleep(2 * lookEvery)
		if s := w.v.Status(); !s.Ready || s.Error != "" {
			t.Errorf("registered anew: %+v", s)
		}
		w.want(p, token, Stale, "what a change may have ended meanwhile")
	})
}

// What cannot be read of the stream is told, though polls are answered.
func TestStreamThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, server: verifytest.New(issuer, service)}
		w.server.Fault(func(rw http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodGet && r.URL.Path == pathStatus && down(rw, r)
		})
		w.start(config(w.server))
		defer func() { w.stop() }()
		for range 600 { // also between an answered poll and the next look
			time.Sleep(100 * time.Millisecond)
			if s := w.v.Status(); s.Ready || s.Stale > 26*time.Second || !strings.Contains(s.Error, "502") {
				t.Fatalf("%+v", s)
			}
		}
		w.server.Fault(nil)
		time.Sleep(2 * lastPause)
		if s := w.v.Status(); !s.Ready || s.Error != "" {
			t.Errorf("when it can be read: %+v", s)
		}
	})
}

// A stream that leaves out types of events answers polls like any other.
func TestNarrowedStream(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		w.server.SetStream("enabled", verifytest.SessionRevoked, verifytest.CredentialChange, verifytest.AccountEnabled)
		token := w.server.Token(p, 1)
		w.server.Raise(verifytest.AccountDisabled, p, 2)
		time.Sleep(lookEvery * 5 / 4)
		w.want(p, token, "", "after a change of a type that is left out")
		if s := w.v.Status(); s.Ready || !strings.Contains(s.Error, `"account-disabled"`) || !strings.Contains(s.Error, "events_requested") {
			t.Errorf("%+v", s)
		}
		asked := w.server.Asked(pathStream)
		time.Sleep(time.Minute)
		if n := w.server.Asked(pathStream) - asked; n > 5 {
			t.Errorf("the stream is read %d times in a minute", n)
		}
		w.server.SetStream("enabled")
		time.Sleep(lookEvery * 5 / 4)
		w.want(p, token, Stale, "what was issued before the stream was whole again")
		time.Sleep(margin + time.Second)
		if s := w.v.Status(); !s.Ready || s.Error != "" {
			t.Errorf("whole again: %+v", s)
		}
		w.want(p, w.server.Token(p, 3), "", "a fresh token")
	})
}
