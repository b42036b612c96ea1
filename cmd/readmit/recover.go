package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

func newRecoverCommand(e *env) *cobra.Command {
	var server, account, wordFile, name string
	c := &cobra.Command{
		Use:   "recover",
		Short: "Get back into an account whose password is lost",
		Long: `Get back into an account whose password is lost.

"readmit recover" begins, and tells the same of every account. Then prove in two
ways that it is yours, or in one and wait: a recovery code, a code sent to one
of the account's addresses, a code that an enrolled device shows. When it is
open, "readmit recover finish" sets the new password, and every session ends.

All the account's devices and addresses are told, and can stop it; so can the
word in their messages, with "readmit recover stop".`,
		Example: `  readmit recover --server http://127.0.0.1:4001 --account jane@example.org
  readmit recover send
  readmit recover prove address
  readmit recover status --json
  readmit recover finish`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if server, account, err = whereAndWho(a, server, account); err != nil {
				return err
			}
			word := ""
			if wordFile != "" {
				if word, err = e.secrets(cmd.Context()).from(wordFile, "word", "--word-file"); err != nil {
					return err
				}
			}
			out, err := a.Recover(cmd.Context(), server, account, word, deviceName(name))
			return e.recovery(a, out, err)
		},
	}
	f := c.Flags()
	f.StringVar(&server, "server", "", "the account server's `URL` (default: where this device is enrolled)")
	f.StringVar(&account, "account", "", "the account's `ID`entifier (default: what this device is enrolled for)")
	f.StringVar(&wordFile, "word-file", "", "read the word that support gave from `FILE` (- for standard input)")
	f.StringVar(&name, "device-name", "", "what this device is called (default: its host name)")
	c.AddCommand(newRecoverStatus(e), newRecoverSend(e), newRecoverProve(e), newRecoverFinish(e), newRecoverGiveUp(e), newRecoverStop(e))
	return c
}

// recovery shows how one stands.
func (e *env) recovery(a *agent.Agent, r api.Recovery, err error) error {
	if err != nil {
		return err
	}
	r.Recovery = nil // only this device can use it, and the file has it
	return e.data(r, func(w io.Writer) {
		// Times are the server's; this device's clock may be wrong.
		now := a.Now()
		here := func(t int64) string { return when(t-r.Now+now.Unix(), now) }
		switch r.State {
		case "unproved":
			fmt.Fprintf(w, "nothing is proved yet; with one proof it opens after %d h, with two at once\n", r.Wait/3600)
		case "waiting":
			fmt.Fprintf(w, "proved by %s; it opens %s, or with a second proof at once\n", strings.Join(r.Proofs, " and "), here(r.Opens))
		case "open":
			fmt.Fprintf(w, "it is open, and ends %s: readmit recover finish\n", here(r.Expires))
		case "cancelled":
			fmt.Fprintln(w, "it was stopped; the password is the old one")
		case "finished":
			fmt.Fprintln(w, "it is finished; a new password was set")
		default:
			fmt.Fprintln(w, "it is over: begin another one")
		}
	})
}

func newRecoverStatus(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how this device's recovery stands",
		Long:    "Show how the recovery that this device has begun stands: what is proved, and when it opens.",
		Example: "  readmit recover status --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			out, err := a.RecoveryStatus(cmd.Context())
			return e.recovery(a, out, err)
		},
	}
}

func newRecoverSend(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "send", Short: "Have a code sent to the account's addresses",
		Long:    "Have a code sent to the account's addresses, if it has any: the answer is the same for every account. Once in five minutes.",
		Example: "  readmit recover send\n  readmit recover prove address",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if err := a.SendRecoveryCode(cmd.Context()); err != nil {
				return err
			}
			return e.data(map[string]bool{"asked": true}, func(w io.Writer) {
				fmt.Fprintln(w, "if the account has a verified address, a code is on its way there")
			})
		},
	}
}

func newRecoverProve(e *env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "prove WAY", Short: "Give one proof: code, address or device",
		Long: `Give one proof. WAY is "code" for one of the account's recovery codes, "address"
for the code that was sent ("readmit recover send"), "device" for the one that an
enrolled device shows when the recovery is approved there.`,
		Example: "  readmit recover prove code\n  readmit recover prove address --code-file -",
		Args:    takes("a way: code, address or device"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var in api.RecoveryProve
			into, ok := map[string]*string{"code": &in.Code, "address": &in.AddressCode, "device": &in.DeviceCode}[args[0]]
			if !ok {
				return usageError{fmt.Errorf("there is no way %q: want code, address or device", args[0])}
			}
			a, err := e.agent()
			if err != nil {
				return err
			}
			if _, err := a.Recovery(); err != nil {
				return err
			}
			if *into, err = e.secrets(cmd.Context()).from(file, "code", "--code-file"); err != nil {
				return err
			}
			out, err := a.ProveRecovery(cmd.Context(), in)
			return e.recovery(a, out, err)
		},
	}
	c.Flags().StringVar(&file, "code-file", "", "read the code from `FILE` (- for standard input)")
	return c
}

func newRecoverFinish(e *env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "finish", Short: "Set the new password, once the recovery is open",
		Long: `Set the new password, once the recovery is open. Every session of the account
ends. With two proofs, or a recovery code, this device is signed in at once;
otherwise it signs in with the new password and needs a code.`,
		Example: "  readmit recover finish\n  readmit recover finish --new-password-file new.txt",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			r, err := a.Recovery()
			if err != nil {
				return err
			}
			next, err := e.secrets(cmd.Context()).new(file)
			if err != nil {
				return err
			}
			in, err := a.FinishRecovery(cmd.Context(), next)
			if err != nil {
				return err
			}
			if !in {
				return exitError{needPerson, "the new password is set; this device still needs a second step",
					"run: readmit sign-in --server " + r.Server + " --account " + r.Account}
			}
			return e.signedIn(a, "the new password is set; this device is signed in to "+r.Account)
		},
	}
	c.Flags().StringVar(&file, "new-password-file", "", "read the new password from `FILE` (- for standard input)")
	return c
}

func newRecoverGiveUp(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "give-up", Short: "End the recovery that this device has begun",
		Long:    "End the recovery that this device has begun. If anything was proved, the account's devices and addresses are told.",
		Example: "  readmit recover give-up",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if err := a.GiveUpRecovery(cmd.Context()); err != nil {
				return err
			}
			return e.data(map[string]bool{"given_up": true}, func(w io.Writer) { fmt.Fprintln(w, "given up") })
		},
	}
}

func newRecoverStop(e *env) *cobra.Command {
	var server, file string
	c := &cobra.Command{
		Use: "stop", Short: "Stop a recovery that is not yours, by the word of a message",
		Long:    "Stop a recovery that is not yours, by the word that a message about it has brought. Nothing else is needed; the password stays the old one.",
		Example: "  readmit recover stop --server https://id.example.org",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if server, err = where(a, server); err != nil {
				return err
			}
			word, err := e.secrets(cmd.Context()).from(file, "word", "--word-file")
			if err != nil {
				return err
			}
			if err := a.StopRecovery(cmd.Context(), server, word); err != nil {
				return err
			}
			return e.data(map[string]bool{"stopped": true}, func(w io.Writer) { fmt.Fprintln(w, "stopped; the password is the old one") })
		},
	}
	c.Flags().StringVar(&server, "server", "", "the account server's `URL` (default: where this device is enrolled)")
	c.Flags().StringVar(&file, "word-file", "", "read the word from `FILE` (- for standard input)")
	return c
}
