package message

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
)

func TestSent(t *testing.T) {
	o := newOffice(t)
	o.code("271828")
	o.notice()
	if n := o.work(); n != 2 || len(o.mail.sent) != 2 || len(o.sms.sent) != 0 {
		t.Fatalf("%d tried, %d mails, %d SMS", n, len(o.mail.sent), len(o.sms.sent))
	}
	code, notice := o.mail.sent[0], o.mail.sent[1] // the code goes first
	if code.To != "planted-home@example.org" || !strings.Contains(code.Body, "\n271828\n") || code.ID.IsZero() || code.Language != "en" {
		t.Errorf("%+v", code)
	}
	if !strings.Contains(notice.Body, "jane@example.org") || !strings.Contains(notice.Body, public+"/recover") || notice.Subject == "" {
		t.Errorf("%+v", notice)
	}
	if n := o.work(); n != 0 {
		t.Errorf("%d sent again", n)
	}
	for _, m := range o.messages() {
		if m.Sent.IsZero() || len(m.Sealed) != 0 || m.Tries != 1 {
			t.Errorf("kept: %+v", m)
		}
	}
	if o.seen["email sent"] != 2 || o.address().LastNotice.IsZero() {
		t.Errorf("%v, %v", o.seen, o.address())
	}
}

func TestQueuedWithTheChangeOnly(t *testing.T) {
	o := newOffice(t)
	broke := errors.New("the change failed")
	err := o.store.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(o.Tell(tx, o.jane, PasswordChanged, map[string]string{"device": "laptop"}), broke)
	})
	if !errors.Is(err, broke) || len(o.messages()) != 0 || o.work() != 0 {
		t.Errorf("%v, %d queued", err, len(o.messages()))
	}
}

func TestOnlyVerifiedAddressesAreTold(t *testing.T) {
	o := newOffice(t)
	other, phone := o.home, o.home
	other.ID, other.Value, other.Verified = store.ID{3}, "not-yet@example.org", time.Time{}
	phone.ID, phone.Kind, phone.Value, phone.Language = store.ID{4}, store.Phone, "+4930901820", "de"
	o.update(func(tx store.Tx) error { return errors.Join(tx.AddAddress(other), tx.AddAddress(phone)) })
	o.notice()
	o.work()
	if len(o.mail.sent) != 1 || len(o.sms.sent) != 1 || o.mail.sent[0].To != o.home.Value || o.sms.sent[0].To != phone.Value {
		t.Errorf("mails %v, SMS %v", o.mail.sent, o.sms.sent)
	}
	if s := o.sms.sent[0]; s.Subject != "" || !strings.Contains(s.Body, "Passwort") {
		t.Errorf("%+v", s)
	}
}

func TestBackOff(t *testing.T) {
	o := newOffice(t)
	o.mail.failing(&Failure{Why: Unreachable})
	o.notice()
	var pauses []time.Duration
	last := o.now()
	for o.messages()[0].GaveUp.IsZero() {
		if o.work() == 1 {
			pauses = append(pauses, o.now().Sub(last))
			last = o.now()
		}
		if next := o.messages()[0].Next; next.After(o.now()) {
			o.advance(next.Sub(o.now()))
		}
		if len(pauses) > 100 {
			t.Fatal("it is never given up")
		}
	}
	if took := o.messages()[0].GaveUp.Sub(start); took > KeptTrying || took < KeptTrying-8*time.Hour {
		t.Errorf("given up after %v", took)
	}
	want := firstPause
	for i, p := range pauses[1:] {
		if p < want*4/5 || p > want*6/5 {
			t.Errorf("pause %d is %v, want about %v", i, p, want)
		}
		want = min(3*want, lastPause)
	}
	m := o.messages()[0]
	if m.Why != Unreachable || len(m.Sealed) != 0 || o.address().FailedWhy != Unreachable || o.seen["email given-up"] != 1 || o.seen["email failed"] != len(pauses)-1 {
		t.Errorf("%+v, %+v, %v", m, o.address(), o.seen)
	}
	if n := o.work(); n != 0 {
		t.Error("it is tried after it was given up")
	}
}

func TestCodesAreNotSentLate(t *testing.T) {
	o := newOffice(t)
	o.mail.failing(&Failure{Why: PutOff})
	o.code("271828")
	for range 20 {
		o.work()
		o.advance(time.Minute)
	}
	if m := o.messages()[0]; m.GaveUp.IsZero() || m.GaveUp.Sub(start) > CodeLife+time.Minute || m.Why != PutOff {
		t.Errorf("%+v", m)
	}
	// Nor one that lay there while the server was down.
	o.mail.failing(nil)
	o.code("314159")
	o.advance(CodeLife + time.Second)
	o.work()
	if len(o.mail.sent) != 0 {
		t.Error("a code was sent that is not good any more")
	}
}

