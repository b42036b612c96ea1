package verify

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/verify/verifytest"
)

func TestChangeTakesEffect(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p, other := verifytest.NewPerson(), verifytest.NewPerson()
		before, others := w.server.Token(p, 3), w.server.Token(other, 3)
		w.want(p, before, "", "before the change")
		made := time.Now()
		time.Sleep(20 * time.Millisecond)
		jti, _ := w.server.Raise(verifytest.CredentialChange, p, 4)
		synctest.Wait()
		o := w.serve(w.request(p, before, "GET", "/notes", ""))
		if o.problem.Reason != Stale || o.problem.KnownEpoch != 4 || o.problem.TokenEpoch != 3 {
			t.Errorf("after it: %+v", o.problem)
		}
		w.want(p, w.server.Token(p, 4), "", "with a fresh token")
		w.want(other, others, "", "another account")
		at, ok := w.server.Applied(jti)
		if !ok || at.Sub(made) != 20*time.Millisecond {
			t.Errorf("reported as applied: %v, %s after the change", ok, at.Sub(made))
		}
		if n := w.server.Waiting(); n != 0 {
			t.Errorf("%d signals are not acknowledged", n)
		}
		if s := w.v.Status(); s.Applied != 1 || s.Entries != 1 || s.Waiting != 0 || !s.Ready || s.Error != "" || s.Pushed {
			t.Errorf("%+v", s)
		}
	})
}

func TestOneSessionEnds(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		second := *p
		second.Session = [16]byte{2}
		token, others := w.server.Token(p, 3), w.server.Token(&second, 3)
		w.server.EndSession(p, 3)
		synctest.Wait()
		w.want(p, token, Ended, "the session that ended")
		w.want(&second, others, "", "the other session")
		w.server.Send(w.server.Set(verifytest.CredentialChange, p, 4, map[string]any{
			"readmit_kind": "password-changed", "readmit_session": hex.EncodeToString(second.Session[:]),
		}))
		synctest.Wait()
		w.want(&second, w.server.Token(&second, 4), "", "the session that has changed the password")
	})
}

// The account's state is told to nobody but who holds the key.
func TestStrangersLearnNoState(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p, thief := verifytest.NewPerson(), verifytest.NewPerson()
		token := w.server.Token(p, 3)
		w.want(thief, token, NotBound, "before the change")
		w.server.Raise(verifytest.CredentialChange, p, 4)
		synctest.Wait()
		w.want(thief, token, NotBound, "after it")
		w.want(p, token, Stale, "the owner")
	})
}

func TestBehind(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		w.server.Raise(verifytest.AccountDisabled, p, 5)
		changed := time.Now().Unix()
		synctest.Wait()
		time.Sleep(3 * time.Second)
		w.want(p, w.server.Token(p, 4), Stale, "a token from before the disabling")
		w.want(p, w.server.Token(p, 5), Stale, "a token of a disabled account")
		after := w.server.Token(p, 6)
		o := w.serve(w.request(p, after, "GET", "/notes", ""))
		if o.status != 401 || o.problem.Reason != Behind || o.problem.Type != issuer+"/help/change-pending" || o.problem.KnownEpoch != 5 || o.problem.TokenEpoch != 6 || o.problem.Service != service {
			t.Errorf("a token from after an enabling that was not heard of: %d %+v", o.status, o.problem)
		}
		if o.problem.KnownSince != changed {
			t.Errorf("the change it knows of was at %d, want %d", o.problem.KnownSince, changed)
		}
		w.server.Raise(verifytest.AccountEnabled, p, 6)
		synctest.Wait()
		w.want(p, after, "", "when it was heard of")
		w.want(p, w.server.Token(p, 5), Stale, "an older one, still")
	})
}

// What came before the process is not known to it.
func TestStartRefusesWhatIsOlder(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 3)
		w.server.Raise(verifytest.CredentialChange, p, 4)
		synctest.Wait()
		w.want(p, token, Stale, "heard by the first process")
		w.stop()
		w.start(config(w.server))
		w.want(p, token, Stale, "not heard by the second one")
		o := w.serve(w.request(p, token, "GET", "/notes", ""))
		if d := o.problem.Detail; o.problem.Floor != w.v.Status().Floor.Unix() || o.problem.KnownEpoch != 0 || strings.Contains(d, "account has changed") || !strings.Contains(d, "started or missed signals") {
			t.Errorf("of the start it is said: %+v", o.problem)
		}
		w.want(p, w.server.Token(p, 4), "", "a token from after its start")
	})
}

