package resident

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

// NotifyTime is how long a desktop may take to show something.
const NotifyTime = 10 * time.Second

// ErrNoDesktop: nobody sees a desktop of this user now.
var ErrNoDesktop = errors.New("there is no desktop that shows notifications")

// Desktop shows texts to this user.
type Desktop interface {
	// Tell shows a text. It returns ErrNoDesktop where there is none at present.
	Tell(title, text string) error
	// Panel returns a place for a text with choices; ErrNoDesktop where there is
	// none, or one that offers no choices. It ends with its context.
	Panel(ctx context.Context) (Panel, error)
}

// Panel is one text with choices, which can be replaced.
type Panel interface {
	// Put shows a text and choices in place of those before.
	Put(title, text string, choices ...Choice) error
	// Chosen gives the keys of choices that a person makes; it is closed when they
	// have put the panel away.
	Chosen() <-chan string
	// Close takes the panel away.
	Close()
}

// Choice is one that a person can make.
type Choice struct{ Key, Label string }

// tick is how often the countdown of a code is shown anew, and lookAgain how
// often the agent looks whether the device is in.
const (
	tick      = time.Second
	lookAgain = 3 * time.Second
)

// ask shows a request where this user looks, and does what they choose, as long
// as it is open. What they chose is done all the same: to deny a request is what
// ends it.
func (r *Resident) ask(ctx, open context.Context, q api.Request) {
	title := q.Name + " asks to sign in" + r.whose()
	from := fmt.Sprintf("From %s, with %s. ", q.Address, q.Client)
	p, err := r.Desktop.Panel(open)
	if err == nil {
		defer p.Close()
		err = p.Put(title, from+"Its password was right. Allow shows the code to type there.", Choice{DoAllow, "Allow"}, Choice{DoDeny, "Deny"})
	}
	if err != nil {
		r.tellDesktop(title, from+fmt.Sprintf("If it is you: readmit allow %s. If not: readmit deny %s", q.ID, q.ID))
		return
	}
	chosen := ""
	select {
	case <-open.Done():
	case chosen = <-p.Chosen():
	}
	switch chosen {
	case DoAllow:
		err = r.countDown(open, p, q)
	case DoDeny:
		if _, err = Do(ctx, r.Agent, Ask{Do: DoDeny, ID: q.ID}); err == nil {
			r.tellDesktop(q.Name+" is denied"+r.whose(), "If that was not you, somebody knows the password. Change it: readmit password")
		}
	}
	if err != nil && open.Err() == nil {
		r.Say(q.Name + ": " + err.Error())
		r.tellDesktop(q.Name+" is not answered"+r.whose(), reasonOf(err))
	}
}

// whose names the account, for a title: another account of this machine has an
// agent of its own, and notices like these.
func (r *Resident) whose() string {
	var id agent.Identity
	if r.Agent.Home.Load(agent.IdentityFile, &id) != nil || !id.Enrolled() {
		return ""
	}
	return " (" + id.Account + ")"
}

// located writes the commands of a text, each after a colon, as they are typed
// for this home.
func (r *Resident) located(text string) string {
	return strings.ReplaceAll(text, ": readmit ", ": "+r.Agent.Home.Command(""))
}

// tell tells a person, by account and home.
func (r *Resident) tell(title, text string) { r.Tell(title+r.whose(), r.located(text)) }

// tellDesktop shows a text, and says why where that failed.
func (r *Resident) tellDesktop(title, text string) {
	if err := r.Desktop.Tell(title, r.located(text)); err != nil && !errors.Is(err, ErrNoDesktop) {
		r.Say("the desktop shows no notifications: " + err.Error())
	}
}

// countDown shows the code of the moment until the request is over, or somebody
// has seen enough of it.
func (r *Resident) countDown(ctx context.Context, p Panel, q api.Request) error {
	every := time.NewTicker(tick)
	defer every.Stop()
	var until, next time.Time
	var code string
	for {
		if now := r.Agent.Now(); !now.Before(next) || !now.Before(until) {
			got, err := Do(ctx, r.Agent, Ask{Do: DoAllow, ID: q.ID})
			if over := new(api.Problem); code != "" && errors.As(err, &over) && over.Code == api.NotPossible {
				return nil // the device is in, or its time is up
			}
			if err != nil {
				return err
			}
			code, until, next = got.Allowed.Code, now.Add(time.Duration(got.Allowed.Remaining)*time.Second), now.Add(lookAgain)
		}
		left := max(0, int(until.Sub(r.Agent.Now()).Seconds()))
		if err := p.Put(fmt.Sprintf("%s   %d s", code, left), "Type this code on "+q.Name+". A new one follows when its time is up."); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.Chosen():
			return nil
		case <-every.C:
		}
	}
}

// reasonOf is what a person can make of a request that was not answered.
func reasonOf(err error) string {
	if p := new(api.Problem); errors.As(err, &p) && p.Code != api.Unavailable {
		return p.Error()
	}
	return reason(err)
}

// visible takes out of a text what no desktop shows: control characters, and the
// marks that turn the direction of writing.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
