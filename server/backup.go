package server

import (
	"bufio"
	"net/http"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store/archive"
)

// Copied is a store that can be copied while it is at work.
type Copied interface {
	archive.Source
	Schema() int
}

// backupPause is how long the reader of a backup may take for a part of it.
const backupPause = time.Minute

// adminBackup sends a backup. One that fails on its way ends early, and says why
// in a trailer; one that fails before anything was sent, as where the store does
// not answer, is said to.
func (s *Server) adminBackup(w http.ResponseWriter, r *http.Request) {
	to := &patient{to: w, control: http.NewResponseController(w)}
	held := bufio.NewWriterSize(to, 32<<10)
	sums, err := archive.Write(r.Context(), held, s.copied, s.copied.Schema(), s.gate.Now())
	if err == nil {
		err = held.Flush()
	}
	switch {
	case err == nil:
		s.log.Info("operator", "did", "backup", "rows", sums.Rows())
	case to.sent:
		s.log.Error("operator: a backup was not finished", "error", err)
		w.Header().Set(api.AdminBackupFault, line(err))
	default:
		s.toOperator(w, nil, err)
	}
}

// line is an error as one line that fits into a header.
func line(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return text[:min(len(text), 1000)]
}

// patient gives each part of a long answer its own time.
type patient struct {
	to      http.ResponseWriter
	control *http.ResponseController
	sent    bool
}

func (p *patient) Write(b []byte) (int, error) {
	if !p.sent {
		p.sent = true
		p.to.Header().Set("Content-Type", "application/gzip")
		p.to.Header().Set("Trailer", api.AdminBackupFault)
	}
	p.control.SetWriteDeadline(time.Now().Add(backupPause)) // where the connection has one
	return p.to.Write(b)
}
