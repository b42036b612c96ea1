package postgres

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
)

// counted counts round trips where they are: on the wire. One is a write that
// follows a read.
type counted struct {
	net.Conn
	trips *atomic.Int64
	read  atomic.Bool
}

func (c *counted) Write(b []byte) (int, error) {
	if c.read.Swap(false) {
		c.trips.Add(1)
	}
	return c.Conn.Write(b)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.read.Store(true)
	}
	return n, err
}

// counting opens a store with one connection whose round trips are counted.
func counting(t *testing.T) (*Store, *atomic.Int64) {
	t.Helper()
	trips := &atomic.Int64{}
	c := empty(t)
	c.Connections = 1
	config, address, err := parse(c)
	if err != nil {
		t.Fatal(err)
	}
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		n, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &counted{Conn: n, trips: trips}, err
	}
	s, err := openWith(t.Context(), c, config, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, trips
}

func TestRoundTrips(t *testing.T) {
	s, trips := counting(t)
	now := time.Now()
	a := store.Subject{ID: store.ID{1}, Key: store.Key{2}, Identifier: "a@example.org", Record: make([]byte, 192), Epoch: 1, Created: now}
	d := store.Device{Account: a.ID, Thumbprint: store.Thumbprint{3}, ID: store.ID{4}, Enrolled: now}
	seq := int64(0)
	start := func(key store.Key, known bool) func(store.Tx) error {
		return func(tx store.Tx) error {
			found, err := tx.Find(key, store.StandKey(key))
			if err != nil {
				return err
			}
			if _, err = tx.Device(found.ID, d.Thumbprint); known && err != nil {
				return err
			}
			if _, err := tx.Strangers(store.LaneOf(key)); err != nil {
				return err
			}
			if err := tx.SaveStrangers(store.LaneOf(key), lockout.State{}); err != nil {
				return err
			}
			if err := tx.SaveSubjectHot(found.ID, found.Hot); err != nil {
				return err
			}
			if known {
				if err := tx.SaveDeviceHot(found.ID, d.ID, d.Hot); err != nil {
					return err
				}
			}
			if _, err := tx.Former(found.ID); known && err != store.ErrNotFound {
				return err
			}
			seq++
			return tx.Append(store.Entry{Account: found.ID, Ring: 1, Seq: seq, ID: store.ID{byte(seq)}, Open: true})
		}
	}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.AddSubject(a); err != nil {
			return err
		}
		return tx.AddDevice(d)
	})
	if err != nil {
		t.Fatal(err)
	}
	session := byte(10)
	last := func(tx store.Tx) error {
		if _, err := tx.Subject(a.ID); err != nil {
			return err
		}
		if _, err := tx.Device(a.ID, d.Thumbprint); err != nil {
			return err
		}
		if err := tx.Supersede(a.ID, d.ID, store.ID{session}, now); err != nil {
			return err
		}
		if err := tx.AddSession(store.Session{ID: store.ID{session}, Account: a.ID, Device: d.ID, Created: now, LastUsed: now}); err != nil {
			return err
		}
		return tx.SaveDeviceHot(a.ID, d.ID, d.Hot)
	}
	for _, c := range []struct {
		what string
		want int64
		do   func() error
	}{
		{"sign-in, first message", 2, func() error { return s.Update(t.Context(), start(a.Key, true)) }},
		{"sign-in, first message, unknown name", 2, func() error { return s.Update(t.Context(), start(store.Key{99}, false)) }},
		{"sign-in, last message at another node", 2, func() error {
			session++
			s.recent.take(string(a.ID[:]))
			return s.Update(t.Context(), last)
		}},
		{"whole sign-in on an enrolled device", 3, func() error {
			session++
			if err := s.Update(t.Context(), start(a.Key, true)); err != nil {
				return err
			}
			return s.Update(t.Context(), last)
		}},
		{"refresh", 1, func() error {
			return s.View(t.Context(), func(tx store.Tx) error {
				n, err := tx.Session(store.ID{session})
				if err != nil {
					return err
				}
				if _, err := tx.Subject(n.Account); err != nil {
					return err
				}
				_, err = tx.Devices(n.Account)
				return err
			})
		}},
		{"refresh of an unknown session", 1, func() error {
			return s.View(t.Context(), func(tx store.Tx) error {
				if _, err := tx.Session(store.ID{255}); err != store.ErrNotFound {
					t.Errorf("got error %v", err)
				}
				return nil
			})
		}},
		{"a write alone", 1, func() error {
			return s.Update(t.Context(), func(tx store.Tx) error { return tx.SaveSubjectHot(a.ID, a.Hot) })
		}},
		{"nothing", 0, func() error { return s.Update(t.Context(), func(store.Tx) error { return nil }) }},
	} {
		if err := c.do(); err != nil { // prepares the statements
			t.Fatalf("%s: %v", c.what, err)
		}
		wire := trips.Load()
		own, _, _ := s.Counts()
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if got := trips.Load() - wire; got != c.want {
			t.Errorf("%s: %d round trips, want %d", c.what, got, c.want)
		}
		if now, _, _ := s.Counts(); now-own != c.want {
			t.Errorf("%s: %d were counted, want %d", c.what, now-own, c.want)
		}
	}
}

