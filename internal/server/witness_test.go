package server_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"bawn.dev/internal/server"
)

// A house is a data directory and the real binary.
type house struct {
	t                 *testing.T
	binary, dir, data string
	process           *process
	client            *client
	copies            int
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, binary: build(t), dir: t.TempDir()}
	h.data = filepath.Join(h.dir, "data")
	h.run(0, "init", "--data", h.data)
	return h
}

// run runs a command that ends with an exit code.
func (h *house) run(exit int, args ...string) string {
	h.t.Helper()
	var out, said bytes.Buffer
	cmd := exec.Command(h.binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.Run() //nolint:errcheck // its exit code tells
	if got := cmd.ProcessState.ExitCode(); got != exit {
		h.t.Fatalf("bawn %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, exit, &out, &said)
	}
	return out.String()
}

func (h *house) serve(flags ...string) *process {
	h.t.Helper()
	h.process = spawn(h.t, h.binary, append([]string{"serve", "--data", h.data, "--listen", "127.0.0.1:0"}, flags...)...)
	h.client = newClient(h.t, h.data, h.process.serving(h.t))
	return h.process
}

// refuses starts a server that must not begin to serve, and end with an exit code.
func (h *house) refuses(exit int, want *regexp.Regexp, flags ...string) {
	h.t.Helper()
	p := spawn(h.t, h.binary, append([]string{"serve", "--data", h.data, "--listen", "127.0.0.1:0"}, flags...)...)
	<-p.ended
	if _, served := <-p.ready; served || p.cmd.ProcessState.ExitCode() != exit || !want.MatchString(p.said.String()) {
		h.t.Errorf("it ended with %v\n%s", p.result, p.said)
	}
}

func (h *house) act(user string) {
	h.t.Helper()
	ok(h.t)(h.client.iam(h.t.Context(), "CreateUser", "UserName", user))
}

// until waits until a memory holds all that was recorded before the call.
func (h *house) until(memory string) {
	h.t.Helper()
	for first := int64(0); ; {
		if h.process.over() {
			h.t.Fatalf("the server ended: %v\n%s", h.process.result, h.process.said)
		}
		var out server.RecordMemories
		cmd := exec.Command(h.binary, "verify", "status", "--data", h.data, "--output", "json")
		text, _ := cmd.Output() // troubles of others are an exit code
		if err := json.Unmarshal(text, &out); err != nil {
			h.t.Fatalf("%v %s", err, text)
		}
		if first == 0 {
			first = out.Size + 1 // what is recorded now may not be under a head yet
		}
		for _, m := range out.Memories {
			if m.Name == memory && m.Size >= first && m.Trouble == "" {
				return
			}
		}
		runtime.Gosched()
	}
}

// copy copies a directory while nothing runs in it.
func (h *house) copy(from string) string {
	h.t.Helper()
	h.copies++
	to := filepath.Join(h.dir, "copy-"+string(rune('0'+h.copies)))
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		h.t.Fatalf("%v %s", err, out)
	}
	return to
}

// put replaces the data directory by a copy.
func (h *house) put(from string) {
	h.t.Helper()
	if err := os.RemoveAll(h.data); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(h.copy(from), h.data); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) read(path string) string {
	h.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// A pin on another disk remembers the newest head. When the whole data directory is put
// back to what it was, record.head with it, the server does not start; when only the
// database is, record.head is enough.
func TestPinNoticesWhatWasCutOff(t *testing.T) {
	h := newHouse(t)
	pin := filepath.Join(h.dir, "share", "bawn.pin")
	if err := os.Mkdir(filepath.Dir(pin), 0o700); err != nil {
		t.Fatal(err)
	}
	earlier := h.copy(h.data)
	key := strings.TrimSpace(h.run(0, "verify", "key", "--data", h.data))

	// Without the share the server serves, and says so, and begins nothing in its place.
	p := h.serve("--pin", pin)
	if out := h.run(4, "verify", "status", "--data", h.data); !strings.Contains(out, "problem: "+pin+": ") {
		t.Error(out)
	}
	if entries, err := os.ReadDir(filepath.Dir(pin)); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := os.WriteFile(pin, nil, 0o600); err != nil { // the operator begins
		t.Fatal(err)
	}
	h.act("ada")
	h.until(pin)
	if out := h.run(0, "verify", "status", "--data", h.data); !strings.Contains(out, pin+": remembers") {
		t.Error(out)
	}
	h.run(0, "fsck", "--data", h.data, "--pin", pin)
	p.stop(syscall.SIGTERM)
	if n := strings.Count(p.said.String(), "is not remembered"); n != 1 {
		t.Errorf("that the pin is away was told %d times\n%s", n, p.said)
	}
	copied := filepath.Join(h.dir, "copied")
	h.run(0, "verify", "export", "--data", h.data, copied)
	h.run(0, "verify", "log", copied, "--key", key, "--known", pin)

	later, pinned := h.copy(h.data), h.read(pin)
	h.put(earlier)
	old := filepath.Join(h.dir, "old")
	h.run(0, "verify", "export", "--data", h.data, old)
	if out := h.run(4, "verify", "log", old, "--key", key, "--known", pin); !strings.Contains(out, "the newest were cut off") {
		t.Error(out)
	}
	if out := h.run(4, "fsck", "--data", h.data, "--pin", pin); !strings.Contains(out, "was cut off: a checkpoint kept elsewhere signs") {
		t.Error(out)
	}
	cutOff := regexp.MustCompile(`the record is not what it was: ` + regexp.QuoteMeta(pin) + ` remembers \d+ records`)
	h.refuses(4, cutOff, "--pin", pin)
	// Nor when it went on for longer than what is remembered.
	p = h.serve()
	for range 20 {
		ok(t)(h.client.identity(t.Context()))
	}
	h.until(filepath.Join(h.data, "record.head"))
	p.stop(syscall.SIGTERM)
	h.refuses(4, cutOff, "--pin", pin)
	if out := h.run(4, "fsck", "--data", h.data, "--pin", pin); !strings.Contains(out, "are not those of the checkpoint that was kept elsewhere") {
		t.Error(out)
	}
	if h.read(pin) != pinned {
		t.Error("the pin was written over")
	}

	// The database alone.
	for _, name := range []string{"bawn.db", "bawn.db-wal", "bawn.db-shm"} {
		if err := os.RemoveAll(filepath.Join(later, name)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("sh", "-c", "cp -a "+earlier+"/bawn.db* "+later).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	h.put(later)
	h.refuses(4, regexp.MustCompile(`the record is not what it was: \S+/record.head remembers`))
}

// A pin is put in place of a running server's: it remembers what the record never held.
func TestPinOfAnotherHistory(t *testing.T) {
	h := newHouse(t)
	pin, other := filepath.Join(h.dir, "pin"), filepath.Join(h.dir, "other")
	for _, name := range []string{pin, other} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	beginning := h.copy(h.data)
	h.serve("--pin", other)
	h.act("ada")
	h.until(other)
	h.process.stop(syscall.SIGTERM)

	h.put(beginning)
	p := h.serve("--pin", pin)
	h.act("bob")
	h.until(pin)
	if err := os.Rename(other, pin); err != nil {
		t.Fatal(err)
	}
	h.client.iam(t.Context(), "CreateUser", "UserName", "eve") //nolint:errcheck // it may have ended
	<-p.ended
	if p.result == nil || !strings.Contains(p.said.String(), "the record is not what it was: "+pin) {
		t.Errorf("the server ended with %v\n%s", p.result, p.said)
	}
}

// A name that was mistaken costs no file.
func TestPinOfSomethingElse(t *testing.T) {
	h := newHouse(t)
	precious := filepath.Join(h.dir, "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.refuses(1, regexp.MustCompile(`precious: it holds something else than a head of this log`), "--pin", precious)
	if h.read(precious) != "precious" {
		t.Error("it was overwritten")
	}
}
