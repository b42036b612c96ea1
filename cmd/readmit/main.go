// Readmit says why a device cannot sign in, to the person whose account it is,
// and gets the device back in. This program is the account server, the device
// and the operator's tool; every command is one file here.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), programArguments(), os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}
