// Package docs embeds the pages that the account server serves: one for each
// cause, where the type of a refusal points.
package docs

import "embed"

// Causes holds causes/<code>.md for every row of the table of causes, and the
// same in other languages as causes/<language>/<code>.md.
//
//go:embed causes/*.md causes/*/*.md
var Causes embed.FS
