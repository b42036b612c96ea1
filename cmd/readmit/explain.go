package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
)

type clockFunc = func() time.Time

func newExplainCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "explain INCIDENT|REFERENCE|-",
		Short: "Say why a sign-in failed, as far as this device may know",
		Long: `Say why a sign-in failed, as far as this device may know: on a device that is
signed in to the account, all of it; on one that is enrolled, what concerns its
own failures; elsewhere, what anyone may know. The account's owner sees in
"readmit activity" that somebody looked.

The reference is the short one of the refusal, such as 4K7Q-9FXM; - reads a
reference or a whole sealed incident from standard input.`,
		Example: "  readmit explain 4K7Q-9FXM\n  readmit explain --json 4K7Q-9FXM",
		Args:    takes("a reference such as 4K7Q-9FXM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			incident := args[0]
			if incident == "-" {
				b, err := typed(cmd.Context(), func() ([]byte, error) { return io.ReadAll(io.LimitReader(e.stdin, 64<<10)) })
				if err != nil {
					return err
				}
				incident = strings.TrimSpace(string(b))
			}
			if incident == "" {
				return usageError{errors.New("there is no incident to explain: give a reference such as 4K7Q-9FXM")}
			}
			found, err := a.Explain(cmd.Context(), incident)
			if errors.Is(err, agent.ErrNoServer) {
				return exitError{needPerson, err.Error(), "run it where the sign-in failed, or on a device that is signed in to the account"}
			}
			if err != nil {
				return err
			}
			return e.report(found.Report, map[string]string{"server": found.Server, "account": found.Account, "reference": found.Incident})
		},
	}
}

// report prints findings, their remedies' commands completed.
func (e *env) report(r cause.Report, words map[string]string) error {
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Remedies = append([]cause.Remedy(nil), f.Remedies...)
		for j := range f.Remedies {
			f.Remedies[j].Argv = fill(f.Remedies[j].Argv, words)
		}
	}
	return e.data(r, func(w io.Writer) {
		for i, f := range r.Findings {
			if i > 0 {
				fmt.Fprintln(w)
			}
			e.finding(w, f)
		}
	})
}

// fill completes a command; a word of which nothing is known keeps its name.
func fill(argv []string, words map[string]string) []string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = a
		if name, ok := strings.CutPrefix(a, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			if out[i] = words[name]; out[i] == "" {
				out[i] = strings.ToUpper(name)
			}
		}
	}
	return out
}

func (e *env) finding(w io.Writer, f cause.Finding) {
	fmt.Fprintf(w, "%s (%s)\n", e.bold(clean(f.Title)), clean(string(f.Cause)))
	rows := [][]string{}
	for _, fact := range f.Evidence {
		want := ""
		if fact.Want() != "" && fact.Want() != fact.Got() {
			want = "expected " + fact.Want()
		}
		rows = append(rows, []string{"  " + string(fact.Check()), fact.Got(), want, "seen by the " + string(fact.Seen())})
	}
	table(w, rows...)
	for i, r := range f.Remedies {
		who := ""
		if r.By == cause.AnOperator || r.By == cause.ADesk {
			who = " (" + string(r.By) + ")"
		}
		fmt.Fprintf(w, "  %d. %s%s\n", i+1, clean(r.Do), who)
		if len(r.Argv) > 0 {
			fmt.Fprintf(w, "     run: %s\n", command(r.Argv))
		}
	}
}
