package server

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bawn.dev/internal/ec2"
	"bawn.dev/internal/netmodel"
)

// Bounds of what is looked at, and of what is shown.
const (
	maxPairs = 20_000
	maxFlows = 2_000
)

// ephemeral are the ends of the ports from which Linux connects. A network ACL that
// lets replies to both pass, and no port between, would be a strange one.
var ephemeral = [2]uint16{32768, 60999}

// flows finds what may flow between nodes. Interfaces that no rule tells apart are
// one node, so that a thousand of them are few questions.
type flows struct {
	*atlas
	ends    []*end
	outside map[string][]NetworkNode // by VPC: what lies beyond its doors
	decide  []netip.Prefix           // see ranges
	found   []NetworkFlow
	left    int // pairs that may still be looked at
	leftOut int
}

// An end is a node as a question about a packet needs it: with the addresses that
// stand for all of its.
type end struct {
	id, kind  string
	vpc       *ec2.Survey
	judge     *netmodel.Judge
	endpoint  *netmodel.Endpoint
	members   []string // ids of interfaces
	addresses []netip.Addr
	subnets   []string
	groups    []string
}

// nodes makes the nodes of a VPC, and remembers them as ends.
func (f *flows) nodes(v *ec2.Survey, people map[string]string) []NetworkNode {
	var out []NetworkNode
	at := map[string]int{} // by what makes interfaces alike
	told := f.tellApart(v)
	judge := v.Model.Judge()
	for _, i := range v.Model.Interfaces {
		groups := slices.Sorted(slices.Values(i.Groups))
		alike := i.Subnet + told(i.Subnet, i.Address) + dialled(v, i.ID) + strings.Join(groups, " ")
		n, ok := at[alike]
		if !ok {
			n = len(out)
			at[alike] = n
			out = append(out, NetworkNode{ID: i.ID, Kind: NodeInterfaces, Name: v.Names[i.ID], Subnets: []string{i.Subnet}, Groups: groups})
		}
		out[n].Members = append(out[n].Members, NetworkMember{i.ID, i.Address.String(), i.Owner, people[i.Workload]})
	}
	for n := range out {
		e := &end{id: out[n].ID, kind: NodeInterfaces, vpc: v, judge: judge, subnets: out[n].Subnets, groups: out[n].Groups}
		for _, m := range out[n].Members {
			e.members, e.addresses = append(e.members, m.ID), append(e.addresses, netip.MustParseAddr(m.Address))
		}
		f.ends = append(f.ends, e)
	}
	for k := range v.Model.Endpoints {
		p := &v.Model.Endpoints[k]
		node := NetworkNode{ID: p.ID, Kind: NodeEndpoint, Name: v.Names[p.ID], Service: v.Services[p.ID], Policy: v.Policies[p.ID], Groups: p.Groups}
		if p.Type == netmodel.NATGateway {
			node.Kind = NodeNAT
		}
		e := &end{id: p.ID, kind: node.Kind, vpc: v, judge: judge, endpoint: p, groups: p.Groups}
		for _, a := range p.Addresses {
			node.Members = append(node.Members, NetworkMember{Address: a.Address.String()})
			e.addresses = append(e.addresses, a.Address)
			if a.Subnet != "" {
				node.Subnets, e.subnets = append(node.Subnets, a.Subnet), append(e.subnets, a.Subnet)
			}
		}
		for _, l := range v.Leads[p.ID] {
			node.Lines = append(node.Lines, leadText(l))
		}
		out, f.ends = append(out, node), append(f.ends, e)
	}
	for _, d := range v.Model.Dialers {
		out = append(out, NetworkNode{
			ID: d.ID, Kind: NodeDialer, Service: v.Services[d.ID], Subnets: []string{d.Subnet}, Members: []NetworkMember{{ID: d.ID, Address: d.Address.String()}},
		})
		f.ends = append(f.ends, &end{
			id: d.ID, kind: NodeDialer, vpc: v, judge: judge, members: []string{d.ID}, addresses: []netip.Addr{d.Address}, subnets: []string{d.Subnet},
		})
	}
	return out
}

func leadText(l ec2.Lead) string {
	if l.Site != "" {
		return fmt.Sprintf("port %d: site %s", l.Port, l.Site)
	}
	return fmt.Sprintf("port %d: %s in %s", l.Port, l.Interface, l.VPC)
}

