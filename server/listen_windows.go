package server

import (
	"fmt"
	"net"
	"os"
)

// listenAdmin makes the operator's socket. Windows has no peer credentials on
// unix sockets: the access rights of the data folder, which only its user and
// administrators have, are what protects it (docs/security.md).
func listenAdmin(path string) (net.Listener, error) {
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the operator's socket %s: %w", path, err)
	}
	return l, nil
}
