package server_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/store"
)

const (
	home  = "jane.home@example.com"
	phone = "+4930901820"
)

func (m *machine) addresses() []api.Address {
	m.w.t.Helper()
	var out api.Addresses
	if p := m.call(api.PathAddresses, m.signed(), &out); p != nil {
		m.w.t.Fatalf("addresses: %v", p)
	}
	return out.Addresses
}

func (m *machine) addAddress(kind, value string) (api.Address, *api.Problem) {
	m.w.t.Helper()
	var out api.Address
	p := m.call(api.PathAddAddress, api.AddAddress{Session: m.in.Session, Kind: kind, Value: value, Language: "en"}, &out)
	return out, p
}

func (m *machine) verify(a api.Address, code string) *api.Problem {
	m.w.t.Helper()
	return m.call(api.PathVerifyAddress, api.VerifyAddress{Session: m.in.Session, ID: a.ID, Code: code}, nil)
}

func (m *machine) removeAddress(a api.Address) *api.Problem {
	m.w.t.Helper()
	return m.call(api.PathRemoveAddress, api.SignedID{Session: m.in.Session, ID: a.ID}, nil)
}

// has adds an address and verifies it.
func (m *machine) has(kind, value string) api.Address {
	m.w.t.Helper()
	a, p := m.addAddress(kind, value)
	wantCode(m.w.t, "add", p, 0)
	wantCode(m.w.t, "verify", m.verify(a, m.w.codeIn(m.w.deliver(), a.Value)), 0)
	m.w.deliver()
	return a
}

func TestAddresses(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	if got := laptop.addresses(); len(got) != 0 {
		t.Errorf("the identifier counts as an address before it was verified: %v", got)
	}
	a, p := laptop.addAddress(api.Email, " Jane.Home@EXAMPLE.com ")
	wantCode(t, "add", p, 0)
	if a.Value != home || a.Verified != 0 || a.CodeUntil != w.clock.now().Add(15*time.Minute).Unix() {
		t.Errorf("%+v", a)
	}
	got := w.deliver()
	if len(got) != 1 || got[0].channel != store.Email || got[0].To != home || strings.Contains(got[0].Body, jane) {
		t.Fatalf("%+v", got)
	}
	code := w.codeIn(got, home)
	wrong := laptop.wrongCode(code)
	laptop.asOwner(t, laptop.verify(a, wrong), "code-wrong")
	wantCode(t, "verify", laptop.verify(a, code), 0)
	wantCode(t, "verify again", laptop.verify(a, wrong), 0)
	if got := laptop.addresses(); len(got) != 1 || got[0].Verified == 0 || got[0].CodeUntil != 0 {
		t.Errorf("%+v", got)
	}
	if got := w.deliver(); len(got) != 0 {
		t.Errorf("told of the first address: %v", got)
	}
	_, p = laptop.addAddress(api.Email, home)
	wantCode(t, "add again", p, api.NotPossible)

	// The second is told to the first, not to itself.
	b, p := laptop.addAddress(api.Phone, "0049 (30) 901-820")
	wantCode(t, "add", p, 0)
	if b.Value != phone {
		t.Errorf("%+v", b)
	}
	code = w.codeIn(w.deliver(), phone)
	wantCode(t, "verify", laptop.verify(b, code[:3]+" "+code[3:]), 0)
	got = w.deliver()
	if len(got) != 1 || !slices.Equal(told(got, home), []string{"A new address for messages" + "Messages of jane@example.org go to +49***20 too from now on. It was added on laptop, 2026-03-01 12:00 UTC."}) ||
		!strings.Contains(got[0].Body, publicURL+"/account") {
		t.Errorf("%+v", got)
	}
	// Removing tells it to all, the removed one too.
	wantCode(t, "remove", laptop.removeAddress(a), 0)
	if got = w.deliver(); len(got) != 2 || len(told(got, home)) != 1 || len(told(got, phone)) != 1 {
		t.Errorf("%+v", got)
	}
	wantCode(t, "remove again", laptop.removeAddress(a), api.NotPossible)
	wantCode(t, "verify a removed one", laptop.verify(a, code), api.NotPossible)
	if got := laptop.addresses(); len(got) != 1 || got[0].Value != phone {
		t.Errorf("%+v", got)
	}
	var what []string
	for _, line := range w.activity(jane) {
		what = append(what, line.What+" "+line.Outcome)
	}
	for _, want := range []string{"address code sent done", "address code refused", "address added done", "address removed done"} {
		if !slices.Contains(what, want) {
			t.Errorf("the ledger lacks %q: %v", want, what)
		}
	}
}

