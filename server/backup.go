package server

import (
	"io"
	"net/http"
	"time"

	"readmit.dev/readmit/store/archive"
)

// Copied is a store that can be copied while it is at work.
type Copied interface {
	archive.Source
	Schema() int
}

// backupPause is how long the reader of a backup may take for a part of it.
const backupPause = time.Minute

// adminBackup sends a backup. One that fails on its way ends early, and the
// reader sees that its last line is missing.
func (s *Server) adminBackup(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/gzip")
	sums, err := archive.Write(r.Context(), patient{w, control}, s.copied, s.copied.Schema(), s.gate.Now())
	if err != nil {
		s.log.Error("operator: a backup was not finished", "error", err)
		return
	}
	s.log.Info("operator", "did", "backup", "rows", sums.Rows())
}

// patient gives each part of a long answer its own time.
type patient struct {
	io.Writer
	control *http.ResponseController
}

func (p patient) Write(b []byte) (int, error) {
	p.control.SetWriteDeadline(time.Now().Add(backupPause)) // where the connection has one
	return p.Writer.Write(b)
}
