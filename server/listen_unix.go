//go:build unix

package server

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// makeFolder makes the data folder, for the user who runs the server alone.
func makeFolder(dir string) error { return os.MkdirAll(dir, 0o700) }

// listenAdmin makes the operator's socket, mode 0600. Each connection's peer
// must also be of the user who runs the server, or root.
func listenAdmin(path string) (net.Listener, error) {
	if err := unanswered(path); err != nil {
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
