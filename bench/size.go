package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver, by name
)

const (
	// few is the size that the large store is held against.
	few = 1000
	// probed is how many people of the large store sign in, once each, so that
	// no row of theirs is warm. They are made by the API; the rest are copies of
	// one of them under names of their own.
	probed = 5000
	// flat is by how much the large store may be slower than the small one.
	flat = 1.5
	// opened is how many starts of each are timed; the one in the middle counts.
	opened = 5
)

// sized is a store of one size, and what is measured of it.
type sized struct {
	data    string
	people  []*person
	bytes   float64   // an account's share of the database
	starts  []float64 // ms each
	signIns []float64 // ms each
}

// partSize holds a store of very many accounts against one of few. Both are
// measured in turn, so that what else the machine does is in both figures.
func (b *bench) partSize() error {
	small, err := b.sized("few", few, few)
	if err != nil {
		return err
	}
	defer os.RemoveAll(small.data)
	large, err := b.sized("many", probed, b.size)
	if err != nil {
		return err
	}
	defer os.RemoveAll(large.data)
	both := []*sized{small, large}
	for range opened {
		for _, one := range both {
			s, took, err := launch(b.binary, one.data, b.cores)
			if err != nil {
				return err
			}
			if err := s.stop(); err != nil {
				return err
			}
			one.starts = append(one.starts, ms(took))
		}
	}
	if err := b.inTurn(both); err != nil {
		return err
	}
	for _, one := range both {
		slices.Sort(one.starts)
		slices.Sort(one.signIns)
	}
	at := func(all []float64, percent int) float64 { return all[(len(all)-1)*percent/100] }
	many := fmt.Sprintf("%d accounts", b.size)
	b.below(many+": a sign-in, 99 %, against "+fmt.Sprint(few), flat, at(large.signIns, 99)/at(small.signIns, 99), "times",
		fmt.Sprintf("%.1f ms and %.1f ms, in the middle %.1f ms and %.1f ms; one at a time, in turn", at(large.signIns, 99), at(small.signIns, 99), at(large.signIns, 50), at(small.signIns, 50)))
	b.below(many+": start, against "+fmt.Sprint(few), flat, at(large.starts, 50)/at(small.starts, 50), "times",
		fmt.Sprintf("%.0f ms and %.0f ms, the one in the middle of %d in turn", at(large.starts, 50), at(small.starts, 50), opened))
	b.rows = append(b.rows, row{
		What: many + ": bytes an account", Wanted: "said", Measured: large.bytes, Unit: "B", Good: true,
		Note: "with one device, one session and what a sign-up leaves in the ledger; rows added in the order of their keys",
	})
	return nil
}

// sized makes a store with real people and copies of them.
func (b *bench) sized(name string, real, all int) (out *sized, err error) {
	out = &sized{data: filepath.Join(b.data, name)}
	defer func() {
		if err != nil {
			os.RemoveAll(out.data)
		}
	}()
	s, _, err := launch(b.binary, out.data, b.cores)
	if err != nil {
		return out, err
	}
	fmt.Fprintf(b.log, "bench: %s: %d people sign up\n", name, real)
	out.people, err = signUps(s.address, real)
	if err := errors.Join(err, s.stop()); err != nil {
		return out, err
	}
	if all <= real {
		return out, nil
	}
	before, err := weight(out.data)
	if err != nil {
		return out, err
	}
	if err := b.copies(out.data, all-real); err != nil {
		return out, err
	}
	after, err := weight(out.data)
	out.bytes = float64(after-before) / float64(all-real)
	return out, err
}

// inTurn times sign-ins at each store, one at a time, now at one and now at the
// other.
func (b *bench) inTurn(stores []*sized) error {
	conns := make([]*conn, len(stores))
	for i, one := range stores {
		s, _, err := launch(b.binary, one.data, b.cores)
		if err != nil {
			return err
		}
		defer s.stop()
		if conns[i], err = dial(s.address); err != nil {
			return err
		}
		defer conns[i].close()
	}
	for n := range probed {
		for i := range stores {
			i = (i + n) % len(stores) // neither is always the second
			p := stores[i].people[n%len(stores[i].people)]
			began := time.Now()
			if err := p.signIn(conns[i]); err != nil {
				return err
			}
			stores[i].signIns = append(stores[i].signIns, ms(time.Since(began)))
		}
	}
	return nil
}

// weight is the size of a database whose server has stopped.
func weight(data string) (int64, error) {
	info, err := os.Stat(filepath.Join(data, "readmit.db"))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// copies adds accounts that are as one of those there is, but for what names
// them. It writes to the database from outside, while the server is stopped.
func (b *bench) copies(data string, n int) (err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(data, "readmit.db"))+"?_pragma=synchronous(OFF)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // the names below are this connection's own
	var one []byte
	if err := db.QueryRow("SELECT id FROM subjects WHERE ghost = 0 LIMIT 1").Scan(&one); err != nil {
		return err
	}
	// In the order of their keys: each table is written once from front to back.
	if _, err := db.Exec(`CREATE TEMP TABLE names (id BLOB PRIMARY KEY, other BLOB, lookup BLOB) WITHOUT ROWID`); err != nil {
		return err
	}
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO names SELECT randomblob(16), randomblob(16), randomblob(32) FROM n`, n)
	if err != nil {
		return err
	}
	for _, t := range []struct{ table, where, anew string }{
		{"subjects", "id", "id=names.id, lookup=names.lookup, identifier='copy-' || hex(names.id) || '@example.org'"},
		{"devices", "account", "account=names.id"},
		{"sessions", "account", "account=names.id, id=names.other"},
		{"ledger", "account", "account=names.id"},
	} {
		fmt.Fprintf(b.log, "bench: %d copies in %s\n", n, t.table)
		columns, err := columnsOf(db, t.table, t.anew)
		if err != nil {
			return err
		}
		statement := fmt.Sprintf("INSERT INTO %s SELECT %s FROM names CROSS JOIN %s AS t WHERE t.%s = ?", t.table, columns, t.table, t.where)
		if _, err := db.Exec(statement, one); err != nil {
			return fmt.Errorf("%s: %w", t.table, err)
		}
	}
	return nil
}

// columnsOf lists a table's columns in their order, as they are or as anew
// says, which is a list of column=expression.
func columnsOf(db *sql.DB, table, anew string) (string, error) {
	rows, err := db.Query("SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		expression := "t." + name
		for said := range strings.SplitSeq(anew, ", ") {
			if column, by, _ := strings.Cut(said, "="); column == name {
				expression = by
			}
		}
		all = append(all, expression)
	}
	return strings.Join(all, ", "), rows.Err()
}
