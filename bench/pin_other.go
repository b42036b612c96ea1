//go:build !linux

package main

import "os/exec"

// pin does nothing here: only Linux is asked for its cores.
func pin() (cores, error) { return cores{}, nil }

func (cores) startOn(cmd *exec.Cmd) error { return cmd.Start() }

func (cores) unpinned(start func() error) error { return start() }
