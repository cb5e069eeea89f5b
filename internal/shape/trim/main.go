// Command trim reduces public API models to the operations and members that a selection names. It is run by a developer when a
// selection changes; its results are committed and reviewed. It trusts the model directory that it is given, keeps only listed
// keys of the model, and so copies facts and no prose.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func main() {
	models := flag.String("models", "models", "directory of the selections and of the result")
	source := flag.String("source", "", "directory with <service>/<version>/service-2.json.gz")
	flag.Parse()
	if err := run(*models, *source); err != nil {
		fmt.Fprintln(os.Stderr, "trim:", err)
		os.Exit(1)
	}
}

func run(models, source string) error {
	selections, err := filepath.Glob(filepath.Join(models, "*.txt"))
	if err != nil || len(selections) == 0 {
		return fmt.Errorf("no selection in %s", models)
	}
	for _, file := range selections {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if err := trimFile(file, filepath.Join(models, name+".json"), filepath.Join(source, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func trimFile(selection, target, source string) error {
	text, err := os.ReadFile(selection)
	if err != nil {
		return err
	}
	sel, err := parseSelection(string(text))
	if err != nil {
		return err
	}
	full, err := readModel(source)
	if err != nil {
		return err
	}
	small, err := trim(full, sel)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(small); err != nil {
		return err
	}
	return os.WriteFile(target, out.Bytes(), 0o644)
}

func readModel(dir string) (object, error) {
	versions, err := filepath.Glob(filepath.Join(dir, "*", "service-2.json.gz"))
	if err != nil || len(versions) == 0 {
		return nil, fmt.Errorf("no model in %s", dir)
	}
	sort.Strings(versions)
	f, err := os.Open(versions[len(versions)-1])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(z)
	dec.UseNumber()
	var m object
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	return m, nil
}
