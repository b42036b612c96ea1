package message

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/store"
)

const public = "https://id.example.org"

// kinds are all kinds with the values that message.go says they need.
var kinds = map[string]string{
	AddressCode: "code", RecoveryCode: "code", Identifiers: "accounts", NewDevice: "device from", PasswordChanged: "device",
	DeviceRemoved: "device by", SignedOut: "device", RecoveryBegun: "device from opens word", RecoveryCancelled: "by",
	RecoveryFinished: "device from", RecoveryCodesMade: "device", FactorDisabled: "", FactorRemoved: "agent",
	AddressAdded: "address device", AddressRemoved: "address device", PasskeyAdded: "passkey device", PasskeyRemoved: "passkey device",
	PasskeyCounter: "passkey", AccountClosed: "device", Exported: "device", DeskAsked: "agent reference", DeskFound: "agent", DeskLooked: "agent reference",
	DeskActed: "agent reference",
}

// longest is the longest good value of each name.
var longest = map[string]string{
	"code": "123456", "word": strings.Repeat("long word ", 6) + "end", "reference": "4K7Q-9FXM",
	"account": mailbox, "accounts": strings.Repeat(mailbox+"\n", 19) + mailbox, "agent": mailbox, "address": "x***@" + strings.Repeat("d", 240) + ".org",
	"device": strings.Repeat("ﷺ", 40), "passkey": strings.Repeat("ﷺ", 40), "by": strings.Repeat("ﷺ", 40),
	"from": "2001:db8:1111:2222:3333:4444:5555:6666", "when": "2026-03-01T12:00:00Z", "opens": "2026-03-02T12:00:00Z",
}

var mailbox = strings.Repeat("m", 60) + "@" + strings.Repeat(strings.Repeat("d", 45)+".", 4) + "org"

// of are the values of a kind, and those that are always there.
func of(kind string) map[string]string {
	with := map[string]string{"account": longest["account"], "when": longest["when"]}
	for _, k := range strings.Fields(kinds[kind]) {
		with[k] = longest[k]
	}
	return with
}

// Our own words for who did a thing are each language's: "by who began it" in
// the middle of a German sentence is nobody's.
func TestNamesInEveryLanguage(t *testing.T) {
	english := names()["en"]
	if len(names()) != len(Languages) || !slices.Equal(slices.Sorted(maps.Keys(english)), []string{local, WhoHasWord, WhoBegan, unnamed}) {
		t.Fatalf("%v", names())
	}
	for _, l := range Languages {
		for _, channel := range []string{store.Email, store.Phone} {
			for _, who := range []string{WhoHasWord, WhoBegan} {
				with := map[string]string{"account": mailbox, "when": longest["when"], "whom": who}
				_, body, err := write(l, RecoveryCancelled, channel, public, with)
				if err != nil || !strings.Contains(body, names()[l][who]) || names()[l][who] == "" || strings.Contains(body, who) {
					t.Errorf("%s, %s, %s: %q, %v", l, channel, who, body, err)
				}
			}
		}
		with := map[string]string{"account": mailbox, "when": longest["when"], "device": "...", "from": "@"}
		_, body, err := write(l, NewDevice, store.Email, public, with)
		if err != nil || !strings.Contains(body, names()[l][unnamed]) || !strings.Contains(body, names()[l][local]) {
			t.Errorf("%s: %q, %v", l, body, err)
		}
		for who, words := range names()[l] {
			if l != "en" && (words == english[who] || strings.Contains(body, english[who])) {
				t.Errorf("%s: %s is not translated", l, who)
			}
		}
	}
	if _, _, err := write("en", RecoveryCancelled, store.Email, public, map[string]string{"account": mailbox, "when": longest["when"], "whom": "somebody"}); err == nil {
		t.Error("a word that is not on the list is written")
	}
}

