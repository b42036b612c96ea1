package sqltx

import (
	"errors"
	"time"

	"database/sql"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/rows"
)

func signal(r rows.Signal) store.Signal {
	return store.Signal{ID: store.ID(r.ID), Account: store.ID(r.Account), Epoch: r.Epoch, Kind: r.Kind, At: instant(r.At), Detail: r.Detail}
}

func (t *Tx) AddSignal(s store.Signal) error {
	return t.did(t.q.AddSignal(none, rows.AddSignalParams{
		At: micros(s.At), ID: s.ID[:], Account: s.Account[:], Epoch: s.Epoch, Kind: s.Kind, Detail: blob(s.Detail),
	}))
}

func (t *Tx) AddReceipts(s store.Signal) error {
	return t.did(t.q.AddReceipts(none, rows.AddReceiptsParams{Signal: s.ID[:], Account: s.Account[:], Epoch: s.Epoch, Kind: s.Kind, Made: micros(s.At)}))
}

func (t *Tx) AddReceipt(r store.Receipt) error {
	return t.did(t.q.AddReceipt(none, rows.AddReceiptParams{
		Signal: r.Signal[:], Service: r.Service[:], Account: r.Account[:], Epoch: r.Epoch, Kind: r.Kind, Made: micros(r.Made), Next: micros(r.Next),
		Tries: int64(r.Tries), Delivered: micros(r.Delivered), Applied: micros(r.Applied), Why: r.Why,
	}))
}

func (t *Tx) Signals(after time.Time, id store.ID, limit int) ([]store.Signal, error) {
	list, err := t.q.Signals(none, rows.SignalsParams{At: micros(after), ID: id[:], Most: int32(limit)})
	return each(list, err, t, signal)
}

func (t *Tx) Tallies(from time.Time, width time.Duration) (map[int64]store.Tally, error) {
	list, err := t.q.Tallies(none, rows.TalliesParams{At: micros(from), Width: width.Microseconds()})
	if err != nil {
		return nil, t.told(err)
	}
	all := make(map[int64]store.Tally, len(list))
	for _, r := range list {
		all[r.Part] = store.Tally{Signals: r.Signals, Stamps: r.Stamps}
	}
	return all, nil
}

func (t *Tx) Signal(at time.Time, id store.ID) (store.Signal, error) {
	r, err := t.q.Signal(none, rows.SignalParams{At: micros(at), ID: id[:]})
	return single(r, err, t, signal)
}

func service(r rows.Service) store.Service {
	return store.Service{
		ID: store.ID(r.ID), Name: r.Name, Audience: r.Audience, Push: r.Push, Secret: [32]byte(r.Secret), Added: instant(r.Added),
		Status: r.Status, Why: r.Why, Parked: instant(r.Parked), Events: r.Events, About: r.About,
	}
}

func (t *Tx) Services() ([]store.Service, error) {
	list, err := t.q.Services(none)
	return each(list, err, t, service)
}

func (t *Tx) AddService(s store.Service) error {
	return t.did(t.q.AddService(none, rows.AddServiceParams{
		ID: s.ID[:], Name: s.Name, Audience: s.Audience, Push: s.Push, Secret: s.Secret[:], Added: micros(s.Added),
		Status: s.Status, Why: s.Why, Parked: micros(s.Parked), Events: s.Events, About: s.About,
	}))
}

func (t *Tx) SaveService(s store.Service) error {
	return t.one(t.q.SaveService(none, rows.SaveServiceParams{
		Name: s.Name, Audience: s.Audience, Push: s.Push, Secret: s.Secret[:], Added: micros(s.Added),
		Status: s.Status, Why: s.Why, Parked: micros(s.Parked), Events: s.Events, About: s.About, ID: s.ID[:],
	}))
}

func (t *Tx) DropWaiting(of store.ID) error { return t.did(t.q.DropWaiting(none, of[:])) }

func (t *Tx) DropService(id store.ID) error {
	if err := errors.Join(t.did(t.q.DropWaiting(none, id[:])), t.did(t.q.DropWork(none, id[:]))); err != nil {
		return err
	}
	return t.one(t.q.DropService(none, id[:]))
}

func (t *Tx) Work(id store.ID) (store.Work, error) {
	r, err := t.q.Work(none, id[:])
	if errors.Is(err, sql.ErrNoRows) {
		return store.Work{Service: id}, nil
	}
	return single(r, err, t, func(r rows.Work) store.Work {
		return store.Work{Service: store.ID(r.Service), Node: store.ID(r.Node), Lease: instant(r.Lease), Heard: instant(r.Heard)}
	})
}

