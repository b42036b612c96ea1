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

// set anchors the clock to a Date that was read just now.
func (c *clock) set(date time.Time) {
	wall, mono := c.wall(), c.mono()
	server := date.Add(time.Second / 2)
	off := wall.Sub(server)
	if off.Abs() <= unnoticed {
		server, off = wall, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server, c.atWall, c.atMono, c.off = server, wall, mono, off
}

// ahead is how far this machine's clock is ahead of the account server's; zero
// when they agree within what can be told.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}
