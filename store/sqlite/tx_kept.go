package sqlite

import (
	"time"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite/internal/rows"
)

func session(r rows.Session) store.Session {
	return store.Session{
		ID: store.ID(r.ID), Account: store.ID(r.Account), Device: store.ID(r.Device), Created: instant(r.Created), LastUsed: instant(r.LastUsed),
		Ended: instant(r.Ended), EndedBy: store.ID(r.EndedBy), EndedWhy: r.EndedWhy,
	}
}

func (t *tx) Session(id store.ID) (store.Session, error) {
	r, err := t.c.queries.Session(none, id[:])
	return single(r, err, t, session)
}

func (t *tx) Sessions(account store.ID) ([]store.Session, error) {
	list, err := t.c.queries.Sessions(none, account[:])
	return each(list, err, t, session)
}

func (t *tx) AddSession(s store.Session) error {
	return t.did(t.c.queries.AddSession(none, rows.AddSessionParams{
		ID: s.ID[:], Account: s.Account[:], Device: s.Device[:], Created: micros(s.Created), LastUsed: micros(s.LastUsed),
		Ended: micros(s.Ended), EndedBy: s.EndedBy[:], EndedWhy: s.EndedWhy,
	}))
}

func (t *tx) EndSessions(account, device, except store.ID, at time.Time, by store.ID, why string) (int, error) {
	t.changed = append(t.changed, account)
	var n int64
	var err error
	if device.IsZero() {
		n, err = t.c.queries.EndSessions(none, rows.EndSessionsParams{Ended: micros(at), EndedBy: by[:], EndedWhy: why, Account: account[:], ID: except[:]})
	} else {
		n, err = t.c.queries.EndSessionsOfDevice(none, rows.EndSessionsOfDeviceParams{
			Ended: micros(at), EndedBy: by[:], EndedWhy: why, Account: account[:], Device: device[:], ID: except[:],
		})
	}
	return int(n), t.did(err)
}

func (t *tx) TouchSession(id store.ID, used time.Time) error {
	// It never goes back: refreshes that pass each other are the same use.
	n, err := t.c.queries.TouchSession(none, rows.TouchSessionParams{LastUsed: micros(used), ID: id[:], LastUsed_2: micros(used)})
	if err == nil && n == 0 {
		_, err := t.Session(id)
		return err
	}
	return t.did(err)
}

func (t *tx) Trim(before time.Time) error {
	q, at := t.c.queries, micros(before)
	for _, err := range []error{q.TrimSessions(none, at), q.TrimRequests(none, at), q.TrimPasses(none, at), q.TrimInvitations(none, at), q.TrimFormers(none, at)} {
		if err := t.did(err); err != nil {
			return err
		}
	}
	return t.trimPeople(at)
}

func (t *tx) Former(account store.ID) (store.Former, error) {
	r, err := t.c.queries.Former(none, account[:])
	return single(r, err, t, func(r rows.Former) store.Former {
		return store.Former{Account: store.ID(r.Account), Sealed: r.Sealed, Stretch: r.Stretch, Replaced: instant(r.Replaced)}
	})
}

func (t *tx) SaveFormer(f store.Former) error {
	return t.did(t.c.queries.SaveFormer(none, rows.SaveFormerParams{
		Account: f.Account[:], Sealed: blob(f.Sealed), Stretch: f.Stretch, Replaced: micros(f.Replaced),
	}))
}

func entry(r rows.Ledger) store.Entry {
	return store.Entry{
		Account: store.ID(r.Account), Ring: store.Ring(r.Ring), Seq: r.Seq, ID: store.ID(r.ID), Reference: r.Reference,
		At: instant(r.At), Open: r.Open == 1, Detail: r.Detail,
	}
}

func (t *tx) Append(e store.Entry) error {
	return t.did(t.c.queries.AppendEntry(none, rows.AppendEntryParams{
		Account: e.Account[:], Ring: int64(e.Ring), Slot: e.Seq % store.RingSize, Seq: e.Seq, ID: e.ID[:], Reference: e.Reference,
		At: micros(e.At), Open: flag(e.Open), Detail: blob(e.Detail),
	}))
}

func (t *tx) Entry(account store.ID, ring store.Ring, seq int64) (store.Entry, error) {
	r, err := t.c.queries.Entry(none, rows.EntryParams{Account: account[:], Ring: int64(ring), Slot: seq % store.RingSize, Seq: seq})
	return single(r, err, t, entry)
}

func (t *tx) CloseEntry(e store.Entry) error {
	return t.one(t.c.queries.CloseEntry(none, rows.CloseEntryParams{
		Detail: blob(e.Detail), Account: e.Account[:], Ring: int64(e.Ring), Slot: e.Seq % store.RingSize, Seq: e.Seq, ID: e.ID[:],
	}))
}

func (t *tx) Ledger(account store.ID) ([]store.Entry, error) {
	list, err := t.c.queries.Ledger(none, account[:])
	return each(list, err, t, entry)
}

