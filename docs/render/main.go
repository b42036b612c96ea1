// Command render makes HTML of the pages of the causes, for the account server
// to hold: `make build` runs it, so that the program itself knows no Markdown.
//
//	render DIR
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark"

	"readmit.dev/readmit/docs"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one folder, into which the pages go")
	}
	return fs.WalkDir(docs.Causes, "causes", func(name string, f fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(args[0], filepath.FromSlash(strings.TrimPrefix(name, "causes")))
		if f.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		source, err := docs.Causes.ReadFile(name)
		if err != nil {
			return err
		}
		var page bytes.Buffer
		if err := goldmark.Convert(body(source, strings.TrimSuffix(f.Name(), ".md")), &page); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return os.WriteFile(strings.TrimSuffix(to, ".md")+".html", page.Bytes(), 0o644)
	})
}

// body is a page without what it begins with, the title and the code: the
// account server has them in its own way.
func body(source []byte, code string) []byte {
	title, rest, ok := bytes.Cut(source, []byte("\n"))
	if !ok || !bytes.HasPrefix(title, []byte("# ")) {
		return source
	}
	return bytes.TrimPrefix(bytes.TrimSpace(rest), []byte("`"+code+"`"))
}