func TestAddressForms(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for _, c := range []struct{ kind, value string }{
		{api.Email, ""}, {api.Email, "jane"}, {api.Email, "jane@"}, {api.Email, "@example.org"}, {api.Email, "jane@example.org\r\nBcc: all@example.org"},
		{api.Email, "jane@example.org\nRCPT TO:<x@y>"}, {api.Email, "\"jane\r\nBcc: x\"@example.org"}, {api.Email, "\"j ane\"@example.org"}, {api.Email, "Jane <jane@example.org>"},
		{api.Email, "jane@example.org, x@example.org"}, {api.Email, "jane@[127.0.0.1]"}, {api.Email, "jane@example.org\x00"}, {api.Email, "jane@exa\u202emple.org"},
		{api.Email, "jane@example.org>"}, {api.Email, strings.Repeat("x", 65) + "@example.org"}, {api.Email, strings.Repeat("x", 60) + "@" + strings.Repeat("y", 250) + ".org"},
		{api.Email, phone}, {api.Phone, home}, {api.Phone, ""}, {api.Phone, "112"}, {api.Phone, "030901820"}, {api.Phone, "+0309018200"}, {api.Phone, "+49309018200000000"},
		{api.Phone, "+4930901820\n+4930901821"}, {api.Phone, "+4930901820,+4930901821"}, {api.Phone, "+49 30 CALL ME"}, {api.Phone, "tel:+4930901820"}, {api.Phone, "+4930901820;ext=1"},
	} {
		if _, p := laptop.addAddress(c.kind, c.value); codeOf(p) != api.NotPossible || strings.Contains(p.Detail, "Bcc") {
			t.Errorf("%q: %v", c.value, p)
		}
	}
	for _, kind := range []string{"", "fax", "EMAIL"} {
		_, p := laptop.addAddress(kind, home)
		wantCode(t, "kind "+kind, p, api.BadRequest)
	}
	if len(laptop.addresses()) != 0 || len(w.deliver()) != 0 {
		t.Error("something was added or sent")
	}
	for typed, want := range map[string]string{"+٤٩ ٣٠ ٩٠١٨٢٠": phone, "jürgen@bücher.example": "jürgen@bücher.example"} {
		kind := api.Phone
		if strings.Contains(typed, "@") {
			kind = api.Email
		}
		if a, p := laptop.addAddress(kind, typed); p != nil || a.Value != want {
			t.Errorf("%s: %+v, %v", typed, a, p)
		}
	}
}

// Five wrong codes end a code, however they come; a right one after its time
// is too late.
func TestAddressCodes(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	a, p := laptop.addAddress(api.Email, home)
	wantCode(t, "add", p, 0)
	code := w.codeIn(w.deliver(), home)
	wrong := laptop.wrongCode(code)
	var refused atomic.Int64
	atOnce(20, func(int) {
		if p := laptop.twin().verify(a, wrong); codeOf(p) == api.Failed {
			refused.Add(1)
		}
	})
	if refused.Load() != 20 {
		t.Errorf("%d of 20 wrong codes were refused", refused.Load())
	}
	laptop.asOwner(t, laptop.verify(a, code), "code-tries-spent")

	w.clock.advance(time.Minute)
	a, p = laptop.addAddress(api.Email, home)
	wantCode(t, "another code", p, 0)
	old := code
	code = w.codeIn(w.deliver(), home)
	if code != old { // once in a million they are the same
		laptop.asOwner(t, laptop.verify(a, old), "code-wrong")
	}
	w.clock.advance(15*time.Minute + time.Second)
	r := laptop.asOwner(t, laptop.verify(a, code), "code-late")
	wantEvidence(t, r, cause.CheckCodeAge, "15m1s")
	for _, bad := range []string{"12345", "abcdef", "1234567"} {
		wantCode(t, "code "+bad, laptop.verify(a, bad), api.BadRequest)
	}
}

