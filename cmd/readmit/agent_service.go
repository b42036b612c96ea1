package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/resident"
)

// lean keeps the resident agent small: it does little, and has time. What its
// start has used is given back once it has started.
func lean() {
	debug.SetGCPercent(20)
	time.AfterFunc(10*time.Second, func() {
		debug.FreeOSMemory()
		giveBack()
	})
}

// starter is this system's way to have the agent started with every session.
type starter interface {
	install() (less string, err error) // less is what a person should know is missing
	uninstall() error
	installed() bool
	start() error
}

// service is the starter for a home.
func (e *env) service(a *agent.Agent) (starter, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return nil, err
	}
	home, err := placeOf(a.Home)
	if err != nil {
		return nil, err
	}
	for _, p := range []string{program, home} {
		if strings.ContainsAny(p, "\"'\\%$`\n") && !isWindows {
			return nil, fmt.Errorf("the path %q has characters that a service's description cannot hold", p)
		}
	}
	return newStarter(serviceName(e.getenv, home), program, []string{"agent", "--service", "--home", home}, a.Home)
}

// placeOf is where a home is for an agent, which stays: a link to it can be made
// to lead elsewhere meanwhile. On Windows a link is a name of its own, by which
// what was installed is known.
func placeOf(h agent.Home) (string, error) {
	home, err := filepath.Abs(h.Dir())
	if err != nil || isWindows {
		return home, err
	}
	if info, err := os.Lstat(home); err != nil || info.Mode()&os.ModeSymlink == 0 {
		return home, err
	}
	return filepath.EvalSymlinks(home)
}

// serviceName is one for each home, so that several accounts have their own.
func serviceName(getenv func(string) string, home string) string {
	if getenv("READMIT_HOME") == "" {
		return "readmit-agent"
	}
	sum := sha256.Sum256([]byte(home))
	return "readmit-agent-" + hex.EncodeToString(sum[:4])
}

// spawn starts the agent as a process of its own that outlives this one.
func spawn(h agent.Home) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	home, err := placeOf(h)
	if err != nil {
		return err
	}
	log, err := agentLog(h)
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(program, "agent", "--service", "--home", home)
	c.Stderr, c.Dir = log, home
	c.SysProcAttr = apart()
	if err := c.Start(); err != nil {
		return err
	}
	return c.Process.Release()
}

// agentLog is where an agent without a terminal says what it does.
func agentLog(h agent.Home) (*os.File, error) {
	dir := filepath.Join(h.Dir(), "agent")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func newAgentInstallCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "install",
		Short: "Have the agent started with each of this user's sessions",
		Long: `Make the agent a service of this user, and start it: a launchd agent on a Mac, a
systemd user unit on Linux, a task at sign-in on Windows. Nothing needs an
administrator. A device with a READMIT_HOME of its own gets a service of its own.`,
		Example: "  readmit agent install",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			s, err := e.service(a)
			if err != nil {
				return exitError{failed, err.Error(), "readmit agent start runs it in the background without a service"}
			}
			if err := canStart(a); err != nil {
				return err
			}
			if !s.installed() {
				less, err := s.install()
				if err != nil {
					return exitError{failed, "the service was not installed: " + err.Error(), "readmit agent start runs it in the background without a service"}
				}
				if less != "" {
					e.note("note: %s", less)
				}
			}
			if _, err := resident.Stop(cmd.Context(), a.Home); err != nil { // one that is not the service's
				return err
			}
			return e.startAgent(cmd.Context(), a)
		},
	}
}

func newAgentUninstallCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "uninstall",
		Short:   "Stop the agent, and have it started no more",
		Long:    "Stop the agent, and take back what \"readmit agent install\" did. The enrolment and the session stay.",
		Example: "  readmit agent uninstall",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			s, err := e.service(a)
			if err != nil {
				return err
			}
			if _, err := resident.Stop(cmd.Context(), a.Home); err != nil {
				return err
			}
			was := s.installed()
			if was {
				if err := s.uninstall(); err != nil {
					return exitError{failed, "the service was not taken away: " + err.Error(), "see the system's own tools for services"}
				}
			}
			return e.data(map[string]bool{"was_installed": was}, func(w io.Writer) {
				if was {
					fmt.Fprintln(w, "the agent is not started any more")
				} else {
					fmt.Fprintln(w, "the agent was not installed")
				}
			})
		},
	}
}
