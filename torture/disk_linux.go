package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskSize is some times what the people of one run fill, WAL and all.
const diskSize = 64 << 20

// disk is a small file system.
type disk struct {
	kind string
	dir  string
}

// smallDisk mounts one on a folder, which takes the right to mount.
func smallDisk(dir string) (*disk, error) {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		return nil, fmt.Errorf("mount a small tmpfs: %w: run this as root, where mounting is allowed", err)
	}
	return &disk{"64 MiB tmpfs", dir}, nil
}

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill takes all space that is left.
func (d *disk) fill() error {
	f, err := os.Create(d.filler())
	if err != nil {
		return err
	}
	defer f.Close()
	for _, size := range []int{1 << 16, 1 << 12, 1} {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *disk) free() error { return os.Remove(d.filler()) }

func (d *disk) remove() { unix.Unmount(d.dir, unix.MNT_DETACH) }
