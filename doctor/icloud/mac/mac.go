// Package mac examines and repairs iCloud on a Mac.
package mac
