package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// makeDir makes the directory of sockets for user, unless it is there. Only a
// directory in which nobody else can rename what is ours is safe to make it in:
// what is given away by name must be what was made.
func makeDir(dir string, user int) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Dir(dir), &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0 {
		return fmt.Errorf("%s is missing, and whose its parent is could exchange it: make it first", dir)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Lchown(dir, user, -1)
}

// open makes a socket, mode 0600, that belongs to user, in place of an older one.
//
// The directory may be that user's, who can put anything in the socket's place at
// any moment. So nothing is changed by name: the mode comes with the making, and
// the owner is changed through a descriptor of which it is known to be a socket of
// root's.
func open(base, name, network string, user int) (*net.UnixListener, error) {
	path := base + "/" + name
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	made, err := config.Listen(context.Background(), network, path)
	if err != nil {
		return nil, err
	}
	l := made.(*net.UnixListener)
	// The path is a descriptor's, and gone when it is closed.
	l.SetUnlinkOnClose(false)
	if err := give(path, user); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func give(path string, user int) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the socket: %w", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("the socket: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || int(st.Uid) != os.Geteuid() || st.Nlink != 1 {
		return errors.New("somebody put something else in the socket's place")
	}
	return unix.Fchownat(fd, "", user, -1, unix.AT_EMPTY_PATH)
}
