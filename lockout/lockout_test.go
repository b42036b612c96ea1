package lockout

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// begin fails the test unless the attempt is allowed.
func begin(t *testing.T, s State, now time.Time) State {
	t.Helper()
	s, d := s.Begin(now)
	if !d.Allowed || !d.Until.IsZero() {
		t.Fatalf("refused until %s: %+v", d.Until, s)
	}
	return s
}

// refused fails the test unless the attempt is refused until then.
func refused(t *testing.T, s State, now, until time.Time) State {
	t.Helper()
	s, d := s.Begin(now)
	if d.Allowed || !d.Until.Equal(until) {
		t.Fatalf("allowed %t, until %s, want refused until %s: %+v", d.Allowed, d.Until, until, s)
	}
	return s
}

// locked is a counter that ten failures in a row have just locked.
func locked(t *testing.T, now time.Time) State {
	t.Helper()
	var s State
	for i := range FailedLimit {
		if s.Locked(now) {
			t.Fatalf("locked after %d failures", i)
		}
		s = begin(t, s, now).Fail(now)
	}
	if !s.Locked(now) {
		t.Fatalf("%d failures do not lock: %+v", FailedLimit, s)
	}
	return s
}

func TestLimitsAreThoseOfTheDesign(t *testing.T) {
	if FailedLimit != 10 || OpenLimit != 60 || OpenLimit >= 100 || LongestLock != 24*time.Hour {
		t.Error("a limit has changed: docs/security.md names them")
	}
}

func TestFailuresInARowLock(t *testing.T) {
	s := locked(t, start)
	refused(t, s, start, start.Add(time.Minute))
	if s.Locked(start.Add(time.Minute)) {
		t.Error("the lock does not end by itself")
	}
	begin(t, s, start.Add(time.Minute))
}

func TestSuccessForgetsFailures(t *testing.T) {
	var s State
	for range 20 {
		for range FailedLimit - 1 {
			s = begin(t, s, start).Fail(start)
		}
		s = begin(t, s, start).Succeed(start)
		if s.Failed != 0 || s.Locks != 0 || s.Open != 0 || s.Locked(start) {
			t.Fatalf("after a success: %+v", s)
		}
	}
}

// Each lock is twice as long as the one before, up to a day, and stays a day;
// between two locks one guess is possible.
func TestLocksGrow(t *testing.T) {
	now := start
	s := locked(t, now)
	want := time.Minute
	for i := range 20 {
		if got := s.LockedUntil.Sub(now); got != want {
			t.Fatalf("lock %d lasts %s, want %s", i+1, got, want)
		}
		now = s.LockedUntil
		s = begin(t, s, now)
		refused(t, s, now, now.Add(AttemptLife))
		s = s.Fail(now)
		want = min(2*want, 24*time.Hour)
	}
}

func TestRefusedAttemptsDoNotProlongTheLock(t *testing.T) {
	s := locked(t, start)
	before := s
	for i := range 59 {
		s = refused(t, s, start.Add(time.Duration(i)*time.Second), start.Add(time.Minute))
	}
	if s != before {
		t.Errorf("refused attempts changed %+v to %+v", before, s)
	}
}

func TestFiftyAtOnceAllSucceed(t *testing.T) {
	var s State
	for range 50 {
		s = begin(t, s, start)
	}
	for i := range 50 {
		s = s.Succeed(start.Add(time.Second))
		if s.Open != 49-i {
			t.Fatalf("%d open after %d of 50 succeeded", s.Open, i+1)
		}
	}
}

func TestTwoHundredAtOnce(t *testing.T) {
	for failed := range FailedLimit {
		var s State
		for range failed {
			s = begin(t, s, start).Fail(start)
		}
		allowed := failed
		for range 200 {
			var d Decision
			if s, d = s.Begin(start); d.Allowed {
				allowed++
			} else if !d.Until.Equal(start.Add(time.Minute)) {
				t.Fatalf("refused until %s", d.Until)
			}
		}
		if allowed != OpenLimit {
			t.Errorf("%d guesses were possible after %d failures, want %d", allowed, failed, OpenLimit)
		}
	}
}

