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
	for _, name := range []string{"", IncidentsDir, "repairs", "agent", lockFile, repairLock, agentLock} {
		path := h.Path(name)
		if err := writable(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &WriteError{path, err}
		}
	}
	return nil
}
