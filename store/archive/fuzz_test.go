package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

// fixed is a store of a few rows.
type fixed []store.Row

func (f fixed) Export(_ context.Context, each func(store.Row) error) error {
	for _, r := range f {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

var some = fixed{
	{Table: "a", Columns: []string{"x", "y"}, Values: []any{[]byte{0, 255}, int64(-1)}},
	{Table: "a", Columns: []string{"x", "y"}, Values: []any{[]byte{}, int64(1 << 62)}},
	{Table: "b", Columns: []string{"z"}, Values: []any{"text \" \u2028"}},
	{Table: "settings", Columns: []string{"name", "value"}, Values: []any{store.SettingProbe, []byte("x")}},
}

func written(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	sums, err := Write(t.Context(), &b, some, 4, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if sums.Rows() != 3 {
		t.Fatalf("%d rows", sums.Rows())
	}
	return b.Bytes()
}

// A row that cannot be taken is often one of a newer version: the schema says so.
func TestReadTellsTheSchemaWithErrors(t *testing.T) {
	refused := errors.New("no such table")
	if _, schema, err := Read(bytes.NewReader(written(t)), func(store.Row) error { return refused }); !errors.Is(err, refused) || schema != 4 {
		t.Errorf("schema %d, %v", schema, err)
	}
}

func TestSumsSeeEveryChange(t *testing.T) {
	count := func(f fixed) Sums {
		s, err := Count(t.Context(), f, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole := count(some)
	turned := fixed{some[2], some[1], some[0], some[3]}
	turned[1].Columns, turned[1].Values = []string{"y", "x"}, []any{int64(1 << 62), []byte{}}
	if err := whole.Differ(count(turned)); err != nil {
		t.Errorf("the order of rows and columns counts: %v", err)
	}
	for what, f := range map[string]fixed{
		"a row less":           some[1:],
		"a row twice":          append(fixed{some[0]}, some...),
		"another octet":        {{Table: "a", Columns: []string{"x", "y"}, Values: []any{[]byte{0, 254}, int64(-1)}}, some[1], some[2]},
		"octets and text":      {some[0], some[1], {Table: "b", Columns: []string{"z"}, Values: []any{[]byte("text \" \u2028")}}},
		"another table":        {some[0], some[1], {Table: "c", Columns: []string{"z"}, Values: some[2].Values}},
		"a table more":         append(fixed{{Table: "c", Columns: []string{"z"}, Values: []any{""}}}, some...),
		"values of each other": {{Table: "a", Columns: []string{"x", "y"}, Values: []any{[]byte{0, 255}, int64(1 << 62)}}, {Table: "a", Columns: []string{"x", "y"}, Values: []any{[]byte{}, int64(-1)}}, some[2]},
	} {
		if whole.Differ(count(f)) == nil {
			t.Errorf("%s is not seen", what)
		}
	}
	if _, err := Count(t.Context(), fixed{{Table: "a", Columns: []string{"x"}, Values: []any{1.5}}}, nil); err == nil {
		t.Error("a value of no kept type was taken")
	}
}

// Whatever a file holds, reading ends with an error of the form or with rows
// that make the sums its last line says.
func FuzzRead(f *testing.F) {
	whole := written(f)
	f.Add(whole, false)
	f.Add(whole[:len(whole)-9], false)
	zip, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		f.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain, true)
	for _, bad := range []string{
		"", "{}", strings.Replace(string(plain), `"schema":4`, `"schema":"x"`, 1), string(plain) + "[1]\n", string(plain) + string(plain),
		strings.Replace(string(plain), "-1", "-1.5", 1), strings.Replace(string(plain), "[[", "[[[", 1), strings.Replace(string(plain), `["text`, `[null,"text`, 1),
		strings.Replace(string(plain), "-1", "2", 1), "{\"form\":\"readmit-backup-1\"}\n\n",
	} {
		f.Add([]byte(bad), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, zipped bool) {
		if zipped {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			w.Write(b)
			w.Close()
			b = z.Bytes()
		}
		var rows fixed
		sums, _, err := Read(bytes.NewReader(b), func(r store.Row) error {
			rows = append(rows, r)
			return nil
		})
		if err != nil {
			if !errors.Is(err, ErrForm) {
				t.Fatalf("an error of no form: %v", err)
			}
			return
		}
		again, err := Count(t.Context(), rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := sums.Differ(again); err != nil {
			t.Fatal(err)
		}
	})
}

func TestReadIsWhatWasWritten(t *testing.T) {
	var rows fixed
	_, schema, err := Read(bytes.NewReader(written(t)), func(r store.Row) error { rows = append(rows, r); return nil })
	if err != nil || schema != 4 || len(rows) != 3 {
		t.Fatalf("schema %d, %d rows: %v", schema, len(rows), err)
	}
	for cut := range len(written(t)) {
		if _, _, err := Read(bytes.NewReader(written(t)[:cut]), func(store.Row) error { return nil }); !errors.Is(err, ErrForm) {
			t.Fatalf("cut after %d: %v", cut, err)
		}
	}
}

// A file that was cut off or damaged on its way is called that, wherever it was
// and whatever its rows made of it.
func TestReadTellsDamage(t *testing.T) {
	const cutOff, damaged, more = "it is cut off", "it is damaged", "something follows its end"
	read := func(b []byte) string {
		t.Helper()
		_, _, err := Read(bytes.NewReader(b), func(r store.Row) error {
			if len(r.Columns) != 2 && r.Table != "b" || strings.Trim(r.Table, "ab") != "" {
				return errors.New("no such column")
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrForm) {
			t.Errorf("of no form: %v", err)
		}
		if err == nil {
			return ""
		}
		return err.Error()
	}
	many := fixed{}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 3000 {
		many = append(many, store.Row{Table: "a", Columns: []string{"x", "y"}, Values: []any{binary.BigEndian.AppendUint64(nil, r.Uint64()), int64(n)}})
	}
	var large bytes.Buffer
	if _, err := Write(t.Context(), &large, many, 4, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	for _, whole := range [][]byte{written(t), large.Bytes()} {
		step := max(1, len(whole)/200)
		for at := 0; at < len(whole); at += step {
			if said := read(whole[:at]); !strings.Contains(said, cutOff) {
				t.Errorf("cut after %d of %d: %s", at, len(whole), said)
			}
		}
		for at := 10; at < len(whole); at += step { // before are the form's own head, and a time that nobody reads
			bent := bytes.Clone(whole)
			bent[at] ^= 1 << (at % 8)
			if said := read(bent); !strings.Contains(said, damaged) && !strings.Contains(said, cutOff) {
				t.Errorf("bent at %d of %d: %q", at, len(whole), said)
			}
		}
		for _, tail := range []string{"more than ten octets", string(written(t))} {
			if said := read(append(bytes.Clone(whole), tail...)); !strings.Contains(said, more) {
				t.Errorf("with a tail: %s", said)
			}
		}
	}
	for at := 1; at <= 8; at++ { // the sum and the length at the very end
		whole := written(t)
		whole[len(whole)-at] ^= 1
		if said := read(whole); !strings.Contains(said, damaged) {
			t.Errorf("bent %d before the end: %s", at, said)
		}
	}
}
