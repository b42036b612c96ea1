package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrVersion: not a version.
var ErrVersion = errors.New("not a version: want up to four numbers with dots between them, such as 1.2.0")

// Version is a dotted version of up to four numbers. What is left out is zero.
type Version [4]uint32

// ParseVersion reads a version. What follows a hyphen or plus sign ("1.2.0-dev")
// is not part of its rank.
func ParseVersion(s string) (Version, error) {
	var v Version
	s, _, _ = strings.Cut(s, "-")
	s, _, _ = strings.Cut(s, "+")
	parts := strings.Split(s, ".")
	if len(parts) > len(v) {
		return Version{}, ErrVersion
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 30)
		if err != nil || len(p) > 9 {
			return Version{}, ErrVersion
		}
		v[i] = uint32(n)
	}
	return v, nil
}

// Compare is negative when v is older than w, positive when it is newer.
func (v Version) Compare(w Version) int {
	for i := range v {
		if v[i] != w[i] {
			if v[i] < w[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// String writes three numbers, or four where the fourth counts.
func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
	if v[3] != 0 {
		s += fmt.Sprintf(".%d", v[3])
	}
	return s
}

// MarshalJSON writes the version as a string.
func (v Version) MarshalJSON() ([]byte, error) { return json.Marshal(v.String()) }

// UnmarshalJSON reads a string. It returns ErrVersion.
func (v *Version) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return ErrVersion
	}
	p, err := ParseVersion(s)
	*v = p
	return err
}
