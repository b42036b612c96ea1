package sqlite

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"readmit.dev/readmit/store"
)

// appendNumbered puts an entry whose detail fills some pages.
func appendNumbered(s *Store, n int, size int) error {
	return s.Update(context.Background(), func(tx store.Tx) error {
		return tx.Append(store.Entry{Account: numbered(n), Seq: 1, Detail: make([]byte, size)})
	})
}

func numbered(n int) (id store.ID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// there reports whether a numbered entry is kept, whole.
func there(t *testing.T, s *Store, n, size int) bool {
	t.Helper()
	var found bool
	err := s.View(context.Background(), func(tx store.Tx) error {
		e, err := tx.Entry(numbered(n), 0, 1)
		found = err == nil
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil && len(e.Detail) != size {
			return fmt.Errorf("%d bytes instead of %d", len(e.Detail), size)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDiskFull(t *testing.T) {
	const size = 20_000
	dir := t.TempDir()
	s := openIn(t, dir, &faults{})
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	var pages int64
	c := <-s.readers
	if err := c.QueryRowContext(context.Background(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	s.readers <- c
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	f := &faults{}
	f.pages.Store(pages + 100)
	s = openIn(t, dir, f)
	var mu sync.Mutex
	var kept, refused []int
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			err := appendNumbered(s, i, size)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				kept = append(kept, i)
			case errors.Is(err, store.ErrUnavailable):
				refused = append(refused, i)
			default:
				t.Errorf("got error %v, want %v", err, store.ErrUnavailable)
			}
		})
	}
	wg.Wait()
	if len(refused) == 0 {
		t.Fatal("the disk was never full")
	}
	for i := 50; ; i++ { // fill what a group left free
		if err := appendNumbered(s, i, size); err != nil {
			refused = append(refused, i)
			break
		}
		kept = append(kept, i)
	}
	check := func() {
		t.Helper()
		for _, i := range kept {
			if !there(t, s, i, size) {
				t.Fatalf("entry %d was acknowledged and is not kept", i)
			}
		}
		for _, i := range refused {
			if there(t, s, i, size) {
				t.Fatalf("entry %d was refused and is kept", i)
			}
		}
	}
	check()
	f.pages.Store(0)
	eventually(t, func() error { return appendNumbered(s, 1000, size) })
	kept = append(kept, 1000)
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, dir, &faults{})
	check()
	t.Logf("%d kept, %d refused", len(kept), len(refused))
}

func TestFailingCommits(t *testing.T) {
	f := &faults{}
	s := openIn(t, t.TempDir(), f)
	if err := appendNumbered(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	f.commit.Store(true)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			for range 3 {
				if err := appendNumbered(s, 100+i, 10); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("got error %v, want %v", err, store.ErrUnavailable)
				}
			}
		})
	}
	wg.Wait()
	// What failed by itself has seen what was never kept, so it is told the same.
	own := errors.New("own")
	if err := s.Update(context.Background(), func(store.Tx) error { return own }); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got error %v, want %v", err, store.ErrUnavailable)
	}
	if !there(t, s, 1, 10) {
		t.Error("what was kept before cannot be read")
	}
	f.commit.Store(false)
	eventually(t, func() error { return appendNumbered(s, 2, 10) })
	for i := range 100 {
		if there(t, s, 100+i, 10) {
			t.Fatalf("entry %d was refused and is kept", 100+i)
		}
	}
}

func TestCloseWhileTheDiskFails(t *testing.T) {
	f := &faults{}
	dir := t.TempDir()
	s := openIn(t, dir, f)
	if err := appendNumbered(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	f.commit.Store(true)
	if err := appendNumbered(s, 2, 10); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got error %v, want %v", err, store.ErrUnavailable)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, dir, &faults{})
	if !there(t, s, 1, 10) || there(t, s, 2, 10) {
		t.Fatal("not the state that was acknowledged")
	}
}

const childFolder = "READMIT_TEST_STORE"

// child keeps entries, by many goroutines, and prints the number of each when
// it was acknowledged, until it is killed.
func child(dir string) {
	s, err := Open(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var next atomic.Int64
	for range 20 {
		go func() {
			for {
				n := int(next.Add(1))
				if err := appendNumbered(s, n, 2000); err == nil {
					fmt.Println(n)
				}
			}
		}()
	}
	select {}
}

// TestKilled: what was acknowledged is there after kill -9, whenever it comes.
func TestKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		dir := t.TempDir()
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childFolder+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var acknowledged []int
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			acknowledged = append(acknowledged, n)
			if len(acknowledged) == 200+round*333 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		s := openIn(t, dir, &faults{})
		for _, n := range acknowledged {
			if !there(t, s, n, 2000) {
				t.Fatalf("round %d: entry %d was acknowledged and is not kept", round, n)
			}
		}
		s.Close()
	}
}
