package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What was told is there, in order, whoever told it at the same time; what a crash left
// of a line is not.
func TestJournal(t *testing.T) {
	data := t.TempDir()
	j, err := OpenJournal(data)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if empty, err := j.After(0); err != nil || len(empty.Deeds) != 0 {
		t.Fatalf("%+v, %v", empty, err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			other, err := OpenJournal(data)
			if err != nil {
				t.Error(err)
				return
			}
			defer other.Close()
			for range 50 {
				if err := other.Tell(time.Now(), "root", "ImportImage", map[string]string{"name": "a\nb"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	path := filepath.Join(data, "host", journalFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(slices.Clone(whole), `{"seq":201,"ti`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := j.Tell(time.Now(), "root", "StopHost", nil); err != nil {
		t.Fatal(err)
	}
	id, seq := "", int64(0)
	for {
		page, err := j.After(seq)
		if err != nil {
			t.Fatal(err)
		}
		if id != "" && page.Journal != id {
			t.Errorf("it is called %s and %s", id, page.Journal)
		}
		if id = page.Journal; len(page.Deeds) == 0 {
			break
		}
		for _, d := range page.Deeds {
			if seq++; d.Seq != seq || d.Operator != "root" {
				t.Errorf("%+v is number %d", d, seq)
			}
		}
	}
	if seq != 201 {
		t.Errorf("%d deeds", seq)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(whole), `"seq":7,`, `"seq":8,`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := j.After(100); err == nil {
		t.Error("a journal of which a line is missing is read")
	}
}

// Root follows no link out of the directory.
func TestJournalStaysInside(t *testing.T) {
	data, outside := t.TempDir(), filepath.Join(t.TempDir(), "theirs")
	if err := os.Mkdir(filepath.Join(data, "host"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(data, "host", journalFile)); err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(data)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Tell(time.Now(), "root", "StartHost", nil); err == nil {
		t.Error("it wrote through a link")
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("it made a file outside")
	}
}
