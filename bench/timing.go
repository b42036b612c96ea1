package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
)

// took is how long the two calls of one failed sign-in took.
type took struct{ start, finish time.Duration }

// timing is the chance that one time tells a known account from an unknown one.
type timing struct{ start, finish, sum float64 }

// worst is the chance that is furthest from a coin's.
func (t timing) worst() float64 {
	return slices.MaxFunc([]float64{t.start, t.finish, t.sum}, func(a, b float64) int { return cmp.Compare(off(a), off(b)) })
}

func off(chance float64) float64 { return max(chance-0.5, 0.5-chance) }

// timings fails to sign in to known and unknown accounts in turns, in random
// order within each pair, one after the other on one connection.
func (b *bench) timings(label string) (timing, error) {
	c, err := dial(b.server.address)
	if err != nil {
		return timing{}, err
	}
	defer c.close()
	known, unknown := make([]took, 0, b.pairs), make([]took, 0, b.pairs)
	for n := -20; n < b.pairs; n++ {
		pair := []string{
			b.people[(n+len(b.people))%len(b.people)].id,
			fmt.Sprintf("nobody-%s-%06d@example.org", label, n+20),
		}
		order := []int{0, 1}
		if rand.IntN(2) == 1 {
			order = []int{1, 0}
		}
		for _, i := range order {
			t, err := timed(c, pair[i])
			switch {
			case err != nil:
				return timing{}, err
			case n < 0: // the first ones warm connection and caches
			case i == 0:
				known = append(known, t)
			default:
				unknown = append(unknown, t)
			}
		}
	}
	of := func(part func(took) time.Duration) float64 { return chance(mapped(known, part), mapped(unknown, part)) }
	return timing{
		start:  of(func(t took) time.Duration { return t.start }),
		finish: of(func(t took) time.Duration { return t.finish }),
		sum:    of(func(t took) time.Duration { return t.start + t.finish }),
	}, nil
}

// timed is one failed sign-in with a key and a first message of its own. Only
// the exchanges are timed: what the client works out is out of the way before.
func timed(c *conn, account string) (took, error) {
	var t took
	k, err := newKey()
	if err != nil {
		return t, err
	}
	_, ke1, err := opaque.StartLogin([]byte("not the password"))
	if err != nil {
		return t, err
	}
	body, err := start(account, ke1)
	if err != nil {
		return t, err
	}
	answer, status, d, err := timedCall(c, k, api.PathSignInStart, body)
	if err != nil {
		return t, err
	}
	t.start = d
	state, _, err := started(status, answer)
	if err != nil {
		return t, err
	}
	if body, err = finish(state); err != nil {
		return t, err
	}
	answer, status, d, err = timedCall(c, k, api.PathSignInFinish, body)
	if err != nil {
		return t, err
	}
	t.finish = d
	return t, isRefusal(status, answer)
}

func timedCall(c *conn, k *key, path string, body []byte) ([]byte, int, time.Duration, error) {
	if err := c.prepare(k, path, body); err != nil {
		return nil, 0, 0, err
	}
	began := time.Now()
	status, answer, err := c.exchange()
	return answer, status, time.Since(began), err
}

func mapped(list []took, part func(took) time.Duration) []time.Duration {
	out := make([]time.Duration, len(list))
	for i, t := range list {
		out[i] = part(t)
	}
	return out
}

// chance is P(unknown > known) + P(unknown = known)/2 over all pairs of one of
// each: the area under the curve of who guesses by one time. It is counted by
// ranks, equal times sharing theirs.
func chance(known, unknown []time.Duration) float64 {
	type mark struct {
		d       time.Duration
		unknown bool
	}
	all := make([]mark, 0, len(known)+len(unknown))
	for _, d := range known {
		all = append(all, mark{d, false})
	}
	for _, d := range unknown {
		all = append(all, mark{d, true})
	}
	slices.SortFunc(all, func(a, b mark) int { return cmp.Compare(a.d, b.d) })
	ranks := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		shared := float64(i+1+j) / 2 // of ranks i+1 to j
		for ; i < j; i++ {
			if all[i].unknown {
				ranks += shared
			}
		}
	}
	n, m := float64(len(unknown)), float64(len(known))
	return (ranks - n*(n+1)/2) / (n * m)
}

// underLoad measures timings while others sign in.
func (b *bench) underLoad(label string) (timing, error) {
	f, err := newFleet(b.server.address, atOnce)
	if err != nil {
		return timing{}, err
	}
	defer f.close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := f.run(ctx, b.signIns)
		ended <- err
	}()
	t, err := b.timings(label)
	cancel()
	if lerr := <-ended; err == nil {
		err = lerr
	}
	return t, err
}
