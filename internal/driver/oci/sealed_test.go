package oci_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/volume"
)

// A whole life on a real volume leaves nothing of the workload readable on the
// host's disk: not its environment, arguments, output, nor what it wrote to
// its root and its mounts.
func TestNothingInClearOnDisk(t *testing.T) {
	disk := t.TempDir()
	volumes := filepath.Join(disk, "volumes")
	if err := os.Mkdir(volumes, 0o700); err != nil {
		t.Fatal(err)
	}
	h := machineAt(t, filepath.Join(disk, "state"))
	w, r := h.Prepare(t, "say", "marker-of-stdout-line", "marker-of-stderr-line")
	w.Env["SECRET"] = "marker-of-environment"
	w.Mounts = []spec.Mount{{Source: "marker-of-mount-name", Target: "/opt/ml"}}
	v, err := volume.Create(t.Context(), volumes, w.ID, make([]byte, volume.KeySize), w.Limits.DiskBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h.Forget(t, w.ID)
	r.Volume = v.Path()
	if err := os.WriteFile(filepath.Join(r.Volume, "data"), []byte("marker-of-staged-data"), 0o600); err != nil {
		t.Fatal(err)
	}
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	if exit := drivertest.Wait(t, handle); exit.Code != 0 {
		t.Fatalf("%+v", exit)
	}
	if lines := drivertest.Lines(t, handle); len(lines) != 2 {
		t.Fatalf("it said %q", lines)
	}
	if err := v.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	searched := 0
	err = filepath.WalkDir(disk, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		searched += len(data)
		for _, marker := range []string{"stdout-line", "stderr-line", "environment", "mount-name", "staged-data"} {
			text := []byte("marker-of-" + marker)
			for _, form := range [][]byte{text, []byte(hex.EncodeToString(text)), []byte(base64.StdEncoding.EncodeToString(text))[:12]} {
				if bytes.Contains(data, form) {
					t.Errorf("%s holds %q in clear", p, form)
				}
			}
		}
		return err
	})
	if err != nil || searched < 64<<20 {
		t.Errorf("searched %d bytes, %v", searched, err)
	}
}

// The smallest workload that a specification allows can run.
func TestSmallestLimits(t *testing.T) {
	h := machine(t)
	w, r := h.Prepare(t, "exit", "5")
	h.Forget(t, w.ID)
	w.Limits.MemoryBytes = 96 << 20
	w.Limits.MilliCPUs = 100
	w.Limits.PIDs = 16 // the probe itself has a handful of threads
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	if exit := drivertest.Wait(t, handle); exit.Code != 5 {
		t.Errorf("got %+v", exit)
	}
}
