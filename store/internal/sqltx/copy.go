package sqltx

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"readmit.dev/readmit/store"
)

// name is what a table or column of ours can be called: the names of a backup
// come from a file.
var name = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]*$`) })

// Put adds a row as it is.
func (t *Tx) Put(r store.Row) error {
	places := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		if !name().MatchString(c) {
			return fmt.Errorf("no column is called %q", c)
		}
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	if !name().MatchString(r.Table) || len(r.Values) != len(r.Columns) {
		return fmt.Errorf("not a row of a table %q", r.Table)
	}
	t.Memory.Forget()
	return t.did(t.q.Exec(none, "INSERT INTO "+r.Table+" ("+strings.Join(r.Columns, ", ")+") VALUES ("+strings.Join(places, ", ")+")", r.Values...))
}

// Wipe deletes all rows of a table.
func (t *Tx) Wipe(table string) error {
	if !name().MatchString(table) {
		return fmt.Errorf("no table is called %q", table)
	}
	t.Memory.Forget()
	return t.did(t.q.Exec(none, "DELETE FROM "+table))
}

// Moving is the mark of a move that was not finished; ErrNotFound without one.
func (t *Tx) Moving() ([]byte, error) {
	b, err := t.q.Setting(none, store.SettingMoving)
	return b, t.told(err)
}

// SetMoving sets the mark.
func (t *Tx) SetMoving(from string) error { return t.SaveSetting(store.SettingMoving, []byte(from)) }

// Moved takes it away.
func (t *Tx) Moved() error { return t.one(t.q.DropSetting(none, store.SettingMoving)) }
