package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// giveBack lets go of the pages of the program itself that its start has used
// and its work does not: they are the file's, and come back when they are
// touched. Mappings that can be written to are left alone.
func giveBack() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	var from, to uintptr
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[5] != program || fields[1] != "r-xp" && fields[1] != "r--p" {
			continue
		}
		if n, err := fmt.Sscanf(fields[0], "%x-%x", &from, &to); n == 2 && err == nil {
			syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED)
		}
	}
}
