package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// runsc makes missing mount points in the root directory that it is given, on
// the host. An image is shared by workloads and named by its content, so what
// runsc is given is an overlay: the image below, and above it a little memory
// in which nothing but mount points comes to lie. The workload's own writes do
// not get there; see [runsc.flags].
const (
	rootName = "root" // the overlay
	topName  = "top"  // its upper layer, in memory
)

func rootPath(dir string) string { return filepath.Join(dir, rootName) }

// mountRoot mounts the root of the workload whose state directory is dir.
func mountRoot(dir, image string) error {
	top := filepath.Join(dir, topName)
	upper, work := filepath.Join(top, "upper"), filepath.Join(top, "work")
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	if err := errors.Join(os.Mkdir(top, 0o700), os.Mkdir(rootPath(dir), 0o700)); err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	if err := unix.Mount("tmpfs", top, "tmpfs", flags|unix.MS_NOEXEC, "size=4m,mode=0700"); err != nil {
		return fmt.Errorf("oci: mounting memory for mount points: %w", err)
	}
	// The upper directory's mode is that of the root which the workload sees.
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o700)); err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	options := "lowerdir=" + image + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", rootPath(dir), "overlay", flags, options); err != nil {
		return fmt.Errorf("oci: mounting the root: %w", err)
	}
	return nil
}

// unmountRoot undoes mountRoot, however far that came. The workload is dead.
func unmountRoot(dir string) error {
	for _, name := range []string{rootName, topName} {
		err := unix.Unmount(filepath.Join(dir, name), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		// EINVAL: not a mount point.
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("oci: unmounting: %w", err)
		}
	}
	return nil
}

// mountable refuses paths that would say something else in mount options.
func mountable(path string) bool { return !strings.ContainsAny(path, ":,\\") }