func TestEveryKindInEveryLanguage(t *testing.T) {
	for _, l := range Languages {
		if have, want := slices.Sorted(maps.Keys(catalogue()[l])), slices.Sorted(maps.Keys(kinds)); !slices.Equal(have, want) {
			t.Errorf("%s has %v, want %v", l, have, want)
		}
	}
	for kind, needs := range kinds {
		english := catalogue()["en"][kind]
		for _, l := range Languages {
			w := catalogue()[l][kind]
			if w.Subject == "" || len(w.Mail) < 2 || (w.SMS == "") != (kind == Identifiers) {
				t.Errorf("%s, %s: something is missing", l, kind)
			}
			if l != "en" && (w.Subject == english.Subject || slices.Equal(w.Mail, english.Mail)) {
				t.Errorf("%s, %s is not translated", l, kind)
			}
			if strings.Contains(w.Subject, "{") {
				t.Errorf("%s, %s: a value in the subject", l, kind)
			}
			mail := strings.Join(w.Mail, "\n")
			if got, want := named(mail), named(strings.Join(english.Mail, "\n")); !slices.Equal(got, want) {
				t.Errorf("%s, %s: the mail holds %v, the English one %v", l, kind, got, want)
			}
			if got, want := named(w.SMS), named(english.SMS); !slices.Equal(got, want) {
				t.Errorf("%s, %s: the SMS holds %v, the English one %v", l, kind, got, want)
			}
			for _, v := range strings.Fields(needs) {
				if !strings.Contains(mail, "{"+v+"}") {
					t.Errorf("%s, %s: the mail does not tell the %s", l, kind, v)
				}
			}
			if kind != AddressCode && kind != Identifiers && !strings.Contains(mail, "{account}") {
				t.Errorf("%s, %s: the mail does not tell the account", l, kind)
			}
			// What to do where it was somebody else.
			if kind != RecoveryCancelled && kind != AccountClosed && !strings.Contains(mail, "{url}") {
				t.Errorf("%s, %s: the mail does not say where to go", l, kind)
			}
		}
	}
}

