package server_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"readmit.dev/readmit/api"
)

// TestDamagedRecordIsNoRefusal: a row that no longer holds what was written is
// the service's fault. Who has the right password is not told otherwise, and
// nothing is counted against anybody.
func TestDamagedRecordIsNoRefusal(t *testing.T) {
	for name, record := range map[string][]byte{
		"empty": {}, "cut off": make([]byte, 100), "zeros": make([]byte, 192), "not a point": append([]byte{0xff}, make([]byte, 191)...),
	} {
		w := newWorld(t)
		laptop := w.enrolled(jane, "laptop")
		db, err := sql.Open("sqlite", filepath.Join(w.dir, "readmit.db")) // the driver is the store's
		must(t, err)
		_, err = db.Exec("UPDATE subjects SET record = ? WHERE ghost = 0", record)
		must(t, err)
		must(t, db.Close())
		for who, m := range map[string]*machine{"the enrolled device": laptop, "a new one": w.machine("phone")} {
			_, p := m.start(jane, password)
			if codeOf(p) != api.Unavailable || p.Incident != "" {
				t.Errorf("%s, %s: %v", name, who, p)
			}
		}
	}
}
