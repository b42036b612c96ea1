package agent

import "errors"

// Versions of the files of a home. The rules:
//
//   - Every version that was ever released is read, for good: testdata/state-N
//     has a home as version N wrote it.
//   - A file is written in the lowest version that says all it has to say. So an
//     older readmit reads on what it would understand, and refuses, without
//     touching anything, only what it would misread.
//   - What a newer version adds without changing the sense of the rest needs no
//     new version; what an older one must not overlook does.
const (
	// firstVersion: secrets in the file.
	firstVersion = 1
	// keysElsewhere: an enrolment whose secrets are in the system's key store. A
	// readmit of version 1 would take it for one that is damaged, and set it aside.
	keysElsewhere = 2

	stateVersion = keysElsewhere // the highest one known
)

// versionOf is the version in which a value is written.
func versionOf(v any) int {
	if i, ok := v.(Identity); ok && i.Entry != "" {
		return keysElsewhere
	}
	return firstVersion
}

// Ours reports with a StateError that a newer readmit wrote one of these files:
// nothing may be put in its place, nor it be taken away.
func (h Home) Ours(names ...string) error {
	for _, name := range names {
		var content any
		if e := new(StateError); errors.As(h.Load(name, &content), &e) && e.Problem == Newer {
			return e
		}
	}
	return nil
}
