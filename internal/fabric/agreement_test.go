package fabric

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"bawn.dev/internal/netmodel"
)

// Real packets between real namespaces do what Trace says, in random clouds of VPCs that a transit gateway joins: every
// sender to every destination that exists, anywhere, and one that does not, by TCP, UDP and ping, and every dialer to every
// interface. Then all rules, lists, routes and associations change at once: the same holds again, and what was connected
// stays so exactly where it could be connected now.
func TestPacketsAgreeWithTrace(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLab(t)
			r := rand.New(rand.NewPCG(seed, 1))
			c := randomCloud(r)
			l.applyCloud(c)
			agents := map[string]*agent{}
			for _, v := range c.VPCs {
				for _, i := range v.Interfaces {
					agents[i.ID] = l.attach(v, i.ID)
				}
				for _, e := range v.Endpoints {
					for _, a := range e.Addresses {
						for _, p := range e.Ports {
							l.listen(v, netip.AddrPortFrom(a.Address, p).String())
						}
					}
				}
				l.listen(v, "169.254.170.2:80")
			}
			l.agree(c, agents)
			held := l.hold(c, agents, r)
			c = randomCloud(r)
			l.applyCloud(c)
			for _, h := range held {
				allowed := c.Trace(h.vpc, h.flow).Allowed
				wait := despair
				if allowed {
					wait = hope
				}
				if got := h.agent.do(order{Do: "hold", Wait: wait}); (got.Outcome == ok) != allowed {
					t.Errorf("a connection %+v in %s: %s, but now %+v", h.flow, h.vpc, got.Outcome, c.Trace(h.vpc, h.flow))
				}
			}
			l.agree(c, agents)
		})
	}
}

func (l *lab) applyCloud(c *netmodel.Cloud) {
	l.t.Helper()
	for _, v := range c.VPCs {
		l.apply(v)
	}
	for _, g := range c.Gateways {
		l.applyTransit(g)
	}
}

// chosen is a source port for [netmodel.Flow] that stands for all that the kernel chooses: no list of ports ends among them.
const chosen = 40000

// agree compares what happens with what Trace says.
func (l *lab) agree(c *netmodel.Cloud, agents map[string]*agent) {
	l.t.Helper()
	destinations := map[netip.Addr]bool{} // those at which workloads answer UDP and ping
	for _, v := range c.VPCs {
		for _, a := range []string{"169.254.170.2", "169.254.169.253", "10.9.0.77"} {
			destinations[netip.MustParseAddr(a)] = false
		}
		for _, e := range v.Endpoints {
			for _, a := range e.Addresses {
				destinations[a.Address] = false
			}
		}
		for _, d := range v.Dialers {
			destinations[d.Address] = false
		}
	}
	for _, v := range c.VPCs {
		for _, i := range v.Interfaces {
			destinations[i.Address] = true
		}
	}
	var probes sync.WaitGroup
	for _, v := range c.VPCs {
		for _, i := range v.Interfaces {
			for to, workload := range destinations {
				if to != i.Address {
					probes.Go(func() { agree(l.t, c, v.ID, agents[i.ID], i.Address, to, workload) })
				}
			}
			for _, d := range v.Dialers {
				probes.Go(func() { l.agreeDial(c, v.ID, d.Address, netip.AddrPortFrom(i.Address, 443)) })
			}
		}
	}
	probes.Wait()
}

func agree(t testing.TB, c *netmodel.Cloud, vpc string, a *agent, from, to netip.Addr, workload bool) {
	for _, p := range []struct {
		do       string
		protocol netmodel.Protocol
		port     uint16
	}{{"tcp", netmodel.TCP, 443}, {"tcp", netmodel.TCP, 80}, {"udp", netmodel.UDP, 443}, {"ping", netmodel.ICMP, 8 << 8}} {
		if p.do != "tcp" && !workload {
			continue
		}
		want := c.Trace(vpc, netmodel.Flow{From: from, To: to, Protocol: p.protocol, FromPort: chosen, Port: p.port})
		target, wait := to.String(), despair
		if p.do != "ping" {
			target = netip.AddrPortFrom(to, p.port).String()
		}
		if want.Allowed {
			wait = hope
		}
		if r := a.do(order{Do: p.do, Address: target, Wait: wait}); (r.Outcome == ok) != want.Allowed {
			t.Errorf("%s from %s in %s to %s: %s, but %+v", p.do, from, vpc, target, r.Outcome, want)
		}
	}
}

