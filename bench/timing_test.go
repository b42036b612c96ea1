package main

import (
	"math"
	"testing"
	"time"
)

func TestChance(t *testing.T) {
	ds := func(ns ...int) (out []time.Duration) {
		for _, n := range ns {
			out = append(out, time.Duration(n))
		}
		return out
	}
	for name, c := range map[string]struct {
		known, unknown []time.Duration
		want           float64
	}{
		"always longer":   {ds(1, 2, 3), ds(4, 5, 6), 1},
		"always shorter":  {ds(4, 5, 6), ds(1, 2, 3), 0},
		"the same":        {ds(1, 2, 3), ds(1, 2, 3), 0.5},
		"all equal":       {ds(7, 7), ds(7, 7, 7), 0.5},
		"one in between":  {ds(1, 3), ds(2), 0.5},
		"ties count half": {ds(1, 2), ds(2, 3), 0.875},
	} {
		if got := chance(c.known, c.unknown); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Every piece of work goes to an account of the client's own.
func TestNoTwoClientsShareAnAccount(t *testing.T) {
	b := &bench{}
	for range 100 {
		b.people = append(b.people, &person{})
	}
	of := map[*person]int{}
	for who := range atOnce {
		for n := range 50 {
			p := b.mine(who, n)
			if other, taken := of[p]; taken && other != who {
				t.Fatalf("clients %d and %d share an account", who, other)
			}
			of[p] = who
		}
	}
}

func TestRank(t *testing.T) {
	for _, c := range []struct{ n, percent, want int }{{1, 50, 0}, {1, 99, 0}, {4, 50, 1}, {4, 99, 3}, {100, 99, 98}, {101, 99, 99}, {1000, 99, 989}} {
		if got := rank(c.n, c.percent); got != c.want {
			t.Errorf("%d %% of %d values: %d, want %d", c.percent, c.n, got, c.want)
		}
	}
}
