package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	mostRise = 64 << 10 // KiB
	block    = 1 << 20  // bytes of a model that begin with their number
)

// A data set of small files and a large model go up and come down by `aws s3 sync`,
// unharmed, and the server's memory hardly notices. BAWN_FULL_SIZE=1 makes it 10,000
// files and 5 GiB.
func TestSync(t *testing.T) {
	files, blocks := 2000, 512
	if os.Getenv("BAWN_FULL_SIZE") != "" {
		files, blocks = 10_000, 5<<10
	}
	binary, data := build(t), filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
	c := newClient(t, data, p.serving(t))
	ok(t)(c.object(t.Context(), http.MethodPut, "/data", nil))
	ok(t)(c.object(t.Context(), http.MethodPut, "/data/first", []byte("x")))
	ok(t)(c.object(t.Context(), http.MethodGet, "/data/first", nil))
	before := highWater(t, p.cmd.Process.Pid)

	up, down := t.TempDir(), t.TempDir()
	for n := range files {
		dir := filepath.Join(up, "set", strconv.Itoa(n%100))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)), smallFile(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeModel(t, filepath.Join(up, "model.bin"), blocks)
	sync := func(from, to string) {
		t.Helper()
		cmd := exec.Command("aws", "--endpoint-url", c.url, "s3", "sync", "--only-show-errors", from, to)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + data, "AWS_CA_BUNDLE=" + filepath.Join(data, "ca.pem"), "AWS_PROFILE=bawn",
			"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(data, "aws", "credentials"), "AWS_CONFIG_FILE=" + filepath.Join(data, "aws", "config"),
			"AWS_MAX_ATTEMPTS=1",
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		rise := highWater(t, p.cmd.Process.Pid) - before
		t.Logf("%s: memory rose from %d KiB by %d KiB", from, before, rise)
		if rise > mostRise {
			t.Errorf("the server's memory rose by %d KiB", rise)
		}
	}
	sync(up, "s3://data/all")
	sync("s3://data/all", down)
	for n := range files {
		got, err := os.ReadFile(filepath.Join(down, "set", strconv.Itoa(n%100), strconv.Itoa(n)))
		if err != nil || !bytes.Equal(got, smallFile(n)) {
			t.Fatalf("file %d: %d bytes, %v", n, len(got), err)
		}
	}
	readModel(t, filepath.Join(down, "model.bin"), blocks)
}

func smallFile(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "line of %d\n", n), 1+n%500) }

// writeModel makes a sparse file whose blocks say where they belong.
func writeModel(t *testing.T, path string, blocks int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(blocks) * block); err != nil {
		t.Fatal(err)
	}
	for n := range blocks {
		if _, err := f.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(n)+1), int64(n)*block); err != nil {
			t.Fatal(err)
		}
	}
}

func readModel(t *testing.T, path string, blocks int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, want := make([]byte, block), make([]byte, block)
	for n := range blocks {
		binary.BigEndian.PutUint64(want, uint64(n)+1)
		if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("block %d of the model: %v", n, err)
		}
	}
	if n, err := f.Read(got); n != 0 || err != io.EOF {
		t.Errorf("something follows the model: %v", err)
	}
}

// highWater is the most that a process has held in memory, in KiB.
func highWater(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
