package keys_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/postgres"
	"readmit.dev/readmit/store/postgres/pgtest"
)

// Nodes that start together make each key once; and when one of them makes a
// new one, no node meets what it cannot open or verify.
func TestNodesShareKeys(t *testing.T) {
	pg, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Stop()
	name, err := pg.Database()
	if err != nil {
		t.Fatal(err)
	}
	const nodes = 5
	c := newClock()
	master := make([]byte, 32)
	var stores [nodes]store.Store
	for i := range stores {
		s, err := postgres.Open(t.Context(), postgres.Config{Address: pg.URL(name), Connections: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	var rings [nodes]*keys.Ring
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			r, err := keys.OpenShared(t.Context(), stores[i], master, c.now)
			if err != nil {
				t.Error(err)
			}
			rings[i] = r
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	count := map[string]int{}
	err = stores[0].View(t.Context(), func(tx store.Tx) error {
		clear(count)
		list, err := tx.Keys()
		for _, k := range list {
			count[k.Purpose]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for purpose, n := range count {
		if n != 1 {
			t.Errorf("%d keys for %s", n, purpose)
		}
	}
	everywhere := func(what string, sealed []byte, except int) {
		t.Helper()
		for i, r := range rings {
			if i != except && !opens(t, r, "x", sealed, "hello") {
				t.Errorf("%s: node %d cannot open it", what, i)
			}
		}
	}
	for _, r := range rings {
		if r.Nonce() != rings[0].Nonce() || r.Lookup("a") != rings[0].Lookup("a") || r.Signing()[0].ID != rings[0].Signing()[0].ID {
			t.Fatal("nodes have different keys")
		}
		everywhere("at first", seal(t, r, "x", "hello"), -1)
	}

	c.at = c.at.Add(keys.RotateAfter)
	old := rings[0].Signing()[0].ID
	if err := rings[0].Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The others have not read of it yet.
	everywhere("at once", seal(t, rings[0], "x", "hello"), -1)
	if all := rings[0].Signing(); len(all) != 2 || all[1].ID != old {
		t.Error("a new key signs before others know it")
	}
	for _, r := range rings {
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.at = c.at.Add(keys.SettleFor)
	for _, r := range rings[:2] {
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := r.Signing(); len(all) != 2 || all[1].ID == old {
			t.Error("the new key does not sign after its time")
		}
	}
	everywhere("by the new key", seal(t, rings[1], "x", "hello"), -1)
	everywhere("by the old key", seal(t, rings[4], "x", "hello"), -1)

	if _, err := keys.OpenShared(t.Context(), stores[0], make([]byte, 31), c.now); err == nil {
		t.Error("a short master key was taken")
	}
	other := append([]byte{1}, master[1:]...)
	if _, err := keys.OpenShared(t.Context(), stores[0], other, c.now); err == nil || !strings.Contains(err.Error(), "do not belong together") || !strings.Contains(err.Error(), "put back the master key") {
		t.Errorf("another master key: %v", err)
	}
	if keys.Opens(t.Context(), stores[0], master) != nil || keys.Opens(t.Context(), stores[0], other) == nil {
		t.Error("Opens says otherwise")
	}
}

func TestMasterFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	says := func(part string) {
		t.Helper()
		if _, err := keys.MasterFile(path); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	if _, err := keys.MasterFile(""); err == nil || !strings.Contains(err.Error(), "readmit admin key new") {
		t.Errorf("none: %v", err)
	}
	says("readmit admin key new")
	if err := keys.NewMasterFile(path); err != nil {
		t.Fatal(err)
	}
	if err := keys.NewMasterFile(path); err == nil {
		t.Error("a key was written over")
	}
	first, err := keys.MasterFile(path)
	if err != nil || len(first) != 32 {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		says("chmod 600")
		os.Chmod(path, 0o600)
	}
	if err := os.WriteFile(path, first[:31], 0o600); err != nil {
		t.Fatal(err)
	}
	says("damaged")
}