func TestNewsIsForgottenWithTheTokens(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p, other := verifytest.NewPerson(), verifytest.NewPerson()
		w.server.Raise(verifytest.CredentialChange, p, 4)
		w.server.EndSession(p, 4)
		synctest.Wait()
		if n := w.v.Status().Entries; n != 2 {
			t.Fatalf("%d entries", n)
		}
		time.Sleep(kept - time.Second)
		w.want(p, w.server.Token(p, 3), Ended, "just before")
		time.Sleep(2 * time.Second)
		w.server.Raise(verifytest.CredentialChange, other, 2)
		synctest.Wait()
		if s := w.v.Status(); s.Entries != 1 || s.Overflows != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestEachSignalCountsOnce(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		jti, text := w.server.Raise(verifytest.AccountDisabled, p, 4)
		synctest.Wait()
		w.server.Raise(verifytest.AccountEnabled, p, 5)
		synctest.Wait()
		w.server.Hand(jti, text)
		synctest.Wait()
		w.want(p, w.server.Token(p, 5), "", "after the disabling came again")
		if s := w.v.Status(); s.Applied != 2 || w.server.Waiting() != 0 {
			t.Errorf("%d applied, %d not acknowledged", s.Applied, w.server.Waiting())
		}
	})
}

func TestLaterSignalFirst(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		off, on := w.server.Set(verifytest.AccountDisabled, p, 4, nil), w.server.Set(verifytest.AccountEnabled, p, 5, nil)
		last := w.server.Set(verifytest.CredentialChange, p, 6, nil)
		for _, one := range []map[string]any{last, on, off} {
			w.server.Send(one)
			synctest.Wait()
		}
		w.want(p, w.server.Token(p, 5), Stale, "a token from before the last change")
		w.want(p, w.server.Token(p, 6), "", "one from after it")
		if w.v.Status().Applied != 3 {
			t.Error("not all are applied")
		}
	})
}

func TestManySignalsAtOnce(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		w.server.Fault(down)
		time.Sleep(time.Minute)
		var people []*verifytest.Person
		for range 3*mostSignals + 1 {
			p := verifytest.NewPerson()
			people = append(people, p)
			w.server.Raise(verifytest.CredentialChange, p, 2)
		}
		w.server.Fault(nil)
		time.Sleep(2 * lastPause)
		if w.server.Waiting() != 0 || w.v.Status().Applied != int64(len(people)) || w.server.MostEvents() != mostSignals {
			t.Errorf("%d wait, %d applied", w.server.Waiting(), w.v.Status().Applied)
		}
		for _, p := range people {
			w.want(p, w.server.Token(p, 1), Stale, "each of them")
		}
	})
}

// down answers as a proxy whose server is away does.
func down(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusBadGateway)
	return true
}

func TestServerAwayAndBack(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		w.want(p, w.server.Token(p, 1), "", "at first")
		time.Sleep(time.Minute)
		w.server.Fault(down)
		token := w.server.Token(p, 1)
		w.server.Raise(verifytest.CredentialChange, p, 2) // which is not heard
		time.Sleep(tokenLife - time.Second)
		w.want(p, token, "", "four minutes and 59 s later")
		if s := w.v.Status(); s.Stale < 4*time.Minute || !strings.Contains(s.Error, "502") || s.Keys < time.Minute {
			t.Errorf("%+v", s)
		}
		time.Sleep(leeway + 2*time.Second)
		w.want(p, token, Expired, "when it has ended")
		again := w.server.Token(p, 1)
		w.want(p, again, "", "a token from before a change that was not heard")
		w.server.Fault(nil)
		time.Sleep(lastPause * 5 / 4)
		w.want(p, again, Stale, "when the server is back")
		if s := w.v.Status(); s.Stale > lastPause*5/4 || s.Error != "" || s.Lag < 5*time.Minute {
			t.Errorf("%+v", s)
		}
	})
}

func TestKeysOfAServerThatIsLongAwayAreNotBelieved(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		w.server.Fault(down)
		time.Sleep(keysLife - 10*time.Minute)
		w.want(p, w.server.Token(p, 1), "", "for an hour")
		time.Sleep(10 * time.Minute)
		o := w.serve(w.request(p, w.server.Token(p, 1), "GET", "/notes", ""))
		if o.status != 503 || o.problem.Reason != KeysUnavailable || o.header.Get("Retry-After") == "" || o.header.Get("WWW-Authenticate") != "" {
			t.Errorf("later: %d %+v", o.status, o.problem)
		}
		w.server.Fault(nil)
		time.Sleep(20 * time.Second)
		w.want(p, w.server.Token(p, 1), "", "when it is back")
	})
}

