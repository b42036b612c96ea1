//go:build unix

package resident

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
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
	for _, d := range []string{h.Dir(), dir} {
		if err := ours(d); err != nil {
			return nil, err
		}
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

// ours refuses a folder in which somebody else could put another socket.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(s.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s must be a folder of this user that nobody else can write to: chmod 700 %s", dir, dir)
	}
	return nil
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
		return fmt.Errorf("the other side runs as another user (%d)", uid)
	}
	return nil
}
