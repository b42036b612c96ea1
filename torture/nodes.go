package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store/postgres/pgtest"
)

const (
	// nodeCount is how many nodes stand beside each other.
	nodeCount = 3
	// back is how soon everything must work again after a database was lost and
	// its standby promoted, and how long a sign-in may take at the worst.
	back = 10 * time.Second
)

// fleet is some nodes on one database, behind one address.
type fleet struct {
	dir   string
	nodes []*server
	front *balancer
}

// newFleet prepares nodes; the address leads to the database.
func newFleet(binary, dir, store string) (*fleet, error) {
	front, err := newBalancer()
	if err != nil {
		return nil, err
	}
	f := &fleet{dir: dir, front: front}
	master := filepath.Join(dir, "master.key")
	config := filepath.Join(dir, "readmit.toml")
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(rand.Uint32())
	}
	err = errors.Join(os.WriteFile(master, key, 0o600),
		os.WriteFile(config, fmt.Appendf(nil, "store = %q\nmaster_key = %q\nurl = %q\n", store, master, front.url()), 0o600))
	if err != nil {
		return nil, err
	}
	for i := range nodeCount {
		s, err := newServer(binary, filepath.Join(dir, fmt.Sprintf("node%d", i)))
		if err != nil {
			return nil, err
		}
		s.config = config
		f.nodes = append(f.nodes, s)
		front.add(s.address)
	}
	return f, nil
}

func (f *fleet) start(ctx context.Context) error {
	for _, s := range f.nodes {
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) ready(ctx context.Context, patience time.Duration) error {
	for _, s := range f.nodes {
		if err := s.ready(ctx, patience); err != nil {
			return err
		}
	}
	return nil
}

// lead leads all that comes from now on to these.
func (f *fleet) lead(nodes []*server) {
	var all []string
	for _, n := range nodes {
		all = append(all, n.address)
	}
	f.front.only(all...)
}

func (f *fleet) stop() {
	for _, s := range f.nodes {
		s.kill()
	}
	f.front.close()
}

func (f *fleet) url() string { return f.front.url() }

// socket is the operator's at a node that runs.
func (f *fleet) socket() string { return f.nodes[0].socket() }

// balancer passes connections on to one of several addresses, another one where
// the first does not answer, as what stands in front of nodes does.
type balancer struct {
	listener net.Listener

	mu   sync.Mutex
	to   []string
	open map[net.Conn]bool
}

func newBalancer() (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{listener: l, open: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.pass(c)
		}
	}()
	return b, nil
}

func (b *balancer) url() string { return "http://" + b.listener.Addr().String() }

func (b *balancer) add(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = append(b.to, address)
}

// only leads all that comes from now on to these.
func (b *balancer) only(addresses ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = addresses
}

func (b *balancer) pass(in net.Conn) {
	defer in.Close()
	b.mu.Lock()
	to := slices.Clone(b.to)
	b.open[in] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.open, in)
		b.mu.Unlock()
	}()
	rand.Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
	for _, address := range to {
		out, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			continue
		}
		defer out.Close()
		go func() {
			io.Copy(out, in)
			out.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(in, out)
		return
	}
}

func (b *balancer) close() {
	b.listener.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.open {
		c.Close()
	}
}

// newFleetAlone prepares nodes on a database of their own, which nobody takes
// from them; end stops both and leaves nothing.
func newFleetAlone(binary string) (f *fleet, end func(), err error) {
	dir, err := os.MkdirTemp("", "readmit-torture-*")
	if err != nil {
		return nil, nil, err
	}
	database, err := pgtest.Start()
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	clean := func() {
		database.Stop()
		os.RemoveAll(dir)
	}
	name, err := database.Database()
	if err == nil {
		f, err = newFleet(binary, dir, database.URL(name))
	}
	if err != nil {
		clean()
		return nil, nil, err
	}
	return f, func() { f.stop(); clean() }, nil
}

// fleetOn starts nodes on a database that has a standby or gets one; end stops
// them and leaves nothing of them.
func (t *torture) fleetOn(ctx context.Context, d *shared) (f *fleet, end func(), err error) {
	dir, err := os.MkdirTemp("", "readmit-torture-*")
	if err != nil {
		return nil, nil, err
	}
	if f, err = newFleet(t.binary, dir, d.address()); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	end = func() {
		f.stop()
		os.RemoveAll(dir)
	}
	if err := f.start(ctx); err != nil {
		end()
		return nil, nil, err
	}
	return f, end, nil
}

