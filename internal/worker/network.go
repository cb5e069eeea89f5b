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
	return apply(ctx, w, w.vpcs(), v.ID, v)
}

// RemoveVPC implements [host.Networks].
func (w *Worker) RemoveVPC(ctx context.Context, id string) error { return remove(ctx, w, w.vpcs(), id) }

// VPCs implements [host.Networks].
func (w *Worker) VPCs() ([]string, error) { return sorted(w, w.models), nil }

// ApplyTransit implements [host.Networks], as ApplyVPC.
func (w *Worker) ApplyTransit(ctx context.Context, g *netmodel.TransitGateway) error {
	return apply(ctx, w, w.transitGateways(), g.ID, g)
}

// RemoveTransit implements [host.Networks].
func (w *Worker) RemoveTransit(ctx context.Context, id string) error {
	return remove(ctx, w, w.transitGateways(), id)
}

// Transits implements [host.Networks].
func (w *Worker) Transits() ([]string, error) { return sorted(w, w.transits), nil }

// kept is a kind of network that is applied and written down.
type kept[T any] struct {
	dir    string // in Config.Dir
	models map[string]T
	parse  func([]byte) (T, error)
	encode func(T) ([]byte, error)
	id     func(T) string
	apply  func(context.Context, T) error
	remove func(context.Context, string) error
}

func (w *Worker) vpcs() kept[*netmodel.VPC] {
	return kept[*netmodel.VPC]{modelsName, w.models, netmodel.Parse, (*netmodel.VPC).Encode,
		func(v *netmodel.VPC) string { return v.ID }, w.config.Fabric.Apply, w.config.Fabric.Remove}
}

func (w *Worker) transitGateways() kept[*netmodel.TransitGateway] {
	return kept[*netmodel.TransitGateway]{transitsName, w.transits, netmodel.ParseTransit, (*netmodel.TransitGateway).Encode,
		func(g *netmodel.TransitGateway) string { return g.ID }, w.config.Fabric.ApplyTransit, w.config.Fabric.RemoveTransit}
}

func apply[T any](ctx context.Context, w *Worker, k kept[T], id string, model T) error {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return err
	}
	data, err := k.encode(model)
	if err != nil {
		return fmt.Errorf("%w: %w", host.ErrInvalid, err)
	}
	w.networks.Lock()
	defer w.networks.Unlock()
	if err := k.apply(ctx, model); err != nil {
		return foreign(err)
	}
	k.models[id] = model
	return writeFile(w.path(k.dir, id+".json"), data)
}

func remove[T any](ctx context.Context, w *Worker, k kept[T], id string) error {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return err
	}
	if !netmodel.ValidID(id) {
		return fmt.Errorf("%w: a malformed id", host.ErrInvalid)
	}
	w.networks.Lock()
	defer w.networks.Unlock()
	if err := k.remove(ctx, id); err != nil {
		return foreign(err)
	}
	delete(k.models, id)
	return removeFile(w.path(k.dir, id+".json"))
}

func sorted[T any](w *Worker, models map[string]T) []string {
	w.networks.Lock()
	defer w.networks.Unlock()
	return append([]string{}, slices.Sorted(maps.Keys(models))...)
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

// Dial implements [host.Networks].
func (w *Worker) Dial(ctx context.Context, vpcID string, from netip.Addr, to netip.AddrPort) (*os.File, error) {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return nil, err
	}
	f, err := w.config.Fabric.Dial(ctx, vpcID, from, to)
	return f, foreign(err)
}

// Queries implements [host.Networks].
func (w *Worker) Queries(ctx context.Context, vpcID string, emit func(fabric.Query) error) error {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return err
	}
	return foreign(w.config.Fabric.Queries(ctx, vpcID, emit))
}

// Events implements [host.Networks].
func (w *Worker) Events(ctx context.Context, emit func(fabric.Event) error) error {
	if err := unsupported(w.config.Capabilities.Network); err != nil {
		return err
	}
	return foreign(w.config.Fabric.Events(ctx, emit))
}

// applyAgain applies what an earlier worker had applied.
func (w *Worker) applyAgain(ctx context.Context) error {
	if err := again(ctx, w, w.vpcs()); err != nil {
		return err
	}
	return again(ctx, w, w.transitGateways())
}

func again[T any](ctx context.Context, w *Worker, k kept[T]) error {
	entries, err := os.ReadDir(w.path(k.dir))
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // was being written
			if err := os.Remove(w.path(k.dir, e.Name())); err != nil {
				return fmt.Errorf("worker: %w", err)
			}
			continue
		}
		data, err := os.ReadFile(w.path(k.dir, e.Name()))
		if err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		model, err := k.parse(data)
		if err != nil {
			return fmt.Errorf("worker: %s: %w", e.Name(), err)
		}
		k.models[k.id(model)] = model
		if len(w.config.Fabric.Missing()) > 0 {
			continue
		}
		if err := k.apply(ctx, model); err != nil {
			return fmt.Errorf("worker: applying %s again: %w", k.id(model), err)
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
