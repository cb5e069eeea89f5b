package apitest

import (
	"os"
	"path/filepath"
	"testing"
)

// Markers are random bytes as often as words: lines and NULs within them are as good
// as any other byte.
func TestMarkersAreAnyBytes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for marker, other := range map[string]string{"\nmarker": "\nanother", "mark\nmark": "mark\ncram", "a\x00mark": "a\x00cram", "marker\n": "another\n"} {
		for _, form := range Forms(marker) {
			if err := os.WriteFile(file, []byte("before\n\x00"+form+"\nafter"), 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := Holds(file, Forms(marker)); err != nil || !found {
				t.Errorf("%q as %q is not found: %v", marker, form, err)
			}
			if found, err := Holds(file, Forms(other)); err != nil || found {
				t.Errorf("%q is found in %q: %v", other, form, err)
			}
		}
	}
}
