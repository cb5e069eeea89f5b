package export_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bawn.dev/internal/export"
	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

func TestFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		for name, test := range map[string]func(*rig, string){
			"Follows":      follows,
			"Rotated":      rotated,
			"OthersWrite":  othersWrite,
			"AfterPruning": afterPruning,
			"Refused":      refusedFiles,
		} {
			t.Run(name, func(t *testing.T) { test(newRig(t, open(t)), filepath.Join(t.TempDir(), "events.jsonl")) })
		}
	})
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func follows(r *rig, path string) {
	r.act(10)
	e, stop := r.running(path)
	r.settled(e)
	r.act(600)
	r.settled(e)
	stop()
	r.act(7)
	r.exported(path)
	r.exported(path)
	same(r, read(r, path), r.all())
	info, err := os.Stat(path)
	must(r, err)
	if info.Mode().Perm() != 0o600 {
		r.Errorf("its mode is %v", info.Mode())
	}
	// Another destination begins with the oldest.
	other := path + ".other"
	r.exported(other)
	same(r, read(r, other), r.all())
}

// TestKilledAtEveryByte leaves what a server leaves that is killed after it wrote some of what
// it was to write, or all, and before it noted that.
func TestKilledAtEveryByte(t *testing.T) {
	r, path := newRig(t, storetest.SQLite(t)), filepath.Join(t.TempDir(), "events.jsonl")
	r.act(2)
	r.exported(path)
	begin := len(read(r, path))
	r.sql("CREATE TABLE noted AS SELECT * FROM export_cursors")
	r.act(3)
	r.exported(path)
	want := read(r, path)
	for end := len(want); end >= begin; end-- {
		must(r, os.Truncate(path, int64(end)))
		r.sql("DELETE FROM export_cursors")
		r.sql("INSERT INTO export_cursors SELECT * FROM noted")
		if end%64 == 0 { // more happened meanwhile
			r.act(1)
			want = r.all()
		}
		r.exported(path)
		if got := read(r, path); got != want {
			same(r, got, want)
			r.Fatalf("it was cut off at %d of %d", end, len(want))
		}
	}
	for end := len(want); end >= 0; end -= 111 { // in the very first
		must(r, os.Truncate(path, int64(end)))
		r.sql("UPDATE export_cursors SET seq = 0, size = 0")
		r.exported(path)
		same(r, read(r, path), want)
	}
}

func rotated(r *rig, path string) {
	e, stop := r.running(path)
	var parts []string
	for i := range 4 {
		r.act(100)
		r.settled(e)
		part := path + "." + string(rune('0'+i))
		must(r, os.Rename(path, part))
		parts = append(parts, part)
		if i == 1 { // logrotate's create
			must(r, os.WriteFile(path, nil, 0o640))
		}
		if i == 2 { // while the server is away
			stop()
			e, stop = r.running(path)
		}
	}
	r.act(50)
	r.settled(e)
	stop()
	var text string
	for _, part := range append(parts, path) {
		text += read(r, part)
	}
	same(r, text, r.all())
}

// Whatever else is in the file stays, and a line begins where one ends.
func othersWrite(r *rig, path string) {
	must(r, os.WriteFile(path, []byte("before"), 0o600))
	r.act(3)
	r.exported(path)
	same(r, read(r, path), "before\n"+r.all())
	first := r.all()

	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(r, err)
	_, err = f.WriteString("between, a partial li")
	must(r, err)
	must(r, f.Close())
	r.act(3)
	r.exported(path)
	same(r, read(r, path), "before\n"+first+"between, a partial li\n"+strings.TrimPrefix(r.all(), first))

	must(r, os.Truncate(path, 0)) // copytruncate
	second := r.all()
	r.act(2)
	r.exported(path)
	same(r, read(r, path), strings.TrimPrefix(r.all(), second))
}

