package worker

import (
	"context"
	"io"
	"net/netip"
	"os"
	"slices"

	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/netmodel"
)

// Unable is a host that cannot isolate anything: it says why, and refuses the rest.
// There is nothing on it, and so nothing to stop, lock or remove.
type Unable host.Capabilities

func (u Unable) refuse() error {
	return unsupported(slices.Concat(u.Network, u.Volumes, u.Sandbox))
}

// Capabilities implements [host.Networks].
func (u Unable) Capabilities() host.Capabilities { return host.Capabilities(u) }

// The rest implements [host.Machine].

func (u Unable) ApplyVPC(context.Context, *netmodel.VPC) error { return u.refuse() }
func (u Unable) RemoveVPC(context.Context, string) error       { return u.refuse() }
func (u Unable) VPCs() ([]string, error)                       { return []string{}, nil }
func (u Unable) Listen(context.Context, string, netip.AddrPort) (*os.File, error) {
	return nil, u.refuse()
}
func (u Unable) ApplyTransit(context.Context, *netmodel.TransitGateway) error { return u.refuse() }
func (u Unable) RemoveTransit(context.Context, string) error                  { return u.refuse() }
func (u Unable) Transits() ([]string, error)                                  { return []string{}, nil }
func (u Unable) Dial(context.Context, string, netip.Addr, netip.AddrPort) (*os.File, error) {
	return nil, u.refuse()
}
func (u Unable) Flows(context.Context, string, func(fabric.FlowRecord) error) error {
	return u.refuse()
}
func (u Unable) Queries(context.Context, string, func(fabric.Query) error) error { return u.refuse() }
func (u Unable) Events(context.Context, func(fabric.Event) error) error          { return u.refuse() }
func (u Unable) Image(string) (host.Image, error)                                { return host.Image{}, u.refuse() }
func (u Unable) Prepare(context.Context, host.Order) error                       { return u.refuse() }
func (u Unable) Start(context.Context, string) error                             { return u.refuse() }
func (u Unable) Stop(context.Context, string) error                              { return u.refuse() }
func (u Unable) State(string) (host.State, error)                                { return host.State{}, u.refuse() }
func (u Unable) States() ([]host.State, error)                                   { return nil, u.refuse() }
func (u Unable) Lock(context.Context, string) error                              { return u.refuse() }
func (u Unable) Remove(context.Context, string) error                            { return u.refuse() }
func (u Unable) Put(context.Context, string, string, io.Reader) error            { return u.refuse() }
func (u Unable) ReadFile(context.Context, string, string, int64) ([]byte, error) {
	return nil, u.refuse()
}
func (u Unable) Logs(context.Context, string, int64, int) (host.Lines, error) {
	return host.Lines{}, u.refuse()
}
func (u Unable) Archive(context.Context, string, string, io.Writer) error { return u.refuse() }
