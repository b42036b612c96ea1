package doctor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Aside plans to move a file or a folder aside as it is now; fs.ErrNotExist
// when there is none.
func (j *Journal) Aside(path string) (Aside, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Aside{}, err
	}
	sum, err := TreeSum(path)
	if err == nil && sum == "none" {
		err = fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return Aside{path, sum}, err
}

// TreeSum is the hex SHA-256 over the names, modes and contents of a file or of
// everything in a folder; "none" where there is nothing. Links are not followed.
func TreeSum(root string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %o\n", filepath.ToSlash(name), info.Mode())
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			fmt.Fprintf(sum, "%q\n", to)
			return err
		case info.Mode().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			n, err := io.Copy(sum, f)
			fmt.Fprintf(sum, "\n%d\n", n)
			return err
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Lstat(root); errors.Is(gone, fs.ErrNotExist) {
			return "none", nil
		}
	}
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
