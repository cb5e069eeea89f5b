package volume

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const mkfs = "mkfs.ext4"

func (v *Volume) image() string      { return filepath.Join(v.dir, v.id+".img") }
func (v *Volume) mountpoint() string { return filepath.Join(v.dir, v.id) }

// allocate makes the empty image. It is the step that two creators of one id
// race for, so it alone decides which of them made it.
func (v *Volume) allocate(size int64) error {
	if size < minSize {
		return fmt.Errorf("volume: want at least %d bytes", minSize)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(v.dir, &fs); err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; size > free {
		return fmt.Errorf("volume: %d bytes wanted, %d free on the host", size, free)
	}
	f, err := os.OpenFile(v.image(), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	err = errors.Join(f.Truncate(size), f.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("volume: %w", err), os.Remove(v.image()))
	}
	return nil
}

// format makes the file system. There is no journal: a volume does not outlive
// a crash of its machine, only one of its processes.
func format(ctx context.Context, image string) error {
	cmd := exec.CommandContext(ctx, mkfs, "-q", "-F", "-m", "0", "-O", "encrypt,^has_journal",
		"-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", image)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("volume: %s: %w: %s", mkfs, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (v *Volume) mount() error {
	if err := os.Mkdir(v.mountpoint(), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("volume: %w", err)
	}
	loop, err := attach(v.image())
	if err != nil {
		return err
	}
	defer loop.Close() // the mount holds the device; it frees itself afterwards
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME
	if err := unix.Mount(loop.Name(), v.mountpoint(), "ext4", flags, "noinit_itable"); err != nil {
		return fmt.Errorf("volume: mounting: %w", err)
	}
	return nil
}

// attach gives image a loop device which is freed when its last user is gone.
func attach(image string) (*os.File, error) {
	backing, err := os.OpenFile(image, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("volume: %w", err)
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("volume: %w", err)
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	// Between being told of a free device and taking it somebody else may take
	// it; only so many can.
	for range 64 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("volume: finding a loop device: %w", err)
		}
		loop, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("volume: %w", err)
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("volume: attaching a loop device: %w", err)
		}
	}
	return nil, errors.New("volume: no loop device could be had")
}

// lock removes the key and unmounts, in this order: from the first step on
// nothing more can be opened, whatever becomes of the second.
func lock(ctx context.Context, dir, id string) error {
	v := &Volume{dir: dir, id: id}
	mounted, err := isMounted(v.mountpoint())
	if err != nil || !mounted {
		return err
	}
	if err := v.forget(); err != nil {
		return err
	}
	return v.unmount(ctx)
}

// forget removes the key of a mounted volume, if it has one.
func (v *Volume) forget() error {
	d, err := os.Open(v.Path())
	if errors.Is(err, os.ErrNotExist) {
		return nil // never sealed: no key was added
	}
	if err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	defer d.Close()
	key, err := policyOf(d)
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	if err != nil {
		return err
	}
	// What is dirty is written before the key goes; open files keep theirs,
	// and unmount finds them.
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	_, err = removeKey(d, key)
	return err
}

// How long unmount waits for the last user, and how often it asks.
const (
	patience = 10 * time.Second
	askAgain = 10 * time.Millisecond
)

func (v *Volume) unmount(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		switch err := unix.Unmount(v.mountpoint(), unix.UMOUNT_NOFOLLOW); {
		case err == nil, errors.Is(err, unix.EINVAL): // EINVAL: not mounted
			return nil
		case !errors.Is(err, unix.EBUSY):
			return fmt.Errorf("volume: unmounting: %w", err)
		}
		select {
		case <-ctx.Done():
			return ErrBusy
		case <-tick.C:
		}
	}
}

// isMounted reads /proc/self/mountinfo: see proc_pid_mountinfo(5).
func isMounted(dir string) (bool, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("volume: %w", err)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false, fmt.Errorf("volume: %w", err)
	}
	defer f.Close()
	escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(abs)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && fields[4] == escaped {
			return true, nil
		}
	}
	return false, lines.Err()
}
