// Matrix makes every cause in the running system and prints one line for each:
// whether it was made, named to the right audience, its remedy applied, and the
// device signed in again.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/faults"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("matrix", flag.ContinueOnError)
	flags.SetOutput(stderr)
	scripts := flags.String("scripts", "testdata/script", "folder of the scripts")
	verbose := flags.Bool("v", false, "print what the scripts do")
	if flags.Parse(args) != nil {
		return 2
	}
	bin, err := os.MkdirTemp("", "readmit-faults-*")
	if err != nil {
		fmt.Fprintln(stderr, "matrix:", err)
		return 1
	}
	defer os.RemoveAll(bin)
	if err := faults.Build(bin); err != nil {
		fmt.Fprintln(stderr, "matrix: build:", err)
		return 1
	}
	names, err := rows(*scripts)
	if err != nil {
		fmt.Fprintln(stderr, "matrix:", err)
		return 1
	}

	var record faults.Record
	var databases faults.Databases
	defer databases.Close()
	results := map[string]*script{}
	var wait sync.WaitGroup
	slots := make(chan struct{}, max(2, runtime.NumCPU()))
	for _, name := range names {
		results[name] = &script{done: make(chan struct{})}
	}
	for _, name := range names {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[name].run(filepath.Join(*scripts, name+".txtar"), bin, &record, &databases)
		})
	}
	passed, failed := 0, 0
	fmt.Fprintf(stdout, "%-38s  %-5s  %-6s  %-9s  %-10s  %s\n", "CAUSE", "MADE", "NAMED", "REMEDIED", "SIGNED IN", "TIME")
	for _, name := range names {
		s := results[name]
		<-s.done
		good := true
		if lines := record.Lines(name); len(lines) > 0 {
			good = printLines(stdout, name, lines)
		} else {
			missing := faults.Missing(record.Reached(name))
			good = missing == ""
			fmt.Fprintf(stdout, "%-38s  %s  %.1f s\n", name, cells(faults.Steps, missing), s.took.Seconds())
		}
		if s.failed || !good {
			failed++
			fmt.Fprintln(stdout, indent(s.log.String()))
			continue
		}
		if *verbose {
			fmt.Fprintln(stdout, indent(s.log.String()))
		}
		passed++
	}
	wait.Wait()
	fmt.Fprintf(stdout, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}

// cells says yes to each step before the missing one.
func cells(steps []string, missing string) string {
	widths := []int{5, 6, 9, 10}
	var b strings.Builder
	for i := range steps {
		cell := "yes"
		if missing != "" && slices.Index(steps, missing) <= i {
			cell = "NO"
		}
		fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
	}
	return strings.TrimSuffix(b.String(), "  ")
}

// printLines prints a line for each client at which a script has made its
// cause; what this device repaired there, it must have undone.
func printLines(w io.Writer, name string, lines map[string][]string) bool {
	good := true
	for _, client := range slices.Sorted(maps.Keys(lines)) {
		reached := lines[client]
		repaired := "-"
		if slices.Contains(reached, "repaired") {
			repaired = "undone"
		}
		missing := faults.MissingOfLine(reached)
		if missing == "undone" {
			repaired = "NO"
		}
		named := "yes"
		if missing == "named" {
			named = "NO"
		}
		fmt.Fprintf(w, "%-38s  %-5s  %-6s  %-9s  %-10s\n", name+" ("+client+")", "yes", named, repaired, "-")
		good = good && missing == ""
	}
	return good
}

// rows are the table's causes, then the scripts that make two at once, make a
// fault of the service elsewhere than on its disk, or make a cause at iCloud's
// clients. A cause without a script is a row that fails.
func rows(folder string) ([]string, error) {
	var names []string
	for _, row := range cause.Table() {
		names = append(names, string(row.Code))
	}
	for _, more := range []string{"two-*.txtar", "fault-*.txtar", "icloud-*.txtar"} {
		found, err := filepath.Glob(filepath.Join(folder, more))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".txtar"))
		}
	}
	return names, nil
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
}

// script is one script's run; it is the testscript.T of that run.
type script struct {
	mu     sync.Mutex
	log    strings.Builder
	failed bool
	took   time.Duration
	done   chan struct{}
}

func (s *script) run(file, bin string, record *faults.Record, databases *faults.Databases) {
	defer close(s.done)
	began := time.Now()
	p := faults.Params("", bin, record, databases)
	p.Files = []string{file}
	// FailNow ends the goroutine it is called on.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		testscript.RunT(s, p)
	}()
	<-ended
	s.took = time.Since(began)
}

func (s *script) Skip(args ...any) { s.Fatal(args...) } // a cause that was not made was not seen
func (s *script) Fatal(args ...any) {
	s.Log(args...)
	s.FailNow()
}

func (s *script) Parallel() {}

func (s *script) Log(args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.log, args...)
}

func (s *script) FailNow() {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	runtime.Goexit()
}

func (s *script) Run(_ string, f func(testscript.T)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(s)
	}()
	<-ended
}

func (s *script) Verbose() bool { return true }
