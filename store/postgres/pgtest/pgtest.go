// Package pgtest runs a PostgreSQL of its own for tests and measurements: in a
// temporary folder, on a socket and a free port of loopback, gone at the end.
// It does not wait for the disk, so nothing of value belongs into it.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// Owner is the database user that tests connect as.
const Owner = "readmit"

// Cluster is a running server.
type Cluster struct {
	Dir  string // data/, the socket and the log
	Port int

	bin     string
	as      []string // what runs a program as another user, for root
	server  *exec.Cmd
	exited  chan struct{}
	made    atomic.Int64
	options []string
}

// Start makes a cluster and waits until it answers. Options are lines of
// postgresql.conf. The caller stops it.
func Start(options ...string) (_ *Cluster, err error) {
	bin, err := tools()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "readmit-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, bin: bin, options: options}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, c.Log())
			c.Stop()
		}
	}()
	if os.Geteuid() == 0 {
		if err := c.lend(); err != nil {
			return nil, err
		}
	}
	out, err := c.command("initdb", "-D", c.data(), "-U", Owner, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if err := c.guard(); err != nil {
		return nil, err
	}
	if c.Port, err = freePort(); err != nil {
		return nil, err
	}
	return c, c.Run()
}

// Guarded is a role that needs a password, where one was made.
const Guarded = "guarded"

func (c *Cluster) guard() error {
	path := filepath.Join(c.data(), "pg_hba.conf")
	rules, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte("host all "+Guarded+" all scram-sha-256\n"), rules...), 0o600)
}

// Standby makes a cluster that follows this one.
func (c *Cluster) Standby(options ...string) (*Cluster, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return c.StandbyAt(port, options...)
}

// StandbyAt makes a standby on a port that is free.
func (c *Cluster) StandbyAt(port int, options ...string) (_ *Cluster, err error) {
	dir, err := os.MkdirTemp("", "readmit-pg-")
	if err != nil {
		return nil, err
	}
	s := &Cluster{Dir: dir, Port: port, bin: c.bin, as: c.as, options: options}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, s.Log())
			s.Stop()
		}
	}()
	if len(s.as) > 0 {
		if err := s.lend(); err != nil {
			return nil, err
		}
	}
	out, err := s.command("pg_basebackup", "-D", s.data(), "-R", "--no-sync", "-c", "fast", "-h", "127.0.0.1", "-p", strconv.Itoa(c.Port), "-U", Owner).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	return s, s.Run()
}

// Synchronous makes each commit wait until a standby has it too, and returns
// when that is so.
func (c *Cluster) Synchronous() error {
	err := c.Exec("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	for end := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c.Exec("postgres", "SELECT 1 / count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == nil {
			return nil
		}
	}
	return errors.Join(err, errors.New("no standby follows"))
}

// Promote makes a standby the primary.
func (c *Cluster) Promote() error {
	out, err := c.command("pg_ctl", "promote", "-D", c.data(), "-w").CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_ctl promote: %w: %s", err, out)
	}
	return nil
}

// lend gives the folder to the user postgres: the server refuses to be root.
func (c *Cluster) lend() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	c.as = []string{"setpriv", "--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups"}
	return os.Chown(c.Dir, uid, gid)
}

// tools finds the folder of initdb and postgres, the newest version first.
func tools() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New("PostgreSQL's initdb was not found: run scripts/deps.sh, or install the package postgresql")
}

func version(initdb string) int {
	n, _ := strconv.Atoi(strings.Split(initdb, "/")[4])
	return n
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *Cluster) data() string { return filepath.Join(c.Dir, "data") }

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	all := append(append([]string{}, c.as...), append([]string{filepath.Join(c.bin, name)}, args...)...)
	p := exec.Command(all[0], all[1:]...)
	p.Dir = "/"
	return p
}

// Run starts the server on what is there, after Kill too.
func (c *Cluster) Run() error {
	log, err := os.OpenFile(filepath.Join(c.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", c.data(), "-p", strconv.Itoa(c.Port), "-k", c.Dir, "-h", "127.0.0.1"}
	for _, o := range append([]string{"fsync=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=200", "logging_collector=off"}, c.options...) {
		args = append(args, "-c", o)
	}
	c.server = c.command("postgres", args...)
	c.server.Stdout, c.server.Stderr = log, log
	if err := c.server.Start(); err != nil {
		return err
	}
	c.exited = make(chan struct{})
	go func(p *exec.Cmd, exited chan struct{}) {
		p.Wait()
		close(exited)
	}(c.server, c.exited)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-c.exited:
			return errors.New("PostgreSQL ended at once")
		default:
		}
		if err = c.Exec("postgres", "SELECT 1"); err == nil {
			return nil
		}
	}
	return fmt.Errorf("PostgreSQL does not answer: %w", err)
}

// Pid is the server's process.
func (c *Cluster) Pid() int { return c.server.Process.Pid }

// Kill ends the server as a loss of power does.
func (c *Cluster) Kill() error { return c.end(func(p *os.Process) error { return kill(p) }) }

func (c *Cluster) end(how func(*os.Process) error) error {
	if c.server == nil || c.exited == nil {
		return nil
	}
	select {
	case <-c.exited:
		return nil
	default:
	}
	if err := how(c.server.Process); err != nil {
		return err
	}
	select {
	case <-c.exited:
		return nil
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("PostgreSQL did not stop in 20 s"), kill(c.server.Process))
	}
}

// Stop ends the server and removes its folder.
func (c *Cluster) Stop() error {
	return errors.Join(c.end(quit), os.RemoveAll(c.Dir))
}

// Log is what the server wrote.
func (c *Cluster) Log() string {
	b, _ := os.ReadFile(filepath.Join(c.Dir, "log"))
	return string(b)
}

// URL is the address of a database.
func (c *Cluster) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(Owner), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)), Path: database}
	return u.String()
}

// Database makes an empty one and returns its name.
func (c *Cluster) Database() (string, error) {
	name := fmt.Sprintf("t%d", c.made.Add(1))
	return name, c.Exec("postgres", "CREATE DATABASE "+name)
}

// Copy makes a database with the content of another, which nobody may use
// meanwhile.
func (c *Cluster) Copy(of string) (string, error) {
	name := fmt.Sprintf("t%d", c.made.Add(1))
	return name, c.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+of)
}

// Exec runs statements in a database.
func (c *Cluster) Exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// Dump is every row of every table of a database, by table, in the database's
// binary form: texts and octets stand in it as they are.
func (c *Cluster) Dump(database string) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, t := range tables {
		var b bytes.Buffer
		if _, err := conn.PgConn().CopyTo(ctx, &b, "COPY "+pgx.Identifier{t}.Sanitize()+" TO STDOUT (FORMAT binary)"); err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
		all[t] = b.Bytes()
	}
	return all, nil
}
