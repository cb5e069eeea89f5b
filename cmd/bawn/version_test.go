package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The binary that is released holds the certified module, with its mode on, and says
// so; when its mode is turned off it says that as plainly.
func TestVersionTellsTheModule(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "bawn")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "GOFIPS140=certified", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for debug, mode := range map[string]string{"": "on", "fips140=on": "on", "fips140=off": "OFF"} {
		cmd := exec.Command(binary, "version", "--output", "json")
		cmd.Env = append(os.Environ(), "GODEBUG="+debug)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var told map[string]string
		if err := json.Unmarshal(out, &told); err != nil {
			t.Fatal(err)
		}
		if told["crypto"] != "Go Cryptographic Module v1.0.0-c2097c7c, FIPS 140-3 mode "+mode || !strings.HasPrefix(told["go"], "go1.") {
			t.Errorf("started with %q: %v", debug, told)
		}
	}
	if made, err := os.ReadFile("../../Makefile"); err != nil || !strings.Contains(string(made), "\nexport GOFIPS140 := certified\n") {
		t.Errorf("make does not build with the certified module: %v", err)
	}
}
