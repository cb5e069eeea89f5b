package job

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// A stray is a namespace that somebody who is root ties to a VPC by hand. It answers
// whoever comes.
type stray struct {
	space   int
	address *net.IPNet
	reached atomic.Int64
}

func newStray(t *testing.T) *stray {
	t.Helper()
	s := &stray{address: &net.IPNet{IP: net.IPv4(192, 0, 2, 200), Mask: net.CIDRMask(32, 32)}}
	var l net.Listener
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		made <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if s.space, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return err
			}
			if err := raise("lo", s.address.String()); err != nil {
				return err
			}
			l, err = net.Listen("tcp4", "192.0.2.200:9")
			return err
		}()
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); unix.Close(s.space) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.reached.Add(1)
			fmt.Fprintln(c, "this is outside")
			c.Close()
		}
	}()
	return s
}

// tie makes a link from the calling thread's namespace to the stray, and routes there
// and back.
func (s *stray) tie(back *net.IPNet) error {
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "stray0"}, PeerName: "stray1", PeerNamespace: netlink.NsFd(s.space)}); err != nil {
		return err
	}
	if err := leadBy("stray0", s.address); err != nil {
		return err
	}
	if err := unix.Setns(s.space, unix.CLONE_NEWNET); err != nil {
		return err
	}
	return leadBy("stray1", back)
}

func leadBy(name string, to *net.IPNet) error {
	if err := raise(name, ""); err != nil {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to, Scope: netlink.SCOPE_LINK})
}

func nft(script string) func() error {
	return func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	}
}

// Whatever root on the machine changes by hand in a VPC is put right and on record,
// and a job there never gets out by it.
func TestDriftIsRepaired(t *testing.T) {
	h := open(t)
	t.Parallel()
	s := newStray(t)
	n := h.newNetwork(t, "10.60.6.0/24")
	doors := n
	doors.jobs = n.open
	_, there := h.wire(t, &doors, wire{name: "peer", listen: []int{openPort, openPort + 1}})
	shut := fmt.Sprintf("%s:%d", there, openPort+1)
	job, here := h.wire(t, &n, wire{
		name: "inside", streams: map[string]string{"shut": shut},
		targets: map[string]string{"peer": fmt.Sprintf("%s:%d", there, openPort), "shut": shut, "stray": "192.0.2.200:9", "sts": "knock sts." + region + ".amazonaws.com:443"},
	})
	asModelled := map[string]string{"peer": "this is peer to " + here, "sts": "open"}
	h.settled(t, job, "nobody meddled", asModelled)
	device := netmodel.Device(h.interfaceAt(t, "admin", n.vpc, here))
	to := func(address string) *net.IPNet {
		return &net.IPNet{IP: net.ParseIP(address).To4(), Mask: net.CIDRMask(32, 32)}
	}
	door := h.endpointAddress(t, n)

	meddle := func(what, told string, fn func() error) {
		t.Helper()
		before := len(h.drifts(t, n.vpc, told))
		if err := h.insideOf(t, n.vpc, fn); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		eventually(t, what+" is on record", func() bool { return len(h.drifts(t, n.vpc, told)) > before })
	}
	repaired := func(what, told string, fn func() error) {
		t.Helper()
		meddle(what, told, fn)
		h.settled(t, job, "after "+what, asModelled)
	}
	repaired("a flushed table", "packet filter", nft("flush table inet bawn"))
	repaired("an endpoint without address", door, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.AddrDel(lo, &netlink.Addr{IPNet: to(door)})
	})
	repaired("a missing route", here, func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		return netlink.RouteDel(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to(here), Scope: netlink.SCOPE_LINK})
	})
	repaired("no forwarding", "ip_forward", func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0) })
	repaired("a routing rule", "routing rule 5", func() error {
		r := netlink.NewRule()
		r.Priority, r.Table = 5, unix.RT_TABLE_DEFAULT
		return netlink.RuleAdd(r)
	})
	repaired("a link to elsewhere", "stray0", func() error { return s.tie(to(here)) })
	h.never(t, job, "shut", "stray")

	// Without rules a VPC's own interfaces can reach each other, until the rules are back: then what got through ends too.
	repaired("a rule that accepts", "packet filter", nft("insert rule inet bawn through accept"))
	repaired("no rules at all", "packet filter", nft("flush ruleset"))
	eventually(t, "nothing that got through lives on", func() bool { return h.wired(t, job, "shut").State != "open" })
	h.never(t, job, "stray")
	if n := s.reached.Load(); n > 0 {
		t.Errorf("%d connections came out", n)
	}

	meddle("a deleted link", "made again", func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
}

// drifts are what the record has of a network that somebody changed, where it says so.
func (h *house) drifts(t testing.TB, network, told string) (all []string) {
	t.Helper()
	for _, e := range h.audit(t, "--event", "NetworkDrift") {
		d := e.AdditionalEventData
		if d["networkId"] != network {
			continue
		}
		if d["repaired"] != true || !e.names("arn:aws:ec2:"+region+":"+account+":vpc/"+network) {
			t.Errorf("the record says %+v", e)
		}
		if what := fmt.Sprint(d["what"]); strings.Contains(what, told) {
			all = append(all, what)
		}
	}
	return all
}

// endpointAddress is where a network's STS endpoint is.
func (h *house) endpointAddress(t testing.TB, n network) string {
	t.Helper()
	var ends struct {
		VpcEndpoints []struct{ NetworkInterfaceIds []string }
	}
	h.must(t, "admin", "ec2", "describe_vpc_endpoints", args{"VpcEndpointIds": []string{n.sts}}, &ends)
	var list struct {
		NetworkInterfaces []struct{ PrivateIpAddress string }
	}
	h.must(t, "admin", "ec2", "describe_network_interfaces", args{"NetworkInterfaceIds": ends.VpcEndpoints[0].NetworkInterfaceIds}, &list)
	return list.NetworkInterfaces[0].PrivateIpAddress
}
