package server

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bawn.dev/internal/ec2"
	"bawn.dev/internal/netmodel"
)

// randomAtlas draws two VPCs that a transit gateway may join, with more interfaces
// than there are ways to tell them apart.
func randomAtlas(t *rapid.T) *atlas {
	a := &atlas{vpcs: map[string]*ec2.Survey{}}
	g := &netmodel.TransitGateway{ID: "tgw-0", Account: "123456789012", RouteTables: []netmodel.TransitTable{{ID: "tgw-rtb-0"}}}
	places := []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "10.1.0.0/24", "10.1.1.0/24", "10.1.0.8/30", "10.2.0.5/32", "10.2.1.0/28"}
	place := func(what string) netip.Prefix { return netip.MustParsePrefix(rapid.SampledFrom(places).Draw(t, what)) }
	ports := func() (netmodel.Protocol, int, int) {
		switch p := rapid.SampledFrom([]netmodel.Protocol{-1, -1, 6, 6, 6, 17, 1, 1, 47}).Draw(t, "protocol"); p {
		case netmodel.TCP, netmodel.UDP:
			from := rapid.SampledFrom([]int{0, 22, 80, 443, 32768}).Draw(t, "from")
			return p, from, max(from, rapid.SampledFrom([]int{22, 443, 1023, 50000, 65535}).Draw(t, "to"))
		case netmodel.ICMP:
			kind := rapid.SampledFrom([]int{-1, 0, 3, 8, 13}).Draw(t, "type")
			if kind < 0 {
				return p, -1, -1
			}
			return p, kind, rapid.SampledFrom([]int{-1, 0}).Draw(t, "code")
		default:
			return p, -1, -1
		}
	}
	for n := 1; n <= 2; n++ {
		id := func(kind string, k int) string { return fmt.Sprintf("%s-%d%d", kind, n, k) }
		in := func(subnet, host int) string { return fmt.Sprintf("10.%d.%d.%d", n, subnet, host) }
		m := &netmodel.VPC{ID: id("vpc", 0), Account: "123456789012", CIDRs: []netip.Prefix{netip.MustParsePrefix(in(0, 0) + "/16")}}
		if rapid.IntRange(0, 4).Draw(t, "attached") > 0 {
			m.Attachments = []netmodel.Attachment{{ID: id("tgw-attach", 0), Gateway: g.ID}}
			g.Attachments = append(g.Attachments, netmodel.TransitAttachment{ID: id("tgw-attach", 0), VPC: m.ID, CIDRs: m.CIDRs, RouteTable: "tgw-rtb-0"})
			g.RouteTables[0].Routes = append(g.RouteTables[0].Routes, netmodel.TransitRoute{CIDR: m.CIDRs[0], Attachment: id("tgw-attach", 0)})
		}
		groups := []string{id("sg", 0), id("sg", 1), id("sg", 2)}
		for _, gid := range groups {
			s := netmodel.SecurityGroup{ID: gid}
			for k := range rapid.IntRange(0, 6).Draw(t, "rules") {
				r := netmodel.Rule{}
				r.Protocol, r.FromPort, r.ToPort = ports()
				if rapid.Bool().Draw(t, "by group") {
					r.Group = rapid.SampledFrom(groups).Draw(t, "peer")
				} else {
					r.CIDR = place("peer")
				}
				if k%2 == 0 {
					s.Egress = append(s.Egress, r)
				} else {
					s.Ingress = append(s.Ingress, r)
				}
			}
			m.SecurityGroups = append(m.SecurityGroups, s)
		}
		if rapid.Bool().Draw(t, "ACL") {
			acl := netmodel.NetworkACL{ID: id("acl", 0)}
			for k := range rapid.IntRange(0, 8).Draw(t, "entries") {
				e := netmodel.ACLEntry{Number: k + 1, Allow: rapid.IntRange(0, 3).Draw(t, "allow") > 0, CIDR: place("other side")}
				e.Protocol, e.FromPort, e.ToPort = ports()
				if k%2 == 0 {
					acl.Egress = append(acl.Egress, e)
				} else {
					acl.Ingress = append(acl.Ingress, e)
				}
			}
			m.NetworkACLs = []netmodel.NetworkACL{acl}
		}
		m.RouteTables = []netmodel.RouteTable{{ID: id("rtb", 0)}}
		if rapid.Bool().Draw(t, "way out") {
			m.RouteTables[0].Routes = []netmodel.Route{{CIDR: place("route"), Target: id("tgw-attach", 0)}}
		}
		for k := range 2 {
			s := netmodel.Subnet{ID: id("subnet", k), CIDR: netip.MustParsePrefix(in(k, 0) + "/24"), RouteTable: id("rtb", 0)}
			if len(m.NetworkACLs) > 0 && k == 1 {
				s.NetworkACL = m.NetworkACLs[0].ID
			}
			m.Subnets = append(m.Subnets, s)
		}
		for k := range rapid.IntRange(2, 7).Draw(t, "interfaces") {
			m.Interfaces = append(m.Interfaces, netmodel.Interface{
				ID: id("eni", k), Subnet: id("subnet", k%2), Address: netip.MustParseAddr(in(k%2, 4+k)), Workload: "w", MAC: fmt.Sprintf("02:00:00:00:00:%02x", k),
				Groups: rapid.SampledFrom([][]string{groups[:1], groups[:1], groups[1:2], groups[1:], nil}).Draw(t, "groups"),
			})
		}
		m.Endpoints = []netmodel.Endpoint{{
			ID: id("vpce", 0), Type: netmodel.InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: groups[:1],
			Addresses: []netmodel.EndpointAddress{{Subnet: id("subnet", 0), Address: netip.MustParseAddr(in(0, 200))}},
		}}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		a.order, a.vpcs[m.ID] = append(a.order, m.ID), &ec2.Survey{Model: m}
		a.cloud.VPCs = append(a.cloud.VPCs, m)
	}
	a.cloud.Gateways = []*netmodel.TransitGateway{g}
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	return a
}

