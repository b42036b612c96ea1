package archive

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"readmit.dev/readmit/store"
)

// Source hands out every row of a store, as they were at one moment.
type Source interface {
	Export(ctx context.Context, each func(store.Row) error) error
}

// Target takes rows.
type Target interface {
	Import(ctx context.Context, list []store.Row) error
}

// together is how many rows a target gets at once.
const together = 500

// ErrForm: not a backup, or not a whole one.
var ErrForm = errors.New("this is not a whole backup of an account server")

// form names the format.
const form = "readmit-backup-1"

// head is the first line of a backup, foot the last. Between them each row is
// a line of its own: the table's number and the values.
type head struct {
	Form   string    `json:"form"`
	Schema int       `json:"schema"`
	Made   time.Time `json:"made"`
}

type columns struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type foot struct {
	Sums Sums `json:"sums"`
}

// Write makes a backup of a store.
func Write(ctx context.Context, to io.Writer, s Source, schema int, now time.Time) (Sums, error) {
	zip := gzip.NewWriter(to)
	out := json.NewEncoder(zip)
	if err := out.Encode(head{form, schema, now.UTC()}); err != nil {
		return nil, err
	}
	count, at := newTally(), columns{}
	err := s.Export(ctx, func(r store.Row) error {
		if r.Own() {
			return nil
		}
		if err := count.add(r); err != nil {
			return err
		}
		if r.Table != at.Table {
			at = columns{r.Table, r.Columns}
			if err := out.Encode(at); err != nil {
				return err
			}
		}
		line := make([]any, len(r.Values))
		for i, v := range r.Values {
			line[i] = v
			if b, ok := v.([]byte); ok {
				line[i] = [1][]byte{append([]byte{}, b...)} // so that it is told apart from a text
			}
		}
		return out.Encode(line)
	})
	if err != nil {
		return nil, err
	}
	sums := count.sums()
	if err := out.Encode(foot{sums}); err != nil {
		return nil, err
	}
	return sums, zip.Close()
}

// maxLine bounds a line of a backup: the longest are ledger entries of some KB.
const maxLine = 16 << 20

// Read reads a backup to its end and gives out each row. It returns ErrForm for
// what is none, is cut off, or does not hold what its last line says. The schema
// comes with errors too, once it is known.
func Read(from io.Reader, each func(store.Row) error) (Sums, int, error) {
	zip, err := gzip.NewReader(from)
	if err != nil {
		return nil, 0, unreadable(err)
	}
	lines := bufio.NewScanner(zip)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var h head
	if !lines.Scan() {
		return nil, 0, unreadable(lines.Err())
	}
	// What cannot be taken is told as the damage that it comes of, where the rest
	// shows that there is one.
	damaged := func(err error) error {
		if errors.Is(err, context.Canceled) {
			return err
		}
		if _, rest := io.Copy(io.Discard, zip); rest != nil {
			return unreadable(rest)
		}
		return err
	}
	if json.Unmarshal(lines.Bytes(), &h) != nil || h.Form != form {
		return nil, 0, damaged(ErrForm)
	}
	var at columns
	count := newTally()
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			return nil, h.Schema, damaged(ErrForm)
		}
		if line[0] == '{' {
			var next struct {
				columns
				foot
			}
			if err := json.Unmarshal(line, &next); err != nil {
				return nil, h.Schema, damaged(fmt.Errorf("%w: %w", ErrForm, err))
			}
			if next.Sums == nil {
				at = next.columns
				continue
			}
			if lines.Scan() {
				return nil, h.Schema, damaged(errMore)
			}
			if err := lines.Err(); errors.Is(err, gzip.ErrHeader) {
				return nil, h.Schema, errMore
			} else if err != nil {
				return nil, h.Schema, unreadable(err)
			}
			sums := count.sums()
			if err := next.Sums.Differ(sums); err != nil {
				return nil, h.Schema, fmt.Errorf("%w: %w", ErrForm, err)
			}
			return sums, h.Schema, nil
		}
		r, err := row(at, line)
		if err != nil {
			return nil, h.Schema, damaged(err)
		}
		if err := count.add(r); err != nil {
			return nil, h.Schema, damaged(fmt.Errorf("%w: %w", ErrForm, err))
		}
		if err := each(r); err != nil {
			return nil, h.Schema, damaged(err)
		}
	}
	return nil, h.Schema, unreadable(lines.Err())
}

