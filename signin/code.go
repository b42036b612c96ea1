package signin

import (
	"context"
	"slices"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

const (
	// CodeTries is how many wrong codes end an attempt.
	CodeTries = 3
	// CodeFailureLimit is how many wrong codes in a row, over all attempts of an
	// account, switch codes off until an enrolled device proves the password
	// again. Ten thousand accounts at this limit are a chance of one in five
	// that a single guess was right; the norm allows 100 (NIST SP 800-63B-4 §3.2.2).
	CodeFailureLimit = 20
	// namedDevices is how many devices a code that did not come is said to have
	// been waited for from.
	namedDevices = 3
	// accepted is how old a code may be: its own period and one more.
	accepted = 2 * code.Period
)

func settled(s lockout.State, right bool, now time.Time) lockout.State {
	if right {
		return s.Succeed(now)
	}
	return s.Fail(now)
}

func factorMissing(account store.Subject, devices []store.Device) []cause.Fact {
	sources := 0
	for _, d := range devices {
		if d.Removed.IsZero() {
			sources++
		}
	}
	switch {
	case sources == 0:
		return []cause.Fact{cause.Note(cause.CheckFactor, cause.Count(1), cause.Count(0), cause.ByServer)}
	case account.Hot.CodeFailures >= CodeFailureLimit:
		return []cause.Fact{cause.Note(cause.CheckFactorFailures, cause.Count(CodeFailureLimit-1), cause.Count(account.Hot.CodeFailures), cause.ByServer)}
	}
	return nil
}

// Code takes the six digits for an attempt whose password was proved. An empty
// code says that none came: it costs no try and gets its explanation.
func (s *Service) Code(ctx context.Context, attempt store.ID, typed string, c gate.Caller) (*SignedIn, *gate.Refusal, error) {
	given, err := code.Parse(typed)
	none := typed == ""
	if err != nil && !none {
		return nil, nil, ErrForm
	}
	var in *SignedIn
	var content incident.Content
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		in = nil
		w, err := s.Waiting(tx, attempt, c)
		if err != nil {
			return err
		}
		content = incident.Content{
			Account: w.Account.ID, Attempt: NewID(), At: s.Gate.Now(), What: "code", Outcome: incident.Refused,
			Device: w.Request.Name, Client: w.Request.Client, Address: c.Address,
		}
		in, err = s.judge(tx, w, given, none, &content)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return nil, refusal, err
	}
	return in, nil, nil
}

func (s *Service) judge(tx store.Tx, w Waiting, given code.Code, none bool, content *incident.Content) (*SignedIn, error) {
	r, account, devices := w.Request, w.Account, w.Devices
	content.Facts = append(content.Facts, w.Facts...)
	if len(content.Facts) == 0 {
		content.Facts = append(content.Facts, factorMissing(account, devices)...)
	}
	// Codes that are judged are few (CodeTries, CodeFailureLimit) and go to the
	// ring that strangers cannot flood; what is asked without one costs nothing
	// and could push the attempts of enrolled devices out of it.
	var in *SignedIn
	ring := store.RingStrangers
	if len(content.Facts) == 0 {
		if none {
			missing, err := undelivered(tx, r, devices)
			if err != nil {
				return nil, err
			}
			if len(missing) == 0 {
				missing = []cause.Fact{cause.Note(cause.CheckSecondFactor, cause.Word("finished"), cause.Word("never-finished"), cause.ByServer)}
			}
			content.Facts = missing
		} else {
			ring = store.RingDevices
			var err error
			if in, err = s.try(tx, &r, &account, devices, given, content); err != nil {
				return nil, err
			}
		}
	}
	account.Hot.Seq[ring]++
	if err := tx.SaveSubjectHot(account.ID, account.Hot); err != nil {
		return nil, err
	}
	return in, tx.Append(content.Entry(ring, account.Hot.Seq[ring]))
}

// requestOver says why an attempt takes no more codes.
func requestOver(r store.Request, account store.Subject, devices []store.Device) []cause.Fact {
	switch {
	case !r.Denied.IsZero():
		return []cause.Fact{
			cause.Note(cause.CheckDenied, cause.Word("allowed"), cause.Word("denied"), cause.ByServer),
			cause.Note(cause.CheckCodeDevice, cause.Value{}, cause.Name(gate.Names(devices)[r.DeniedBy]), cause.ByServer),
		}
	case !r.Done.IsZero():
		return triesSpent(r.WrongCodes)
	case account.PasswordChanged.After(r.Opened):
		return notProved("changed-meanwhile", account)
	}
	return nil
}

