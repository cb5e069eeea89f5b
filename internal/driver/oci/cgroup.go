package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/spec"
)

const (
	cgroupRoot   = "/sys/fs/cgroup"
	cgroupPrefix = "bawn-"
	// cpuPeriod is the kernel's default, in microseconds.
	cpuPeriod = 100_000
	// hostTasks is how many host threads a sandbox may have beyond twice what
	// its workload may: gVisor's own, and those that it keeps in reserve. The
	// limit that the workload meets is enforced by gVisor; this one is the wall
	// behind it.
	hostTasks = 1024
)

// cgroups is the kind of control groups that this host has. Each workload has
// one group bawn-<id> (in each hierarchy, on version 1).
type cgroups struct {
	Unified bool `json:"unified"`
}

// controllers are those without which a workload could starve its host.
var controllers = [...]string{"cpu", "memory", "pids"}

func findCgroups() (cgroups, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &st); err != nil {
		return cgroups{}, fmt.Errorf("oci: no control groups: %w", err)
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		have, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
		if err != nil {
			return cgroups{}, fmt.Errorf("oci: %w", err)
		}
		words := " " + strings.TrimSpace(string(have)) + " "
		for _, c := range controllers {
			if !strings.Contains(words, " "+c+" ") {
				return cgroups{}, fmt.Errorf("oci: the cgroup controller %s is missing", c)
			}
		}
		return cgroups{Unified: true}, nil
	}
	for _, c := range controllers {
		if _, err := os.Stat(filepath.Join(cgroupRoot, c, "cgroup.procs")); err != nil {
			return cgroups{}, fmt.Errorf("oci: the cgroup controller %s is missing", c)
		}
	}
	return cgroups{}, nil
}

// groups lists the directories of a workload's groups, one per hierarchy.
func (g cgroups) groups(id string) []string {
	if g.Unified {
		return []string{g.group("", id)}
	}
	var dirs []string
	for _, c := range controllers {
		dirs = append(dirs, g.group(c, id))
	}
	return dirs
}

func (g cgroups) group(controller, id string) string {
	if g.Unified {
		controller = ""
	}
	return filepath.Join(cgroupRoot, controller, cgroupPrefix+id)
}

// create makes the groups of a workload and sets their limits on memory and
// processes, which so hold from its first instruction on. Whatever cannot be
// limited is an error, except swap, which not every kernel accounts for.
func (g cgroups) create(id string, l spec.Limits) error {
	if g.Unified {
		if err := set(filepath.Join(cgroupRoot, "cgroup.subtree_control"), "+cpu +memory +pids"); err != nil {
			return err
		}
	}
	for _, dir := range g.groups(id) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("oci: %w", err)
		}
	}
	memory := strconv.FormatInt(l.MemoryBytes, 10)
	pids := strconv.FormatInt(2*l.PIDs+hostTasks, 10)
	if g.Unified {
		dir := g.group("", id)
		return errors.Join(
			set(filepath.Join(dir, "memory.max"), memory),
			optional(set(filepath.Join(dir, "memory.swap.max"), "0")),
			set(filepath.Join(dir, "pids.max"), pids),
		)
	}
	return errors.Join(
		set(filepath.Join(g.group("memory", id), "memory.limit_in_bytes"), memory),
		optional(set(filepath.Join(g.group("memory", id), "memory.memsw.limit_in_bytes"), memory)),
		set(filepath.Join(g.group("pids", id), "pids.max"), pids),
	)
}

// limitProcessor sets the limit that create leaves out: a sandbox is started
// without it, because booting gVisor's kernel at a fraction of a processor
// doubles the time until the workload's first instruction.
func (g cgroups) limitProcessor(id string, milliCPUs int64) error {
	quota := strconv.FormatInt(max(milliCPUs*cpuPeriod/1000, 1000), 10)
	period := strconv.Itoa(cpuPeriod)
	if g.Unified {
		return set(filepath.Join(g.group("", id), "cpu.max"), quota+" "+period)
	}
	return errors.Join(
		set(filepath.Join(g.group("cpu", id), "cpu.cfs_period_us"), period),
		set(filepath.Join(g.group("cpu", id), "cpu.cfs_quota_us"), quota),
	)
}

// inside runs start while this process is in the workload's groups, so that
// what it starts is limited from birth, and moves this process back. Nothing
// else may fork meanwhile.
func (g cgroups) inside(id string, start func() error) (err error) {
	back, err := g.current()
	if err != nil {
		return err
	}
	pid := strconv.Itoa(os.Getpid())
	defer func() {
		for _, procs := range back {
			err = errors.Join(err, set(procs, pid))
		}
	}()
	for _, dir := range g.groups(id) {
		if err := set(filepath.Join(dir, "cgroup.procs"), pid); err != nil {
			return err
		}
	}
	return start()
}

// current lists the cgroup.procs of this process's groups; see cgroups(7).
func (g cgroups) current() ([]string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	var procs []string
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if g.Unified && f[0] == "0" {
			procs = append(procs, filepath.Join(cgroupRoot, f[2], "cgroup.procs"))
		}
		for _, c := range controllers {
			if !g.Unified && strings.Contains(","+f[1]+",", ","+c+",") {
				procs = append(procs, filepath.Join(cgroupRoot, c, f[2], "cgroup.procs"))
			}
		}
	}
	if want := len(g.groups("")); len(procs) != want {
		return nil, fmt.Errorf("oci: found %d control groups of this process, want %d", len(procs), want)
	}
	return procs, nil
}

// oomKills counts the processes of a workload that were killed at its memory
// limit.
func (g cgroups) oomKills(id string) (int, error) {
	file := filepath.Join(g.group("memory", id), "memory.oom_control")
	if g.Unified {
		file = filepath.Join(g.group("", id), "memory.events")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("oci: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" {
			return strconv.Atoi(f[1])
		}
	}
	return 0, fmt.Errorf("oci: %s counts no kills", file)
}

// kill kills every process of a workload and returns when none is left.
func (g cgroups) kill(ctx context.Context, id string) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		left := 0
		for _, dir := range g.groups(id) {
			pids, err := members(dir)
			if err != nil {
				return err
			}
			left += len(pids)
			for _, pid := range pids {
				if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
					return fmt.Errorf("oci: killing: %w", err)
				}
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// remove kills what is left of a workload and removes its groups. Groups that
// do not exist are no error.
func (g cgroups) remove(ctx context.Context, id string) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if err := g.kill(ctx, id); err != nil {
			return err
		}
		busy := false
		for _, dir := range g.groups(id) {
			err := os.Remove(dir)
			switch {
			case errors.Is(err, unix.EBUSY): // dead, but not yet reaped
				busy = true
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("oci: %w", err)
			}
		}
		if !busy {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func members(group string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	var pids []int
	for word := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("oci: %w", err)
		}
		// A process of another PID namespace shows as 0, which kill(2) takes
		// to mean ourselves.
		if pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func set(file, value string) error {
	if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	return nil
}

func optional(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // cgroup files cannot be created, which shows as EACCES or EPERM
	}
	return err
}
