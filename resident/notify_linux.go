package resident

import (
	"context"
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// The service that shows notifications, by the Desktop Notifications
// Specification 1.2 of freedesktop.org.
const (
	notifyName = "org.freedesktop.Notifications"
	notifyPath = dbus.ObjectPath("/org/freedesktop/Notifications")
)

// OpenDesktop returns what shows texts on this user's desktop, nil where there
// can be none.
func OpenDesktop(getenv func(string) string) Desktop {
	address := getenv("DBUS_SESSION_BUS_ADDRESS")
	if dir := getenv("XDG_RUNTIME_DIR"); address == "" && dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "bus")); err == nil {
			address = "unix:path=" + filepath.Join(dir, "bus")
		}
	}
	if address == "" {
		return nil
	}
	return bus(address)
}

// bus is the address of a session bus. A connection lasts as long as what it
// shows: an agent with nothing to show holds none.
type bus string

func (b bus) Tell(title, text string) error {
	n, err := b.open(context.Background())
	if err != nil {
		return err
	}
	defer n.conn.Close()
	return n.Put(title, text)
}

func (b bus) Panel(ctx context.Context) (Panel, error) {
	n, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	err = ErrNoDesktop
	if slices.Contains(n.can, "actions") {
		n.urgent = true // so that it stays until somebody chooses
		err = n.listen(ctx)
	}
	if err != nil {
		n.conn.Close()
		return nil, err
	}
	return n, nil
}

// note is one notification.
type note struct {
	conn   *dbus.Conn
	can    []string // the capabilities of the service
	urgent bool
	chosen chan string

	mu sync.Mutex
	id uint32 // zero: not shown
}

func (b bus) open(ctx context.Context) (*note, error) {
	// What ends the asking must not end the connection: it takes the notification away.
	lasting, drop := context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(NotifyTime, drop)
	defer late.Stop()
	conn, err := dbus.Connect(string(b), dbus.WithContext(lasting))
	if err != nil {
		drop()
		return nil, fmt.Errorf("%w: %w", ErrNoDesktop, err)
	}
	n := &note{conn: conn}
	if err := n.call(ctx, "GetCapabilities").Store(&n.can); err != nil {
		conn.Close()
		return nil, sortedBus(err)
	}
	return n, nil
}

// sortedBus tells a desktop that is not there from one that fails.
func sortedBus(err error) error {
	var e dbus.Error
	if errors.As(err, &e) && slices.Contains([]string{
		"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner",
		"org.freedesktop.DBus.Error.Spawn.ServiceNotFound", "org.freedesktop.DBus.Error.Spawn.ExecFailed", "org.freedesktop.DBus.Error.Spawn.ChildExited",
	}, e.Name) {
		return fmt.Errorf("%w: %w", ErrNoDesktop, err)
	}
	return err
}

func (n *note) call(ctx context.Context, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(ctx, NotifyTime)
	defer cancel()
	return n.conn.Object(notifyName, notifyPath).CallWithContext(ctx, notifyName+"."+method, 0, args...)
}

// listen follows what a person does with the notification.
func (n *note) listen(ctx context.Context) error {
	if err := n.conn.AddMatchSignalContext(ctx, dbus.WithMatchInterface(notifyName), dbus.WithMatchObjectPath(notifyPath)); err != nil {
		return err
	}
	signals := make(chan *dbus.Signal, 16)
	n.conn.Signal(signals)
	n.chosen = make(chan string, 1)
	go func() {
		defer close(n.chosen)
		for {
			select {
			case <-ctx.Done():
				return
			case s, open := <-signals:
				if !open { // the bus is gone
					return
				}
				key, over := n.heard(ctx, s)
				if over {
					return
				}
				if key == "" {
					continue
				}
				select {
				case n.chosen <- key:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return nil
}

// heard is what a signal says of this notification: what was chosen, or that it
// was put away.
func (n *note) heard(ctx context.Context, s *dbus.Signal) (key string, over bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(s.Body) < 2 || n.id == 0 || s.Body[0] != any(n.id) {
		return "", false
	}
	switch s.Name {
	case notifyName + ".ActionInvoked":
		// Most desktops take away what was answered, some do not: it goes, and what
		// is put next is another one.
		n.call(ctx, "CloseNotification", n.id)
		n.id = 0
		key, _ = s.Body[1].(string)
		return key, false
	case notifyName + ".NotificationClosed":
		n.id = 0
		return "", true
	}
	return "", false
}

func (n *note) Put(title, text string, choices ...Choice) error {
	actions := []string{}
	for _, c := range choices {
		actions = append(actions, c.Key, c.Label)
	}
	hints := map[string]dbus.Variant{}
	if n.urgent {
		hints["urgency"] = dbus.MakeVariant(byte(2))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return sortedBus(n.call(context.Background(), "Notify", "Readmit", n.id, "dialog-password", visible(title), n.body(text), actions, hints, int32(-1)).Store(&n.id))
}

// body is a text as the service wants it: no part of it is markup, whatever a
// stranger has called a device.
func (n *note) body(text string) string {
	if text = visible(text); slices.Contains(n.can, "body-markup") {
		text = html.EscapeString(text)
	}
	return text
}

func (n *note) Chosen() <-chan string { return n.chosen }

func (n *note) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id != 0 {
		n.call(context.Background(), "CloseNotification", n.id)
		n.id = 0
	}
	n.conn.Close()
}
