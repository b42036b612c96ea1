package faults

import (
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// notification is what a desktop shows, and the keys of what can be pressed.
type notification struct {
	title, text string
	keys        []string
}

// desktopTime is how long a script waits for a desktop.
const desktopTime = 15 * time.Second

// desktop is the command of scripts:
//
//	desktop start [CAPABILITIES…]   one for all agents that start from now on
//	desktop shows REGEXP [NAME]     waits until "title: text" is like it; (…) becomes $NAME
//	desktop showed REGEXP           there was such a one
//	desktop counts                  waits until a code was shown with less and less time
//	desktop press KEY               a person presses what is offered
//	desktop away                    a person puts all away
//	desktop empty                   waits until nothing is shown
func (w *world) desktopDo(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "start":
		d, err := newDesktop(args[1:]...)
		ts.Check(err)
		ts.Defer(d.end)
		w.desktop = d
		ts.Setenv("DBUS_SESSION_BUS_ADDRESS", d.address())
	case "shows":
		like, err := regexp.Compile(args[1])
		ts.Check(err)
		w.untilShown(ts, args[1], func() bool {
			for _, n := range w.desktop.now() {
				if m := like.FindStringSubmatch(n.title + ": " + n.text); m != nil {
					if len(args) > 2 {
						ts.Setenv(args[2], m[1])
					}
					return true
				}
			}
			return false
		})
	case "showed":
		like, err := regexp.Compile(args[1])
		ts.Check(err)
		w.untilShown(ts, args[1], func() bool {
			for _, n := range w.desktop.ever() {
				if like.MatchString(n.title + ": " + n.text) {
					return true
				}
			}
			return false
		})
	case "counts":
		w.untilShown(ts, "a countdown", func() bool { return countsDown(w.desktop.ever()) })
	case "press":
		ts.Check(w.desktop.press(args[1]))
	case "away":
		ts.Check(w.desktop.away())
	case "empty":
		w.untilShown(ts, "nothing", func() bool { return len(w.desktop.now()) == 0 })
	default:
		ts.Fatalf("desktop start, shows, showed, counts, press, away or empty")
	}
}

// countdown is a code of the moment and the seconds it has left.
var countdown = regexp.MustCompile(`^(\d{6})   (\d+) s$`)

// countsDown reports whether one code was shown three times, each with less time.
func countsDown(all []notification) bool {
	code, left, times := "", 0, 0
	for _, n := range all {
		m := countdown.FindStringSubmatch(n.title)
		if m == nil {
			continue
		}
		seconds, err := strconv.Atoi(m[2])
		switch {
		case err != nil || seconds > 30:
			return false
		case m[1] == code && seconds < left:
			times++
		default:
			times = 1
		}
		if code, left = m[1], seconds; times == 3 {
			return true
		}
	}
	return false
}

func (w *world) untilShown(ts *testscript.TestScript, what string, there func() bool) {
	for begun := time.Now(); time.Since(begun) < desktopTime; time.Sleep(20 * time.Millisecond) {
		if there() {
			return
		}
	}
	ts.Fatalf("the desktop does not show %s; it shows %q, and showed %q", what, w.desktop.now(), w.desktop.ever())
}
