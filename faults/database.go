package faults

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/store/postgres/pgtest"
)

// Databases is one PostgreSQL that all scripts share, each with a database of
// its own. It is started when the first script asks for one.
type Databases struct {
	mu      sync.Mutex
	cluster *pgtest.Cluster
}

// Close stops it, where it was started.
func (d *Databases) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cluster == nil {
		return nil
	}
	return d.cluster.Stop()
}

// new makes an empty database.
func (d *Databases) new() (*pgtest.Cluster, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cluster == nil {
		c, err := pgtest.Start()
		if err != nil {
			return nil, "", err
		}
		d.cluster = c
	}
	name, err := d.cluster.Database()
	return d.cluster, name, err
}

// database is a script's, and what lies between it and the node.
type database struct {
	cluster *pgtest.Cluster
	name    string
	between *line
}

// slowness is how late each answer of a slow database is: later than a node
// waits for one.
const slowness = 8 * time.Second

// database gives the script a PostgreSQL of its own, or makes it fail:
//
//	new         sets $STORE and $MASTER, the flags of serve
//	gone        connections end, and no others are taken
//	read-only   as a standby that was not promoted: sessions begin anew, and write nothing
//	slow        each answer comes too late
//	right       it is well again
//	plant FILE  what the file holds stands in a device's name, and in an account's record
func (w *world) database(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "new" {
		c, name, err := w.databases.new()
		ts.Check(err)
		between, err := newLine(fmt.Sprintf("127.0.0.1:%d", c.Port))
		ts.Check(err)
		w.db = &database{c, name, between}
		ts.Setenv("STORE", fmt.Sprintf("postgres://%s@%s/%s", pgtest.Owner, between.address(), name))
		master := filepath.Join(w.dir, "master.key")
		out, err := exec.Command(filepath.Join(w.bin, "readmit"), "admin", "key", "new", master).CombinedOutput()
		if err != nil {
			ts.Fatalf("%v: %s", err, out)
		}
		ts.Setenv("MASTER", master)
		return
	}
	switch args[0] {
	case "gone":
		w.db.between.cut()
	case "read-only":
		ts.Check(w.db.readOnly("on"))
	case "slow":
		w.db.between.slow(slowness)
	case "right":
		w.db.between.right()
		ts.Check(w.db.readOnly("off"))
	case "plant":
		planted := hex.EncodeToString([]byte(strings.TrimSpace(ts.ReadFile(args[1]))))
		ts.Check(w.db.cluster.Exec(w.db.name,
			`UPDATE devices SET name = convert_from('\x`+planted+`', 'UTF8')`,
			`UPDATE subjects SET record = record || '\x`+planted+`' WHERE ghost = 0`))
	default:
		ts.Fatalf("database new, gone, read-only, slow, right or plant")
	}
}

// readOnly sets how sessions begin, and ends those there are.
func (d *database) readOnly(on string) error {
	return d.cluster.Exec("postgres", "ALTER DATABASE "+d.name+" SET default_transaction_read_only = "+on,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+d.name+"'")
}

// line passes connections on to an address, and can be cut or slow.
type line struct {
	to       string
	listener net.Listener

	mu    sync.Mutex
	delay time.Duration
	gone  bool
	open  []net.Conn
}

func newLine(to string) (*line, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &line{to: to, listener: l}
	go n.run()
	return n, nil
}

func (l *line) address() string { return l.listener.Addr().String() }

func (l *line) run() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.pass(c)
	}
}

func (l *line) pass(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer far.Close()
	l.mu.Lock()
	if l.gone {
		l.mu.Unlock()
		return
	}
	l.open = append(l.open, near, far)
	l.mu.Unlock()
	go func() {
		io.Copy(far, near)
		far.Close()
	}()
	b := make([]byte, 32<<10)
	for {
		n, err := far.Read(b)
		if err != nil {
			return
		}
		l.mu.Lock()
		delay := l.delay
		l.mu.Unlock()
		time.Sleep(delay)
		if _, err := near.Write(b[:n]); err != nil {
			return
		}
	}
}

// cut ends all connections, and each new one.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	l.end()
}

func (l *line) slow(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

func (l *line) right() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone, l.delay = false, 0
}

// end closes what is open; l.mu is held.
func (l *line) end() {
	for _, c := range slices.Backward(l.open) {
		c.Close()
	}
	l.open = nil
}

func (l *line) close() {
	l.listener.Close()
	l.cut()
}
