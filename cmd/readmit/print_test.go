package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "",
		"Jane's laptop":                  "Jane's laptop",
		"Žofie's Rechner 電腦 😀":           "Žofie's Rechner 電腦 😀",
		"two\nlines":                     "two\nlines",
		"\x1b[31mred\x1b[0m":             "[31mred[0m",
		"\x1b]0;title\a":                 "]0;title",
		"back\b\bspace\r\x7f":            "backspace",
		"nul\x00tab\t":                   "nultab",
		"c1 \u009b31m \u0085":            "c1 31m ",
		"turn \u202egnirts\u202c around": "turn gnirts around",
		"\u2066iso\u2069 \u200e\u200f":   "iso ",
		"zero\u200bwidth\ufeff":          "zerowidth",
		"line\u2028par\u2029":            "linepar",
		"tag \U000e0041":                 "tag ",
		"broken \xff\xfe":                "broken \ufffd\ufffd",
		"private \ue000":                 "private ",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31m\u202eplain\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		for _, r := range got {
			if r != '\n' && (!unicode.IsGraphic(r) || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
				t.Errorf("clean(%q) leaves %q", s, r)
			}
		}
		if !utf8.ValidString(got) || clean(got) != got {
			t.Errorf("clean(%q) = %q", s, got)
		}
	})
}

// readBack gives a command line to a shell and returns the words it sees.
func readBack(t testing.TB, line string) []string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `printf '%s\000' `+line).Output()
	if err != nil {
		t.Fatalf("sh does not take %q: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestCommand(t *testing.T) {
	for _, argv := range [][]string{
		{"readmit", "sign-in", "--server", "https://id.example.org:8443", "--account", "jane+work@example.org"},
		{"", "'", "''", `"`, `\`, `\\'`, "a b", " ", "two\nlines", "$HOME", "`id`", "$(id)", "!x", "*", "?", "[a]", "~", "#", ";", "&", "|", "<", ">", "(", ")", "{a,b}", "a=b", "-n", "--", "%s", "ž"},
		{"o'neill@example.org", "'; rm -rf x; '"},
	} {
		if got := readBack(t, command(argv)); !slices.Equal(got, argv) {
			t.Errorf("%q is read back as %q", argv, got)
		}
	}
	if got, want := command([]string{"readmit", "sign-in", "--account", "jane@example.org"}), "readmit sign-in --account jane@example.org"; got != want {
		t.Errorf("command = %q: what needs no quotes has none", got)
	}
}

// TestCommandReadsBack: whatever an account or a server is called, the shell
// sees it as one word and runs nothing of it.
func TestCommandReadsBack(t *testing.T) {
	hostile := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("'\"\\$`!*?~#;&|<>(){}[] \n\t\r=-%a\x1b\u202e")), rapid.Rune()))
	rapid.Check(t, func(rt *rapid.T) {
		argv := rapid.SliceOfN(hostile, 1, 8).Draw(rt, "argv")
		want := make([]string, len(argv))
		for i, a := range argv {
			want[i] = clean(a)
		}
		if got := readBack(t, command(argv)); !slices.Equal(got, want) {
			rt.Errorf("%q is read back as %q", argv, got)
		}
	})
}

