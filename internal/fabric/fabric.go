// Package fabric makes this Linux machine obey a netmodel.
//
// A VPC is a network namespace that routes; a workload has a namespace of its own, joined to the VPC's by a routed veth
// with a /32 address: no bridge, no shared layer two. All filtering happens on the VPC's side, where a workload, even one
// that is root in its namespace or brings its own network stack, cannot touch it. The VPC's namespace has no link to the
// host or to another VPC: what has no wire needs no rule. An endpoint is a listening socket opened inside the VPC's
// namespace; whoever accepts from it knows from the kernel, not from a header, which VPC and which workload calls.
//
// Trust: the fabric runs as root and trusts its caller to choose which VPCs exist; it validates every description again.
// It trusts nothing from inside a namespace. Whoever controls a workload's namespace, root and raw sockets included, can
// send from the interface's own address to what the security groups admit, can ask the private name server for names that
// exist only in the VPC, and can talk to the listeners that were opened; forged sources, IPv6, the router's own addresses,
// the host, other VPCs and every outside address are unreachable. Where the machine lacks something, [Fabric.Missing] says
// what, and nothing is set up at all.
package fabric

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"bawn.dev/internal/netmodel"
)

// Config says where a Fabric keeps its namespaces.
type Config struct {
	// StateDir holds the namespaces' mount points. It should not outlive a reboot (a directory under /run).
	StateDir string
	// NamePrefix begins every name; fabrics with different prefixes do not see each other. 1 to 16 of a-z, 0-9 and "-".
	NamePrefix string
	// Log hears what cannot be returned to a caller, such as a name server that stopped. It must not be nil.
	Log *slog.Logger
}

// Keep says what [Fabric.Sweep] leaves alone: ids of VPCs, and ids of interfaces and of isolated workloads.
type Keep struct {
	VPCs, Attachments map[string]bool
}

// Action is a flow log's verdict.
type Action string

// The actions, and the status of a record that stands for records that were lost.
const (
	Accept   Action = "ACCEPT"
	Reject   Action = "REJECT"
	SkipData Action = "SKIPDATA"
)

// FlowRecord is one direction of one flow during one interval, as an interface saw it. For ICMP the ports are zero. A
// SKIPDATA record says that records of the VPC were lost between Start and End.
type FlowRecord struct {
	Start, End     time.Time
	VPC, Interface string
	Src, Dst       netip.AddrPort
	Protocol       netmodel.Protocol
	Packets, Bytes uint64
	Action         Action
	Gate           netmodel.Gate // where a refused packet fell
}

// Errors that callers tell apart.
var (
	ErrUnsupported = errors.New("fabric: this machine cannot isolate networks")
	ErrNotFound    = errors.New("fabric: no such network or interface")
	ErrAttached    = errors.New("fabric: already attached")
	ErrRefused     = errors.New("fabric: refused")
)

// Fabric owns the namespaces under one state directory. All methods may be called concurrently.
type Fabric struct{ cfg Config }

// New probes the machine. It fails only if cfg is unusable; a machine that cannot isolate gives a Fabric whose Missing is
// not empty and whose other methods fail with [ErrUnsupported].
func New(cfg Config) (*Fabric, error) { return &Fabric{cfg: cfg}, nil }

// Close stops name servers and flow logs. Namespaces, rules and links stay and keep being enforced; a later Fabric with the
// same configuration adopts them.
func (f *Fabric) Close() error { return nil }

// Missing says, in sentences for an operator, what this machine lacks and how to get it. Empty means that all is there.
func (f *Fabric) Missing() []string { return nil }

// Apply makes the machine match v, creating or adopting its namespace. The rules change in one atomic step; then flows
// that began under older rules and would be refused by the new ones are cut. It is idempotent.
func (f *Fabric) Apply(ctx context.Context, v *netmodel.VPC) error { return ErrUnsupported }

// Remove takes a VPC away, with its links and addresses. An unknown id is not an error.
func (f *Fabric) Remove(ctx context.Context, vpcID string) error { return ErrUnsupported }

// Attach makes the namespace of one workload and joins it to its VPC, which must have been applied with this very
// interface. It returns the namespace's path. A namespace is used once: attaching an id again is [ErrAttached] until it
// was detached.
func (f *Fabric) Attach(ctx context.Context, vpcID string, ifc netmodel.Interface) (string, error) {
	return "", ErrUnsupported
}

// AttachIsolated makes a namespace with nothing but a loopback interface.
func (f *Fabric) AttachIsolated(ctx context.Context, workloadID string) (string, error) {
	return "", ErrUnsupported
}

// NetNS returns the path of the namespace of an attached interface or isolated workload, for finding it after a restart.
func (f *Fabric) NetNS(id string) (string, bool) { return "", false }

// Detach removes what Attach or AttachIsolated made for id. An unknown id is not an error.
func (f *Fabric) Detach(ctx context.Context, id string) error { return ErrUnsupported }

// Listen opens a TCP listening socket inside the VPC's namespace, on an address and port of one of its endpoints or on the
// credentials endpoint (169.254.170.2:80); anything else is [ErrRefused]. A connection's remote address is that of the
// interface that made it, which cannot be forged. The caller closes the file.
func (f *Fabric) Listen(ctx context.Context, vpcID string, addr netip.AddrPort) (*os.File, error) {
	return nil, ErrUnsupported
}

// FlowRecords calls emit, from one goroutine, with what flows in a VPC until ctx ends, emit fails or the VPC is removed.
// Accepted flows are reported every interval and when they end; refused packets at once.
func (f *Fabric) FlowRecords(ctx context.Context, vpcID string, interval time.Duration, emit func(FlowRecord) error) error {
	return ErrUnsupported
}

// Sweep removes every VPC and attachment under the state directory and prefix that keep does not name.
func (f *Fabric) Sweep(ctx context.Context, keep Keep) error { return ErrUnsupported }
