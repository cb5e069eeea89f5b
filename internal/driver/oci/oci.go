// Package oci runs workloads in gVisor: every workload is one runsc sandbox
// with a kernel of its own (platform systrap, no other and no fallback), a
// read-only image, no capabilities, no way to gain any, and cgroup limits that
// hold from its first instruction on.
//
// It trusts the runsc binary, the root file system's digest as its caller
// checked it, and the host's kernel. It does not trust what runs inside. A
// workload that owns its whole sandbox sees its image, its mounts and its
// network interface; it does not see the host's processes, files, environment
// or devices, and it cannot make them slower than its limits allow. Should it
// also escape gVisor's kernel, it is an unprivileged process in empty
// namespaces, a cgroup and a seccomp filter.
//
// Everything that tells something about a workload (its environment in the
// bundle, runsc's state, its log) lies in [spec.Reserved] on its encrypted
// volume, and Start refuses a volume that is neither encrypted nor in memory.
// On the host's disk are only ids, paths, times and exit codes.
//
// Each running workload is kept by a shim, a small process of our own binary
// in a session of its own (see [ShimMain]), so that its output and its exit
// status survive a restart of whoever started it.
package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/volume"
)

// Config says where things are. All fields are required.
type Config struct {
	// Runsc is the path of the runsc binary; see build-runsc.sh.
	Runsc string
	// State is a directory for what must outlive the process: made with mode
	// 0700, and refused with any other.
	State string
	// Shim is the command that calls [ShimMain]: the path of our own binary
	// and the arguments that lead there. A service manager that stops us must
	// leave shims alone (systemd: KillMode=process).
	Shim []string
}

// Driver runs workloads with runsc. It implements [driver.Driver].
type Driver struct {
	config Config
	groups cgroups
}

// New checks that this host can isolate, and names what is missing when it
// cannot. It starts nothing.
func New(c Config) (*Driver, error) {
	if c.Runsc == "" || c.State == "" || len(c.Shim) == 0 {
		return nil, errors.New("oci: want a path to runsc, a state directory and a shim command")
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("oci: isolating workloads needs root")
	}
	runsc, err := exec.LookPath(c.Runsc)
	if err != nil {
		return nil, fmt.Errorf("oci: no runsc: %w", err)
	}
	if c.Runsc, err = filepath.Abs(runsc); err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	if err := checkVersion(c.Runsc); err != nil {
		return nil, err
	}
	if c.State, err = filepath.Abs(c.State); err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	if info, err := os.Stat(c.State); err != nil || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("oci: %s: want a directory with mode 0700", c.State)
	}
	if !mountable(c.State) {
		return nil, fmt.Errorf("oci: %q: want a path without colon, comma and backslash", c.State)
	}
	groups, err := findCgroups()
	if err != nil {
		return nil, err
	}
	d := &Driver{config: c, groups: groups}
	return d, d.sweep()
}

// unnamed begins the name of a state directory that is being made.
const unnamed = ".new-"

// sweep removes what a process that was killed while it made a state directory has
// left: no workload ran from it. One process has a state directory at a time.
func (d *Driver) sweep() error {
	left, err := filepath.Glob(filepath.Join(d.config.State, unnamed+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// Start implements [driver.Driver]. The network namespace must be used for no
// other workload, not even a later one: gVisor takes the addresses off its
// interfaces and does not put them back.
func (d *Driver) Start(ctx context.Context, w spec.Workload, r driver.Resources) (_ driver.Handle, err error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	if err := checkResources(w, r); err != nil {
		return nil, err
	}
	h := d.handle(w.ID)
	lock, err := h.create()
	if err != nil {
		return nil, err
	}
	defer lock.Close() // again, if the shim has it
	k := keep{
		ID: w.ID, Runsc: d.config.Runsc, Dir: h.dir, Image: r.Rootfs, Volume: r.Volume,
		Network: w.Network.Mode, Limits: w.Limits, Groups: d.groups,
	}
	if err := h.write(recordName, record{Volume: r.Volume}); err != nil {
		return nil, err
	}
	if err := writeBundle(w, r, rootPath(h.dir)); err != nil {
		return nil, err
	}
	if err := d.launch(ctx, k, lock); err != nil {
		return nil, err
	}
	return h, nil
}

// checkResources refuses paths that are not what they are called, before
// anything is made of them.
func checkResources(w spec.Workload, r driver.Resources) error {
	for _, p := range []string{r.Rootfs, r.Volume} {
		if info, err := os.Lstat(p); !filepath.IsAbs(p) || err != nil || !info.IsDir() {
			return fmt.Errorf("oci: %q: want the absolute path of a directory", p)
		}
	}
	if !mountable(r.Rootfs) {
		return fmt.Errorf("oci: %q: want a path without colon, comma and backslash", r.Rootfs)
	}
	if (w.Network.Mode == spec.None) != (r.NetNS == "") {
		return errors.New("oci: mode none takes no network namespace, and mode vpc one")
	}
	return volume.Sealed(r.Volume)
}

// Recover implements [driver.Driver]. A workload that was being started when the host
// died, and of which nothing has run, was never there.
func (d *Driver) Recover(ctx context.Context, id string) (driver.Handle, error) {
	if !spec.ValidID(id) {
		return nil, driver.ErrNotFound
	}
	h := d.handle(id)
	if _, err := os.Stat(h.dir); errors.Is(err, os.ErrNotExist) {
		return nil, driver.ErrNotFound
	} else if err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	unborn, err := h.unborn()
	if err != nil {
		return nil, err
	}
	if unborn {
		if err := d.Remove(ctx, id); err != nil {
			return nil, err
		}
		return nil, driver.ErrNotFound
	}
	return h, nil
}

// List implements [driver.Driver].
func (d *Driver) List(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.config.State)
	if err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if spec.ValidID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// Remove implements [driver.Driver].
func (d *Driver) Remove(ctx context.Context, id string) error {
	if !spec.ValidID(id) {
		return nil
	}
	h := d.handle(id)
	if _, err := os.Stat(h.dir); errors.Is(err, os.ErrNotExist) {
		return d.groups.remove(ctx, id)
	}
	// The shim sees its workload die and ends by itself; the lock tells when.
	if err := d.groups.kill(ctx, id); err != nil {
		return err
	}
	lock, err := h.awaitLock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := errors.Join(d.groups.remove(ctx, id), unmountRoot(h.dir)); err != nil {
		return err
	}
	if err := os.RemoveAll(h.dir); err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	return nil
}

func (d *Driver) handle(id string) *handle {
	return &handle{id: id, dir: filepath.Join(d.config.State, id), driver: d}
}

// reserved is the driver's own directory on a volume.
func reserved(volume string, name ...string) string {
	return filepath.Join(volume, spec.Reserved, strings.Join(name, "/"))
}