func (l *lab) agreeDial(c *netmodel.Cloud, vpc string, from netip.Addr, to netip.AddrPort) {
	want := c.Trace(vpc, netmodel.Flow{From: from, To: to.Addr(), Protocol: netmodel.TCP, FromPort: chosen, Port: to.Port()})
	wait := despair
	if want.Allowed {
		wait = hope
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	file, err := l.Dial(ctx, vpc, from, to)
	if err == nil {
		file.Close()
	}
	if (err == nil) != want.Allowed {
		l.t.Errorf("dialling from %s in %s to %s: %v, but %+v", from, vpc, to, err, want)
	}
}

type heldFlow struct {
	agent *agent
	vpc   string
	flow  netmodel.Flow
}

// hold has each agent keep one connection to an interface that it may reach, if there is any.
func (l *lab) hold(c *netmodel.Cloud, agents map[string]*agent, r *rand.Rand) []heldFlow {
	l.t.Helper()
	var out []heldFlow
	for _, v := range c.VPCs {
		for _, i := range v.Interfaces {
			var may []netmodel.Flow
			for _, w := range c.VPCs {
				for _, k := range w.Interfaces {
					f := netmodel.Flow{From: i.Address, To: k.Address, Protocol: netmodel.TCP, FromPort: chosen, Port: 443}
					if f.From != f.To && c.Trace(v.ID, f).Allowed {
						may = append(may, f)
					}
				}
			}
			if len(may) == 0 {
				continue
			}
			f := may[r.IntN(len(may))]
			f.FromPort = addrPort(agents[i.ID].passes("hold", netip.AddrPortFrom(f.To, f.Port).String())).Port()
			out = append(out, heldFlow{agents[i.ID], v.ID, f})
		}
	}
	return out
}

// randomCloud makes three VPCs, two of them with the same range, and a transit gateway. Identifiers and addresses are
// always the same, everything else is not.
func randomCloud(r *rand.Rand) *netmodel.Cloud {
	c := &netmodel.Cloud{}
	g := &netmodel.TransitGateway{ID: "tgw-0", Account: "123456789012", RouteTables: []netmodel.TransitTable{{ID: "tgw-rtb-0"}, {ID: "tgw-rtb-1"}}}
	for i, net := range []int{9, 8, 9} {
		v := randomVPC(r, i, net)
		c.VPCs = append(c.VPCs, v)
		if len(v.Attachments) > 0 && often(r) {
			g.Attachments = append(g.Attachments, netmodel.TransitAttachment{ID: v.Attachments[0].ID, VPC: v.ID, CIDRs: v.CIDRs,
				RouteTable: pick(r, "tgw-rtb-0", "tgw-rtb-0", "tgw-rtb-1", "")})
		}
	}
	ids := []string{""}
	for _, a := range g.Attachments {
		ids = append(ids, a.ID)
	}
	for i := range g.RouteTables {
		seen := map[netip.Prefix]bool{}
		route := func(p netip.Prefix, to string) {
			if !seen[p] {
				seen[p] = true
				g.RouteTables[i].Routes = append(g.RouteTables[i].Routes, netmodel.TransitRoute{CIDR: p, Attachment: to})
			}
		}
		for _, a := range g.Attachments {
			if often(r) {
				route(a.CIDRs[0], a.ID)
			}
		}
		for range r.IntN(3) {
			route(netip.MustParsePrefix(pick(r, "0.0.0.0/0", "10.8.0.0/24", "10.9.0.5/32", "10.8.0.0/13")), pick(r, ids...))
		}
	}
	c.Gateways = []*netmodel.TransitGateway{g}
	return c
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func often(r *rand.Rand) bool { return r.IntN(4) > 0 }

// randomPorts draws a protocol with ports of which no range ends where the kernel chooses source ports.
func randomPorts(r *rand.Rand) (p netmodel.Protocol, from, to int) {
	p = pick(r, netmodel.TCP, netmodel.TCP, netmodel.UDP, netmodel.ICMP, netmodel.AllProtocols, netmodel.AllProtocols)
	switch p {
	case netmodel.TCP, netmodel.UDP:
		from, to = pick(r, 0, 80, 443), pick(r, 443, 8000, 65535)
	case netmodel.ICMP:
		from, to = pick(r, -1, 8, 0), -1
	}
	return p, from, to
}

func randomEntries(r *rand.Rand) []netmodel.ACLEntry {
	var out []netmodel.ACLEntry
	for i := range r.IntN(3) {
		p, from, to := randomPorts(r)
		out = append(out, netmodel.ACLEntry{Number: 10*i + 1, Allow: often(r), Protocol: p, FromPort: from, ToPort: to,
			CIDR: netip.MustParsePrefix(pick(r, "0.0.0.0/0", "10.9.0.0/24", "10.8.0.0/16", "10.9.0.5/32", "169.254.0.0/16"))})
	}
	if often(r) {
		out = append(out, netmodel.ACLEntry{Number: 100, Allow: true, Protocol: netmodel.AllProtocols, CIDR: netip.MustParsePrefix("0.0.0.0/0")})
	}
	return out
}

// randomVPC makes a VPC of three interfaces, three groups, two lists, a dialer, a NAT gateway and both kinds of endpoint.
func randomVPC(r *rand.Rand, n, net int) *netmodel.VPC {
	in := func(rest string) string { return fmt.Sprintf("10.%d.%s", net, rest) }
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	groups := []string{"sg-0", "sg-1", "sg-2"}
	some := func() []string {
		r.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		return append([]string(nil), groups[:min(1+r.IntN(3), 2)]...)
	}
	attachment := fmt.Sprintf("tgw-attach-%d", n)
	id := func(kind string) string { return fmt.Sprintf("%s-%d", kind, n) }
	v := &netmodel.VPC{
		ID: id("vpc"), Account: "123456789012", CIDRs: []netip.Prefix{p(in("0.0/16"))}, FlowLogs: r.IntN(2) == 0,
		NetworkACLs: []netmodel.NetworkACL{{ID: "acl-0", Ingress: randomEntries(r), Egress: randomEntries(r)}, {ID: "acl-1", Ingress: randomEntries(r), Egress: randomEntries(r)}},
		PrefixLists: []netmodel.PrefixList{{ID: "pl-own", CIDRs: []netip.Prefix{p(in("0.0/27")), p(in("0.0/25")), p(in("1.5/32"))}}},
		Dialers:     []netmodel.Dialer{{ID: id("eni-dial"), Subnet: "subnet-0", Address: a(in("0.150"))}},
		Endpoints: []netmodel.Endpoint{
			{ID: "vpce-g", Type: netmodel.GatewayEndpoint, Service: "s3", Ports: []uint16{443}, PrefixList: "pl-gw",
				RouteTables: pick(r, nil, []string{"rtb-0"}, []string{"rtb-0", "rtb-1"}),
				Addresses:   []netmodel.EndpointAddress{{Address: a("169.254.171.7")}}},
			{ID: "vpce-i", Type: netmodel.InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: some(),
				Addresses: []netmodel.EndpointAddress{{Subnet: "subnet-0", Address: a(in("0.100"))}, {Subnet: "subnet-1", Address: a(in("1.100"))}}},
			{ID: "nat-0", Type: netmodel.NATGateway, Service: "nat", Ports: []uint16{netmodel.NATPortHTTP, netmodel.NATPortTLS, netmodel.NATPortProxy},
				Addresses: []netmodel.EndpointAddress{{Subnet: "subnet-1", Address: a(in("1.200"))}}},
		},
	}
	if often(r) {
		v.Attachments = []netmodel.Attachment{{ID: attachment, Gateway: "tgw-0"}}
	}
	for i := range 2 {
		table := netmodel.RouteTable{ID: fmt.Sprintf("rtb-%d", i)}
		seen := map[string]bool{}
		for range 1 + r.IntN(4) {
			to := pick(r, "10.0.0.0/8", "0.0.0.0/0", "10.8.0.0/15", "10.8.0.0/24", "10.9.0.5/32")
			target := pick(r, attachment, attachment, "nat-0", "")
			if !seen[to] && !(target == attachment && v.Attachments == nil) {
				seen[to] = true
				table.Routes = append(table.Routes, netmodel.Route{CIDR: p(to), Target: target})
			}
		}
		v.RouteTables = append(v.RouteTables, table)
		v.Subnets = append(v.Subnets, netmodel.Subnet{ID: fmt.Sprintf("subnet-%d", i), CIDR: p(in(fmt.Sprintf("%d.0/24", i))), RouteTable: table.ID,
			NetworkACL: pick(r, "", "", "acl-0", "acl-1")})
	}
	rules := func() []netmodel.Rule {
		var out []netmodel.Rule
		for range 1 + r.IntN(3) {
			x := netmodel.Rule{}
			x.Protocol, x.FromPort, x.ToPort = randomPorts(r)
			switch r.IntN(5) {
			case 0:
				x.Group = groups[r.IntN(3)]
			case 1:
				x.PrefixList = pick(r, "pl-own", "pl-gw")
			default:
				x.CIDR = p(pick(r, "0.0.0.0/0", "0.0.0.0/0", "10.8.0.0/15", in("0.0/24"), in("1.0/24"), in("0.5/32")))
			}
			out = append(out, x)
		}
		if often(r) {
			out = append(out, all("0.0.0.0/0"))
		}
		return out
	}
	for _, id := range []string{"sg-0", "sg-1", "sg-2"} {
		v.SecurityGroups = append(v.SecurityGroups, netmodel.SecurityGroup{ID: id, Ingress: rules(), Egress: rules()})
	}
	for i, at := range []string{in("0.5"), in("0.40"), in("1.5")} {
		v.Interfaces = append(v.Interfaces, netmodel.Interface{ID: fmt.Sprintf("eni-%d-%d", n, i), Subnet: fmt.Sprintf("subnet-%d", i/2),
			Address: a(at), Groups: some(), Workload: "w", MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", n, i)})
	}
	return v
}
