//go:build unix

package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// listenAdmin makes the operator's socket, mode 0600. Each connection's peer
// must also be of the user who runs the server, or root.
func listenAdmin(path string) (net.Listener, error) {
	// A socket that nobody answers was left by a server that was killed.
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another account server runs on this data folder", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("the operator's socket %s: %w (a path of a socket has at most about 100 characters: choose a shorter data folder)", path, err)
	}
	return sameUser{l}, nil
}

type sameUser struct{ net.Listener }

// Accept closes the connections of other users.
func (l sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c.(*net.UnixConn)); err == nil && (uid == os.Getuid() || uid == 0) {
			return c, nil
		}
		c.Close()
	}
}
