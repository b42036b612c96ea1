package mac

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"readmit.dev/readmit/cause"
)

// logArgs ask for the last hour of what the daemon that signs in has logged.
var logArgs = []string{"show", "--predicate", `process == "akd"`, "--last", "1h", "--style", "compact"}

// code is a number that the daemon logs and that stands for one thing only.
type code struct {
	number int
	domain string // the error domain it belongs to; empty: one of the server's own
	says   string
	fact   *[2]string // good and found word of the check; nil: it is ambiguous
	check  cause.Check
}

// codes are those of the fact sheet, and below them one of a Mac's own
// software. Where a number stands for several causes nothing is noted.
var codes = []code{
	{number: -20101, says: "account or password not right, it does not say which"},
	{number: -20283, says: "account or password not right, it does not say which"},
	{number: -22406, says: "password not right", check: cause.CheckPassword, fact: &[2]string{"proved", "not-proved"}},
	{number: -20209, says: "account locked", check: cause.CheckAccountLock, fact: &[2]string{"open", "locked"}},
	{number: -21669, says: "code not right", check: cause.CheckCode, fact: &[2]string{"right", "wrong"}},
	{number: -22979, says: "too many codes sent", check: cause.CheckRate, fact: &[2]string{"normal", "limited"}},
	{number: -22981, says: "too many codes sent", check: cause.CheckRate, fact: &[2]string{"normal", "limited"}},
	{number: -22982, says: "too many wrong codes", check: cause.CheckCode, fact: &[2]string{"right", "wrong"}},
	{number: -28248, says: "the number cannot receive codes", check: cause.CheckPrompt, fact: &[2]string{"fetched", "not-fetched"}},
	{number: -36607, says: "device provisioning refused", check: cause.CheckProvisioning, fact: &[2]string{"accepted", "refused"}},
	{number: -45025, says: "device provisioning refused", check: cause.CheckProvisioning, fact: &[2]string{"accepted", "refused"}},
	// Logged where a virtual machine's system is not let introduce itself; seen
	// with "Provisioning failed" in public notes on guests of macOS 15.
	{number: -8008, domain: "AKAnisetteError", says: "device provisioning refused", check: cause.CheckProvisioning, fact: &[2]string{"accepted", "refused"}},
}

// A number counts as a code only in one of the forms in which errors are
// logged: "Domain=X Code=-1", "(-20101)", "ec=-20101".
var codeForms = form(`(?:Domain=([A-Za-z][A-Za-z.]{0,60}) )?\bCode=(-\d{4,5})\b|\((-\d{5})\)|\bec["']?\s{0,2}[=:]\s{0,2}["']?(-\d{5})\b`)

// lastCodes are the code numbers of the newest line that has any, with the
// domain where one is given. Lines before it were overtaken by it.
func lastCodes(out []byte) (found []code, unknown []int) {
	for line := range bytes.Lines(out) {
		if len(line) > 16<<10 {
			line = line[:16<<10]
		}
		var known []code
		var others []int
		for _, m := range codeForms().FindAllSubmatch(line, -1) {
			domain := string(m[1])
			n, err := strconv.Atoi(string(m[2]) + string(m[3]) + string(m[4]))
			if err != nil {
				continue
			}
			i := slices.IndexFunc(codes, func(c code) bool {
				return c.number == n && (c.domain == domain || c.domain == "" && !strings.HasPrefix(domain, "NS"))
			})
			switch {
			case i < 0:
				others = append(others, n)
			case !slices.ContainsFunc(known, func(c code) bool { return c.number == n }):
				known = append(known, codes[i])
			}
		}
		if len(known) > 0 {
			found, unknown = known, nil
		} else if len(others) > 0 {
			unknown = others
		}
	}
	return found, unknown
}

func (e *examination) codes(ctx context.Context) ([]cause.Fact, string) {
	o, err := e.m.Run(ctx, logTool, logArgs...)
	if err != nil {
		return nil, "cannot tell: " + err.Error()
	}
	found, unknown := lastCodes(o.Stdout)
	if len(found) == 0 {
		if len(unknown) == 0 {
			return nil, "no code in the last hour"
		}
		slices.Sort(unknown)
		var list []string
		for _, n := range slices.Compact(unknown) {
			list = append(list, strconv.Itoa(n))
		}
		return nil, "codes without a meaning that is known: " + strings.Join(list[:min(5, len(list))], ", ")
	}
	var facts []cause.Fact
	var saw []string
	for _, c := range found {
		saw = append(saw, strconv.Itoa(c.number)+" ("+c.says+")")
		if c.fact != nil {
			facts = append(facts, cause.Note(c.check, cause.Word(c.fact[0]), cause.Word(c.fact[1]), cause.ByDevice))
		}
	}
	if e.signedIn(ctx) {
		return nil, "last code " + strings.Join(saw, ", ") + "; signed in since, so it is past"
	}
	return facts, "last code " + strings.Join(saw, ", ")
}
