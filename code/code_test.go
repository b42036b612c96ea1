package code

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// RFC 6238, appendix B, the column of SHA-256.
func TestVectors(t *testing.T) {
	key := []byte("12345678901234567890123456789012")
	for _, c := range []struct {
		seconds int64
		want    Code
	}{
		{59, "46119246"},
		{1111111109, "68084774"},
		{1111111111, "67062674"},
		{1234567890, "91819424"},
		{2000000000, "90698825"},
		{20000000000, "77737706"},
	} {
		at := time.Unix(c.seconds, 0)
		if got := atStep(key, Step(at), 8); got != c.want {
			t.Errorf("at %d: %s, want %s", c.seconds, got, c.want)
		}
		if got := Offline(key, at); got != c.want[2:] {
			t.Errorf("at %d: six digits %s, want %s", c.seconds, got, c.want[2:])
		}
	}
}

func TestStep(t *testing.T) {
	for seconds, want := range map[int64]int64{-31: -2, -30: -1, -1: -1, 0: 0, 29: 0, 30: 1, 59: 1, 60: 2} {
		if got := Step(time.Unix(seconds, 0)); got != want {
			t.Errorf("step at %d is %d, want %d", seconds, got, want)
		}
	}
}

func TestLeadingZerosStay(t *testing.T) {
	zeros := 0
	for step := range int64(300) {
		c := AtStep([]byte("key"), step)
		if len(c) != Digits {
			t.Fatalf("step %d gives %d characters", step, len(c))
		}
		if c[0] == '0' {
			zeros++
		}
	}
	if zeros == 0 {
		t.Error("no code of 300 begins with a zero")
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]Code{
		"012345": "012345", "000000": "000000", " 123456\n": "123456", "123 456": "123456", "123-456": "123456",
		"": "", "12345": "", "1234567": "", "12 3456": "", "123  456": "", "123--456": "", "123_456": "",
		"١٢٣٤٥٦": "", "１２３４５６": "", "12345a": "", "+12345": "", "-12345": "", "1e1000": "", "123456\x00": "", "123.456": "",
	} {
		got, err := Parse(in)
		if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, ErrForm) {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"123456", " 123-456 ", "１２３４５６", "12345", "\u2003123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse(s)
		if err != nil {
			if c != "" || !errors.Is(err, ErrForm) || err.Error() != ErrForm.Error() {
				t.Errorf("%q: %q, %v", s, c, err)
			}
			return
		}
		digits := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, s)
		if len(c) != Digits || string(c) != digits {
			t.Errorf("%q was read as %q", s, c)
		}
		if again, err := Parse(string(c)); again != c || err != nil {
			t.Errorf("%q was read as %q", c, again)
		}
	})
}

var (
	key    = []byte("a key of the server for this test")
	noon   = time.Unix(1772366400, 0) // a step's first second
	mine   = Prompt{Attempt: [16]byte{1}, Device: [16]byte{2}, Shown: noon.Add(-7 * time.Second)}
	theirs = Prompt{Attempt: [16]byte{9}, Device: [16]byte{2}, Shown: noon.Add(-20 * time.Second)}
	phone  = Device{ID: [16]byte{3}, Secret: []byte("the phone's secret")}
	tablet = Device{ID: [16]byte{4}, Secret: []byte("the tablet's secret")}
)

