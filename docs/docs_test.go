package docs

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var languages = []string{"ar", "de"}

// The causes' pages say the same in every language: as many headings, points and
// paragraphs, and the same names of programs, checks and causes.
func TestCausesAreTranslated(t *testing.T) {
	pages, err := fs.Glob(Causes, "causes/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		want := shape(t, page)
		for _, l := range languages {
			at := path.Join("causes", l, path.Base(page))
			for i, got := range shape(t, at) {
				if !slices.Equal(got, want[i]) {
					t.Errorf("%s: %s are\n%q, and in English\n%q", at, []string{"blocks", "names", "links"}[i], got, want[i])
				}
			}
		}
	}
	for _, l := range languages {
		there, err := fs.Glob(Causes, path.Join("causes", l, "*.md"))
		if err != nil || len(there) != len(pages) {
			t.Errorf("%s has %d pages of causes, English has %d (%v)", l, len(there), len(pages), err)
		}
	}
}

// Where the English changes, its translations are read again, and then this sum
// is renewed.
func TestCausesAreTranslatedAnew(t *testing.T) {
	const translated = "906737d00b00ee6a"
	pages, err := fs.Glob(Causes, "causes/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := sha256.New()
	for _, page := range pages {
		b, err := Causes.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	if sum := hex.EncodeToString(all.Sum(nil)[:8]); sum != translated {
		t.Errorf("the pages of the causes have changed: bring docs/causes/de and docs/causes/ar in line, then write %s here", sum)
	}
}

// shape is what stays as it is in another language: the kinds of a page's blocks
// in their order, its names in code and its links, these by the alphabet.
func shape(t *testing.T, page string) [3][]string {
	t.Helper()
	b, err := Causes.ReadFile(page)
	if err != nil {
		t.Error(err)
		return [3][]string{}
	}
	var out [3][]string
	number := regexp.MustCompile(`^\d+\. `)
	for line := range strings.SplitSeq(string(b), "\n") {
		switch {
		case line == "":
		case line[0] == '#':
			out[0] = append(out[0], line[:strings.IndexByte(line, ' ')])
		case strings.HasPrefix(line, "- "):
			out[0] = append(out[0], "point")
		case number.MatchString(line):
			out[0] = append(out[0], "step")
		default:
			out[0] = append(out[0], "text")
		}
	}
	out[1] = regexp.MustCompile("`[^`]+`").FindAllString(string(b), -1)
	out[2] = regexp.MustCompile(`\]\([^)]+\)`).FindAllString(string(b), -1)
	slices.Sort(out[1])
	slices.Sort(out[2])
	return out
}
