package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"bawn.dev/internal/netmodel"
)

// filter is the packet filter that was loaded last, and the kernel's number for the state that this made.
type filter struct {
	rules      *netmodel.Ruleset // nil if it is not known
	generation uint32
}

// foreign reports whether somebody else changed the packet filter since it was loaded.
func (n *network) foreign() (bool, error) {
	if n.filter.rules == nil {
		return false, nil
	}
	now, err := n.space.generation()
	return now != n.filter.generation, err
}

// load makes the namespace's packet filter that of r, in one transaction of the kernel's, and reports whether that changed
// anything: only what differs is touched where it is known what was there.
//
// The nft program is used, rather than a library that speaks to the kernel, because what it is given is what a reviewer
// reads and what "nft list ruleset" shows. Every word of the script is ours or a validated id, address or number.
func (n *network) load(ctx context.Context, nft string, r netmodel.Ruleset) (bool, error) {
	err := errors.New("fabric: somebody else keeps changing the packet filter")
	const attempts = 3
	for range attempts {
		before, failed := n.space.generation()
		if failed != nil {
			return true, failed
		}
		script := flushAll + r.Script()
		if n.filter.rules != nil && n.filter.generation == before {
			if script = r.Changes(*n.filter.rules); script == "" {
				return false, nil
			}
		}
		whole := n.filter.rules == nil
		n.filter.rules = nil
		if failed := n.space.do(func() error { return runNFT(ctx, nft, script) }); failed != nil {
			if err = failed; whole || ctx.Err() != nil {
				return true, err
			}
			continue // with all of it
		}
		after, failed := n.space.generation()
		if failed != nil {
			return true, failed
		}
		if after == before+1 {
			n.filter = filter{&r, after}
			return true, nil
		}
	}
	return true, err
}

// flushAll takes away every table: none but ours belongs in a namespace of ours.
const flushAll = "flush ruleset\n"

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