func named(text string) []string {
	all := placeholder().FindAllString(text, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

func TestLongestFits(t *testing.T) {
	o := outbox(t, nil)
	for kind := range kinds {
		for _, l := range Languages {
			for _, channel := range []string{store.Email, store.Phone} {
				if channel == store.Phone && kind == Identifiers {
					continue
				}
				to := store.Address{Kind: channel, Value: mailbox, Language: l}
				err := o.Store.Update(t.Context(), func(tx store.Tx) error {
					return o.Queue(tx, store.Subject{ID: store.ID{1}, Identifier: mailbox}, to, kind, of(kind))
				})
				if err != nil {
					t.Errorf("%s, %s, %s: %v", kind, l, channel, err)
				}
			}
		}
	}
}

var link = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s\x{2068}\x{2069}]*|\bwww\.\S+|\b[a-z0-9-]+\.(com|net)\b\S*|\bevil\.\S*|\b[a-z]+:[a-z]\S*`)

// What others choose must bring no link, no line and nothing that turns the
// text around.
func TestPoisonedValues(t *testing.T) {
	poison := []string{
		"http://evil.example/", "visit evil.com now", "www.evil.net", "x\r\nBcc: all@evil.com", "x\n\n{url}{code}", "{word}", "mailto:me@evil.com",
		"a\u202egro.live", "a\u2068b", "\x1b[2Jx", "\x00", "evil．com", "evil。com", "\u200f\u200e", strings.Repeat("x", 5000), "javascript:alert(1)", "<a href=x>",
	}
	for _, p := range poison {
		for kind := range kinds {
			for _, l := range Languages {
				with := map[string]string{"account": "jane@example.org", "when": longest["when"]}
				for _, k := range strings.Fields(kinds[kind]) {
					with[k] = longest[k]
					if slices.Contains([]string{"device", "passkey", "by", "from"}, k) {
						with[k] = p
					}
					if k == "agent" || k == "accounts" || k == "address" {
						with[k] = "j***@example.org"
					}
				}
				for _, channel := range []string{store.Email, store.Phone} {
					if channel == store.Phone && kind == Identifiers {
						continue
					}
					_, body, err := write(l, kind, channel, public, with)
					if err != nil {
						t.Fatalf("%s: %v", kind, err)
					}
					for _, found := range link.FindAllString(body, -1) {
						if !strings.HasPrefix(found, public) {
							t.Errorf("%s in %s with %q links to %q", kind, l, p, found)
						}
					}
					clean := with
					clean["device"], clean["passkey"], clean["by"], clean["from"] = "x", "x", "x", "x"
					_, plain, err := write(l, kind, channel, public, clean)
					if err != nil || strings.Count(body, "\n") != strings.Count(plain, "\n") {
						t.Errorf("%s in %s: %q brings lines", kind, l, p)
					}
					if strings.ContainsAny(body, "\r\x1b\x00\u202e\u200f\u200e．。<") || strings.Count(body, "\u2068") != strings.Count(body, "\u2069") {
						t.Errorf("%s in %s: %q comes through", kind, l, p)
					}
				}
			}
		}
	}
}

func TestValuesOfOtherFormsAreRefused(t *testing.T) {
	for name, list := range map[string][]string{
		"code":      {"", "12 34", "12345\n6", "<1>", strings.Repeat("1", 41)},
		"word":      {"", "a\nb", "http://x", "{url}"},
		"reference": {"", "4K7Q", "4K7Q-9FX\n", "4k7q-9fxm"},
		"account":   {""},
		"accounts":  {"", "jane@example.org\n\nx"},
		"address":   {"", "jane@example.org"},
		"when":      {"", "now", "2026-03-01"},
		"nothing":   {"x"},
	} {
		for _, v := range list {
			if out, err := clean(map[string]string{name: v}); err == nil {
				t.Errorf("%s takes %q as %q", name, v, out[name])
			}
		}
	}
	if _, _, err := write("en", "no-such-kind", store.Email, public, nil); err == nil {
		t.Error("there is a text of no kind")
	}
	if _, _, err := write("en", AddressCode, store.Email, public, nil); err == nil {
		t.Error("a text without its code")
	}
}

// Whatever an account or an address is called, its owner is told.
func TestIdentifiersAreShown(t *testing.T) {
	for in, want := range map[string]string{
		"jane@example.org": "jane@example.org", "a/b@example.org": "a?b@example.org", "jane@[127.0.0.1]": "jane@?127.0.0.1?", "{url}@example.org": "{url}@example.org",
		"jane@example.org\nBcc: x": "jane@example.org?Bcc??x", "http://evil.com/@x": "http???evil.com?@x", "a\u202eb@x": "a?b@x", "жук@пример.рф": "жук@пример.рф",
		strings.Repeat("x", 300): strings.Repeat("x", 254),
	} {
		if got, ok := identifier(in); got != want || !ok {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
	for _, local := range ".!#$%&'*+/=?^_`{|}~-é" {
		value := string(local) + "x@example.org"
		if _, _, err := write("en", AddressAdded, store.Email, public, map[string]string{"account": value, "address": Masked(store.Email, value), "device": "", "when": longest["when"]}); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// The link that stops a recovery is the configured address, with the word where
// no server sees it, whole in every language.
func TestStopLink(t *testing.T) {
	with := of(RecoveryBegun)
	with["word"] = "8ZK2-9Q4M-XT7B-0RWD"
	for _, l := range Languages {
		for _, channel := range []string{store.Email, store.Phone} {
			_, body, err := write(l, RecoveryBegun, channel, public, with)
			if err != nil || !slices.Contains(strings.Fields(body), public+"/recover#stop="+with["word"]) {
				t.Errorf("%s, %s: %v, %q", l, channel, err, body)
			}
		}
	}
}

func TestMasked(t *testing.T) {
	for in, want := range map[[2]string]string{
		{store.Email, "jane@example.org"}: "j***@example.org", {store.Email, "жук@example.org"}: "ж***@example.org",
		{store.Phone, "+4930901820"}: "+49***20",
	} {
		got := Masked(in[0], in[1])
		if got != want {
			t.Errorf("%s is masked as %s, want %s", in[1], got, want)
		}
		if _, ok := masked(got); !ok {
			t.Errorf("%s cannot be told", got)
		}
	}
}

func TestLanguage(t *testing.T) {
	for asked, want := range map[string]string{"": "en", "de": "de", "de-AT": "de", "AR": "ar", "fr": "en", "../de": "en"} {
		if got := Language(asked); got != want {
			t.Errorf("%q is answered in %s, want %s", asked, got, want)
		}
	}
}

// Every reason is a word that evidence can hold.
func TestReasonsAreEvidence(t *testing.T) {
	for _, why := range Reasons {
		facts := Evidence(store.Address{Kind: store.Phone, Failed: start, FailedWhy: why})
		if len(facts) != 3 || facts[0].Check() != cause.CheckDelivery || facts[0].Got() != why {
			t.Errorf("%s: %v", why, facts)
		}
		if c := cause.Find(facts); len(c) == 0 || c[0].Cause != "code-undelivered" {
			t.Errorf("%s shows %v", why, c)
		}
	}
	if Evidence(store.Address{Kind: store.Email}) != nil {
		t.Error("evidence of nothing")
	}
}
