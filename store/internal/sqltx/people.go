package sqltx

import (
	"time"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/rows"
)

func address(r rows.Address) store.Address {
	return store.Address{
		Account: store.ID(r.Account), ID: store.ID(r.ID), Kind: r.Kind, Value: r.Value, Language: r.Language, Added: instant(r.Added), AddedBy: store.ID(r.AddedBy), Verified: instant(r.Verified), CodeHash: [32]byte(r.CodeHash), CodeUntil: instant(r.CodeUntil), CodeTries: int(r.CodeTries), Failed: instant(r.Failed), FailedWhy: r.FailedWhy, LastNotice: instant(r.LastNotice),
	}
}

func (t *Tx) AddAddress(a store.Address) error {
	return t.did(t.q.AddAddress(none, rows.AddAddressParams{
		Account: a.Account[:], ID: a.ID[:], Kind: a.Kind, Value: a.Value, Language: a.Language, Added: micros(a.Added), AddedBy: a.AddedBy[:], Verified: micros(a.Verified), CodeHash: a.CodeHash[:], CodeUntil: micros(a.CodeUntil), CodeTries: int64(a.CodeTries), Failed: micros(a.Failed), FailedWhy: a.FailedWhy, LastNotice: micros(a.LastNotice),
	}))
}

func (t *Tx) SaveAddress(a store.Address) error {
	return t.one(t.q.SaveAddress(none, rows.SaveAddressParams{
		Kind: a.Kind, Value: a.Value, Language: a.Language, Added: micros(a.Added), AddedBy: a.AddedBy[:], Verified: micros(a.Verified), CodeHash: a.CodeHash[:], CodeUntil: micros(a.CodeUntil), CodeTries: int64(a.CodeTries), Failed: micros(a.Failed), FailedWhy: a.FailedWhy, LastNotice: micros(a.LastNotice), Account: a.Account[:], ID: a.ID[:],
	}))
}

func (t *Tx) Addresses(account store.ID) ([]store.Address, error) {
	list, err := t.q.Addresses(none, account[:])
	return each(list, err, t, address)
}

func recoveryCode(r rows.RecoveryCode) store.RecoveryCode {
	return store.RecoveryCode{
		Account: store.ID(r.Account), Hash: [32]byte(r.Hash), Created: instant(r.Created), Used: instant(r.Used),
	}
}

func (t *Tx) RecoveryCodes(account store.ID) ([]store.RecoveryCode, error) {
	list, err := t.q.RecoveryCodes(none, account[:])
	return each(list, err, t, recoveryCode)
}

func recovery(r rows.Recovery) store.Recovery {
	return store.Recovery{
		ID: store.ID(r.ID), Account: store.ID(r.Account), Thumbprint: store.Thumbprint(r.Thumbprint), Name: r.Name, System: r.System, Client: r.Client, Address: r.Address, Opened: instant(r.Opened), Opens: instant(r.Opens), Expires: instant(r.Expires), ByCode: instant(r.ByCode), ByDevice: store.ID(r.ByDevice), ByDeviceAt: instant(r.ByDeviceAt), ByAddress: instant(r.ByAddress), AddressHash: [32]byte(r.AddressHash), Wrong: int(r.Wrong), Cancelled: instant(r.Cancelled), CancelledBy: r.CancelledBy, CancelHash: [32]byte(r.CancelHash), Finished: instant(r.Finished), Agent: store.ID(r.Agent), Told: r.Told,
	}
}

func (t *Tx) AddRecovery(r store.Recovery) error {
	return t.did(t.q.AddRecovery(none, rows.AddRecoveryParams{
		ID: r.ID[:], Account: r.Account[:], Thumbprint: r.Thumbprint[:], Name: r.Name, System: r.System, Client: r.Client, Address: r.Address, Opened: micros(r.Opened), Opens: micros(r.Opens), Expires: micros(r.Expires), ByCode: micros(r.ByCode), ByDevice: r.ByDevice[:], ByDeviceAt: micros(r.ByDeviceAt), ByAddress: micros(r.ByAddress), AddressHash: r.AddressHash[:], Wrong: int64(r.Wrong), Cancelled: micros(r.Cancelled), CancelledBy: r.CancelledBy, CancelHash: r.CancelHash[:], Finished: micros(r.Finished), Agent: r.Agent[:], Told: blob(r.Told),
	}))
}

func (t *Tx) SaveRecovery(r store.Recovery) error {
	return t.one(t.q.SaveRecovery(none, rows.SaveRecoveryParams{
		Thumbprint: r.Thumbprint[:], Name: r.Name, System: r.System, Client: r.Client, Address: r.Address, Opened: micros(r.Opened), Opens: micros(r.Opens), Expires: micros(r.Expires), ByCode: micros(r.ByCode), ByDevice: r.ByDevice[:], ByDeviceAt: micros(r.ByDeviceAt), ByAddress: micros(r.ByAddress), AddressHash: r.AddressHash[:], Wrong: int64(r.Wrong), Cancelled: micros(r.Cancelled), CancelledBy: r.CancelledBy, CancelHash: r.CancelHash[:], Finished: micros(r.Finished), Agent: r.Agent[:], Told: blob(r.Told), ID: r.ID[:],
	}))
}

