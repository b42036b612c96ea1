package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func newHome(t testing.TB) Home {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "home")
	h, err := OpenHome(func(name string) string {
		if name == "READMIT_HOME" {
			return dir
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var identity = Identity{
	Key: "-----BEGIN PRIVATE KEY-----\nzqkey\n-----END PRIVATE KEY-----\n", Thumbprint: "00ff", Server: "https://id.example.org",
	Account: "jane@example.org", Device: "0102", Name: "Jane's <laptop> & more", CodeSecret: []byte{0, 255, 7}, Certificate: "ab",
}

// problem is what a load found wrong; anything but a StateError fails the test.
func problem(t testing.TB, err error) Problem {
	t.Helper()
	if err == nil {
		return ""
	}
	e := new(StateError)
	if !errors.As(err, &e) {
		t.Fatalf("%T: %v", err, err)
	}
	return e.Problem
}

func TestOpenHome(t *testing.T) {
	h := newHome(t)
	for _, dir := range []string{h.Dir(), h.Path(IncidentsDir)} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Errorf("%s is %s", dir, info.Mode())
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHome(func(string) string { return filepath.Join(file, "home") }); err == nil || !strings.Contains(err.Error(), "READMIT_HOME") {
		t.Errorf("a home below a file: %v", err)
	}
}

func TestSaveAndLoad(t *testing.T) {
	h := newHome(t)
	if _, err := h.Identity(); problem(t, err) != Missing {
		t.Errorf("a fresh home: %v", err)
	}
	if s, err := h.Session(); err != nil || !reflect.DeepEqual(s, Session{}) {
		t.Errorf("a fresh home's session: %+v, %v", s, err)
	}
	if err := h.SaveIdentity(identity); err != nil {
		t.Fatal(err)
	}
	if i, err := h.Identity(); err != nil || !reflect.DeepEqual(i, identity) || !i.Enrolled() {
		t.Errorf("%+v, %v", i, err)
	}
	var second Identity
	if err := h.Load(IdentityCopy, &second); err != nil || !reflect.DeepEqual(second, identity) {
		t.Errorf("the copy: %+v, %v", second, err)
	}
	session := Session{ID: "one", Tokens: map[string]Token{"": {Value: "zqtoken", Expires: time.Unix(1772366400, 0).UTC()}}}
	if err := h.Save(SessionFile, session); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Session(); err != nil || !reflect.DeepEqual(s, session) {
		t.Errorf("%+v, %v", s, err)
	}
	files, err := os.ReadDir(h.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && !f.IsDir() && info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %s", f.Name(), info.Mode())
		}
		if strings.HasPrefix(f.Name(), ".new-") {
			t.Errorf("%s was left behind", f.Name())
		}
	}
	for range 2 {
		if err := h.Remove(SessionFile); err != nil {
			t.Error(err)
		}
	}
	if s, err := h.Session(); err != nil || s.ID != "" {
		t.Errorf("a session that was removed: %+v, %v", s, err)
	}
}

// Whatever one byte of a file becomes, it is read as it was or not at all.
func TestDamage(t *testing.T) {
	h := newHome(t)
	if err := h.SaveIdentity(identity); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(h.Path(IdentityFile))
	if err != nil {
		t.Fatal(err)
	}
	load := func(what string, b []byte, mayHold bool) {
		t.Helper()
		if err := os.WriteFile(h.Path(IdentityFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := h.Identity()
		switch p := problem(t, err); {
		case p == "" && !(mayHold && reflect.DeepEqual(i, identity)):
			t.Fatalf("%s: read as %+v", what, i)
		case p != "" && p != Malformed && p != Newer:
			t.Fatalf("%s: %v", what, err)
		case p != "" && !reflect.DeepEqual(i, Identity{}):
			t.Fatalf("%s: damaged, and half of it is read: %+v", what, i)
		case err != nil && (strings.Contains(err.Error(), "zqkey") || !strings.Contains(err.Error(), IdentityFile)):
			t.Fatalf("%s: %v", what, err)
		}
	}
	for i := range whole {
		load(fmt.Sprintf("cut to %d bytes", i), whole[:i], i == len(whole)-1)
		for _, bit := range []byte{1, 2, 0x20, 0x80} {
			b := bytes.Clone(whole)
			b[i] ^= bit
			load(fmt.Sprintf("byte %d changed by %#x", i, bit), b, true)
		}
		load(fmt.Sprintf("byte %d zero", i), append(append(bytes.Clone(whole[:i]), 0), whole[i+1:]...), false)
	}
	load("twice", append(bytes.Clone(whole), whole...), false)
	load("zeros", make([]byte, len(whole)), false)
	load("another file's", bytes.Replace(whole, []byte(`"account":"jane`), []byte(`"account":"john`), 1), false)
}

func TestProblems(t *testing.T) {
	h := newHome(t)
	good, err := Content(identity)
	if err != nil {
		t.Fatal(err)
	}
	otherContent, err := Content([]string{"a list"})
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte, mode os.FileMode) func(path string) error {
		return func(path string) error { return errors.Join(os.WriteFile(path, b, 0o600), os.Chmod(path, mode)) }
	}
	for name, c := range map[string]struct {
		make func(path string) error
		want Problem
	}{
		"whole":           {write(good, 0o600), ""},
		"empty":           {write(nil, 0o600), Malformed},
		"words":           {write([]byte("identity"), 0o600), Malformed},
		"null":            {write([]byte("null"), 0o600), Malformed},
		"no version":      {write([]byte(`{"sum":"","content":{}}`), 0o600), Malformed},
		"no sum":          {write([]byte(`{"version":1,"content":{}}`), 0o600), Malformed},
		"negative":        {write(bytes.Replace(good, []byte(`"version":1`), []byte(`"version":-1`), 1), 0o600), Malformed},
		"newer":           {write(bytes.Replace(good, []byte(`"version":1`), []byte(`"version":3`), 1), 0o600), Newer},
		"other content":   {write(otherContent, 0o600), Malformed},
		"a folder":        {func(path string) error { return os.Mkdir(path, 0o700) }, Unreadable},
		"gone":            {func(path string) error { return nil }, Missing},
		"a dangling link": {func(path string) error { return os.Symlink(path+".gone", path) }, Missing},
	} {
		if err := errors.Join(os.RemoveAll(h.Path(IdentityFile)), c.make(h.Path(IdentityFile))); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Identity(); problem(t, err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o601} {
		if err := errors.Join(os.RemoveAll(h.Path(IdentityFile)), write(good, mode)(h.Path(IdentityFile))); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Identity(); problem(t, err) != WrongMode {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// A damaged session is told, not taken for none: it would be lost without a word.
func TestDamagedSessionIsTold(t *testing.T) {
	h := newHome(t)
	if err := os.WriteFile(h.Path(SessionFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Session(); problem(t, err) != Malformed {
		t.Errorf("%v", err)
	}
}

// Who reads while another writes sees the old or the new, each whole.
func TestSaveIsWhole(t *testing.T) {
	h := newHome(t)
	versions := make([]Identity, 2)
	for i := range versions {
		versions[i] = Identity{Key: strings.Repeat(fmt.Sprint(i), 1<<16)}
	}
	if err := h.Save(IdentityFile, versions[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for i := range 50 {
			if err := h.Save(IdentityFile, versions[i%2]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		i, err := h.Identity()
		if err != nil || i.Key != versions[0].Key && i.Key != versions[1].Key {
			t.Fatalf("%d bytes, %v", len(i.Key), err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

// A write that fails leaves what was there, and nothing beside it.
func TestSaveThatFails(t *testing.T) {
	h := newHome(t)
	if err := h.Save(IdentityFile, identity); err != nil {
		t.Fatal(err)
	}
	if err := h.Save(IdentityFile, func() {}); err == nil {
		t.Error("a function was saved")
	}
	if i, err := h.Identity(); err != nil || !reflect.DeepEqual(i, identity) {
		t.Errorf("%+v, %v", i, err)
	}
	if err := h.Save(IncidentsDir, identity); err == nil {
		t.Error("saved in place of a folder")
	}
	err := h.Save(filepath.Join("none", "file"), identity)
	if e := new(WriteError); !errors.As(err, &e) || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), h.Path(filepath.Join("none", "file"))) {
		t.Errorf("saved in a folder that is not there: %v", err)
	}
	files, err := os.ReadDir(h.Dir())
	if err != nil || len(files) != 2 {
		t.Errorf("the home holds %v, %v", files, err)
	}
}

func TestIncidents(t *testing.T) {
	h := newHome(t)
	var all []Incident
	for i := range 60 {
		kept := Incident{
			Reference: fmt.Sprintf("4K7Q-%04d", 59-i), Sealed: fmt.Sprintf("sealed %d", i), Server: "https://id.example.org",
			Account: "jane@example.org", What: "sign-in", At: time.Unix(1772366400+int64(i), 0).UTC(),
		}
		if err := h.KeepIncident(kept); err != nil {
			t.Fatal(err)
		}
		all = append(all, kept)
		files, err := os.ReadDir(h.Path(IncidentsDir))
		if err != nil || len(files) != min(i+1, 50) {
			t.Fatalf("after %d refusals %d are kept, %v", i+1, len(files), err)
		}
		// A minute between two refusals, told by the file's own time.
		at := time.Now().Add(time.Duration(i-100) * time.Minute)
		if err := os.Chtimes(h.Path(filepath.Join(IncidentsDir, kept.Reference+".json")), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range all {
		got, ok := h.Incident(want.Reference)
		of, okOf := h.IncidentOf(want.Sealed)
		if ok != (i >= 10) || ok && got != want || okOf != ok || okOf && of != want {
			t.Errorf("refusal %d of 60: kept %t, found %t", i+1, ok, okOf)
		}
	}
	if _, ok := h.Incident("0000-0000"); ok {
		t.Error("found a refusal that was none")
	}
	if _, ok := h.IncidentOf(""); ok {
		t.Error("found a refusal without a text")
	}

	// A damaged one costs itself alone.
	if err := os.WriteFile(h.Path(filepath.Join(IncidentsDir, all[59].Reference+".json")), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.Incident(all[59].Reference); ok {
		t.Error("a damaged refusal was read")
	}
	if got, ok := h.IncidentOf(all[58].Sealed); !ok || got != all[58] {
		t.Error("a damaged refusal hides another")
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	h := newHome(t)
	unlock, err := h.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan func())
	go func() {
		second, err := h.Lock(t.Context())
		if err != nil {
			second = nil
		}
		got <- second
	}()
	select {
	case <-got:
		t.Fatal("two commands hold the lock")
	case <-time.After(50 * time.Millisecond):
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if _, err := h.Lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a command that waits cannot be interrupted: %v", err)
	}
	unlock()
	second := <-got
	if second == nil {
		t.Fatal("the lock cannot be taken after it was given back")
	}
	second()
}

func FuzzDecode(f *testing.F) {
	good, err := Content(identity)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"sum":"","content":null}`))
	f.Add([]byte(`{"version":99}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var i Identity
		switch decode(b, &i) {
		case "":
			// Only what was whole is read, so what is read can be written.
			again, err := Content(i)
			if err != nil {
				t.Fatal(err)
			}
			var back Identity
			if p := decode(again, &back); p != "" || !sameIdentity(i, back) {
				t.Fatalf("%s came back %s", again, p)
			}
		case Malformed, Newer:
		default:
			t.Fatal("a problem that no file has")
		}
	})
}

func sameIdentity(a, b Identity) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && bytes.Equal(x, y)
}
