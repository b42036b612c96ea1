package main

import (
	"errors"
	"fmt"
	"net"

	"readmit.dev/readmit/store/postgres/pgtest"
)

// shared is a PostgreSQL with a synchronous standby, and an empty database in
// it. Nodes are told of two places, and use the one that takes writes.
type shared struct {
	primary, standby *pgtest.Cluster
	places           [2]int // the ports of both, whichever is which
	name             string
}

func newShared() (*shared, error) {
	d, err := newPrimary()
	if err == nil {
		err = d.follow()
	}
	if err != nil && d != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, err
}

// newPrimary is one without its standby, whose place is taken.
func newPrimary() (_ *shared, err error) {
	d := &shared{}
	if d.primary, err = pgtest.Start(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		d.places = [2]int{d.primary.Port, l.Addr().(*net.TCPAddr).Port}
		l.Close()
		d.name, err = d.primary.Database()
	}
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// follow makes the standby, and each commit from then on wait for it.
func (d *shared) follow() (err error) {
	if d.standby, err = d.primary.StandbyAt(d.places[1]); err != nil {
		return err
	}
	return d.primary.Synchronous()
}

func (d *shared) address() string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d,127.0.0.1:%d/%s?target_session_attrs=read-write", pgtest.Owner, d.places[0], d.places[1], d.name)
}

// lose kills the primary and promotes its standby.
func (d *shared) lose() error {
	if err := d.primary.Kill(); err != nil {
		return err
	}
	return d.standby.Promote()
}

// restore begins what was the primary anew, as the standby, at its place.
func (d *shared) restore() (err error) {
	port := d.primary.Port
	if err := d.primary.Stop(); err != nil {
		return err
	}
	d.primary, d.standby = d.standby, nil
	if d.standby, err = d.primary.StandbyAt(port); err != nil {
		return err
	}
	return d.primary.Synchronous()
}

func (d *shared) stop() error {
	var all []error
	for _, c := range []*pgtest.Cluster{d.primary, d.standby} {
		if c != nil {
			all = append(all, c.Stop())
		}
	}
	return errors.Join(all...)
}
