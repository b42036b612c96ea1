package main

import (
	"os"

	"golang.org/x/term"
)

// readHidden reads a line from a terminal without showing what is typed.
func readHidden(from *os.File) ([]byte, error) { return term.ReadPassword(int(from.Fd())) }
