package server_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/opaque"
)

// posts are the paths of signed calls.
var posts = []string{
	api.PathSignUpStart, api.PathSignUpFinish, api.PathSignInStart, api.PathSignInFinish, api.PathSignInCode, api.PathToken,
	api.PathSession, api.PathSignOut, api.PathRequests, api.PathAllow, api.PathDeny, api.PathPass, api.PathDevices,
	api.PathRemoveDevice, api.PathActivity, api.PathMine, api.PathPasswordStart, api.PathPasswordFinish, api.PathExplain,
	api.PathSignOutAll, api.PathEvents,
	api.PathAddresses, api.PathAddAddress, api.PathVerifyAddress, api.PathRemoveAddress,
	api.PathPasskeys, api.PathAddPasskeyStart, api.PathAddPasskeyFinish, api.PathRemovePasskey,
	api.PathSecondPasskeyStart, api.PathSecondPasskeyFinish, api.PathPasskeyStart, api.PathPasskeyFinish,
	api.PathEndDevice,
	api.PathRecoveryStart, api.PathRecoveryStatus, api.PathRecoverySend, api.PathRecoveryProve, api.PathRecoveryPasswordStart,
	api.PathRecoveryPasswordFinish, api.PathRecoveryGiveUp, api.PathRecoveryCancel, api.PathRecoveryIdentifier, api.PathRecoveries, api.PathRecoveriesApprove,
	api.PathRecoveriesCancel, api.PathRecoveryCodes, api.PathRecoveryCodeCount, api.PathExport, api.PathClose,
	api.PathReceipts, api.PathApprovals, api.PathApprovalsGive, api.PathApprovalsRevoke,
	api.PathDesk, api.PathDeskAccount, api.PathDeskAsk, api.PathDeskExplain, api.PathDeskAct, api.PathDeskAgree,
}

var gets = []string{api.PathHello, api.PathWhoAmI, api.PathKeys, api.PathHealth, api.PathReady, api.PathCauses + "refused", "/", "/account", "/help/4001"}

// TestPostsAreAll: what holds for every path is tried on every path.
func TestPostsAreAll(t *testing.T) {
	files, err := filepath.Glob("../api/*.go")
	must(t, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?m)^\tPath\w+ += "(/v1/[^"]+)"`).FindAllStringSubmatch(string(b), -1) {
			if !slices.Contains(posts, m[1]) && !slices.Contains(gets, m[1]) {
				t.Errorf("%s is not among the paths that are tried", m[1])
			}
		}
	}
}

func TestWrongMethods(t *testing.T) {
	w := newWorld(t)
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "BREW"}
	for _, path := range slices.Concat(posts, gets) {
		allowed := []string{http.MethodPost}
		if slices.Contains(gets, path) {
			allowed = []string{http.MethodGet, http.MethodHead}
		}
		for _, method := range methods {
			if slices.Contains(allowed, method) {
				continue
			}
			a := w.serve(w.public, httptest.NewRequest(method, path, nil))
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != strings.Join(allowed, ", ") {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
			wantCode(t, method+" "+path, a.problem(t), api.BadRequest)
		}
	}
	for _, path := range []string{"/nothing", "/v1", "/v1/", "/v1/nothing", "/v1/token/", "/admin/invite", "/metrics", "/.well-known/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := w.serve(w.public, httptest.NewRequest(method, path, nil))
			if a.status != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, path, a.status)
			}
			wantCode(t, method+" "+path, a.problem(t), api.BadRequest)
		}
	}
	if a := w.get(api.PathCauses + "no-such-cause"); a.status != http.StatusNotFound {
		t.Errorf("page of no cause: %d", a.status)
	}
}