func (t *tx) FindReference(reference string) ([]store.Entry, error) {
	list, err := t.c.queries.FindReference(none, reference)
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

func (t *tx) Request(id store.ID) (store.Request, error) {
	r, err := t.c.queries.Request(none, id[:])
	return single(r, err, t, request)
}

func (t *tx) Requests(account store.ID) ([]store.Request, error) {
	list, err := t.c.queries.Requests(none, account[:])
	return each(list, err, t, request)
}

func (t *tx) AddRequest(r store.Request) error {
	return t.did(t.c.queries.AddRequest(none, rows.AddRequestParams{
		ID: r.ID[:], Account: r.Account[:], Thumbprint: r.Thumbprint[:], Name: r.Name, System: r.System, Client: r.Client, Address: r.Address,
		Opened: micros(r.Opened), Expires: micros(r.Expires), WrongCodes: int64(r.WrongCodes), Seen: micros(r.Seen), SeenBy: r.SeenBy[:],
		Allowed: micros(r.Allowed), AllowedBy: r.AllowedBy[:], Denied: micros(r.Denied), DeniedBy: r.DeniedBy[:], Done: micros(r.Done),
	}))
}

func (t *tx) SaveRequest(r store.Request) error {
	return t.one(t.c.queries.SaveRequest(none, rows.SaveRequestParams{
		WrongCodes: int64(r.WrongCodes), Seen: micros(r.Seen), SeenBy: r.SeenBy[:], Allowed: micros(r.Allowed), AllowedBy: r.AllowedBy[:],
		Denied: micros(r.Denied), DeniedBy: r.DeniedBy[:], Done: micros(r.Done), ID: r.ID[:],
	}))
}

func (t *tx) DropRequest(id store.ID) error { return t.one(t.c.queries.DropRequest(none, id[:])) }

func pass(r rows.Pass) store.Pass {
	return store.Pass{
		Hash: [32]byte(r.Hash), Account: store.ID(r.Account), MadeBy: store.ID(r.MadeBy), Created: instant(r.Created),
		Expires: instant(r.Expires), Tries: int(r.Tries), Used: instant(r.Used),
	}
}

func (t *tx) Pass(hash [32]byte) (store.Pass, error) {
	r, err := t.c.queries.Pass(none, hash[:])
	return single(r, err, t, pass)
}

func (t *tx) AddPass(p store.Pass) error {
	return t.did(t.c.queries.AddPass(none, rows.AddPassParams{
		Hash: p.Hash[:], Account: p.Account[:], MadeBy: p.MadeBy[:], Created: micros(p.Created), Expires: micros(p.Expires),
		Tries: int64(p.Tries), Used: micros(p.Used),
	}))
}

func (t *tx) SavePass(p store.Pass) error {
	return t.one(t.c.queries.SavePass(none, rows.SavePassParams{Tries: int64(p.Tries), Used: micros(p.Used), Hash: p.Hash[:]}))
}

func (t *tx) DropPasses(account store.ID) error {
	return t.did(t.c.queries.DropPasses(none, account[:]))
}

func (t *tx) Invitation(hash [32]byte) (store.Invitation, error) {
	r, err := t.c.queries.Invitation(none, hash[:])
	return single(r, err, t, func(r rows.Invitation) store.Invitation {
		return store.Invitation{
			Hash: [32]byte(r.Hash), Identifier: r.Identifier, Created: instant(r.Created), Expires: instant(r.Expires), Used: instant(r.Used),
		}
	})
}

func (t *tx) AddInvitation(i store.Invitation) error {
	return t.did(t.c.queries.AddInvitation(none, rows.AddInvitationParams{
		Hash: i.Hash[:], Identifier: i.Identifier, Created: micros(i.Created), Expires: micros(i.Expires), Used: micros(i.Used),
	}))
}

func (t *tx) SaveInvitation(i store.Invitation) error {
	return t.one(t.c.queries.SaveInvitation(none, rows.SaveInvitationParams{Used: micros(i.Used), Hash: i.Hash[:]}))
}

const policySetting = "policy"

func (t *tx) Policy() ([]byte, error) {
	b, err := t.c.queries.Setting(none, policySetting)
	return b, t.told(err)
}

func (t *tx) SavePolicy(b []byte) error { return t.saveSetting(policySetting, b) }

func (t *tx) saveSetting(name string, value []byte) error {
	return t.did(t.c.queries.SaveSetting(none, rows.SaveSettingParams{Name: name, Value: blob(value)}))
}

func (t *tx) Keys() ([]store.SealedKey, error) {
	list, err := t.c.queries.Keys(none)
	return each(list, err, t, func(r rows.Key) store.SealedKey {
		return store.SealedKey{ID: r.ID, Purpose: r.Purpose, Created: instant(r.Created), Retired: instant(r.Retired), Sealed: r.Sealed}
	})
}

func (t *tx) AddKey(k store.SealedKey) error {
	return t.did(t.c.queries.AddKey(none, rows.AddKeyParams{
		ID: k.ID, Purpose: k.Purpose, Created: micros(k.Created), Retired: micros(k.Retired), Sealed: blob(k.Sealed),
	}))
}

func (t *tx) SaveKey(k store.SealedKey) error {
	return t.one(t.c.queries.SaveKey(none, rows.SaveKeyParams{Retired: micros(k.Retired), ID: k.ID}))
}

func (t *tx) DropKey(id string) error { return t.one(t.c.queries.DropKey(none, id)) }
