package message

import (
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/store"
)

// Evidence says why a code that was sent to an address did not get there; it is
// nothing while nothing is known to have failed.
func Evidence(a store.Address) []cause.Fact {
	if a.Failed.IsZero() {
		return nil
	}
	return []cause.Fact{
		cause.Note(cause.CheckDelivery, cause.Word("delivered"), cause.Word(a.FailedWhy), cause.ByServer),
		cause.Note(cause.CheckDeliveryKind, cause.Value{}, cause.Word(a.Kind), cause.ByServer),
		cause.Note(cause.CheckDeliveryAt, cause.Value{}, cause.Instant(a.Failed), cause.ByServer),
	}
}
