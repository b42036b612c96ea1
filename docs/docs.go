// Package docs embeds the pages that the account server serves: one for each
// cause, where the type of a refusal points.
package docs

import "embed"

// Causes holds causes/<code>.md for every row of the table of causes.
//
//go:embed causes/*.md
var Causes embed.FS
