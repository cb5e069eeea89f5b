package oci

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"bawn.dev/internal/spec"
)

// runsc is how the binary is called for one workload.
type runsc struct {
	path    string
	volume  string
	network spec.Mode
	// writable bounds what the workload writes outside of its mounts, in bytes.
	writable int64
}

// flags are the sandbox's walls. Those which state a default do so because a
// default that changes must not move a wall.
func (r runsc) flags() []string {
	network := "sandbox"
	if r.network == spec.None {
		network = "none"
	}
	return []string{
		"--root=" + reserved(r.volume, stateName),
		"--log=" + reserved(r.volume, runscLogName),
		"--platform=systrap",
		"--network=" + network,
		"--gofer-network-namespace=new",
		"--overlay2=root:dir=" + reserved(r.volume, overlayName) + ",size=" + strconv.FormatInt(r.writable, 10),
		"--host-uds=none",
		"--host-fifo=none",
		"--character-device-policy=emulated-only",
		"--allow-suid=false",
		"--net-raw=false",
		"--allow-packet-socket-write=false",
		"--allow-flag-override=false",
		"--rootless=false",
		"--profile=false",
		"--debug=false",
		"--strace=false",
		// The groups are made, limited and entered by us, before runsc starts.
		"--ignore-cgroups",
	}
}

// command is runsc with an empty environment: nothing of ours reaches it.
func (r runsc) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.path, append(r.flags(), args...)...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	return cmd
}

// run calls runsc for its answer. The error holds runsc's own last words,
// which name ids and paths.
func (r runsc) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("oci: runsc %s: %w: %s", args[0], err, lastLine(errs.String()))
	}
	return out.Bytes(), nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	last := lines[len(lines)-1]
	return last[:min(len(last), 500)]
}