func (t *Tx) Recoveries(account store.ID) ([]store.Recovery, error) {
	list, err := t.q.Recoveries(none, account[:])
	return each(list, err, t, recovery)
}

func (t *Tx) Recovery(id store.ID) (store.Recovery, error) {
	r, err := t.q.Recovery(none, id[:])
	return single(r, err, t, recovery)
}

func passkey(r rows.Passkey) store.Passkey {
	return store.Passkey{
		Account: store.ID(r.Account), Credential: r.Credential, Data: r.Data, Name: r.Name, Added: instant(r.Added), AddedBy: store.ID(r.AddedBy), LastUsed: instant(r.LastUsed), Count: r.Uses,
	}
}

func (t *Tx) AddPasskey(p store.Passkey) error {
	return t.did(t.q.AddPasskey(none, rows.AddPasskeyParams{
		Account: p.Account[:], Credential: blob(p.Credential), Data: blob(p.Data), Name: p.Name, Added: micros(p.Added), AddedBy: p.AddedBy[:], LastUsed: micros(p.LastUsed), Uses: p.Count,
	}))
}

func (t *Tx) SavePasskey(p store.Passkey) error {
	return t.one(t.q.SavePasskey(none, rows.SavePasskeyParams{
		Data: blob(p.Data), Name: p.Name, Added: micros(p.Added), AddedBy: p.AddedBy[:], LastUsed: micros(p.LastUsed), Uses: p.Count, Credential: blob(p.Credential),
	}))
}

func (t *Tx) Passkeys(account store.ID) ([]store.Passkey, error) {
	list, err := t.q.Passkeys(none, account[:])
	return each(list, err, t, passkey)
}

func approval(r rows.Approval) store.Approval {
	return store.Approval{
		Account: store.ID(r.Account), Reference: r.Reference, At: instant(r.At), Expires: instant(r.Expires), By: r.MadeBy, Revoked: instant(r.Revoked),
	}
}

func (t *Tx) SaveApproval(a store.Approval) error {
	return t.did(t.q.SaveApproval(none, rows.SaveApprovalParams{
		Account: a.Account[:], Reference: a.Reference, At: micros(a.At), Expires: micros(a.Expires), MadeBy: a.By, Revoked: micros(a.Revoked),
	}))
}

func (t *Tx) Approvals(account store.ID) ([]store.Approval, error) {
	list, err := t.q.Approvals(none, account[:])
	return each(list, err, t, approval)
}

func agent(r rows.Agent) store.Agent {
	return store.Agent{
		Account: store.ID(r.Account), Added: instant(r.Added), Removed: instant(r.Removed),
	}
}

func (t *Tx) SaveAgent(a store.Agent) error {
	return t.did(t.q.SaveAgent(none, rows.SaveAgentParams{
		Account: a.Account[:], Added: micros(a.Added), Removed: micros(a.Removed),
	}))
}

func deskAct(r rows.DeskAct) store.DeskAct {
	return store.DeskAct{
		ID: store.ID(r.ID), Account: store.ID(r.Account), Reference: r.Reference, Kind: r.Kind, AskedBy: store.ID(r.AskedBy), Asked: instant(r.Asked), AgreedBy: store.ID(r.AgreedBy), Agreed: instant(r.Agreed), Done: instant(r.Done), Expires: instant(r.Expires),
	}
}

func (t *Tx) AddDeskAct(d store.DeskAct) error {
	return t.did(t.q.AddDeskAct(none, rows.AddDeskActParams{
		ID: d.ID[:], Account: d.Account[:], Reference: d.Reference, Kind: d.Kind, AskedBy: d.AskedBy[:], Asked: micros(d.Asked), AgreedBy: d.AgreedBy[:], Agreed: micros(d.Agreed), Done: micros(d.Done), Expires: micros(d.Expires),
	}))
}

func (t *Tx) SaveDeskAct(d store.DeskAct) error {
	return t.one(t.q.SaveDeskAct(none, rows.SaveDeskActParams{
		Reference: d.Reference, Kind: d.Kind, AskedBy: d.AskedBy[:], Asked: micros(d.Asked), AgreedBy: d.AgreedBy[:], Agreed: micros(d.Agreed), Done: micros(d.Done), Expires: micros(d.Expires), ID: d.ID[:],
	}))
}

func (t *Tx) DeskActs(account store.ID) ([]store.DeskAct, error) {
	list, err := t.q.DeskActs(none, account[:])
	return each(list, err, t, deskAct)
}

func (t *Tx) DeskAct(id store.ID) (store.DeskAct, error) {
	r, err := t.q.DeskAct(none, id[:])
	return single(r, err, t, deskAct)
}

