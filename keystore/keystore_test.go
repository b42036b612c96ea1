package keystore

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"
)

func TestSystem(t *testing.T) {
	for mode, good := range map[string]bool{"": true, "file": true, "system": true, "nonsense": false, "FILE": false} {
		s, err := System(func(name string) string {
			if name == "READMIT_KEYSTORE" {
				return mode
			}
			return ""
		})
		if good != (err == nil) || good == (s == nil) {
			t.Errorf("%q: %v, %v", mode, s, err)
		}
		if mode != "file" {
			continue
		}
		e := new(Error)
		if _, err := s.Get("x"); !errors.As(err, &e) || e.Why != Absent {
			t.Errorf("got %v", err)
		}
		if err := s.Set("x", "y"); !errors.As(err, &e) || e.Why != Absent {
			t.Errorf("set: %v", err)
		}
	}
}

// A key store that waits for somebody is not waited for.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, wait := time.Now(), make(chan struct{})
		_, err := bounded(Patience, func() (string, error) { <-wait; return "late", nil })
		if e := new(Error); !errors.As(err, &e) || e.Why != Silent || time.Since(began) != Patience {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		close(wait)
	})
	if _, err := bounded(Patience, func() (string, error) { return "", keyring.ErrNotFound }); !errors.Is(err, ErrNoEntry) {
		t.Errorf("not found: %v", err)
	}
	if v, err := bounded(Patience, func() (string, error) { return "here", nil }); v != "here" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

type counting struct {
	asked int
	value string
	err   error
}

func (c *counting) Get(string) (string, error) { c.asked++; return c.value, c.err }
func (c *counting) Set(_, v string) error      { c.value = v; return c.err }

func TestRemembered(t *testing.T) {
	c := &counting{err: &Error{Why: Locked}}
	s := Remembered(c)
	if _, err := s.Get("x"); err == nil {
		t.Error("a locked one was remembered")
	}
	c.err, c.value = nil, "one"
	for range 3 {
		if v, err := s.Get("x"); v != "one" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	}
	if c.asked != 2 {
		t.Errorf("asked %d times", c.asked)
	}
	c.err = &Error{Why: Locked}
	if v, err := s.Get("x"); v != "one" || err != nil {
		t.Errorf("locked behind it: %q, %v", v, err)
	}
	c.err = nil
	if err := s.Set("x", "two"); err != nil {
		t.Error(err)
	}
	if v, _ := s.Get("x"); v != "two" {
		t.Errorf("after a change: %q", v)
	}
}
