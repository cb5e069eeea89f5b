package oci_test

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/spec"
)

// inside runs do in a network namespace.
func inside(t *testing.T, ns netns.NsHandle, do func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		// The thread is not unlocked, and so ends with this goroutine.
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// namespace makes an empty network namespace with a name of its own.
func namespace(t *testing.T, name string) netns.NsHandle {
	t.Helper()
	made := make(chan netns.NsHandle, 1)
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		ns, err := netns.NewNamed(name)
		made <- ns
		failed <- err
	}()
	ns := <-made
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ns.Close()
		if err := netns.DeleteNamed(name); err != nil {
			t.Error(err)
		}
	})
	return ns
}

func addr(t *testing.T, link netlink.Link, cidr string) error {
	t.Helper()
	a, err := netlink.ParseAddr(cidr)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(link, a)
}

func host(ip string) *net.IPNet {
	return &net.IPNet{IP: net.ParseIP(ip).To4(), Mask: net.CIDRMask(32, 32)}
}

// TestNetworkOfVPC joins a workload to a namespace by a routed veth, as fabric
// does, in which one address answers.
func TestNetworkOfVPC(t *testing.T) {
	id := spec.NewID()[:8]
	vpc, own := namespace(t, "bawn-v-"+id), namespace(t, "bawn-w-"+id)
	var listener net.Listener
	inside(t, vpc, func() error {
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(own)}); err != nil {
			return err
		}
		for name, cidr := range map[string]string{"lo": "169.254.170.2/32", "port": "169.254.1.1/32"} {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(link); err != nil {
				return err
			}
			if err := addr(t, link, cidr); err != nil {
				return err
			}
			if name == "port" {
				if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host("10.50.0.10"), Scope: netlink.SCOPE_LINK}); err != nil {
					return err
				}
			}
		}
		var err error
		listener, err = net.Listen("tcp", "169.254.170.2:80")
		return err
	})
	defer listener.Close()
	inside(t, own, func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		if err := addr(t, link, "10.50.0.10/32"); err != nil {
			return err
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host("169.254.1.1"), Scope: netlink.SCOPE_LINK}); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP("169.254.1.1")})
	})

	h := machine(t)
	w, r := h.Prepare(t, "attack", "dial", "169.254.170.2:80", "endpoint.example.com:80", "169.254.1.1:22", "192.0.2.1:443", "127.0.0.1:80")
	h.Forget(t, w.ID)
	w.Network = spec.Network{
		Mode: spec.VPC, VPCID: "vpc-1", Hostname: "ip-10-50-0-10",
		Interface: spec.Interface{ID: "eni-1", SubnetID: "subnet-1", SecurityGroups: []string{"sg-1"}, Address: netip.MustParseAddr("10.50.0.10")},
		Hosts:     []spec.Host{{Address: netip.MustParseAddr("169.254.170.2"), Name: "endpoint.example.com"}},
	}
	if _, err := h.Open().Start(t.Context(), w, r); err == nil {
		t.Fatal("a workload of a VPC was started without its namespace")
	}
	r.NetNS = "/var/run/netns/bawn-w-" + id
	handle, err := h.Open().Start(t.Context(), w, r)
	if err != nil {
		t.Fatal(err)
	}
	drivertest.Wait(t, handle)
	said := strings.Join(drivertest.Lines(t, handle), "\n")
	has(t, said, "169.254.170.2:80 WORKED", "endpoint.example.com:80 WORKED")
	hasNot(t, said, "169.254.1.1:22 WORKED", "192.0.2.1:443 WORKED", "127.0.0.1:80 WORKED")
}
