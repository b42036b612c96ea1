// The rclone peer writes rclone.conf with rclone's own code, for the tests of
// doctor/icloud/clients to read.
//
//	rclone-peer FILE [PASSWORD] < remotes.json
//
// The remotes are an object of objects, {"name": {"key": "value"}}; the value
// of "password" is obscured as rclone obscures it. With PASSWORD the whole file
// is encrypted. Everything that comes in is planted by a test.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/rclone/rclone/fs/config"
	"github.com/rclone/rclone/fs/config/configfile"
	"github.com/rclone/rclone/fs/config/obscure"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fmt.Errorf("rclone-peer FILE [PASSWORD]")
	}
	var remotes map[string]map[string]string
	if err := json.NewDecoder(os.Stdin).Decode(&remotes); err != nil {
		return err
	}
	if err := config.SetConfigPath(args[0]); err != nil {
		return err
	}
	configfile.Install()
	if len(args) == 2 {
		if err := config.SetConfigPassword(args[1]); err != nil {
			return err
		}
	}
	store := config.Data()
	if err := store.Load(); err != nil && !errors.Is(err, config.ErrorConfigFileNotFound) {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(remotes)) {
		for _, key := range slices.Sorted(maps.Keys(remotes[name])) {
			value := remotes[name][key]
			if key == "password" {
				var err error
				if value, err = obscure.Obscure(value); err != nil {
					return err
				}
			}
			store.SetValue(name, key, value)
		}
	}
	return store.Save()
}
