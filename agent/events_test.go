package agent

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/api"
)

func TestReadEvents(t *testing.T) {
	var got []string
	heard := 0
	read := func(text string) error {
		got, heard = nil, 0
		return readEvents(strings.NewReader(text), func() { heard++ }, func(name string, data []byte) error {
			got = append(got, name+"="+string(data))
			return nil
		})
	}
	err := read("event: requests\ndata: {\"a\":1}\n\n:\n\nevent: other\nid: 7\ndata: one\ndata:two\n\ndata: bare\n\nevent: empty\n\nevent: cut\ndata: off")
	want := []string{`requests={"a":1}`, "other=one\ntwo", "=bare"}
	if !errors.Is(err, ErrStreamOver) || !slices.Equal(got, want) || heard != 16 {
		t.Errorf("%q after %d lines, %v", got, heard, err)
	}
	if err := read("data: " + strings.Repeat("x", 2*maxEvent) + "\n\n"); err == nil || errors.Is(err, ErrStreamOver) || got != nil {
		t.Errorf("too long: %v", err)
	}
}

// TestEvents: a stream is opened by a signed call, and a server without one is
// told apart from one that refuses.
func TestEvents(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {}
	var url string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HeaderNonce, "one")
		switch r.URL.Path {
		case api.PathHello:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"protocol":1,"url":%q,"time":%d}`, url, time.Now().UnixMilli())
		case pathEvents:
			if r.Method != http.MethodPost || r.Header.Get(api.HeaderProof) == "" {
				t.Error("opened without a proof")
			}
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	url = s.URL
	a := &Agent{Home: newHome(t), Now: time.Now}
	id := enrolment(t)
	id.Server = s.URL
	if err := errors.Join(a.Home.SaveIdentity(id), a.Home.Save(SessionFile, Session{ID: "one"})); err != nil {
		t.Fatal(err)
	}
	var seen []api.Requests
	changes := 0
	events := func() error {
		seen, changes = nil, 0
		return a.Events(t.Context(), func(r api.Requests) { seen = append(seen, r) }, func() { changes++ })
	}
	problem := func(status, code int) {
		answer = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"https://id.example.org/causes/refused","title":"x","code":%d,"reference":"4K7Q-9FXM","incident":"sealed"}`, code)
		}
	}
	answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: requests\ndata: {\"requests\":[{\"id\":\"4K7Q\",\"status\":\"waiting\"}]}\n\nevent: changed\ndata: {}\n\nevent: ended\ndata: {}\n\nevent: requests\ndata: {}\n\nevent: changed\ndata: {}\n\n")
	}
	if err := events(); !errors.Is(err, ErrStreamOver) || !reflect.DeepEqual(seen, []api.Requests{{Requests: []api.Request{{ID: "4K7Q", Status: "waiting"}}}}) || changes != 1 {
		t.Errorf("%+v, %d changes, %v", seen, changes, err)
	}
	problem(http.StatusNotFound, api.BadRequest)
	if err := events(); !errors.Is(err, ErrNoStream) {
		t.Errorf("an older server: %v", err)
	}
	problem(http.StatusUnauthorized, api.Failed)
	if e := new(RefusedError); !errors.As(events(), &e) || e.Reference != "4K7Q-9FXM" {
		t.Errorf("refused: %+v", e)
	}
	answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome, guest") }
	if e := new(UnreachableError); !errors.As(events(), &e) || e.Why != OtherServer {
		t.Errorf("a guest network: %+v", e)
	}
}

// TestSilence: a stream that gives its sign of life every 20 to 25 seconds goes
// on; one that says nothing for 45 is given up.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		gone := errors.New("given up")
		last := time.Now()
		go func() {
			fmt.Fprint(to, "event: requests\ndata: {\"requests\":[{\"id\":\"4K7Q\"}]}\n\n")
			for range 20 {
				time.Sleep(25 * time.Second)
				fmt.Fprint(to, ":\n\n")
			}
			last = time.Now()
		}()
		seen := 0
		err := follow(from, func() { to.CloseWithError(gone) }, func(api.Requests) { seen++ }, func() {})
		if after := time.Since(last); !errors.Is(err, gone) || seen != 1 || after != 45*time.Second {
			t.Errorf("it ended with %v after %v of silence, %d lists", err, after, seen)
		}
	})
}
