package postgres

import (
	"bytes"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/rows"
)

// A companion is fetched together with the read that it usually follows: the
// shared query itself, but for where its argument comes from.
type companion struct {
	shared string                         // the query whose result it is
	text   string                         // as it is sent
	args   func(in []any) []any           // what for, from the arguments of the read
	as     func(in []any, r result) []any // its own arguments, from those and the result; nil for none
}

// together lists them by the read's name. A sign-in begins with Find and is
// finished with Subject; every call on a session begins with Session. They are
// sent whether or not there is such an account, so that the work is the same.
var together = map[string][]companion{
	"Find": {
		instead(rows.TextDevices, `coalesce((SELECT f.id FROM subjects AS f WHERE f.lookup = $1), (SELECT f.id FROM subjects AS f WHERE f.lookup = $2))`, itself, found),
		instead(rows.TextFormer, `coalesce((SELECT f.id FROM subjects AS f WHERE f.lookup = $1), (SELECT f.id FROM subjects AS f WHERE f.lookup = $2))`, itself, found),
		instead(rows.TextFindLane, `$1`, lane, func(in []any, _ result) []any { return lane(in) }),
	},
	"Subject": {
		instead(rows.TextDevices, `$1`, itself, func(in []any, _ result) []any { return in }),
	},
	"DueReceipts": {
		{rows.TextServices, rows.TextServices, nothing, func([]any, result) []any { return []any{} }},
	},
	"Session": {
		instead(rows.TextSubject, `(SELECT s.account FROM sessions AS s WHERE s.id = $1)`, itself, account),
		instead(rows.TextDevices, `(SELECT s.account FROM sessions AS s WHERE s.id = $1)`, itself, account),
	},
}

func instead(shared, by string, args func([]any) []any, as func([]any, result) []any) companion {
	return companion{shared, strings.Replace(shared, "$1", by, 1), args, as}
}

func nothing([]any) []any { return nil }

func itself(in []any) []any { return in }

func lane(in []any) []any {
	return []any{int64(store.LaneOf(store.Key(in[0].([]byte))))}
}

// found is the account that Find leads to.
func found(_ []any, r result) []any {
	if len(r.rows) == 0 {
		return nil
	}
	return []any{r.rows[0][0]}
}

// account is the one that a session belongs to.
func account(_ []any, r result) []any {
	if len(r.rows) == 0 {
		return nil
	}
	return []any{r.rows[0][1]}
}

// removedColumn is where a device's row says when it was removed.
var removedColumn = slices.Index(strings.Split(strings.Fields(strings.ReplaceAll(strings.SplitN(rows.TextDevices, "SELECT ", 2)[1], ", ", ","))[0], ","), "removed")

// key names a read in a transaction's memory.
func key(name string, args []any) string {
	b := []byte(name)
	for _, a := range args {
		switch a := a.(type) {
		case []byte:
			b = append(fmt.Appendf(b, " b%d:", len(a)), a...)
		case string:
			b = append(fmt.Appendf(b, " s%d:", len(a)), a...)
		default:
			b = fmt.Appendf(b, " %v", a)
		}
	}
	return string(b)
}

// recall finds what was fetched before and nothing has been written to since.
func (t *transaction) recall(name string, args []any) (result, bool) {
	if m, ok := t.memory[key(name, args)]; ok {
		return m.r, true
	}
	if name != "Device" {
		return result{}, false
	}
	// One of the account's devices: the columns are the same.
	m, ok := t.memory[key("Devices", args[:1])]
	if !ok {
		return result{}, false
	}
	r := result{columns: m.r.columns}
	for _, row := range m.r.rows {
		if !bytes.Equal(row[1].([]byte), args[1].([]byte)) {
			continue
		}
		r.rows = [][]driver.Value{row}
		if t.found == string(args[0].([]byte)) && row[removedColumn] == int64(0) {
			t.enrolled = t.found
		}
	}
	return r, true
}
