package desk

import (
	"errors"
	"sync"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

const (
	// callBurst and callEvery limit what one agent asks about accounts at one
	// node, found or not: the desk could otherwise try lists of names.
	callBurst = 60
	callEvery = 10 * time.Second
	// lookedUpOnce is how long one line says that an agent looks an account up.
	lookedUpOnce = time.Hour
	// looksADay and actsADay are how many lines one agent leaves at one account in
	// a day: looks, and acts of one kind. The owner's ledger is bounded, and who is
	// written down in it must not be able to push out what was written before.
	looksADay = 16
	actsADay  = 6
	day       = 24 * time.Hour
)

// ErrOften: one agent does too much.
var ErrOften = errors.New("one agent does no more of this now: wait, or let another agent do it")

// limiter slows the calls of agents. There are few: who is none never gets here.
type limiter struct {
	mu   sync.Mutex
	free map[store.ID]time.Time // when all of an agent's calls are free again
}

func (l *limiter) allow(agent store.ID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil {
		l.free = map[store.ID]time.Time{}
	}
	free := l.free[agent]
	if most := now.Add(callBurst * callEvery); free.After(most) { // the clock was set back
		free = most
	}
	if free.Before(now) {
		free = now
	}
	if free.Add(callEvery).After(now.Add(callBurst * callEvery)) {
		return false
	}
	l.free[agent] = free.Add(callEvery)
	return true
}

// Looked counts the looks of the owner's ledger that are of the same agent as a
// line, and those that say the same thing of the same incident.
func Looked(tx store.Tx, line incident.Content, since time.Time) (all, same int, err error) {
	entries, err := tx.Ledger(line.Account)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		if e.Ring != store.RingLooks || e.At.Before(since) {
			continue
		}
		l, err := incident.Read(e)
		if err != nil {
			return 0, 0, err
		}
		if l.Audience != cause.Desk.String() || l.Device != line.Device {
			continue
		}
		all++
		if l.What == line.What && l.About == line.About {
			same++
		}
	}
	return all, same, nil
}

// Look writes an agent's look down, or returns ErrOften.
func (s *Service) Look(tx store.Tx, a *store.Subject, line incident.Content) error {
	all, _, err := Looked(tx, line, line.At.Add(-day))
	if err != nil {
		return err
	}
	if all >= looksADay {
		return ErrOften
	}
	return incident.Record(tx, a, store.RingLooks, line)
}

// often returns ErrOften where an agent has done enough of one kind at an account.
func (s *Service) often(tx store.Tx, account store.ID, kind string, actor session.Actor) error {
	all, err := tx.DeskActs(account)
	if err != nil {
		return err
	}
	n := 0
	for _, d := range all {
		if d.AskedBy == actor.Account.ID && d.Kind == kind && s.Gate.Now().Sub(d.Asked) < day {
			n++
		}
	}
	if n >= actsADay {
		return ErrOften
	}
	return nil
}
