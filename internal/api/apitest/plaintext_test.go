package apitest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"bawn.dev/internal/trail"
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

// An event is stored compressed: a marker in one is found all the same.
func TestMarkersInEventsAreFound(t *testing.T) {
	const marker = "patient eventSource requestParameters"
	rig := New(t, Options{})
	r := &trail.Record{Account: Account, EventName: "Sleep", EventSource: "bawn.dev", UserAgent: marker}
	if err := rig.Trail.Write(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(rig.Dir, "bawn.db")
	if found, err := written(database, Forms(marker)); err != nil || found {
		t.Fatalf("the marker is not changed by compression, and shows nothing: %v", err)
	}
	if found, err := Holds(database, Forms(marker)); err != nil || !found {
		t.Errorf("what an event says is not found: %v", err)
	}
	if found, err := Holds(database, Forms(marker+"s")); err != nil || found {
		t.Errorf("what none says is found: %v", err)
	}
}
