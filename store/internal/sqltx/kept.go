package sqltx

import (
	"time"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/rows"
)

func session(r rows.Session) store.Session {
	return store.Session{
		ID: store.ID(r.ID), Account: store.ID(r.Account), Device: store.ID(r.Device), Created: instant(r.Created), LastUsed: instant(r.LastUsed),
		Ended: instant(r.Ended), EndedBy: store.ID(r.EndedBy), EndedWhy: r.EndedWhy,
	}
}

func (t *Tx) Session(id store.ID) (store.Session, error) {
	r, err := t.q.Session(none, id[:])
	return single(r, err, t, session)
}

func (t *Tx) Sessions(account store.ID) ([]store.Session, error) {
	list, err := t.q.Sessions(none, account[:])
	return each(list, err, t, session)
}

func (t *Tx) AddSession(s store.Session) error {
	return t.did(t.q.AddSession(none, rows.AddSessionParams{
		ID: s.ID[:], Account: s.Account[:], Device: s.Device[:], Created: micros(s.Created), LastUsed: micros(s.LastUsed),
		Ended: micros(s.Ended), EndedBy: s.EndedBy[:], EndedWhy: s.EndedWhy,
	}))
}

func (t *Tx) EndSessions(account, device, except store.ID, at time.Time, by store.ID, why string) (int, error) {
	t.Changed = append(t.Changed, account)
	var n int64
	var err error
	if device.IsZero() {
		n, err = t.q.EndSessions(none, rows.EndSessionsParams{Ended: micros(at), EndedBy: by[:], EndedWhy: why, Account: account[:], ID: except[:]})
	} else {
		n, err = t.q.EndSessionsOfDevice(none, rows.EndSessionsOfDeviceParams{
			Ended: micros(at), EndedBy: by[:], EndedWhy: why, Account: account[:], Device: device[:], ID: except[:],
		})
	}
	return int(n), t.did(err)
}

func (t *Tx) Supersede(account, device, except store.ID, at time.Time) error {
	t.Changed = append(t.Changed, account)
	return t.did(t.q.Supersede(none, rows.SupersedeParams{
		Ended: micros(at), Device: device[:], EndedWhy: store.EndSuperseded, Account: account[:], ID: except[:],
	}))
}

func (t *Tx) TouchSession(id store.ID, used time.Time) error {
	return t.one(t.q.TouchSession(none, rows.TouchSessionParams{LastUsed: micros(used), ID: id[:]}))
}

func (t *Tx) Former(account store.ID) (store.Former, error) {
	r, err := t.q.Former(none, account[:])
	return single(r, err, t, func(r rows.Former) store.Former {
		return store.Former{Account: store.ID(r.Account), Sealed: r.Sealed, Stretch: r.Stretch, Replaced: instant(r.Replaced)}
	})
}

func (t *Tx) SaveFormer(f store.Former) error {
	return t.did(t.q.SaveFormer(none, rows.SaveFormerParams{
		Account: f.Account[:], Sealed: blob(f.Sealed), Stretch: f.Stretch, Replaced: micros(f.Replaced),
	}))
}

func entry(r rows.Ledger) store.Entry {
	return store.Entry{
		Account: store.ID(r.Account), Ring: store.Ring(r.Ring), Seq: r.Seq, ID: store.ID(r.ID), Reference: r.Reference,
		At: instant(r.At), Open: r.Open == 1, Detail: r.Detail,
	}
}

func (t *Tx) Append(e store.Entry) error {
	return t.did(t.q.AppendEntry(none, rows.AppendEntryParams{
		Account: e.Account[:], Ring: int64(e.Ring), Slot: e.Seq % store.RingSize, Seq: e.Seq, ID: e.ID[:], Reference: e.Reference,
		At: micros(e.At), Open: flag(e.Open), Detail: blob(e.Detail),
	}))
}

func (t *Tx) Entry(account store.ID, ring store.Ring, seq int64) (store.Entry, error) {
	r, err := t.q.Entry(none, rows.EntryParams{Account: account[:], Ring: int64(ring), Slot: seq % store.RingSize, Seq: seq})
	return single(r, err, t, entry)
}

func (t *Tx) CloseEntry(e store.Entry) error {
	return t.one(t.q.CloseEntry(none, rows.CloseEntryParams{
		Detail: blob(e.Detail), Account: e.Account[:], Ring: int64(e.Ring), Slot: e.Seq % store.RingSize, Seq: e.Seq, ID: e.ID[:],
	}))
}

func (t *Tx) Ledger(account store.ID) ([]store.Entry, error) {
	list, err := t.q.Ledger(none, account[:])
	return each(list, err, t, entry)
}

func (t *Tx) FindReference(reference string) ([]store.Entry, error) {
	list, err := t.q.FindReference(none, reference)
	return each(list, err, t, entry)
}

func request(r rows.Request) store.Request {
	return store.Request{
		ID: store.ID(r.ID), Account: store.ID(r.Account), Thumbprint: store.Thumbprint(r.Thumbprint), Name: r.Name, System: r.System,
		Client: r.Client, Address: r.Address, Opened: instant(r.Opened), Expires: instant(r.Expires), WrongCodes: int(r.WrongCodes),
		Seen: instant(r.Seen), SeenBy: store.ID(r.SeenBy), Allowed: instant(r.Allowed), AllowedBy: store.ID(r.AllowedBy),
		Denied: instant(r.Denied), DeniedBy: store.ID(r.DeniedBy), Done: instant(r.Done),
	}
}

