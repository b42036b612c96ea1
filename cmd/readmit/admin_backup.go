package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store/archive"
	"readmit.dev/readmit/store/sqlite"
)

const (
	masterFile   = "master.key"
	databaseFile = "readmit.db"

	backupScratch  = ".readmit-backup-"
	restoreScratch = ".readmit-restore-"
)

// newBackupCommand writes everything into one file.
func newBackupCommand(e *env, data *string) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy everything into one file, while the server works",
		Long: `Copy everything into a new file of mode 0600, as it is at one moment, while the
server works, or from the data folder of one that does not run. The copy is
then restored into a temporary store beside the file and held against what was
read, table by table; only then the file gets its name.

The master key is not in it, on purpose: keep a copy of it elsewhere. Each of
the two opens nothing without the other.`,
		Example: "  readmit admin backup /backup/readmit-2027-01-31.gz --data /var/lib/readmit",
		Args:    takes("a file that is not there yet"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sums, err := backup(cmd.Context(), *data, args[0], e.note)
			if err != nil {
				return err
			}
			return e.data(map[string]any{"file": args[0], "rows": sums.Rows(), "tables": sums}, func(w io.Writer) {
				fmt.Fprintf(w, "%s holds %d rows of %d tables, restored once to see that it does; the master key is not in it\n", clean(args[0]), sums.Rows(), len(sums))
			})
		},
	}
}

func backup(ctx context.Context, data, file string, note func(format string, args ...any)) (sums archive.Sums, err error) {
	if _, err := os.Lstat(file); err == nil {
		return nil, exitError{failed, file + " is there already, and is left as it is", "choose another name"}
	}
	dir := filepath.Dir(file)
	left, closed, err := abandoned(dir, backupScratch)
	if err != nil {
		return nil, fmt.Errorf("the backup cannot be written: %w", err)
	}
	for _, s := range left {
		if s.drop() != nil {
			closed = append(closed, s.dir)
		}
	}
	for _, path := range closed {
		note("a backup that was killed has left %s, which this user cannot take away", path)
	}
	work, err := newScratch(dir, backupScratch)
	if err != nil {
		return nil, fmt.Errorf("the backup cannot be written: %w", err)
	}
	defer work.drop()
	out, err := os.OpenFile(work.copy(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the backup cannot be written: %w", err)
	}
	defer out.Close()
	if err := fetchBackup(ctx, data, out); err != nil {
		return nil, err
	}
	if err := out.Sync(); err != nil {
		return nil, fmt.Errorf("the backup cannot be written: %w", err)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if sums, err = restoreInto(ctx, out, work.trial()); err != nil {
		return nil, fmt.Errorf("the backup was written and is no good: %w", err)
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	// A link, unlike a renaming, never takes another file's place.
	if err := os.Link(out.Name(), file); err != nil {
		return nil, fmt.Errorf("the backup cannot get its name: %w", err)
	}
	return sums, nil
}

// fetchBackup asks the running server for a backup, or makes it of the data
// folder of one that does not run.
func fetchBackup(ctx context.Context, data string, to io.Writer) error {
	socket := filepath.Join(data, api.AdminSocket)
	c := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	defer c.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+api.AdminBackup, nil)
	if err != nil {
		return err
	}
	answer, err := c.Do(r)
	if err == nil {
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			b, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
			if err != nil {
				return err
			}
			return ofAdmin(answer.Status, b)
		}
		from := &heard{from: answer.Body}
		if _, err := io.Copy(to, from); err != nil && from.err == nil {
			return fmt.Errorf("the backup cannot be written: %w", err)
		}
		why := answer.Trailer.Get(api.AdminBackupFault)
		if from.err != nil && why == "" {
			why = from.err.Error()
		}
		if why != "" && ctx.Err() == nil {
			return exitError{unchecked, "the account server did not finish the backup, and nothing of it was kept: " + why, "see the server's log, mend what it names, and take the backup again"}
		}
		return ctx.Err()
	}
	if text, err := os.ReadFile(filepath.Join(data, server.MovedFile)); err == nil {
		return exitError{unchecked, fmt.Sprintf("the accounts of %s were moved, and what it still holds is old: %s", data, bytes.TrimSpace(text)),
			"run it where a node answers, with --data DIR of that node"}
	}
	if _, gone := os.Stat(filepath.Join(data, databaseFile)); gone != nil {
		return exitError{unchecked, fmt.Sprintf("no account server answers at %s, and %s holds no database", socket, data),
			"run it on a node's machine, as the same user, with --data DIR where the node has its data"}
	}
	s, err := sqlite.Open(data)
	if err != nil {
		return err
	}
	_, err = archive.Write(ctx, to, s, s.Schema(), time.Now())
	return errors.Join(err, s.Close())
}

// heard keeps what the other side ended with, other than its end.
type heard struct {
	from io.Reader
	err  error
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.from.Read(b)
	if err != nil && err != io.EOF {
		h.err = err
	}
	return n, err
}

// restoreInto fills a folder, which is empty, from a backup.
func restoreInto(ctx context.Context, from io.Reader, dir string) (sums archive.Sums, err error) {
	s, err := sqlite.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Clear(ctx); err != nil {
		return nil, err
	}
	in := archive.Into(ctx, s)
	sums, schema, err := archive.Read(from, in.Add)
	if schema > s.Schema() {
		return nil, fmt.Errorf("the backup was made by a newer version (schema %d, this one knows up to %d): restore it with the newer readmit", schema, s.Schema())
	}
	if err == nil {
		err = in.Flush()
	}
	if err == nil {
		err = archive.Verify(ctx, sums, s)
	}
	return sums, err
}

// newRestoreCommand makes a data folder of a backup.
func newRestoreCommand(e *env, data *string) *cobra.Command {
	var master string
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data folder of a backup",
		Long: `Make a data folder of a backup, and hold it against the backup table by table.
The folder is new or empty, but for what a restore that was killed has left in
it: nothing is ever written over. For PostgreSQL, restore
into a folder first and move it from there (readmit admin move).

What was changed after the backup is gone: devices removed since then are
enrolled again, and old passwords are good again. See docs/operations.md for
what to do before people are let in.`,
		Example: "  readmit admin restore /backup/readmit-2027-01-31.gz --data /var/lib/readmit-new --master-key-file /backup-of-keys/master.key",
		Args:    takes("a backup"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sums, err := restore(cmd.Context(), args[0], *data, master)
			if err != nil {
				return err
			}
			if master == "" {
				e.note("the master key belongs into %s before the server starts", filepath.Join(*data, masterFile))
			}
			return e.data(map[string]any{"data": *data, "rows": sums.Rows(), "tables": sums}, func(w io.Writer) {
				fmt.Fprintf(w, "%s holds the backup: %d rows of %d tables\n", clean(*data), sums.Rows(), len(sums))
			})
		},
	}
	c.Flags().StringVar(&master, "master-key-file", "", "`FILE` with the master key, copied into the folder")
	return c
}

