package server_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/store"
)

// rows counts the rows of each table of the database. The server is stopped
// for that, and started again.
func (w *world) rows() map[string]int {
	w.t.Helper()
	w.follow()
	must(w.t, w.store.Close())
	defer w.start()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "readmit.db"))
	must(w.t, err)
	defer db.Close()
	names, err := db.Query("SELECT name FROM sqlite_master WHERE type = 'table'")
	must(w.t, err)
	defer names.Close()
	count := map[string]int{}
	for names.Next() {
		var name string
		must(w.t, names.Scan(&name))
		count[name] = 0
	}
	must(w.t, names.Err())
	for name := range count {
		var n int
		must(w.t, db.QueryRow(`SELECT count(*) FROM "`+name+`"`).Scan(&n))
		count[name] = n
	}
	return count
}

// flood lets n strangers, each with a key of its own, fail at the account, 64
// at a time. Where account is empty, each has another account in mind.
func (w *world) flood(n int, account string) {
	var wait sync.WaitGroup
	turn := make(chan int)
	for range 64 {
		wait.Go(func() {
			for i := range turn {
				at := account
				if at == "" {
					at = fmt.Sprintf("nobody-%d@example.org", i)
				}
				w.machine("stranger").guess(at)
			}
		})
	}
	for i := range n {
		turn <- i
	}
	close(turn)
	wait.Wait()
}

// guess is fail among so many that the attempt's line may have given way to
// newer ones before it was finished.
func (m *machine) guess(account string) {
	m.w.t.Helper()
	try, p := m.start(account, "a wrong one")
	if p != nil {
		m.w.t.Errorf("start: %v", p)
		return
	}
	if _, p := try.finishWith(opaque.DecoyKE3()); codeOf(p) != api.Failed && codeOf(p) != api.NotPossible {
		m.w.t.Errorf("finish: %v", p)
	}
}

// TestOwnerAmongStrangers: while 1,000 strangers fail at the account, each
// sign-in and refresh of its enrolled device succeeds; and all of it leaves no
// more behind than the account's share.
func TestOwnerAmongStrangers(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.warm(jane)
	rows := w.rows()

	over := make(chan struct{})
	var took []time.Duration
	var owner sync.WaitGroup
	owner.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			began := time.Now()
			signInWarm(t, laptop)
			wantCode(t, "refresh", laptop.refresh(), 0)
			took = append(took, time.Since(began))
		}
	})
	began := time.Now()
	w.flood(1000, jane)
	all := time.Since(began)
	close(over)
	owner.Wait()
	slices.Sort(took)
	if len(took) < 10 {
		t.Fatalf("in %v of attack the owner signed in %d times", all, len(took))
	}
	t.Logf("%d strangers in %v; the owner signed in and refreshed %d times: median %v, longest %v", 1000, all, len(took), took[len(took)/2], took[len(took)-1])

	after := w.rows()
	// Each sign-in of the owner leaves its session, for as long as it can explain
	// something; strangers fill one ring of the account's ledger, the owner another.
	for table, n := range after {
		most := rows[table]
		switch table {
		case "ledger":
			most += 2 * store.RingSize
		case "sessions":
			most += len(took)
		}
		if n > most {
			t.Errorf("%s: %d rows, before the attack %d, want at most %d", table, n, rows[table], most)
		}
	}
	w.flood(200, jane)
	again := w.rows()
	for table, n := range again {
		if n > after[table] {
			t.Errorf("%s: a further attack made %d rows of %d", table, n, after[table])
		}
	}
	if n := len(w.activity(jane)); n > int(store.Rings)*store.RingSize {
		t.Errorf("the ledger has %d lines", n)
	}
	var list api.Activities
	wantCode(t, "activity", laptop.call(api.PathActivity, laptop.signed(), &list), 0)
	if !slices.ContainsFunc(list.Activity, func(a api.Activity) bool { return a.What == "account made" }) {
		t.Error("the strangers pushed the account's own history out of its ledger")
	}
}

// TestStrangersAtUnknownAccounts: identifiers without an account share a fixed
// number of stand-ins.
func TestStrangersAtUnknownAccounts(t *testing.T) {
	w := newWorld(t)
	before := w.rows()
	w.flood(1000, "")
	for table, n := range w.rows() {
		most := before[table]
		switch table {
		case "ledger":
			most += 1000 // of Ghosts times RingSize at most
		case "lanes":
			most += 1000 // of Lanes at most
		}
		if n > most {
			t.Errorf("%s: %d rows, before %d", table, n, before[table])
		}
	}
	if n := before["ledger"]; n != 0 {
		t.Errorf("a new server has %d lines in its ledger", n)
	}
}
