package mac

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"readmit.dev/readmit/doctor"
)

// Daemon is a process of the system that signing in, or what follows it, needs.
type Daemon struct {
	Name  string // of the process
	Label string // of launchd
	Does  string // for a person
	// Always: launchd keeps it alive, so that its absence says something. The
	// others come when they are asked for and may rest.
	Always bool
	// System: it belongs to root; only a restart of the Mac starts it afresh.
	System bool
	// Sign: it has a part in signing in. The one that has none keeps settings.
	Sign bool
}

// Daemons are all that matter, in the order in which they are started: what
// others ask comes first. They are stopped the other way round.
var Daemons = []Daemon{
	{Name: "cfprefsd", Label: "com.apple.cfprefsd.xpc.agent", Does: "keeps settings files in memory, and would write an old account list back"},
	{Name: "accountsd", Label: "com.apple.accountsd", Does: "keeps the list of accounts and whether each is signed in", Always: true, Sign: true},
	{Name: "akd", Label: "com.apple.akd", Does: "signs in: password, second factor, this Mac's introduction to Apple", Sign: true},
	{Name: "apsd", Label: "com.apple.apsd", Does: "receives pushes, among them requests for a code", Always: true, System: true, Sign: true},
	{Name: "identityservicesd", Label: "com.apple.identityservicesd", Does: "registers this Mac for messages between the account's devices", Always: true, Sign: true},
	{Name: "cloudd", Label: "com.apple.cloudd", Does: "carries the data of iCloud between programs and Apple", Sign: true},
	{Name: "bird", Label: "com.apple.bird", Does: "syncs the files of iCloud Drive", Sign: true},
}

func known(name string) bool {
	return slices.ContainsFunc(Daemons, func(d Daemon) bool { return d.Name == name })
}

// targets are launchd's names for it: an agent may be in either of a user's domains.
func (d Daemon) targets(uid int) []string {
	if d.System {
		return []string{"system/" + d.Label}
	}
	return []string{domain("gui", uid, d.Label), domain("user", uid, d.Label)}
}

// mine reports whether this user may stop and start it.
func (d Daemon) mine(uid int) bool { return !d.System || uid == 0 }

// parsePIDs reads what pgrep prints, a number on each line.
func parsePIDs(out []byte) (pids []int, ok bool) {
	for line := range bytes.Lines(out) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		n, err := strconv.Atoi(string(line))
		if err != nil || n <= 0 {
			return nil, false
		}
		pids = append(pids, n)
	}
	return pids, true
}

// running tells whether a process of that name runs; false for known where
// pgrep cannot say.
func running(ctx context.Context, m Machine, name string) (runs, known bool) {
	o, err := m.Run(ctx, pgrep, "-x", name)
	if err != nil || o.Exit > 1 {
		return false, false
	}
	pids, ok := parsePIDs(o.Stdout)
	return len(pids) > 0, ok
}

// services stops and starts daemons by killall and launchctl. launchd brings a
// daemon back as soon as somebody asks for it, and the system forbids to forbid
// that; so start always begins afresh, whatever has come back meanwhile.
type services struct{ m Machine }

// Services stops and starts the daemons of a Mac, by the names in Daemons.
func Services(m Machine) doctor.Services { return services{m} }

func (s services) Stop(name string) error {
	return s.kill(context.Background(), name)
}

func (s services) kill(ctx context.Context, name string) error {
	if !known(name) {
		return fmt.Errorf("%s: %w", name, ErrNotPermitted)
	}
	o, err := s.m.Run(ctx, killall, name)
	if err != nil {
		return err
	}
	if o.Exit == 0 || strings.Contains(string(o.Stderr), "No matching processes") {
		return nil
	}
	if runs, ok := running(ctx, s.m, name); ok && !runs {
		return nil
	}
	return fmt.Errorf("%s cannot be stopped: it belongs to another user; restart this Mac instead", name)
}

// Start starts a daemon afresh. Since macOS 14.4 launchctl refuses to do that
// for some of the system's own; they are ended then, and launchd starts them
// when they are next asked for.
func (s services) Start(name string) error {
	ctx := context.Background()
	i := slices.IndexFunc(Daemons, func(d Daemon) bool { return d.Name == name })
	if i < 0 {
		return fmt.Errorf("%s: %w", name, ErrNotPermitted)
	}
	for _, target := range Daemons[i].targets(s.m.UID()) {
		o, err := s.m.Run(ctx, launchctl, "kickstart", "-k", target)
		if err == nil && o.Exit == 0 {
			return nil
		}
	}
	return s.kill(ctx, name)
}

// stops and starts are the orders of a repair: those that hold what others ask
// are stopped last and started first.
func starts(uid int, which func(Daemon) bool) []string {
	var names []string
	for _, d := range Daemons {
		if d.mine(uid) && which(d) {
			names = append(names, d.Name)
		}
	}
	return names
}

func stops(uid int, which func(Daemon) bool) []string {
	names := starts(uid, which)
	slices.Reverse(names)
	return names
}
