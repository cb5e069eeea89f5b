package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bawn.db")
	s := storetest.Open(t, store.Config{Path: path})
	must(t, s.Migrate(t.Context(), things))
	add(t, s, "a")
	snapshot(t, s)
	must(t, s.Backup(t.Context(), filepath.Join(dir, "copy.db")))
	list, err := os.ReadDir(dir)
	must(t, err)
	if len(list) < 4 {
		t.Errorf("only %v", list)
	}
	for _, e := range list {
		info, err := e.Info()
		must(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bawn.db")
	storetest.Open(t, store.Config{Path: path})
	if _, err := store.Open(t.Context(), store.Config{Path: path}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []store.Config{{}, {Path: "x", DatabaseURL: "postgres://"}} {
		if _, err := store.Open(t.Context(), cfg); err == nil {
			t.Errorf("%+v was opened", cfg)
		}
	}
	_, err := store.Open(t.Context(), store.Config{DatabaseURL: "postgres://u:topsecret@h:notaport/"})
	if err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("a bad URL: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link.db")
	must(t, os.Symlink("/dev/null", link))
	if _, err := store.Open(t.Context(), store.Config{Path: link}); err == nil {
		t.Error("opened a link")
	}
}

// TestDeletedUnderUs: a change to a file that is no longer there is no change,
// and the store does not go on as if nothing had happened.
func TestDeletedUnderUs(t *testing.T) {
	for _, ending := range []string{"", "-wal"} {
		for what, harm := range map[string]func(string) error{
			"deleted": os.Remove,
			"replaced": func(name string) error {
				b, err := os.ReadFile(name)
				return errors.Join(err, os.Remove(name), os.WriteFile(name, b, 0o600))
			},
		} {
			t.Run(what+ending, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "bawn.db")
				s := storetest.Open(t, store.Config{Path: path})
				must(t, s.Migrate(t.Context(), things))
				add(t, s, "a")
				must(t, harm(path+ending))
				if err := s.Update(t.Context(), func(tx *store.Tx) error { return insert(tx, "b") }); err == nil {
					t.Error("a change was acknowledged")
				}
				if s.Healthy() == nil {
					t.Error("the store is healthy")
				}
				if _, err := s.Snapshot(t.Context()); err == nil {
					t.Error("the store still reads")
				}
			})
		}
	}
}

func TestNoSpace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bawn.db")
	s := storetest.Open(t, store.Config{Path: path, MinFree: 1 << 60})
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("a") }); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	if v, err := snapshot(t, s).Version("a"); v != 0 || err != nil {
		t.Errorf("a full disk must not stop reading: %d, %v", v, err)
	}
	must(t, s.Healthy()) // space may come back
}

// TestGoexit: a function that takes the writer's goroutine along fails everything
// loudly instead of leaving all waiting.
func TestGoexit(t *testing.T) {
	s := storetest.SQLite(t)
	if err := s.Update(t.Context(), func(*store.Tx) error { runtime.Goexit(); return nil }); err == nil {
		t.Error("it succeeded")
	}
	if err := s.Update(t.Context(), func(*store.Tx) error { return nil }); err == nil {
		t.Error("the store went on without its writer")
	}
}

// TestCancelWhileWaiting: a caller who stops waiting for his turn gets his answer
// at once, and his change never runs.
func TestCancelWhileWaiting(t *testing.T) {
	s := storetest.SQLite(t)
	must(t, s.Migrate(t.Context(), things))
	entered, release := make(chan bool), make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Update(t.Context(), func(tx *store.Tx) error {
			entered <- true
			<-release
			return insert(tx, "a")
		}); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error)
	go func() {
		answer <- s.Update(ctx, func(tx *store.Tx) error { return insert(tx, "b") })
	}()
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) { // the writer is still held
		t.Errorf("got %v", err)
	}
	release <- true
	wg.Wait()
	add(t, s, "c")
	expect(t, s, "a", "c")
}

// TestLogStaysShort: the log does not grow for ever while somebody always reads.
func TestLogStaysShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bawn.db")
	s := storetest.Open(t, store.Config{Path: path})
	must(t, s.Migrate(t.Context(), things))
	stop := make(chan bool)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(stop)
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n, err := s.Snapshot(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				var count int
				if err := errors.Join(n.QueryRow("SELECT count(*) FROM things").Scan(&count), n.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	body := make([]byte, 1<<20)
	for i := range 120 {
		must(t, s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO things (name, body, n) VALUES (?, ?, 1)", fmt.Sprint(i), body)
			return err
		}))
		info, err := os.Stat(path + "-wal")
		must(t, err)
		if info.Size() > 80<<20 {
			t.Fatalf("after %d MiB the log has %d", i+1, info.Size()>>20)
		}
	}
}

