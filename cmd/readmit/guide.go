package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor/icloud"
	"readmit.dev/readmit/doctor/icloud/guide"
)

// guideFile keeps the way of a person through the guide, in the device's home.
const guideFile = "guide-icloud.json"

func newGuideCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:     "guide",
		Short:   "Go through the procedure of signing in again, step by step",
		Long:    "Go through the procedure of signing in again, step by step. There is one for iCloud.",
		Example: "  readmit guide icloud",
	}
	c.AddCommand(newGuideICloudCommand(e))
	return c
}

func newGuideICloudCommand(e *env) *cobra.Command {
	var on string
	var anew bool
	var answers []string
	c := &cobra.Command{
		Use:   "icloud",
		Short: "Find out why iCloud does not let you in, by a few questions",
		Long: `Find out why iCloud does not let you in, by a few questions: what tells most for
the least trouble is asked first, and what the doctor can see on this machine is
not asked at all. Each step says what it tests, and each answer what it rules out.

Type the number of an answer; b goes back, q leaves. What was answered is kept,
and the next call goes on from there; --new begins again.

Exit codes: 0 it has come to an end, 4 a question is open.`,
		Example: "  readmit guide icloud\n  readmit guide icloud --on iphone\n  readmit guide icloud --json --answer web=accepted",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if on != "" && !slices.Contains([]string{"iphone", "mac", "windows"}, on) {
				return usageError{fmt.Errorf("--on %q: there is iphone, mac and windows", on)}
			}
			a, err := e.agent()
			if err != nil {
				return err
			}
			unlock, err := a.Home.Lock(cmd.Context())
			if err != nil {
				return err
			}
			defer unlock()
			g, err := e.openGuide(cmd.Context(), a, on, anew)
			if err != nil {
				return err
			}
			w := &walk{e: e, g: g, home: a.Home}
			for _, s := range answers {
				step, answer, _ := strings.Cut(s, "=")
				if err := g.Answer(step, answer); err != nil {
					return usageError{fmt.Errorf("--answer %s: %w", s, err)}
				}
			}
			if err := w.save(); err != nil {
				return err
			}
			if e.json || len(answers) > 0 {
				return w.tell()
			}
			return w.ask(cmd.Context())
		},
	}
	c.Flags().StringVar(&on, "on", "", "the system that cannot sign in: iphone, mac or windows (default: this one)")
	c.Flags().BoolVar(&anew, "new", false, "begin again")
	c.Flags().StringArrayVar(&answers, "answer", nil, "answer a step, as `STEP=ANSWER`, and show the next one")
	return c
}

