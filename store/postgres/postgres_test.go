package postgres

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/postgres/pgtest"
	"readmit.dev/readmit/store/storetest"
)

// server is the cluster of this package's tests; template a database with the
// schema and nothing in it.
var (
	server   *pgtest.Cluster
	template string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if server, err = pgtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	if template, err = server.Database(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s, err := Open(context.Background(), Config{Address: server.URL(template)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(goleak.IgnoreTopFunction("os/exec.(*Cmd).Wait"), goleak.IgnoreTopFunction("syscall.Syscall6"), goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// empty is a database of its own for a test.
func empty(t testing.TB) Config {
	t.Helper()
	name, err := server.Copy(template)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Address: server.URL(name)}
}

// openIn opens a store that is closed when the test ends.
func openIn(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func() store.Store) {
		c := empty(t)
		s := openIn(t, c)
		return s, func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			s = openIn(t, c)
			return s
		}
	})
}
