package faults

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// keyStore is a Secret Service: gnome-keyring on a session bus of its own.
type keyStore struct {
	dir     string
	address string
	bus     *sessionBus
	daemon  *exec.Cmd
	conn    *dbus.Conn
	session dbus.ObjectPath
}

// sessionBus is one of a test's own, in a folder.
type sessionBus struct {
	dir     string
	address string
	daemon  *exec.Cmd
}

func newSessionBus(dir string, env []string) (_ *sessionBus, err error) {
	b := &sessionBus{dir: dir}
	b.daemon = exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:path="+filepath.Join(dir, "bus"))
	b.daemon.Env = env
	said, err := b.daemon.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err = b.daemon.Start(); err != nil {
		return nil, fmt.Errorf("%w (scripts/deps.sh installs dbus)", err)
	}
	if b.address, err = bufio.NewReader(said).ReadString('\n'); err != nil {
		b.end()
		return nil, err
	}
	b.address = strings.TrimSpace(b.address)
	return b, nil
}

func (b *sessionBus) end() {
	b.daemon.Process.Kill()
	b.daemon.Wait()
}

const (
	secretsName  = "org.freedesktop.secrets"
	secretsPath  = dbus.ObjectPath("/org/freedesktop/secrets")
	loginPath    = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	secretsFace  = "org.freedesktop.Secret.Service."
	internalFace = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface." // how the desktop's sign-in opens it
)

// master is the password that the collection is locked with.
type master struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func (k *keyStore) master() master {
	return master{k.session, []byte{}, []byte("of the desktop"), "text/plain"}
}

// newKeyStore starts one; its collection is open.
func newKeyStore() (_ *keyStore, err error) {
	k := &keyStore{}
	if k.dir, err = os.MkdirTemp("", "readmit-keys-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			k.end()
		}
	}()
	env := append(environ(), "XDG_RUNTIME_DIR="+k.dir, "XDG_DATA_HOME="+k.dir, "HOME="+k.dir)
	if k.bus, err = newSessionBus(k.dir, env); err != nil {
		return nil, err
	}
	k.address = k.bus.address
	k.daemon = exec.Command("gnome-keyring-daemon", "--foreground", "--components=secrets")
	k.daemon.Env = append(env, "DBUS_SESSION_BUS_ADDRESS="+k.address)
	if err = k.daemon.Start(); err != nil {
		return nil, fmt.Errorf("%w (scripts/deps.sh installs gnome-keyring)", err)
	}
	if k.conn, err = dbus.Connect(k.address); err != nil {
		return nil, err
	}
	var nothing dbus.Variant
	for range 200 {
		if err = k.conn.Object(secretsName, secretsPath).Call(secretsFace+"OpenSession", dbus.FlagNoAutoStart, "plain", dbus.MakeVariant("")).Store(&nothing, &k.session); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	label := map[string]dbus.Variant{"org.freedesktop.Secret.Collection.Label": dbus.MakeVariant("login")}
	var made dbus.ObjectPath
	if err = k.conn.Object(secretsName, secretsPath).Call(internalFace+"CreateWithMasterPassword", 0, label, k.master()).Store(&made); err != nil {
		return nil, err
	}
	if made != loginPath {
		return nil, fmt.Errorf("the collection is %s", made)
	}
	return k, nil
}

func (k *keyStore) lock() error {
	return k.conn.Object(secretsName, secretsPath).Call(secretsFace+"Lock", 0, []dbus.ObjectPath{loginPath}).Err
}

func (k *keyStore) unlock() error {
	return k.conn.Object(secretsName, secretsPath).Call(internalFace+"UnlockWithMasterPassword", 0, loginPath, k.master()).Err
}

// items is how many entries there are.
func (k *keyStore) items() (int, error) {
	v, err := k.conn.Object(secretsName, loginPath).GetProperty("org.freedesktop.Secret.Collection.Items")
	if err != nil {
		return 0, err
	}
	all, ok := v.Value().([]dbus.ObjectPath)
	if !ok {
		return 0, errors.New("not a list of entries")
	}
	return len(all), nil
}

func (k *keyStore) end() {
	if k.conn != nil {
		k.conn.Close()
	}
	if k.daemon != nil && k.daemon.Process != nil {
		k.daemon.Process.Kill()
		k.daemon.Wait()
	}
	if k.bus != nil {
		k.bus.end()
	}
	os.RemoveAll(k.dir)
}