func TestMalformedMessages(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for _, path := range posts {
		for what, body := range map[string]string{
			"nothing":         "",
			"half a value":    `{"session":"`,
			"not an object":   `[]`,
			"a string":        `"hello"`,
			"an unknown key":  `{"surprise":true}`,
			"a wrong type":    `{"session":{},"account":7,"state":false,"attempt":[],"incident":1,"grant":1}`,
			"two values":      `{} {}`,
			"a brace after":   `{}}`,
			"not UTF-8":       "{\"session\":\"\xff\xfe\",\"account\":\"\xff\"}",
			"deep":            strings.Repeat("[", 8000) + strings.Repeat("]", 8000),
			"base64 of pads":  `{"ke1":"AA==","record":"AA==","request":"AA==","state":"AA==","ke3":"AA==","grant":"AA=="}`,
			"short hex":       `{"session":"00"}`,
			"long hex":        `{"session":"` + strings.Repeat("0", 33) + `"}`,
			"hex that is not": `{"session":"` + strings.Repeat("g", 32) + `"}`,
		} {
			a := w.serve(w.public, laptop.sign(path, []byte(body)))
			p := a.problem(t)
			// Where all that is asked for may be left out, nothing is malformed.
			if codeOf(p) != api.BadRequest && codeOf(p) != api.NotPossible || a.status >= 500 {
				t.Errorf("%s with %s: %d %.200s", path, what, a.status, a.body)
			}
		}
	}
}

func TestWrongLengths(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	identity, ones := make([]byte, 32), []byte(strings.Repeat("\xff", 400))
	long := strings.Repeat("x", 8000)
	client := laptop.client()
	wide := client
	wide.System, wide.Name, wide.SystemVersion, wide.Version = long[:3000], long[:3000], long[:3000], long[:3000]
	_, ke1, err := opaque.StartLogin([]byte(password))
	must(t, err)
	start := api.SignInStart{Account: jane, Purpose: api.ForSignIn, KE1: ke1, Client: client}
	bad := map[string]struct {
		path string
		in   any
	}{
		"short KE1":              {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.KE1 = ke1[:95] })},
		"long KE1":               {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.KE1 = append(ke1[:96:96], 0) })},
		"KE1 of the identity":    {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.KE1 = append(identity[:32:32], ke1[32:]...) })},
		"share of the identity":  {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.KE1 = append(ke1[:64:64], identity...) })},
		"KE1 not canonical":      {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.KE1 = ones[:96] })},
		"unknown purpose":        {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.Purpose = "other" })},
		"no purpose":             {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.Purpose = "" })},
		"long identifier":        {api.PathSignInStart, with(start, func(s *api.SignInStart) { s.Account = long })},
		"random state":           {api.PathSignInFinish, api.SignInFinish{State: ones, KE3: ones[:64]}},
		"no state":               {api.PathSignInFinish, api.SignInFinish{}},
		"attempt of no form":     {api.PathSignInCode, api.SignInCode{Attempt: long, Code: "123456"}},
		"code of five digits":    {api.PathSignInCode, api.SignInCode{Attempt: strings.Repeat("0", 32), Code: "12345"}},
		"code of other digits":   {api.PathSignInCode, api.SignInCode{Attempt: strings.Repeat("0", 32), Code: "١٢٣٤٥٦"}},
		"long code":              {api.PathSignInCode, api.SignInCode{Attempt: strings.Repeat("0", 32), Code: long}},
		"registration, identity": {api.PathSignUpStart, api.SignUpStart{Account: "new@example.org", Request: identity, Client: client}},
		"registration, short":    {api.PathSignUpStart, api.SignUpStart{Account: "new@example.org", Request: ke1[:31], Client: client}},
		"record, short":          {api.PathSignUpFinish, api.SignUpFinish{Account: "new@example.org", Record: ones[:191], Stretch: wire(cheap), Client: client}},
		"record, not canonical":  {api.PathSignUpFinish, api.SignUpFinish{Account: "new@example.org", Record: ones[:192], Stretch: wire(cheap), Client: client}},
		"stretch, cheap":         {api.PathSignUpFinish, api.SignUpFinish{Account: "new@example.org", Record: append(ke1[:32:32], make([]byte, 160)...), Client: client}},
		"stretch, dear":          {api.PathSignUpFinish, api.SignUpFinish{Account: "new@example.org", Record: append(ke1[:32:32], make([]byte, 160)...), Stretch: api.Stretch{Memory: 1 << 31, Time: 3, Threads: 4}, Client: client}},
		"grant of no form":       {api.PathPasswordStart, api.PasswordStart{Grant: ones, Request: ke1[:32]}},
		"long audience":          {api.PathToken, api.TokenRequest{Session: laptop.in.Session, Audience: long}},
	}
	for what, b := range bad {
		a := laptop.post(b.path, b.in)
		if p := a.problem(t); codeOf(p) != api.BadRequest && codeOf(p) != api.NotPossible {
			t.Errorf("%s: %d %.200s", what, a.status, a.body)
		}
	}
	// What a client says of itself is cut down, and no reason to refuse.
	phone := w.machine("phone")
	start = api.SignInStart{Account: jane, Purpose: api.ForSignIn, KE1: ke1, Client: wide, DeviceName: "\x1b[2J" + long[:3000]}
	wide.System = "\x1b[2J linux\n"
	for _, c := range []api.Client{start.Client, wide} {
		start.Client = c
		body, err := json.Marshal(start)
		must(t, err)
		if a := w.serve(w.public, phone.sign(api.PathSignInStart, body)); a.status != http.StatusOK {
			t.Errorf("a client with much to say of itself: %d %.200s", a.status, a.body)
		}
	}
}

