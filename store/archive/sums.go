// Package archive copies a store as it is: into another one, or into a file
// and back. What was copied is held against its source by the number of rows
// and a sum of their hashes, table by table.
package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"readmit.dev/readmit/store"
)

// Sum is what one table holds.
type Sum struct {
	Columns []string `json:"columns"` // by name
	Rows    int64    `json:"rows"`
	Hash    string   `json:"hash"` // the sum of the rows' SHA-256, modulo 2^256, in hex: no order of rows is the right one
}

// Sums are the tables of a store.
type Sums map[string]Sum

// tally adds rows up.
type tally struct {
	tables map[string]*table
}

type table struct {
	columns []string // by name
	order   []int    // of the row's columns, by name
	given   []string
	rows    int64
	sum     big.Int
}

var modulus = new(big.Int).Lsh(big.NewInt(1), 256)

func newTally() *tally { return &tally{map[string]*table{}} }

func (t *tally) add(r store.Row) error {
	at := t.tables[r.Table]
	if at == nil {
		at = &table{}
		t.tables[r.Table] = at
	}
	if !slices.Equal(at.given, r.Columns) {
		at.given = slices.Clone(r.Columns)
		at.order = make([]int, len(r.Columns))
		for i := range at.order {
			at.order[i] = i
		}
		slices.SortFunc(at.order, func(a, b int) int {
			switch {
			case r.Columns[a] < r.Columns[b]:
				return -1
			case r.Columns[a] > r.Columns[b]:
				return 1
			}
			return 0
		})
		names := slices.Sorted(slices.Values(r.Columns))
		if at.columns != nil && !slices.Equal(at.columns, names) {
			return fmt.Errorf("table %s has columns %v and %v", r.Table, at.columns, names)
		}
		at.columns = names
	}
	h := sha256.New()
	var size [9]byte
	for _, i := range at.order {
		var b []byte
		switch v := r.Values[i].(type) {
		case []byte:
			size[0], b = 'b', v
		case string:
			size[0], b = 's', []byte(v)
		case int64:
			size[0], b = 'i', binary.BigEndian.AppendUint64(nil, uint64(v))
		default:
			return fmt.Errorf("table %s, column %s: a value of type %T", r.Table, r.Columns[i], v)
		}
		binary.BigEndian.PutUint64(size[1:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	at.rows++
	at.sum.Add(&at.sum, new(big.Int).SetBytes(h.Sum(nil)))
	at.sum.Mod(&at.sum, modulus)
	return nil
}

func (t *tally) sums() Sums {
	s := Sums{}
	for name, at := range t.tables {
		b := make([]byte, 32)
		s[name] = Sum{at.columns, at.rows, hex.EncodeToString(at.sum.FillBytes(b))}
	}
	return s
}

// Rows is how many there are in all.
func (s Sums) Rows() (n int64) {
	for _, t := range s {
		n += t.Rows
	}
	return n
}

// Differ says in which table two stores are not the same, and how; nil where
// they are.
func (s Sums) Differ(other Sums) error {
	for _, name := range slices.Sorted(maps.Keys(union(s, other))) {
		a, b := s[name], other[name]
		switch {
		case a.Rows != b.Rows:
			return fmt.Errorf("table %s has %d rows, and its copy %d", name, a.Rows, b.Rows)
		case a.Hash != b.Hash:
			return fmt.Errorf("table %s has %d rows, and some differ in its copy", name, a.Rows)
		}
	}
	return nil
}

func union(a, b Sums) Sums {
	all := maps.Clone(a)
	if all == nil {
		all = Sums{}
	}
	maps.Copy(all, b)
	return all
}
