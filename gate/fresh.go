package gate

import (
	"time"

	"readmit.dev/readmit/store"
)

// FreshFor is how long ago the person may have proved themself for what weighs
// more than daily use (NIST SP 800-63B-4 §2.2.3: an hour without activity).
const FreshFor = time.Hour

// Fresh reports whether a session began with a proof just now: every session
// begins with one, and none is prolonged by use.
func (g *Gate) Fresh(s store.Session) bool { return g.now().Sub(s.Created) <= FreshFor }
