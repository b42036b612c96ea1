package sqlite

import (
	"testing"

	"go.uber.org/goleak"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func() store.Store) {
		dir := t.TempDir()
		s := openIn(t, dir)
		return s, func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			s = openIn(t, dir)
			return s
		}
	})
}

// openIn opens a store that is closed when the test ends.
func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
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
