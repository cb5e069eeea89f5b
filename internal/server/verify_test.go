package server_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// copiedRecord is that of an event as it is in a copy.
func copiedRecord(t *testing.T, copied, event string) string {
	t.Helper()
	bundles, err := filepath.Glob(filepath.Join(copied, "records", "*.p", "*"))
	if err != nil || len(bundles) != 1 {
		t.Fatal(bundles, err)
	}
	text, err := os.ReadFile(bundles[0])
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"eventID":"`+event+`"`) {
			return line
		}
	}
	t.Fatalf("the copy has no event %s", event)
	return ""
}

// An auditor takes the record out of the house, with the server running and without,
// and checks it with the public key, when the data directory is no more.
func TestVerifyOffline(t *testing.T) {
	binary, dir := build(t), t.TempDir()
	data, copied := filepath.Join(dir, "data"), filepath.Join(dir, "copy")
	run := func(exit int, args ...string) string {
		t.Helper()
		var out, said bytes.Buffer
		cmd := exec.Command(binary, args...)
		cmd.Stdout, cmd.Stderr = &out, &said
		cmd.Run() //nolint:errcheck // its exit code tells
		if got := cmd.ProcessState.ExitCode(); got != exit {
			t.Fatalf("bawn %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, exit, &out, &said)
		}
		return out.String()
	}
	keep := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run(0, "init", "--data", data)
	p := spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
	c := newClient(t, data, p.serving(t))
	ok(t)(c.iam(t.Context(), "CreateUser", "UserName", "ada"))

	key := keep("key", run(0, "verify", "key", "--data", data))
	run(0, "verify", "export", "--data", data, copied)
	head, err := os.ReadFile(filepath.Join(copied, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	old := keep("old", string(head))
	event := regexp.MustCompile(`"eventName":"CreateUser".*?"eventID":"([^"]+)"`).FindStringSubmatch(run(0, "audit", "--data", data, "--event", "CreateUser", "--output", "json"))
	proof := keep("proof", run(0, "verify", "prove", "--data", data, event[1]))
	line := keep("line", copiedRecord(t, copied, event[1]))
	again := keep("again", run(0, "verify", "prove", "--data", data, "--record", line))
	run(1, "verify", "prove", "--data", data, "--record", key)
	run(2, "verify", "prove", "--data", data)
	p.stop(syscall.SIGTERM)
	run(0, "verify", "export", "--data", data, copied)
	extension := keep("extension", run(0, "verify", "extend", "--data", data, old))
	run(1, "verify", "prove", "--data", data, "no-such-event")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}

	if out := run(0, "verify", "log", copied, "--key", key, "--known", old); !strings.Contains(out, " 0 problems") {
		t.Error(out)
	}
	run(0, "verify", "log", copied, "--key", key, "--from", "1", "--to", "2")
	if out := run(0, "verify", "record", proof, "--key", key); !strings.Contains(out, `"userName":"ada"`) {
		t.Error(out)
	}
	if out := run(0, "verify", "record", again, "--key", key); !strings.Contains(out, `"userName":"ada"`) {
		t.Error(out)
	}
	run(0, "verify", "heads", old, extension, "--key", key)
	run(0, "verify", "heads", old, filepath.Join(copied, "checkpoint"), "--log", copied, "--key", key)

	bundles, err := filepath.Glob(filepath.Join(copied, "records", "*.p", "*"))
	if err != nil || len(bundles) != 1 {
		t.Fatal(bundles, err)
	}
	text, err := os.ReadFile(bundles[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bundles[0], bytes.Replace(text, []byte(`"userName":"ada"`), []byte(`"userName":"eve"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(4, "verify", "log", copied, "--key", key); !regexp.MustCompile(`problem: leaf \d+: the record was changed`).MatchString(out) {
		t.Error(out)
	}
	if out := run(4, "verify", "log", copied, "--key", key, "--output", "json"); !strings.Contains(out, `"problems":[{"where":"leaf `) {
		t.Error(out)
	}
	raw, err := os.ReadFile(proof)
	if err != nil {
		t.Fatal(err)
	}
	forged := keep("forged", regexp.MustCompile(`(?m)^index \d+$`).ReplaceAllString(string(raw), "index 0"))
	run(4, "verify", "record", forged, "--key", key)
}