func with[T any](v T, f func(*T)) T {
	f(&v)
	return v
}

// TestNothingUncleanIsShown: what a stranger's device says of itself reaches
// the owner's terminal without anything that a terminal acts on.
func TestNothingUncleanIsShown(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("\x1b]0;owned\a phone")
	login, ke1, err := opaque.StartLogin([]byte(password))
	must(t, err)
	client := api.Client{Name: "\x1b[31mreadmit\r\n", Version: "1\x1b", System: "li\x1b[2Jnux\n\u202e", SystemVersion: "6\n1", Protocol: 1}
	try := &try{m: phone, login: login, account: jane, pass: password}
	p := phone.call(api.PathSignInStart, api.SignInStart{Account: jane, Purpose: api.ForSignIn, KE1: ke1, DeviceName: phone.name, Client: client}, &try.started)
	wantCode(t, "start", p, 0)
	out, p := try.finish()
	if p != nil || out.Code == nil {
		t.Fatal(p)
	}
	var list api.Requests
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), &list), 0)
	r := list.Requests[0]
	wantCode(t, "code", phone.code(out.Code, laptop.allow(out.Code).Code), 0)
	var devices api.Devices
	wantCode(t, "devices", laptop.call(api.PathDevices, laptop.signed(), &devices), 0)
	shown := []string{r.Name, r.System, r.Client}
	for _, d := range devices.Devices {
		shown = append(shown, d.Name, d.System)
	}
	for _, a := range w.activity(jane) {
		shown = append(shown, a.Device, a.Client)
	}
	for _, s := range shown {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
			t.Errorf("shown unclean: %q", s)
		}
	}
}

func TestLongBodyAndAbsurdHeaders(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for _, size := range []int{16<<10 + 1, 1 << 20} {
		a := w.serve(w.public, laptop.sign(api.PathToken, []byte(strings.Repeat(" ", size))))
		if a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("a body of %d bytes: %d", size, a.status)
		}
		wantCode(t, "a long body", a.problem(t), api.BadRequest)
	}
	body := []byte(`{"session":"` + laptop.in.Session + `"}`)
	good := laptop.sign(api.PathToken, body).Header.Get(api.HeaderProof)
	for what, proof := range map[string]string{
		"none": "", "not a JWS": "hello", "dots": "..", "huge": strings.Repeat("A", 1<<16),
		"cut off": good[:len(good)-10], "two": good + ", " + good, "with zeros": "\x00\x00", "of another scheme": "DPoP " + good,
	} {
		a := w.serve(w.public, request(api.PathToken, proof, body))
		if a.status != http.StatusUnauthorized {
			t.Errorf("proof %s: %d", what, a.status)
		}
		wantCode(t, "proof "+what, a.problem(t), api.BadRequest)
	}
	for what, nonce := range map[string]string{"none": "", "made up": "AAAA", "long": strings.Repeat("A", 3000)} {
		proof, err := laptop.key.Sign(device.Request{Method: http.MethodPost, URL: publicURL + api.PathToken, Nonce: nonce, Body: body, Time: laptop.now()})
		must(t, err)
		a := w.serve(w.public, request(api.PathToken, proof, body))
		if p := a.problem(t); codeOf(p) != api.StaleProof && codeOf(p) != api.BadRequest {
			t.Errorf("nonce %s: %d %s", what, a.status, a.body)
		}
	}
	for _, at := range []time.Time{time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Unix(-1, 0), time.Unix(0, 0)} {
		proof, err := laptop.key.Sign(device.Request{Method: http.MethodPost, URL: publicURL + api.PathToken, Nonce: w.nonce(), Body: body, Time: at})
		must(t, err)
		p := w.serve(w.public, request(api.PathToken, proof, body)).problem(t)
		refusedWith(t, p)
		if !strings.HasSuffix(p.Type, "/clock-off") {
			t.Errorf("signed at %d: %s", at.Unix(), p.Type)
		}
	}
	for _, header := range []string{"", "DPoP", "DPoP ", "Basic AAAA", "Bearer " + strings.Repeat("a.", 9000), "DPoP a.b.c", "\x00"} {
		r := httptest.NewRequest(http.MethodGet, api.PathWhoAmI, nil)
		r.Header.Set("Authorization", header)
		a := w.serve(w.public, r)
		if a.status != http.StatusUnauthorized {
			t.Errorf("who am I with %.20q: %d", header, a.status)
		}
		wantCode(t, "who am I", a.problem(t), api.BadRequest)
	}
}

