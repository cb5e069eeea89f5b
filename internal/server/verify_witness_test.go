package server_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A witness on another machine co-signs the record's heads. When the whole data directory
// is put back to what it was before, record.head with it, the witness knows.
func TestWitnessNoticesWhatWasCutOff(t *testing.T) {
	h := newHouse(t)
	key := strings.TrimSpace(h.run(0, "verify", "key", "--data", h.data))
	witnessDir := filepath.Join(h.dir, "witness")
	witnessKey := strings.TrimSpace(h.run(0, "witness", "init", witnessDir, "--name", "witness.test/1"))
	serveWitness := func(listen string) *process {
		return spawn(t, h.binary, "witness", "serve", witnessDir, "--log", key, "--listen", listen)
	}
	w := serveWitness("127.0.0.1:0")
	addr := strings.TrimPrefix(w.serving(t), "https://")
	witness := "http://" + addr + "#" + witnessKey
	earlier := h.copy(h.data)

	p := h.serve("--witness", witness)
	h.act("ada")
	h.until("witness witness.test/1")
	p.stop(syscall.SIGTERM)
	copied := filepath.Join(h.dir, "copy")
	h.run(0, "verify", "export", "--data", h.data, copied)
	known := filepath.Join(h.data, "record.cosigned")
	if out := h.run(0, "verify", "log", copied, "--key", key, "--known", known, "--witness", witnessKey); !regexp.MustCompile(`witness witness.test/1 saw \d+ records at 20`).MatchString(out) {
		t.Error(out)
	}
	if out := h.run(4, "verify", "log", copied, "--key", key, "--witness", witnessKey); !strings.Contains(out, "co-signed none of the checkpoints") {
		t.Error(out)
	}

	// The server goes back to a day before, and its witness is kept away: that is told, and
	// when the witness is there again, the server ends.
	later := h.copy(h.data)
	h.put(earlier)
	h.run(0, "fsck", "--data", h.data) // all that is here agrees
	w.stop(syscall.SIGKILL)
	p = h.serve("--witness", witness)
	h.act("bob")
	if out := h.run(4, "verify", "status", "--data", h.data); !strings.Contains(out, "problem: witness witness.test/1: ") || !strings.Contains(out, "record.head: remembers") {
		t.Error(out)
	}
	serveWitness(addr).serving(t)
	<-p.ended
	cutOff := regexp.MustCompile(`the record is not what it was: witness witness.test/1 remembers \d+ records`)
	if p.result == nil || !cutOff.MatchString(p.said.String()) {
		t.Errorf("the server ended with %v\n%s", p.result, p.said)
	}
	if n := strings.Count(p.said.String(), "is not remembered"); n != 1 {
		t.Errorf("that the witness is away was told %d times\n%s", n, p.said)
	}
	h.refuses(4, cutOff, "--witness", witness)

	// What was there before is served as before.
	h.put(later)
	h.serve("--witness", witness).stop(syscall.SIGTERM)
}

// Somebody runs a copy of the data directory beside the first: the witness signs for one.
func TestTwoHistoriesHaveOneWitness(t *testing.T) {
	h := newHouse(t)
	key := strings.TrimSpace(h.run(0, "verify", "key", "--data", h.data))
	witnessDir := filepath.Join(h.dir, "witness")
	witnessKey := strings.TrimSpace(h.run(0, "witness", "init", witnessDir, "--name", "witness.test/1"))
	w := spawn(t, h.binary, "witness", "serve", witnessDir, "--log", key, "--listen", "127.0.0.1:0")
	witness := "http://" + strings.TrimPrefix(w.serving(t), "https://") + "#" + witnessKey
	h.serve("--witness", witness).stop(syscall.SIGTERM)
	second := h.copy(h.data)
	one := spawn(t, h.binary, "serve", "--data", h.data, "--listen", "127.0.0.1:0", "--witness", witness)
	one.serving(t)
	two := spawn(t, h.binary, "serve", "--data", second, "--listen", "127.0.0.1:0", "--witness", witness)
	<-two.ready // or it was refused
	ended, lives := two, one
	select {
	case <-one.ended:
		ended, lives = one, two
	case <-two.ended:
	}
	if ended.result == nil || !strings.Contains(ended.said.String(), "the record is not what it was: witness witness.test/1") {
		t.Errorf("one ended with %v\n%s", ended.result, ended.said)
	}
	if lives.stop(syscall.SIGTERM); lives.result != nil {
		t.Errorf("the other ended with %v\n%s", lives.result, lives.said)
	}
}

// A witness that takes a connection and says nothing holds up neither the start nor calls.
func TestSilentWitness(t *testing.T) {
	h := newHouse(t)
	key := strings.TrimSpace(h.run(0, "witness", "init", filepath.Join(h.dir, "witness"), "--name", "witness.test/1"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h.serve("--witness", "http://"+l.Addr().String()+"#"+key)
	h.act("ada")
	if out := h.run(4, "verify", "status", "--data", h.data); !strings.Contains(out, "problem: witness witness.test/1: it does not answer") {
		t.Error(out)
	}
	if _, err := os.Stat(filepath.Join(h.data, "record.cosigned")); err == nil {
		t.Error("something was co-signed")
	}
}
