package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/netmodel"
)

// flowInterval is how often a flow that goes on is reported.
const flowInterval = 10 * time.Second

// ApplyVPC implements [host.Networks]. What was applied is written down, so that a
// restarted host answers its names again before anybody asks for it.
func (w *Worker) ApplyVPC(ctx context.Context, v *netmodel.VPC) error {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return err
	}
	data, err := v.Encode()
	if err != nil {
		return fmt.Errorf("%w: %w", host.ErrInvalid, err)
	}
	w.networks.Lock()
	defer w.networks.Unlock()
	if err := w.config.Fabric.Apply(ctx, v); err != nil {
		return foreign(err)
	}
	own, err := netmodel.Parse(data)
	if err != nil {
		return err
	}
	w.models[v.ID] = own
	return writeFile(w.modelPath(v.ID), data)
}

// RemoveVPC implements [host.Networks].
func (w *Worker) RemoveVPC(ctx context.Context, id string) error {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return err
	}
	if !netmodel.ValidID(id) {
		return fmt.Errorf("%w: a malformed id", host.ErrInvalid)
	}
	w.networks.Lock()
	defer w.networks.Unlock()
	if err := w.config.Fabric.Remove(ctx, id); err != nil {
		return foreign(err)
	}
	delete(w.models, id)
	return removeFile(w.modelPath(id))
}

// VPCs implements [host.Networks].
func (w *Worker) VPCs() ([]string, error) {
	w.networks.Lock()
	defer w.networks.Unlock()
	return append([]string{}, slices.Sorted(maps.Keys(w.models))...), nil
}

// Listen implements [host.Networks].
func (w *Worker) Listen(ctx context.Context, vpcID string, addr netip.AddrPort) (*os.File, error) {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return nil, err
	}
	f, err := w.config.Fabric.Listen(ctx, vpcID, addr)
	return f, foreign(err)
}

// Flows implements [host.Networks].
func (w *Worker) Flows(ctx context.Context, vpcID string, emit func(fabric.FlowRecord) error) error {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return err
	}
	return foreign(w.config.Fabric.FlowRecords(ctx, vpcID, flowInterval, emit))
}

func (w *Worker) modelPath(id string) string { return w.path(modelsName, id+".json") }

// applyAgain applies what an earlier worker had applied.
func (w *Worker) applyAgain(ctx context.Context) error {
	entries, err := os.ReadDir(w.path(modelsName))
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // was being written
			if err := os.Remove(w.path(modelsName, e.Name())); err != nil {
				return fmt.Errorf("worker: %w", err)
			}
			continue
		}
		data, err := os.ReadFile(w.path(modelsName, e.Name()))
		if err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		v, err := netmodel.Parse(data)
		if err != nil {
			return fmt.Errorf("worker: %s: %w", e.Name(), err)
		}
		w.models[v.ID] = v
		if len(w.config.Fabric.Missing()) > 0 {
			continue
		}
		if err := w.config.Fabric.Apply(ctx, v); err != nil {
			return fmt.Errorf("worker: applying %s again: %w", v.ID, err)
		}
	}
	return nil
}

// foreign says a fabric's error in the words of the door.
func foreign(err error) error {
	for _, pair := range [...]struct{ theirs, ours error }{
		{fabric.ErrNotFound, host.ErrNotFound}, {fabric.ErrRefused, host.ErrInvalid},
		{fabric.ErrAttached, host.ErrExists}, {fabric.ErrUnsupported, host.ErrUnsupported},
	} {
		if errors.Is(err, pair.theirs) {
			return fmt.Errorf("%w: %w", pair.ours, err)
		}
	}
	return err
}

func joined(missing []string) string { return strings.Join(missing, "; ") }