// A destination that is new, or was not wanted for a while, gets what is left, and it is
// told that more is gone.
func afterPruning(r *rig, path string) {
	r.act(10)
	r.exported(path)
	first := r.all()
	r.act(10)
	r.act(10)
	_, err := r.trail.Prune(r.Context(), trail.Retention{
		Before: noon.AddDate(0, 0, 1), Last: 20,
		State: func(_ ledger.Pruning, statement []byte) (*trail.Record, error) {
			raw, err := json.Marshal(map[string]string{"statement": string(statement)})
			return &trail.Record{EventTime: noon, EventSource: "bawn", EventName: ledger.PruneEvent, Account: operator, RequestParameters: raw}, err
		},
	})
	must(r, err)
	if strings.Contains(r.log.String(), "never exported") {
		r.Errorf("too early it said\n%s", r.log)
	}
	for i, to := range []string{path, path + ".new", path} {
		r.exported(to)
		if n := strings.Count(r.log.String(), "never exported here"); n != min(i+1, 2) {
			r.Errorf("%d times it said\n%s", n, r.log)
		}
	}
	if n := strings.Count(r.all(), "\n"); n != 11 {
		r.Errorf("%d records are left", n)
	}
	same(r, read(r, path), first+r.all())
	same(r, read(r, path+".new"), r.all())
}

func refusedFiles(r *rig, path string) {
	for _, to := range []string{"events.jsonl", "", "unix:", "unix:run/x", path + "/../x", "./x"} {
		if err := export.Check(to); err == nil {
			r.Errorf("%q is taken", to)
		}
	}
	// What is no file of its own is not written to; and it is waited for what can be.
	target, link, pipe := path+".target", path+".link", path+".pipe"
	must(r, os.WriteFile(target, []byte("precious"), 0o600))
	must(r, os.Symlink(target, link))
	must(r, syscall.Mkfifo(pipe, 0o600))
	r.act(3)
	for _, to := range []string{link, pipe, filepath.Dir(path), filepath.Join(path, "missing", "x")} {
		e, stop := r.running(to)
		for r.status(e).Trouble == "" {
		}
		if s := r.status(e); s.Behind != 3 || s.Seq != 0 {
			r.Errorf("%s: %+v", to, s)
		}
		stop()
	}
	if got := read(r, target); got != "precious" {
		r.Errorf("through a link it wrote %q", got)
	}
	e, stop := r.running(filepath.Join(path, "x"))
	for r.status(e).Trouble == "" {
	}
	must(r, os.Mkdir(path, 0o700))
	r.settled(e)
	stop()
	same(r, read(r, filepath.Join(path, "x")), r.all())
	if said := r.log.String(); strings.Count(said, "the record is not exported") != 5 || strings.Count(said, "exported again") != 1 {
		r.Errorf("it said\n%s", said)
	}
}

// A full disk holds the export up, loses nothing, repeats nothing and is told once.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "bawn-test", dir).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be made here: %v %s", err, out)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) }) //nolint:errcheck // as good as it gets
	r := newRig(t, storetest.SQLite(t))
	path := filepath.Join(dir, "events.jsonl")
	e, stop := r.running(path)
	r.act(300)
	for r.status(e).Trouble == "" {
	}
	r.act(300) // calls go on
	if out, err := exec.Command("mount", "-o", "remount,size=8m", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	r.settled(e)
	stop()
	same(t, read(t, path), r.all())
	if n := strings.Count(r.log.String(), "not exported"); n != 1 {
		t.Errorf("it was told %d times\n%s", n, r.log)
	}
}

// A hundred thousand events come in order, each once, while they happen.
func TestMany(t *testing.T) {
	r := newRig(t, storetest.SQLite(t))
	path := filepath.Join(t.TempDir(), "events.jsonl")
	e, stop := r.running(path)
	for range 20 {
		r.act(5_000)
	}
	r.settled(e)
	stop()
	text := read(t, path)
	if n := strings.Count(text, "\n"); n != 100_000 {
		t.Errorf("%d lines", n)
	}
	same(t, text, r.all())
}
