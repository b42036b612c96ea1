package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

// A plan is made once for a connection, often while the table is empty, and
// kept: so it must be the right one for millions of rows without anything being
// known of them.
func TestPlansMadeOfNothing(t *testing.T) {
	s := openIn(t, empty(t))
	ctx, now := t.Context(), time.Now()
	var of store.ID
	err := s.Mark(ctx, func(tx store.Tx) error {
		return errors.Join(tx.Deliver(of, of, now, ""), tx.Apply(of, of, now, now), tx.PutOff(of, of, now, ""))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.View(ctx, func(tx store.Tx) error {
		_, due := tx.DueReceipts(of, now, 9)
		_, one := tx.ReceiptsOf(of, 1, 9)
		_, first := tx.FirstWaiting(of, of)
		if errors.Is(first, store.ErrNotFound) {
			first = nil
		}
		_, oldest := tx.LongestWaiting(of)
		if errors.Is(oldest, store.ErrNotFound) {
			oldest = nil
		}
		_, applied := tx.LastApplied(of, now, 9)
		return errors.Join(due, one, first, oldest, applied)
	}); err != nil {
		t.Fatal(err)
	}
	plans := map[string][]string{ // what each must say
		"Deliver":        {"receipts_pkey", "((signal = $3) AND (service = $4))"},
		"Apply":          {"receipts_pkey", "((signal = $2) AND (service = $3))"},
		"PutOff":         {"receipts_pkey", "((signal = $3) AND (service = $4))"},
		"DueReceipts":    {"receipts_next", "((service = $1) AND (next <= $2))", "receipts_first", "((service = r.service) AND (account = r.account))", "signals_pkey"},
		"ReceiptsOf":     {"receipts_of_account", "(account = $1)"},
		"LongestWaiting": {"Index Cond: (service = $1)"},
		"LastApplied":    {"Index Only Scan Backward using signals_pkey", "(at <= $2)", "receipts_pkey", "((signal = signals.id) AND (service = $1))"},
		"FirstWaiting":   {"receipts_first", "((service = $1) AND (account = $2))"},
	}
	c, err := s.db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Raw(func(raw any) error {
		pg := raw.(*conn).pg
		for text, known := range s.statements.known {
			want, ok := plans[known.name]
			if !ok {
				continue
			}
			delete(plans, known.name)
			if _, err := pg.Exec(ctx, "PREPARE of_"+known.name+" AS "+text); err != nil {
				return err
			}
			var lines []string
			list, err := pg.Query(ctx, fmt.Sprintf("EXPLAIN (COSTS OFF) EXECUTE of_%s(%s)", known.name, nulls(text)))
			if err != nil {
				return err
			}
			for list.Next() {
				var line string
				if err := list.Scan(&line); err != nil {
					return err
				}
				lines = append(lines, line)
			}
			if err := list.Err(); err != nil {
				return err
			}
			for _, part := range want {
				if !strings.Contains(strings.Join(lines, "\n"), part) {
					t.Errorf("%s is not run by %s:\n%s", known.name, part, strings.Join(lines, "\n"))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range plans {
		t.Errorf("%s was not run", name)
	}
}

// nulls is an argument for each parameter.
func nulls(text string) string {
	n := 1
	for strings.Contains(text, fmt.Sprint("$", n)) {
		n++
	}
	return strings.TrimSuffix(strings.Repeat("NULL, ", n-1), ", ")
}