func triesSpent(n int) []cause.Fact {
	return []cause.Fact{cause.Note(cause.CheckCodeTries, cause.Count(CodeTries-1), cause.Count(n), cause.ByServer)}
}

// undelivered adds, when no enrolled device has fetched the request, which ones
// were waited for and when each was last seen: at a sign-in, or using its
// session. Of many it names those seen last: an incident holds no more, and the
// others help less.
func undelivered(tx store.Tx, r store.Request, devices []store.Device) ([]cause.Fact, error) {
	if !r.Seen.IsZero() {
		return nil, nil
	}
	sessions, err := tx.Sessions(r.Account)
	if err != nil {
		return nil, err
	}
	used := map[store.ID]time.Time{}
	for _, n := range sessions {
		if n.LastUsed.After(used[n.Device]) {
			used[n.Device] = n.LastUsed
		}
	}
	facts := []cause.Fact{cause.Note(cause.CheckPrompt, cause.Word("fetched"), cause.Word("not-fetched"), cause.ByServer)}
	var waited []store.Device
	for _, d := range devices {
		if d.Removed.IsZero() {
			if used[d.ID].After(d.Hot.LastSeen) {
				d.Hot.LastSeen = used[d.ID]
			}
			waited = append(waited, d)
		}
	}
	slices.SortStableFunc(waited, func(a, b store.Device) int { return b.Hot.LastSeen.Compare(a.Hot.LastSeen) })
	for _, d := range waited[:min(len(waited), namedDevices)] {
		facts = append(facts,
			cause.Note(cause.CheckPromptDevice, cause.Value{}, cause.Name(d.Name), cause.ByServer),
			cause.Note(cause.CheckPromptSeen, cause.Value{}, cause.Instant(d.Hot.LastSeen), cause.ByServer))
	}
	return facts, nil
}

// try judges one code. A wrong one counts against the attempt and the account.
func (s *Service) try(tx store.Tx, r *store.Request, account *store.Subject, devices []store.Device, given code.Code, content *incident.Content) (*SignedIn, error) {
	now := s.Gate.Now()
	verdict, err := s.verdict(tx, *r, devices, given)
	if err != nil {
		return nil, err
	}
	if verdict.Outcome == code.Accepted {
		for _, d := range devices {
			if verdict.Offline && d.ID == verdict.Device {
				d.Hot.LastCodeStep = verdict.Step
				if err := tx.SaveDeviceHot(account.ID, d.ID, d.Hot); err != nil {
					return nil, err
				}
			}
		}
		account.Hot.CodeFailures = 0
		if err := tx.SaveSubjectHot(account.ID, account.Hot); err != nil {
			return nil, err
		}
		r.Done = now
		if err := tx.SaveRequest(*r); err != nil {
			return nil, err
		}
		in, err := s.enrol(tx, *account, *r)
		if err != nil {
			return nil, err
		}
		account.Hot = in.Account.Hot
		content.Outcome = incident.SignedIn
		return in, nil
	}
	r.WrongCodes++
	account.Hot.CodeFailures++
	if account.Hot.CodeFailures == CodeFailureLimit {
		if err := s.tell(tx, *account, message.FactorDisabled, nil); err != nil {
			return nil, err
		}
	}
	content.Facts = append(content.Facts, wrongCode(verdict, gate.Names(devices), skews(devices))...)
	if verdict.Outcome == code.Wrong {
		missing, err := undelivered(tx, *r, devices)
		if err != nil {
			return nil, err
		}
		content.Facts = append(content.Facts, missing...)
	}
	if r.WrongCodes >= CodeTries {
		r.Done = now
		content.Facts = append(content.Facts, triesSpent(r.WrongCodes)...)
	}
	return nil, tx.SaveRequest(*r)
}