// Of a code that could not be delivered the owner learns why, and nobody else.
func TestAddressUndelivered(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for i, c := range []struct{ kind, value, why string }{{api.Email, home, message.NoSuchMailbox}, {api.Phone, phone, message.RejectedNumber}, {api.Email, "second@example.com", message.TLS}} {
		w.post.failing(&message.Failure{Why: c.why, Final: i < 2})
		a, p := laptop.addAddress(c.kind, c.value)
		wantCode(t, "add", p, 0)
		none := refusedWith(t, laptop.verify(a, ""))
		if got := causes(laptop.explain(none, true)); got != "code-wrong" {
			t.Errorf("before it was tried: %s", got)
		}
		w.deliver()
		none = refusedWith(t, laptop.verify(a, ""))
		r := laptop.asOwner(t, none, "code-undelivered")
		wantEvidence(t, r, cause.CheckDelivery, c.why)
		wantEvidence(t, r, cause.CheckDeliveryKind, c.kind)
		stranger := w.machine("stranger")
		wantCauses(t, stranger.explain(none, false), cause.Anyone, "refused")
		for _, listed := range laptop.addresses() {
			if listed.ID == a.ID && (listed.Why != c.why || listed.Failed == 0) {
				t.Errorf("%+v", listed)
			}
		}
	}
	// An empty code has cost no try, and the next one that arrives is good.
	w.post.failing(nil)
	w.clock.advance(time.Minute)
	a, p := laptop.addAddress(api.Email, home)
	wantCode(t, "add", p, 0)
	wantCode(t, "verify", laptop.verify(a, w.codeIn(w.deliver(), home)), 0)
	for _, listed := range laptop.addresses() {
		if listed.ID == a.ID && (listed.Why != "" || listed.Failed != 0) {
			t.Errorf("%+v", listed)
		}
	}
}

func TestAddressLimits(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	a, p := laptop.addAddress(api.Email, home)
	wantCode(t, "add", p, 0)
	var let atomic.Int64
	atOnce(20, func(int) {
		if _, p := laptop.twin().addAddress(api.Email, home); p == nil {
			let.Add(1)
		} else if p.Code != api.TooMany {
			t.Errorf("%v", p)
		}
	})
	if let.Load() != 0 {
		t.Errorf("%d codes within a minute", let.Load())
	}
	for i := range 4 {
		w.clock.advance(time.Minute)
		_, p = laptop.addAddress(api.Email, home)
		wantCode(t, fmt.Sprint("code ", i+2), p, 0)
	}
	w.clock.advance(time.Hour)
	_, p = laptop.addAddress(api.Email, home)
	wantCode(t, "a sixth code", p, api.TooMany)
	// Removing it and adding it again leads around that limit into the account's.
	for i := range 10 {
		wantCode(t, "remove", laptop.removeAddress(a), 0)
		w.clock.advance(time.Minute)
		if a, p = laptop.addAddress(api.Email, home); p != nil {
			if i != 5 || p.Code != api.TooMany {
				t.Errorf("after %d more: %v", i, p)
			}
			break
		}
	}
	if n := len(w.deliver()); n > 10 {
		t.Errorf("%d mails in a day", n)
	}
	w.clock.advance(24 * time.Hour)
	for i := range 5 {
		_, p = laptop.addAddress(api.Email, fmt.Sprintf("home%d@example.com", i))
		wantCode(t, fmt.Sprint("address ", i), p, 0)
	}
	_, p = laptop.addAddress(api.Email, "home5@example.com")
	wantCode(t, "a sixth address", p, api.NotPossible)
}

