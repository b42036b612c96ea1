package mac

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// database is what the database of accountsd says of the account.
type database struct {
	word    string // signed-in, signed-out, unknown
	account string
	damage  string // a word of cause.CheckStateFile, empty where it is whole
	why     string // where it cannot be told, for a person
}

// largestDatabase is far above any; with its journal it is read into a copy.
const largestDatabase = 64 << 20

// readDatabase copies the database with what belongs to it and looks at the
// copy: even to read the original would write to the files beside it.
func readDatabase(ctx context.Context, m Machine, path, temp string) database {
	unknown := func(why string) database { return database{word: "unknown", why: why} }
	dir, err := os.MkdirTemp(temp, "readmit-")
	if err != nil {
		return unknown("no temporary folder can be made")
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy.sqlite")
	var d database
	// accountsd may write meanwhile: only what stood still is judged.
	for range 3 {
		before := stamps(m, path)
		err := copyDatabase(m, path, copied)
		if err == nil {
			d = askDatabase(ctx, copied)
		}
		if after := stamps(m, path); after != before {
			d = unknown("it is being written to all the time")
			continue
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return unknown("there is none")
		case errors.Is(err, syscall.EPERM):
			return unknown("macOS lets this program read it only with Full Disk Access (System Settings, Privacy & Security)")
		case errors.Is(err, fs.ErrPermission):
			return database{word: "unknown", damage: "unreadable"}
		case errors.Is(err, ErrTooLarge), errors.Is(err, errNotAFile), errors.Is(err, errTorn):
			return database{word: "unknown", damage: "malformed"}
		case err != nil:
			return unknown("it cannot be copied")
		}
		return d
	}
	return d
}

var parts = [...]string{"", "-wal", "-shm"}

type stamp struct {
	size int64
	at   time.Time
}

// stamps tell whether somebody wrote; the third part changes with every reader.
func stamps(m Machine, path string) (s [2]stamp) {
	for i := range s {
		if info, err := m.Lstat(path + parts[i]); err == nil {
			s[i] = stamp{info.Size(), info.ModTime().UTC()}
		}
	}
	return s
}

func copyDatabase(m Machine, from, to string) error {
	for i, part := range parts {
		b, err := m.ReadFile(from+part, largestDatabase)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			if err := os.Remove(to + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if i == 0 && torn(b) {
			return errTorn
		}
		if err := os.WriteFile(to+part, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

var errTorn = errors.New("the file ends within a page")

// torn reports whether the file ends within a page: SQLite reads what is
// missing of the last one as zeros, without a word. The width of a page is in
// the header, with 1 for the largest.
func torn(b []byte) bool {
	if len(b) < 18 {
		return false // no header: SQLite says so itself, and takes an empty file for an empty database
	}
	page := int(b[16])<<8 | int(b[17])
	if page == 1 {
		page = 1 << 16
	}
	return page == 0 || len(b)%page != 0
}

// accountsOfApple finds the account of iCloud among all accounts of the Mac.
const accountsOfApple = `
SELECT substr(coalesce(a.ZUSERNAME, ''), 1, 254), coalesce(a.ZAUTHENTICATED, 0) <> 0
FROM ZACCOUNT a JOIN ZACCOUNTTYPE t ON a.ZACCOUNTTYPE = t.Z_PK
WHERE t.ZIDENTIFIER = 'com.apple.account.AppleAccount'
ORDER BY 2 DESC, a.Z_PK LIMIT 1`

func askDatabase(ctx context.Context, path string) database {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	at := url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=query_only(1)&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)"}
	db, err := sql.Open("sqlite", at.String())
	if err != nil {
		return judge(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var whole string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&whole); err != nil {
		return judge(err)
	}
	if whole != "ok" {
		return database{word: "unknown", damage: "malformed"}
	}
	d := database{word: "signed-out"}
	var in bool
	switch err := db.QueryRowContext(ctx, accountsOfApple).Scan(&d.account, &in); {
	case errors.Is(err, sql.ErrNoRows):
		return d
	case err != nil:
		return judge(err)
	}
	if in {
		d.word = "signed-in"
	}
	return d
}

// judge tells a damaged database from one of a form that is not known here. The
// error's own words are dropped: they may quote what was read.
func judge(err error) database {
	d := database{word: "unknown"}
	var e *sqlite.Error
	switch {
	case errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB):
		d.damage = "malformed"
	case errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_ERROR:
		d.why = "its tables are not those that are known"
	default:
		d.why = "it cannot be opened"
	}
	return d
}
