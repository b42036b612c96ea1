package faults

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/passkey/virtual"
)

// passkeys are jane's authenticator, and what somebody has copied of it.
type passkeys struct {
	own, copied *virtual.Authenticator
}

// passkey makes one of its calls; ! for one that is refused, which sets $REF.
func (w *world) passkey(ts *testscript.TestScript, neg bool, args []string) {
	err := w.usePasskey(ts, args[0], args[1], args[2:])
	if p := new(api.Problem); errors.As(err, &p) && p.Code == api.Failed {
		ts.Setenv("REF", p.Reference)
	} else if err != nil {
		ts.Fatalf("passkey %s: %v", strings.Join(args, " "), err)
	}
	if neg != (err != nil) {
		ts.Fatalf("passkey %s: %v", strings.Join(args, " "), err)
	}
}

func (w *world) usePasskey(ts *testscript.TestScript, on, what string, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, on) })
	if err != nil {
		return err
	}
	id, err := home.Identity()
	if err != nil {
		return err
	}
	key, err := device.ParseKey([]byte(id.Key))
	if err != nil {
		return err
	}
	server := ts.Getenv("SERVER")
	c := agent.NewClient(server, key, time.Now)
	defer c.Close()
	if w.passkeys.own == nil {
		w.passkeys.own = &virtual.Authenticator{Origin: server}
	}
	switch what {
	case "add":
		return w.addPasskey(ctx, home, c)
	case "remove":
		return w.removePasskeys(ctx, home, c)
	case "copy":
		w.passkeys.copied = w.passkeys.own.Clone()
		return nil
	case "second":
		with := *w.passkeys.own
		if len(args) > 0 && args[0] == "copied" {
			with = *w.passkeys.copied
		} else if len(args) > 0 {
			with.Origin = args[0]
		}
		return w.giveSecond(ctx, home, c, id, &with)
	}
	return fmt.Errorf("there is no step %s", what)
}

func (w *world) addPasskey(ctx context.Context, home agent.Home, c *agent.Client) error {
	session, err := home.Session()
	if err != nil {
		return err
	}
	var started api.PasskeyStarted
	if err := c.Call(ctx, api.PathAddPasskeyStart, api.AddPasskeyStart{Session: session.ID}, &started); err != nil {
		return err
	}
	made, err := w.passkeys.own.Create(started.Options)
	if err != nil {
		return err
	}
	return c.Call(ctx, api.PathAddPasskeyFinish, api.AddPasskeyFinish{Session: session.ID, State: started.State, Credential: made, Name: "house key"}, new(api.Passkey))
}

func (w *world) removePasskeys(ctx context.Context, home agent.Home, c *agent.Client) error {
	session, err := home.Session()
	if err != nil {
		return err
	}
	var list api.Passkeys
	if err := c.Call(ctx, api.PathPasskeys, api.Signed{Session: session.ID}, &list); err != nil {
		return err
	}
	for _, p := range list.Passkeys {
		which := api.SignedID{Session: session.ID, ID: base64.RawURLEncoding.EncodeToString(p.ID)}
		if err := c.Call(ctx, api.PathRemovePasskey, which, nil); err != nil {
			return err
		}
	}
	return nil
}

// giveSecond gives the passkey for the attempt in which the device waits, and
// keeps what comes of it, as the program does with six digits.
func (w *world) giveSecond(ctx context.Context, home agent.Home, c *agent.Client, id agent.Identity, with *virtual.Authenticator) error {
	var t agent.Attempt
	if err := home.Load(agent.AttemptFile, &t); err != nil {
		return err
	}
	var started api.PasskeyStarted
	if err := c.Call(ctx, api.PathSecondPasskeyStart, api.SecondPasskeyStart{Attempt: t.ID}, &started); err != nil {
		return err
	}
	answer, err := with.Get(started.Options)
	if err != nil {
		return err
	}
	var in api.SignedIn
	if err := c.Call(ctx, api.PathSecondPasskeyFinish, api.SecondPasskeyFinish{Attempt: t.ID, State: started.State, Credential: answer}, &in); err != nil {
		return err
	}
	id.Server, id.Account, id.Device, id.Name, id.CodeSecret = t.Server, in.Account, in.Device, t.Name, in.CodeSecret
	if err := home.SaveIdentity(id); err != nil {
		return err
	}
	return home.Save(agent.SessionFile, agent.Session{ID: in.Session})
}
