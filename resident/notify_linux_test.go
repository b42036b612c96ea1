package resident

import (
	"errors"
	"testing"
)

func TestBody(t *testing.T) {
	const given = "<b>a</b> & \x1bb"
	if got := (&note{}).body(given); got != "<b>a</b> & b" {
		t.Errorf("plain: %q", got)
	}
	if got := (&note{can: []string{"actions", "body-markup"}}).body(given); got != "&lt;b&gt;a&lt;/b&gt; &amp; b" {
		t.Errorf("markup: %q", got)
	}
}

// A bus that nobody serves is no desktop, and nothing to complain of.
func TestNoDesktop(t *testing.T) {
	d := OpenDesktop(func(name string) string {
		return map[string]string{"DBUS_SESSION_BUS_ADDRESS": "unix:path=" + t.TempDir() + "/bus"}[name]
	})
	if err := d.Tell("title", "text"); !errors.Is(err, ErrNoDesktop) {
		t.Error(err)
	}
	if _, err := d.Panel(t.Context()); !errors.Is(err, ErrNoDesktop) {
		t.Error(err)
	}
}
