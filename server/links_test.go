package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store"
)

// TestLinksInMessages: whatever host a request names, the links of the messages
// it leads to are the configured address's.
func TestLinksInMessages(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	codes := laptop.codes()
	w.deliver()
	w.clock.advance(time.Minute) // the address is older than the case
	real := w.public
	w.public = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("Forwarded", `for=192.0.2.1;host=evil.example;proto=http`)
		r.Header.Set("X-Original-URL", "https://evil.example/recover")
		r.Header.Set("Referer", "https://evil.example/")
		real.ServeHTTP(rw, r)
	})
	lost := w.machine("lost")
	r := lost.begin(jane)
	_, p := lost.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	wantCode(t, "a code", lost.call(api.PathRecoverySend, api.RecoveryCase{Recovery: r.Recovery}, nil), 0)
	wantCode(t, "a forgotten name", lost.call(api.PathRecoveryIdentifier, api.RecoveryIdentifier{Email: home}, nil), 0)
	wantCode(t, "new codes", laptop.call(api.PathRecoveryCodes, laptop.signed(), nil), 0)
	must(t, w.server.Flush(t.Context()))
	got := w.deliver()
	if len(got) < 4 {
		t.Fatalf("%d messages", len(got))
	}
	links := 0
	for _, d := range got {
		if strings.Contains(d.Subject+d.Body, "evil") {
			t.Errorf("the request's host stands in %q", d.Body)
		}
		for _, link := range regexp.MustCompile(`\w+://\S+`).FindAllString(d.Body, -1) {
			links++
			if link = strings.TrimRight(link, ".,"); link != publicURL && !strings.HasPrefix(link, publicURL+"/") {
				t.Errorf("a link to %s", link)
			}
		}
	}
	stop := find(got, home, regexp.MustCompile(`\S+#stop=\S+`))
	if links < 4 || !strings.HasPrefix(stop, publicURL+"/recover#stop=") {
		t.Errorf("%d links; the one that stops is %q", links, stop)
	}
}
