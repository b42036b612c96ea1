package server_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store"
)

// TestAnothersThings: what is an account's, another account's session does not
// reach, and is told of as of what does not exist.
func TestAnothersThings(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	key := laptop.addPasskey(newAuthenticator(t), "on my keyring")
	other := w.enrolled("other@example.org", "other")
	need := w.machine("phone").needCode(jane, password, "")
	refused := w.machine("stranger").fail(jane)
	var addresses api.Addresses
	wantCode(t, "addresses", laptop.call(api.PathAddresses, laptop.signed(), &addresses), 0)
	mine := other.in.Session
	of := func(id string) api.SignedID { return api.SignedID{Session: mine, ID: id} }
	for _, tt := range []struct {
		path       string
		in, absent any
	}{
		{api.PathAllow, of(need.Request), of("0000")},
		{api.PathDeny, of(need.Request), of("0000")},
		{api.PathRemoveDevice, of(laptop.in.Device[:8]), of("00000000")},
		{api.PathEndDevice, of(laptop.in.Device[:8]), of("00000000")},
		{api.PathRemoveAddress, of(addresses.Addresses[0].ID), of(strings.Repeat("0", 32))},
		{api.PathRemovePasskey, of(base64.RawURLEncoding.EncodeToString(key.ID)), of("AAAA")},
		{api.PathMine, api.SignedReference{Session: mine, Reference: refused.Reference}, api.SignedReference{Session: mine, Reference: "0000-0000"}},
		{api.PathApprovalsGive, api.ApprovalGive{Session: mine, Reference: refused.Reference}, api.ApprovalGive{Session: mine, Reference: "0000-0000"}},
		{api.PathApprovalsRevoke, api.SignedReference{Session: mine, Reference: refused.Reference}, api.SignedReference{Session: mine, Reference: "0000-0000"}},
		{api.PathExplain, api.Explain{Session: mine, Reference: refused.Reference}, api.Explain{Session: mine, Reference: "0000-0000"}},
	} {
		got, want := other.post(tt.path, tt.in), other.post(tt.path, tt.absent)
		if got.status/100 != 4 || got.status != want.status || string(got.body) != string(want.body) {
			t.Errorf("%s: of another account\n%d %s\nof nothing\n%d %s", tt.path, got.status, got.body, want.status, want.body)
		}
	}
	for _, path := range []string{api.PathExport, api.PathActivity, api.PathRequests, api.PathRecoveries, api.PathDevices, api.PathAddresses, api.PathPasskeys, api.PathApprovals} {
		refusedWith(t, other.call(path, laptop.signed(), nil))
		if a := other.post(path, other.signed()); a.status != http.StatusOK || strings.Contains(string(a.body), "laptop") || strings.Contains(string(a.body), jane) {
			t.Errorf("%s tells of another account: %d %s", path, a.status, a.body)
		}
	}
	// All of it is as it was.
	wantCode(t, "refresh", laptop.refresh(), 0)
	if list := laptop.passkeys(); len(list.Passkeys) != 1 {
		t.Errorf("passkeys: %+v", list)
	}
	var requests api.Requests
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), &requests), 0)
	if requests.Requests[0].Status != "waiting" {
		t.Errorf("the request is %s", requests.Requests[0].Status)
	}
}

// TestNoRedirectElsewhere: no address of ours leads to another site.
func TestNoRedirectElsewhere(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"//evil.example", "//evil.example/", "//evil.example/..", "/%2f%2fevil.example", "/%5cevil.example", "/account//evil.example", "/account/../..//evil.example",
		"/?lang=//evil.example", "/?next=https://evil.example", "/account?redirect=//evil.example", "/help//evil.example", "/incident//evil.example", "/recover?stop=//evil.example",
	} {
		for _, host := range []string{"", "evil.example"} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			at, err := url.ParseRequestURI(path)
			must(t, err)
			r.URL, r.RequestURI = at, path
			r.Header.Set("Accept", "text/html")
			r.Header.Set("X-Forwarded-Host", "evil.example")
			if host != "" {
				r.Host = host
			}
			a := w.serve(w.public, r)
			to := a.header.Get("Location")
			if strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`) || strings.Contains(to, ":") || a.header.Get("Refresh") != "" {
				t.Errorf("%s at %q leads to %q", path, host, to)
			}
		}
	}
}