func TestUnfinishedIsFailed(t *testing.T) {
	var s State
	for range FailedLimit {
		s = begin(t, s, start)
	}
	end := start.Add(AttemptLife)
	if got := begin(t, s, end.Add(-time.Nanosecond)); got.Failed != 0 {
		t.Errorf("failed before its time is over: %+v", got)
	}
	refused(t, s, end, end.Add(time.Minute))

	// The lock counts from when the attempts ended, not from when somebody looked.
	begin(t, s, end.Add(time.Minute))
}

// Who had the right password gets in, also when others locked the way between
// the first message and the last.
func TestSuccessAcrossALock(t *testing.T) {
	s := begin(t, State{}, start)
	for range FailedLimit {
		s = begin(t, s, start).Fail(start)
	}
	if !s.Locked(start) {
		t.Fatal("not locked")
	}
	s = s.Succeed(start.Add(time.Second))
	if s.Locked(start.Add(time.Second)) || s.Locks != 0 || s.Failed != 0 {
		t.Fatalf("after the success: %+v", s)
	}
	begin(t, s, start.Add(time.Second))
}

// What was begun before a lock and fails during it was counted by the lock:
// the way in opens all the same when the lock ends.
func TestFailuresDuringALock(t *testing.T) {
	for _, n := range []int{11, 20, OpenLimit} {
		var s State
		for range n {
			s = begin(t, s, start)
		}
		for range n {
			s = s.Fail(start)
		}
		if got := s.LockedUntil.Sub(start); got != time.Minute {
			t.Errorf("%d failures at once lock for %s", n, got)
		}
		begin(t, s, start.Add(time.Minute))
	}
}

func TestCalm(t *testing.T) {
	s := locked(t, start)
	almost, calm := s.LockedUntil.Add(Calm-time.Second), s.LockedUntil.Add(Calm)
	if got := begin(t, s, almost).Fail(almost); !got.Locked(almost) || got.Locks != 2 {
		t.Errorf("forgotten before its time: %+v", got)
	}
	if got := begin(t, s, calm).Fail(calm); got.Locked(calm) || got.Failed != 1 || got.Locks != 0 {
		t.Errorf("a calm day was not forgotten: %+v", got)
	}

	one := begin(t, State{}, start).Fail(start)
	if got := begin(t, one, start.Add(Calm)); got.Failed != 0 {
		t.Errorf("a failure of yesterday still counts: %+v", got)
	}
	if got := begin(t, one, start.Add(Calm-time.Second)); got.Failed != 1 {
		t.Errorf("a failure of today was forgotten: %+v", got)
	}
	if got := begin(t, begin(t, one, start.Add(Calm-time.Second)), start.Add(Calm)); got.Open != 2 {
		t.Errorf("an open guess was forgotten: %+v", got)
	}
}