// nodesKilled kills nodes, one after the other, while people sign in and repeat
// what is not answered; then accounts have histories while nodes are killed and
// stopped and the database is lost.
func (t *torture) nodesKilled(ctx context.Context, signIns, told int) (string, error) {
	d, err := newShared()
	if err != nil {
		return "", err
	}
	defer d.stop()
	f, end, err := t.fleetOn(ctx, d)
	if err != nil {
		return "", err
	}
	defer end()
	c := newCrowd(f)
	first, err := c.signIns(ctx, signIns, f.killOne)
	if err != nil {
		return "", err
	}
	h := &hits{fleet: f, database: d}
	second, err := c.histories(ctx, told, h.next)
	return first + "; " + second + ": " + h.String(), err
}

// killOne kills a node and starts it again.
func (f *fleet) killOne(ctx context.Context) error {
	s := f.nodes[rand.IntN(len(f.nodes))]
	s.kill()
	time.Sleep(rand.N(300 * time.Millisecond))
	return s.start(ctx)
}

// hits are the faults of nodes and their database, in turn.
type hits struct {
	fleet    *fleet
	database *shared

	all, killed, halted, lost int
}

func (h *hits) String() string {
	return fmt.Sprintf("%d times a node was killed, %d times one was stopped and went on, %d times the database was killed and its standby promoted", h.killed, h.halted, h.lost)
}

// longestHalt is how long a node is stopped at most: longer than it may answer
// from what it knows.
const longestHalt = 3 * time.Second

func (h *hits) next(ctx context.Context) error {
	h.all++
	switch h.all % 6 {
	case 0:
		h.lost++
		if err := h.database.lose(); err != nil {
			return err
		}
		if err := h.fleet.ready(ctx, back); err != nil {
			return fmt.Errorf("after the standby was promoted: %w", err)
		}
		return h.database.restore()
	case 2, 4:
		h.halted++
		p := h.fleet.nodes[rand.IntN(len(h.fleet.nodes))].process.Process
		if err := halt(p); err != nil {
			return err
		}
		time.Sleep(time.Second + rand.N(longestHalt-time.Second))
		return proceed(p)
	}
	h.killed++
	return h.fleet.killOne(ctx)
}

// signIns lets people sign in again and again while fault hits the service.
func (c *crowd) signIns(ctx context.Context, n int, fault func(context.Context) error) (string, error) {
	people := make([]*person, load)
	for i := range people {
		people[i] = c.join()
		if !persist(ctx, people[i].signUp) {
			return "", errors.New("nobody can sign up")
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hit := make(chan error, 1)
	var faults atomic.Int64
	go func() {
		for {
			select {
			case <-ctx.Done():
				hit <- nil
				return
			case <-time.After(rand.N(time.Second)):
			}
			if err := fault(context.WithoutCancel(ctx)); err != nil {
				hit <- err
				return
			}
			faults.Add(1)
		}
	}()
	var done, repeated, late atomic.Int64
	worst := make([]time.Duration, len(people))
	failed := make([]error, len(people))
	var all sync.WaitGroup
	for who, p := range people {
		all.Go(func() {
			for range n / len(people) {
				began := time.Now()
				for tries := 0; ; tries++ {
					var in api.SignInFinished
					err := p.signIn(ctx, p.first, p.password, api.ForSignIn, &in)
					if refused(err) {
						failed[who] = fmt.Errorf("%w: the right password was refused", errWrong)
						return
					}
					if err == nil {
						break
					}
					repeated.Add(1)
					if time.Since(began) > back {
						late.Add(1)
						break
					}
					time.Sleep(rand.N(50 * time.Millisecond))
				}
				worst[who] = max(worst[who], time.Since(began))
				done.Add(1)
			}
		})
	}
	all.Wait()
	stop()
	err := errors.Join(append(failed, <-hit)...)
	// One in ten thousand may take longer.
	if err == nil && late.Load()*10_000 > done.Load() {
		err = fmt.Errorf("%d of %d sign-ins took more than %s", late.Load(), done.Load(), back)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d sign-ins while nodes were killed %d times: %d took more than %s, %d calls were repeated, the slowest sign-in %.1f s",
		done.Load(), faults.Load(), late.Load(), back, repeated.Load(), slices.Max(worst).Seconds()), nil
}
