package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// The server dumps no core, and its memory is closed to other processes of its own
// user. As root the test gives server and attacker one user of their own.
func TestServerIsClosed(t *testing.T) {
	t.Setenv("GOFIPS140", "certified")
	s := newSite(t)
	s.must("init")
	uid := os.Getuid()
	if uid == 0 {
		uid = 61234
		if out, err := exec.Command("chown", "-R", fmt.Sprint(uid), s.data).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for dir := filepath.Dir(s.data); strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
			os.Chmod(dir, 0o755)
		}
		os.Chmod(filepath.Dir(s.binary), 0o755)
	}
	as := []string{"setpriv", "--reuid", fmt.Sprint(uid), "--clear-groups"}
	if os.Getuid() != 0 {
		as = []string{"env"}
	}
	p := spawn(t, as[0], append(as[1:], s.binary, "serve", "--data", s.data, "--listen", "127.0.0.1:0")...)
	ok(t)(newClient(t, s.data, p.serving(t)).identity(t.Context()))
	pid := p.cmd.Process.Pid

	closed(t, pid, as)
	// The other half, which holds volumes' keys.
	h := spawn(t, as[0], append(as[1:], s.binary, "host", "--data", s.data, "--user", fmt.Sprint(uid))...)
	for socket := filepath.Join(s.data, "run", "host.sock"); !h.over(); runtime.Gosched() {
		if _, err := os.Stat(socket); err == nil {
			break
		}
	}
	closed(t, h.cmd.Process.Pid, as)
	// Another process of that user, which does nothing for itself, can be read: the
	// attack would work.
	open := spawn(t, as[0], append(as[1:], "sleep", "1000")...)
	if out, err := exec.Command("sh", "-c", fmt.Sprintf("until grep -q sleep /proc/%d/comm; do :; done; exec %s head -c 1 /proc/%[1]d/environ",
		open.cmd.Process.Pid, strings.Join(as, " "))).CombinedOutput(); err != nil {
		t.Errorf("the attack does not work on anybody: %v %s", err, out)
	}
	p.stop(syscall.SIGTERM)
	if !strings.Contains(p.said.String(), `msg=memory "core dumps"=off locked=`) {
		t.Errorf("the log does not tell of memory:\n%s", p.said)
	}
	if !regexp.MustCompile(`crypto="Go Cryptographic Module v1\.0\.0[^"]*, FIPS 140-3 mode on"`).MatchString(p.said.String()) {
		t.Errorf("the log does not tell of the module:\n%s", p.said)
	}
}

// closed looks for ways into a process that its own user would have.
func closed(t *testing.T, pid int, as []string) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("%v\n%s", err, limits)
	}
	for _, file := range []string{"maps", "mem", "environ"} {
		out, err := exec.Command(as[0], append(as[1:], "head", "-c", "1", fmt.Sprintf("/proc/%d/%s", pid, file))...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "ermission denied") {
			t.Errorf("%s: %v %s", file, err, out)
		}
	}
}

// Memory is locked as far as the host allows, and the log says how far.
func TestMemoryIsLocked(t *testing.T) {
	s := newSite(t)
	s.must("init")
	for _, c := range []struct{ limit, want string }{
		{"unlimited", "locked=all"}, {"8388608", "locked=keys "}, {"0", `locked="not all keys"`},
	} {
		// Without the capability to lock beyond limits.
		args := []string{"--memlock=" + c.limit + ":" + c.limit, "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", s.binary, "serve", "--data", s.data, "--listen", "127.0.0.1:0"}
		if c.limit == "unlimited" && os.Getuid() == 0 { // to which not every root may raise it; the capability does the same
			args = args[1:]
			args = append(args[:1], args[3:]...)
		}
		name := "prlimit"
		if args[0] == "setpriv" {
			name, args = args[0], args[1:]
		}
		p := spawn(t, name, args...)
		p.serving(t)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		held := regexp.MustCompile(`VmLck:\s+(\d+) kB`).FindSubmatch(status)
		p.stop(syscall.SIGTERM)
		if !strings.Contains(p.said.String(), c.want) {
			t.Errorf("limit %s: not %s\n%s", c.limit, c.want, p.said)
		}
		if len(held) == 0 || (string(held[1]) == "0") != (c.limit == "0") {
			t.Errorf("limit %s: %q is locked", c.limit, held)
		}
	}
}
