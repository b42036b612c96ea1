package server

import (
	"fmt"
	"net"
	"os"
)

// listenAdmin makes the operator's socket. Windows has no peer credentials on
// unix sockets, and files there no mode: what protects it is who may open files
// of the data folder, which is up to whoever has made that (docs/security.md).
func listenAdmin(path string) (net.Listener, error) {
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the operator's socket %s: %w", path, err)
	}
	return l, nil
}
