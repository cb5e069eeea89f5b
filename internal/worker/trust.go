package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Trusted makes sure that nobody but we ourselves (root) can put something else in
// dir's place: every directory on the way to it is ours or root's, and writable for
// nobody else, unless its sticky bit keeps him from renaming what is not his.
//
// The data directory may belong to the server's unprivileged user. If he could
// exchange a directory that root works in, then whoever takes over the server would
// choose the images that run and the file systems that the kernel mounts.
func Trusted(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	for p := abs; ; p = filepath.Dir(p) {
		if err := trusted(p); err != nil {
			return err
		}
		if p == filepath.Dir(p) {
			return nil
		}
	}
}

func trusted(p string) error {
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		return fmt.Errorf("worker: %s: %w", p, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("worker: %s is not a directory: name the real one, without links", p)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("worker: %s belongs to user %d, who could replace what root works with: `chown root:bawn` it and `chmod 1770`, so that he can only add to it", p, st.Uid)
	}
	if st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0 {
		return errors.New("worker: " + p + " can be written to by others, who could replace what root works with: `chmod +t` it")
	}
	return nil
}