func TestKeysRotate(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		old := w.server.Token(p, 1)
		w.want(p, old, "", "the first key")
		w.server.Rotate()
		next := w.server.Token(p, 1)
		w.server.Fault(down)
		w.want(p, next, KeysUnavailable, "an unknown key, and the server away")
		w.want(p, old, "", "the known key meanwhile")
		w.server.Fault(nil)
		w.want(p, next, KeysUnavailable, "within a second of the last question")
		time.Sleep(keysPause)
		w.want(p, next, "", "when the keys can be asked for")
		w.want(p, old, "", "the first key, still published")
		time.Sleep(keysPause)
		asked := w.server.Asked(api.PathKeys)
		for i := range 50 {
			want := KeysUnavailable
			if i == 0 {
				want = Malformed
			}
			w.want(p, w.server.Sign(map[string]any{"typ": "at+jwt", "kid": "nobody's"}, w.server.Claims(p, 1)), want, "a key that does not exist")
			time.Sleep(time.Millisecond)
		}
		if n := w.server.Asked(api.PathKeys) - asked; n != 1 {
			t.Errorf("50 tokens with invented keys make %d questions in one second", n)
		}
		w.server.Retract()
		time.Sleep(keysEvery + keysEvery/4)
		fresh := w.server.Claims(p, 1)
		w.want(p, w.server.Sign(map[string]any{"typ": "at+jwt"}, fresh), "", "the key that is left")
		if _, ok := w.v.tokens.find([32]byte{}); ok || len(w.v.tokens.seen[0]) != 1 {
			t.Error("what the retracted key has signed is still remembered")
		}
	})
}

// A set of keys that has not changed is not sent again.
func TestKeysAreAskedForWithTheirTag(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		same, whole := 0, 0
		w.server.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == api.PathKeys {
				if r.Header.Get("If-None-Match") != "" {
					same++
				} else {
					whole++
				}
			}
			return false
		})
		time.Sleep(20 * time.Minute)
		if same < 3 || same > 6 || whole != 0 {
			t.Errorf("in twenty minutes %d with the tag, %d without", same, whole)
		}
		if s := w.v.Status(); s.Keys > keysEvery*5/4 {
			t.Errorf("the keys are %s old", s.Keys)
		}
	})
}

func TestStatusAfterALongPoll(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		time.Sleep(10 * time.Minute)
		if s := w.v.Status(); s.Stale > 26*time.Second || !s.Ready {
			t.Errorf("with nothing new for ten minutes: %+v", s)
		}
		if n := w.server.Asked(pathPoll); n > 26 {
			t.Errorf("%d polls in ten minutes", n)
		}
	})
}

// Whatever the account server answers, the secret goes nowhere else, memory is
// bounded, and it is tried again.
func TestAnswersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://example.com"+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}, "307"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>")
			return true
		}, "form"},
		"without end": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Write(bytes.Repeat([]byte(" "), maxAnswer+1))
			return true
		}, "longer"},
		"not at all": {func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		}, "deadline"},
		"who are you": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}, "readmit admin service add"},
		"unavailable": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"title":"The account server cannot do its work now","detail":"Your password was not checked. Try again in a few minutes.","status":503,"code":5030}`)
			return true
		}, "POST /ssf/poll: status 503: The account server cannot do its work now"},
		"at once, and nothing": {func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "{}")
			return true
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			in(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, func(t *testing.T, w *world) {
				before := w.server.Asked(pathPoll)
				w.server.Fault(func(rw http.ResponseWriter, r *http.Request) bool {
					if r.Host != "id.example.org" {
						t.Errorf("%s was called", r.Host)
					}
					return r.URL.Path == pathPoll && c.fault(rw, r)
				})
				time.Sleep(3 * time.Minute)
				s := w.v.Status()
				if c.want == "" != (s.Error == "") || !strings.Contains(s.Error, c.want) {
					t.Errorf("the status says %q, want %q", s.Error, c.want)
				}
				if n := w.server.Asked(pathPoll) - before; n < 3 || n > 2500 {
					t.Errorf("%d polls in three minutes", n)
				}
				w.server.Fault(nil)
				time.Sleep(2 * pollTime)
				if s := w.v.Status(); s.Error != "" {
					t.Errorf("afterwards: %+v", s)
				}
				if strings.Contains(log.String(), verifytest.Secret) {
					t.Error("the secret is in the log")
				}
			})
		})
	}
}

func TestReportsWaitForTheServer(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		w.server.Fault(func(rw http.ResponseWriter, r *http.Request) bool {
			return r.URL.Path == pathApplied && down(rw, r)
		})
		p := verifytest.NewPerson()
		jti, _ := w.server.Raise(verifytest.CredentialChange, p, 2)
		at := time.Now()
		time.Sleep(time.Minute)
		if _, ok := w.server.Applied(jti); ok {
			t.Fatal("reported to a server that is away")
		}
		w.server.Fault(nil)
		time.Sleep(2 * lastPause)
		if got, ok := w.server.Applied(jti); !ok || !got.Equal(at) {
			t.Errorf("%v %v, want %v", got, ok, at)
		}
	})
}

func TestReportsAreBounded(t *testing.T) {
	r := reports{wake: make(chan struct{}, 1)}
	for i := range reportsKept + 10 {
		r.add(fmt.Sprint(i), time.Unix(1, 0))
	}
	if r.size() != reportsKept || r.some()[0].jti != "10" {
		t.Errorf("%d wait", r.size())
	}
}
