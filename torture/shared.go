package main

import (
	"errors"
	"fmt"

	"readmit.dev/readmit/store/postgres/pgtest"
)

// shared is a PostgreSQL with a synchronous standby, and an empty database in
// it. Nodes are told of two places, and use the one that takes writes.
type shared struct {
	primary, standby *pgtest.Cluster
	places           [2]int // the ports of both, whichever is which
	name             string
}

func newShared() (_ *shared, err error) {
	d := &shared{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	if d.primary, err = pgtest.Start(); err != nil {
		return nil, err
	}
	if d.name, err = d.primary.Database(); err != nil {
		return nil, err
	}
	if d.standby, err = d.primary.Standby(); err != nil {
		return nil, err
	}
	d.places = [2]int{d.primary.Port, d.standby.Port}
	return d, d.primary.Synchronous()
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