// tellApart answers by which ranges, somewhere in a rule, an ACL or a route, an
// address differs from others of its subnet.
func (f *flows) tellApart(v *ec2.Survey) func(subnet string, a netip.Addr) string {
	if f.decide == nil {
		f.decide = f.ranges()
	}
	narrow := map[string][]netip.Prefix{}
	for _, s := range v.Model.Subnets {
		for _, p := range f.decide {
			if p.Bits() > s.CIDR.Bits() && s.CIDR.Contains(p.Addr()) && !slices.Contains(narrow[s.ID], p) {
				narrow[s.ID] = append(narrow[s.ID], p)
			}
		}
	}
	return func(subnet string, a netip.Addr) string {
		var in strings.Builder
		for i, p := range narrow[subnet] {
			if p.Contains(a) {
				fmt.Fprintf(&in, " %d", i)
			}
		}
		return in.String() + " "
	}
}

// ranges are all that something could decide by.
func (f *flows) ranges() []netip.Prefix {
	var out []netip.Prefix
	for _, m := range f.cloud.VPCs {
		for _, g := range m.SecurityGroups {
			for _, r := range slices.Concat(g.Ingress, g.Egress) {
				if r.CIDR.IsValid() {
					out = append(out, r.CIDR)
				}
			}
		}
		for _, l := range m.PrefixLists {
			out = append(out, l.CIDRs...)
		}
		for _, a := range m.NetworkACLs {
			for _, e := range slices.Concat(a.Ingress, a.Egress) {
				out = append(out, e.CIDR)
			}
		}
		for _, t := range m.RouteTables {
			for _, r := range t.Routes {
				out = append(out, r.CIDR)
			}
		}
	}
	for _, g := range f.cloud.Gateways {
		for _, t := range g.RouteTables {
			for _, r := range t.Routes {
				out = append(out, r.CIDR)
			}
		}
	}
	return out
}

// find looks at every pair that could have a flow.
func (f *flows) find() {
	f.outside = map[string][]NetworkNode{}
	for _, from := range f.ends {
		switch from.kind {
		case NodeInterfaces:
			for _, to := range f.ends {
				if to.kind != NodeDialer && (from.vpc == to.vpc || f.joined(from, to)) {
					f.pair(from, to)
				}
			}
		case NodeDialer:
			for _, to := range f.ends {
				if to.vpc == from.vpc && f.dials(from, to) {
					f.pair(from, to)
				}
			}
		case NodeNAT:
			f.beyond(from)
		case NodeEndpoint:
			f.relayed(from)
		}
	}
}

// joined says whether a transit gateway knows both VPCs.
func (f *flows) joined(a, b *end) bool {
	for _, g := range f.cloud.Gateways {
		n := 0
		for _, t := range g.Attachments {
			if t.VPC == a.vpc.Model.ID || t.VPC == b.vpc.Model.ID {
				n++
			}
		}
		if n > 1 {
			return true
		}
	}
	return false
}

// pair adds what may flow from one end to another.
func (f *flows) pair(from, to *end) {
	if from == to && len(from.addresses) < 2 {
		return
	}
	if f.left--; f.left < 0 || len(f.found) >= maxFlows {
		f.leftOut++
		return
	}
	if from.vpc != to.vpc && !f.routed(from, to) {
		return
	}
	flow := NetworkFlow{From: from.id, To: to.id, Kind: FlowPackets, Among: from == to}
	targets := to.addresses
	switch {
	case from == to:
		targets = targets[1:2]
	case to.endpoint == nil:
		targets = targets[:1]
	}
	var ports, refused portSet
	for _, target := range targets {
		f.reached(from, to, target, &ports, &refused, &flow)
	}
	switch flow.Ports = ports.texts(refused); {
	case len(flow.Ports) == 0:
		return
	case len(refused) == 0 && slices.ContainsFunc(ports, func(s stretch) bool { return s.protocol == experiment }):
		flow.Ports = []string{"all"}
	}
	f.found = append(f.found, flow)
}

// routed says whether routes lead from one VPC to another, whatever the rules say.
func (f *flows) routed(from, to *end) bool {
	t := f.cloud.Trace(from.vpc.Model.ID, netmodel.Flow{From: from.addresses[0], To: to.addresses[0], Protocol: netmodel.TCP, FromPort: ephemeral[0], Port: 443})
	return !slices.ContainsFunc(t.Steps, func(s netmodel.TraceStep) bool {
		return !s.Allowed && !s.Back && (s.Gate == netmodel.GateRoute || s.Gate == netmodel.GateTransit)
	})
}

// reached collects at which ports one address reaches another, and at which not.
func (f *flows) reached(from, to *end, target netip.Addr, ports, refused *portSet, flow *NetworkFlow) {
	for _, s := range stretches(from, to) {
		ask := netmodel.Flow{From: from.addresses[0], To: target, Protocol: s.protocol, Port: s.begin}
		low, via := f.passes(from, to, ask, ephemeral[0])
		high, other := low, via
		if s.protocol == netmodel.TCP || s.protocol == netmodel.UDP {
			high, other = f.passes(from, to, ask, ephemeral[1])
		}
		if low || high {
			ports.add(s)
			flow.Some = flow.Some || low != high
			flow.Via = cmp.Or(flow.Via, via, other)
		} else {
			refused.add(s)
		}
	}
}

