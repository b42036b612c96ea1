//go:build unix

package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readHidden reads a line from a terminal without showing what is typed. It is
// ours because term.ReadPassword waits on at Ctrl-D.
func readHidden(from *os.File) ([]byte, error) {
	fd := int(from.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, setTermios, &hidden); err != nil {
		return nil, err
	}
	defer unix.IoctlSetTermios(fd, setTermios, before)
	var line []byte
	// One at a time: what comes after the line is for the next question.
	for one := make([]byte, 1); len(line) < maxSecret; {
		_, err := from.Read(one)
		switch {
		case err == io.EOF && len(line) > 0:
			return line, nil
		case err != nil:
			return nil, err
		case one[0] == '\n':
			return line, nil
		}
		line = append(line, one[0])
	}
	return line, nil
}
