package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/keys"
)

// newAdminKeyCommand makes the key that nodes share.
func newAdminKeyCommand(e *env) *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "The master key of nodes that share a store", Long: "The master key of nodes that share a store: each needs a copy of one file.",
		Example: "  readmit admin key new /etc/readmit/master.key"}
	c.AddCommand(&cobra.Command{
		Use:   "new FILE",
		Short: "Make a master key in a new file",
		Long: `Make a master key in a new file of mode 0600. Every node on one store needs a copy
of it, named in its configuration as master_key. Keep another copy where no
backup of the database is: each of the two opens nothing without the other.`,
		Example: "  readmit admin key new /etc/readmit/master.key",
		Args:    takes("a file that is not there yet"),
		RunE: func(_ *cobra.Command, args []string) error {
			err := keys.NewMasterFile(args[0])
			if errors.Is(err, fs.ErrExist) {
				return exitError{failed, args[0] + " is there already, and is left as it is", "choose another name, or keep using it"}
			}
			if err != nil {
				return err
			}
			return e.data(map[string]string{"file": args[0]}, func(w io.Writer) { fmt.Fprintln(w, "the master key is in", clean(args[0])) })
		},
	})
	group(c)
	return c
}
