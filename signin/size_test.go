package signin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
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
	b, err := json.Marshal(state{
		Purpose: ToChangePassword, Begun: now, Seq: 1 << 60, Ring: store.RingDevices, Pass: make([]byte, 32), Expected: make([]byte, 64),
		Facts: facts, Shown: long, Name: long, System: long + " 4294967295.4294967295.4294967295.4294967295",
	})
	t.Log(len(b), len(long))
	if err != nil || len(b) > stateSize {
		t.Errorf("%d bytes, %d at most; %v", len(b), stateSize, err)
	}
}