// openGuide takes a guide up where it was left, or begins one with what the
// doctor finds on this machine.
func (e *env) openGuide(ctx context.Context, a *agent.Agent, on string, anew bool) (*guide.Guide, error) {
	path := a.Home.Path(guideFile)
	b, err := os.ReadFile(path)
	switch {
	case err == nil && !anew:
		g, err := guide.Load(b)
		if err != nil {
			return nil, exitError{failed, path + ": " + err.Error(), "to begin again, run: readmit guide icloud --new (the file is kept beside, as " + guideFile + ".old)"}
		}
		if on == "" || on == g.On() {
			if !e.json {
				e.note("going on where it was left; to begin again: readmit guide icloud --new")
			}
			return g, nil
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err == nil { // what was answered before is not lost
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, err
		}
	}
	var known []cause.Finding
	if on == "" {
		on = map[string]string{"darwin": "mac", "windows": "windows"}[runtime.GOOS]
		m := icloud.Here(e.getenv, a.Now, 0)
		subjects, err := m.Find(ctx, "", "")
		if err != nil {
			return nil, err
		}
		if len(subjects) > 0 {
			ex, err := icloud.Examine(ctx, m.Environment(false), subjects, quiet{})
			if err != nil {
				return nil, err
			}
			known = ex.Report.Findings
		}
	}
	return guide.Start(on, known), nil
}

// walk is one person's way through a guide.
type walk struct {
	e    *env
	g    *guide.Guide
	home agent.Home
}

// save keeps what was answered, whole or not at all.
func (w *walk) save() error {
	b, err := w.g.Save()
	if err != nil {
		return err
	}
	return w.home.WriteWhole(guideFile, b)
}

// tell prints the open question, or the conclusion, and ends.
func (w *walk) tell() error {
	if step, ok := w.g.Next(); ok {
		err := w.e.data(struct {
			Schema int        `json:"schema"`
			Step   guide.Step `json:"step"`
		}{1, step}, func(out io.Writer) { w.show(out, step) })
		return errors.Join(err, exitError{code: needPerson})
	}
	return w.conclude()
}

func (w *walk) ask(ctx context.Context) error {
	in := w.e.secrets(ctx)
	for {
		step, ok := w.g.Next()
		if !ok {
			return w.conclude()
		}
		w.show(w.e.stdout, step)
		for {
			text, err := in.ask("answer (1-" + strconv.Itoa(len(step.Answers)) + ", b back, q leave)")
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == io.EOF || text == "q" {
				return exitError{needPerson, "left; what was answered is kept", "to go on, run: readmit guide icloud"}
			}
			if err != nil {
				return err
			}
			if text == "b" {
				if !w.g.Back() {
					w.e.note("this is the first question")
					continue
				}
				break
			}
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > len(step.Answers) {
				w.e.note("type a number from 1 to %d, b or q", len(step.Answers))
				continue
			}
			answer := step.Answers[n-1]
			if err := w.g.Answer(step.ID, answer.ID); err != nil {
				return err
			}
			w.follows(answer)
			break
		}
		if err := w.save(); err != nil {
			return err
		}
	}
}

// show prints a question: what it tests, where to go, and the answers.
func (w *walk) show(out io.Writer, s guide.Step) {
	fmt.Fprintf(out, "\n%s\n", w.e.bold(clean(s.Question)))
	fmt.Fprintf(out, "  tests: %s\n", clean(s.Tests))
	for _, h := range s.How {
		fmt.Fprintf(out, "  where: %s\n", clean(h))
	}
	if len(s.Argv) > 0 {
		fmt.Fprintf(out, "  run: %s\n", command(s.Argv))
	}
	for i, a := range s.Answers {
		fmt.Fprintf(out, "  %d. %s\n", i+1, clean(a.Text))
	}
}

// follows says what an answer shows and rules out.
func (w *walk) follows(a guide.Answer) {
	if len(a.Shows) > 0 {
		w.e.note("so it is: %s", list(a.Shows, " or "))
	} else if len(a.RulesOut) > 0 {
		w.e.note("ruled out: %s", list(a.RulesOut, ", "))
	}
}

func list(codes []cause.Code, between string) string {
	var all []string
	for _, c := range codes {
		all = append(all, string(c))
	}
	return strings.Join(all, between)
}

func (w *walk) conclude() error {
	c := w.g.Conclusion()
	out := struct {
		cause.Report
		Ambiguous bool             `json:"ambiguous"`
		RuledOut  []guide.Excluded `json:"ruled_out"`
		Asked     int              `json:"asked"`
	}{cause.Report{Schema: 1, Audience: cause.Owner.String(), Findings: c.Findings}, c.Ambiguous, c.RuledOut, c.Asked}
	for i := range out.Findings {
		f := &out.Findings[i]
		for j := range f.Remedies {
			f.Remedies[j].Argv = fill(f.Remedies[j].Argv, nil)
		}
	}
	return w.e.data(out, func(to io.Writer) {
		fmt.Fprintln(to)
		if c.Ambiguous {
			fmt.Fprintf(to, "Nothing more tells these apart, the likeliest first:\n\n")
		}
		for i, f := range out.Findings {
			if i > 0 {
				fmt.Fprintln(to)
			}
			w.e.finding(to, f)
		}
		if len(c.RuledOut) > 0 {
			var codes []cause.Code
			for _, x := range c.RuledOut {
				codes = append(codes, x.Cause)
			}
			fmt.Fprintf(to, "\nruled out: %s\n", list(codes, ", "))
		}
	})
}
