package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// remove takes everything away and says what is still there.
func (h *house) remove() error {
	ctx := context.Background()
	var errs []error
	if h.caller != nil {
		h.caller.close()
	}
	if h.issuer != nil {
		h.issuer.Close()
	}
	if h.tokens != nil {
		h.tokens.Close()
	}
	h.server.stopIfAny(syscall.SIGTERM)
	if h.worker != nil {
		select {
		case <-h.worker.ended:
			errs = append(errs, h.startHost())
		default:
		}
		ids := h.clear(ctx, &errs)
		h.worker.stopIfAny(syscall.SIGTERM)
		errs = append(errs, h.leftovers(ids)...)
	}
	if h.dir != "" && os.Getenv("BAWN_KEEP") == "" { // set by who wants to read the logs
		errs = append(errs, os.RemoveAll(h.dir))
	}
	return errors.Join(errs...)
}

func (p *process) stopIfAny(s syscall.Signal) {
	if p != nil {
		p.stop(s)
	}
}

// clear removes every workload and network from the host.
func (h *house) clear(ctx context.Context, errs *[]error) (ids []string) {
	states, err := h.host.States(ctx)
	*errs = append(*errs, err)
	for _, s := range states {
		ids = append(ids, s.ID)
		*errs = append(*errs, h.host.Remove(ctx, s.ID))
	}
	transits, err := h.host.Transits(ctx)
	*errs = append(*errs, err)
	for _, id := range transits {
		*errs = append(*errs, h.host.RemoveTransit(ctx, id))
	}
	vpcs, err := h.host.VPCs(ctx)
	*errs = append(*errs, err)
	for _, id := range vpcs {
		*errs = append(*errs, h.host.RemoveVPC(ctx, id))
	}
	return ids
}

// leftovers looks for processes, mounts, loop devices, control groups and state.
func (h *house) leftovers(ids []string) (errs []error) {
	left := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, pid := range h.processes() {
		left("process %s", pid)
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); bytes.Contains(mounts, []byte(h.dir)) {
		left("mounts below %s", h.dir)
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range backing {
		if text, _ := os.ReadFile(file); bytes.Contains(text, []byte(h.dir)) {
			left("loop device %s", file)
		}
	}
	for _, id := range ids {
		for _, pattern := range []string{"/sys/fs/cgroup/bawn-" + id, "/sys/fs/cgroup/*/bawn-" + id} {
			groups, _ := filepath.Glob(pattern)
			for _, g := range groups {
				left("control group %s", g)
			}
		}
	}
	for _, dir := range []string{"data/host/volumes", "data/host/workloads", "data/host/vpcs", "data/host/sandboxes", "state/net"} {
		entries, _ := os.ReadDir(filepath.Join(h.dir, dir))
		for _, e := range entries {
			left("%s/%s", dir, e.Name())
		}
	}
	return errs
}

// processes are those that name the house's directory: Bawn's own, and sandboxes.
func (h *house) processes() (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if pid := filepath.Base(filepath.Dir(file)); err == nil && strings.Contains(string(text), h.dir) && pid != fmt.Sprint(os.Getpid()) {
			found = append(found, pid+" "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}
