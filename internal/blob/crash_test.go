package blob

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// TestCrash kills a process in the middle of its commits, several times in one
// directory. What it had acknowledged is there, whole; whatever else is there is
// whole too.
func TestCrash(t *testing.T) {
	if dir := os.Getenv("BLOB_CRASH_DIR"); dir != "" {
		commitForEver(t, dir)
		return
	}
	path := t.TempDir()
	acknowledged := make(map[Ref][32]byte)
	for round := range 4 {
		child := exec.Command(os.Args[0], "-test.run=^TestCrash$", "-test.count=1")
		child.Env = append(os.Environ(), "BLOB_CRASH_DIR="+path)
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var r Ref
			var sum []byte
			if _, err := fmt.Sscanf(lines.Text(), "ok %s %x .", &r, &sum); err != nil || !strings.HasSuffix(lines.Text(), " .") {
				continue // the last line may be torn
			}
			acknowledged[r] = [32]byte(sum)
			if n == 50+37*round {
				must(t, child.Process.Kill())
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}
		d := openDir(t, path)
		all := stored(t, d)
		for r, sum := range acknowledged {
			content, err := get(d, r)
			if err != nil || sha256.Sum256(content) != sum {
				t.Errorf("round %d: acknowledged %s: %v", round, r, err)
			}
			if _, ok := all[r]; !ok {
				t.Errorf("round %d: acknowledged %s is not listed", round, r)
			}
		}
		for r := range all {
			content, err := get(d, r)
			if err != nil || len(content) < 32 || !bytes.Equal(content[:32], digest(content[32:])) {
				t.Errorf("round %d: %s is torn: %v", round, r, err)
			}
		}
		must(t, d.Close())
	}
	if len(acknowledged) < 200 {
		t.Errorf("only %d blobs were acknowledged", len(acknowledged))
	}
}

func digest(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// commitForEver is the child: blobs that carry their own digest, small and large.
func commitForEver(t *testing.T, dir string) {
	d, err := OpenDir(dir)
	must(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				body := random(500 * (i + 1))
				if i == 0 {
					body = random(MaxSmall + 500)
				}
				content := append(digest(body), body...)
				fmt.Printf("ok %s %x .\n", put(t, d, content), digest(content))
			}
		})
	}
	wg.Wait()
}
