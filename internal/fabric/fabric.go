// Package fabric makes this Linux machine obey a netmodel.
//
// A VPC is a network namespace that routes; a workload has a namespace of its own, joined to the VPC's by a routed veth
// with a /32 address: no bridge, no shared layer two. All filtering happens on the VPC's side, where a workload, even one
// that is root in its namespace or brings its own network stack, cannot touch it. The VPC's namespace has no link to the
// host or to another VPC: what has no wire needs no rule. An endpoint is a listening socket opened inside the VPC's
// namespace; whoever accepts from it knows from the kernel, not from a header, which VPC and which workload calls. A
// transit gateway is a namespace too, with an unnumbered link to each VPC that is attached to it and to nothing else.
//
// What a namespace looks like follows from its model alone: its links, addresses, routes, routing rules, neighbours, kernel
// parameters and packet filter. A watch compares: what somebody else changed is found within seconds, put right, and told
// ([Fabric.Events]); flows that it let through are cut. Whoever is root on the host can of course stop the watch as well.
//
// Trust: the fabric runs as root and trusts its caller to choose which VPCs exist; it validates every description again.
// It trusts nothing from inside a namespace. Whoever controls a workload's namespace, root and raw sockets included, can
// send from the interface's own address to what the security groups admit, can ask the private name server for names that
// exist only in the VPC, and can talk to the listeners that were opened; forged sources, fragments, IPv6, the router's own
// addresses, the host, other VPCs and every outside address lead nowhere. Families of sockets that the kernel does not keep
// apart by network namespace, AF_VSOCK among them, are the sandbox's to refuse. Where the machine lacks something, [Fabric.Missing] says
// what, and nothing is set up at all.
//
// Everything that must outlive the process lives in the kernel and in mount points under the state directory, whose names
// say what they are; nothing else is written down. A workload keeps its network, and its rules, while the host process
// restarts.
package fabric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Config says where a Fabric keeps its namespaces.
type Config struct {
	// StateDir holds the namespaces' mount points. It should not outlive a reboot: a directory under /run. It is made if
	// it does not exist, and must belong to root alone.
	StateDir string
	// NamePrefix begins every name; fabrics with different prefixes do not see each other. 1 to 16 of a-z, 0-9 and "-".
	NamePrefix string
	// Log hears what cannot be returned to a caller, such as a name server that stopped. It must not be nil.
	Log *slog.Logger
}

// Errors that callers tell apart.
var (
	ErrUnsupported = errors.New("fabric: this machine cannot isolate networks")
	ErrNotFound    = errors.New("fabric: no such network or interface")
	ErrAttached    = errors.New("fabric: already attached")
	ErrRefused     = errors.New("fabric: refused")
)

// Fabric owns the namespaces under one state directory. All methods may be called concurrently.
type Fabric struct {
	dir     string
	prefix  string
	log     *slog.Logger
	nft     string
	missing []string

	changing sync.Mutex          // held while any network's model changes; taken before a network's own lock
	mu       sync.Mutex          // guards networks and watch; taken after a network's own lock, never before
	networks map[string]*network // by kind and id
	watch    *watch
	naming   sync.Mutex // held between looking for an attachment's name and taking it
	events   *feed[Event]
}

const maxPrefix = 16

// New probes the machine. It fails only if cfg is unusable; a machine that cannot isolate gives a Fabric whose Missing is
// not empty and whose other methods fail with [ErrUnsupported].
func New(cfg Config) (*Fabric, error) {
	if cfg.Log == nil || !filepath.IsAbs(cfg.StateDir) {
		return nil, errors.New("fabric: a log and an absolute state directory are needed")
	}
	if n := len(cfg.NamePrefix); n == 0 || n > maxPrefix || strings.Trim(cfg.NamePrefix, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, fmt.Errorf("fabric: name prefix %.40q is not 1 to %d of a-z, 0-9 and -", cfg.NamePrefix, maxPrefix)
	}
	f := &Fabric{dir: cfg.StateDir, prefix: cfg.NamePrefix, log: cfg.Log, networks: map[string]*network{}, events: newFeed[Event](eventBuffer, true)}
	f.probe()
	if len(f.missing) > 0 {
		return f, nil
	}
	if err := ownDirectory(cfg.StateDir); err != nil {
		return nil, err
	}
	return f, nil
}

// ownDirectory makes a directory for root alone, or checks that nobody else can write to the one that is there.
func ownDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || !known || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("fabric: %s is not a directory that only root can write to", dir)
	}
	return nil
}

// Missing says, in sentences for an operator, what this machine lacks and how to get it. Empty means that all is there.
func (f *Fabric) Missing() []string { return append([]string(nil), f.missing...) }

func (f *Fabric) ready(ctx context.Context) error {
	if len(f.missing) > 0 {
		return fmt.Errorf("%w: %s", ErrUnsupported, strings.Join(f.missing, " "))
	}
	return ctx.Err()
}

// Close stops name servers, flow logs and the watch for drift. Namespaces, rules and links stay and keep being enforced; a later Fabric with the
// same configuration adopts them.
func (f *Fabric) Close() error {
	f.mu.Lock()
	all, w := f.networks, f.watch
	f.networks, f.watch = map[string]*network{}, nil
	f.mu.Unlock()
	w.end()
	f.changing.Lock()
	defer f.changing.Unlock()
	var err error
	for _, n := range all {
		n.mu.Lock()
		err = errors.Join(err, n.stop())
		n.mu.Unlock()
	}
	return err
}
