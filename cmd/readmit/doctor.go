package main

import "github.com/spf13/cobra"

func newDoctorCommand(e *env) *cobra.Command {
	return &cobra.Command{Use: "doctor", RunE: func(*cobra.Command, []string) error { return nil }}
}
func newUndoCommand(e *env) *cobra.Command {
	return &cobra.Command{Use: "undo", RunE: func(*cobra.Command, []string) error { return nil }}
}
