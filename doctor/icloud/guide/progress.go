package guide

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"readmit.dev/readmit/cause"
)

// Errors of a saved guide. Whoever gets one keeps the file as it is.
var (
	ErrProgress = errors.New("the saved progress cannot be read")
	ErrNewer    = errors.New("a newer readmit saved this progress; use that one")
)

// Progress is a guide as it is saved.
type Progress struct {
	Schema  int             `json:"schema"` // 1
	On      string          `json:"on,omitempty"`
	Known   []cause.Finding `json:"known,omitempty"`
	Out     []cause.Code    `json:"out,omitempty"`
	Answers []given         `json:"answers,omitempty"`
}

const (
	schema = 1
	most   = 256 << 10
)

// Save writes the guide down, so that Load can take it up again.
func (g *Guide) Save() ([]byte, error) {
	b, err := json.MarshalIndent(Progress{schema, g.on, g.known, g.out, g.given}, "", "  ")
	return append(b, '\n'), err
}

// Load takes a saved guide up again. It returns ErrNewer for one that a newer
// version wrote and ErrProgress for one that is damaged.
func Load(b []byte) (*Guide, error) {
	if len(b) > most {
		return nil, fmt.Errorf("%w: it is too long", ErrProgress)
	}
	var version struct {
		Schema int `json:"schema"`
	}
	if json.Unmarshal(b, &version) != nil {
		return nil, fmt.Errorf("%w: it is not JSON", ErrProgress)
	}
	if version.Schema > schema {
		return nil, ErrNewer
	}
	if version.Schema != schema {
		return nil, fmt.Errorf("%w: it has no schema", ErrProgress)
	}
	var p Progress
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(&p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProgress, err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows it", ErrProgress)
	}
	if !slices.Contains(systems, p.On) {
		return nil, fmt.Errorf("%w: %w", ErrProgress, ErrSystem)
	}
	for _, f := range p.Known {
		if _, ok := cause.Lookup(f.Cause); !ok {
			return nil, fmt.Errorf("%w: a cause that is none", ErrProgress)
		}
	}
	for _, c := range p.Out {
		if _, ok := cause.Lookup(c); !ok {
			return nil, fmt.Errorf("%w: a cause that is none", ErrProgress)
		}
	}
	g := Start(p.On, p.Known)
	g.Exclude(p.Out...)
	for _, a := range p.Answers {
		if err := g.Answer(a.Step, a.Answer); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProgress, err)
		}
	}
	return g, nil
}
