package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/postgres"
	"readmit.dev/readmit/store/sqlite"
	"readmit.dev/readmit/web"
)

// newServeCommand runs the account server.
func newServeCommand(e *env) *cobra.Command {
	var file string
	var flags server.Config
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the account server",
		Long: `Run the account server until it is interrupted: alone on its embedded store, or
as one of any number of nodes on a PostgreSQL that they share.

Plain HTTP is for loopback only. Any other address needs a certificate of its
own, ACME, or the word that a named proxy speaks TLS in front of it: these are
keys of the configuration file (docs/operations.md).`,
		Example: `  readmit serve
  readmit serve --data /var/lib/readmit --listen 127.0.0.1:4001
  readmit serve --config /etc/readmit.toml
  readmit serve --config /etc/readmit.toml --store postgres://readmit@db.example.org/readmit?sslmode=verify-full`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := server.ReadConfig(file)
			if err != nil {
				return usageError{err}
			}
			for _, f := range []struct{ from, to *string }{{&flags.Listen, &config.Listen}, {&flags.Data, &config.Data}, {&flags.URL, &config.URL}, {&flags.Store, &config.Store}, {&flags.MasterKey, &config.MasterKey}} {
				if *f.from != "" {
					*f.to = *f.from
				}
			}
			if err := postgres.WithoutPassword(config.Store); err != nil {
				return usageError{err}
			}
			config.Terminal = e.stdout
			if stretch == "least" {
				config.Stretch = opaque.LeastStretch
			}
			if config, err = config.Complete(); err != nil {
				return usageError{err}
			}
			now, err := clock(e)
			if err != nil {
				return usageError{err}
			}
			if e.stdin == os.Stdin { // a test that runs this within itself has its own
				settle()
			}
			return serve(cmd.Context(), config, now, e.stderr)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `FILE` (TOML)")
	c.Flags().StringVar(&flags.Data, "data", "", "`DIR`ectory of the store (default ./data)")
	c.Flags().StringVar(&flags.Listen, "listen", "", "`ADDRESS` to listen on (default 127.0.0.1:4001)")
	c.Flags().StringVar(&flags.URL, "url", "", "the public `URL` (default http://ADDRESS)")
	c.Flags().StringVar(&flags.Store, "store", "", "`ADDRESS` of the store that nodes share, without a password: postgres://USER@HOST/DATABASE")
	c.Flags().StringVar(&flags.MasterKey, "master-key-file", "", "`FILE` of the nodes' master key (readmit admin key new)")
	return c
}

// garbage is how much of its living heap the server lets pile up before it
// collects, in per cent. The heap is some ten megabytes, so this costs twenty
// and halves how often they are gone through.
const garbage = 200

func serve(ctx context.Context, config server.Config, now func() time.Time, stderr io.Writer) error {
	debug.SetGCPercent(garbage)
	log := slog.New(slog.NewTextHandler(stderr, nil))
	open, where := func(dir string) (store.Store, error) { return sqlite.Open(dir) }, config.Data
	if config.Shared() {
		where = "PostgreSQL"
		open = func(string) (store.Store, error) {
			return postgres.Open(ctx, postgres.Config{Address: config.Store, PasswordFile: config.Password, Connections: config.Connections, Note: func(text string) { log.Warn(text) }})
		}
	}
	l, err := server.Listen(ctx, config, open, now, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "readmit: the account server answers on %s; its data are in %s; stop it with Ctrl-C\n", l.URL, where)
	if !web.Complete() {
		fmt.Fprintln(stderr, "readmit: this program was built without what its pages are made of: nobody can sign in with a browser, or read of a cause, until it is built with: make build")
	}
	return l.Run(ctx)
}
