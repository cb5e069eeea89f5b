// Command generate writes the Go structs and descriptors below internal/shape from the trimmed models. It trusts the models, which
// are reviewed and committed, and its result depends on nothing else; a test compares the committed files with a fresh run.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

func main() {
	models := flag.String("models", "models", "directory of the trimmed models")
	out := flag.String("out", "internal/shape", "directory below which the packages are written")
	flag.Parse()
	if err := run(*models, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(models, out string) error {
	files, err := Generate(models)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
