package trail_test

import (
	"bufio"
	"crypto/ed25519"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

func fixedSigner(t *testing.T) ledger.Signer {
	s, err := ledger.NewSigner("bawn.test/trail", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	must(t, err)
	return s
}

// TestCrash kills a process that appends and seals. At the next start every
// acknowledged record is found, the rest is sealed, and the log has no gap.
func TestCrash(t *testing.T) {
	if path := os.Getenv("TRAIL_CRASH_PATH"); path != "" {
		appendForEver(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "bawn.db")
	acknowledged := make(map[string]bool)
	var heads [][]byte // of each round: all that was signed stays
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestCrash$", "-test.count=1")
		child.Env = append(os.Environ(), "TRAIL_CRASH_PATH="+path)
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if name, ok := strings.CutPrefix(lines.Text(), "ok "); ok && strings.HasSuffix(name, ".") {
				acknowledged[name] = true
			}
			if n == 200+57*round {
				must(t, child.Process.Kill())
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}

		s := storetest.Open(t, store.Config{Path: path})
		tr := newTrail(t, s, fixedSigner(t))
		must(t, tr.Verify(t.Context())) // as the crash left it
		found := make(map[string]bool)
		for q := (trail.Query{Account: "123456789012"}); ; {
			p, err := tr.Find(t.Context(), q)
			must(t, err)
			for _, name := range eventNames(p) {
				found[name] = true
			}
			if q.Token = p.NextToken; q.Token == "" {
				break
			}
		}
		for name := range acknowledged {
			if !found[name] {
				t.Errorf("round %d: acknowledged %s is not there", round, name)
			}
		}
		must(t, tr.Verify(t.Context(), heads...))
		head, err := tr.Checkpoint(t.Context())
		must(t, err)
		heads = append(heads, head)
		must(t, s.Close())
	}
	if len(acknowledged) < 500 {
		t.Errorf("only %d records were acknowledged", len(acknowledged))
	}
}

// appendForEver is the child: it appends from many goroutines and seals as often
// as it can.
func appendForEver(t *testing.T, path string) {
	s, err := store.Open(t.Context(), store.Config{Path: path})
	must(t, err)
	tr, err := trail.New(s, fixedSigner(t), trail.Options{Interval: time.Millisecond})
	must(t, err)
	var wg sync.WaitGroup
	must := orExit
	wg.Go(func() { must(t, tr.Run(t.Context())) })
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				r := minute(n)
				r.EventName = fmt.Sprintf("%d-%d-%d.", os.Getpid(), i, n)
				must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tr.Append(tx, r) }))
				fmt.Println("ok " + r.EventName)
			}
		})
	}
	wg.Wait()
}

// orExit is must for a child whose goroutines never end.
func orExit(_ *testing.T, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