func restore(ctx context.Context, file, dir, master string) (sums archive.Sums, err error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var key []byte
	if master != "" {
		if key, err = keys.MasterFile(master); err != nil {
			return nil, err
		}
	}
	if err := clearRestore(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	there, err := os.ReadDir(dir)
	if err == nil && len(there) > 0 {
		return nil, exitError{failed, dir + " is not empty, and is left as it is", "name a new folder with --data"}
	}
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// Beside it first, so that what failed is no data folder.
	work, err := newScratch(dir, restoreScratch)
	if err != nil {
		return nil, err
	}
	trial := work.trial()
	defer func() {
		work.drop()
		if err != nil && made {
			os.Remove(dir)
		}
	}()
	if sums, err = restoreInto(ctx, in, trial); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if key != nil {
		if err := opens(ctx, trial, key); err != nil {
			return nil, err
		}
		if err := newFile(filepath.Join(trial, masterFile), key); err != nil {
			return nil, err
		}
		if err := place(trial, dir, masterFile); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil { // it was not there before
				os.Remove(filepath.Join(dir, masterFile))
			}
		}()
	}
	return sums, place(trial, dir, databaseFile)
}

// clearRestore takes away what a restore that was killed has left, in a folder
// that holds nothing else: also what it had put in its place already, which is
// the same file still. A server that has started there since has left more.
func clearRestore(dir string) error {
	left, _, err := abandoned(dir, restoreScratch)
	if err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	var placed []string
	alone := err == nil && !slices.ContainsFunc(there, func(e os.DirEntry) bool {
		path := filepath.Join(dir, e.Name())
		return !slices.ContainsFunc(left, func(s *scratch) bool {
			if s.dir == path {
				return true
			}
			own := (e.Name() == masterFile || e.Name() == databaseFile) && sameFile(path, filepath.Join(s.trial(), e.Name()))
			if own {
				placed = append(placed, path)
			}
			return own
		})
	})
	if !alone {
		for _, s := range left {
			s.release()
		}
		return err
	}
	for _, path := range placed {
		err = errors.Join(err, os.Remove(path))
	}
	for _, s := range left {
		err = errors.Join(err, s.drop())
	}
	return err
}

func sameFile(a, b string) bool {
	one, err := os.Lstat(a)
	other, err2 := os.Lstat(b)
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// place puts a file where none of its name is. A link, unlike a renaming, never
// takes another file's place.
func place(from, to, name string) error {
	err := os.Link(filepath.Join(from, name), filepath.Join(to, name))
	if errors.Is(err, fs.ErrExist) {
		return exitError{failed, filepath.Join(to, name) + " has come to be there meanwhile, and is left as it is", "name a new folder with --data, which nobody else uses"}
	}
	if err != nil {
		return fmt.Errorf("%s cannot be put in its place: %w", name, err)
	}
	return nil
}

// opens holds a master key against the store of a folder.
func opens(ctx context.Context, dir string, key []byte) error {
	s, err := sqlite.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(keys.Opens(ctx, s, key), s.Close())
}

// newFile writes a file of mode 0600 that was not there.
func newFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
