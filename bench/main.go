// Command bench measures the account server: the real binary, as a process of
// its own on one core, with the load on another. It prints one table
// (docs/performance.md).
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"readmit.dev/readmit/opaque"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		if errors.As(err, new(misuse)) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// misuse is a command line that cannot be followed.
type misuse struct{ error }

// bench is one server under measurement.
type bench struct {
	binary  string
	store   string // of the three nodes
	runs    int
	seconds time.Duration
	pairs   int
	changes int
	watch   time.Duration
	size    int
	parts   []part
	cores   cores
	log     io.Writer

	data      string
	server    *serverProcess
	people    []*person
	strangers []*key
	ke1       []byte // a stranger's first message
	rows      []row
}

// row is a line of the table.
type row struct {
	What     string  `json:"what"`
	Wanted   string  `json:"wanted"`
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit"`
	Good     bool    `json:"good"`
	Note     string  `json:"note,omitempty"`
}

func run(args []string, stdout, stderr io.Writer) error {
	b := &bench{log: stderr}
	var accounts int
	var asJSON bool
	var only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&b.binary, "readmit", "bin/readmit", "the `binary` to measure")
	f.StringVar(&b.store, "store", "", "the empty `database` (postgres://…) of the three nodes; without it one is made")
	f.IntVar(&accounts, "accounts", 1000, "`how many` accounts there are")
	f.IntVar(&b.runs, "runs", 3, "`how many` runs; the one in the middle counts")
	f.DurationVar(&b.seconds, "time", 4*time.Second, "`how long` each run is")
	f.IntVar(&b.changes, "changes", changesWanted, "`how many` changes there are in a second, for the parts spread and nodes")
	f.DurationVar(&b.watch, "watch", 30*time.Second, "`how long` changes are watched, for the parts spread and nodes")
	f.IntVar(&b.pairs, "pairs", 5000, "`how many` pairs of sign-ins are timed")
	f.IntVar(&b.size, "size", 1_000_000, "`how many` accounts a large store has")
	f.StringVar(&only, "only", "", "only the parts with these `names`, with commas: "+strings.Join(names(), ","))
	f.BoolVar(&asJSON, "json", false, "print JSON instead of a table")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return misuse{err}
	}
	if accounts < atOnce || b.runs < 1 || b.pairs < 1 || b.changes < 1 || b.size < probed || b.seconds < time.Second || b.watch < time.Second {
		return misuse{fmt.Errorf("want at least %d accounts, one run of a second, one change in a second watched for a second, one pair and %d accounts in a large store", atOnce, probed)}
	}
	var err error
	if b.parts, err = wanted(only); err != nil {
		return err
	}
	if b.cores, err = pin(); err != nil {
		return err
	}
	// The generator's garbage is collected seldom: it shares the machine's memory
	// bus with the server.
	debug.SetGCPercent(400)
	if err := b.all(accounts); err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"machine": b.cores.String(), "accounts": accounts, "rows": b.rows})
	}
	return b.print(stdout)
}

func (b *bench) all(accounts int) (err error) {
	if b.data, err = os.MkdirTemp("", "readmit-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.data)
	if b.server, _, err = launch(b.binary, filepath.Join(b.data, "d"), b.cores); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.stop()) }()
	time.Sleep(time.Second) // idle
	idle, err := b.server.memory("VmRSS")
	if err != nil {
		return err
	}
	if err := b.populate(accounts); err != nil {
		return err
	}
	for _, p := range b.parts {
		fmt.Fprintf(b.log, "bench: %s\n", p.name)
		if err := p.do(b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.name == "sign-in" {
			if err := b.memories(idle); err != nil {
				return err
			}
		}
	}
	return nil
}

// populate makes the accounts and what strangers need.
func (b *bench) populate(accounts int) error {
	fmt.Fprintf(b.log, "bench: %s; making %d accounts\n", b.cores, accounts)
	var err error
	if b.people, err = signUps(b.server.address, accounts); err != nil {
		return err
	}
	for range 1024 {
		k, err := newKey()
		if err != nil {
			return err
		}
		b.strangers = append(b.strangers, k)
	}
	_, b.ke1, err = opaque.StartLogin([]byte("not the password"))
	return err
}

// mine is the n-th of the people one client works for: no two clients share
// one, so that no device is in two places.
func (b *bench) mine(who, n int) *person {
	share := len(b.people) / atOnce
	return b.people[who*share+n%share]
}

func (b *bench) signIns(c *conn, who, n int) error { return b.mine(who, n).signIn(c) }

func (b *bench) stranger(who, n int) *key { return b.strangers[(n*atOnce+who)%len(b.strangers)] }

// part is a part of the measurement.
type part struct {
	name string
	do   func(*bench) error
}

var parts = []part{
	{"sign-in", (*bench).partSignIn},
	{"refresh", (*bench).partRefresh},
	{"whoami", (*bench).partWhoAmI},
	{"timing", (*bench).partTiming},
	{"failed", (*bench).partFailed},
	{"attack", (*bench).partAttack},
	{"agent", (*bench).partAgent},
	{"ended", (*bench).partEnded},
	{"page", (*bench).partPage},
	{"start", (*bench).partStart},
	{"spread", (*bench).partSpread},
	{"nodes", (*bench).partNodes},
	{"scale", (*bench).partScale},
	{"verify", (*bench).partVerify},
	{"size", (*bench).partSize},
}

