package fabric

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"bawn.dev/internal/netmodel"
)

// plain is a VPC with one subnet in 10.NET.0.0/16 and interfaces from .10 on that let everything in and out, attached to
// the transit gateway tgw-1, to which everything else is routed.
func plain(net, interfaces int) *netmodel.VPC {
	id := fmt.Sprintf("vpc-%d", net)
	v := &netmodel.VPC{
		ID: id, Account: "123456789012", CIDRs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", net))}, FlowLogs: true,
		RouteTables:    []netmodel.RouteTable{{ID: "rtb-a", Routes: []netmodel.Route{{CIDR: netip.MustParsePrefix("10.0.0.0/8"), Target: attachmentOf(net)}}}},
		Subnets:        []netmodel.Subnet{{ID: "subnet-a", CIDR: netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/24", net)), RouteTable: "rtb-a"}},
		SecurityGroups: []netmodel.SecurityGroup{{ID: "sg-open", Ingress: []netmodel.Rule{all("0.0.0.0/0")}, Egress: []netmodel.Rule{all("0.0.0.0/0")}}},
		Attachments:    []netmodel.Attachment{{ID: attachmentOf(net), Gateway: "tgw-1"}},
	}
	for i := range interfaces {
		v.Interfaces = append(v.Interfaces, netmodel.Interface{ID: fmt.Sprintf("eni-%d-%d", net, i), Subnet: "subnet-a",
			Address: netip.AddrFrom4([4]byte{10, byte(net), 0, byte(10 + i)}), Groups: []string{"sg-open"}, Workload: "job",
			MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", net, i)})
	}
	return v
}

func attachmentOf(net int) string { return fmt.Sprintf("tgw-attach-%d", net) }

// joining is a transit gateway with one table that routes to each of the networks.
func joining(nets ...int) *netmodel.TransitGateway {
	g := &netmodel.TransitGateway{ID: "tgw-1", Account: "123456789012", RouteTables: []netmodel.TransitTable{{ID: "tgw-rtb-a"}}}
	for _, n := range nets {
		p := netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", n))
		g.Attachments = append(g.Attachments, netmodel.TransitAttachment{ID: attachmentOf(n), VPC: fmt.Sprintf("vpc-%d", n), CIDRs: []netip.Prefix{p}, RouteTable: "tgw-rtb-a"})
		g.RouteTables[0].Routes = append(g.RouteTables[0].Routes, netmodel.TransitRoute{CIDR: p, Attachment: attachmentOf(n)})
	}
	return g
}

func (l *lab) applyTransit(g *netmodel.TransitGateway) {
	l.t.Helper()
	b, err := g.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	c, err := netmodel.ParseTransit(b)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.ApplyTransit(context.Background(), c); err != nil {
		l.t.Fatal(err)
	}
}

func TestTransitGatewayJoins(t *testing.T) {
	for _, order := range []string{"gateway last", "gateway first", "between"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			v, w, g := plain(1, 1), plain(2, 1), joining(1, 2)
			switch order {
			case "gateway first":
				l.applyTransit(g)
				l.apply(v)
				l.apply(w)
			case "between":
				l.apply(v)
				l.applyTransit(g)
				l.apply(w)
			default:
				l.apply(v)
				l.apply(w)
				l.applyTransit(g)
			}
			a, b := l.attach(v, "eni-1-0"), l.attach(w, "eni-2-0")
			if from := a.passes("tcp", "10.2.0.10:80"); !strings.HasPrefix(from, "10.1.0.10:") {
				t.Errorf("it is seen as %s", from)
			}
			b.passes("udp", "10.1.0.10:443")
			a.passes("ping", "10.2.0.10")
			a.noAnswer("tcp", "10.3.0.10:80")
			a.noAnswer("udp", "10.2.0.2:53") // another VPC's name server
		})
	}
}

// What is taken away is taken away at once, for flows that are under way too; what comes back works again.
func TestTransitGatewayChanges(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v, w := plain(1, 1), plain(2, 1)
	l.apply(v)
	l.apply(w)
	l.applyTransit(joining(1, 2))
	a, _ := l.attach(v, "eni-1-0"), l.attach(w, "eni-2-0")
	cut := func(name string, take, give func()) {
		t.Helper()
		a.passes("hold", "10.2.0.10:80")
		take()
		if r := a.do(order{Do: "hold", Wait: despair}); r.Outcome == ok {
			t.Errorf("%s: the connection lives", name)
		}
		a.noAnswer("tcp", "10.2.0.10:80")
		give()
		a.passes("tcp", "10.2.0.10:80")
	}
	cut("no way back in the gateway", func() {
		g := joining(1, 2)
		g.RouteTables[0].Routes[0].Attachment = ""
		l.applyTransit(g)
	}, func() { l.applyTransit(joining(1, 2)) })
	cut("no association", func() {
		g := joining(1, 2)
		g.Attachments[1].RouteTable = ""
		l.applyTransit(g)
	}, func() { l.applyTransit(joining(1, 2)) })
	cut("no attachment", func() { l.applyTransit(joining(2)) }, func() { l.applyTransit(joining(1, 2)) })
	cut("no gateway", func() {
		if err := l.RemoveTransit(context.Background(), "tgw-1"); err != nil {
			t.Fatal(err)
		}
	}, func() { l.applyTransit(joining(1, 2)) })
	cut("no route in the VPC", func() {
		x := plain(1, 1)
		x.RouteTables[0].Routes = nil
		l.apply(x)
	}, func() { l.apply(v) })
	cut("no attachment in the VPC", func() {
		x := plain(2, 1)
		x.Attachments, x.RouteTables[0].Routes = nil, nil
		l.apply(x)
	}, func() { l.apply(w) })
	cut("a longer route that ends", func() {
		x := plain(1, 1)
		x.RouteTables[0].Routes = append(x.RouteTables[0].Routes, netmodel.Route{CIDR: netip.MustParsePrefix("10.2.0.0/24")})
		l.apply(x)
	}, func() { l.apply(v) })
}

func TestTransitGatewaySurvivesARestart(t *testing.T) {
	t.Parallel()
	first := newLab(t)
	v, w := plain(1, 1), plain(2, 1)
	first.apply(v)
	first.apply(w)
	first.applyTransit(joining(1, 2))
	a, _ := first.attach(v, "eni-1-0"), first.attach(w, "eni-2-0")
	a.passes("hold", "10.2.0.10:80")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := openLab(t, first.dir, first.prefix)
	second.apply(v)
	second.apply(w)
	second.applyTransit(joining(1, 2))
	if r := a.do(order{Do: "hold", Wait: hope}); r.Outcome != ok {
		t.Errorf("the connection broke: %+v", r)
	}
	for round := range uint32(fullRound) {
		second.look(round)
	}
	if n := len(second.events.values); n > 0 {
		t.Errorf("told %+v", <-second.events.values)
	}
	if err := second.Sweep(t.Context(), Keep{VPCs: map[string]bool{"vpc-1": true, "vpc-2": true}, Attachments: map[string]bool{"eni-1-0": true, "eni-2-0": true}}); err != nil {
		t.Fatal(err)
	}
	a.noAnswer("tcp", "10.2.0.10:80")
	if err := inside(second.path(kindVPC, "vpc-1"), func() error {
		if _, err := netlink.LinkByName(netmodel.TransitDevice(attachmentOf(1))); err == nil {
			t.Error("its link was left behind")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Root in a workload forges the source of another VPC, of a third, of the world: nothing comes out at the other side but
// what is its own. And a VPC whose packet filter is gone can still not speak for others through the gateway.
func TestTransitGatewayChecksSources(t *testing.T) {
	l := newLab(t)
	v, w, x := plain(1, 1), plain(2, 1), plain(3, 1)
	for _, n := range []*netmodel.VPC{v, w, x} {
		l.apply(n)
	}
	l.applyTransit(joining(1, 2, 3))
	a, _ := l.attach(v, "eni-1-0"), l.attach(w, "eni-2-0")
	victim, _ := l.NetNS("eni-2-0")
	in := inbox(t, victim, "10.2.0.10:9999")
	const to, honest = "10.2.0.10:9999", "10.1.0.10:7"
	forge := func() {
		t.Helper()
		for _, source := range []string{"10.3.0.10:1", "10.2.0.10:1", "10.2.0.2:53", "203.0.113.9:1", "169.254.169.253:53"} {
			frame := append(append(append([]byte{}, routerMAC[:]...), 2, 0, 0, 0, 1, 0, 8, 0), udpPacket(addrPort(source), addrPort(to), "forged\n")...)
			if r := a.do(order{Do: "frame", Frame: frame}); r.Outcome != ok {
				t.Fatal(r.Outcome)
			}
		}
		if r := a.do(order{Do: "packet", Source: honest, Address: to}); r.Outcome != ok {
			t.Fatal(r.Outcome)
		}
		if from := firstSender(t, in); from != addrPort(honest) {
			t.Errorf("a packet that says it is from %v got through", from)
		}
	}
	forge()
	l.drifted = true
	l.changing.Lock() // nobody repairs
	defer l.changing.Unlock()
	if err := inside(l.path(kindVPC, "vpc-1"), nft(t, l, "flush ruleset")); err != nil {
		t.Fatal(err)
	}
	forge()
}

// A transit gateway is watched like a VPC.
func TestTransitGatewayDrift(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	events := l.follow()
	v, w := plain(1, 1), plain(2, 1)
	l.apply(v)
	l.apply(w)
	l.applyTransit(joining(1, 2))
	a, _ := l.attach(v, "eni-1-0"), l.attach(w, "eni-2-0")
	device := netmodel.TransitDevice(attachmentOf(1))
	for told, tamper := range map[string]func() error{
		"packet filter": nft(t, l, "insert rule inet bawn through accept"),
		"route to 10.2.0.0/16": func() error {
			return netlink.RouteDel(&netlink.Route{Table: netmodel.FirstTable, Dst: netOf(netip.MustParsePrefix("10.2.0.0/16"))})
		},
		"link of " + attachmentOf(1) + " was gone": func() error {
			link, err := netlink.LinkByName(device)
			if err != nil {
				return err
			}
			return netlink.LinkDel(link)
		},
	} {
		if err := inside(l.path(kindTransit, "tgw-1"), tamper); err != nil {
			t.Fatalf("%s: %v", told, err)
		}
		var heard string
		for !strings.Contains(heard, told) && !t.Failed() {
			var e Event
			select { // the link is the VPC's too, and either may find it
			case e = <-events("tgw-1"):
			case e = <-events("vpc-1"):
			case <-t.Context().Done():
				t.Fatal("nothing was found")
			}
			if heard = e.What; !e.Repaired {
				t.Errorf("told %+v", e)
			}
		}
		a.passes("tcp", "10.2.0.10:80")
		a.noAnswer("tcp", "10.3.0.10:80")
	}
}
