package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor/icloud/texts"
)

type clockFunc = func() time.Time

func newExplainCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "explain INCIDENT|REFERENCE|CODE|-",
		Short: "Say why a sign-in failed, as far as this device may know",
		Long: `Say why a sign-in failed, as far as this device may know: on a device that is
signed in to the account, all of it; on one that is enrolled, what concerns its
own failures; elsewhere, what anyone may know. The account's owner sees in
"readmit activity" that somebody looked.

The reference is the short one of the refusal, such as 4K7Q-9FXM; - reads a
reference or a whole sealed incident from standard input.

With -, it also reads the answer of a service that checks Readmit's tokens, or
of the account server, as it came (application/problem+json): where a service has
not heard of a change, the account server is asked which one, and since when.

What is no incident of Readmit's is taken for an error of iCloud: a code such as
-20101, or, with -, any text or log as it was shown. Nothing of it leaves this
machine. A text that is not understood is said to be so.`,
		Example: "  readmit explain 4K7Q-9FXM\n  readmit explain --json 4K7Q-9FXM\n  readmit explain -20101\n  readmit explain - < icloudpd.log",
		Args:    takes("a reference such as 4K7Q-9FXM, a code such as -20101, or - for what is on standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			incident := args[0]
			if incident == "-" {
				b, err := typed(cmd.Context(), func() ([]byte, error) { return io.ReadAll(io.LimitReader(e.stdin, maxText)) })
				if err != nil {
					return err
				}
				incident = strings.TrimSpace(string(b))
			}
			if incident == "" {
				return usageError{errors.New("there is nothing to explain: give a reference such as 4K7Q-9FXM, or the text of an error")}
			}
			if p, ok := problemIn(incident); ok {
				if incident = cmp.Or(p.Incident, p.Reference); incident == "" {
					return e.explainProblem(cmd.Context(), p)
				}
			}
			if m := refusalForm().FindStringSubmatch(incident); m != nil {
				incident = m[1] // a whole refusal of ours
			}
			if found, ok := texts.Code(incident); ok {
				return e.explained(found)
			}
			// One word typed as an argument is a reference, mistyped perhaps.
			if (args[0] == "-" || strings.ContainsAny(incident, " \n")) && texts.LooksLikeText(incident) {
				return e.explained(texts.Explain(incident))
			}
			a, err := e.agent()
			if err != nil {
				return err
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

// maxText is how much of a pasted text is read: a log of some months.
const maxText = 64 << 20

// refusalForm finds the reference in what readmit itself prints of a refusal.
var refusalForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^\s*incident: ([0-9A-Z]{4}-[0-9A-Z]{4})\s*$`) })

// explained prints what an error text of iCloud means.
func (e *env) explained(x texts.Explanation) error {
	return e.report(cause.Report{Schema: 1, Audience: cause.Owner.String(), Findings: x.Findings}, nil)
}

// codesLast moves what is a negative number behind all flags, so that
// "explain -20101" is not taken for a flag.
func codesLast(args []string) []string {
	if len(args) == 0 || args[0] != "explain" || slices.Contains(args, "--") {
		return args
	}
	var rest, codes []string
	for _, a := range args {
		if n, err := strconv.Atoi(a); err == nil && n < 0 {
			codes = append(codes, a)
		} else {
			rest = append(rest, a)
		}
	}
	if codes == nil {
		return args
	}
	return slices.Concat(rest, []string{"--"}, codes)
}

// report prints findings, their remedies' commands completed.
func (e *env) report(r cause.Report, words map[string]string) error {
	complete(r.Findings, words)
	return e.data(r, func(w io.Writer) {
		for i, f := range r.Findings {
			if i > 0 {
				fmt.Fprintln(w)
			}
			e.finding(w, f)
		}
	})
}

// complete fills in the commands of findings. The table's own stay as they are.
func complete(findings []cause.Finding, words map[string]string) {
	for i := range findings {
		f := &findings[i]
		f.Remedies = slices.Clone(f.Remedies)
		for j := range f.Remedies {
			f.Remedies[j].Argv = fill(f.Remedies[j].Argv, naming(words, *f))
		}
	}
}

// naming adds the device that the evidence of a finding names.
func naming(words map[string]string, f cause.Finding) map[string]string {
	for _, fact := range f.Evidence {
		if fact.Check() == cause.CheckOwnDeviceName {
			words = maps.Clone(words)
			if words == nil {
				words = map[string]string{}
			}
			words["device"] = fact.Got()
		}
	}
	return words
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

// readable writes a length of time of two days or more in days; what else a
// fact says stays as it is.
func readable(value string) string {
	d, err := time.ParseDuration(value)
	if err != nil || d.Abs() < 48*time.Hour {
		return value
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func (e *env) finding(w io.Writer, f cause.Finding) {
	fmt.Fprintf(w, "%s (%s)\n", e.bold(clean(f.Title)), clean(string(f.Cause)))
	rows := [][]string{}
	for _, fact := range f.Evidence {
		want := ""
		if fact.Want() != "" && fact.Want() != fact.Got() {
			want = "expected " + readable(fact.Want())
		}
		rows = append(rows, []string{"  " + string(fact.Check()), readable(fact.Got()), want, "seen by the " + string(fact.Seen())})
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