func (t *Tx) Claim(w store.Work, now, far time.Time) (bool, error) {
	n, err := t.q.Claim(none, rows.ClaimParams{Service: w.Service[:], Node: w.Node[:], Lease: micros(w.Lease), Now: micros(now), Far: micros(far)})
	return n == 1, t.did(err)
}

func (t *Tx) Heard(of store.ID, at time.Time) error {
	return t.did(t.q.Heard(none, rows.HeardParams{Service: of[:], Node: make([]byte, len(of)), Heard: micros(at)}))
}

func receipt(r rows.Receipt) store.Receipt {
	return store.Receipt{
		Service: store.ID(r.Service), Signal: store.ID(r.Signal), Account: store.ID(r.Account), Epoch: r.Epoch, Kind: r.Kind,
		Made: instant(r.Made), Next: instant(r.Next), Tries: int(r.Tries), Delivered: instant(r.Delivered), Applied: instant(r.Applied), Why: r.Why,
	}
}

func (t *Tx) DueReceipts(of store.ID, now time.Time, limit int) ([]store.Due, error) {
	list, err := t.q.DueReceipts(none, rows.DueReceiptsParams{Service: of[:], Next: micros(now), Most: int32(limit)})
	return each(list, err, t, func(r rows.DueReceiptsRow) store.Due {
		return store.Due{Detail: r.Detail, Lost: r.Lost != 0, Receipt: receipt(rows.Receipt{
			Signal: r.Signal, Service: r.Service, Account: r.Account, Epoch: r.Epoch, Kind: r.Kind, Made: r.Made, Next: r.Next,
			Tries: r.Tries, Delivered: r.Delivered, Applied: r.Applied, Why: r.Why,
		})}
	})
}

func (t *Tx) Deliver(of, signal store.ID, at time.Time, why string) error {
	return t.did(t.q.Deliver(none, rows.DeliverParams{Delivered: micros(at), Why: why, Signal: signal[:], Service: of[:]}))
}

func (t *Tx) Apply(of, signal store.ID, applied, now time.Time) error {
	if err := t.Deliver(of, signal, now, ""); err != nil {
		return err
	}
	return t.did(t.q.Apply(none, rows.ApplyParams{Applied: micros(applied), Signal: signal[:], Service: of[:]}))
}

func (t *Tx) PutOff(of, signal store.ID, next time.Time, why string) error {
	return t.did(t.q.PutOff(none, rows.PutOffParams{Next: micros(next), Why: why, Signal: signal[:], Service: of[:]}))
}

func (t *Tx) Hurry(of store.ID, now time.Time) error {
	return t.did(t.q.Hurry(none, rows.HurryParams{Next: micros(now), Service: of[:]}))
}

func (t *Tx) Afresh(of store.ID, now time.Time) error {
	return t.did(t.q.Afresh(none, rows.AfreshParams{Next: micros(now), Service: of[:]}))
}

func (t *Tx) Receipts(account store.ID, limit int) ([]store.Receipt, error) {
	list, err := t.q.Receipts(none, rows.ReceiptsParams{Account: account[:], Most: int32(limit)})
	return each(list, err, t, receipt)
}

func (t *Tx) ReceiptsOf(account store.ID, epoch int64, limit int) ([]store.Receipt, error) {
	list, err := t.q.ReceiptsOf(none, rows.ReceiptsOfParams{Account: account[:], Epoch: epoch, Most: int32(limit)})
	return each(list, err, t, receipt)
}

func (t *Tx) FirstWaiting(of, account store.ID) (store.Receipt, error) {
	r, err := t.q.FirstWaiting(none, rows.FirstWaitingParams{Service: of[:], Account: account[:]})
	return single(r, err, t, receipt)
}

func (t *Tx) LongestWaiting(of store.ID) (store.Receipt, error) {
	r, err := t.q.LongestWaiting(none, of[:])
	return single(r, err, t, receipt)
}

func (t *Tx) LastApplied(of store.ID, until time.Time, limit int) (time.Time, error) {
	at, err := t.q.LastApplied(none, rows.LastAppliedParams{Service: of[:], At: micros(until), Most: int32(limit)})
	return single(at, err, t, instant)
}

func (t *Tx) Backlogs() ([]store.Backlog, error) {
	list, err := t.q.Backlogs(none)
	return each(list, err, t, func(r rows.BacklogsRow) store.Backlog {
		return store.Backlog{Service: store.ID(r.Service), Waiting: int(r.Waiting), Oldest: instant(r.Oldest)}
	})
}