// passes asks about one flow, and answers by which transit gateway it goes.
func (f *flows) passes(from, to *end, ask netmodel.Flow, port uint16) (allowed bool, via string) {
	ask.FromPort = port
	if from.vpc == to.vpc {
		return from.judge.Keeps(ask), ""
	}
	t := f.cloud.Trace(from.vpc.Model.ID, ask)
	arrived := ""
	for _, step := range t.Steps {
		if step.Back {
			break
		}
		if arrived = step.Where; step.Gate == netmodel.GateTransit {
			via = step.Where
		}
	}
	return t.Allowed && arrived == to.vpc.Model.ID, via
}

// beyond adds the names outside that somebody reaches through a NAT gateway.
func (f *flows) beyond(nat *end) {
	lines := map[string][]string{}
	for _, from := range f.ends {
		if from.vpc != nat.vpc || from.kind != NodeInterfaces {
			continue
		}
		for _, g := range from.vpc.Model.SecurityGroups {
			if !slices.Contains(from.groups, g.ID) {
				continue
			}
			for _, o := range g.Outside {
				text := outsideText(o)
				if f.reachesOutside(from, nat, o) && !slices.Contains(lines[text], g.ID) {
					lines[text] = append(lines[text], g.ID)
				}
			}
		}
	}
	node := NetworkNode{ID: "outside-" + nat.id, Kind: NodeOutside}
	for text, groups := range lines {
		for i, id := range groups {
			groups[i] = cmp.Or(nat.vpc.Names[id], id)
		}
		slices.Sort(groups)
		node.Lines = append(node.Lines, text+"  "+strings.Join(groups, ", "))
	}
	if slices.Sort(node.Lines); len(node.Lines) > 0 {
		f.outside[nat.vpc.Model.ID] = append(f.outside[nat.vpc.Model.ID], node)
		f.found = append(f.found, NetworkFlow{From: nat.id, To: node.ID, Kind: FlowRelay})
	}
}

// relayed adds where an endpoint of an endpoint service leads.
func (f *flows) relayed(from *end) {
	vpcID := from.vpc.Model.ID
	for _, l := range from.vpc.Leads[from.id] {
		if !slices.Contains(from.endpoint.Ports, l.Port) { // its target is gone
			continue
		}
		port := []string{fmt.Sprintf("tcp %d", l.Port)}
		if l.Site != "" {
			node := NetworkNode{ID: "site-" + l.Site + "-" + from.id, Kind: NodeSite, Name: l.Site}
			f.outside[vpcID] = append(f.outside[vpcID], node)
			f.found = append(f.found, NetworkFlow{From: from.id, To: node.ID, Kind: FlowRelay, Ports: port})
			continue
		}
		for _, to := range f.ends {
			if to.kind == NodeDialer && to.vpc.Model.ID == l.VPC && to.vpc.Services[to.id] == from.vpc.Services[from.id] {
				f.found = append(f.found, NetworkFlow{From: from.id, To: to.id, Kind: FlowRelay, Ports: port})
			}
		}
	}
}

// reachesOutside says whether a rule lets an end out by this gateway, at any of the
// rule's ports.
func (f *flows) reachesOutside(from, nat *end, o netmodel.OutsideRule) bool {
	name := strings.Replace(o.Name, "*", "any", 1)
	return slices.ContainsFunc(o.Ports, func(port uint16) bool {
		if !from.judge.Outside(from.addresses[0], name, port).Allowed {
			return false
		}
		got, ok := from.vpc.Model.Resolve(from.addresses[0], name)
		return !ok || slices.Equal(got, nat.addresses) // by which other gateway, the name server says
	})
}

// dialled are the addresses from which endpoint services connect to an interface.
func dialled(v *ec2.Survey, id string) string {
	out := ""
	for _, d := range v.Model.Dialers {
		if slices.ContainsFunc(v.Leads[d.ID], func(l ec2.Lead) bool { return l.Interface == id }) {
			out += d.ID + " "
		}
	}
	return out
}

// dials says whether an endpoint service connects from one end to the other.
func (f *flows) dials(from, to *end) bool {
	return to.kind == NodeInterfaces && slices.ContainsFunc(from.vpc.Leads[from.id], func(l ec2.Lead) bool { return slices.Contains(to.members, l.Interface) })
}
