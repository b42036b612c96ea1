package verify

import (
	"sync"
	"time"
)

// clock is the account server's, as far as it is known here: tokens begin and
// end by it. It is read from the answers' Date (RFC 9110 §6.6.1). Between two
// answers it goes by the faster of the wall's clock and the monotonic one, so
// that neither a clock set back nor a machine asleep lets a token live longer.
type clock struct {
	wall func() time.Time // without a monotonic part
	mono func() time.Duration

	mu     sync.Mutex
	server time.Time // at the anchor
	atWall time.Time
	atMono time.Duration
	off    time.Duration // this machine's clock, ahead of the server's
}

// unnoticed is how far the two clocks may be apart before this one is held to
// be wrong. A Date has whole seconds.
const unnoticed = 2 * time.Second

func newClock() *clock {
	began := time.Now()
	return &clock{
		wall: func() time.Time { return time.Now().Round(0) },
		mono: func() time.Duration { return time.Since(began) },
	}
}

// now is the account server's time.
func (c *clock) now() time.Time {
	wall, mono := c.wall(), c.mono()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.IsZero() {
		return wall
	}
	return c.server.Add(max(wall.Sub(c.atWall), mono-c.atMono))
}

// moment is a time on both of this machine's clocks.
type moment struct {
	wall time.Time
	mono time.Duration
}

func (c *clock) moment() moment { return moment{c.wall(), c.mono()} }

func (m moment) never() bool { return m == moment{} }

// since is how long ago a moment was, by the clock that says the most: the
// monotonic one stands still while a machine sleeps, and the wall's can be set
// back.
func (c *clock) since(m moment) time.Duration {
	now := c.moment()
	return max(now.wall.Sub(m.wall), now.mono-m.mono)
}

// set takes a Date in that came with the answer to a question asked at began.
// When it was written between the two is not known, and the answer may have
// waited in a process that was stopped; so a Date says at the least how late it
// is, and corrects only a clock that it contradicts.
func (c *clock) set(date time.Time, began moment) {
	now, at := c.now(), c.moment()
	took := max(at.wall.Sub(began.wall), at.mono-began.mono)
	from, to := date.Add(-unnoticed), date.Add(time.Second+took+unnoticed)
	within := func(t time.Time) bool { return !t.Before(from) && !t.After(to) }
	c.mu.Lock()
	defer c.mu.Unlock()
	server, off := at.wall, time.Duration(0)
	switch precise := took <= time.Second; {
	case within(at.wall) && (precise || c.off == 0):
	case within(now) && !precise:
		return
	default:
		// The latest that it can be: no token lives longer for it.
		server = date.Add(time.Second + took)
		off = at.wall.Sub(server)
	}
	c.server, c.atWall, c.atMono, c.off = server, at.wall, at.mono, off
}

// ahead is how far this machine's clock is ahead of the account server's; zero
// when they agree within what can be told.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}
