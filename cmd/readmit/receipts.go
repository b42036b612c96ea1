package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store"
)

// newReceiptsCommand shows an owner which service has which change.
func newReceiptsCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "receipts [EPOCH]",
		Short: "Show which services have heard of the account's changes",
		Long: `Show the account's changes, newest first, and for each service whether it has the
news: delivered, or applied, where the service says that it acts on it; or since
when it waits, and why. Services that hear of no change now, because they are
parked or have paused or disabled their stream, are named first. EPOCH, the number
of a change, shows that one alone.`,
		Example: "  readmit receipts\n  readmit receipts 7 --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			n, err := strconv.ParseInt(args[0], 10, 64)
			if len(args) > 1 || err != nil || n < 1 {
				return fmt.Errorf("%s takes the number of one change (see: readmit receipts)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var epoch int64
			if len(args) == 1 {
				epoch, _ = strconv.ParseInt(args[0], 10, 64)
			}
			if err := a.Settle(cmd.Context()); err != nil {
				return err
			}
			out, err := a.Receipts(cmd.Context(), epoch)
			if err != nil {
				return err
			}
			if epoch > out.Epoch {
				return exitError{failed, fmt.Sprintf("there is no change %d of this account: its last is change %d", epoch, out.Epoch), "to see them: readmit receipts"}
			}
			return e.data(out, func(w io.Writer) {
				for _, s := range out.Silent {
					fmt.Fprintln(w, silence(s, a.Now()))
				}
				switch {
				case len(out.Receipts) == 0 && epoch > 0:
					fmt.Fprintf(w, "no registered service has to hear of change %d\n", epoch)
					return
				case len(out.Receipts) == 0 && len(out.Silent) == 0:
					fmt.Fprintln(w, "no registered service has to hear of a change")
					return
				case len(out.Receipts) == 0:
					return
				}
				if len(out.Silent) > 0 {
					fmt.Fprintln(w)
				}
				rows := [][]string{{"CHANGE", "WHAT", "WHEN", "SERVICE", "STATE"}}
				for _, r := range slices.Concat(out.Receipts, older(out)) {
					rows = append(rows, []string{strconv.FormatInt(r.Epoch, 10), r.Kind, when(r.Made/1e6, a.Now()), r.Service, arrival(r, out.Now)})
				}
				table(w, rows...)
				if out.More {
					e.note("older changes are not listed, other than the first that each service waits for")
				}
			})
		},
	}
}

// older are the changes waited for that are older than those listed, newest first.
func older(out api.Receipts) (rest []api.Receipt) {
	for _, r := range slices.Backward(out.Waiting) {
		if !slices.ContainsFunc(out.Receipts, func(l api.Receipt) bool { return l.Signal == r.Signal && l.Service == r.Service }) {
			rest = append(rest, r)
		}
	}
	return rest
}

// silence says what a service does not hear.
func silence(s api.Silent, now time.Time) string {
	if s.Parked {
		return s.Service + ": parked " + when(s.Since/1e6, now) + ", as it refused a change or took none for a day; changes wait until the operator resumes it"
	}
	text := s.Service + ": its stream is " + s.Status
	if s.Since > 0 {
		text = s.Service + ": its stream was " + s.Status + " " + when(s.Since/1e6, now)
	}
	if s.Status == store.StreamPaused {
		return text + "; changes wait until it is resumed"
	}
	return text + "; changes made meanwhile are not kept for it, and it does not hear of them"
}

// arrival says how far a change has come.
func arrival(r api.Receipt, now int64) string {
	after := func(at int64) string {
		return (time.Duration(max(0, at-r.Made)) * time.Microsecond).Round(time.Millisecond).String()
	}
	switch {
	case r.Applied > 0:
		return "applied after " + after(r.Applied)
	case r.Delivered > 0 && r.Why != "":
		return "passed over: " + r.Why
	case r.Delivered > 0:
		return "delivered after " + after(r.Delivered)
	case r.Why != "":
		return "waits for " + after(now) + ": " + r.Why
	}
	return "waits for " + after(now)
}
