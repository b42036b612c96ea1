package mac

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
)

// driveState is what the daemon of iCloud Drive says of the account.
type driveState struct {
	word    string // of cause.CheckDaemon
	pending int    // files that wait to be uploaded, as far as it lists them
	told    bool   // whether it could tell what waits
	why     string // where the word is unknown, for a person
}

var (
	ansi      = form("\x1b\\[[0-9;]*[A-Za-z]")
	quoted    = form(`"[^"\n]*"`)
	container = form(`<\S+\[\d+\]\s.*\{client:([a-z|-]+)`)
	upload    = form(`\bup:([a-z][a-z-]*)`)
	uploader  = form(`^\s*> upload\{`)
)

// form compiles an expression when it is first asked for.
func form(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// parseDrive reads what brctl status prints: a line per container, beneath it
// lines of items that are not idle; or one line that says why there is none.
// Names of files stand in quotes and are taken out first.
func parseDrive(out, errs []byte) driveState {
	said := string(bytes.ToValidUTF8(append(append(bytes.Clone(out), '\n'), errs...), nil))
	said = ansi().ReplaceAllString(said, "")
	s := driveState{word: "unknown"}
	items, uploads, busy := 0, 0, false
	containers := 0
	for line := range strings.Lines(said) {
		line = quoted().ReplaceAllString(line, `""`)
		switch {
		case uploader().MatchString(line):
			uploads++
		case strings.Contains(line, "i:<"):
			if m := upload().FindStringSubmatch(line); m != nil && m[1] != "idle" {
				items++
			}
		default:
			if m := container().FindStringSubmatch(line); m != nil {
				containers++
				busy = busy || strings.Contains(m[1], "needs-")
			}
		}
	}
	switch {
	case containers > 0:
		s.word, s.told = "signed-in", true
		s.pending = max(items, uploads)
		if s.pending == 0 && busy {
			s.pending = 1
		}
	case strings.Contains(said, "iCloud Drive is not configured"):
		s.word, s.told = "signed-out", true
	case strings.Contains(said, "com.apple.bird was invalidated"):
		s.word = "not-running"
	case strings.Contains(said, "sandboxed process"):
		s.why = "brctl does not answer programs in a sandbox"
	case strings.Contains(said, "BRCloudDocsErrorDomain"):
		s.why = "the daemon refuses to answer"
	default:
		s.why = "brctl prints nothing that is understood"
	}
	return s
}

func askDrive(ctx context.Context, m Machine) driveState {
	o, err := m.Run(ctx, brctl, "status")
	switch {
	case errors.Is(err, ErrNoAnswer):
		return driveState{word: "unknown", why: "the daemon did not answer in time, which is a sign that it hangs"}
	case err != nil:
		return driveState{word: "unknown", why: err.Error()}
	}
	return parseDrive(o.Stdout, o.Stderr)
}
