package keystore

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
	secrets "github.com/zalando/go-keyring/secret_service"
)

// inReach reports whether a session bus runs. Without one the D-Bus library
// would start one of its own, which nobody has asked for.
func inReach(getenv func(string) string) bool {
	if getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return true
	}
	dir := getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "bus"))
	return err == nil
}

// look sees whether the collection is open: the library would have the system
// ask a person for its password, and wait for them.
func look() error {
	s, err := secrets.NewSecretService()
	if err != nil {
		return &Error{Absent, err}
	}
	v, err := s.GetLoginCollection().GetProperty("org.freedesktop.Secret.Collection.Locked")
	if err != nil {
		return err
	}
	if locked, ok := v.Value().(bool); !ok || locked {
		return &Error{Why: Locked}
	}
	return nil
}

func why(err error) string {
	var e dbus.Error
	if !errors.As(err, &e) {
		return Silent
	}
	switch e.Name {
	case "org.freedesktop.Secret.Error.IsLocked":
		return Locked
	// Nobody offers the service, or it has no collection that is the default.
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner",
		"org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.DBus.Error.UnknownMethod", "org.freedesktop.DBus.Error.InvalidArgs",
		"org.freedesktop.Secret.Error.NoSuchObject", "org.freedesktop.DBus.Error.Spawn.ExecFailed", "org.freedesktop.DBus.Error.Spawn.ServiceNotFound":
		return Absent
	}
	return Silent
}
