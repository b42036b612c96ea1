// Package account examines a device's Readmit account: its files, its way to
// the account server, the server's policy, its session, and the last refusal.
package account

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/host"
	"readmit.dev/readmit/policy"
	"readmit.dev/readmit/resident"
)

// clockTolerance is what the account server allows.
const clockTolerance = 5 * time.Minute

// lately is how old a refusal may be to say something of today.
const lately = 24 * time.Hour

// Examination is what was found.
type Examination struct {
	cause.Report
	Server   string // "" where none is known
	Account  string
	Enrolled bool
	SignedIn bool // the account server said so

	// AgentFails is what fails the agent where no cause of the table is shown by
	// it; empty where nothing does.
	AgentFails string

	files     map[string]agent.Problem // what is wrong with which file
	identity  agent.Identity           // from the file, or from its copy
	intact    string                   // the file it came from; "" for none
	session   []byte                   // a session file the server has restored
	atWork    time.Time                // when the agent was, last
	mismatch  bool
	unreached bool
	Behind    []Behind // services that have not taken a change yet
	noKey     string   // why the key store does not give out the key; "" where it does
}

// Examiner examines one device. Server is asked where the device itself knows none.
type Examiner struct {
	Agent    *agent.Agent
	Server   string
	Resolver host.Resolver // nil: the system's
}

