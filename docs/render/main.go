// Command render makes HTML of the pages of the causes, for the account server
// to hold: `make build` runs it, so that the program itself knows no Markdown.
//
//	render DIR
package main

import (
	"bytes"
	"fmt"
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
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	all, err := docs.Causes.ReadDir("causes")
	if err != nil {
		return err
	}
	for _, f := range all {
		source, err := docs.Causes.ReadFile("causes/" + f.Name())
		if err != nil {
			return err
		}
		code := strings.TrimSuffix(f.Name(), ".md")
		var page bytes.Buffer
		if err := goldmark.Convert(body(source, code), &page); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		if err := os.WriteFile(filepath.Join(args[0], code+".html"), page.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
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
