package fabric

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// Kinds of namespace, as the names of mount points spell them: PREFIX.vpc.VPC, PREFIX.tgw.GATEWAY, PREFIX.ifc.VPC.INTERFACE,
// PREFIX.iso.ID. Ids and prefixes have no dot, so a name has one reading.
const (
	kindVPC      = "vpc"
	kindTransit  = "tgw"
	kindAttached = "ifc"
	kindIsolated = "iso"
)

func (f *Fabric) path(parts ...string) string {
	return filepath.Join(f.dir, f.prefix+"."+strings.Join(parts, "."))
}

// place is one mount point of ours.
type place struct {
	path, kind, vpc, id string
}

// workload says whether the place is a workload's.
func (p place) workload() bool { return p.kind == kindAttached || p.kind == kindIsolated }

// places lists the mount points under the state directory that carry our prefix.
func (f *Fabric) places() ([]place, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var out []place
	for _, e := range entries {
		p := strings.Split(e.Name(), ".")
		if p[0] != f.prefix {
			continue
		}
		full := filepath.Join(f.dir, e.Name())
		switch {
		case len(p) == 3 && p[1] == kindVPC:
			out = append(out, place{full, kindVPC, p[2], p[2]})
		case len(p) == 3 && p[1] == kindTransit:
			out = append(out, place{full, kindTransit, "", p[2]})
		case len(p) == 4 && p[1] == kindAttached:
			out = append(out, place{full, kindAttached, p[2], p[3]})
		case len(p) == 3 && p[1] == kindIsolated:
			out = append(out, place{full, kindIsolated, "", p[2]})
		}
	}
	return out, nil
}

// attachment finds the namespace of an interface or isolated workload.
func (f *Fabric) attachment(id string) (place, bool, error) {
	if !netmodel.ValidID(id) {
		return place{}, false, fmt.Errorf("%w: invalid id %.80q", ErrRefused, id)
	}
	all, err := f.places()
	if err != nil {
		return place{}, false, err
	}
	for _, p := range all {
		if p.workload() && p.id == id {
			return p, true, nil
		}
	}
	return place{}, false, nil
}

// onThread runs fn on an operating system thread that belongs to it alone and that ends with it: whatever namespace fn
// leaves the thread in, no other goroutine can ever find itself there.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The first thread never ends, and is what the process seems to be from outside: /proc/PID/ns/net. While it
			// is held here, the next attempt must get another one.
			defer runtime.UnlockOSThread()
			done <- onThread(fn)
			return
		}
		done <- fn() // never unlocked: the runtime then ends the thread with the goroutine
	}()
	return <-done
}

// inside runs fn in the network namespace mounted at path. Sockets opened, sysctls written and commands started by fn's
// own goroutine belong to that namespace.
func inside(path string, fn func() error) error {
	return onThread(func() error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering %s: %w", path, err)
		}
		return fn()
	})
}

// makeNamespace mounts a new network namespace at path, which must not exist, and runs setup in it. If that fails
// nothing is left.
func makeNamespace(path string, setup func() error) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, dropNamespace(path))
		}
	}()
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		if err := setup(); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
}

// mountNamespace mounts a namespace that exists at path, which must not exist.
func mountNamespace(path, source string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return unix.Mount(source, path, "", unix.MS_BIND, "")
}

// dropNamespace unmounts and removes what makeNamespace made, or what a crash left of it. A path that does not exist is
// not an error.
func dropNamespace(path string) error {
	for isNamespace(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func isNamespace(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// setting is a kernel parameter below /proc/sys/net. An optional one may be absent: the kernel then lacks what it governs.
type setting struct {
	name, value string
	optional    bool
}

// noIPv6 keeps IPv6 off every interface; a kernel without IPv6 has no such parameters.
var noIPv6 = [...]setting{
	{"ipv6/conf/all/disable_ipv6", "1", true},
	{"ipv6/conf/default/disable_ipv6", "1", true},
}

// routing is how a namespace of ours forwards: between its own links only, answering nothing on behalf of others, whatever
// the host itself does, from which a namespace inherits. A workload can have neither a neighbour of its choice, of which all
// namespaces together have a bounded number, nor lines in the host's log. Of
// rp_filter the larger of a link's own value and the one of all counts: a workload's link is checked, and one to a transit
// gateway, which has no route of its own to every sender, is not: there the packet filter knows who may send.
var routing = [...]setting{
	{"ipv4/conf/all/rp_filter", "0", false},
	{"ipv4/conf/default/rp_filter", "1", false},
	{"ipv4/conf/all/accept_redirects", "0", false},
	{"ipv4/conf/default/accept_redirects", "0", false},
	{"ipv4/conf/all/send_redirects", "0", false},
	{"ipv4/conf/default/send_redirects", "0", false},
	{"ipv4/conf/all/accept_source_route", "0", false},
	{"ipv4/conf/default/accept_source_route", "0", false},
	{"ipv4/conf/all/accept_local", "0", false},
	{"ipv4/conf/default/accept_local", "0", false},
	{"ipv4/conf/all/arp_ignore", "1", false},
	{"ipv4/conf/default/arp_ignore", "1", false},
	{"ipv4/conf/all/arp_announce", "2", false},
	{"ipv4/conf/default/arp_announce", "2", false},
	{"ipv4/conf/all/arp_accept", "0", false},
	{"ipv4/conf/default/arp_accept", "0", false},
	{"ipv4/conf/all/log_martians", "0", false},
	{"ipv4/conf/default/log_martians", "0", false},
	{"ipv4/conf/all/proxy_arp", "0", false},
	{"ipv4/conf/default/proxy_arp", "0", false},
	{"ipv4/conf/all/route_localnet", "0", false},
	{"ipv4/conf/default/route_localnet", "0", false},
	{"ipv4/icmp_echo_ignore_all", "1", false},
	{"mptcp/enabled", "0", true},
}

// tracking is how a VPC's namespace follows connections: only those that it saw begin.
var tracking = [...]setting{
	{"netfilter/nf_conntrack_tcp_loose", "0", false},
	{"netfilter/nf_conntrack_acct", "1", false},
	{"netfilter/nf_conntrack_timestamp", "1", false},
	{"netfilter/nf_conntrack_events", "1", false},
	{"netfilter/nf_conntrack_tcp_timeout_time_wait", "10", false},
}

// forwarding is set last: nothing is forwarded before the rest holds.
var forwarding = [...]setting{{"ipv4/ip_forward", "1", false}}

// set gives kernel parameters of the namespace that the calling thread is in their values, and says which had others.
func set(settings []setting) ([]string, error) {
	var changed []string
	for _, s := range settings {
		path := filepath.Join("/proc/sys/net", s.name)
		old, err := os.ReadFile(path)
		if s.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if was := strings.TrimSpace(string(old)); err == nil && was != s.value {
			changed = append(changed, fmt.Sprintf("the kernel parameter net/%s was %.20s", s.name, was))
			err = os.WriteFile(path, []byte(s.value), 0)
		}
		if err != nil {
			return changed, fmt.Errorf("kernel parameter net/%s: %w", s.name, err)
		}
	}
	return changed, nil
}
