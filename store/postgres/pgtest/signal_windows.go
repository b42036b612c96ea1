package pgtest

import "os"

func quit(p *os.Process) error { return p.Kill() }
func kill(p *os.Process) error { return p.Kill() }
