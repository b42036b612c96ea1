package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/godbus/dbus/v5"
)

// desktop is a bus of its own with a service for notifications that shows them
// to nobody, by the Desktop Notifications Specification 1.2.
type desktop struct {
	bus  *sessionBus
	conn *dbus.Conn
	can  []string

	mu    sync.Mutex
	last  uint32
	shown map[uint32]notification
	told  []notification // all there ever were, in order
}

const (
	notificationsName = "org.freedesktop.Notifications"
	notificationsPath = dbus.ObjectPath("/org/freedesktop/Notifications")
)

// newDesktop starts one; capabilities are what it says it can.
func newDesktop(capabilities ...string) (_ *desktop, err error) {
	dir, err := os.MkdirTemp("", "readmit-desktop-*")
	if err != nil {
		return nil, err
	}
	d := &desktop{can: capabilities, shown: map[uint32]notification{}}
	if d.bus, err = newSessionBus(dir, append(environ(), "XDG_RUNTIME_DIR="+dir, "XDG_DATA_DIRS="+filepath.Join(dir, "none"), "HOME="+dir)); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	defer func() {
		if err != nil {
			d.end()
		}
	}()
	if d.conn, err = dbus.Connect(d.bus.address); err != nil {
		return nil, err
	}
	if err = d.conn.Export(service{d}, notificationsPath, notificationsName); err != nil {
		return nil, err
	}
	reply, err := d.conn.RequestName(notificationsName, dbus.NameFlagDoNotQueue)
	if err == nil && reply != dbus.RequestNameReplyPrimaryOwner {
		err = errors.New("the name for notifications is taken")
	}
	return d, err
}

// service are the methods that programs call.
type service struct{ d *desktop }

func (s service) GetCapabilities() ([]string, *dbus.Error) { return s.d.can, nil }

func (s service) Notify(_ string, replaces uint32, _, title, text string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d := s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	id := replaces
	if _, there := d.shown[id]; !there {
		d.last++
		id = d.last
	}
	n := notification{title: title, text: text}
	for pair := range slices.Chunk(actions, 2) {
		n.keys = append(n.keys, pair[0])
	}
	d.shown[id] = n
	d.told = append(d.told, n)
	return id, nil
}

func (s service) CloseNotification(id uint32) *dbus.Error {
	if err := s.d.close(id, 3); err != nil {
		return dbus.MakeFailedError(err)
	}
	return nil
}

// close takes a notification away, as if for one of the reasons of the
// specification: 2 a person did, 3 a program did.
func (d *desktop) close(id, reason uint32) error {
	d.mu.Lock()
	_, there := d.shown[id]
	delete(d.shown, id)
	d.mu.Unlock()
	if !there {
		return nil
	}
	return d.conn.Emit(notificationsPath, notificationsName+".NotificationClosed", id, reason)
}

// press is a person who presses what a notification offers; the notification
// goes with it.
func (d *desktop) press(key string) error {
	d.mu.Lock()
	var at uint32
	for id, n := range d.shown {
		if slices.Contains(n.keys, key) {
			at = id
		}
	}
	d.mu.Unlock()
	if at == 0 {
		return fmt.Errorf("nothing that is shown offers %q", key)
	}
	if err := d.conn.Emit(notificationsPath, notificationsName+".ActionInvoked", at, key); err != nil {
		return err
	}
	return d.close(at, 2)
}

// away is a person who puts all notifications away.
func (d *desktop) away() error {
	d.mu.Lock()
	var all []uint32
	for id := range d.shown {
		all = append(all, id)
	}
	d.mu.Unlock()
	for _, id := range all {
		if err := d.close(id, 2); err != nil {
			return err
		}
	}
	return nil
}

// now is what is shown, and ever what was.
func (d *desktop) now() []notification {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []notification
	for _, n := range d.shown {
		all = append(all, n)
	}
	return all
}

func (d *desktop) ever() []notification {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.told)
}

func (d *desktop) address() string { return d.bus.address }

func (d *desktop) end() {
	if d.conn != nil {
		d.conn.Close()
	}
	d.bus.end()
	os.RemoveAll(d.bus.dir)
}
