// Package guide leads a person through the procedure of signing in to iCloud again.
package guide
