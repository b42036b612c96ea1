package resident

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/api"
)

// Each recovery that something is proved for is told once, and however much
// changes, the server is asked once in a while.
func TestRecoveriesAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecoveries()
		var now []api.RecoverySeen
		var told []string
		var fail error
		looks := 0
		r.list = func(context.Context) (api.Recoveries, error) {
			looks++
			return api.Recoveries{Recoveries: now}, fail
		}
		r.tell = func(q api.RecoverySeen) { told = append(told, q.ID) }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.run(ctx); close(ended) }()
		look := func(want ...string) {
			t.Helper()
			r.poke()
			time.Sleep(soon + between)
			synctest.Wait()
			if !slices.Equal(told, want) {
				t.Errorf("told of %v, want %v", told, want)
			}
		}
		now = []api.RecoverySeen{{ID: "4K7Q", State: "unproved"}, {ID: "7M2P", State: "cancelled"}}
		look()
		now[0].State = "waiting"
		look("4K7Q")
		now[0].State = "open"
		look("4K7Q")
		fail = gone
		look("4K7Q") // a look that failed has not seen that it is gone
		fail = nil
		now = append(now, api.RecoverySeen{ID: "9FXM", State: "open"})
		time.Sleep(soon + between) // without a change: what failed is looked at again
		synctest.Wait()
		look("4K7Q", "9FXM")
		fail = refusal
		r.poke()
		time.Sleep(soon + between)
		looks = 0
		time.Sleep(time.Hour)
		if looks != 0 {
			t.Errorf("%d looks in the hour after a refusal", looks)
		}
		fail = nil

		looks = 0
		for range 600 { // a minute of changes
			r.poke()
			time.Sleep(100 * time.Millisecond)
		}
		if looks < 8 || looks > 13 {
			t.Errorf("%d looks in a minute of changes", looks)
		}
		cancel()
		<-ended
	})
}

func TestWhatIsToldOfARecovery(t *testing.T) {
	q := api.RecoverySeen{ID: "4K7Q", Name: "tablet", Client: "readmit 0.1.0", Address: "192.0.2.7", State: "waiting", Opens: time.Date(2026, 11, 22, 9, 30, 0, 0, time.Local).Unix()}
	title, text := recoveryText(q)
	if title != "tablet recovers this account" || text != "From 192.0.2.7, with readmit 0.1.0. It can set a new password from 2026-11-22 09:30 on. If that is not you: readmit recoveries stop 4K7Q" {
		t.Errorf("%s: %s", title, text)
	}
	q.State = "open"
	if _, text = recoveryText(q); !strings.Contains(text, "a new password now.") {
		t.Error(text)
	}
}
