// Package clients reads, offline, what the open iCloud clients keep of a sign-in:
// icloudpd, pyicloud, icloudpy (and icloud-docker), docker-icloudpd, icloud3 and
// rclone. It opens their files for reading, and nothing else: no program is run,
// nothing is asked of a network.
//
// Of a cookie, a token or a password it keeps whether there is one, of which
// form it is and when it ends; the value itself goes no further than the reader.
package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// The clients, each a word of cause.CheckClient, in the order they are told.
const (
	icloudpd = "icloudpd"
	pyicloud = "pyicloud"
	icloudpy = "icloudpy"
	docker   = "docker-icloudpd"
	icloud3  = "icloud3"
	rclone   = "rclone"
)

// Names lists the clients that Find knows.
func Names() []string { return []string{icloudpd, pyicloud, icloudpy, docker, icloud3, rclone} }

// ErrClient: the client asked for is none that is known.
var ErrClient = errors.New("unknown client")

// ErrState: the path that was given holds no state of a known client.
var ErrState = errors.New("no state of a known client")

// Find looks for clients on the machine and gives a subject for each account in
// each of them. An empty client means all; an empty state means the places where
// the clients keep it by default, otherwise it is a folder or a file of one. With
// a state that holds nothing of a client it returns ErrState.
func Find(ctx context.Context, m Machine, client, state string) ([]doctor.Subject, error) {
	if client == "icloud-docker" {
		client = icloudpy
	}
	if client != "" && !slices.Contains(Names(), client) {
		return nil, fmt.Errorf("%w: give one of %s", ErrClient, strings.Join(Names(), ", "))
	}
	var found []*kept
	if state != "" {
		var err error
		if found, err = m.given(client, state); err != nil {
			return nil, err
		}
	} else {
		found = m.defaults(ctx, client)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found = distinct(found)
	countSharers(found)
	slices.SortStableFunc(found, func(a, b *kept) int {
		return cmp.Or(
			slices.Index(Names(), a.client)-slices.Index(Names(), b.client),
			strings.Compare(a.folder, b.folder), strings.Compare(a.key, b.key))
	})
	var subjects []doctor.Subject
	for _, k := range found {
		subjects = append(subjects, doctor.Subject{Client: k.client, Account: k.account, Checks: k.checks(m), Plan: k.plan})
	}
	return subjects, nil
}

// distinct leaves one of those that were found by two ways.
func distinct(all []*kept) []*kept {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(k *kept) bool {
		id := k.client + "\x00" + resolved(k.folder) + "\x00" + k.key
		was := seen[id]
		seen[id] = true
		return was
	})
}

// countSharers tells each how many clients of this machine use its account. Two
// whose names for the account differ only in what a file name leaves out are taken
// for one account.
func countSharers(all []*kept) {
	n := map[string]int{}
	for _, k := range all {
		if k.key != "" {
			n[slug(k.key)]++
		}
	}
	for _, k := range all {
		k.sharers = max(1, n[slug(k.key)])
	}
}

// note is a fact that this device has seen.
func note(c cause.Check, want, got cause.Value) cause.Fact {
	return cause.Note(c, want, got, cause.ByDevice)
}

// only is a fact that says what was found, without comparing it.
func only(c cause.Check, got cause.Value) cause.Fact {
	return note(c, cause.Value{}, got)
}