// TestBadInputOfTheOperator: the socket's handler is as strict.
func TestBadInputOfTheOperator(t *testing.T) {
	w := newWorld(t)
	w.enrolled(jane, "laptop")
	for _, path := range []string{api.AdminInvite, api.AdminPolicy, api.AdminDisable, api.AdminEnable, api.AdminUnlock, api.AdminExplain, api.AdminActivity} {
		for _, body := range []string{"", "{", `{"surprise":1}`, `{"account":7}`, `{}}`, `{"account":"` + strings.Repeat("a", 20<<10) + `"}`, `{"protocol":-1}`, `{"clients":{"readmit":"x"}}`} {
			a := w.serve(w.admin, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
			if a.status < 400 || a.status >= 500 {
				t.Errorf("%s with %.30q: %d %.100s", path, body, a.status, a.body)
			}
			a.problem(t)
		}
	}
	for _, path := range []string{api.AdminDisable, api.AdminEnable, api.AdminUnlock, api.AdminActivity} {
		wantCode(t, path, w.operator(path, api.AdminAccount{Account: "nobody@example.org"}, nil), api.NotPossible)
	}
	if a := w.operatorGet(api.AdminMetrics); a.status != http.StatusOK || !strings.Contains(string(a.body), "readmit_calls_total") {
		t.Errorf("metrics: %d", a.status)
	}
}

// FuzzPost: whatever an enrolled device signs, it never makes a fault of the
// service. Words in capitals stand for what the server gave out.
func FuzzPost(f *testing.F) {
	w := newWorld(f)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	try, p := laptop.start(jane, "a wrong one")
	wantCode(f, "start", p, 0)
	refusal := w.machine("stranger").fail(jane)
	state, err := json.Marshal(try.started.State)
	must(f, err)
	words := strings.NewReplacer("SESSION", laptop.in.Session, "ATTEMPT", need.Attempt, "REQUEST", need.Request,
		"STATE", strings.Trim(string(state), `"`), "INCIDENT", refusal.Incident, "REFERENCE", refusal.Reference)
	for i := range posts {
		for _, body := range []string{
			`{"session":"SESSION"}`, `{"session":"SESSION","id":"REQUEST"}`, `{"session":"SESSION","audience":"x"}`,
			`{"attempt":"ATTEMPT","code":"123456"}`, `{"state":"STATE","ke3":"AAAA"}`, `{"incident":"INCIDENT","session":"SESSION"}`,
			`{"reference":"REFERENCE","session":"SESSION","evidence":[{"check":"clock","want":"0s","got":"1h0m0s","seen":"device"}]}`,
			`{"account":"jane@example.org","purpose":"sign-in","ke1":"AAAA","client":{"name":"readmit","version":"1","protocol":1}}`,
		} {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, path uint8, body []byte) {
		to := posts[int(path)%len(posts)]
		if to == api.PathSignOut || to == api.PathRemoveDevice || to == api.PathEndDevice {
			body = []byte(strings.ReplaceAll(string(body), "SESSION", strings.Repeat("0", 32)))
		}
		here := *w
		here.t = t
		m := laptop.twin()
		m.w = &here
		a := w.serve(w.public, m.sign(to, []byte(words.Replace(string(body)))))
		if a.status >= 500 {
			t.Errorf("%s: %d %s", to, a.status, a.body)
		}
		a.problem(t)
	})
}
