package verify

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	secret, push := SecretFile(path), PushTokenFile(path)
	if _, err := secret(); err == nil || !strings.Contains(err.Error(), "readmit admin service add") {
		t.Errorf("without a file: %v", err)
	}
	write := func(s string, mode os.FileMode) {
		t.Helper()
		os.Remove(path)
		if err := os.WriteFile(path, []byte(s), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("rms_one\nrmp_two\n", 0o600)
	if got, err := secret(); got != "rms_one" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := push(); got != "rmp_two" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	write("rms_three", 0o600)
	if got, err := secret(); got != "rms_three" || err != nil {
		t.Errorf("written anew: %q, %v", got, err)
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"another file": {"password\n", 0o600, "rmp_"},
		"none to push": {"rms_three\n", 0o600, "rmp_"},
		"too long":     {strings.Repeat("\n", maxSecretFile+1), 0o600, "longer"},
		"for all":      {"rmp_two\n", 0o644, "chmod 600"},
	} {
		if c.mode != 0o600 && runtime.GOOS == "windows" {
			continue
		}
		write(c.text, c.mode)
		if got, err := push(); err == nil || got != "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "three") || strings.Contains(err.Error(), "password") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