// A counter under any mix of guesses, successes, silence and waiting.
func TestAnySequence(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var (
			s       State
			now     = start
			open    []time.Time // allowed attempts without an outcome: when they began
			guesses int         // possible since the last success or calm
			locks   int         // since then
		)
		// enter compares the counter before and after a step.
		enter := func(next State) {
			if next.Locks < s.Locks {
				guesses, locks = 0, 0
			}
			if next.Locks > s.Locks {
				locks += next.Locks - s.Locks
				length := LongestLock
				if n := next.Locks - 1; n < 11 {
					length = min(length, time.Minute<<n)
				}
				if now.Add(length).Before(next.LockedUntil) {
					r.Fatalf("lock %d lasts until %s, at %s", next.Locks, next.LockedUntil, now)
				}
			}
			if next.Failed < 0 || next.Open < 0 || next.Failed+next.Open > OpenLimit {
				r.Fatalf("counted %d failed and %d open", next.Failed, next.Open)
			}
			if next.LockedUntil.Sub(now) > LongestLock {
				r.Fatalf("locked for %s", next.LockedUntil.Sub(now))
			}
			s = next
		}
		live := func() bool {
			for len(open) > 0 && now.Sub(open[0]) >= AttemptLife {
				open = open[1:]
			}
			return len(open) > 0
		}
		r.Repeat(map[string]func(*rapid.T){
			"begin": func(r *rapid.T) {
				for range rapid.SampledFrom([]int{1, 1, 5, 70}).Draw(r, "times") {
					wasCalm := s.Failed == 0 && s.Locks == 0
					next, d := s.Begin(now)
					if d.Allowed {
						if s.Locked(now) {
							r.Fatal("allowed while locked")
						}
						if wasCalm && next.Open == 1 || s.Failed > 0 && next.Failed == 0 {
							guesses, locks = 0, 0
						}
						guesses++
						open = append(open, now)
					} else {
						if !d.Until.After(now) {
							r.Fatalf("at %s refused until %s", now, d.Until)
						}
						if s.Locked(now) && next.LockedUntil != s.LockedUntil {
							r.Fatal("a refused attempt moved the lock")
						}
					}
					enter(next)
					if guesses > OpenLimit+locks {
						r.Fatalf("%d guesses were possible, with %d locks between", guesses, locks)
					}
				}
			},
			"fail": func(r *rapid.T) {
				if !live() {
					return
				}
				for range rapid.IntRange(1, len(open)).Draw(r, "times") {
					open = open[1:]
					enter(s.Fail(now))
				}
			},
			"succeed": func(r *rapid.T) {
				if !live() {
					return
				}
				open = open[1:]
				s = s.Succeed(now)
				guesses, locks = s.Open, 0
				if s.Locked(now) || s.Failed != 0 || s.Locks != 0 {
					r.Fatalf("after a success: %+v", s)
				}
			},
			"wait": func(r *rapid.T) {
				now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 30, 60, 121, 3600, 90000}).Draw(r, "seconds")) * time.Second)
			},
			// From wherever it is, a way in opens again for who just waits as
			// long as it is told to.
			"": func(r *rapid.T) {
				at, c := now, s
				for range 4 {
					next, d := c.Begin(at)
					if d.Allowed {
						return
					}
					if d.Until.Sub(at) > LongestLock {
						r.Fatalf("at %s refused until %s", at, d.Until)
					}
					at, c = d.Until, next
				}
				r.Fatalf("never opens again: %+v at %s", c, at)
			},
		})
	})
}

// TestForgive: a right password takes back its own failures, nobody else's.
func TestForgive(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	fail := func(s State, n int) State {
		for range n {
			s, _ = s.Begin(now)
			s = s.Fail(now)
		}
		return s
	}
	begin := func(s State) State {
		s, d := s.Begin(now)
		if !d.Allowed {
			t.Fatal("not allowed")
		}
		return s
	}
	for _, c := range []struct {
		name        string
		failed, own int
		want        int
	}{
		{"all its own", 4, 4, 0},
		{"more than are left", 4, 9, 0},
		{"some of others", 7, 3, 4},
		{"none its own", 5, 0, 5},
		{"nothing failed", 0, 0, 0},
	} {
		s := begin(fail(State{}, c.failed)).Forgive(c.own, now)
		if s.Failed != c.want || s.Open != 0 {
			t.Errorf("%s: %d failed and %d open, want %d and 0", c.name, s.Failed, s.Open, c.want)
		}
	}
	locked := fail(State{}, FailedLimit)
	after := now.Add(FirstLock + time.Second)
	s, d := locked.Begin(after)
	if !d.Allowed {
		t.Fatal("the lock does not end")
	}
	if got := s.Forgive(2, after); got.Locks != 1 {
		t.Error("a right password at one account forgets a lock that others have earned")
	}
	if got := s.Forgive(FailedLimit, after); got.Locks != 0 || got.Failed != 0 {
		t.Error("a right password does not forget the lock of its own failures")
	}
}
