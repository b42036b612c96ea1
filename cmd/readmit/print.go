package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// clean takes out of a text what a terminal would obey: control characters and
// the marks that turn the direction of writing.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// data prints JSON where it was asked for, and text otherwise.
func (e *env) data(v any, text func(w io.Writer)) error {
	if e.json {
		out := json.NewEncoder(e.stdout)
		out.SetEscapeHTML(false)
		return out.Encode(v)
	}
	text(e.stdout)
	return nil
}

// note tells a person something beside the data.
func (e *env) note(format string, args ...any) {
	fmt.Fprintln(e.stderr, clean(fmt.Sprintf(format, args...)))
}

// table prints aligned columns; the cells are cleaned.
func table(w io.Writer, rows ...[]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, strings.ReplaceAll(clean(cell), "\n", " "))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// when tells a moment by the clock on the wall, and how long ago it was.
func when(unix int64, now time.Time) string {
	if unix <= 0 {
		return "-"
	}
	t := time.Unix(unix, 0)
	ago := now.Sub(t).Round(time.Second)
	switch {
	case ago < 0:
		return t.Format("2006-01-02 15:04:05")
	case ago < time.Minute:
		return fmt.Sprintf("%d s ago", int(ago.Seconds()))
	case ago < time.Hour:
		return fmt.Sprintf("%d min ago", int(ago.Minutes()))
	case ago < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(ago.Hours()))
	}
	return t.Format("2006-01-02 15:04")
}

// bold marks text on a terminal, unless NO_COLOR asks for none.
func (e *env) bold(s string) string {
	if !terminal(e.stdout) || e.getenv("NO_COLOR") != "" || e.getenv("TERM") == "dumb" {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// command writes a command line that a shell reads back as these words.
func command(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		a = clean(a)
		if a == "" || strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-") != "" {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words[i] = a
	}
	return strings.Join(words, " ")
}

// maxSecret is the longest line read as a secret.
const maxSecret = 4096

// secrets reads what must not be seen: lines of standard input, read once.
type secrets struct {
	e   *env
	ctx context.Context // of the command that asks
	in  *bufio.Reader
}

func (e *env) secrets(ctx context.Context) *secrets {
	return &secrets{e, ctx, bufio.NewReader(io.LimitReader(e.stdin, 4*maxSecret))}
}

// typed waits for what a person types, or for the interruption of the command:
// a read from a terminal does not end by itself when Ctrl-C is caught.
func typed[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		what T
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		what, err := read()
		answers <- answer{what, err}
	}()
	select {
	case a := <-answers:
		return a.what, a.err
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// from reads a secret from a file, from a line of standard input ("-"), or,
// where no file is named, from the terminal without echo.
func (s *secrets) from(file, prompt, flag string) (string, error) {
	switch file {
	case "-":
		return s.line(prompt)
	case "":
		if !terminal(s.e.stdin) {
			return "", usageError{fmt.Errorf("there is no terminal to ask for the %s: say %s FILE, or %s - for standard input", prompt, flag, flag)}
		}
		fmt.Fprintf(s.e.stderr, "%s: ", prompt)
		from := s.e.stdin.(*os.File)
		fd := int(from.Fd())
		before, err := term.GetState(fd)
		if err != nil {
			return "", err
		}
		b, err := typed(s.ctx, func() ([]byte, error) { return readHidden(from) })
		fmt.Fprintln(s.e.stderr)
		if s.ctx.Err() != nil {
			term.Restore(fd, before) // the read that goes on has switched the echo off
		}
		if err == io.EOF || err == nil && len(b) == 0 {
			err = fmt.Errorf("no %s was typed", prompt)
		}
		return string(b), err
	}
	f, err := os.Open(file)
	if err != nil {
		return "", usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	defer f.Close()
	return (&secrets{s.e, s.ctx, bufio.NewReader(io.LimitReader(f, maxSecret))}).line(prompt)
}

// new reads a new password from --new-password-file, or, at a terminal, twice.
func (s *secrets) new(file string) (string, error) {
	const flag = "--new-password-file"
	next, err := s.from(file, "new password", flag)
	if err != nil || file != "" {
		return next, err
	}
	again, err := s.from("", "the same again", flag)
	if err != nil {
		return "", err
	}
	if again != next {
		return "", exitError{failed, "the two passwords differ; nothing was changed", "try again"}
	}
	return next, nil
}

func (s *secrets) line(what string) (string, error) {
	text, err := typed(s.ctx, func() (string, error) { return s.in.ReadString('\n') })
	if err != nil && err != io.EOF {
		return "", err
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if text == "" {
		return "", usageError{fmt.Errorf("the %s is empty", what)}
	}
	return text, nil
}

// ask asks a person at a terminal for a line that may be seen; io.EOF says that
// they ended the input instead.
func (s *secrets) ask(prompt string) (string, error) {
	fmt.Fprintf(s.e.stderr, "%s: ", prompt)
	text, err := typed(s.ctx, func() (string, error) { return s.in.ReadString('\n') })
	if err == io.EOF && text != "" {
		err = nil
	}
	return strings.TrimSpace(text), err
}
