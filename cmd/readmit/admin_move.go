package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store/archive"
	"readmit.dev/readmit/store/postgres"
	"readmit.dev/readmit/store/sqlite"
)

// moving is how patient a move is with one statement: nobody waits for it.
const moving = 10 * time.Minute

type move struct {
	from, to, password, master string
	note                       func(text string)
}

// newMoveCommand takes the accounts from one server's folder to a store that
// nodes share.
func newMoveCommand(e *env) *cobra.Command {
	m := move{note: func(text string) { e.note("%s", text) }}
	c := &cobra.Command{
		Use:   "move",
		Short: "Move everything from a data folder into PostgreSQL",
		Long: `Move everything from the data folder of a server that does not run into a
PostgreSQL database without accounts, and hold the two against each other, table
by table. The master key is copied into a file of its own, for the nodes.

The folder is left as it is, but for a file "moved", which keeps a server from
starting on it; who removes that file is back where they were. A move that was
interrupted is run again with the same command, and until it has ended no server
starts on the database.`,
		Example: "  readmit admin move --from sqlite:/var/lib/readmit --to postgres://readmit@db.example.org/readmit?sslmode=verify-full --master-key-file /etc/readmit/master.key",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			sums, err := m.run(cmd.Context())
			if err != nil {
				return err
			}
			return e.data(map[string]any{"rows": sums.Rows(), "tables": sums, "master_key": m.master}, func(w io.Writer) {
				fmt.Fprintf(w, "moved: %d rows of %d tables, the same in both; start the nodes with store and master_key = %s\n", sums.Rows(), len(sums), clean(m.master))
			})
		},
	}
	f := c.Flags()
	f.StringVar(&m.from, "from", "", "where the accounts are: `sqlite:DIR`")
	f.StringVar(&m.to, "to", "", "where they go: `ADDRESS` of a database, postgres://USER@HOST/DATABASE")
	f.StringVar(&m.password, "store-password-file", "", "`FILE` with the database's password, mode 0600 (default ~/.pgpass)")
	f.StringVar(&m.master, "master-key-file", "", "`FILE` that the nodes' master key is copied into")
	return c
}

func (m move) run(ctx context.Context) (sums archive.Sums, err error) {
	dir, ok := strings.CutPrefix(m.from, "sqlite:")
	switch {
	case !ok || dir == "":
		return nil, usageError{errors.New("--from: want sqlite:DIR, the data folder of the server")}
	case !(server.Config{Store: m.to}).Shared():
		return nil, usageError{errors.New("--to: want postgres://USER@HOST/DATABASE")}
	case m.master == "":
		return nil, usageError{errors.New("--master-key-file: want the file that the nodes' master key is copied into")}
	}
	if err := postgres.WithoutPassword(m.to); err != nil {
		return nil, usageError{err}
	}
	mark := filepath.Join(dir, server.MovedFile)
	if text, err := os.ReadFile(mark); err == nil {
		key, err := keys.Master(dir)
		if err != nil {
			return nil, err
		}
		if unfinished, err := postgres.Unfinished(ctx, m.target(originOf(dir, key))); err != nil {
			return nil, err
		} else if unfinished { // all was copied, and the last step is missing
			if err := os.Remove(mark); err != nil {
				return nil, err
			}
			return m.run(ctx)
		}
		return nil, exitError{failed, fmt.Sprintf("the accounts of %s were moved already: %s", dir, bytes.TrimSpace(text)), "start the nodes on their store"}
	}
	if _, err := os.Stat(filepath.Join(dir, databaseFile)); err != nil {
		return nil, exitError{failed, dir + " is no data folder of an account server: " + databaseFile + " is missing", "name the folder that the server has as data"}
	}
	key, err := keys.Master(dir)
	if err != nil {
		return nil, err
	}
	// Who has the folder open is the only one: no server works on it meanwhile.
	from, err := sqlite.Open(dir)
	if errors.Is(err, sqlite.ErrDamaged) {
		return nil, damagedFolder(dir, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := keys.Opens(ctx, from, key); errors.Is(err, sqlite.ErrDamaged) {
		return nil, damagedFolder(dir, err)
	} else if err != nil {
		return nil, err
	}
	made, err := sameKey(m.master, key)
	if err != nil {
		return nil, err
	}
	begun := false
	defer func() {
		if made && !begun { // nothing was moved, and a key lies about for nothing
			err = errors.Join(err, os.Remove(m.master))
		}
	}()
	origin := originOf(dir, key)
	to, err := postgres.Open(ctx, m.target(origin))
	if err != nil {
		return nil, ofMove(err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := to.BeginMove(ctx, origin); err != nil {
		return nil, ofMove(err)
	}
	begun = true
	sums, err = archive.Copy(ctx, from, to)
	if errors.Is(err, sqlite.ErrDamaged) {
		return nil, damagedFolder(dir, fmt.Errorf("the move was not finished: %w", err))
	}
	if err != nil {
		return nil, fmt.Errorf("the move was not finished; the folder is as it was, and the same command begins again: %w", err)
	}
	if err := keys.Opens(ctx, to, key); err != nil {
		return nil, err
	}
	// First the mark, then the database: there is no moment at which servers
	// start on both.
	text := fmt.Sprintf("on %s they went to %s: start the nodes with store and master_key; to go back to what this folder holds, and without what was changed since, remove %s\n",
		time.Now().UTC().Format(time.RFC3339), m.to, mark)
	if err := newFile(mark, []byte(text)); err != nil {
		return nil, err
	}
	return sums, to.EndMove(ctx)
}

func (m move) target(from postgres.Origin) postgres.Config {
	return postgres.Config{Address: m.to, PasswordFile: m.password, Connections: 2, Patience: moving, Moving: &from, Note: m.note}
}

// damagedFolder is the error of a database that cannot be read whole: what the
// last backup holds can be moved, under the same key.
func damagedFolder(dir string, err error) error {
	return exitError{failed, err.Error(), "move what the last backup holds: " +
		command([]string{"readmit", "admin", "restore", "FILE", "--data", "DIR", "--master-key-file", filepath.Join(dir, masterFile)}) + ", and then the same command with --from sqlite:DIR"}
}

// ofMove is an error of the database that a move goes to as it is shown.
func ofMove(err error) error {
	switch {
	case errors.Is(err, postgres.ErrOthers):
		return exitError{failed, err.Error() + "; nothing of it was touched", "make a new database: createdb"}
	case errors.Is(err, postgres.ErrOtherMove):
		return exitError{failed, err.Error() + "; nothing of it was touched", "end that one first with the command that began it, or make a new database for this one: createdb"}
	case errors.Is(err, postgres.ErrTaken):
		return exitError{failed, "the database is not empty: an account server has used it already, and nothing of it was touched", "make a new database: createdb"}
	}
	return err
}

// originOf names a folder's accounts by what no other has: their master key, of
// which nothing can be told from its hash.
func originOf(dir string, key []byte) postgres.Origin {
	sum := sha256.Sum256(append([]byte("readmit move "), key...))
	return postgres.Origin{ID: hex.EncodeToString(sum[:8]), Name: dir}
}

// sameKey copies the master key into a file, or sees that it is there.
func sameKey(path string, key []byte) (made bool, err error) {
	there, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err := newFile(path, key)
		return err == nil, err
	case err != nil:
		return false, err
	case !bytes.Equal(there, key):
		return false, exitError{failed, path + " holds another key, and is left as it is", "name a file that is not there yet with --master-key-file"}
	}
	return false, nil
}
