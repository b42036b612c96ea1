package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/keystore"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = "0.1.0-dev"

// stretch is "least" in the programs that tests build: there nobody guesses at
// what is kept, and stretching would be half of the work.
var stretch string

// Exit codes.
const (
	fine       = 0
	failed     = 1 // a problem or a refusal
	misused    = 2
	unchecked  = 3 // could not check: unreachable, or a fault of the service
	needPerson = 4
)

// env is what a command has of the world.
type env struct {
	ctx    context.Context // of the command; it ends with Ctrl-C
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	json   bool

	command string // the one that was asked for, for its help; empty while none has ended
	stays   bool   // this process is to be the agent: it starts no other, and waits for none
	ran     bool   // whether the command line was understood and a command began
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	out := &output{to: stdout}
	e := &env{stdin: stdin, stdout: out, stderr: stderr, getenv: getenv}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	e.ctx = ctx
	root := newRootCommand(e, args)
	root.SetArgs(codesLast(args))
	asked, err := root.ExecuteContextC(ctx)
	e.command = asked.CommandPath()
	switch lost := out.lost(); {
	case lost != nil && (err == nil || errors.Is(err, lost)):
		err = exitError{failed, "what was asked for is done, and what it said could not be written: " + lost.Error(), "see that there is room where its output goes"}
	case err != nil && !e.ran:
		// What was not understood has set no flags either.
		e.json = e.json || slices.Contains(args, "--json")
		err = usageError{err}
	}
	return e.fail(err)
}

// output is standard output, which remembers that it did not take something: a
// token that is not there must not look like one to a program.
type output struct {
	to  io.Writer
	mu  sync.Mutex
	err error // the first
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if err != nil {
		o.mu.Lock()
		if o.err == nil {
			o.err = err
		}
		o.mu.Unlock()
	}
	return n, err
}

func (o *output) lost() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// newRootCommand makes the commands that a command line may need: the one it
// begins with, or all of them. A program that asks for a token waits for
// everything that is made before.
func newRootCommand(e *env, args []string) *cobra.Command {
	commands := []struct {
		name string
		make func(*env) *cobra.Command
	}{
		{"serve", newServeCommand}, {"admin", newAdminCommand},
		{"sign-up", newSignUpCommand}, {"sign-in", newSignInCommand}, {"sign-out", newSignOutCommand}, {"data", newDataCommand}, {"reset", newResetCommand}, {"password", newPasswordCommand},
		{"recover", newRecoverCommand}, {"recoveries", newRecoveriesCommand}, {"recovery-codes", newRecoveryCodesCommand}, {"addresses", newAddressesCommand},
		{"requests", newRequestsCommand}, {"allow", newAllowCommand}, {"deny", newDenyCommand}, {"code", newCodeCommand}, {"pass", newPassCommand},
		{"status", newStatusCommand}, {"devices", newDevicesCommand}, {"activity", newActivityCommand}, {"receipts", newReceiptsCommand}, {"token", newTokenCommand}, {"agent", newAgentCommand}, {"credential", newCredentialCommand},
		{"explain", newExplainCommand}, {"doctor", newDoctorCommand}, {"undo", newUndoCommand}, {"guide", newGuideCommand},
	}
	whole := true
	for i, c := range commands {
		if len(args) > 0 && args[0] == c.name {
			commands, whole = commands[i:i+1], false
			break
		}
	}
	root := &cobra.Command{
		Use:   "readmit",
		Short: "Find out why a device cannot sign in, and get it back in",
		Long: `Readmit is a sign-in that explains itself. A device that is refused is told
"4001" and nothing else; a device that is signed in to the account is told why.

This program is the account server (serve, admin) and the device (all else).
A device keeps its state in the folder READMIT_HOME.`,
		Example: `  readmit serve
  readmit sign-up --server http://127.0.0.1:4001 --account jane@example.org
  readmit explain 4K7Q-9FXM`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { e.ran = true },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: !whole},
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetVersionTemplate("readmit {{.Version}}\n")
	root.PersistentFlags().BoolVar(&e.json, "json", false, "print data, and errors, as JSON")
	for _, c := range commands {
		root.AddCommand(c.make(e))
	}
	if whole {
		root.InitDefaultCompletionCmd()
		exemplify(root)
	}
	for _, c := range append(root.Commands(), root) {
		if !c.Runnable() {
			group(c)
		}
	}
	return root
}

// exemplify gives examples to the commands for completion, which come without.
func exemplify(root *cobra.Command) {
	into := map[string]string{
		"bash":       "> ~/.local/share/bash-completion/completions/readmit",
		"zsh":        "> ~/.zfunc/_readmit",
		"fish":       "> ~/.config/fish/completions/readmit.fish",
		"powershell": ">> $PROFILE",
	}
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Example = "  readmit completion bash " + into["bash"]
		for _, shell := range c.Commands() {
			if file := into[shell.Name()]; file != "" {
				shell.Example = "  " + shell.CommandPath() + " " + file
			}
		}
	}
}

// group completes a command that only holds others: alone it shows its help,
// and what is none of them is an error, which cobra sees at the root only.
func group(c *cobra.Command) {
	c.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())}
		}
		return c.Help()
	}
}

// clock is the device's clock, or the server's. READMIT_CLOCK_SHIFT moves it,
// for whoever wants to see what a wrong clock does.
func clock(e *env) (func() time.Time, error) {
	shift := e.getenv("READMIT_CLOCK_SHIFT")
	if shift == "" {
		return time.Now, nil
	}
	d, err := time.ParseDuration(shift)
	if err != nil {
		return nil, fmt.Errorf("READMIT_CLOCK_SHIFT %q: want a duration such as 10m or -90s", shift)
	}
	return func() time.Time { return time.Now().Add(d) }, nil
}

// agent opens this device's home.
func (e *env) agent() (*agent.Agent, error) {
	now, err := clock(e)
	if err != nil {
		return nil, usageError{err}
	}
	home, err := agent.OpenHome(e.getenv)
	if err != nil {
		return nil, err
	}
	keys, err := keystore.System(e.getenv)
	if err != nil {
		return nil, usageError{err}
	}
	note := func(text string) { e.note("note: %s", text) }
	a := &agent.Agent{Home: home.With(keystore.Remembered(keys)), Now: now, Version: version, Note: note}
	return a, e.whole(a)
}

// takes makes an argument check whose error names what is wanted.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(names) == 0 {
			return fmt.Errorf("%s takes no arguments", cmd.CommandPath())
		}
		return fmt.Errorf("%s takes %s", cmd.CommandPath(), strings.Join(names, " and "))
	}
}

// terminal reports whether a stream is one.
func terminal(stream any) bool {
	if o, ok := stream.(*output); ok {
		stream = o.to
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