// Examine looks at everything, in order: files, network, clock, policy, session.
// What needs the server is left out once the server cannot be reached.
func (x *Examiner) Examine(ctx context.Context, w doctor.Watcher) (*Examination, error) {
	if x.Resolver == nil {
		x.Resolver = net.DefaultResolver
	}
	ex := &Examination{files: map[string]agent.Problem{}}
	run := &running{x: x, ex: ex}
	facts := doctor.Run(ctx, []doctor.Check{
		{Name: "state files", Look: run.state}, {Name: "key store", Look: run.keyStore}, {Name: "device key", Look: run.key}, {Name: "agent", Look: run.agent},
	}, w)
	if ex.Server == "" {
		ex.Server = x.Server
	}
	if newest, ok := run.newest(); ok && ex.Server == "" {
		ex.Server = newest.Server
	}
	if ex.Server != "" {
		facts = append(facts, doctor.Run(ctx, []doctor.Check{
			{Name: "server's name", Look: run.name}, {Name: "connection", Look: run.connection}, {Name: "server", Look: run.ready},
			{Name: "clock", Look: run.clock}, {Name: "versions", Look: run.policy}, {Name: "session", Look: run.session},
			{Name: "last refusal", Look: run.refusal}, {Name: "services", Look: run.services},
		}, w)...)
		ex.unreached = unanswered(cause.Find(once(facts)))
		facts = append(facts, doctor.Run(ctx, []doctor.Check{{Name: "agent's calls", Look: run.calls}}, w)...)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ex.Report = cause.Report{Schema: 1, Audience: run.audience.String(), Incident: run.incident, Findings: cause.Find(once(facts))}
	if len(ex.Findings) == 0 && run.refused {
		ex.Findings = cause.Tell(nil, cause.Anyone).Findings
	}
	if ex.Findings == nil {
		ex.Findings = []cause.Finding{}
	}
	if ex.NewerState() {
		ofNewer(ex.Findings, ex.damagedToo())
	}
	return ex, nil
}

// ofNewer puts right what the table says of state that is damaged where some of
// it is of a newer readmit: that is intact, and no repair is offered. damagedToo
// says that other state is damaged all the same.
func ofNewer(found []cause.Finding, damagedToo bool) {
	title, do := "State kept on this device was written by a newer Readmit",
		"Update this program, or use the newer one that wrote the file. It is not damaged: nothing is moved aside, and nothing else is repaired meanwhile."
	if damagedToo {
		title, do = "State kept on this device is damaged, and some of it was written by a newer Readmit",
			"Update this program, or use the newer one that wrote the file; then run: readmit doctor --fix. This one cannot tell what the newer file says of the damaged one: nothing is moved aside, and nothing is repaired meanwhile."
	}
	for i := range found {
		if found[i].Cause == "state-damaged" {
			found[i].Title = title
			found[i].Remedies = []cause.Remedy{{By: cause.Person, Do: do}}
		}
	}
}

// once leaves out what was seen twice: the server repeats what it was told. What
// belongs to the fact beside it may well be so of two things: two files are
// damaged alike, two services wait for the same change.
func once(facts []cause.Fact) []cause.Fact {
	var out []cause.Fact
	for _, f := range facts {
		switch f.Check() {
		case cause.CheckStateFile, cause.CheckChangeService, cause.CheckChangeKind, cause.CheckChangeSince:
			out = append(out, f)
		default:
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// running is an examination while it goes on.
type running struct {
	x        *Examiner
	ex       *Examination
	hello    *api.Hello
	asked    time.Time
	answered time.Time
	seenKey  string // of the server's certificate
	audience cause.Audience
	incident string
	refused  bool
	unasked  bool // whether the session lives, the server could not say
}

// files are those looked at, besides the kept incidents.
var files = []string{agent.IdentityFile, agent.IdentityCopy, agent.SessionFile, agent.AttemptFile, agent.FoldersFile, agent.PendingFile, agent.AgentFile, agent.RecoveryFile}

func (r *running) state(context.Context) ([]cause.Fact, string) {
	h, ex := r.x.Agent.Home, r.ex
	var ids [2]agent.Identity
	var s agent.Session
	var t agent.Attempt
	for i, v := range []any{&ids[0], &ids[1], &s, &t, new(json.RawMessage), new(json.RawMessage), new(resident.Record), new(agent.Recovering)} {
		err := h.Load(files[i], v)
		if id, ok := v.(*agent.Identity); ok && err == nil {
			var whole agent.Identity
			if whole, err = h.Enrolment(files[i]); err == nil {
				*id = whole
			}
		}
		var e *agent.StateError
		var keys *agent.KeyStoreError
		switch {
		case errors.As(err, &e):
			ex.files[files[i]] = e.Problem
		case errors.As(err, &keys):
			ex.noKey = keys.Why
		}
	}
	for i, id := range ids { // a whole file with a key that is none serves nobody
		if ex.noKey != "" && id.Entry != "" {
			continue
		}
		if _, err := agent.Thumbprint(id); err != nil && usable(ex.files[files[i]]) {
			ex.files[files[i]] = agent.Malformed
		}
	}
	for _, name := range r.incidents() {
		var i agent.Incident
		if e := new(agent.StateError); errors.As(h.Load(name, &i), &e) {
			ex.files[name] = e.Problem
		}
	}
	if _, err := os.ReadDir(h.Path(agent.IncidentsDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		ex.files[agent.IncidentsDir] = agent.Unreadable
	}
	first, second := ex.files[agent.IdentityFile], ex.files[agent.IdentityCopy]
	switch {
	case usable(first):
		ex.identity, ex.intact = ids[0], agent.IdentityFile
	case usable(second):
		ex.identity, ex.intact = ids[1], agent.IdentityCopy
	}
	if first == agent.Missing && second == agent.Missing { // never had one
		delete(ex.files, agent.IdentityFile)
		delete(ex.files, agent.IdentityCopy)
	}
	// A device that is signed out, or never was asked for a code, has none of these.
	for _, optional := range files[2:] {
		if ex.files[optional] == agent.Missing {
			delete(ex.files, optional)
		}
	}
	ex.Server, ex.Account, ex.Enrolled = ex.identity.Server, ex.identity.Account, ex.identity.Enrolled()
	var facts []cause.Fact
	for _, file := range slices.Sorted(maps.Keys(ex.files)) {
		facts = append(facts, damaged(file, ex.files[file])...)
	}
	// Of a copy that a newer readmit wrote, its own line says all.
	if ex.files[agent.IdentityFile] != "" && !usable(first) && second != agent.Newer {
		got := "intact"
		if ex.intact == "" {
			got = "malformed"
			if second == agent.Missing {
				got = "missing"
			}
		}
		facts = append(facts, cause.Note(cause.CheckStateAside, cause.Word("intact"), cause.Word(got), cause.ByDevice))
	}
	if len(ex.files) == 0 {
		return facts, "intact"
	}
	switch {
	case ex.NewerState() && ex.damagedToo():
		return facts, "damaged, and in part written by a newer readmit"
	case ex.NewerState():
		return facts, "written by a newer readmit"
	}
	return facts, "damaged"
}

// damaged notes what is wrong with which file.
func damaged(file string, p agent.Problem) []cause.Fact {
	if strings.HasPrefix(file, agent.IncidentsDir) {
		file = "incident"
	}
	return []cause.Fact{
		cause.Note(cause.CheckStateFile, cause.Word("intact"), cause.Word(string(p)), cause.ByDevice),
		cause.Note(cause.CheckStateName, cause.Value{}, cause.Word(file), cause.ByDevice),
	}
}

// usable reports whether a file's content can be relied on all the same.
func usable(p agent.Problem) bool { return p == "" || p == agent.WrongMode }

// incidents lists the kept refusals, newest last.
func (r *running) incidents() []string {
	found, err := filepath.Glob(r.x.Agent.Home.Path(filepath.Join(agent.IncidentsDir, "*.json")))
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(found))
	for _, f := range found {
		names = append(names, filepath.Join(agent.IncidentsDir, filepath.Base(f)))
	}
	return names
}

func (r *running) keyStore(context.Context) ([]cause.Fact, string) {
	switch {
	case r.ex.noKey != "":
		return []cause.Fact{cause.Note(cause.CheckKeyStore, cause.Word("open"), cause.Word(r.ex.noKey), cause.ByDevice)}, r.ex.noKey
	case r.ex.identity.Entry != "":
		return nil, "open"
	}
	return nil, "not used; the key is in a file"
}

func (r *running) key(context.Context) ([]cause.Fact, string) {
	id := r.ex.identity
	if !id.Enrolled() {
		return nil, "not enrolled"
	}
	if r.ex.noKey != "" {
		return nil, "left out: the key store does not give it out"
	}
	now, err := agent.Thumbprint(id)
	if err != nil {
		return nil, ""
	}
	enrolled, err := hex.DecodeString(id.Thumbprint)
	if err != nil || hex.EncodeToString(now[:]) == id.Thumbprint {
		return nil, "the one that was enrolled"
	}
	r.ex.mismatch = true
	return []cause.Fact{cause.Note(cause.CheckDeviceKey, cause.Fingerprint(enrolled), cause.Fingerprint(now[:]), cause.ByDevice)}, "another than was enrolled"
}

func (r *running) name(ctx context.Context) ([]cause.Fact, string) {
	return host.Name(ctx, r.x.Resolver, r.ex.Server)
}

func (r *running) connection(ctx context.Context) ([]cause.Fact, string) {
	c := r.client()
	if c == nil {
		return nil, "left out: the device's key cannot be read"
	}
	defer c.Close()
	r.asked = r.x.Agent.Now()
	hello, err := c.Hello(ctx)
	r.answered = r.x.Agent.Now()
	gone, moved := new(agent.UnreachableError), new(agent.AddressError)
	switch {
	case errors.As(err, &gone):
		return unreached(gone.Why)
	case errors.As(err, &moved):
		return host.Connection(agent.OtherServer), "this server's public address is " + moved.Public + ": use that one"
	case err != nil:
		return nil, "cannot tell"
	}
	r.hello, r.seenKey = &hello, c.Certificate
	saw := "open"
	if p := host.Proxy(r.ex.Server); p != "" {
		saw += ", through the proxy " + p
	}
	return host.Key(r.ex.identity.Certificate, r.seenKey), saw
}

// client signs with this device's key, or, where that cannot be read, with one
// made for the occasion: the public answers need none.
func (r *running) client() *agent.Client {
	c, err := r.x.Agent.Client(r.ex.Server)
	if err != nil {
		c = agent.Unsigned(r.ex.Server, r.x.Agent.Now)
	}
	return c
}

const (
	leftOut = "left out: the server cannot be reached"
	unasked = "left out: the server could not be asked"
)

func (r *running) ready(ctx context.Context) ([]cause.Fact, string) {
	if r.hello == nil {
		return nil, leftOut
	}
	c := r.client()
	defer c.Close()
	err := c.Ready(ctx)
	if p := new(api.Problem); errors.As(err, &p) {
		return host.Ready(false), "not ready"
	}
	if err != nil {
		return nil, "cannot tell"
	}
	return nil, "ready"
}

func (r *running) clock(context.Context) ([]cause.Fact, string) {
	if r.hello == nil {
		return nil, leftOut
	}
	return host.Clock(r.asked, r.answered, time.UnixMilli(r.hello.Time), clockTolerance)
}

func (r *running) policy(context.Context) ([]cause.Fact, string) {
	if r.hello == nil {
		return nil, leftOut
	}
	self := r.x.Agent.Self()
	v, err := policy.ParseVersion(self.Version)
	if err != nil {
		v = policy.Version{}
	}
	sv, err := policy.ParseVersion(self.SystemVersion)
	if err != nil {
		sv = policy.Version{}
	}
	short := r.hello.Policy.Check(policy.Client{Name: self.Name, Version: v, System: self.System, SystemVersion: sv, Protocol: self.Protocol})
	var facts []cause.Fact
	for _, s := range short {
		facts = append(facts, s.Fact(cause.ByDevice))
	}
	if len(facts) > 0 {
		return facts, "older than the server allows"
	}
	return nil, "allowed"
}

// session asks the server whether the session lives. A session file that is
// lost or damaged is asked for again, by the device's key alone.
func (r *running) session(ctx context.Context) ([]cause.Fact, string) {
	a, ex := r.x.Agent, r.ex
	switch {
	case r.hello == nil:
		return nil, leftOut
	case ex.noKey != "":
		return nil, "left out: there is no key to sign with"
	case !ex.Enrolled || ex.intact != agent.IdentityFile || ex.mismatch:
		return nil, "left out: the device is not enrolled, or its enrolment cannot be used"
	}
	s, err := a.Home.Session()
	problem := ex.files[agent.SessionFile]
	if !usable(problem) || err == nil && s.ID == "" {
		b, err := a.Restore(ctx)
		if facts, saw, ok := r.fault(err); ok {
			return facts, saw
		}
		if err != nil {
			return nil, "none; this device is signed out"
		}
		ex.session = b
		if problem == "" {
			ex.files[agent.SessionFile] = agent.Missing
			return damaged(agent.SessionFile, agent.Missing), "lives, and its file is missing"
		}
		if problem == agent.Newer {
			return nil, "lives"
		}
		return nil, "lives; its file can be restored"
	}
	err = a.Alive(ctx)
	if refused := new(agent.RefusedError); errors.As(err, &refused) {
		return r.explain(ctx, refused.Reference), "refused"
	}
	if facts, saw, ok := r.fault(err); ok {
		return facts, saw
	}
	if err != nil {
		r.unasked = true
		return nil, "cannot tell"
	}
	ex.SignedIn = true
	return nil, "lives"
}

// fault is what an error shows that is the server's, or the way's to it: of the
// session nothing was said.
func (r *running) fault(err error) (facts []cause.Fact, saw string, ok bool) {
	if p := new(api.Problem); errors.As(err, &p) && p.Code == api.Unavailable {
		r.unasked = true
		return host.Ready(false), "the server cannot work", true
	}
	if gone := new(agent.UnreachableError); errors.As(err, &gone) {
		r.unasked = true
		return nil, "cannot tell", true
	}
	return nil, "", false
}

// refusal has the newest refusal of the last day explained, where the device is
// not signed in and nothing else was asked.
func (r *running) refusal(ctx context.Context) ([]cause.Fact, string) {
	if r.hello == nil {
		return nil, leftOut
	}
	if r.ex.SignedIn || r.ex.noKey != "" || r.incident != "" || r.ex.session != nil {
		return nil, "not asked for"
	}
	newest, ok := r.newest()
	if !ok {
		return nil, "none"
	}
	if r.ex.Account == "" {
		r.ex.Account = newest.Account
	}
	return r.explain(ctx, newest.Reference), newest.Reference
}

// newest returns the last refusal of the last day, by the server in question.
func (r *running) newest() (agent.Incident, bool) {
	var newest agent.Incident
	for _, name := range r.incidents() {
		i, ok := r.x.Agent.Home.Incident(strings.TrimSuffix(filepath.Base(name), ".json"))
		if ok && (r.ex.Server == "" || i.Server == r.ex.Server) && i.At.After(newest.At) {
			newest = i
		}
	}
	return newest, newest.Reference != "" && r.x.Agent.Now().Sub(newest.At) < lately
}

// explain asks the server what this device may know of a refusal.
func (r *running) explain(ctx context.Context, reference string) []cause.Fact {
	found, err := r.x.Agent.Explain(ctx, reference)
	if err != nil {
		return nil
	}
	r.incident = found.Incident
	for _, to := range []cause.Audience{cause.Holder, cause.Owner} {
		if found.Audience == to.String() {
			r.audience = to
		}
	}
	var facts []cause.Fact
	for _, f := range found.Findings {
		r.refused = r.refused || f.Cause == cause.Refused
		facts = append(facts, f.Evidence...)
	}
	return facts
}

// Unreached reports whether the examination could not ask the server. That its
// agent cannot is another matter.
func (ex *Examination) Unreached() bool { return ex.unreached }

func unanswered(found []cause.Finding) bool {
	return slices.ContainsFunc(found, func(f cause.Finding) bool {
		return f.Cause == "unreachable" || f.Cause == "tls-intercepted" || f.Cause == "service-fault"
	})
}

// Known reports whether this device keeps anything of a Readmit account.
func (x *Examiner) Known() bool {
	r := &running{x: x, ex: &Examination{files: map[string]agent.Problem{}}}
	return len(r.incidents()) > 0 || slices.ContainsFunc(files, func(f string) bool {
		_, err := os.Lstat(x.Agent.Home.Path(f))
		return err == nil
	})
}
