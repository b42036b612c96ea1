package faults

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/agent"
)

// leaks looks for secrets in all that the server leaves behind: its log, its
// data, a backup of them, and what others see of its process; and in what commands
// wrote on standard error. Secrets are the
// passwords, what the devices' homes hold, and the arguments; each in the forms it
// could be kept in. What was found goes to the file found.
func (w *world) leaks(ts *testscript.TestScript, neg bool, args []string) {
	secrets := map[string][]byte{}
	for name, p := range passwords {
		secrets["password in "+name] = []byte(p)
	}
	for i, a := range args {
		secrets["argument "+strconv.Itoa(i+1)] = []byte(a)
		if bare := strings.ReplaceAll(a, "-", ""); bare != a { // what people type is read without
			secrets["argument "+strconv.Itoa(i+1)+" without hyphens"] = []byte(bare)
		}
	}
	for _, d := range devices {
		ts.Check(w.secretsOf(d, secrets))
	}
	credentials, err := filepath.Glob(filepath.Join(w.dir, "*.secret"))
	ts.Check(err)
	for _, file := range credentials {
		b, err := os.ReadFile(file)
		ts.Check(err)
		for i, line := range strings.Fields(string(b)) {
			secrets[fmt.Sprintf("credential %d in %s", i+1, filepath.Base(file))] = []byte(line)
		}
	}
	places, err := w.behind()
	ts.Check(err)
	var found []string
	for what, secret := range secrets {
		if len(secret) < 8 {
			ts.Fatalf("%s is too short to be looked for", what)
		}
		for where, text := range places {
			for form, s := range forms(secret) {
				if bytes.Contains(text, s) {
					found = append(found, fmt.Sprintf("%s, %s, in %s", what, form, where))
				}
			}
		}
	}
	slices.Sort(found)
	_, err = w.write("found", []byte(strings.Join(found, "\n")+"\n"))
	ts.Check(err)
	if neg != (len(found) > 0) {
		ts.Fatalf("%d secrets in %d places; found: %s", len(secrets), len(places), strings.Join(found, "; "))
	}
}

// forms are the ways in which bytes are usually written. Those in base64 lack
// the last letters, which depend on what follows.
func forms(b []byte) map[string][]byte {
	whole := b[:len(b)/3*3]
	h := hex.EncodeToString(b)
	return map[string][]byte{
		"raw": b, "base64": []byte(base64.StdEncoding.EncodeToString(whole)), "base64url": []byte(base64.URLEncoding.EncodeToString(whole)),
		"hex": []byte(h), "upper hex": []byte(strings.ToUpper(h)),
	}
}

// secretsOf adds what a device's home holds; a device that was not used has none.
func (w *world) secretsOf(d string, secrets map[string][]byte) error {
	if _, err := os.Stat(filepath.Join(w.dir, d)); err != nil {
		return nil
	}
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, d) })
	if err != nil {
		return err
	}
	id, err := home.Identity()
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(id.Key))
	if block == nil {
		return fmt.Errorf("%s has no key", d)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("%s has a key of another kind", d)
	}
	scalar, err := private.Bytes()
	if err != nil {
		return err
	}
	secrets[d+"'s key"] = scalar
	if len(id.CodeSecret) > 0 {
		secrets[d+"'s code secret"] = id.CodeSecret
	}
	s, err := home.Session()
	if err != nil {
		return err
	}
	for audience, t := range s.Tokens {
		secrets[d+"'s token for "+strconv.Quote(audience)] = []byte(t.Value)
	}
	return nil
}

// behind is all that the server leaves for others to see.
func (w *world) behind() (map[string][]byte, error) {
	places := map[string][]byte{"the log": []byte(w.log.String()), "what commands said of errors": []byte(w.said.String())}
	err := filepath.WalkDir(w.data(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		places[path] = b
		return err
	})
	if err != nil {
		return nil, err
	}
	if w.db != nil {
		if err := w.db.dump(places); err != nil {
			return nil, err
		}
	}
	// Of a database that nobody serves there is none.
	if w.process != nil || w.db == nil {
		if err := w.backup(places); err != nil {
			return nil, err
		}
	}
	if w.process != nil && runtime.GOOS == "linux" {
		for _, f := range []string{"cmdline", "environ"} {
			path := filepath.Join("/proc", strconv.Itoa(w.process.Process.Pid), f)
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			places[path] = b
		}
	}
	return places, nil
}

// dump adds what the database holds.
func (d *database) dump(places map[string][]byte) error {
	tables, err := d.cluster.Dump(d.name)
	if err != nil {
		return err
	}
	if len(tables["subjects"]) == 0 {
		return fmt.Errorf("no accounts were read from the database, of %d tables", len(tables))
	}
	for name, rows := range tables {
		places["the table "+name] = rows
	}
	return nil
}

// backup adds a backup: its lines, and what they hold in base64.
func (w *world) backup(places map[string][]byte) error {
	file := filepath.Join(w.dir, "leaks.gz")
	c := exec.Command(filepath.Join(w.bin, "readmit"), "admin", "--data", w.data(), "backup", file)
	c.Env = environ()
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("a backup: %w: %s", err, out)
	}
	defer os.Remove(file)
	packed, err := os.Open(file)
	if err != nil {
		return err
	}
	defer packed.Close()
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		return err
	}
	var values []byte
	for line := range bytes.Lines(text) {
		var row []any
		if json.Unmarshal(line, &row) != nil {
			continue // of the table, not of a row
		}
		for _, v := range row {
			octets, ok := v.([]any)
			if !ok || len(octets) != 1 {
				continue
			}
			written, _ := octets[0].(string)
			b, err := base64.StdEncoding.DecodeString(written)
			if err != nil {
				return fmt.Errorf("a backup: %w", err)
			}
			values = append(append(values, b...), 0)
		}
	}
	if len(values) == 0 {
		return errors.New("no rows were read from a backup")
	}
	places["the backup's lines"], places["the backup's octets"] = text, values
	return nil
}

// lines writes words into a file, each on a line of its own: what a person types.
func (w *world) lines(ts *testscript.TestScript, _ bool, args []string) {
	_, err := w.write(args[0], []byte(strings.Join(args[1:], "\n")+"\n"))
	ts.Check(err)
}

// serve runs a server that must not start.
func (w *world) serve(ts *testscript.TestScript, neg bool, args []string) {
	if !neg {
		ts.Fatalf("a server that starts is started with: server start")
	}
	w.run(ts, neg, filepath.Join(w.bin, "readmit"), append([]string{"serve"}, args...)...)
}