// The device that a remedy names is the one of its own evidence.
func TestNaming(t *testing.T) {
	words := map[string]string{"account": "jane@example.org"}
	locked := cause.Finding{Evidence: []cause.Fact{cause.Note(cause.CheckOwnDeviceName, cause.Value{}, cause.Name("phone"), cause.ByServer)}}
	argv := []string{"readmit", "devices", "end", "{device}", "{account}"}
	for _, c := range []struct {
		words map[string]string
		of    cause.Finding
		want  string
	}{{words, locked, "phone jane@example.org"}, {words, cause.Finding{}, "DEVICE jane@example.org"}, {nil, locked, "phone ACCOUNT"}} {
		if got := strings.Join(fill(argv, naming(c.words, c.of))[3:], " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if len(words) != 1 {
		t.Error("naming changes what it was given")
	}
}

func TestFill(t *testing.T) {
	words := map[string]string{"server": "https://id.example.org", "account": "jane@example.org", "evil": "{server}"}
	for _, c := range []struct{ in, want []string }{
		{nil, []string{}},
		{[]string{"readmit", "sign-in", "--server", "{server}", "--account", "{account}"}, []string{"readmit", "sign-in", "--server", "https://id.example.org", "--account", "jane@example.org"}},
		{[]string{"readmit", "explain", "{reference}"}, []string{"readmit", "explain", "REFERENCE"}},
		{[]string{"{evil}"}, []string{"{server}"}}, // filled once
		{[]string{"x{server}"}, []string{"x{server}"}},
	} {
		if got := fill(c.in, words); !slices.Equal(got, c.want) {
			t.Errorf("fill(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	argv := []string{"{server}"}
	fill(argv, words)
	if argv[0] != "{server}" {
		t.Error("fill changes what it was given")
	}
	// Every word that a remedy of the table has is one that is filled.
	for _, row := range cause.Table() {
		for _, r := range row.Remedies {
			for _, a := range r.Argv {
				if strings.ContainsAny(a, "{}") && !slices.Contains([]string{"{server}", "{account}", "{device}", "{reference}"}, a) {
					t.Errorf("%s: nothing fills %s", row.Code, a)
				}
			}
		}
	}
}

func TestWhen(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for ago, want := range map[time.Duration]string{
		0: "0 s ago", 59 * time.Second: "59 s ago", time.Minute: "1 min ago", time.Hour - time.Second: "59 min ago",
		time.Hour: "1 h ago", 24*time.Hour - time.Second: "23 h ago", 24 * time.Hour: "2026-02-28 12:00", -time.Second: "2026-03-01 12:00:01",
		-48 * time.Hour: "2026-03-03 12:00:00",
	} {
		if got := when(now.Add(-ago).Unix(), now); got != want {
			t.Errorf("%s ago: %q, want %q", ago, got, want)
		}
	}
	if got := when(now.Unix(), now.Add(59*time.Second+600*time.Millisecond)); got != "1 min ago" {
		t.Errorf("59.6 s ago: %q", got)
	}
	for _, never := range []int64{0, -1} {
		if got := when(never, now); got != "-" {
			t.Errorf("when(%d) = %q", never, got)
		}
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	table(&out, []string{"ID", "DEVICE", "STATE"}, []string{"1", "two\nlines", ""}, []string{"22", "\x1b[2Jx", "y"})
	if got, want := out.String(), "ID  DEVICE     STATE\n1   two lines  \n22  [2Jx       y\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFail: what an error says, with which code, and that nothing of it is
// obeyed by a terminal.
func TestFail(t *testing.T) {
	refused := &agent.RefusedError{What: "sign-in", Reference: "ABCD-EFGH", Public: "refused"}
	outdated := &agent.RefusedError{What: "sign-in", Reference: "ABCD-EFGH", Public: "client-outdated", Title: "This client is too old"}
	for _, c := range []struct {
		err  error
		code int
		says []string
	}{
		{nil, fine, nil},
		{exitError{code: needPerson}, needPerson, nil},
		{errors.New("some \x1b[31mtrouble"), failed, []string{"readmit: some [31mtrouble"}},
		{refused, failed, []string{"readmit: sign-in failed (4001)", "incident: ABCD-EFGH", "hint: on a device that is signed in to this account, run: readmit explain ABCD-EFGH"}},
		{outdated, failed, []string{"readmit: sign-in failed (4001)", "incident: ABCD-EFGH", "hint: This client is too old; run: readmit explain ABCD-EFGH"}},
		{errors.Join(refused, errors.New("disk full")), failed, []string{"readmit: sign-in failed (4001)", "incident: ABCD-EFGH", "hint: on a device that is signed in to this account, run: readmit explain ABCD-EFGH"}},
		{&api.Problem{Code: api.Unavailable, Title: "x"}, unchecked, []string{"readmit: the account server cannot do its work now; your password was not checked", "hint: it is not you: try again in a few minutes, or run: readmit doctor"}},
		{&api.Problem{Code: api.TooMany, Title: "too many"}, unchecked, []string{"readmit: too many", "hint: wait a minute and try again"}},
		{&api.Problem{Code: api.StaleProof, Title: "stale"}, unchecked, []string{"readmit: stale", "hint: run the command again"}},
		{&api.Problem{Code: 4040, Title: "no such thing", Detail: "look elsewhere"}, failed, []string{"readmit: no such thing: look elsewhere"}},
		{&agent.UnreachableError{Server: "https://id.example.org", Why: agent.TimedOut}, unchecked, []string{"readmit: the account server https://id.example.org cannot be reached (timed-out)", "hint: nothing was checked; to find out why, run: readmit doctor --server https://id.example.org"}},
		{&agent.AddressError{Typed: "https://a.example.org", Public: "https://b.example.org"}, misused, []string{`readmit: the account server at https://a.example.org has the public address "https://b.example.org": use that one`, "hint: say --server https://b.example.org"}},
		{&agent.StateError{File: "session.json", Problem: agent.Malformed}, failed, []string{"readmit: this device's state is damaged: session.json is malformed", "hint: run: readmit doctor --fix"}},
		{&agent.StateError{File: "session.json", Problem: agent.Newer}, failed, []string{"readmit: this device's state was written by a newer readmit: session.json", "hint: a newer readmit wrote it: update this program, or use that one; this one changes nothing"}},
		{agent.ErrNotEnrolled, needPerson, []string{"readmit: this device is not enrolled for an account", "hint: run: readmit sign-in --server URL --account ID"}},
		{agent.ErrNotSignedIn, needPerson, []string{"readmit: this device is not signed in", "hint: run: readmit sign-in"}},
		{agent.ErrNoAttempt, needPerson, []string{"readmit: no sign-in on this device waits for a code", "hint: begin one: readmit sign-in"}},
		{agent.ErrCodeForm, misused, []string{"readmit: a code is six digits, such as 123456; nothing was sent", "hint: the sign-in still waits: readmit sign-in --code DIGITS"}},
	} {
		for _, asJSON := range []bool{false, true} {
			var out, stderr bytes.Buffer
			home := t.TempDir()
			e := &env{stdin: strings.NewReader(""), stdout: &out, stderr: &stderr, json: asJSON, getenv: func(name string) string {
				if name == "READMIT_HOME" {
					return home
				}
				return ""
			}}
			code := e.fail(c.err)
			if code != c.code || out.Len() > 0 || strings.Contains(stderr.String(), "\x1b") {
				t.Errorf("%v: exit code %d: %q", c.err, code, &stderr)
			}
			switch {
			case c.says == nil:
				if stderr.Len() > 0 {
					t.Errorf("%v: %q", c.err, &stderr)
				}
			case asJSON:
				told := oneObject(t, stderr.String())
				if (told.Code == api.Failed) != strings.Contains(c.says[0], "4001") || told.Hint != "" != (len(c.says) > 1) {
					t.Errorf("%v: %+v", c.err, told)
				}
			default:
				if got := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n"); !slices.Equal(got, c.says) {
					t.Errorf("%v: %q, want %q", c.err, got, c.says)
				}
			}
		}
	}
}

// TestData: JSON is told as it is, and one value a line.
func TestData(t *testing.T) {
	var out bytes.Buffer
	e := &env{stdout: &out, json: true}
	if err := e.data(map[string]string{"name": "<Jane & \u202e>"}, nil); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != "<Jane & \u202e>" || strings.Contains(out.String(), `\u003c`) {
		t.Errorf("%s, %v", &out, err)
	}
}
