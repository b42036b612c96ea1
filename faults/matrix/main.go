// Matrix makes every cause in the running system and prints one line for each:
// whether it was made, named to the right audience, its remedy applied, and the
// device signed in again.
package main

import (
	"flag"
	"fmt"
	"io"
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
			results[name].run(filepath.Join(*scripts, name+".txtar"), bin, &record)
		})
	}
	passed, failed := 0, 0
	fmt.Fprintf(stdout, "%-28s  %-5s  %-6s  %-9s  %-10s  %s\n", "CAUSE", "MADE", "NAMED", "REMEDIED", "SIGNED IN", "TIME")
	for _, name := range names {
		s := results[name]
		<-s.done
		missing := faults.Missing(record.Reached(name))
		cells := make([]string, len(faults.Steps))
		for i := range faults.Steps {
			cells[i] = "yes"
			if missing != "" && slices.Index(faults.Steps, missing) <= i {
				cells[i] = "NO"
			}
		}
		fmt.Fprintf(stdout, "%-28s  %-5s  %-6s  %-9s  %-10s  %.1f s\n", name, cells[0], cells[1], cells[2], cells[3], s.took.Seconds())
		if s.failed || missing != "" {
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

// rows are the table's causes, then the scripts that make two at once. A cause
// without a script is a row that fails.
func rows(folder string) ([]string, error) {
	var names []string
	for _, row := range cause.Table() {
		names = append(names, string(row.Code))
	}
	found, err := filepath.Glob(filepath.Join(folder, "two-*.txtar"))
	for _, f := range found {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".txtar"))
	}
	return names, err
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

func (s *script) run(file, bin string, record *faults.Record) {
	defer close(s.done)
	began := time.Now()
	p := faults.Params("", bin, record)
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
