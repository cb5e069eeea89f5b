package fabric

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"

	"bawn.dev/internal/netmodel"
)

// load replaces the packet filter of the namespace at path by r, in one transaction of the kernel's.
//
// The nft program is used, rather than a library that speaks to the kernel, because what it is given is what a reviewer
// reads and what "nft list ruleset" shows. Every word of the script is ours or a validated id, address or number.
func (f *Fabric) load(ctx context.Context, path string, r netmodel.Ruleset) error {
	return inside(path, func() error { return runNFT(ctx, f.nft, r.Script()) })
}

// runNFT runs a script in the namespace of the calling thread.
func runNFT(ctx context.Context, nft, script string) error {
	cmd := exec.CommandContext(ctx, nft, "-f", "-")
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(script)
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &complaint, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fabric: nft: %w: %.500s", err, complaint.String())
	}
	return nil
}
