package image

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"bawn.dev/internal/spec"
)

// Nonroot is the user and the group that stand for root: an image which asks
// for root, or says nothing, runs as this one instead. It is a number that no
// distribution gives away, so that it owns nothing in the image: what only root
// may read there, the workload may not.
const Nonroot = 65532

// maxUsers bounds /etc/passwd and /etc/group, in bytes.
const maxUsers = 1 << 20

// User resolves Config.User ("name", "uid", "name:group" or "uid:gid", any of
// them empty) through the image's own /etc/passwd and /etc/group. User 0 and
// group 0 become [Nonroot], each for itself. A name that the image does not
// know is an error.
func (i Image) User() (spec.User, error) {
	root, err := os.OpenRoot(i.Rootfs)
	if err != nil {
		return spec.User{}, fmt.Errorf("image: %w", err)
	}
	defer root.Close()
	name, group, hasGroup := strings.Cut(i.Config.User, ":")
	uid, gid, err := lookupUser(root, name)
	if err != nil {
		return spec.User{}, err
	}
	if hasGroup && group != "" {
		if gid, err = lookupGroup(root, group); err != nil {
			return spec.User{}, err
		}
	}
	if uid == 0 {
		uid = Nonroot
	}
	if gid == 0 {
		gid = Nonroot
	}
	return spec.User{UID: uid, GID: gid}, nil
}

func lookupUser(root *os.Root, name string) (uid, gid uint32, err error) {
	if name == "" || name == "root" {
		return 0, 0, nil
	}
	id, numeric := parseID(name)
	err = scan(root, "etc/passwd", func(f []string) bool {
		if len(f) < 4 || f[0] != name && !(numeric && f[2] == name) {
			return false
		}
		u, uok := parseID(f[2])
		g, gok := parseID(f[3])
		uid, gid = u, g
		return uok && gok
	})
	if errors.Is(err, errNoEntry) && numeric {
		return id, 0, nil
	}
	return uid, gid, err
}

func lookupGroup(root *os.Root, name string) (gid uint32, err error) {
	if n, ok := parseID(name); ok {
		return n, nil
	}
	err = scan(root, "etc/group", func(f []string) (ok bool) {
		if len(f) < 3 || f[0] != name {
			return false
		}
		gid, ok = parseID(f[2])
		return ok
	})
	return gid, err
}

var errNoEntry = errors.New("image: the image does not know its own user")

// scan shows match the fields of each line until it accepts one.
func scan(root *os.Root, file string, match func([]string) bool) error {
	f, err := root.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return errNoEntry
	}
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("image: %s is not a file", file)
	}
	lines := bufio.NewScanner(io.LimitReader(f, maxUsers))
	for lines.Scan() {
		if match(strings.Split(lines.Text(), ":")) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("image: %s: %w", file, err)
	}
	return errNoEntry
}

func parseID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err == nil
}