func (t *Tx) Request(id store.ID) (store.Request, error) {
	r, err := t.q.Request(none, id[:])
	return single(r, err, t, request)
}

func (t *Tx) Requests(account store.ID) ([]store.Request, error) {
	list, err := t.q.Requests(none, account[:])
	return each(list, err, t, request)
}

func (t *Tx) AddRequest(r store.Request) error {
	return t.did(t.q.AddRequest(none, rows.AddRequestParams{
		ID: r.ID[:], Account: r.Account[:], Thumbprint: r.Thumbprint[:], Name: r.Name, System: r.System, Client: r.Client, Address: r.Address,
		Opened: micros(r.Opened), Expires: micros(r.Expires), WrongCodes: int64(r.WrongCodes), Seen: micros(r.Seen), SeenBy: r.SeenBy[:],
		Allowed: micros(r.Allowed), AllowedBy: r.AllowedBy[:], Denied: micros(r.Denied), DeniedBy: r.DeniedBy[:], Done: micros(r.Done),
	}))
}

func (t *Tx) SaveRequest(r store.Request) error {
	return t.one(t.q.SaveRequest(none, rows.SaveRequestParams{
		WrongCodes: int64(r.WrongCodes), Seen: micros(r.Seen), SeenBy: r.SeenBy[:], Allowed: micros(r.Allowed), AllowedBy: r.AllowedBy[:],
		Denied: micros(r.Denied), DeniedBy: r.DeniedBy[:], Done: micros(r.Done), ID: r.ID[:],
	}))
}

func (t *Tx) DropRequest(id store.ID) error { return t.one(t.q.DropRequest(none, id[:])) }

func pass(r rows.Pass) store.Pass {
	return store.Pass{
		Hash: [32]byte(r.Hash), Account: store.ID(r.Account), MadeBy: store.ID(r.MadeBy), Created: instant(r.Created),
		Expires: instant(r.Expires), Tries: int(r.Tries), Used: instant(r.Used),
	}
}

func (t *Tx) Pass(hash [32]byte) (store.Pass, error) {
	r, err := t.q.Pass(none, hash[:])
	return single(r, err, t, pass)
}

func (t *Tx) AddPass(p store.Pass) error {
	return t.did(t.q.AddPass(none, rows.AddPassParams{
		Hash: p.Hash[:], Account: p.Account[:], MadeBy: p.MadeBy[:], Created: micros(p.Created), Expires: micros(p.Expires),
		Tries: int64(p.Tries), Used: micros(p.Used),
	}))
}

func (t *Tx) SavePass(p store.Pass) error {
	return t.one(t.q.SavePass(none, rows.SavePassParams{Tries: int64(p.Tries), Used: micros(p.Used), Hash: p.Hash[:]}))
}

func (t *Tx) DropPasses(account store.ID) error {
	return t.did(t.q.DropPasses(none, account[:]))
}

func (t *Tx) Invitation(hash [32]byte) (store.Invitation, error) {
	r, err := t.q.Invitation(none, hash[:])
	return single(r, err, t, func(r rows.Invitation) store.Invitation {
		return store.Invitation{
			Hash: [32]byte(r.Hash), Identifier: r.Identifier, Created: instant(r.Created), Expires: instant(r.Expires), Used: instant(r.Used),
		}
	})
}

func (t *Tx) AddInvitation(i store.Invitation) error {
	return t.did(t.q.AddInvitation(none, rows.AddInvitationParams{
		Hash: i.Hash[:], Identifier: i.Identifier, Created: micros(i.Created), Expires: micros(i.Expires), Used: micros(i.Used),
	}))
}

func (t *Tx) SaveInvitation(i store.Invitation) error {
	return t.one(t.q.SaveInvitation(none, rows.SaveInvitationParams{Used: micros(i.Used), Hash: i.Hash[:]}))
}

const PolicySetting = "policy"

func (t *Tx) Policy() ([]byte, error) {
	b, err := t.q.Setting(none, PolicySetting)
	return b, t.told(err)
}

func (t *Tx) SavePolicy(b []byte) error { return t.SaveSetting(PolicySetting, b) }

func (t *Tx) SaveSetting(name string, value []byte) error {
	return t.did(t.q.SaveSetting(none, rows.SaveSettingParams{Name: name, Value: blob(value)}))
}

func (t *Tx) Keys() ([]store.SealedKey, error) {
	list, err := t.q.Keys(none)
	return each(list, err, t, func(r rows.Key) store.SealedKey {
		return store.SealedKey{ID: r.ID, Purpose: r.Purpose, Created: instant(r.Created), Retired: instant(r.Retired), Sealed: r.Sealed}
	})
}

func (t *Tx) AddKey(k store.SealedKey) error {
	return t.did(t.q.AddKey(none, rows.AddKeyParams{
		ID: k.ID, Purpose: k.Purpose, Created: micros(k.Created), Retired: micros(k.Retired), Sealed: blob(k.Sealed),
	}))
}

func (t *Tx) SaveKey(k store.SealedKey) error {
	return t.one(t.q.SaveKey(none, rows.SaveKeyParams{Retired: micros(k.Retired), ID: k.ID}))
}

func (t *Tx) DropKey(id string) error { return t.one(t.q.DropKey(none, id)) }