// drawnFlow finds whether the flows hold one, as a reader would.
func drawnFlow(flows []NetworkFlow, node map[string]string, from, to string, protocol netmodel.Protocol, port int) bool {
	for _, f := range flows {
		if f.From != node[from] || f.To != node[to] {
			continue
		}
		for _, text := range f.Ports {
			if covers(text, protocol, port) {
				return true
			}
		}
	}
	return false
}

func covers(text string, protocol netmodel.Protocol, port int) bool {
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "all":
		return true
	case word == "protocol":
		return rest == protocol.String()
	case word == "other":
		_, but, _ := strings.Cut(rest, " but ")
		return (protocol == experiment || protocol == 47) && !slices.Contains(strings.Split(but, ", "), protocol.String())
	case word != protocol.String():
		return false
	case rest == "":
		return true
	}
	var a, b, c, d int
	if protocol == netmodel.ICMP {
		switch n, _ := fmt.Sscanf(rest, "%d/%d to %d/%d", &a, &b, &c, &d); n {
		case 1:
			return port>>8 == a
		case 2:
			return port == a<<8|b
		}
		return a<<8|b <= port && port <= c<<8|d
	}
	if n, _ := fmt.Sscanf(rest, "%d-%d", &a, &b); n == 1 {
		b = a
	}
	return a <= port && port <= b
}

// What is drawn of nodes holds for every interface in them, and at every port.
func TestFlowsAreWhatPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := randomAtlas(t)
		f := &flows{atlas: a, left: maxPairs}
		node := map[string]string{}
		type place struct {
			vpc, id string
			address netip.Addr
		}
		var senders, receivers []place
		for _, id := range a.order {
			v := a.vpcs[id]
			for _, n := range f.nodes(v, nil) {
				for _, m := range n.Members {
					if m.ID != "" {
						node[m.ID] = n.ID
					}
				}
			}
			for _, i := range v.Model.Interfaces {
				senders = append(senders, place{id, i.ID, i.Address})
			}
			node[v.Model.Endpoints[0].ID] = v.Model.Endpoints[0].ID
			receivers = append(receivers, place{id, v.Model.Endpoints[0].ID, v.Model.Endpoints[0].Addresses[0].Address})
		}
		receivers = append(receivers, senders...)
		f.find()
		for _, from := range senders {
			for _, to := range receivers {
				if from == to {
					continue
				}
				for _, q := range []struct {
					p    netmodel.Protocol
					port int
				}{
					{netmodel.TCP, 0}, {netmodel.TCP, 22}, {netmodel.TCP, 23}, {netmodel.TCP, 80}, {netmodel.TCP, 443}, {netmodel.TCP, 444}, {netmodel.TCP, 1023},
					{netmodel.TCP, 1024}, {netmodel.TCP, 32768}, {netmodel.TCP, 50001}, {netmodel.TCP, 65535}, {netmodel.UDP, 22}, {netmodel.UDP, 50000},
					{netmodel.ICMP, 0}, {netmodel.ICMP, 1}, {netmodel.ICMP, 3 << 8}, {netmodel.ICMP, 8 << 8}, {netmodel.ICMP, 8<<8 | 1}, {netmodel.ICMP, 13 << 8},
					{netmodel.ICMP, 14 << 8}, {netmodel.ICMP, 200<<8 | 7}, {47, 0}, {experiment, 0},
				} {
					want := false
					for _, port := range ephemeral {
						ask := netmodel.Flow{From: from.address, To: to.address, Protocol: q.p, FromPort: port, Port: uint16(q.port)}
						tr := a.cloud.Trace(from.vpc, ask)
						there := slices.ContainsFunc(tr.Steps, func(s netmodel.TraceStep) bool { return !s.Back && s.Where == to.vpc })
						want = want || tr.Allowed && there
					}
					if got := drawnFlow(f.found, node, from.id, to.id, q.p, q.port); got != want {
						t.Fatalf("%s to %s, protocol %d port %d: the flows say %v, the model %v\n%+v", from.id, to.id, q.p, q.port, got, want, f.found)
					}
				}
			}
		}
	})
}
