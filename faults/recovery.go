package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/opaque"
)

// recovering is a device that recovers an account, as a page in a browser does:
// with a key of its own and nothing else.
type recovering struct {
	key  device.Key
	kase api.Bytes
}

// recovery makes one of its calls; ! for one that is refused, which sets $REF.
func (w *world) recovery(ts *testscript.TestScript, neg bool, args []string) {
	err := w.recover(ts, args[0], args[1], args[2:])
	if p := new(api.Problem); errors.As(err, &p) && p.Code == api.Failed {
		ts.Setenv("REF", p.Reference)
	} else if err != nil {
		ts.Fatalf("recovery %s: %v", strings.Join(args[:2], " "), err)
	}
	if neg != (err != nil) {
		ts.Fatalf("recovery %s: %v", strings.Join(args[:2], " "), err)
	}
}

func (w *world) recover(ts *testscript.TestScript, on, what string, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch what {
	case "codes", "approve", "cancel":
		return w.vouch(ctx, ts, on, what)
	}
	if w.recoveries == nil {
		w.recoveries = map[string]*recovering{}
	}
	r := w.recoveries[on]
	if r == nil {
		key, err := device.GenerateKey()
		if err != nil {
			return err
		}
		r = &recovering{key: key}
		w.recoveries[on] = r
	}
	c := agent.NewClient(ts.Getenv("SERVER"), r.key, time.Now)
	defer c.Close()
	client := api.Client{Name: "readmit-web", Version: "0.1.0", System: "linux", SystemVersion: "6.1", Protocol: api.Protocol}
	switch what {
	case "begin":
		var out api.Recovery
		err := c.Call(ctx, api.PathRecoveryStart, api.RecoveryStart{Account: "jane@example.org", DeviceName: on, Client: client}, &out)
		r.kase = out.Recovery
		return err
	case "prove":
		in := api.RecoveryProve{Recovery: r.kase}
		switch args[0] {
		case "code":
			in.Code = args[1]
		case "device":
			in.DeviceCode = args[1]
		}
		return c.Call(ctx, api.PathRecoveryProve, in, new(api.Recovery))
	case "set":
		password, err := os.ReadFile(filepath.Join(w.dir, args[0]))
		if err != nil {
			return err
		}
		registration, request, err := opaque.StartRegistration([]byte(strings.TrimSpace(string(password))))
		if err != nil {
			return err
		}
		var started api.SignUpStarted
		if err := c.Call(ctx, api.PathRecoveryPasswordStart, api.RecoveryPasswordStart{Recovery: r.kase, Request: request}, &started); err != nil {
			return err
		}
		stretch := opaque.DefaultStretch
		record, _, err := registration.Finish(started.Response, stretch)
		if err != nil {
			return err
		}
		return c.Call(ctx, api.PathRecoveryPasswordFinish, api.RecoveryPasswordFinish{
			Recovery: r.kase, Record: record, DeviceName: on, Client: client,
			Stretch: api.Stretch{Memory: stretch.Memory, Time: stretch.Time, Threads: stretch.Threads},
		}, new(api.RecoveryFinished))
	}
	return fmt.Errorf("there is no step %s", what)
}

// vouch does what an enrolled device does about recoveries, on its session.
func (w *world) vouch(ctx context.Context, ts *testscript.TestScript, on, what string) error {
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, on) })
	if err != nil {
		return err
	}
	id, err := home.Identity()
	if err != nil {
		return err
	}
	session, err := home.Session()
	if err != nil {
		return err
	}
	key, err := device.ParseKey([]byte(id.Key))
	if err != nil {
		return err
	}
	c := agent.NewClient(id.Server, key, time.Now)
	defer c.Close()
	if what == "codes" {
		var out api.RecoveryCodes
		err := c.Call(ctx, api.PathRecoveryCodes, api.SignedFresh{Session: session.ID}, &out)
		for i, code := range out.Codes {
			ts.Setenv(fmt.Sprint("CODE", i+1), code)
		}
		return err
	}
	var list api.Recoveries
	if err := c.Call(ctx, api.PathRecoveries, api.Signed{Session: session.ID}, &list); err != nil {
		return err
	}
	if len(list.Recoveries) == 0 {
		return errors.New("the device sees no recovery")
	}
	it := api.SignedID{Session: session.ID, ID: list.Recoveries[0].ID}
	if what == "cancel" {
		return c.Call(ctx, api.PathRecoveriesCancel, it, nil)
	}
	var out api.RecoveryApproved
	err = c.Call(ctx, api.PathRecoveriesApprove, it, &out)
	ts.Setenv("CODE", out.Code)
	return err
}
