package account

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

// Export is everything that is kept of an account, for its owner. What is left
// out is what somebody could attack who finds the file: the password's record,
// hashes of codes and passes, keys, sealed texts, session names that live.
type Export struct {
	Schema     int              `json:"schema"` // 1
	Made       time.Time        `json:"made"`
	Account    string           `json:"account"`
	ID         store.ID         `json:"id"`
	Created    time.Time        `json:"created"`
	Epoch      int64            `json:"changes"`
	Password   ExportPassword   `json:"password"`
	Devices    []ExportDevice   `json:"devices"`
	Sessions   []ExportSession  `json:"sessions"`
	Requests   []ExportRequest  `json:"requests"`
	Addresses  []ExportAddress  `json:"addresses"`
	Passkeys   []ExportPasskey  `json:"passkeys"`
	Codes      []ExportCode     `json:"recovery_codes"`
	Recoveries []ExportRecovery `json:"recoveries"`
	Approvals  []ExportApproval `json:"approvals"`
	Desk       []ExportAct      `json:"desk"`
	Agent      *ExportAgent     `json:"support_agent,omitempty"`
	Messages   []ExportMessage  `json:"messages"`
	Activity   []ExportLine     `json:"activity"`
}

// ExportPassword tells of the password when it was set, and where.
type ExportPassword struct {
	Changed   time.Time `json:"changed"`
	ChangedBy string    `json:"changed_by,omitempty"` // device
	// Former is when the password before was replaced whose record is kept, so
	// that an enrolled device can be told that it is what was typed.
	Former *time.Time `json:"former_kept_since,omitempty"`
}

// ExportDevice is an enrolled or removed device.
type ExportDevice struct {
	ID       string     `json:"id"`
	Key      string     `json:"key_thumbprint"`
	Name     string     `json:"name"`
	System   string     `json:"system"`
	Enrolled time.Time  `json:"enrolled"`
	LastSeen *time.Time `json:"last_seen,omitempty"`
	ClockOff string     `json:"clock_off,omitempty"`
	Failed   int        `json:"failures_in_a_row"`
	Removed  *time.Time `json:"removed,omitempty"`
	By       string     `json:"removed_by,omitempty"`
}

// ExportSession is a session, without its name.
type ExportSession struct {
	Device   string     `json:"device"`
	Created  time.Time  `json:"created"`
	LastUsed time.Time  `json:"last_used"`
	Ended    *time.Time `json:"ended,omitempty"`
	Why      string     `json:"ended_why,omitempty"`
}

// ExportRequest is a device that asked to sign in.
type ExportRequest struct {
	Name    string     `json:"name"`
	System  string     `json:"system"`
	Client  string     `json:"client"`
	Address string     `json:"address"`
	Opened  time.Time  `json:"opened"`
	Allowed *time.Time `json:"allowed,omitempty"`
	Denied  *time.Time `json:"denied,omitempty"`
	Done    *time.Time `json:"done,omitempty"`
}

// ExportAddress is where messages go.
type ExportAddress struct {
	Kind     string     `json:"kind"`
	Value    string     `json:"value"`
	Language string     `json:"language,omitempty"`
	Added    time.Time  `json:"added"`
	AddedBy  string     `json:"added_by,omitempty"`
	Verified *time.Time `json:"verified,omitempty"`
	Failed   *time.Time `json:"failed,omitempty"`
	Why      string     `json:"failed_why,omitempty"`
}

