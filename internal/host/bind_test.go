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
