package postgres

import "io/fs"

// private has nothing to see: who may read a file is not in its mode here.
func private(string, fs.FileInfo) error { return nil }