var errMore = fmt.Errorf("%w: something follows its end", ErrForm)

// unreadable is an ErrForm that says how a file ended that was not read to its
// end: nil where the file ended well, without the last line.
func unreadable(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it is cut off: take another copy of it", ErrForm)
	case errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("%w: %w", ErrForm, err)
	case errors.Is(err, gzip.ErrChecksum), errors.As(err, new(flate.CorruptInputError)), errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%w: it is damaged (%w): take another copy of it", ErrForm, err)
	}
	return fmt.Errorf("the backup cannot be read: %w", err)
}

func row(at columns, line []byte) (store.Row, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil || len(raw) != len(at.Columns) || len(raw) == 0 {
		return store.Row{}, ErrForm
	}
	r := store.Row{Table: at.Table, Columns: at.Columns, Values: make([]any, len(raw))}
	for i, b := range raw {
		var err error
		switch b[0] {
		case '[':
			var v [][]byte
			if err = json.Unmarshal(b, &v); err == nil && len(v) == 1 && v[0] != nil {
				r.Values[i] = v[0]
				continue
			}
			return store.Row{}, ErrForm
		case '"':
			var v string
			err = json.Unmarshal(b, &v)
			r.Values[i] = v
		default:
			r.Values[i], err = strconv.ParseInt(string(b), 10, 64)
		}
		if err != nil {
			return store.Row{}, fmt.Errorf("%w: %w", ErrForm, err)
		}
	}
	return r, nil
}

// Copy puts every row of one store into another, which has none, and holds the
// two against each other.
func Copy(ctx context.Context, from Source, to interface {
	Source
	Target
}) (Sums, error) {
	in := Into(ctx, to)
	count := newTally()
	err := from.Export(ctx, func(r store.Row) error {
		if r.Own() {
			return nil
		}
		if err := count.add(r); err != nil {
			return err
		}
		return in.Add(r)
	})
	if err == nil {
		err = in.Flush()
	}
	if err != nil {
		return nil, err
	}
	sums := count.sums()
	return sums, Verify(ctx, sums, to)
}

// Verify holds a store against what was copied into it. Columns and tables that
// only a newer schema has do not count.
func Verify(ctx context.Context, sums Sums, s Source) error {
	now, err := Count(ctx, s, sums)
	if err != nil {
		return err
	}
	return sums.Differ(now)
}

// Count adds up what a store holds, as far as it is in what is compared.
func Count(ctx context.Context, s Source, compared Sums) (Sums, error) {
	count := newTally()
	err := s.Export(ctx, func(r store.Row) error {
		if r.Own() {
			return nil
		}
		if of, ok := compared[r.Table]; ok {
			r = only(r, of.Columns)
		}
		return count.add(r)
	})
	return count.sums(), err
}

func only(r store.Row, names []string) store.Row {
	if len(names) == len(r.Columns) {
		return r
	}
	out := store.Row{Table: r.Table}
	for i, c := range r.Columns {
		if slices.Contains(names, c) {
			out.Columns, out.Values = append(out.Columns, c), append(out.Values, r.Values[i])
		}
	}
	return out
}

// Importer gathers rows for a target.
type Importer struct {
	ctx  context.Context
	to   Target
	list []store.Row
}

// Into makes one.
func Into(ctx context.Context, to Target) *Importer { return &Importer{ctx: ctx, to: to} }

// Add adds a row; Flush must follow the last.
func (i *Importer) Add(r store.Row) error {
	if i.list = append(i.list, r); len(i.list) < together {
		return nil
	}
	return i.Flush()
}

// Flush hands over what was gathered.
func (i *Importer) Flush() error {
	if len(i.list) == 0 {
		return nil
	}
	err := i.to.Import(i.ctx, i.list)
	i.list = i.list[:0]
	return err
}
