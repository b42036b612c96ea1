package mac

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Machine is all of a Mac that this package touches: a few commands that it
// may run, and files that it may read. Tests write down what the commands
// print; see Recorded.
type Machine interface {
	// Run runs one of the permitted commands. The error says that it could not be
	// run or gave no answer in time; an exit code other than zero is no error.
	Run(ctx context.Context, name string, args ...string) (Output, error)
	ReadFile(path string, limit int64) ([]byte, error) // ErrTooLarge beyond the limit
	Lstat(path string) (fs.FileInfo, error)
	ReadDir(path string) ([]fs.DirEntry, error)
	Home() string
	UID() int
}

// Output is what a command printed.
type Output struct {
	Stdout, Stderr []byte
	Exit           int
}

var (
	// ErrTooLarge: the file is larger than any that was ever seen in its place.
	ErrTooLarge = errors.New("the file is too large to be what it should be")
	// ErrNotPermitted: the command is not one of those that are ever run.
	ErrNotPermitted = errors.New("this command is never run")
	// ErrNoAnswer: the command did not end in time.
	ErrNoAnswer = errors.New("no answer in time")
)

// The commands, by full path: nothing in PATH can stand in for one.
const (
	swVers    = "/usr/bin/sw_vers"
	pgrep     = "/usr/bin/pgrep"
	brctl     = "/usr/bin/brctl"
	defaults  = "/usr/bin/defaults"
	logTool   = "/usr/bin/log"
	scutil    = "/usr/sbin/scutil"
	killall   = "/usr/bin/killall"
	launchctl = "/bin/launchctl"
)

// limits holds for each command how long it may take, by what was seen of slow
// ones: brctl waits for a daemon that may hang, log reads an hour of lines.
var limits = map[string]time.Duration{
	swVers:    5 * time.Second,
	pgrep:     5 * time.Second,
	brctl:     20 * time.Second,
	defaults:  10 * time.Second,
	logTool:   45 * time.Second,
	scutil:    5 * time.Second,
	killall:   10 * time.Second,
	launchctl: 15 * time.Second,
}

// permitted reports whether the command is one of those that this package
// runs, with the arguments it gives them: it never runs "defaults delete".
func permitted(name string, args []string, uid int) bool {
	is := func(want ...string) bool { return slices.Equal(args, want) }
	switch name {
	case swVers:
		return is()
	case scutil:
		return is("--proxy")
	case brctl:
		return is("status")
	case defaults:
		return is("export", "MobileMeAccounts", "-")
	case logTool:
		return slices.Equal(args, logArgs)
	case pgrep:
		return len(args) == 2 && args[0] == "-x" && known(args[1])
	case killall:
		return len(args) == 1 && known(args[0])
	case launchctl:
		if len(args) != 3 || args[0] != "kickstart" || args[1] != "-k" {
			return false
		}
		return slices.ContainsFunc(Daemons, func(d Daemon) bool { return slices.Contains(d.targets(uid), args[2]) })
	}
	return false
}

// most is the largest output of a command that is read; the rest is dropped.
const most = 8 << 20

type local struct {
	home string
	uid  int
}

// Here is the machine that this program runs on.
func Here(getenv func(string) string) Machine {
	return local{getenv("HOME"), os.Getuid()}
}

func (l local) Home() string { return l.home }
func (l local) UID() int     { return l.uid }

func (l local) Run(ctx context.Context, name string, args ...string) (Output, error) {
	if !permitted(name, args, l.uid) {
		return Output{}, fmt.Errorf("%s: %w", name, ErrNotPermitted)
	}
	ctx, cancel := context.WithTimeout(ctx, limits[name])
	defer cancel()
	var out, errs capped
	c := exec.CommandContext(ctx, name, args...)
	// What a person has set must not change the form of what is read.
	c.Env = []string{"HOME=" + l.home, "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C", "LC_ALL=C"}
	c.Stdout, c.Stderr = &out, &errs
	c.WaitDelay = time.Second
	err := c.Run()
	o := Output{Stdout: out.Bytes(), Stderr: errs.Bytes()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return o, fmt.Errorf("%s: %w", filepath.Base(name), ErrNoAnswer)
	case errors.As(err, &exit):
		o.Exit = exit.ExitCode()
		return o, nil
	case err != nil:
		return o, fmt.Errorf("%s cannot be run here", filepath.Base(name))
	}
	return o, nil
}

// capped keeps the first bytes and takes all, so that no command waits for a reader.
type capped struct{ bytes.Buffer }

func (c *capped) Write(b []byte) (int, error) {
	if room := most - c.Len(); room > 0 {
		c.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (local) ReadFile(path string, limit int64) ([]byte, error) { return readFile(path, limit) }
func (local) Lstat(path string) (fs.FileInfo, error)            { return os.Lstat(path) }
func (local) ReadDir(path string) ([]fs.DirEntry, error)        { return os.ReadDir(path) }

// readFile reads a regular file: to open a pipe would wait for a writer.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), errNotAFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = ErrTooLarge
	}
	return b, err
}

var errNotAFile = errors.New("not a file")

func domain(kind string, uid int, label string) string {
	return kind + "/" + strconv.Itoa(uid) + "/" + label
}
