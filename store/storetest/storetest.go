// Package storetest is the conformance suite of package store: what it proves,
// the domain may rely on, whichever adapter is below.
package storetest

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

// Open gives an empty store for one test, closed when the test ends, and a
// function that closes it and opens the same data again.
type Open func(t *testing.T) (s store.Store, reopen func() store.Store)

// Run runs the suite, or of it what is named.
func Run(t *testing.T, open Open, only ...string) {
	found := 0
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"subjects", subjects},
		{"ghosts", ghosts},
		{"lanes", lanes},
		{"devices", devices},
		{"sessions", sessions},
		{"rings", rings},
		{"entries", entries},
		{"close entry once", closeEntryOnce},
		{"requests", requests},
		{"passes", passes},
		{"invitations", invitations},
		{"formers", formers},
		{"policy", policy},
		{"keys", keys},
		{"trim", trim},
		{"trim in parts", trimParts},
		{"addresses", addresses},
		{"recovery codes", recoveryCodes},
		{"recoveries", recoveries},
		{"passkeys", passkeys},
		{"desk", desk},
		{"messages", messages},
		{"trim people", trimPeople},
		{"people's empty values", peopleZero},
		{"signals", signals},
		{"services", services},
		{"receipts", receipts},
		{"order of receipts", receiptsOrder},
		{"receipts behind many", receiptsBehind},
		{"marking", marking},
		{"close account", closeAccount},
		{"empty values", emptyValues},
		{"counter", counter},
		{"rollback", rollback},
		{"conflict undoes the rest", conflictUndoes},
		{"failures among others", failuresAmongOthers},
		{"panic", panics},
		{"view sees one state", viewSnapshot},
		{"view only reads", viewReads},
		{"context", contexts},
		{"ready", ready},
		{"reopen", reopens},
		{"closed", closed},
		{"close under load", closeUnderLoad},
		{"history", history},
	} {
		if len(only) > 0 && !slices.Contains(only, c.name) {
			continue
		}
		found++
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
	if len(only) > 0 && found != len(only) {
		t.Errorf("the suite has %d of %q", found, only)
	}
}

// sample fills every field of a record, so that a field which an adapter
// forgets to keep is found here, the day it is added.
func sample[T any](seed uint64) T {
	var v T
	kind := fnv.New64a() // so that the first of each kind have different IDs
	kind.Write([]byte(reflect.TypeFor[T]().String()))
	fill(reflect.ValueOf(&v).Elem(), rand.New(rand.NewPCG(seed, kind.Sum64())))
	return v
}

func fill(v reflect.Value, r *rand.Rand) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(at(1 + r.Int64N(1e12))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), r)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), r)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 40, 40))
		for i := range v.Len() {
			fill(v.Index(i), r)
		}
	case reflect.String:
		b := make([]byte, 12)
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		v.SetString(string(b) + " ü'\"\n")
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + r.Int64N(1<<30))
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(256)))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("a record has a field of a kind that no adapter keeps: " + v.Type().String())
	}
}

// at is a time some microseconds after a fixed one: times are kept to the
// microsecond.
func at(micros int64) time.Time { return time.UnixMicro(1_700_000_000_000_000 + micros).UTC() }

func account(seed uint64) store.Subject {
	s := sample[store.Subject](seed)
	s.Ghost = false
	return s
}

func enrolled(seed uint64, account store.ID) store.Device {
	d := sample[store.Device](seed)
	d.Account, d.Removed = account, time.Time{}
	return d
}

func living(seed uint64, account, device store.ID) store.Session {
	s := sample[store.Session](seed)
	s.Account, s.Device = account, device
	s.Ended, s.EndedBy, s.EndedWhy = time.Time{}, store.ID{}, ""
	return s
}

func entry(seed uint64, account store.ID, ring store.Ring, seq int64) store.Entry {
	e := sample[store.Entry](seed)
	e.Account, e.Ring, e.Seq = account, ring, seq
	return e
}

// update runs f in an Update that must succeed.
func update(t *testing.T, s store.Store, f func(store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), f); err != nil {
		t.Fatalf("update: %v", err)
	}
}

// mark runs f in a Mark that must succeed.
func mark(t *testing.T, s store.Store, f func(store.Tx) error) {
	t.Helper()
	if err := s.Mark(context.Background(), f); err != nil {
		t.Errorf("mark: %v", err)
	}
}

// fails runs f in an Update that must fail in a certain way.
func fails(t *testing.T, s store.Store, want error, f func(store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), f); !errors.Is(err, want) {
		t.Fatalf("update: got error %v, want %v", err, want)
	}
}

// get fetches one thing in a View that must succeed.
func get[T any](t *testing.T, s store.Store, f func(store.Tx) (T, error)) T {
	t.Helper()
	var v T
	err := s.View(context.Background(), func(tx store.Tx) (err error) {
		v, err = f(tx)
		return err
	})
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	return v
}

// missing fetches what must not be there.
func missing[T any](t *testing.T, s store.Store, f func(store.Tx) (T, error)) {
	t.Helper()
	err := s.View(context.Background(), func(tx store.Tx) error {
		_, err := f(tx)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("view: got error %v, want %v", err, store.ErrNotFound)
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// add puts an account with hot values of zero.
func add(t *testing.T, s store.Store, seed uint64) store.Subject {
	t.Helper()
	a := account(seed)
	a.Hot = store.SubjectHot{}
	update(t, s, func(tx store.Tx) error { return tx.AddSubject(a) })
	return a
}

func failures(t *testing.T, s store.Store, id store.ID) int {
	t.Helper()
	return get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(id) }).Hot.CodeFailures
}

// raise counts up by one and returns the count before.
func raise(tx store.Tx, id store.ID) (int, error) {
	a, err := tx.Subject(id)
	if err != nil {
		return 0, err
	}
	a.Hot.CodeFailures++
	return a.Hot.CodeFailures - 1, tx.SaveSubjectHot(id, a.Hot)
}

// together runs f in n goroutines that start at the same moment.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			f(i)
		})
	}
	close(gate)
	wg.Wait()
}
