package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"readmit.dev/readmit/store"
)

// TestCloseAccountNamesEveryTable: a table that comes later and is forgotten in
// CloseAccount would keep something of a closed account. Every table with a
// column for an account gets a row of it by hand; afterwards none has one.
func TestCloseAccountNamesEveryTable(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, &faults{})
	id := store.ID{7: 0xee, 15: 0x77}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		return tx.AddSubject(store.Subject{ID: id, Key: store.Key{1}, Identifier: "jane@example.org"})
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables := map[string][]string{} // the columns that can name an account
	rows, err := db.Query("SELECT m.name, p.name, p.type FROM sqlite_master AS m, pragma_table_info(m.name) AS p WHERE m.type = 'table'")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			t.Fatal(err)
		}
		if kind == "BLOB" {
			tables[table] = append(tables[table], column)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(tables) < 12 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	filled := 0
	for table, columns := range tables {
		for _, c := range columns {
			if c == "account" {
				fill(t, db, table, id)
				filled++
			}
		}
	}
	if filled < 12 {
		t.Fatalf("only %d tables have an account", filled)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.CloseAccount(id) }); err != nil {
		t.Fatal(err)
	}
	for table, columns := range tables {
		for _, c := range columns {
			var n int
			if err := db.QueryRow(fmt.Sprintf("SELECT count(*) FROM %s WHERE %s = ?", table, c), id[:]).Scan(&n); err != nil || n > 0 {
				t.Errorf("%d rows of %s name the closed account in %s, %v", n, table, c, err)
			}
		}
	}
}

// fill puts one row of an account into a table, whatever its other columns are.
func fill(t *testing.T, db *sql.DB, table string, account store.ID) {
	t.Helper()
	rows, err := db.Query(fmt.Sprintf("SELECT name, type FROM pragma_table_info('%s')", table))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, marks, values := "", "", []any{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		var v any
		switch {
		case name == "account":
			v = account[:]
		case kind == "BLOB":
			v = []byte("0123456789abcdef")
		case kind == "TEXT":
			v = "text"
		default:
			v = 1
		}
		if len(values) > 0 {
			names, marks = names+", ", marks+", "
		}
		names, marks, values = names+name, marks+"?", append(values, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, names, marks), values...); err != nil {
		t.Fatalf("%s: %v", table, err)
	}
}
