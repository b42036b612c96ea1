//go:build unix

package resident

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"readmit.dev/readmit/agent"
)

// folder holds the socket alone, so that its mode can be what it must whatever
// the home's is.
const folder = "agent"

// maxPath is the longest name of a socket that every system takes.
const maxPath = 100

func socketOf(h agent.Home) string { return filepath.Join(h.Path(folder), "sock") }

func listen(h agent.Home) (net.Listener, error) {
	dir := h.Path(folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := CanListen(h); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	path, done, err := short(socketOf(h))
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.Remove(socketOf(h)); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by then it can be another agent's
	if err := os.Chmod(socketOf(h), 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// CanListen reports, and changes nothing, what would keep an agent from serving
// programs in a home: with a FolderError that somebody else could put another
// socket there. What is not there yet can be made.
func CanListen(h agent.Home) error {
	dir, err := target(h.Dir())
	if err != nil {
		return err
	}
	for _, d := range []string{dir, h.Path(folder)} {
		if err := ours(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_, done, err := short(socketOf(h))
	if err == nil {
		done()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// maxLinks is how many links may lead to a home, as the system has it.
const maxLinks = 40

// target is the folder that a link to a home leads to. Each link on the way has
// to be this user's or the system's: whoever owns one can have it lead elsewhere.
func target(dir string) (string, error) {
	for range maxLinks {
		info, err := os.Lstat(dir)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return dir, err
		}
		if uid := owner(info); uid != os.Getuid() && uid != 0 {
			return "", &FolderError{Dir: dir, How: "is another user's link: set READMIT_HOME to the folder that it leads to"}
		}
		to, err := os.Readlink(dir)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) { // not Join: what is before ".." may be a link as well
			to = filepath.Dir(dir) + string(filepath.Separator) + to
		}
		dir = to
	}
	return "", &os.PathError{Op: "lstat", Path: dir, Err: syscall.ELOOP}
}

// ours refuses a folder in which somebody else could put another socket.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return &FolderError{Dir: dir, How: "is no folder: move it away"}
	case owner(info) != os.Getuid():
		return &FolderError{dir, "is another user's", []string{"chown", strconv.Itoa(os.Getuid()), dir}}
	case info.Mode().Perm()&0o022 != 0:
		return &FolderError{dir, "can be written by others", []string{"chmod", "700", dir}}
	}
	return nil
}

// owner is whose a file is; nobody's where the system does not say.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

func dial(ctx context.Context, h agent.Home) (net.Conn, error) {
	path, done, err := short(socketOf(h))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	defer done()
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	if err := sameUser(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	return c, nil
}

// sameUser refuses a peer that runs as somebody else.
func sameUser(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("not a socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var uid int
	var asked error
	if err := raw.Control(func(fd uintptr) { uid, asked = peer(int(fd)) }); err != nil {
		return err
	}
	if asked != nil {
		return asked
	}
	if uid != os.Getuid() {
		return fmt.Errorf("%w (%d)", errOther, uid)
	}
	return nil
}
