package oci_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/oci"
	"bawn.dev/internal/spec"
)

// has reports every fact that is missing from what an attack printed.
func has(t *testing.T, said string, facts ...string) {
	t.Helper()
	for _, fact := range facts {
		if !strings.Contains("\n"+said+"\n", "\n"+fact+"\n") {
			t.Errorf("want %q in:\n%s", fact, said)
		}
	}
}

func hasNot(t *testing.T, said string, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(said, word) {
			t.Errorf("found %q in:\n%s", word, said)
		}
	}
}

const powerless = "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:0000000000000000"

func TestAttackBecomeRoot(t *testing.T) {
	h := machine(t)
	has(t, output(t, h, "attack", "ids"), "ids 1000 1000 1000 1000", "groups [] <nil>")
	has(t, output(t, h, "attack", "status"), powerless, "NoNewPrivs:1")
	said := output(t, h, "attack", "become")
	has(t, said, "setuid failed: operation not permitted", "setgid failed: operation not permitted",
		"setresuid failed: operation not permitted", "chroot failed: operation not permitted")
	hasNot(t, said, "WORKED")
}

func TestAttackSetuidBinary(t *testing.T) {
	info, err := os.Stat(filepath.Join(rootfs, "suid"))
	if err != nil || info.Mode()&os.ModeSetuid == 0 {
		t.Fatalf("the bait has no set-uid bit: %v, %v", info, err)
	}
	said := output(t, machine(t), "attack", "setuid", "/suid")
	has(t, said, "ids 1000 1000 1000 1000", powerless, "child <nil>")
}

