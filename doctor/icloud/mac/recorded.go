package mac

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Recorded is a Mac of which somebody has written down what its commands
// print, and copied the files. In Commands lies a file for each command, named
// as key says ("sw_vers", "pgrep-akd", "brctl-status"), with what it prints;
// NAME.stderr and NAME.exit beside it where there is something to say. In Root
// lie the files of the Mac outside the user's folder (etc/hosts).
type Recorded struct {
	Commands string
	Root     string
	HomeDir  string
	User     int

	mu  sync.Mutex
	ran []string
}

// key names the file that holds what a command prints.
func key(name string, args []string) string {
	base := filepath.Base(name)
	switch name {
	case pgrep, killall:
		return base + "-" + args[len(args)-1]
	case launchctl:
		target := strings.Split(args[len(args)-1], "/")
		return base + "-" + target[0] + "-" + target[len(target)-1]
	case brctl:
		return "brctl-status"
	case scutil:
		return "scutil-proxy"
	case defaults:
		return "defaults-export"
	case logTool:
		return "log-akd"
	}
	return base
}

// Run answers from what was written down. A daemon of which nothing is written
// does not run; to stop and to start succeeds where nothing else is written.
func (r *Recorded) Run(ctx context.Context, name string, args ...string) (Output, error) {
	if !permitted(name, args, r.User) {
		return Output{}, fmt.Errorf("%s: %w", name, ErrNotPermitted)
	}
	if err := ctx.Err(); err != nil {
		return Output{}, fmt.Errorf("%s: %w", filepath.Base(name), ErrNoAnswer)
	}
	k := key(name, args)
	r.mu.Lock()
	r.ran = append(r.ran, strings.Join(append([]string{name}, args...), " "))
	r.mu.Unlock()
	var o Output
	var err error
	if o.Stdout, err = os.ReadFile(filepath.Join(r.Commands, k)); errors.Is(err, fs.ErrNotExist) {
		switch name {
		case pgrep:
			return Output{Exit: 1}, nil
		case killall, launchctl:
			err = nil
		}
	}
	if err != nil {
		return Output{}, fmt.Errorf("%s cannot be run here", filepath.Base(name))
	}
	if o.Stderr, err = os.ReadFile(filepath.Join(r.Commands, k+".stderr")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Output{}, err
	}
	exit, err := os.ReadFile(filepath.Join(r.Commands, k+".exit"))
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if strings.TrimSpace(string(exit)) == "hangs" {
		return o, fmt.Errorf("%s: %w", filepath.Base(name), ErrNoAnswer)
	}
	if err == nil {
		o.Exit, err = strconv.Atoi(strings.TrimSpace(string(exit)))
	}
	return o, err
}

// Ran lists the commands that were run, in order.
func (r *Recorded) Ran() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ran...)
}

func (r *Recorded) path(path string) string {
	if rel, err := filepath.Rel(r.HomeDir, path); err == nil && !strings.HasPrefix(rel, "..") {
		return path
	}
	return filepath.Join(r.Root, path)
}

// ReadFile, Lstat and ReadDir read the copied files; Home and UID say whose they are.
func (r *Recorded) ReadFile(path string, limit int64) ([]byte, error) {
	return readFile(r.path(path), limit)
}
func (r *Recorded) Lstat(path string) (fs.FileInfo, error)     { return os.Lstat(r.path(path)) }
func (r *Recorded) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(r.path(path)) }
func (r *Recorded) Home() string                               { return r.HomeDir }
func (r *Recorded) UID() int                                   { return r.User }
