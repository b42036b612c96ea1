// Package pc examines and repairs iCloud for Windows.
package pc
