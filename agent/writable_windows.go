package agent

import "os"

// writable sees that there is one; who may write it is in lists that only
// writing tries.
func writable(path string) error {
	_, err := os.Lstat(path)
	return err
}
