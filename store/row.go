package store

// Row is a row of any table, for what copies all of them. Values are []byte,
// int64 or string.
type Row struct {
	Table   string
	Columns []string
	Values  []any
}

// Kept is what copies leave out: rows of the table settings that belong to one
// database and not to what is kept in it.
const (
	SettingProbe  = "probe"  // when a write was last tried
	SettingMoving = "moving" // the accounts of another store are being moved here
)

// Own reports whether the row belongs to its database alone.
func (r Row) Own() bool {
	if r.Table != "settings" {
		return false
	}
	for i, c := range r.Columns {
		if c == "name" {
			return r.Values[i] == SettingProbe || r.Values[i] == SettingMoving
		}
	}
	return false
}