func names() []string {
	all := make([]string, len(parts))
	for i, p := range parts {
		all[i] = p.name
	}
	return all
}

// wanted are the parts to measure: those named, or all.
func wanted(only string) ([]part, error) {
	if only == "" {
		return parts, nil
	}
	var some []part
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, misuse{fmt.Errorf("there is no part %q: the parts are %s", name, strings.Join(names(), ", "))}
		}
		some = append(some, parts[i])
	}
	return some, nil
}

func (b *bench) add(what string, atLeast float64, r rate) {
	b.rows = append(b.rows, row{
		What: what, Wanted: fmt.Sprintf("%.0f/s or more", atLeast), Measured: r.perSecond, Unit: "/s", Good: r.perSecond >= atLeast,
		Note: fmt.Sprintf("server %.2f ms each, busy %.0f%%; load busy %.0f%%", ms(r.serverCPU), 100*r.server, 100*r.load),
	})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (b *bench) below(what string, limit, got float64, unit, note string) {
	b.rows = append(b.rows, row{What: what, Wanted: fmt.Sprintf("below %v %s", limit, unit), Measured: got, Unit: unit, Good: got < limit, Note: note})
}

func (b *bench) partSignIn() error {
	r, err := b.measure(b.signIns)
	if err != nil {
		return err
	}
	b.add("password sign-ins, 16 at once", 1500, r)
	b.below("server CPU of one", 0.7, ms(r.serverCPU), "ms", "")
	return nil
}

func (b *bench) memories(idle float64) error {
	most, err := b.server.memory("VmHWM")
	if err != nil {
		return err
	}
	const mb = 1e6
	b.below("resident memory, idle", 40, idle/mb, "MB", "a second after the start on empty data")
	b.below("resident memory, 16 at once", 80, most/mb, "MB", "the most since the start")
	return nil
}

func (b *bench) partRefresh() error {
	r, err := b.measure(func(c *conn, who, n int) error { return b.mine(who, n).refresh(c) })
	if err == nil {
		b.add("refreshes", 4000, r)
	}
	return err
}

func (b *bench) partWhoAmI() error {
	r, err := b.measure(func(c *conn, who, n int) error { return b.mine(who, n).whoAmI(c) })
	if err == nil {
		b.add("session checks (who am I)", 16000, r)
	}
	return err
}

func (b *bench) partFailed() error {
	r, err := b.measure(func(c *conn, who, n int) error { return fail(c, b.stranger(who, n), b.mine(who, n).id, b.ke1) })
	if err != nil {
		return err
	}
	b.add("failed sign-ins, known accounts", 1500, r)
	r, err = b.measure(func(c *conn, who, n int) error {
		return fail(c, b.stranger(who, n), fmt.Sprintf("nobody-%02d-%06d@example.org", who, n), b.ke1)
	})
	if err == nil {
		b.add("failed sign-ins, unknown accounts", 1500, r)
	}
	return err
}

func (b *bench) partTiming() error {
	for _, p := range []struct {
		what string
		do   func(string) (timing, error)
	}{{"quiet", b.timings}, {"under load", b.underLoad}} {
		t, err := p.do(strings.ReplaceAll(p.what, " ", "-"))
		if err != nil {
			return err
		}
		b.rows = append(b.rows, row{
			What: "one timing tells known from unknown, " + p.what, Wanted: "0.50 ± 0.03", Measured: t.worst(), Good: off(t.worst()) <= 0.03,
			Note: fmt.Sprintf("start %.3f, finish %.3f, both %.3f; %d pairs", t.start, t.finish, t.sum, b.pairs),
		})
	}
	return nil
}

// partStart stops the server and starts it again on the data of all accounts.
func (b *bench) partStart() error {
	const starts = 10
	all := make([]float64, 0, starts)
	for range starts {
		if err := b.server.stop(); err != nil {
			return err
		}
		s, took, err := launch(b.binary, filepath.Join(b.data, "d"), b.cores)
		if err != nil {
			return err
		}
		b.server = s
		all = append(all, ms(took))
	}
	slices.Sort(all)
	b.below("start to first healthy answer", 50, (all[starts/2-1]+all[starts/2])/2, "ms",
		fmt.Sprintf("%d starts, the slowest %.0f ms", starts, all[starts-1]))
	return nil
}

func (b *bench) print(w io.Writer) error {
	fmt.Fprintf(w, "%s; %d accounts, durable commits, loopback HTTP; the middle of %d runs of %s\n\n", b.cores, len(b.people), b.runs, b.seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\twanted\tmeasured\t\t")
	for _, r := range b.rows {
		verdict := ""
		if !r.Good {
			verdict = "MISSED"
		}
		format := "%.0f %s"
		if r.Measured < 10 {
			format = "%.2f %s"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.What, r.Wanted, strings.TrimSpace(strings.ReplaceAll(fmt.Sprintf(format, r.Measured, r.Unit), " /s", "/s")), verdict, r.Note)
	}
	return t.Flush()
}
