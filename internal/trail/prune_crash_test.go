package trail_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

// TestPruneCrash kills a process that appends, seals and prunes. Whatever it was at, the
// log is whole, what was acknowledged and not pruned is there, and pruning goes on.
func TestPruneCrash(t *testing.T) {
	if path := os.Getenv("TRAIL_PRUNE_PATH"); path != "" {
		pruneForEver(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "bawn.db")
	acknowledged := map[string]time.Time{}
	var heads [][]byte
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestPruneCrash$", "-test.count=1")
		child.Env = append(os.Environ(), "TRAIL_PRUNE_PATH="+path)
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		pruned, left := 0, 1+7*round
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var name string
			var minutes int
			if n, _ := fmt.Sscanf(lines.Text(), "ok %s %d.", &name, &minutes); n == 2 && strings.HasSuffix(lines.Text(), ".") {
				acknowledged[name] = noon.Add(time.Duration(minutes) * time.Minute)
			}
			if lines.Text() == "pruned." {
				pruned++
			}
			if pruned > round {
				left--
			}
			if left == 0 {
				must(t, child.Process.Kill())
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}

		s := storetest.Open(t, store.Config{Path: path})
		tr := newPruning(t, s, fixedSigner(t))
		must(t, tr.Verify(t.Context(), heads...)) // as the crash left it
		p, err := tr.Pruned(t.Context())
		must(t, err)
		if p.Leaves == 0 {
			t.Error("nothing was pruned")
		}
		found := map[string]bool{}
		for _, name := range all(t, tr, trail.Query{Account: "123456789012"}) {
			found[name] = true
		}
		for name, at := range acknowledged {
			if at.After(p.Newest) && !found[name] {
				t.Errorf("round %d: %s, of %v, is not there; pruned up to %v", round, name, at, p.Newest)
			}
		}
		head, err := tr.Checkpoint(t.Context())
		must(t, err)
		heads = append(heads, head)
		must(t, s.Close())
	}
}

// pruneForEver is the child.
func pruneForEver(t *testing.T, path string) {
	s, err := store.Open(t.Context(), store.Config{Path: path})
	must(t, err)
	tr, err := trail.New(s, fixedSigner(t), trail.Options{Account: operator, Interval: time.Millisecond})
	must(t, err)
	var minutes sync.Mutex
	ahead := sync.NewCond(&minutes)
	now := int(time.Now().Unix() - noon.Unix()) // later than in the round before
	looked := now
	var wg sync.WaitGroup
	must := orExit
	wg.Go(func() { must(t, tr.Run(t.Context())) })
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				minutes.Lock()
				for now-looked > 500 { // the whole log is checked afterwards
					ahead.Wait()
				}
				now++
				at := now
				minutes.Unlock()
				r := minute(at)
				r.EventName = fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
				must(t, tr.Write(t.Context(), r))
				fmt.Printf("ok %s %d.\n", r.EventName, at)
			}
		})
	}
	wg.Go(func() {
		for {
			minutes.Lock()
			at := now
			minutes.Unlock()
			gone, err := tr.Prune(t.Context(), before(at-50))
			must(t, err)
			if gone > 0 {
				fmt.Println("pruned.")
			}
			minutes.Lock()
			looked = at
			ahead.Broadcast()
			minutes.Unlock()
		}
	})
	wg.Wait()
}

// What a pruning frees is used again: a database whose record is as long as ever grows by
// its tree only.
func TestPrunedSpaceIsUsedAgain(t *testing.T) {
	s := storetest.SQLite(t)
	tr := newPruning(t, s, newSigner(t))
	var pages []int64
	for round := range 6 {
		for i := range 1000 {
			must(t, tr.Write(t.Context(), minute(round*1000+i)))
		}
		must(t, tr.Seal(t.Context()))
		_, err := tr.Prune(t.Context(), before(round*1000))
		must(t, err)
		pages = append(pages, counted(t, s, "PRAGMA page_count"))
	}
	t.Logf("pages: %v", pages)
	if grown := pages[5] - pages[4]; grown > pages[0]/3 { // leaves, hashes and checkpoints stay
		t.Errorf("%d pages more in the last round: %v", grown, pages)
	}
	must(t, tr.Verify(t.Context()))
}
