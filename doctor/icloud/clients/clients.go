// Package clients reads, offline, what the open iCloud clients keep of a sign-in.
package clients
