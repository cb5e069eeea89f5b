package host

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whoever owns the directory of sockets can put a link in a socket's place. He does
// not get what it leads to.
func TestGiveNothingElse(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "shadow")
	if err := os.WriteFile(victim, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link, hard := filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(victim, hard); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, hard, victim, filepath.Join(dir, "missing")} {
		if err := give(path, 65534); err == nil {
			t.Errorf("%s was given away", path)
		}
	}
	info, err := os.Stat(victim)
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; int(uid) != os.Geteuid() {
		t.Errorf("it belongs to %d now", uid)
	}
}

func TestMakeDir(t *testing.T) {
	for _, tt := range []struct {
		uid  int
		mode os.FileMode
		ok   bool
	}{
		{0, 0o700, true}, {0, 0o770 | os.ModeSticky, true}, {0, 0o770, false}, {65534, 0o700, false}, {65534, 0o777 | os.ModeSticky, false},
	} {
		parent := t.TempDir()
		if err := os.Chown(parent, tt.uid, -1); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(parent, tt.mode); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(parent, "run")
		if err := makeDir(dir, 65534); (err == nil) != tt.ok {
			t.Errorf("in a directory of %d with %v: %v", tt.uid, tt.mode, err)
		}
		info, err := os.Lstat(dir)
		if (err == nil) != tt.ok || tt.ok && (info.Sys().(*syscall.Stat_t).Uid != 65534 || info.Mode().Perm() != 0o700) {
			t.Errorf("in a directory of %d with %v there is %v, %v", tt.uid, tt.mode, info, err)
		}
	}
}
