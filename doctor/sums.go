package doctor

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// settled is how long everything in a folder must have been left alone before
// what the disk says of it stands for its content: file systems count time in
// steps, and two changes within one look like one.
const settled = 2 * time.Second

// sums are those of the trees that one repair has read, so that none is read
// again while nothing in it has changed. They last as long as the repair, from
// the reading that compares with what was shown: what was interrupted, or was
// shown a while ago, is read anew.
type sums struct {
	known map[string]known
	read  func(path string) // told of each reading; nil but in tests
}

type known struct{ sum, stamp string }

// of is the TreeSum of what is there now.
func (s *sums) of(path string) (string, error) {
	before := stamp(path, time.Now())
	if k, ok := s.known[path]; ok && before != "" && k.stamp == before {
		return k.sum, nil
	}
	if s.read != nil {
		s.read(path)
	}
	sum, err := TreeSum(path)
	if err != nil {
		return "", err
	}
	if s.known == nil {
		s.known = map[string]known{}
	}
	s.known[path] = known{sum, before}
	return sum, nil
}

// moved says that what lay at one path lies at another.
func (s *sums) moved(from, to string) {
	if k, ok := s.known[from]; ok {
		s.known[to] = k
	}
}

// stamp is all that the disk says of a tree without reading it: names, modes,
// sizes, and which file it is since which change. It is the same wherever the
// tree lies. It is empty where it would say too little: when something changed
// just now, or on a system that does not say when.
func stamp(root string, now time.Time) string {
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		of, changed, err := identity(path)
		if err != nil {
			return err
		}
		if d.IsDir() { // what is in it has lines of its own; to move it changes no more
			fmt.Fprintf(&b, "%q %s\n", name, of)
			return nil
		}
		if now.Sub(changed) < settled {
			return fmt.Errorf("%s changed just now", name)
		}
		fmt.Fprintf(&b, "%q %s %d\n", name, of, changed.UnixNano())
		return nil
	})
	if err != nil {
		return ""
	}
	return b.String()
}