func TestForAttempt(t *testing.T) {
	first, step, left := ForAttempt(key, mine.Attempt, mine.Device, mine.Shown, mine.Shown)
	if step != 0 || left != Period {
		t.Errorf("the first code is step %d for %s", step, left)
	}
	last, _, left := ForAttempt(key, mine.Attempt, mine.Device, mine.Shown, mine.Shown.Add(Period-time.Second))
	if last != first || left != time.Second {
		t.Errorf("the first code does not last a whole period: %s left", left)
	}
	next, step, left := ForAttempt(key, mine.Attempt, mine.Device, mine.Shown, mine.Shown.Add(Period))
	if next == first || step != 1 || left != Period {
		t.Errorf("after a period: step %d for %s", step, left)
	}
	if early, step, left := ForAttempt(key, mine.Attempt, mine.Device, mine.Shown, mine.Shown.Add(-time.Hour)); early != first || step != 0 || left != Period {
		t.Errorf("before it was shown: step %d for %s", step, left)
	}
	for what, other := range map[string]Code{
		"attempt": at(key, [16]byte{8}, mine.Device),
		"device":  at(key, mine.Attempt, [16]byte{8}),
		"key":     at([]byte("another"), mine.Attempt, mine.Device),
		"swapped": at(key, mine.Device, mine.Attempt),
	} {
		if other == first {
			t.Errorf("the code is not bound to the %s", what)
		}
	}
}

func at(key []byte, attempt, device [16]byte) Code {
	c, _, _ := ForAttempt(key, attempt, device, mine.Shown, mine.Shown)
	return c
}

// shown is the code of a prompt some time after it was allowed.
func shown(p Prompt, after time.Duration) Code {
	c, _, _ := ForAttempt(key, p.Attempt, p.Device, p.Shown, p.Shown.Add(after))
	return c
}

