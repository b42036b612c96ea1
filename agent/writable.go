package agent

import (
	"errors"
	"io/fs"
)

// Writable reports with a WriteError what of the home cannot be changed by this
// user: it lies on a file system that is read-only, or a folder or a lock in it
// is somebody else's, as after a command that was run as another user. It
// changes nothing itself.
func (h Home) Writable() error {
	return h.mayWrite("", IncidentsDir, "repairs", "agent", lockFile, repairLock, agentLock)
}

func (h Home) mayWrite(names ...string) error {
	for _, name := range names {
		path := h.Path(name)
		if err := writable(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &WriteError{path, err}
		}
	}
	return nil
}