func TestAttackWriteRoot(t *testing.T) {
	before := listing(t, rootfs)
	said := output(t, machine(t), "attack", "write", "/owned", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf", "/probe", "/home/user/mine", "/tmp/mine")
	has(t, said, "/owned failed: permission denied", "/etc/passwd failed: permission denied", "/probe failed: permission denied",
		"/home/user/mine WORKED", "/tmp/mine WORKED")
	hasNot(t, said, "/etc/hosts WORKED", "/etc/resolv.conf WORKED")
	if after := listing(t, rootfs); after != before {
		t.Errorf("the image changed on the host; before:\n%s\nafter:\n%s", before, after)
	}
}

// listing is a directory tree with sizes and modes, as text.
func listing(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size := info.Size()
		if d.IsDir() {
			size = 0
		}
		b.WriteString(p + " " + info.Mode().String() + " " + strconv.FormatInt(size, 10) + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAttackReadHost(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := machine(t)
	w, r := h.Prepare(t, "attack", "read", secret, "/proc/1/root"+secret, "/proc/self/root"+secret, "/../.."+secret,
		"/etc/shadow", "/etc/machine-id", "/.bawn/bundle/config.json", r0(rootfs), "/proc/1/environ")
	h.Forget(t, w.ID)
	w.Env["SECRET_OF_MINE"] = "seen"
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, handle)
	said := strings.Join(drivertest.Lines(t, handle), "\n")
	hasNot(t, said, "of the host", "secret-of-the-image")
	has(t, said, "/etc/shadow failed: permission denied", secret+" failed: no such file or directory")
	// Its own environment is its own to read; nothing else is in it. runsc
	// gives it in any order.
	_, environ, _ := strings.Cut(said, `/proc/1/environ "`)
	got := strings.Split(strings.TrimSuffix(environ, `\x00"`), `\x00`)
	slices.Sort(got)
	if !slices.Equal(got, []string{"HOME=/tmp", "SECRET_OF_MINE=seen", "TRAINING_JOB_NAME=suite"}) {
		t.Errorf("its environment is %q", got)
	}
}

// r0 is the path of a host's file that exists, as the host names it.
func r0(root string) string { return filepath.Join(root, "probe") }

func TestAttackSeeProcesses(t *testing.T) {
	said := output(t, machine(t), "attack", "processes")
	if want := "process /probe attack processes  <nil>"; said != want {
		t.Errorf("got %q, want %q", said, want)
	}
}

func TestAttackDevices(t *testing.T) {
	h := machine(t)
	said := output(t, h, "attack", "devices")
	// All of these are gVisor's own; none reaches a device of the host.
	allowed := map[string]bool{"fuse": true, "net/tun": true, "full": true, "null": true, "random": true, "tty": true, "urandom": true, "zero": true, "ptmx": true}
	for line := range strings.Lines(said) {
		name, isDevice := strings.CutPrefix(strings.TrimSpace(line), "device /dev/")
		if isDevice && !allowed[name] && !strings.HasPrefix(name, "pts/") {
			t.Errorf("there is a device %q", name)
		}
	}
	has(t, said, "device /dev/null", "walked <nil>")
	has(t, output(t, h, "attack", "mknod"), "disk failed: operation not permitted", "mem failed: operation not permitted")
}

func TestAttackMount(t *testing.T) {
	hasNot(t, output(t, machine(t), "attack", "mount"), "WORKED")
}

func TestAttackKernelFiles(t *testing.T) {
	said := output(t, machine(t), "attack", "sys")
	hasNot(t, said, "WORKED")
	has(t, said, "/proc/kcore 0 true", "/proc/sysrq-trigger 0 true", "/proc/1/root/etc/shadow 0 true", "/sys/firmware/dmi 0 true")
}

func TestAttackForkBomb(t *testing.T) {
	h := machine(t)
	w, r := h.Prepare(t, "attack", "bomb")
	h.Forget(t, w.ID)
	w.Limits.MemoryBytes = 1 << 30 // so that it is not memory that stops it
	w.Limits.PIDs = 40
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	exit := drivertest.Wait(t, handle)
	said := strings.Join(drivertest.Lines(t, handle, driver.Stdout), "\n")
	children, failed := 0, false
	if f := strings.Fields(said); len(f) == 3 && f[0] == "children" {
		children, _ = strconv.Atoi(f[1])
		failed = f[2] == "true"
	}
	if exit.OOM || !failed || children < 1 || children >= 40 {
		t.Errorf("%d children, stopped %v, %+v: %s", children, failed, exit, said)
	}
}

func TestAttackFillDisk(t *testing.T) {
	h := machine(t)
	w, r := h.Prepare(t, "attack", "fill", "/tmp/big", "/home/user/big", "/opt/ml/big")
	w.Limits.MemoryBytes = 512 << 20
	w.Limits.DiskBytes = 64 << 20
	w.Mounts = []spec.Mount{{Source: "ml", Target: "/opt/ml"}}
	r.Volume = encrypted(t, w.Limits.DiskBytes)
	h.Forget(t, w.ID)
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	exit := drivertest.Wait(t, handle)
	for _, line := range drivertest.Lines(t, handle, driver.Stdout) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "true" {
			t.Errorf("it was not told that the disk is full: %q", line)
			continue
		}
		limit := 64
		if f[0] == "/tmp/big" {
			limit = 256
		}
		if n, err := strconv.Atoi(f[1]); err != nil || n < 1 || n > limit {
			t.Errorf("%s took %s MiB", f[0], f[1])
		}
	}
	if exit.Code != 0 {
		t.Errorf("it ended with %+v", exit)
	}
}

func TestAttackNetworkOfNone(t *testing.T) {
	h := machine(t)
	said := output(t, h, "attack", "interfaces")
	if want := "interface lo\nlisted <nil>"; said != want {
		t.Errorf("got %q, want %q", said, want)
	}
	hasNot(t, output(t, h, "attack", "dial", "169.254.169.254:80", "192.0.2.1:443", "127.0.0.1:22"), "WORKED")
}

func TestRefusesPlainVolume(t *testing.T) {
	h := machine(t)
	w, r := h.Prepare(t, "exit", "0")
	r.Volume = t.TempDir() // on the host's disk, in clear
	if _, err := h.Open().Start(t.Context(), w, r); err == nil || !strings.Contains(err.Error(), "neither encrypted nor in memory") {
		h.Forget(t, w.ID)
		t.Fatalf("got %v", err)
	}
	if entries, err := os.ReadDir(r.Volume); err != nil || len(entries) != 0 {
		t.Errorf("it wrote %v, %v", entries, err)
	}
}

func TestRefusesLinkedMount(t *testing.T) {
	outside := t.TempDir()
	h := machine(t)
	w, r := h.Prepare(t, "attack", "write", "/opt/ml/x")
	h.Forget(t, w.ID)
	if err := os.Symlink(outside, filepath.Join(r.Volume, "data")); err != nil {
		t.Fatal(err)
	}
	w.Mounts = []spec.Mount{{Source: "data", Target: "/opt/ml"}}
	if _, err := h.Open().Start(t.Context(), w, r); err == nil {
		t.Error("a symbolic link was mounted")
	}
}

func TestMounts(t *testing.T) {
	h := machine(t)
	w, r := h.Prepare(t, "attack", "write", "/opt/ml/model/out", "/opt/ml/input/config/x", "/etc/ssl/bundle.pem")
	h.Forget(t, w.ID)
	for name, content := range map[string]string{"input/config/hyperparameters.json": "{}", "ca/bundle.pem": "cert"} {
		file := filepath.Join(r.Volume, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.Mounts = []spec.Mount{
		{Source: "input", Target: "/opt/ml/input", ReadOnly: true},
		{Source: "model", Target: "/opt/ml/model"},
		{Source: "ca/bundle.pem", Target: "/etc/ssl/bundle.pem", ReadOnly: true},
	}
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, handle)
	said := strings.Join(drivertest.Lines(t, handle), "\n")
	has(t, said, "/opt/ml/model/out WORKED")
	hasNot(t, said, "config/x WORKED", "bundle.pem WORKED")
	if data, err := os.ReadFile(filepath.Join(r.Volume, "model/out")); err != nil || string(data) != "owned" {
		t.Errorf("the model is %q, %v", data, err)
	}
	if _, err := os.Lstat(filepath.Join(rootfs, "opt")); err == nil {
		t.Error("a mount point was made in the image")
	}
}

// The environment may hold secrets: it is nowhere but on the volume.
func TestEnvironmentStaysOnVolume(t *testing.T) {
	const marker = "marker-of-a-secret-value"
	state := filepath.Join(t.TempDir(), "state")
	h := machineAt(t, state)
	w, r := h.Prepare(t, "wait")
	h.Forget(t, w.ID)
	w.Env["PASSWORD"] = marker
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	grep := func(dir string) (found []string) {
		err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(p)
			if strings.Contains(string(data), marker) {
				found = append(found, p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := grep(state); len(found) != 0 {
		t.Errorf("on the host's disk: %q", found)
	}
	if found := grep(r.Volume); len(found) == 0 {
		t.Error("the search finds nothing on the volume either: it proves nothing")
	}
	// Nor do the host's processes carry it where every user can read.
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range lines {
		if data, err := os.ReadFile(p); err == nil && strings.Contains(string(data), marker) {
			t.Errorf("%s: %q", p, data)
		}
	}
	if err := handle.Signal(t.Context(), syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	drivertest.Wait(t, handle)
}

func TestNewRefusesOpenState(t *testing.T) {
	state := t.TempDir()
	if err := os.Chmod(state, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := oci.New(oci.Config{Runsc: runsc, State: state, Shim: []string{"/bin/false"}}); err == nil {
		t.Error("a state directory that others can read was accepted")
	}
	if _, err := oci.New(oci.Config{}); err == nil {
		t.Error("the zero configuration was accepted")
	}
}

// T17: a runtime with known holes is not used.
func TestNewRefusesOldRuntime(t *testing.T) {
	dir := t.TempDir()
	for version, ok := range map[string]bool{
		"runsc version release-20200101.0": false,
		"runsc version unknown":            false,
		"":                                 false,
		"runsc version release-20990101.0": true,
	} {
		path := filepath.Join(dir, "runsc")
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+version+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := oci.New(oci.Config{Runsc: path, State: filepath.Join(dir, "state"), Shim: []string{"/bin/false"}})
		if (err == nil) != ok {
			t.Errorf("%q: got %v", version, err)
		}
	}
}