// What a node remembers of an account does not hold where another node has
// changed it: not for what is read, and not for an error that comes of it.
func TestRememberedIsChecked(t *testing.T) {
	c := empty(t)
	one, other := openIn(t, c), openIn(t, c)
	a := store.Subject{ID: store.ID{1}, Key: store.Key{2}, Identifier: "a@example.org", Record: make([]byte, 192), Epoch: 1}
	d := store.Device{Account: a.ID, Thumbprint: store.Thumbprint{3}, ID: store.ID{4}, Enrolled: time.Now()}
	do := func(s *Store, f func(store.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	do(one, func(tx store.Tx) error {
		if err := tx.AddSubject(a); err != nil {
			return err
		}
		return tx.AddDevice(d)
	})
	remember := func() {
		t.Helper()
		do(one, func(tx store.Tx) error {
			b, err := tx.Find(a.Key, store.StandKey(a.Key))
			if err != nil {
				return err
			}
			if _, err := tx.Device(b.ID, d.Thumbprint); err != nil {
				return err
			}
			return tx.SaveSubjectHot(b.ID, b.Hot)
		})
		if len(one.recent.known[0]) != 1 {
			t.Fatal("nothing is remembered")
		}
	}
	change := map[string]func(store.Tx) error{
		"epoch": func(tx store.Tx) error { a.Epoch++; return tx.SaveSubject(a) },
		"hot":   func(tx store.Tx) error { a.Hot.CodeFailures++; return tx.SaveSubjectHot(a.ID, a.Hot) },
		"device": func(tx store.Tx) error {
			d.Name += "x"
			return tx.SaveDevice(d)
		},
		"another device": func(tx store.Tx) error {
			return tx.AddDevice(store.Device{Account: a.ID, Thumbprint: store.Thumbprint{9}, ID: store.ID{9}, Enrolled: time.Now()})
		},
		"nothing": func(store.Tx) error { return nil },
	}
	mine := errors.New("the function's own")
	for what, f := range change {
		for _, fails := range []bool{false, true} {
			for _, writes := range []bool{false, true} {
				remember()
				do(other, f)
				var got store.Subject
				var devices []store.Device
				runs := 0
				err := one.Update(t.Context(), func(tx store.Tx) (err error) {
					runs++
					if got, err = tx.Subject(a.ID); err != nil {
						return err
					}
					if devices, err = tx.Devices(a.ID); err != nil {
						return err
					}
					if writes {
						got.Hot.StrangerFailures++
						a.Hot.StrangerFailures = got.Hot.StrangerFailures
						if err := tx.SaveSubjectHot(a.ID, got.Hot); err != nil {
							return err
						}
					}
					if fails {
						return mine
					}
					return nil
				})
				if fails != errors.Is(err, mine) || !fails && err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if fails && writes {
					a.Hot.StrangerFailures--
				}
				if got.Epoch != a.Epoch || got.Hot.CodeFailures != a.Hot.CodeFailures || devices[0].Name != d.Name {
					t.Errorf("%s: it saw what was before", what)
				}
				if what == "another device" {
					if len(devices) != 2 {
						t.Errorf("%s: %d devices", what, len(devices))
					}
					do(other, func(tx store.Tx) error {
						return tx.SaveDevice(store.Device{Account: a.ID, ID: store.ID{9}, Removed: time.Now()})
					})
				}
				if what == "nothing" && !fails && runs != 1 {
					t.Errorf("nothing was changed, and it ran %d times", runs)
				}
			}
		}
	}
}

// Nothing is remembered of an account for who is not enrolled: see recent.
func TestStrangersAreNotRemembered(t *testing.T) {
	s := openIn(t, empty(t))
	for _, key := range []store.Key{{2}, store.GhostKey(3)} {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			a, err := tx.Find(key, store.StandKey(key))
			if err != nil {
				return err
			}
			if _, err := tx.Device(a.ID, store.Thumbprint{1}); !errors.Is(err, store.ErrNotFound) {
				return errors.New("a device was found")
			}
			return tx.SaveSubjectHot(a.ID, a.Hot)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(s.recent.known[0]) != 0 {
		t.Error("something is remembered")
	}
}
