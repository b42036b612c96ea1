package resident

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"readmit.dev/readmit/agent"
)

// pipeOf names a home's pipe: pipes have no folders.
func pipeOf(h agent.Home) string {
	dir, err := filepath.Abs(h.Dir())
	if err != nil {
		dir = h.Dir()
	}
	sum := sha256.Sum256([]byte(strings.ToLower(dir)))
	return `\\.\pipe\readmit-` + hex.EncodeToString(sum[:12])
}

func me() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid, nil
}

// listen makes the pipe, for this user alone, from this machine alone. It fails
// where somebody has taken the name.
func listen(h agent.Home) (net.Listener, error) {
	sid, err := me()
	if err != nil {
		return nil, err
	}
	return winio.ListenPipe(pipeOf(h), &winio.PipeConfig{SecurityDescriptor: fmt.Sprintf("O:%[1]sD:P(D;;GA;;;NU)(A;;GA;;;%[1]s)", sid)})
}

// CanListen reports what would keep an agent from serving programs in a home:
// nothing here, for pipes have no folders.
func CanListen(agent.Home) error { return nil }

// sameUser refuses a process of which the system says that it runs as another
// user: one that was handed the pipe, or may open what it likes. Of some the
// system says nothing to this user; for them the pipe's own list stands, which
// the system has held against them when they opened it.
func sameUser(c net.Conn) error {
	f, ok := c.(interface{ Fd() uintptr })
	if !ok {
		return errors.New("a pipe without a handle")
	}
	var pid uint32
	if err := windows.GetNamedPipeClientProcessId(windows.Handle(f.Fd()), &pid); err != nil {
		return err
	}
	runs, err := userOf(pid)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return nil
	}
	if err != nil { // it has ended
		return err
	}
	sid, err := me()
	if err != nil {
		return err
	}
	if !runs.Equals(sid) {
		return fmt.Errorf("%w: the program", errOther)
	}
	return nil
}

// userOf is who a process runs as.
func userOf(pid uint32) (*windows.SID, error) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(process)
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return nil, err
	}
	defer token.Close()
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid, nil
}

func dial(ctx context.Context, h agent.Home) (net.Conn, error) {
	c, err := winio.DialPipeContext(ctx, pipeOf(h))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	if err := ownedByMe(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	return c, nil
}

// ownedByMe refuses a pipe that another user has made under our name.
func ownedByMe(c net.Conn) error {
	f, ok := c.(interface{ Fd() uintptr })
	if !ok {
		return errors.New("a pipe without a handle")
	}
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return err
	}
	sid, err := me()
	if err != nil {
		return err
	}
	if !owner.Equals(sid) {
		return fmt.Errorf("%w: the pipe", errOther)
	}
	return nil
}
