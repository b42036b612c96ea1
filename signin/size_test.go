package signin

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
)

// The longest state that Start can make must fit what it is padded to.
func TestStateFits(t *testing.T) {
	long := cause.CleanName(strings.Repeat("𝕏\"", 200))
	now := time.Now().UTC()
	facts := []cause.Fact{
		cause.Note(cause.CheckAccount, cause.Word("known"), cause.Word("unknown"), cause.ByServer),
		cause.Note(cause.CheckEnabled, cause.Word("enabled"), cause.Word("disabled"), cause.ByServer),
		cause.Note(cause.CheckDisabledAt, cause.Value{}, cause.Instant(now), cause.ByServer),
		cause.Note(cause.CheckDevice, cause.Word("enrolled"), cause.Word("never-enrolled"), cause.ByServer),
	}
	limited := lockout.State{Failed: 1 << 30}
	facts = append(facts, deviceLocked(long, limited, lockout.Decision{Until: now})...)
	st := state{
		Purpose: ToChangePassword, Begun: now, Seq: 1 << 60, Ring: store.RingDevices, Pass: make([]byte, 32), Expected: make([]byte, 64), Former: make([]byte, 64),
		Facts: facts, Shown: long, Name: long, System: long + " 4294967295.4294967295.4294967295.4294967295",
	}
	for _, shared := range []bool{false, true} {
		s := &Service{Keys: ring(t), Shared: shared}
		sealed, err := s.sealState(st)
		if err != nil {
			t.Errorf("shared %t: %v", shared, err)
			continue
		}
		if back, err := s.openState(sealed); err != nil || !reflect.DeepEqual(back, st) {
			t.Errorf("shared %t: it came back as %+v, %v", shared, back, err)
		}
	}
}

// box refuses what a real one would.
type box struct{}

func (box) Seal(_ string, plain []byte, size int) ([]byte, error) {
	if len(plain) > size {
		return nil, fmt.Errorf("%d bytes, %d at most", len(plain), size)
	}
	return plain, nil
}

func (box) Open(string, []byte) ([]byte, error) { return nil, errors.ErrUnsupported }

// few is a store that knows no session.
type few struct{ store.Tx }

func (few) Sessions(store.ID) ([]store.Session, error) { return nil, nil }

// The longest incident of a code must fit too, however many devices there are
// and whatever they are called.
func TestIncidentOfACodeFits(t *testing.T) {
	long := cause.CleanName(strings.Repeat("𝕏\"", 200))
	now := time.Now().UTC()
	names, skews := map[store.ID]string{}, map[store.ID]time.Duration{}
	var devices []store.Device
	for range 20 {
		d := store.Device{ID: NewID(), Name: long, Hot: store.DeviceHot{LastSeen: now}}
		devices = append(devices, d)
		names[d.ID], skews[d.ID] = long, -100*time.Hour
	}
	waited, err := undelivered(few{}, store.Request{}, devices)
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range []code.Outcome{code.Wrong, code.Late, code.Elsewhere, code.ClockOff, code.Used} {
		c := incident.Content{
			Account: NewID(), Attempt: NewID(), At: now, What: "code", Outcome: incident.Refused, Device: long, Client: long,
			Address: "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
			Facts:   wrongCode(code.Verdict{Outcome: outcome, Device: devices[0].ID, Late: 100 * time.Hour, Off: -100 * time.Hour}, names, skews),
		}
		if outcome == code.Wrong {
			c.Facts = append(c.Facts, waited...)
		}
		c.Facts = append(c.Facts, triesSpent(CodeTries)...)
		if _, err := incident.Seal(box{}, c); err != nil {
			t.Errorf("outcome %d: %v", outcome, err)
		}
	}
}
