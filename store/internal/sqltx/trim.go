package sqltx

import (
	"context"
	"errors"
	"time"

	"readmit.dev/readmit/store/internal/rows"
)

// Trim takes one kind after another, as many rows of each as are left of most.
func (t *Tx) Trim(before time.Time, most int) (int, error) {
	q, at, left := t.q, micros(before), int32(most)
	for _, kind := range []func() (int, error){
		func() (int, error) {
			list, err := q.OldSessions(none, rows.OldSessionsParams{Before: at, Most: left})
			return drop(list, err, q.TrimSession)
		},
		func() (int, error) {
			list, err := q.OldRequests(none, rows.OldRequestsParams{Before: at, Most: left})
			return drop(list, err, q.TrimRequest)
		},
		func() (int, error) {
			list, err := q.OldPasses(none, rows.OldPassesParams{Before: at, Most: left})
			return drop(list, err, q.TrimPass)
		},
		func() (int, error) {
			list, err := q.OldInvitations(none, rows.OldInvitationsParams{Before: at, Most: left})
			return drop(list, err, q.TrimInvitation)
		},
		func() (int, error) {
			list, err := q.OldFormers(none, rows.OldFormersParams{Before: at, Most: left})
			return drop(list, err, q.TrimFormer)
		},
		func() (int, error) {
			list, err := q.OldRecoveries(none, rows.OldRecoveriesParams{Before: at, Most: left})
			return drop(list, err, q.TrimRecovery)
		},
		func() (int, error) {
			list, err := q.OldApprovals(none, rows.OldApprovalsParams{Before: at, Most: left})
			return drop(list, err, func(_ context.Context, r rows.OldApprovalsRow) error {
				return q.TrimApproval(none, rows.TrimApprovalParams(r))
			})
		},
		func() (int, error) {
			list, err := q.OldDeskActs(none, rows.OldDeskActsParams{Before: at, Most: left})
			return drop(list, err, q.TrimDeskAct)
		},
		func() (int, error) {
			list, err := q.OldSentMessages(none, rows.OldSentMessagesParams{Before: at, Most: left})
			return drop(list, err, q.TrimMessage)
		},
		func() (int, error) {
			list, err := q.OldLostMessages(none, rows.OldLostMessagesParams{Before: at, Most: left})
			return drop(list, err, q.TrimMessage)
		},
		func() (int, error) {
			list, err := q.OldSignals(none, rows.OldSignalsParams{Before: at, Most: left})
			return drop(list, err, func(_ context.Context, r rows.OldSignalsRow) error {
				return errors.Join(q.TrimReceipts(none, r.ID), q.TrimSignal(none, rows.TrimSignalParams(r)))
			})
		},
	} {
		n, err := kind()
		if n > 0 {
			t.Wrote = true
		}
		if err != nil {
			return 0, t.told(err)
		}
		if left -= int32(n); left <= 0 {
			break
		}
	}
	return most - int(left), nil
}

// drop deletes each row of a list. Those before one that failed are counted too:
// the transaction has written.
func drop[R any](list []R, err error, f func(context.Context, R) error) (int, error) {
	if err != nil {
		return 0, err
	}
	for i, r := range list {
		if err := f(none, r); err != nil {
			return i, err
		}
	}
	return len(list), nil
}