// ExportPasskey is a passkey, without what checks it.
type ExportPasskey struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Added    time.Time  `json:"added"`
	AddedBy  string     `json:"added_by,omitempty"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Uses     int64      `json:"uses"`
}

// ExportCode is one recovery code, without the code.
type ExportCode struct {
	Created time.Time  `json:"created"`
	Used    *time.Time `json:"used,omitempty"`
}

// ExportRecovery is a case of recovery.
type ExportRecovery struct {
	Name      string     `json:"name"`
	System    string     `json:"system"`
	Client    string     `json:"client"`
	Address   string     `json:"address"`
	Opened    time.Time  `json:"opened"`
	Opens     *time.Time `json:"opens,omitempty"`
	Expires   time.Time  `json:"expires"`
	ByCode    *time.Time `json:"proved_by_code,omitempty"`
	ByAddress *time.Time `json:"proved_by_address,omitempty"`
	ByDevice  *time.Time `json:"proved_by_device,omitempty"`
	Wrong     int        `json:"tries"`
	Cancelled *time.Time `json:"stopped,omitempty"`
	By        string     `json:"stopped_by,omitempty"`
	Finished  *time.Time `json:"finished,omitempty"`
	Support   bool       `json:"begun_by_support,omitempty"`
}

// ExportApproval let support look at an incident.
type ExportApproval struct {
	Reference string     `json:"reference"`
	At        time.Time  `json:"at"`
	Expires   time.Time  `json:"expires"`
	By        string     `json:"by"`
	Revoked   *time.Time `json:"revoked,omitempty"`
}

// ExportAct is what support asked for.
type ExportAct struct {
	Reference string     `json:"reference"`
	Kind      string     `json:"kind"`
	AskedBy   string     `json:"asked_by,omitempty"`
	Asked     time.Time  `json:"asked"`
	AgreedBy  string     `json:"agreed_by,omitempty"`
	Done      *time.Time `json:"done,omitempty"`
}

// ExportAgent says that the account works at the support desk.
type ExportAgent struct {
	Added   time.Time  `json:"added"`
	Removed *time.Time `json:"removed,omitempty"`
}

// ExportMessage is a message, without its text.
type ExportMessage struct {
	Channel string     `json:"channel"`
	Kind    string     `json:"kind"`
	Created time.Time  `json:"created"`
	Tries   int        `json:"tries"`
	Sent    *time.Time `json:"sent,omitempty"`
	GaveUp  *time.Time `json:"given_up,omitempty"`
	Why     string     `json:"why,omitempty"`
}

// ExportLine is a line of the ledger.
type ExportLine struct {
	Reference string       `json:"reference"`
	At        time.Time    `json:"at"`
	What      string       `json:"what"`
	Outcome   string       `json:"outcome"`
	Evidence  []cause.Fact `json:"evidence,omitempty"`
	Device    string       `json:"device,omitempty"`
	Client    string       `json:"client,omitempty"`
	Address   string       `json:"address,omitempty"`
	Audience  string       `json:"audience,omitempty"`
	About     string       `json:"about,omitempty"`
}

// at leaves out a time that never was.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// ownerMayKnow keeps of the evidence what the owner is told of it.
func ownerMayKnow(facts []cause.Fact) []cause.Fact {
	var kept []cause.Fact
	seen := map[cause.Check]bool{}
	for _, f := range cause.Tell(cause.Find(facts), cause.Owner).Findings {
		for _, e := range f.Evidence {
			if !seen[e.Check()] {
				kept = append(kept, e)
			}
		}
		for _, e := range f.Evidence {
			seen[e.Check()] = true
		}
	}
	return kept
}

// Export gathers all of it, and notes that it did.
func (s *Service) Export(ctx context.Context, actor session.Actor, c gate.Caller) (Export, error) {
	var out Export
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.living(tx, actor)
		if err != nil {
			return err
		}
		if err := s.note(tx, &a, "data exported", actor.Device.Name, c); err != nil {
			return err
		}
		if err := s.tell(tx, a, message.Exported, map[string]string{"device": actor.Device.Name}); err != nil {
			return err
		}
		out, err = s.gather(tx, a)
		return err
	})
	return out, err
}

func (s *Service) gather(tx store.Tx, a store.Subject) (Export, error) {
	out := Export{
		Schema: 1, Made: s.Gate.Now().UTC(), Account: a.Identifier, ID: a.ID, Created: a.Created.UTC(), Epoch: a.Epoch,
		Password: ExportPassword{Changed: a.PasswordChanged.UTC()},
		Devices:  []ExportDevice{}, Sessions: []ExportSession{}, Requests: []ExportRequest{}, Addresses: []ExportAddress{},
		Passkeys: []ExportPasskey{}, Codes: []ExportCode{}, Recoveries: []ExportRecovery{}, Approvals: []ExportApproval{},
		Desk: []ExportAct{}, Messages: []ExportMessage{}, Activity: []ExportLine{},
	}
	devices, err := tx.Devices(a.ID)
	if err != nil {
		return out, err
	}
	names := gate.Names(devices)
	out.Password.ChangedBy = names[a.PasswordChangedBy]
	switch former, err := tx.Former(a.ID); {
	case err == nil:
		out.Password.Former = at(former.Replaced)
	case !errors.Is(err, store.ErrNotFound):
		return out, err
	}
	for _, d := range devices {
		n := ExportDevice{
			ID: hex.EncodeToString(d.ID[:4]), Key: hex.EncodeToString(d.Thumbprint[:]), Name: d.Name, System: d.System, Enrolled: d.Enrolled.UTC(),
			LastSeen: at(d.Hot.LastSeen), Failed: d.Hot.Own.Failed, Removed: at(d.Removed), By: names[d.RemovedBy],
		}
		if d.Hot.Skew != 0 {
			n.ClockOff = d.Hot.Skew.Round(time.Second).String()
		}
		out.Devices = append(out.Devices, n)
	}
	for _, f := range []func(store.Tx, store.ID, map[store.ID]string, *Export) error{gatherSessions, gatherPeople, gatherDesk, gatherLines} {
		if err := f(tx, a.ID, names, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func gatherSessions(tx store.Tx, account store.ID, names map[store.ID]string, out *Export) error {
	sessions, err := tx.Sessions(account)
	for _, n := range sessions {
		out.Sessions = append(out.Sessions, ExportSession{Device: names[n.Device], Created: n.Created.UTC(), LastUsed: n.LastUsed.UTC(), Ended: at(n.Ended), Why: n.EndedWhy})
	}
	if err != nil {
		return err
	}
	requests, err := tx.Requests(account)
	for _, r := range requests {
		out.Requests = append(out.Requests, ExportRequest{
			Name: r.Name, System: r.System, Client: r.Client, Address: r.Address, Opened: r.Opened.UTC(), Allowed: at(r.Allowed), Denied: at(r.Denied), Done: at(r.Done),
		})
	}
	return err
}

func gatherPeople(tx store.Tx, account store.ID, names map[store.ID]string, out *Export) error {
	addresses, err := tx.Addresses(account)
	for _, x := range addresses {
		out.Addresses = append(out.Addresses, ExportAddress{
			Kind: x.Kind, Value: x.Value, Language: x.Language, Added: x.Added.UTC(), AddedBy: names[x.AddedBy], Verified: at(x.Verified), Failed: at(x.Failed), Why: x.FailedWhy,
		})
	}
	if err != nil {
		return err
	}
	passkeys, err := tx.Passkeys(account)
	for _, p := range passkeys {
		out.Passkeys = append(out.Passkeys, ExportPasskey{
			ID: hex.EncodeToString(p.Credential), Name: p.Name, Added: p.Added.UTC(), AddedBy: names[p.AddedBy], LastUsed: at(p.LastUsed), Uses: p.Count,
		})
	}
	if err != nil {
		return err
	}
	codes, err := tx.RecoveryCodes(account)
	for _, x := range codes {
		out.Codes = append(out.Codes, ExportCode{Created: x.Created.UTC(), Used: at(x.Used)})
	}
	if err != nil {
		return err
	}
	recoveries, err := tx.Recoveries(account)
	for _, r := range recoveries {
		if r.Opened.IsZero() {
			continue // a place that is free
		}
		out.Recoveries = append(out.Recoveries, ExportRecovery{
			Name: r.Name, System: r.System, Client: r.Client, Address: r.Address, Opened: r.Opened.UTC(), Opens: at(r.Opens), Expires: r.Expires.UTC(),
			ByCode: at(r.ByCode), ByAddress: at(r.ByAddress), ByDevice: at(r.ByDeviceAt), Wrong: r.Wrong, Cancelled: at(r.Cancelled), By: r.CancelledBy,
			Finished: at(r.Finished), Support: !r.Agent.IsZero(),
		})
	}
	if err != nil {
		return err
	}
	messages, err := tx.Messages(account)
	for _, m := range messages {
		out.Messages = append(out.Messages, ExportMessage{Channel: m.Channel, Kind: m.Kind, Created: m.Created.UTC(), Tries: m.Tries, Sent: at(m.Sent), GaveUp: at(m.GaveUp), Why: m.Why})
	}
	return err
}

func gatherDesk(tx store.Tx, account store.ID, _ map[store.ID]string, out *Export) error {
	approvals, err := tx.Approvals(account)
	for _, x := range approvals {
		out.Approvals = append(out.Approvals, ExportApproval{Reference: x.Reference, At: x.At.UTC(), Expires: x.Expires.UTC(), By: x.By, Revoked: at(x.Revoked)})
	}
	if err != nil {
		return err
	}
	acts, err := tx.DeskActs(account)
	if err != nil {
		return err
	}
	for _, x := range acts {
		n := ExportAct{Reference: x.Reference, Kind: x.Kind, Asked: x.Asked.UTC(), Done: at(x.Done)}
		if n.AskedBy, err = agentName(tx, x.AskedBy); err != nil {
			return err
		}
		if n.AgreedBy, err = agentName(tx, x.AgreedBy); err != nil {
			return err
		}
		out.Desk = append(out.Desk, n)
	}
	agent, err := tx.Agent(account)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	out.Agent = &ExportAgent{Added: agent.Added.UTC(), Removed: at(agent.Removed)}
	return err
}

// agentName is an agent's identifier; it may be gone.
func agentName(tx store.Tx, id store.ID) (string, error) {
	if id.IsZero() {
		return "", nil
	}
	a, err := tx.Subject(id)
	if errors.Is(err, store.ErrNotFound) {
		return "closed since", nil
	}
	return a.Identifier, err
}

func gatherLines(tx store.Tx, account store.ID, _ map[store.ID]string, out *Export) error {
	entries, err := tx.Ledger(account)
	if err != nil {
		return err
	}
	for _, e := range entries {
		l, err := incident.Read(e)
		if err != nil {
			return err
		}
		out.Activity = append(out.Activity, ExportLine{
			Reference: e.Reference, At: l.At.UTC(), What: l.What, Outcome: l.Outcome, Evidence: ownerMayKnow(l.Facts),
			Device: l.Device, Client: l.Client, Address: l.Address, Audience: l.Audience, About: l.About,
		})
	}
	return nil
}