func (s *Service) verdict(tx store.Tx, r store.Request, devices []store.Device, given code.Code) (code.Verdict, error) {
	all, err := tx.Requests(r.Account)
	if err != nil {
		return code.Verdict{}, err
	}
	living := map[store.ID]bool{}
	for _, d := range devices {
		living[d.ID] = d.Removed.IsZero()
	}
	var own, others []code.Prompt
	for _, o := range all {
		if o.Allowed.IsZero() || !living[o.AllowedBy] { // what a device showed ends with it
			continue
		}
		p := code.Prompt{Attempt: o.ID, Device: o.AllowedBy, Shown: o.Allowed}
		if o.ID == r.ID {
			own = append(own, p)
		} else {
			others = append(others, p)
		}
	}
	var sources []code.Device
	for _, d := range devices {
		if living[d.ID] {
			sources = append(sources, code.Device{
				ID: d.ID, Secret: s.Keys.CodeSecret(r.Account, d.ID, d.Enrolled),
				LastUsedStep: d.Hot.LastCodeStep, Skew: d.Hot.Skew, SkewKnown: !d.Hot.LastSeen.IsZero(),
			})
		}
	}
	return code.Judge(s.Keys.Code(), given, s.Gate.Now(), own, others, sources), nil
}

func skews(devices []store.Device) map[store.ID]time.Duration {
	m := make(map[store.ID]time.Duration, len(devices))
	for _, d := range devices {
		m[d.ID] = d.Hot.Skew
	}
	return m
}

// wrongCode turns a verdict into evidence.
func wrongCode(v code.Verdict, names map[store.ID]string, skews map[store.ID]time.Duration) []cause.Fact {
	id := store.ID(v.Device)
	made := cause.Note(cause.CheckCodeDevice, cause.Value{}, cause.Name(names[id]), cause.ByServer)
	skew := cause.Note(cause.CheckCodeDeviceSkew, cause.Value{}, cause.Duration(skews[id]), cause.ByServer)
	switch v.Outcome {
	case code.Late:
		return []cause.Fact{cause.Note(cause.CheckCodeAge, cause.Duration(accepted), cause.Duration(accepted+v.Late), cause.ByServer), made, skew}
	case code.Elsewhere:
		return []cause.Fact{cause.Note(cause.CheckCodeAttempt, cause.Word("this"), cause.Word("another"), cause.ByServer), made}
	case code.ClockOff:
		return []cause.Fact{cause.Note(cause.CheckCodeClock, cause.Duration(0), cause.Duration(v.Off), cause.ByServer), made, skew}
	case code.Used:
		return []cause.Fact{cause.Note(cause.CheckCodeFresh, cause.Word("fresh"), cause.Word("used"), cause.ByServer), made}
	}
	return []cause.Fact{cause.Note(cause.CheckCode, cause.Word("right"), cause.Word("wrong"), cause.ByServer)}
}

// enrol makes the new device one of the account's and begins its session. The
// account's epoch rises, and the ledger says so.
func (s *Service) enrol(tx store.Tx, account store.Subject, r store.Request) (*SignedIn, error) {
	now := s.Gate.Now()
	device := store.Device{
		Account: account.ID, Thumbprint: r.Thumbprint, ID: NewID(), Name: r.Name, System: r.System, Enrolled: now,
		Hot: store.DeviceHot{LastSeen: now},
	}
	if err := tx.AddDevice(device); err != nil {
		return nil, err
	}
	if err := signal.Raise(tx, &account, signal.DeviceAdded, signal.Detail{Device: device.ID, By: signal.ByUser}, now); err != nil {
		return nil, err
	}
	if err := s.tell(tx, account, message.NewDevice, map[string]string{"device": device.Name, "from": r.Address}); err != nil {
		return nil, err
	}
	session, err := s.Sessions.Begin(tx, account, device, r.ID)
	if err != nil {
		return nil, err
	}
	account.Hot.Seq[store.RingChanges]++
	if err := tx.SaveSubjectHot(account.ID, account.Hot); err != nil {
		return nil, err
	}
	line := incident.Content{
		Account: account.ID, Attempt: NewID(), At: now, What: "device enrolled", Outcome: incident.Done,
		Device: device.Name, Client: r.Client, Address: r.Address,
	}
	return &SignedIn{account, device, session}, tx.Append(line.Entry(store.RingChanges, account.Hot.Seq[store.RingChanges]))
}
