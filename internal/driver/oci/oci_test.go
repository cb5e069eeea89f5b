package oci_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/oci"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/volume"
)

// shimArg makes the test binary a shim, as a hidden mode does bawn.
const shimArg = "shim-for-tests"

// rootfs and runsc are made once by TestMain, before any test runs.
var rootfs, runsc string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == shimArg {
		os.Exit(oci.ShimMain(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == starterArg {
		fmt.Fprintln(os.Stderr, starter()) // it returns only when it failed
		os.Exit(1)
	}
	code, err := prepare(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepare(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "bawn-oci-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if runsc, err = findRunsc(); err != nil {
		return 1, err
	}
	rootfs = filepath.Join(dir, "rootfs")
	if err := makeRootfs(rootfs); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// findRunsc looks where a developer has one, and builds it otherwise.
func findRunsc() (string, error) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		return "", err
	}
	for _, candidate := range []string{os.Getenv("RUNSC"), filepath.Join(root, "bin", "runsc"), "runsc"} {
		if path, err := exec.LookPath(candidate); err == nil && candidate != "" {
			return path, nil
		}
	}
	dir := filepath.Join(root, ".build")
	cmd := exec.Command("sh", "build-runsc.sh", dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("these tests need runsc; `sh internal/driver/oci/build-runsc.sh .build` failed: %w", err)
	}
	return filepath.Join(dir, "runsc"), nil
}

// makeRootfs builds the probe into a root file system that has nothing else
// but temptations.
func makeRootfs(root string) error {
	for _, dir := range []string{"etc", "home/user", "tmp", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	probe := filepath.Join(root, "probe")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", probe, "../drivertest/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the probe: %w: %s", err, out)
	}
	binary, err := os.ReadFile(probe)
	if err != nil {
		return err
	}
	suid := filepath.Join(root, "suid")
	return errors.Join(
		os.WriteFile(suid, binary, 0o755), os.Chmod(suid, os.ModeSetuid|os.ModeSetgid|0o755),
		os.WriteFile(filepath.Join(root, "etc/shadow"), []byte("root:secret-of-the-image"), 0o600),
		os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/:\nuser:x:1000:1000::/home/user:\n"), 0o644),
		os.Chown(filepath.Join(root, "home/user"), 1000, 1000),
	)
}

// machine is a host with a driver whose state lasts one test.
func machine(t testing.TB) drivertest.Host {
	t.Helper()
	return machineAt(t, filepath.Join(t.TempDir(), "state"))
}

func machineAt(t testing.TB, state string) drivertest.Host {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return drivertest.Host{
		Open: func() driver.Driver {
			d, err := oci.New(oci.Config{Runsc: runsc, State: state, Shim: []string{self, shimArg}})
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Prepare: func(t testing.TB, args ...string) (spec.Workload, driver.Resources) {
			return drivertest.Workload("/probe", args...), driver.Resources{Rootfs: rootfs, Volume: memory(t)}
		},
	}
}

// memory is a volume in memory: what it needs of an encrypted one.
func memory(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=256m,mode=0711"); err != nil {
		t.Fatalf("a volume in memory: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("the volume is still in use: %v", err)
		}
	})
	return dir
}

// encrypted is a real volume.
func encrypted(t testing.TB, size int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	v, err := volume.Create(t.Context(), dir, spec.NewID(), make([]byte, volume.KeySize), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Destroy(context.Background()); err != nil {
			t.Errorf("the volume is still in use: %v", err)
		}
	})
	return v.Path()
}

func TestDriver(t *testing.T) {
	drivertest.Run(t, machine(t))
}

// output runs one workload to its end and returns what it said.
func output(t *testing.T, h drivertest.Host, args ...string) string {
	t.Helper()
	handle := h.Start(t, args...)
	drivertest.Wait(t, handle)
	return strings.Join(drivertest.Lines(t, handle), "\n")
}