// Whether another account has an address cannot be seen, and another account's
// addresses cannot be touched.
func TestAddressesOfOthers(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	hers := laptop.has(api.Email, home)
	joe := w.enrolled("joe@example.org", "joe's")
	taken := joe.post(api.PathAddAddress, api.AddAddress{Session: joe.in.Session, Kind: api.Email, Value: home})
	free := joe.post(api.PathAddAddress, api.AddAddress{Session: joe.in.Session, Kind: api.Email, Value: "free.home@example.com"})
	if taken.status != http.StatusOK || taken.status != free.status || !slices.Equal(slices.Sorted(maps.Keys(taken.header)), slices.Sorted(maps.Keys(free.header))) {
		t.Errorf("%d and %d", taken.status, free.status)
	}
	if a, b := bytes.ReplaceAll(taken.body, []byte(home), []byte("X")), bytes.ReplaceAll(free.body, []byte("free.home@example.com"), []byte("X")); len(a) != len(b) {
		t.Errorf("%s\n%s", a, b)
	}
	w.deliver()
	wantCode(t, "remove", joe.removeAddress(hers), api.NotPossible)
	wantCode(t, "verify", joe.verify(hers, "000000"), api.NotPossible)
	thief := w.machine("thief")
	thief.in = laptop.in
	for path, in := range map[string]any{
		api.PathAddresses: thief.signed(), api.PathAddAddress: api.AddAddress{Session: thief.in.Session, Kind: api.Email, Value: "thief@example.com"},
		api.PathVerifyAddress: api.VerifyAddress{Session: thief.in.Session, ID: hers.ID, Code: ""}, api.PathRemoveAddress: api.SignedID{Session: thief.in.Session, ID: hers.ID},
	} {
		refusedWith(t, thief.call(path, in, nil))
	}
	if got := laptop.addresses(); len(got) != 1 || len(w.deliver()) != 0 {
		t.Errorf("%v", got)
	}
}

// Everything that lowers or moves security is told to every verified address.
func TestNotices(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(api.Email, home)
	laptop.has(api.Phone, phone)
	_, p := laptop.addAddress(api.Email, "never.verified@example.com")
	wantCode(t, "add", p, 0)
	w.deliver()
	everybody := func(what, part string) {
		t.Helper()
		got := w.deliver()
		if len(got) != 2 || len(told(got, home)) != 1 || len(told(got, phone)) != 1 {
			t.Fatalf("%s: %d messages: %v", what, len(got), got)
		}
		for _, d := range got {
			if !strings.Contains(d.Body, part) || !strings.Contains(d.Body, publicURL+"/") || !strings.Contains(d.Body, jane) {
				t.Errorf("%s: %s", what, d.Body)
			}
		}
	}
	evil := w.another(laptop, jane, "visit evil.com\r\nnow")
	everybody("a new device", "visit evil comnow")
	var list api.Devices
	wantCode(t, "devices", laptop.call(api.PathDevices, laptop.signed(), &list), 0)
	for _, d := range list.Devices {
		if !d.This {
			wantCode(t, "remove", laptop.call(api.PathRemoveDevice, api.SignedID{Session: laptop.in.Session, ID: d.ID}, nil), 0)
		}
	}
	everybody("a removed device", "visit evil comnow")
	refusedWith(t, evil.refresh())
	if _, p := laptop.changePassword(jane, password, "a new one, of some length"); p != nil {
		t.Fatal(p)
	}
	everybody("a changed password", "laptop")
	wantCode(t, "sign out everywhere", laptop.call(api.PathSignOutAll, laptop.signed(), nil), 0)
	everybody("signed out everywhere", "laptop")
}

func TestNoticeOfCodesSwitchedOff(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(api.Email, home)
	thief := w.machine("thief")
	for range 7 {
		need := thief.needCode(jane, password, "")
		shown := laptop.allow(need).Code
		for range 3 {
			if p := thief.code(need, laptop.wrongCode(shown)); p == nil {
				t.Fatal("a wrong code was taken")
			}
		}
		if got := w.deliver(); len(got) > 0 {
			if len(got) != 1 || !strings.Contains(got[0].Body, "knows your password") {
				t.Fatalf("%v", got)
			}
			return
		}
	}
	t.Error("nobody was told")
}

