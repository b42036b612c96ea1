//go:build unix

package resident

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
)

func newHome(t *testing.T, dir string) agent.Home {
	t.Helper()
	h, err := agent.OpenHome(func(string) string { return dir })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestSocket: modes, a name that is too long for a socket, one that was left
// behind, and folders that somebody else could write to.
func TestSocket(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if _, done, err := short(filepath.Join(long, "agent", "sock")); err == nil {
		done()
		t.Error("a folder that is not there was opened")
	}
	for name, dir := range map[string]string{"plain": filepath.Join(t.TempDir(), "h"), "long": long} {
		h := newHome(t, dir)
		for range 2 { // the second finds the first one's socket
			l, err := listen(h)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for path, mode := range map[string]os.FileMode{h.Path(folder): 0o700, socketOf(h): 0o600} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
					t.Errorf("%s: %s: %v, %v", name, path, info.Mode(), err)
				}
			}
			accepted := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err == nil {
					err = errors.Join(sameUser(c), c.Close())
				}
				accepted <- err
			}()
			c, err := dial(t.Context(), h)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := errors.Join(<-accepted, c.Close(), l.Close()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := dial(t.Context(), h); !errors.Is(err, ErrNoAgent) {
			t.Errorf("%s: nobody listens: %v", name, err)
		}
	}
	open := filepath.Join(t.TempDir(), "open")
	h := newHome(t, open)
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if l, err := listen(h); err == nil {
		l.Close()
		t.Error("listens where anybody can put another socket")
	}
}

// TestLinkedHome: a link leads an agent to its home, unless another user could
// have it lead elsewhere.
func TestLinkedHome(t *testing.T) {
	dir := t.TempDir()
	whole := newHome(t, filepath.Join(dir, "home"))
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink("home", filepath.Join(dir, "next")), os.Symlink("./next", link)); err != nil {
		t.Fatal(err)
	}
	l, err := listen(newHome(t, link))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := dial(t.Context(), whole); err != nil {
		t.Errorf("by its own name: %v", err)
	} else {
		c.Close()
	}
	open := new(FolderError)
	if err := os.Chmod(whole.Dir(), 0o770); err != nil {
		t.Fatal(err)
	}
	if err := CanListen(newHome(t, link)); !errors.As(err, &open) || filepath.Base(open.Dir) != "home" {
		t.Errorf("where others can write: %v", err)
	}
	if err := os.Chmod(whole.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Lchown(filepath.Join(dir, "next"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if err := CanListen(newHome(t, link)); !errors.As(err, &open) || filepath.Base(open.Dir) != "next" {
			t.Errorf("by another user's link: %v", err)
		}
	}
	round := filepath.Join(dir, "round")
	if err := os.Symlink("round", round); err != nil {
		t.Fatal(err)
	}
	if _, err := target(round); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link to itself: %v", err)
	}
}

// TestAnotherUser: a process of another user is known by what the system says of
// it, even where modes would let it in. Only root can start one.
func TestAnotherUser(t *testing.T) {
	if path := os.Getenv("READMIT_TEST_SOCKET"); path != "" {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.Read(make([]byte, 1))
		return
	}
	if os.Getuid() != 0 {
		return
	}
	dir, err := os.MkdirTemp("", "readmit-peer-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	program := filepath.Join(dir, "test")
	b, err := os.ReadFile(os.Args[0])
	if err := errors.Join(err, os.WriteFile(program, b, 0o755), os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-test.run=^TestAnotherUser$")
	c.Env, c.Dir = []string{"READMIT_TEST_SOCKET=" + path}, dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Second))
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := sameUser(in); err == nil || !strings.Contains(err.Error(), "65534") {
		t.Errorf("another user was let in: %v", err)
	}
	in.Close()
	c.Wait()
}

// An agent whose answer is of another kind does not answer, and one that holds
// nobody's place is none.
func TestStatusOfSomethingElse(t *testing.T) {
	h := newHome(t, t.TempDir())
	l, err := listen(h)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(c).ReadString('\n')
			c.Write([]byte(`{"v":1,"stopping":true}` + "\n"))
			c.Close()
		}
	}()
	if _, err := AskStatus(t.Context(), h); !errors.Is(err, ErrNoAgent) {
		t.Errorf("nobody has the place: %v", err)
	}
	unlock, err := h.Sole(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	hangs := new(HangsError)
	if _, err := AskStatus(t.Context(), h); !errors.As(err, &hangs) || hangs.Stays {
		t.Errorf("somebody has it: %v", err)
	}
}
