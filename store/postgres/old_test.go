package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"readmit.dev/readmit/store"
)

// TestOldIsFoundByIndex: what is deleted for its age is never looked for from
// end to end, in as many rows as may be.
func TestOldIsFoundByIndex(t *testing.T) {
	c := empty(t)
	s := openIn(t, c)
	db, err := pgx.ConnectConfig(t.Context(), s.config)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	for _, q := range []string{
		"SET enable_seqscan = off", "SET jit = off", "SET plan_cache_mode = force_generic_plan",
		"INSERT INTO sessions SELECT decode(md5(i::text),'hex'), '\\x01', '\\x01', i, i, CASE WHEN i % 2 = 0 THEN i ELSE 0 END, '\\x01', '' FROM generate_series(1,20000) i",
		"INSERT INTO signals SELECT i, decode(md5(i::text),'hex'), '\\x01', i, '', '' FROM generate_series(1,20000) i",
		"INSERT INTO receipts SELECT decode(md5(i::text),'hex'), '\\x01', '\\x01', i, '', i, i, 0, i, 0, '' FROM generate_series(1,20000) i",
		"ANALYZE",
	} {
		if _, err := db.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("../queries.sql")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, q := range strings.Split(string(text), "-- name: ")[1:] {
		name, body, _ := strings.Cut(q, "\n")
		name, kind, _ := strings.Cut(name, " :")
		if !strings.HasPrefix(name, "Old") && !strings.HasPrefix(name, "Trim") {
			continue
		}
		looked++
		body = strings.TrimSuffix(strings.TrimSpace(body), ";")
		for i, p := range regexp.MustCompile(`@\w+`).FindAllString(body, -1) {
			body = strings.Replace(body, p, fmt.Sprint("$", i+1), 1)
		}
		list, err := db.Query(t.Context(), "PREPARE "+name+" AS "+body)
		if err != nil {
			t.Fatal(err)
		}
		list.Close()
		nulls := strings.TrimSuffix(strings.Repeat("NULL, ", strings.Count(body, "$")), ", ")
		list, err = db.Query(t.Context(), "EXPLAIN EXECUTE "+name+"("+nulls+")")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(list, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		sorts := kind == "many" && strings.Contains(plan, "Sort")
		if strings.Contains(plan, "Seq Scan") || sorts || strings.Count(plan, "Index Cond:") != 1 || strings.Contains(plan, "Filter:") {
			t.Errorf("%s looks through a whole table:\n%s", name, plan)
		}
	}
	if looked != 22 {
		t.Errorf("%d queries were looked at, want 22", looked)
	}
}

// TestFromTheSchemaBefore: a database of schema 4 with data, on which a node of
// that version may still be at work, gets the present one, also where the step
// was cut off before.
func TestFromTheSchemaBefore(t *testing.T) {
	name, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(server.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), schema-1); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "INSERT INTO subjects VALUES ('\\x01010101010101010101010101010101', decode(md5('a')||md5('b'),'hex'), 0, 'jane@example.org', '\\x02', '', 4, 5, 0, 0, '\\x00000000000000000000000000000000')")
	exec(t, db, "INSERT INTO sessions SELECT decode(md5(i::text),'hex'), '\\x01010101010101010101010101010101', '\\x01010101010101010101010101010101', i, i, i % 2, '\\x01010101010101010101010101010101', '' FROM generate_series(1,1000) i")
	exec(t, db, "CREATE INDEX sessions_ended ON sessions (created)") // the remains of a step that was cut off
	busy, err := db.BeginTx(t.Context(), nil)                        // as a node of that version, in the middle of a change
	if err != nil {
		t.Fatal(err)
	}
	if _, err := busy.Exec("UPDATE subjects SET epoch = epoch + 1"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		time.Sleep(300 * time.Millisecond)
		ended <- busy.Commit()
	}()
	s := openIn(t, Config{Address: server.URL(name)})
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if at, err := s.look(t.Context()); err != nil || at.schema != schema {
		t.Fatalf("schema %d (%v), want %d", at.schema, err, schema)
	}
	var right int
	if err := db.QueryRow("SELECT count(*) FROM pg_indexes JOIN pg_class ON relname = indexname JOIN pg_index ON indexrelid = pg_class.oid WHERE indexname = 'sessions_ended' AND indexdef LIKE '%(ended)%' AND indisvalid").Scan(&right); err != nil || right != 1 {
		t.Errorf("the index that was not whole: %d, %v", right, err)
	}
	if err := store.Trim(t.Context(), s, time.UnixMicro(2)); err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(tx store.Tx) error {
		id := store.ID{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
		a, err := tx.Subject(id)
		if err != nil {
			return err
		}
		left, err := tx.Sessions(id)
		if err == nil && (a.Epoch != 5 || a.Identifier != "jane@example.org" || len(left) != 500) {
			t.Errorf("%+v with %d sessions, want those that live", a, len(left))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, db *sql.DB, q string) {
	t.Helper()
	if _, err := db.Exec(q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}
