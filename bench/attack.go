package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"readmit.dev/readmit/api"
)

const (
	// attackers is how many strangers fail at one account, each on a connection
	// and with a key of its own.
	attackers = 1000
	// ownerTries is how often the owner signs in and refreshes meanwhile.
	ownerTries = 100
)

// ownerTimes are how long the owner's enrolled device waits, in the middle and
// at the worst.
type ownerTimes struct{ signIn, worstSignIn, refresh, worstRefresh time.Duration }

// partAttack has 1,000 strangers fail at one account as fast as they are
// answered, while its enrolled device signs in and refreshes.
func (b *bench) partAttack() error {
	victim := b.people[0]
	quiet, err := b.owner(victim)
	if err != nil {
		return err
	}
	f, err := newFleet(b.server.address, attackers)
	if err != nil {
		return err
	}
	defer f.close()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	failures := int64(0)
	go func() {
		n, err := f.run(ctx, func(c *conn, who, _ int) error { return attack(c, b.strangers[who], victim.id, b.ke1) })
		failures = n
		ended <- err
	}()
	time.Sleep(2 * time.Second) // until all are at it
	attacked, err := b.owner(victim)
	stop()
	if ended := <-ended; err == nil {
		err = ended
	}
	if err != nil {
		return err
	}
	for _, r := range []struct {
		what         string
		quiet, under time.Duration
		worst        time.Duration
	}{
		{"owner's sign-in while 1,000 strangers fail", quiet.signIn, attacked.signIn, attacked.worstSignIn},
		{"owner's refresh while 1,000 strangers fail", quiet.refresh, attacked.refresh, attacked.worstRefresh},
	} {
		b.rows = append(b.rows, row{
			What: r.what, Wanted: fmt.Sprintf("all of %d succeed", ownerTries), Measured: ms(r.under), Unit: "ms", Good: true,
			Note: fmt.Sprintf("median; worst %.0f ms; without strangers %.1f ms; %d failures meanwhile", ms(r.worst), ms(r.quiet), failures),
		})
	}
	return nil
}

// owner signs in and refreshes one after the other; that each succeeds is the point.
func (b *bench) owner(p *person) (ownerTimes, error) {
	c, err := dial(b.server.address)
	if err != nil {
		return ownerTimes{}, err
	}
	defer c.close()
	var signIns, refreshes []time.Duration
	for range ownerTries {
		began := time.Now()
		if err := p.signIn(c); err != nil {
			return ownerTimes{}, fmt.Errorf("the owner's sign-in: %w", err)
		}
		between := time.Now()
		if err := p.refresh(c); err != nil {
			return ownerTimes{}, fmt.Errorf("the owner's refresh: %w", err)
		}
		signIns, refreshes = append(signIns, between.Sub(began)), append(refreshes, time.Since(between))
	}
	slices.Sort(signIns)
	slices.Sort(refreshes)
	const middle, last = ownerTries / 2, ownerTries - 1
	return ownerTimes{signIns[middle], signIns[last], refreshes[middle], refreshes[last]}, nil
}

// attack is a stranger's wrong password. What it is answered does not matter:
// so many at one account push each other out of its ledger.
func attack(c *conn, k *key, account string, ke1 []byte) error {
	body, err := start(account, ke1)
	if err != nil {
		return err
	}
	status, answer, err := c.post(k, api.PathSignInStart, body)
	if err != nil || status != 200 {
		return err
	}
	state, _, err := started(status, answer)
	if err != nil {
		return err
	}
	if body, err = finish(state); err != nil {
		return err
	}
	_, _, err = c.post(k, api.PathSignInFinish, body)
	return err
}
