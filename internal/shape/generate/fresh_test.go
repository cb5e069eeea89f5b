package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommittedFilesAreFresh compares what is committed with what the models give now, in both directions.
func TestCommittedFilesAreFresh(t *testing.T) {
	files, err := Generate("../../../models")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if string(got) != string(want) {
			t.Errorf("%s is stale: run go generate ./internal/shape", name)
		}
		if n := strings.Count(string(want), "\n"); n > 1000 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
	committed, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range committed {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel("..", path)
		if strings.HasPrefix(string(text), "// Code generated") && files[filepath.ToSlash(name)] == nil {
			t.Errorf("%s is generated from no model", name)
		}
	}
}

// TestModelsCarryNoProse keeps the source models' documentation out of the repository.
func TestModelsCarryNoProse(t *testing.T) {
	models, err := filepath.Glob("../../../models/*.json")
	if err != nil || len(models) == 0 {
		t.Fatal("no models", err)
	}
	for _, path := range models {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{`"documentation"`, `"documentationUrl"`, `"deprecatedMessage"`, `"examples"`, "<p>"} {
			if strings.Contains(string(text), key) {
				t.Errorf("%s holds %s", path, key)
			}
		}
	}
}

func TestPatternKeepsItsMeaning(t *testing.T) {
	for from, want := range map[string]string{
		`[\u0009\u000A]+`:    `[\x{0009}\x{000A}]+`,
		`[\u10000-\u10FFFF]`: `[\x{10000}-\x{10FFFF}]`,
		`^.{1,2048}$`:        `^.{1,}$`,
		`[a-z]{1,63}`:        `[a-z]{1,63}`,
	} {
		if got := pattern(from); got != want {
			t.Errorf("pattern(%s) = %s, want %s", from, got, want)
		}
	}
}

func TestConstName(t *testing.T) {
	for value, want := range map[string]string{
		"aws:kms": "KindAwsKms", "SYMMETRIC_DEFAULT": "KindSymmetricDefault", "RSA_2048": "KindRsa2048", "Enabled": "KindEnabled",
		"ml.m5.large": "KindMlM5Large", "us-east-1": "KindUsEast1",
	} {
		if got := constName("kind", value); got != want {
			t.Errorf("constName(%s) = %s, want %s", value, got, want)
		}
	}
}
