package oci_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/driver/drivertest"
)

// The kernel is asked what it was told, where that can be read.
func TestLimitsAndTraces(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	w, r := h.Prepare(t, "wait")
	h.Forget(t, w.ID)
	w.Limits.MilliCPUs, w.Limits.MemoryBytes = 1500, 200<<20
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Await(t, handle, "ready")
	for pattern, want := range map[string]string{
		"memory.max": "209715200", "memory.limit_in_bytes": "209715200",
		"cpu.max": "150000 100000", "cpu.cfs_quota_us": "150000", "pids.max": "1152",
	} {
		for _, file := range traces(t, w.ID) {
			data, err := os.ReadFile(filepath.Join(file, pattern))
			if err == nil && strings.TrimSpace(string(data)) != want {
				t.Errorf("%s: got %q, want %q", pattern, data, want)
			}
		}
	}
	if found := traces(t, w.ID); len(found) == 0 {
		t.Error("it has no control group")
	}
	if err := h.Open().Remove(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	if found := traces(t, w.ID); len(found) != 0 {
		t.Errorf("after Remove there are %q", found)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), state) {
		t.Error("after Remove its root is still mounted")
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
		t.Errorf("after Remove there is %v, %v", left, err)
	}
}

// traces lists the control groups of a workload.
func traces(t *testing.T, id string) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"/sys/fs/cgroup/bawn-", "/sys/fs/cgroup/*/bawn-"} {
		found, err := filepath.Glob(pattern + id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}