func message(r rows.Message) store.Message {
	return store.Message{
		ID: store.ID(r.ID), Account: store.ID(r.Account), Address: store.ID(r.Address), Channel: r.Channel, Kind: r.Kind, Sealed: r.Sealed, Created: instant(r.Created), Next: instant(r.Next), Tries: int(r.Tries), Sent: instant(r.Sent), GaveUp: instant(r.GaveUp), Why: r.Why,
	}
}

func (t *Tx) AddMessage(m store.Message) error {
	return t.did(t.q.AddMessage(none, rows.AddMessageParams{
		ID: m.ID[:], Account: m.Account[:], Address: m.Address[:], Channel: m.Channel, Kind: m.Kind, Sealed: blob(m.Sealed), Created: micros(m.Created), Next: micros(m.Next), Tries: int64(m.Tries), Sent: micros(m.Sent), GaveUp: micros(m.GaveUp), Why: m.Why,
	}))
}

func (t *Tx) SaveMessage(m store.Message) error {
	return t.one(t.q.SaveMessage(none, rows.SaveMessageParams{
		Address: m.Address[:], Channel: m.Channel, Kind: m.Kind, Sealed: blob(m.Sealed), Created: micros(m.Created), Next: micros(m.Next), Tries: int64(m.Tries), Sent: micros(m.Sent), GaveUp: micros(m.GaveUp), Why: m.Why, ID: m.ID[:],
	}))
}

func (t *Tx) Messages(account store.ID) ([]store.Message, error) {
	list, err := t.q.Messages(none, account[:])
	return each(list, err, t, message)
}

func (t *Tx) FindAddresses(kind, value string) ([]store.Address, error) {
	list, err := t.q.FindAddresses(none, rows.FindAddressesParams{Kind: kind, Value: value})
	return each(list, err, t, address)
}

func (t *Tx) DropAddress(account, id store.ID) error {
	return t.one(t.q.DropAddress(none, rows.DropAddressParams{Account: account[:], ID: id[:]}))
}

func (t *Tx) ReplaceRecoveryCodes(account store.ID, codes []store.RecoveryCode) error {
	if err := t.did(t.q.DropRecoveryCodes(none, account[:])); err != nil {
		return err
	}
	for _, c := range codes {
		err := t.did(t.q.AddRecoveryCode(none, rows.AddRecoveryCodeParams{
			Account: account[:], Hash: c.Hash[:], Created: micros(c.Created), Used: micros(c.Used),
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) UseRecoveryCode(account store.ID, hash [32]byte, at time.Time) error {
	return t.one(t.q.UseRecoveryCode(none, rows.UseRecoveryCodeParams{Used: micros(at), Account: account[:], Hash: hash[:]}))
}

func (t *Tx) Passkey(credential []byte) (store.Passkey, error) {
	r, err := t.q.Passkey(none, blob(credential))
	return single(r, err, t, passkey)
}

func (t *Tx) DropPasskey(account store.ID, credential []byte) error {
	return t.one(t.q.DropPasskey(none, rows.DropPasskeyParams{Account: account[:], Credential: blob(credential)}))
}

func (t *Tx) Agent(account store.ID) (store.Agent, error) {
	r, err := t.q.Agent(none, account[:])
	return single(r, err, t, agent)
}

func (t *Tx) Agents() ([]store.Agent, error) {
	list, err := t.q.Agents(none)
	return each(list, err, t, agent)
}

func (t *Tx) DueMessages(now time.Time, limit int) ([]store.Message, error) {
	list, err := t.q.DueMessages(none, rows.DueMessagesParams{Next: micros(now), Most: int32(limit)})
	return each(list, err, t, message)
}

// CloseAccount names every table: a test looks for the account in all there are.
// What an agent asked for or agreed to at other accounts is those accounts', and
// stays.
func (t *Tx) CloseAccount(id store.ID) error {
	a, err := t.Subject(id)
	if err != nil {
		return err
	}
	if a.Ghost {
		return store.ErrNotFound
	}
	t.Changed = append(t.Changed, id)
	t.Memory.drop(id)
	q, of := t.q, id[:]
	for _, drop := range []error{
		q.CloseDevices(none, of), q.CloseSessions(none, of), q.CloseLedger(none, of), q.CloseRequests(none, of), q.ClosePasses(none, of),
		q.CloseAddresses(none, of), q.CloseRecoveryCodes(none, of), q.CloseRecoveries(none, of), q.ClosePasskeys(none, of),
		q.CloseApprovals(none, of), q.CloseAgents(none, of), q.CloseDeskActs(none, of), q.CloseMessages(none, of),
		q.CloseFormers(none, of), q.CloseSignals(none, of), q.CloseReceipts(none, of), q.CloseInvitations(none, a.Identifier),
	} {
		if err := t.did(drop); err != nil {
			return err
		}
	}
	return t.one(q.CloseSubject(none, of))
}