func TestBackup(t *testing.T) {
	s := storetest.SQLite(t)
	must(t, s.Migrate(t.Context(), things))
	add(t, s, "a")
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, s.Backup(t.Context(), path))
	add(t, s, "b")
	if err := s.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing file: %v", err)
	}
	restored := storetest.Open(t, store.Config{Path: path})
	must(t, restored.Migrate(t.Context(), things))
	expect(t, restored, "a")
	expect(t, s, "a", "b")
}

// TestVersionsAfterRestart: numbers go on where they were.
func TestVersionsAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bawn.db")
	var last int64
	for range 3 {
		s := storetest.Open(t, store.Config{Path: path})
		must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tx.Touch("a", "b") }))
		n := snapshot(t, s)
		v, err := n.Versions("a", "b")
		must(t, err)
		if slices.Min(v) <= last {
			t.Errorf("after version %d came %v", last, v)
		}
		last = slices.Max(v)
		must(t, n.Close())
		must(t, s.Close())
	}
}

// TestCrash kills a process in the middle of its commits, several times over one
// file: every acknowledged change is there, and no half of any.
func TestCrash(t *testing.T) {
	if path := os.Getenv("STORE_CRASH_PATH"); path != "" {
		commitForEver(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "bawn.db")
	acknowledged := make(map[string]bool)
	for round := range 4 {
		child := exec.Command(os.Args[0], "-test.run=^TestCrash$", "-test.count=1")
		child.Env = append(os.Environ(), "STORE_CRASH_PATH="+path)
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if name, ok := strings.CutPrefix(lines.Text(), "ok "); ok && strings.HasSuffix(name, ".") {
				acknowledged[name] = true
			}
			if n == 60+41*round {
				must(t, child.Process.Kill())
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}
		s := storetest.Open(t, store.Config{Path: path})
		n := snapshot(t, s)
		all := names(t, n)
		for name := range acknowledged {
			for _, half := range []string{name + "left", name + "right"} {
				if _, found := slices.BinarySearch(all, half); !found {
					t.Errorf("round %d: acknowledged %s is not there", round, half)
				}
			}
		}
		for _, name := range all {
			name = strings.TrimSuffix(strings.TrimSuffix(name, "left"), "right")
			_, left := slices.BinarySearch(all, name+"left")
			_, right := slices.BinarySearch(all, name+"right")
			if v, err := n.Version(name); !left || !right || v == 0 || err != nil {
				t.Errorf("round %d: half of %s is there: left %v, right %v, version %d, %v", round, name, left, right, v, err)
			}
		}
		var verdict string
		must(t, n.QueryRow("PRAGMA integrity_check").Scan(&verdict))
		if verdict != "ok" {
			t.Errorf("round %d: %s", round, verdict)
		}
		must(t, n.Close())
		must(t, s.Close())
	}
	if len(acknowledged) < 200 {
		t.Errorf("only %d changes were acknowledged", len(acknowledged))
	}
}

// commitForEver is the child: changes of three writes each, from many goroutines.
func commitForEver(t *testing.T, path string) {
	s, err := store.Open(t.Context(), store.Config{Path: path})
	must(t, err)
	must(t, s.Migrate(t.Context(), things))
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%d-%d-%d.", os.Getpid(), i, n)
				must(t, s.Update(t.Context(), func(tx *store.Tx) error {
					return errors.Join(insert(tx, name+"left"), tx.Touch(name), insert(tx, name+"right"))
				}))
				fmt.Println("ok " + name)
			}
		})
	}
	wg.Wait()
}

// Versions are in memory for so many keys; the others are looked up, and as right.
func TestManyKeys(t *testing.T) {
	s := storetest.SQLite(t)
	const groups, each = 70, 1000 // more than are kept
	for g := range groups {
		must(t, s.Update(t.Context(), func(tx *store.Tx) error {
			for i := range each {
				if err := tx.Touch(fmt.Sprint("k", g*each+i)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	n := glance(t, s)
	whole := snapshot(t, s)
	for i := 0; i < groups*each; i += 997 {
		key := fmt.Sprint("k", i)
		got, err := n.Version(key)
		must(t, err)
		var want int64
		must(t, whole.QueryRow("SELECT version FROM versions WHERE key = ?", key).Scan(&want))
		if got != want {
			t.Errorf("%s has version %d, not %d", key, got, want)
		}
	}
	if v, err := n.Version("never"); err != nil || v != 0 {
		t.Errorf("a key that was never touched has version %d, %v", v, err)
	}
}
