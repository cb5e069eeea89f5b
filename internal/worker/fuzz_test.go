package worker

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/spec"
)

// A path that passes is below the volume and not ours, whatever it is joined to.
func FuzzTheirs(f *testing.F) {
	for _, p := range []string{"a", "a/b", "..", "../a", "/a", ".bawn", ".bawn/log", "a/.bawn", "./.bawn", "a/../.bawn", "a\x00", ""} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if !theirs(p) || p == "." {
			return
		}
		joined := filepath.Join("/volume", p)
		if joined != "/volume/"+p || strings.HasPrefix(joined, "/volume/"+ours) || strings.ContainsRune(joined, 0) {
			t.Errorf("%q passes and is %q", p, joined)
		}
	})
}

// A record that cannot be trusted stands for nothing, and a good one for the
// workload that its file is named after.
func FuzzRecord(f *testing.F) {
	id := strings.Repeat("a", 26)
	f.Add([]byte(`{"id":"` + id + `","phase":"prepared"}`))
	f.Add([]byte(`{"id":"` + id + `","id":"` + id + `"}`))
	f.Add([]byte(`{"id":"../../x"}`))
	f.Add([]byte("\x00"))
	dir := f.TempDir()
	w := &Worker{config: Config{Dir: dir, Log: slog.New(slog.DiscardHandler)}}
	if err := os.Mkdir(w.path(recordsName), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(w.recordPath(id), data, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := w.load()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.ID != id || !spec.ValidID(r.ID) {
				t.Errorf("got %+v", r)
			}
		}
		if _, err := os.Lstat(w.recordPath(id)); (err == nil) != (len(all) == 1) {
			t.Errorf("%d records, and the file: %v", len(all), err)
		}
	})
}