// Where the store fails, nothing is added, and nothing is sent of it.
func TestAddressesOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	a := laptop.has(api.Email, home)
	w.store.failing.Store(true)
	_, p := laptop.addAddress(api.Phone, phone)
	wantCode(t, "add", p, api.Unavailable)
	wantCode(t, "remove", laptop.removeAddress(a), api.Unavailable)
	w.store.failing.Store(false)
	if got := laptop.addresses(); len(got) != 1 || len(w.deliver()) != 0 {
		t.Errorf("%v", got)
	}
}

// What waits survives a restart, is sent once, and lies nowhere to be read.
func TestMessagesSurviveAndStaySecret(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.post.failing(fmt.Errorf("550 %s does not like you", home))
	a, p := laptop.addAddress(api.Email, home)
	wantCode(t, "add", p, 0)
	w.deliver()
	w.post.failing(nil)
	w.restart()
	w.clock.advance(time.Minute)
	got := w.deliver()
	code := w.codeIn(got, home)
	w.restart()
	w.clock.advance(2 * time.Minute)
	if len(got) != 1 || len(w.deliver()) != 0 {
		t.Error("sent more than once")
	}
	wrong := laptop.wrongCode(code)
	refusedWith(t, laptop.verify(a, wrong))
	places := w.files()
	places["the log"], places["the errors"] = w.logs.bytes(), w.errors.bytes()
	if !bytes.Contains(bytes.Join([][]byte{places["readmit.db"], places["readmit.db-wal"]}, nil), []byte(message.AddressCode)) || !bytes.Contains(places["the log"], []byte("message not delivered")) {
		t.Fatal("nothing was searched")
	}
	for place, in := range places {
		// The bare digits could be part of anything; with what stands around them
		// in the message they could not.
		for _, planted := range []string{"\n" + code + "\n", `"` + code + `"`, "=" + code, "confirms it", "does not like you"} {
			if bytes.Contains(in, []byte(planted)) {
				t.Errorf("%q is in %s", planted, place)
			}
		}
	}
	if bytes.Contains(places["the log"], []byte(home)) || bytes.Contains(places["the log"], []byte(code)) {
		t.Error("the log tells address or code")
	}
	wantCode(t, "verify", laptop.verify(a, code), 0)
}

func TestNoSenders(t *testing.T) {
	w := &world{t: t, stretches: newStretches(), dir: t.TempDir(), clock: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, logs: &logBuffer{}, errors: &logBuffer{}, post: &postbox{none: true}}
	w.start()
	defer w.store.Close()
	defer w.follow()
	laptop := w.enrolled(jane, "laptop")
	for kind, value := range map[string]string{api.Email: home, api.Phone: phone} {
		_, p := laptop.addAddress(kind, value)
		wantCode(t, kind, p, api.NotPossible)
		if p != nil && !strings.Contains(p.Detail, "whoever runs it") {
			t.Errorf("%v", p)
		}
	}
	var out api.Addresses
	wantCode(t, "addresses", laptop.call(api.PathAddresses, laptop.signed(), &out), 0)
	if len(out.Addresses) != 0 || len(out.Kinds) != 0 {
		t.Errorf("%+v", out)
	}
}

func TestMessageMetrics(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.post.failing(&message.Failure{Why: message.PutOff})
	_, p := laptop.addAddress(api.Email, home)
	wantCode(t, "add", p, 0)
	w.deliver()
	families, err := w.server.Registry().Gather()
	must(t, err)
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "readmit_messages_waiting":
				found["waiting"] = m.GetGauge().GetValue()
			case "readmit_messages_total":
				found[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if found["waiting"] != 1 || found["email failed"] != 1 || len(found) != 2 {
		t.Errorf("%v", found)
	}
}