func TestReasonsAreKept(t *testing.T) {
	for _, c := range []struct {
		err   error
		why   string
		final bool
	}{
		{&Failure{Why: NoSuchMailbox, Final: true}, NoSuchMailbox, true},
		{&Failure{Why: TLS}, TLS, false},
		{fmt.Errorf("somewhere: %w", &Failure{Why: MailboxFull}), MailboxFull, false},
		{errors.New("planted-home@example.org is unknown here"), Unreachable, false},
		{&Failure{Why: "planted words of a server", Final: true}, Unreachable, false},
	} {
		o := newOffice(t)
		o.mail.failing(c.err)
		o.code("271828")
		o.work()
		m := o.messages()[0]
		if m.Why != c.why || m.GaveUp.IsZero() == c.final || o.address().FailedWhy != c.why || !o.address().Failed.Equal(start) {
			t.Errorf("%v: %+v, %+v", c.err, m, o.address())
		}
		if strings.Contains(o.logs.String(), "planted") || !strings.Contains(o.logs.String(), "why="+c.why) {
			t.Errorf("log: %s", o.logs)
		}
		// The next one that arrives ends it.
		o.mail.failing(nil)
		o.code("314159")
		o.advance(time.Minute)
		o.work()
		if a := o.address(); !a.Failed.IsZero() || a.FailedWhy != "" {
			t.Errorf("%v: still %s", c.err, a.FailedWhy)
		}
	}
}

func TestNobodySends(t *testing.T) {
	o := newOffice(t)
	o.Senders = nil
	o.notice()
	o.work()
	if m := o.messages()[0]; m.Why != NotConfigured || !m.GaveUp.IsZero() {
		t.Errorf("%+v", m)
	}
}

// What is queued survives a restart; who is killed between a sending and its
// mark sends once more, and only when the lease has ended.
func TestKilledBetweenSendingAndMark(t *testing.T) {
	o := newOffice(t)
	o.notice()
	claimed, err := o.claim(t.Context(), store.Email, atOnce)
	if err != nil || len(claimed) != 1 {
		t.Fatal(claimed, err)
	}
	if f := o.send(t.Context(), claimed[0]); f != nil {
		t.Fatal(f)
	}
	o.store.Close() // and nothing was marked
	o.open()
	if o.work() != 0 {
		t.Error("sent again while it may still be under way")
	}
	o.advance(lease)
	if o.work() != 1 || o.mail.count() != 2 || o.mail.sent[0].ID != o.mail.sent[1].ID {
		t.Errorf("sent %d times", o.mail.count())
	}
	o.advance(KeptTrying)
	if o.work() != 0 {
		t.Error("sent three times")
	}
}

func TestRestartWithQueued(t *testing.T) {
	o := newOffice(t)
	o.code("271828")
	o.store.Close()
	o.open()
	if o.work() != 1 || !strings.Contains(o.mail.sent[0].Body, "271828") {
		t.Errorf("%v", o.mail.sent)
	}
}

func TestAStoreThatFails(t *testing.T) {
	o := newOffice(t)
	o.notice()
	claimed, err := o.claim(t.Context(), store.Email, atOnce)
	if err != nil {
		t.Fatal(err)
	}
	o.store.down.Store(true)
	if _, err := o.claim(t.Context(), store.Email, atOnce); err == nil {
		t.Error("claimed from a store that is down")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.try(t.Context(), claimed[0]) // sent; the mark waits for the store
	}()
	for o.mail.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	o.store.down.Store(false)
	<-done
	if m := o.messages()[0]; m.Sent.IsZero() {
		t.Error("sent and not marked")
	}
	o.advance(lease)
	if o.work() != 0 {
		t.Error("sent twice")
	}
}

// Many workers on one store send each message once.
func TestWorkersDoNotCollide(t *testing.T) {
	o := newOffice(t)
	const n = 40
	for range n {
		o.notice()
	}
	o.Observed = nil
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				claimed, err := o.claim(t.Context(), store.Email, atOnce)
				if err != nil || len(claimed) == 0 {
					return
				}
				for _, m := range claimed {
					o.try(t.Context(), m)
				}
			}
		})
	}
	all.Wait()
	ids := map[store.ID]int{}
	for _, m := range o.mail.sent {
		ids[m.ID]++
	}
	if len(ids) != n || len(o.mail.sent) != n {
		t.Errorf("%d messages were sent %d times, want %d once each", len(ids), len(o.mail.sent), n)
	}
}

