package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fromHistory is the word that stands for the version before as the clone has it.
const fromHistory = "history"

// buildTime is how long the version before may take to build.
const buildTime = 10 * time.Minute

// errNoHistory: the version before cannot be had here.
var errNoHistory = errors.New("the version before cannot be built here")

// previous builds the last version with the schema before this one from the
// clone's history, into dir.
func previous(ctx context.Context, dir string) (program string, err error) {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	const migrations = "store/postgres/migrations"
	steps, err := filepath.Glob(migrations + "/*.sql")
	if err != nil || len(steps) == 0 {
		return "", fmt.Errorf("%w: run it at the root of the clone", errNoHistory)
	}
	number, _, _ := strings.Cut(filepath.Base(steps[len(steps)-1]), "_")
	added, err := command(ctx, ".", "git", "log", "--diff-filter=A", "--format=%H", "--", migrations+"/"+number+"_*")
	commits := strings.Fields(added)
	if err != nil || len(commits) == 0 {
		return "", fmt.Errorf("%w: the history does not say where schema %s came", errNoHistory, number)
	}
	// In a clone that was cut off, the first commit adds everything and comes after none.
	before, err := command(ctx, ".", "git", "rev-parse", "--verify", "--quiet", commits[len(commits)-1]+"~1^{commit}")
	if err != nil {
		return "", fmt.Errorf("%w: the history ends before schema %s", errNoHistory, number)
	}
	tree := filepath.Join(dir, "tree")
	if _, err := command(ctx, ".", "git", "worktree", "add", "--detach", tree, strings.TrimSpace(before)); err != nil {
		return "", fmt.Errorf("%w: %w", errNoHistory, err)
	}
	defer func() {
		_, undone := command(context.WithoutCancel(ctx), ".", "git", "worktree", "remove", "--force", tree)
		err = errors.Join(err, undone)
	}()
	// What npm makes of the pages need not be of that time: no page is opened.
	if err := os.CopyFS(filepath.Join(tree, "web/static/dist"), os.DirFS("web/static/dist")); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "readmit")
	if _, err := command(ctx, tree, "go", "build", "-o", program, "./cmd/readmit"); err != nil {
		return "", fmt.Errorf("%w: %w", errNoHistory, err)
	}
	return program, nil
}

// command runs one in a folder and returns what it wrote.
func command(ctx context.Context, in, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = in
	out, err := c.Output()
	if err != nil {
		said := ""
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			said = strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said)
	}
	return string(out), nil
}
