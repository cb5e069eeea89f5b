package volume

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"bawn.dev/internal/spec"
)

// Kind is how volumes are encrypted on this host.
type Kind string

// Fscrypt is fscrypt v2 on an ext4 image behind a loop device.
const Fscrypt Kind = "fscrypt"

// Probe says how volumes are encrypted here. When they cannot be, it returns
// an error that names everything that is missing. It changes nothing.
func Probe() (Kind, error) {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		missing = append(missing, "loop devices (/dev/loop-control)")
	}
	// A kernel that has ext4 as a module shows the feature once it is loaded.
	if _, err := os.Stat("/sys/fs/ext4/features/encryption"); err != nil {
		missing = append(missing, "ext4 with encryption (/sys/fs/ext4/features/encryption; try modprobe ext4)")
	}
	if _, err := exec.LookPath(mkfs); err != nil {
		missing = append(missing, mkfs+" (package e2fsprogs)")
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("volume: encrypted volumes need %s", strings.Join(missing, ", "))
	}
	return Fscrypt, nil
}

// check guards every path that is made from an id, and the directory that all
// of the secrecy on a running host rests on.
func check(dir, id string, key []byte) error {
	if !spec.ValidID(id) {
		return errors.New("volume: the id is malformed")
	}
	if len(key) != KeySize {
		return fmt.Errorf("volume: want a key of %d bytes", KeySize)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("volume: %s: want a directory with mode 0700", dir)
	}
	return nil
}

func trimImage(name string) string {
	id, ok := strings.CutSuffix(name, ".img")
	if !ok || !spec.ValidID(id) {
		return ""
	}
	return id
}

func notFound(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return ErrNotFound
	}
	return fmt.Errorf("volume: %w", err)
}