func TestRun(t *testing.T) {
	o := newOffice(t)
	o.Observed = nil
	o.sms.hold = make(chan struct{}) // an SMS service that hangs
	phone := o.home
	phone.ID, phone.Kind, phone.Value = store.ID{4}, store.Phone, "+4930901820"
	o.update(func(tx store.Tx) error { return tx.AddAddress(phone) })
	for range 10 {
		o.notice()
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.Run(ctx)
	}()
	within := time.Now().Add(20 * time.Second)
	for o.mail.count() < 10 {
		if time.Now().After(within) {
			t.Fatal("mails wait for SMS")
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not stop while a service hangs")
	}
	n, err := o.Waiting(t.Context())
	if err != nil || n != 10 || o.sms.count() != 0 {
		t.Errorf("%d wait, %v", n, err)
	}
	for _, m := range o.messages() {
		if m.Channel == store.Phone && m.Why != "" {
			t.Errorf("the server's stop is told as a failure: %s", m.Why)
		}
	}
}

func TestClosedAccount(t *testing.T) {
	o := newOffice(t)
	o.notice()
	o.update(func(tx store.Tx) error {
		if err := o.Tell(tx, o.jane, AccountClosed, map[string]string{"device": "laptop"}); err != nil {
			return err
		}
		return tx.CloseAccount(o.jane.ID)
	})
	if o.work() != 1 || o.mail.sent[0].To != o.home.Value || !strings.Contains(o.mail.sent[0].Body, "closed") {
		t.Errorf("the last message: %v", o.mail.sent)
	}
	// And one that is being sent while the account goes harms nothing.
	o = newOffice(t)
	o.notice()
	claimed, err := o.claim(t.Context(), store.Email, atOnce)
	if err != nil {
		t.Fatal(err)
	}
	o.update(func(tx store.Tx) error { return tx.CloseAccount(o.jane.ID) })
	began := time.Now()
	if o.try(t.Context(), claimed[0]); time.Since(began) > 5*time.Second {
		t.Error("it was offered to a store that has no place for it any more")
	}
	if n, err := o.Waiting(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// Neither address nor code of a message can be read in the data or the log.
// (The address itself is the account's and lies in its row.)
func TestSealed(t *testing.T) {
	o := newOffice(t)
	to := o.home
	to.ID, to.Value = store.ID{}, "planted-address@example.org"
	o.update(func(tx store.Tx) error {
		return o.Queue(tx, o.jane, to, RecoveryCode, map[string]string{"code": "PLANTED-CODE"})
	})
	o.mail.failing(errors.New("550 planted-address@example.org PLANTED-CODE"))
	o.work()
	search := func(when string) {
		found := false
		err := filepath.WalkDir(o.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			for _, planted := range []string{"planted-address", "PLANTED-CODE"} {
				if bytes.Contains(b, []byte(planted)) || strings.Contains(o.logs.String(), planted) {
					t.Errorf("%s: %s is in %s or the log", when, planted, d.Name())
				}
			}
			found = found || bytes.Contains(b, []byte(RecoveryCode))
			return err
		})
		if err != nil || !found {
			t.Error("nothing was searched", err)
		}
	}
	search("waiting")
	o.mail.failing(nil)
	o.advance(time.Minute)
	if o.work() != 1 || !strings.Contains(o.mail.sent[0].Body, "PLANTED-CODE") {
		t.Fatal("not sent")
	}
	search("sent")
}

// Keys rotate while messages wait; a message whose key is gone is given up.
func TestRotation(t *testing.T) {
	o := newOffice(t)
	o.mail.failing(&Failure{Why: Unreachable})
	o.advance(keys.RotateAfter - time.Hour)
	o.notice()
	o.work()
	o.advance(2 * time.Hour)
	if err := o.Keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.mail.failing(nil)
	if o.work() != 1 || o.mail.count() != 1 {
		t.Error("what waited over a rotation is lost")
	}
	o.notice()
	o.update(func(tx store.Tx) error {
		due, err := tx.DueMessages(o.now(), 1)
		if err != nil {
			return err
		}
		due[0].Sealed = []byte("of another server")
		return tx.SaveMessage(due[0])
	})
	o.work()
	if m := o.messages()[0]; m.Why != Lost || m.GaveUp.IsZero() {
		t.Errorf("%+v", m)
	}
}