func TestJudge(t *testing.T) {
	now := noon.Add(5 * time.Second)
	step := Step(now)
	used := func(d Device, s int64) Device { d.LastUsedStep = s; return d }
	skewed := func(d Device, by time.Duration) Device { d.Skew, d.SkewKnown = by, true; return d }
	later := mine.Shown.Add(10*Period + 3*time.Second) // three seconds into step 10

	for _, c := range []struct {
		name    string
		code    Code
		now     time.Time
		own     []Prompt
		others  []Prompt
		devices []Device
		want    Verdict
	}{
		{name: "shown now", code: shown(mine, 10*Period), now: later, own: []Prompt{mine},
			want: Verdict{Outcome: Accepted, Device: mine.Device}},
		{name: "shown before", code: shown(mine, 9*Period), now: later, own: []Prompt{mine},
			want: Verdict{Outcome: Accepted, Device: mine.Device}},
		{name: "two steps late", code: shown(mine, 8*Period), now: later, own: []Prompt{mine},
			want: Verdict{Outcome: Late, Device: mine.Device, Late: 3 * time.Second}},
		{name: "the first", code: shown(mine, 0), now: later, own: []Prompt{mine},
			want: Verdict{Outcome: Late, Device: mine.Device, Late: 8*Period + 3*time.Second}},
		{name: "not shown yet", code: shown(mine, 11*Period), now: later, own: []Prompt{mine}},
		{name: "too late to be recognised", code: shown(mine, 0), now: mine.Shown.Add(21 * Period), own: []Prompt{mine}},
		{name: "late as far as is recognised", code: shown(mine, 0), now: mine.Shown.Add(20 * Period), own: []Prompt{mine},
			want: Verdict{Outcome: Late, Device: mine.Device, Late: 18 * Period}},
		{name: "second of two prompts", code: shown(mine, 0), now: now, own: []Prompt{{Attempt: mine.Attempt, Device: [16]byte{7}, Shown: mine.Shown}, mine},
			want: Verdict{Outcome: Accepted, Device: mine.Device}},
		{name: "of another attempt", code: shown(theirs, 0), now: now, own: []Prompt{mine}, others: []Prompt{theirs},
			want: Verdict{Outcome: Elsewhere, Device: theirs.Device}},
		{name: "of another attempt, late", code: shown(theirs, 0), now: theirs.Shown.Add(10 * Period), own: []Prompt{mine}, others: []Prompt{theirs},
			want: Verdict{Outcome: Elsewhere, Device: theirs.Device}},
		{name: "of an attempt nobody allowed", code: shown(theirs, 0), now: now, own: []Prompt{mine}},
		{name: "fits both", code: shown(mine, 0), now: now, own: []Prompt{mine}, others: []Prompt{mine},
			want: Verdict{Outcome: Accepted, Device: mine.Device}},

		{name: "by hand", code: Offline(phone.Secret, now), now: now, devices: []Device{tablet, phone},
			want: Verdict{Outcome: Accepted, Device: phone.ID, Offline: true, Step: step}},
		{name: "by hand, one step late", code: Offline(phone.Secret, now.Add(-Period)), now: now, devices: []Device{phone},
			want: Verdict{Outcome: Accepted, Device: phone.ID, Offline: true, Step: step - 1}},
		{name: "by hand, last used one step ago", code: Offline(phone.Secret, now), now: now, devices: []Device{used(phone, step-1)},
			want: Verdict{Outcome: Accepted, Device: phone.ID, Offline: true, Step: step}},
		{name: "by hand, again", code: Offline(phone.Secret, now), now: now, devices: []Device{used(phone, step)},
			want: Verdict{Outcome: Used, Device: phone.ID, Offline: true, Step: step}},
		{name: "by hand, one before the used one", code: Offline(phone.Secret, now.Add(-Period)), now: now, devices: []Device{used(phone, step)},
			want: Verdict{Outcome: Used, Device: phone.ID, Offline: true, Step: step - 1}},
		{name: "by hand, used long ago", code: Offline(phone.Secret, now.Add(-10*Period)), now: now, devices: []Device{used(phone, step-10)},
			want: Verdict{Outcome: Used, Device: phone.ID, Offline: true, Step: step - 10}},
		{name: "by hand, two steps late", code: Offline(phone.Secret, now.Add(-2*Period)), now: now, devices: []Device{phone},
			want: Verdict{Outcome: Late, Device: phone.ID, Offline: true, Step: step - 2, Late: 5 * time.Second}},
		{name: "by hand, clock ahead", code: Offline(phone.Secret, now.Add(4*Period)), now: now, devices: []Device{phone},
			want: Verdict{Outcome: ClockOff, Device: phone.ID, Offline: true, Step: step + 4, Off: 4 * Period}},
		{name: "by hand, clock one step ahead", code: Offline(phone.Secret, now.Add(Period)), now: now, devices: []Device{phone},
			want: Verdict{Outcome: ClockOff, Device: phone.ID, Offline: true, Step: step + 1, Off: Period}},
		{name: "by hand, clock behind as last seen", code: Offline(phone.Secret, now.Add(-10*Period)), now: now, devices: []Device{skewed(phone, -10*Period-20*time.Second)},
			want: Verdict{Outcome: ClockOff, Device: phone.ID, Offline: true, Step: step - 10, Off: -10 * Period}},
		{name: "by hand, late and the clock right", code: Offline(phone.Secret, now.Add(-10*Period)), now: now, devices: []Device{skewed(phone, time.Second)},
			want: Verdict{Outcome: Late, Device: phone.ID, Offline: true, Step: step - 10, Late: 8*Period + 5*time.Second}},
		{name: "by hand, late and the clock off by something else", code: Offline(phone.Secret, now.Add(-10*Period)), now: now, devices: []Device{skewed(phone, 10*Period)},
			want: Verdict{Outcome: Late, Device: phone.ID, Offline: true, Step: step - 10, Late: 8*Period + 5*time.Second}},
		{name: "by hand, late, the clock never seen", code: Offline(phone.Secret, now.Add(-10*Period)), now: now, devices: []Device{{ID: phone.ID, Secret: phone.Secret, Skew: -10 * Period}},
			want: Verdict{Outcome: Late, Device: phone.ID, Offline: true, Step: step - 10, Late: 8*Period + 5*time.Second}},
		{name: "by hand, late, the clock off by less than a period", code: Offline(phone.Secret, now.Add(-2*Period)), now: now, devices: []Device{skewed(phone, -20*time.Second)},
			want: Verdict{Outcome: Late, Device: phone.ID, Offline: true, Step: step - 2, Late: 5 * time.Second}},
		{name: "by hand, clock half an hour ahead", code: Offline(phone.Secret, now.Add(60*Period)), now: now, devices: []Device{phone},
			want: Verdict{Outcome: ClockOff, Device: phone.ID, Offline: true, Step: step + 60, Off: 60 * Period}},
		{name: "by hand, clock further ahead", code: Offline(phone.Secret, now.Add(61*Period)), now: now, devices: []Device{phone}},
		{name: "by hand, half an hour late", code: Offline(phone.Secret, now.Add(-60*Period)), now: now, devices: []Device{phone},
			want: Verdict{Outcome: Late, Device: phone.ID, Offline: true, Step: step - 60, Late: 58*Period + 5*time.Second}},
		{name: "by hand, of no device", code: Offline([]byte("another"), now), now: now, devices: []Device{phone, tablet}},
		{name: "none", code: "", now: now, own: []Prompt{mine}, devices: []Device{phone}},
		{name: "shorter", code: shown(mine, 0)[:5], now: now, own: []Prompt{mine}},
		{name: "nothing to hold it against", code: "123456", now: now},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Judge(key, c.code, c.now, c.own, c.others, c.devices); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestZeroVerdictAcceptsNothing(t *testing.T) {
	if (Verdict{}).Outcome != Wrong || Wrong == Accepted {
		t.Error("the zero verdict is not a wrong code")
	}
}

// A code shown for an attempt is accepted in its own period and the next, to
// the second, and never before or after.
func TestAcceptedForTwoPeriods(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		made := time.Duration(rapid.Int64Range(0, 900).Draw(r, "made")) * time.Second
		typed := time.Duration(rapid.Int64Range(0, 1000).Draw(r, "typed")) * time.Second
		p := mine
		copy(p.Attempt[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "attempt"))
		v := Judge(key, shown(p, made), p.Shown.Add(typed), []Prompt{p}, nil, nil)
		from, until := made.Truncate(Period), made.Truncate(Period)+2*Period
		// By chance a code can be that of two steps; one of a million is.
		if accepted := v.Outcome == Accepted; accepted != (typed >= from && typed < until) && !repeats(p) {
			r.Fatalf("made at %s, typed at %s: %+v", made, typed, v)
		}
		if v.Outcome == Late && (v.Late < 0 || v.Late != typed-until) && !repeats(p) {
			r.Fatalf("made at %s, typed at %s: late by %s", made, typed, v.Late)
		}
	})
}

// repeats reports whether two of a prompt's codes are the same.
func repeats(p Prompt) bool {
	seen := map[Code]bool{}
	for s := range int64(40) {
		c := AtStep(attemptKey(key, p.Attempt, p.Device), s)
		if seen[c] {
			return true
		}
		seen[c] = true
	}
	return false
}

func TestOfflineAcceptedForTwoPeriods(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		made := rapid.Int64Range(-1800, 1800).Draw(r, "made")
		now := noon.Add(time.Duration(rapid.Int64Range(0, 59).Draw(r, "second")) * time.Second)
		at := now.Add(time.Duration(made) * time.Second)
		v := Judge(key, Offline(phone.Secret, at), now, nil, nil, []Device{phone})
		back := Step(now) - Step(at)
		if (v.Outcome == Accepted) != (back == 0 || back == 1) {
			r.Fatalf("%d steps back: %+v", back, v)
		}
		if v.Outcome == Late && v.Late < 0 || v.Outcome == ClockOff && v.Off != time.Duration(-back)*Period {
			r.Fatalf("%d steps back: %+v", back, v)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	devices := []Device{phone, tablet}
	for b.Loop() {
		Judge(key, "123456", noon, []Prompt{mine, mine}, []Prompt{theirs}, devices)
	}
}
