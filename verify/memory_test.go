package verify

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"readmit.dev/readmit/verify/verifytest"
)

func TestMemoryIsBounded(t *testing.T) {
	in(t, func(c *Config) { c.Entries = 4 }, func(t *testing.T, w *world) {
		var people []*verifytest.Person
		var tokens []string
		for range 8 {
			p := verifytest.NewPerson()
			people, tokens = append(people, p), append(tokens, w.server.Token(p, 1))
		}
		bystander := verifytest.NewPerson()
		early := w.server.Token(bystander, 1)
		time.Sleep(10 * time.Second)
		for i, p := range people {
			w.server.Raise(verifytest.CredentialChange, p, 2)
			synctest.Wait()
			if n := w.v.Status().Entries; n > 4 {
				t.Fatalf("%d entries after %d changes", n, i+1)
			}
		}
		for i, p := range people {
			w.want(p, tokens[i], Stale, "each of them, remembered or not")
		}
		w.want(bystander, early, Stale, "who was issued a token before what is forgotten")
		time.Sleep(margin + 3*time.Second)
		w.want(bystander, w.server.Token(bystander, 1), "", "with a fresh one")
		w.want(people[0], w.server.Token(people[0], 2), "", "with a fresh one, of a forgotten account")
		if s := w.v.Status(); s.Overflows != 4 || s.Floor.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// One account that changes without end takes no place from others.
func TestOneAccountDoesNotFillTheMemory(t *testing.T) {
	m := accounts{most: 100}
	at := time.Unix(1772366400, 0)
	for i := range 10_000 {
		m.apply(event{account: id{1}, epoch: int64(i), at: at}, time.Duration(i))
	}
	if n, raised, _ := m.size(); n != 1 || raised != 0 || len(m.queue)-m.head > 100 || cap(m.queue) > 8192 {
		t.Errorf("%d entries, %d overflows, %d places, room for %d", n, raised, len(m.queue)-m.head, cap(m.queue))
	}
	if err := m.judge(&claims{account: id{1}, epoch: 9998, issued: at.Unix()}); !errors.Is(err, Stale) {
		t.Errorf("%v", err)
	}
}

// What is known at the end does not depend on the order in which signals come,
// nor on how often, as long as all come.
func TestOrderMakesNoDifference(t *testing.T) {
	at := time.Unix(1772366400, 0)
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(r, "signals")
		var all []event
		last, off := int64(0), false
		ended := map[byte]bool{}
		for i := range n {
			e := event{account: id{1}, epoch: int64(i + 1), at: at}
			switch rapid.IntRange(0, 3).Draw(r, "kind") {
			case 0:
				e.status, off = disabled, true
			case 1:
				e.status, off = enabled, false
			case 2:
				e.epoch-- // a session ends: the epoch stays
				e.epoch = max(e.epoch, last)
				s := rapid.ByteRange(1, 3).Draw(r, "session")
				e.ended, e.session, ended[s] = true, id{s}, true
			}
			last = max(last, e.epoch)
			all = append(all, e)
		}
		given := append(all, rapid.SliceOfN(rapid.SampledFrom(all), 0, 5).Draw(r, "again")...)
		given = rapid.Permutation(given).Draw(r, "order")
		m := accounts{most: 1000}
		for i, e := range given {
			m.apply(e, time.Duration(i+1))
		}
		for epoch := range last + 3 {
			for s := byte(1); s <= 4; s++ {
				err := m.judge(&claims{account: id{1}, session: id{s}, epoch: epoch, issued: at.Unix()})
				var want error
				switch {
				case ended[s]:
					want = Ended
				case epoch < last:
					want = Stale
				case off && last > 0 && epoch == m.known[id{1}].disabled:
					want = Stale
				case off:
					want = Behind
				}
				if !errors.Is(err, want) {
					r.Fatalf("session %d, epoch %d of %d: %v, want %v", s, epoch, last, err, want)
				}
			}
		}
	})
}

func TestSignalsHeardAreBounded(t *testing.T) {
	var h heard
	for i := range 5 * heardGeneration {
		if !h.first(string([]byte{byte(i), byte(i >> 8), byte(i >> 16)})) {
			t.Fatal("a new one was heard before")
		}
	}
	if n := len(h.seen[0]) + len(h.seen[1]); n > 2*heardGeneration {
		t.Errorf("%d are remembered", n)
	}
	last := 5*heardGeneration - 1
	if h.first(string([]byte{byte(last), byte(last >> 8), byte(last >> 16)})) {
		t.Error("the last one is not")
	}
}

// The service's clock may be wrong: tokens live by the account server's.
func TestClockThatIsWrong(t *testing.T) {
	for name, off := range map[string]time.Duration{
		"ten minutes ahead": 10 * time.Minute, "ten minutes behind": -10 * time.Minute, "a second ahead": time.Second, "a second behind": -time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := verifytest.New(issuer, service)
				v, err := New(config(s))
				if err != nil {
					t.Fatal(err)
				}
				wall := v.clock.wall
				v.clock.wall = func() time.Time { return wall().Add(off) }
				w := &world{t: t, server: s, v: v}
				if err := v.fetchFirstKeys(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(margin + 3*time.Second)
				p := verifytest.NewPerson()
				token := s.Token(p, 1)
				w.want(p, token, "", "at first")
				time.Sleep(tokenLife - 2*time.Second)
				w.want(p, token, "", "near its end")
				time.Sleep(10 * time.Second)
				w.want(p, token, Expired, "after its end")
				got := v.Status().ClockOff
				if off.Abs() > unnoticed && (got-off).Abs() > time.Second || off.Abs() <= unnoticed && got != 0 {
					t.Errorf("the status says %s", got)
				}
			})
		})
	}
}

func TestClockThatIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		by   time.Duration
		want Reason
	}{
		"back an hour":        {-time.Hour, ""},
		"ahead (or a sleep)":  {time.Hour, Expired},
		"back, when it ended": {-time.Hour, Expired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := verifytest.New(issuer, service)
				v, err := New(config(s))
				if err != nil {
					t.Fatal(err)
				}
				wall, by := v.clock.wall, time.Duration(0)
				v.clock.wall = func() time.Time { return wall().Add(by) }
				w := &world{t: t, server: s, v: v}
				if err := v.fetchFirstKeys(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(margin + 3*time.Second)
				p := verifytest.NewPerson()
				token := s.Token(p, 1)
				w.want(p, token, "", "at first")
				by = c.by
				if strings.HasSuffix(name, "ended") {
					time.Sleep(tokenLife + leeway)
				}
				if by > 0 {
					// The device's clock went along: a machine that slept.
					if _, err := v.token(t.Context(), token); !errors.Is(err, c.want) {
						t.Errorf("%v, want %v", err, c.want)
					}
					return
				}
				w.want(p, token, c.want, "afterwards")
			})
		})
	}
}

// An answer that waited, on its way or in a process that was stopped, has an
// old Date. It sets no clock back.
func TestLateAnswerSetsNoClockBack(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 1)
		w.want(p, token, "", "at first")
		w.server.Fault(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != pathPoll {
				return false
			}
			rw.Write([]byte("{}")) // the Date is written here
			time.Sleep(20 * time.Second)
			return true
		})
		time.Sleep(tokenLife + leeway)
		for range 30 {
			if _, err := w.v.token(t.Context(), token); !errors.Is(err, Expired) {
				t.Fatalf("%v: the token has ended, and an old Date makes it live on", err)
			}
			time.Sleep(time.Second)
		}
		if s := w.v.Status(); s.ClockOff != 0 {
			t.Errorf("the status says that the clock is off by %s", s.ClockOff)
		}
	})
}

func TestConfig(t *testing.T) {
	good := config(verifytest.New(issuer, service))
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no issuer":             {func(c *Config) { c.Issuer = "" }, "Issuer"},
		"issuer with a path":    {func(c *Config) { c.Issuer = issuer + "/x" }, "without a path"},
		"issuer without a host": {func(c *Config) { c.Issuer = "https://" }, "Issuer"},
		"issuer without TLS":    {func(c *Config) { c.Issuer = "http://id.example.org" }, "https"},
		"issuer with a user":    {func(c *Config) { c.Issuer = "https://a:b@id.example.org" }, "Issuer"},
		"a name for audience":   {func(c *Config) { c.Audience = "notes" }, "URL"},
		"no audience":           {func(c *Config) { c.Audience = "" }, "Audience"},
		"no secret":             {func(c *Config) { c.Secret = nil }, "SecretFile"},
		"less than none":        {func(c *Config) { c.Entries = -1 }, "Entries"},
	} {
		bad := good
		c.change(&bad)
		if _, err := New(bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something about %s", name, err, c.want)
		}
	}
	named := good
	named.Audience, named.URL = "notes", service
	if _, err := New(named); err != nil {
		t.Errorf("a name with an address beside it: %v", err)
	}
	local := good
	local.Issuer, local.Client = "http://127.0.0.1:4001", &http.Client{}
	if _, err := New(local); err != nil {
		t.Errorf("on this machine: %v", err)
	}
}
