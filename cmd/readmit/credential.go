package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
)

// dockerHelper is the name under which docker looks for a helper.
const dockerHelper = "docker-credential-readmit"

// arguments are what the program was called with; docker's helper is this
// program under another name.
func arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	if name := strings.TrimSuffix(filepath.Base(argv[0]), ".exe"); name == dockerHelper {
		return append([]string{"credential", "docker"}, argv[1:]...)
	}
	return argv[1:]
}

// maxCredential is the longest description of a credential that is read.
const maxCredential = 64 << 10

func newCredentialCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "credential",
		Short: "Give tokens to git, docker and programs like kubectl, in their own protocols",
		Long: `Give access tokens to programs that have a protocol of their own for it. Each token
is for the one service that is named (its audience is https://HOST), so that no
service can use it elsewhere. The account server's own token is given to nobody.

git asks for hosts that are named in its configuration:

    git config --global credential.https://git.example.org.helper '!readmit credential'

docker runs a program of another name, a link to this one:

    ln -s "$(command -v readmit)" ~/bin/docker-credential-readmit
    ~/.docker/config.json: {"credHelpers": {"registry.example.org": "readmit"}}

kubectl and what reads its configuration runs "readmit credential exec".`,
		Example: "  readmit credential get < request.txt\n  readmit credential exec --audience https://k8s.example.org",
	}
	git := func(use, short string, do func(cmd *cobra.Command, in map[string]string) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Long: short + ". It reads git's lines from standard input.", Args: takes(),
			Example: "  readmit credential " + use + " < request.txt",
			RunE: func(cmd *cobra.Command, _ []string) error {
				in, err := gitLines(e.stdin)
				if err != nil {
					return usageError{err}
				}
				return do(cmd, in)
			},
		}
	}
	c.AddCommand(
		git("get", "Answer git with a token for the host it names", func(cmd *cobra.Command, in map[string]string) error {
			return e.gitGet(cmd, in)
		}),
		git("store", "Keep nothing: tokens are made when they are asked for", func(*cobra.Command, map[string]string) error { return nil }),
		git("erase", "Forget the token that a host did not take", func(cmd *cobra.Command, in map[string]string) error {
			audience, err := e.audienceOf(in["protocol"], in["host"])
			if audience == "" || err != nil {
				return err
			}
			return e.forsake(cmd, audience)
		}),
		newDockerCommand(e), newExecCommand(e),
	)
	return c
}

// gitLines reads git's form: key=value, up to an empty line.
func gitLines(from io.Reader) (map[string]string, error) {
	in := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(from, maxCredential))
	for lines.Scan() && lines.Text() != "" {
		key, value, ok := strings.Cut(lines.Text(), "=")
		if !ok {
			return nil, errors.New("not git's form: want lines such as host=git.example.org")
		}
		if many := strings.HasSuffix(key, "[]"); many {
			value = in[key] + value + "\n"
		}
		in[key] = value
	}
	return in, lines.Err()
}

// loopback is a host whose messages leave this device for nowhere.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// sameServer reports whether an address is the account server's, however it is
// spelled: a scheme and a host have no case, a port may be said or not, and this
// machine has several names.
func sameServer(server, address *url.URL) bool {
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)])
	}
	one, other := server.Hostname(), address.Hostname()
	return port(server) == port(address) && (strings.EqualFold(one, other) || loopback(one) && loopback(other))
}

// audienceOf is the service that a token is for; empty for one that gets none:
// what is not encrypted, and the account server itself.
func (e *env) audienceOf(scheme, host string) (string, error) {
	if host == "" || strings.ContainsAny(host, "/?#@ \t") {
		return "", usageError{errors.New("no host is named")}
	}
	host = strings.ToLower(host)
	u, err := url.Parse(scheme + "://" + host)
	if err != nil {
		return "", usageError{errors.New("the host is not one")}
	}
	if scheme != "https" && !(scheme == "http" && loopback(u.Hostname())) {
		return "", nil
	}
	a, err := e.agent()
	if err != nil {
		return "", err
	}
	id, err := a.Identity()
	if err != nil {
		return "", err
	}
	audience := scheme + "://" + host
	if server, err := url.Parse(id.Server); err == nil && sameServer(server, u) {
		return "", nil
	}
	return audience, nil
}

// tokenFor is a token for a service, and the account it is of.
func (e *env) tokenFor(cmd *cobra.Command, audience string) (agent.Identity, agent.Token, error) {
	a, err := e.agent()
	if err != nil {
		return agent.Identity{}, agent.Token{}, err
	}
	t, err := e.accessToken(cmd.Context(), a, audience, time.Minute)
	if err != nil {
		return agent.Identity{}, t, err
	}
	id, err := a.Identity()
	return id, t, err
}

func (e *env) forsake(cmd *cobra.Command, audience string) error {
	a, err := e.agent()
	if err != nil {
		return err
	}
	return a.Forsake(cmd.Context(), audience)
}

func (e *env) gitGet(cmd *cobra.Command, in map[string]string) error {
	audience, err := e.audienceOf(in["protocol"], in["host"])
	if audience == "" || err != nil {
		return err // nothing said: git asks the next helper
	}
	id, t, err := e.tokenFor(cmd, audience)
	if err != nil {
		return err
	}
	w := e.stdout
	for capability := range strings.Lines(in["capability[]"]) {
		if strings.TrimSpace(capability) == "authtype" { // git 2.46 or newer
			fmt.Fprintf(w, "capability[]=authtype\nauthtype=Bearer\ncredential=%s\nephemeral=1\n", clean(t.Value))
		}
	}
	fmt.Fprintf(w, "username=%s\npassword=%s\npassword_expiry_utc=%d\n", clean(id.Account), clean(t.Value), t.Expires.Unix())
	return nil
}

func newDockerCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:     "docker",
		Short:   "Answer docker, in the protocol of its credential helpers",
		Long:    "Answer docker, in the protocol of its credential helpers: get, store, erase and list. Under the name " + dockerHelper + " this program does the same.",
		Example: "  readmit credential docker get < server.txt",
	}
	on := func(use, short string, do func(cmd *cobra.Command, audience string) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Long: short + ". The server's address is read from standard input.", Args: takes(),
			Example: "  readmit credential docker " + use + " < server.txt",
			RunE: func(cmd *cobra.Command, _ []string) error {
				line, err := bufio.NewReader(io.LimitReader(e.stdin, maxCredential)).ReadString('\n')
				if err != nil && err != io.EOF {
					return err
				}
				scheme, rest, ok := strings.Cut(strings.TrimSpace(line), "://")
				if !ok {
					scheme, rest = "https", strings.TrimSpace(line)
				}
				host, _, _ := strings.Cut(rest, "/")
				audience, err := e.audienceOf(scheme, host)
				if err != nil {
					return err
				}
				return do(cmd, audience)
			},
		}
	}
	c.AddCommand(
		on("get", "Print a token for a registry", func(cmd *cobra.Command, audience string) error {
			if audience == "" {
				fmt.Fprintln(e.stdout, "credentials not found in native keychain") // docker's own words, by which it goes on
				return exitError{failed, "this server gets no token", "a token is for one service that is reached by https, and never the account server's own"}
			}
			id, t, err := e.tokenFor(cmd, audience)
			if err != nil {
				return err
			}
			return json.NewEncoder(e.stdout).Encode(map[string]string{"ServerURL": audience, "Username": id.Account, "Secret": t.Value})
		}),
		on("erase", "Forget the token that a registry did not take", func(cmd *cobra.Command, audience string) error {
			if audience == "" {
				return nil
			}
			return e.forsake(cmd, audience)
		}),
		&cobra.Command{
			Use: "store", Short: "Keep nothing: tokens are made when they are asked for", Long: "Keep nothing: tokens are made when they are asked for.",
			Example: "  readmit credential docker store < login.json", Args: takes(),
			RunE: func(*cobra.Command, []string) error {
				_, err := io.Copy(io.Discard, io.LimitReader(e.stdin, maxCredential))
				return err
			},
		},
		&cobra.Command{
			Use: "list", Short: "List nothing: there is a token for whoever asks", Long: "List nothing: there is a token for whoever asks.",
			Example: "  readmit credential docker list", Args: takes(),
			RunE: func(*cobra.Command, []string) error { _, err := fmt.Fprintln(e.stdout, "{}"); return err },
		},
	)
	group(c)
	return c
}

// execAPI is what kubectl's plug-ins speak.
const execAPI = "client.authentication.k8s.io/"

func newExecCommand(e *env) *cobra.Command {
	var audience string
	c := &cobra.Command{
		Use:   "exec",
		Short: "Answer kubectl, and what reads its configuration, with a token",
		Long: `Print an ExecCredential (client.authentication.k8s.io/v1) with a token for the
audience, as kubectl and programs like it expect of a plug-in.`,
		Example: "  readmit credential exec --audience https://k8s.example.org",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if audience == "" {
				return usageError{errors.New("say which service the token is for: --audience https://k8s.example.org")}
			}
			version := "v1"
			if asked := e.getenv("KUBERNETES_EXEC_INFO"); asked != "" {
				var info struct {
					Version string `json:"apiVersion"`
				}
				if json.Unmarshal([]byte(asked), &info) != nil || info.Version != execAPI+"v1" && info.Version != execAPI+"v1beta1" {
					return exitError{failed, "kubectl asks in a version that is not known here", "want " + execAPI + "v1 in its configuration"}
				}
				version = strings.TrimPrefix(info.Version, execAPI)
			}
			u, err := url.Parse(audience)
			if err != nil {
				return usageError{errors.New("the audience is not an address")}
			}
			if strings.EqualFold(u.Scheme, "http") && !loopback(u.Hostname()) {
				return exitError{failed, "this service gets no token", "a token is for one service that is reached by https, and never the account server's own"}
			}
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := a.Identity()
			if err != nil {
				return err
			}
			if server, err := url.Parse(id.Server); err == nil && u.Host != "" && sameServer(server, u) {
				return usageError{errors.New("the account server's own token is given to nobody: --audience names another service")}
			}
			_, t, err := e.tokenFor(cmd, audience)
			if err != nil {
				return err
			}
			type status struct {
				Expires string `json:"expirationTimestamp"`
				Token   string `json:"token"`
			}
			return json.NewEncoder(e.stdout).Encode(struct {
				Version string `json:"apiVersion"`
				Kind    string `json:"kind"`
				Status  status `json:"status"`
			}{execAPI + version, "ExecCredential", status{t.Expires.UTC().Format(time.RFC3339), t.Value}})
		},
	}
	c.Flags().StringVar(&audience, "audience", "", "the service the token is for")
	return c
}

// programArguments are those of this process.
func programArguments() []string { return arguments(os.Args) }
