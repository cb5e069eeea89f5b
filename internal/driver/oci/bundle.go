package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/spec"
)

// Names in the reserved directory of a volume.
const (
	bundleName   = "bundle"  // the OCI bundle: config.json
	etcName      = "etc"     // hosts, hostname, resolv.conf
	overlayName  = "overlay" // the writable layer of the root
	stateName    = "runsc"   // runsc's own state
	logName      = "log"     // what the workload writes, framed
	runscLogName = "runsc.log"
	pidName      = "pid" // of gVisor's kernel
)

// writeBundle makes the reserved directory, the sources of the mounts, and the
// bundle, for a workload whose root will be mounted at rootfs. It refuses a
// volume on which anything ran before.
func writeBundle(w spec.Workload, r driver.Resources, rootfs string) error {
	if err := os.Mkdir(reserved(r.Volume), 0o700); err != nil {
		return fmt.Errorf("oci: the volume is not a fresh one: %w", err)
	}
	for _, name := range []string{bundleName, etcName, overlayName, stateName} {
		if err := os.Mkdir(reserved(r.Volume, name), 0o700); err != nil {
			return fmt.Errorf("oci: %w", err)
		}
	}
	for name, content := range etcFiles(w.Network) {
		file := reserved(r.Volume, etcName, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return fmt.Errorf("oci: %w", err)
		}
		if err := os.Chmod(file, 0o644); err != nil { // whatever our umask
			return fmt.Errorf("oci: %w", err)
		}
	}
	root, err := os.OpenRoot(r.Volume)
	if err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	defer root.Close()
	for _, m := range w.Mounts {
		if err := source(root, m.Source, w.User); err != nil {
			return fmt.Errorf("oci: mount %s: %w", m.Target, err)
		}
	}
	data, err := json.Marshal(config(w, r, rootfs), json.FormatNilSliceAsNull(true), json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	if err := os.WriteFile(reserved(r.Volume, bundleName, "config.json"), data, 0o600); err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	return nil
}

// source makes sure that name is a file or directory of the volume itself. No
// part of it may be a symbolic link: runsc would follow it, on the host.
func source(root *os.Root, name string, owner spec.User) error {
	var dir string
	for part := range strings.SplitSeq(name, "/") {
		dir = path.Join(dir, part)
		info, err := root.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if err := root.Mkdir(dir, 0o700); err != nil {
				return err
			}
			if err := root.Lchown(dir, int(owner.UID), int(owner.GID)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() && (dir != name || !info.Mode().IsRegular()) {
			return fmt.Errorf("%s is neither a directory nor a file", dir)
		}
	}
	return nil
}

// etcFiles are the name files that a workload sees, by name. Names and
// addresses were validated: none of them can forge a line.
func etcFiles(n spec.Network) map[string]string {
	var hosts strings.Builder
	hosts.WriteString("127.0.0.1 localhost\n::1 localhost\n")
	if n.Interface.Address.IsValid() && n.Hostname != "" {
		fmt.Fprintf(&hosts, "%s %s\n", n.Interface.Address, n.Hostname)
	}
	for _, h := range n.Hosts {
		fmt.Fprintf(&hosts, "%s %s\n", h.Address, h.Name)
	}
	resolv := "" // no name server: names fail at once
	if n.Nameserver.IsValid() {
		resolv = "nameserver " + n.Nameserver.String() + "\noptions timeout:2 attempts:2\n"
	}
	return map[string]string{"hosts": hosts.String(), "hostname": hostname(n) + "\n", "resolv.conf": resolv}
}

func hostname(n spec.Network) string {
	if n.Hostname == "" {
		return "localhost"
	}
	return n.Hostname
}

// config is the workload in the words of the OCI runtime specification 1.3.0.
func config(w spec.Workload, r driver.Resources, rootfs string) *specs.Spec {
	env := make([]string, 0, len(w.Env))
	for name, value := range w.Env {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	pids := uint64(w.Limits.PIDs)
	return &specs.Spec{
		Version:  "1.3.0",
		Hostname: hostname(w.Network),
		// The directory itself is never written: what the workload writes goes
		// to an overlay on the encrypted volume (see runsc.flags).
		Root: &specs.Root{Path: rootfs},
		Process: &specs.Process{
			User:            specs.User{UID: w.User.UID, GID: w.User.GID},
			Args:            w.Argv(),
			Env:             env,
			Cwd:             w.WorkingDir,
			Capabilities:    &specs.LinuxCapabilities{},
			NoNewPrivileges: true,
			// These are gVisor's, inside the sandbox; the host's are not touched.
			Rlimits: []specs.POSIXRlimit{
				{Type: "RLIMIT_NPROC", Soft: pids, Hard: pids},
				{Type: "RLIMIT_NOFILE", Soft: 1 << 16, Hard: 1 << 16},
				{Type: "RLIMIT_CORE"},
			},
		},
		Mounts: mounts(w, r),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
				{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace, Path: r.NetNS},
			},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				"/proc/sched_debug", "/proc/scsi", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats",
				"/sys/firmware", "/sys/devices/virtual/powercap",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"},
		},
	}
}

func mounts(w spec.Workload, r driver.Resources) []specs.Mount {
	// What is in memory counts against the memory limit; the bound is there so
	// that filling it is an error to the writer and not the workload's death.
	size := fmt.Sprintf("size=%d", w.Limits.MemoryBytes/2)
	all := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "nodev", "noexec"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "nodev", "noexec", "ro"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "mode=755"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "nodev", "noexec", "mode=1777", size}},
		{Destination: "/tmp", Type: "tmpfs", Source: "tmp", Options: []string{"nosuid", "nodev", "mode=1777", size}},
	}
	for name := range etcFiles(w.Network) {
		all = append(all, bind(reserved(r.Volume, etcName, name), "/etc/"+name, true))
	}
	for _, m := range w.Mounts {
		all = append(all, bind(filepath.Join(r.Volume, m.Source), m.Target, m.ReadOnly))
	}
	// Parents before what lies in them.
	slices.SortStableFunc(all, func(a, b specs.Mount) int { return strings.Compare(a.Destination, b.Destination) })
	return all
}

func bind(source, target string, readonly bool) specs.Mount {
	options := []string{"bind", "nosuid", "nodev"}
	if readonly {
		options = append(options, "ro")
	}
	return specs.Mount{Destination: target, Type: "bind", Source: source, Options: options}
}
