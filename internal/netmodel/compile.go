package netmodel

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
)

// Device is the name of the link, on the VPC's side, of the interface with this id: 15 characters, the most that Linux
// takes.
func Device(interfaceID string) string {
	sum := sha256.Sum256([]byte(interfaceID))
	return "w" + hex.EncodeToString(sum[:7])
}

// Names of the chains that are not some interface's, group's or endpoint's.
const (
	chainServices = "services"
	chainArrive   = "arrive"
	setPlaces     = "places"
	setResolvers  = "resolvers"
)

// Compile turns a valid VPC into the packet filter of its namespace.
//
// A packet meets the gates in series, and each can only pass it to the next. Before routing, a chain per sending
// interface drops foreign sources and destinations that do not exist. Then, in the sender's "from" chain, each of its
// groups may send the packet on to "arrive"; falling off the end is a drop. "arrive" finds the receiver's "to" chain,
// where each of its groups may accept; falling off the end is a drop. No chain of the sender's can accept, so no rule of
// one gate can stand in for the other's. Replies are accepted by connection tracking alone; ICMP errors
// between workloads are not, as anybody may write one about somebody else's flow: they meet the gates.
func Compile(v *VPC) Ruleset {
	c := compiler{vpc: v, needed: map[string][]netip.Prefix{}}
	devices := make([]Branch, 0, len(v.Interfaces))
	sources := make([]Branch, 0, len(v.Interfaces))
	for i := range v.Interfaces {
		ifc := &v.Interfaces[i]
		devices = append(devices, Branch{Device(ifc.ID), ident("from", ifc.ID)})
		sources = append(sources, Branch{Device(ifc.ID), ident("src", ifc.ID)})
	}
	c.base("before", Prerouting, dispatch(ByDevice, sources))
	filter := []Step{{State: Known, Do: AcceptIt}, {State: Invalid, Do: Drop}}
	filter = append(filter, dispatch(ByDevice, devices)...)
	c.base("inward", Input, filter)
	c.base("through", Forward, filter)
	c.base("outward", Output, []Step{{State: Related, Do: AcceptIt}}) // the router's own errors

	c.set(setPlaces, c.places())
	c.services()
	for i := range v.SecurityGroups {
		c.group(&v.SecurityGroups[i])
	}
	var arrivals []Branch
	for i := range v.Endpoints {
		arrivals = append(arrivals, c.endpoint(&v.Endpoints[i])...)
	}
	for i := range v.Interfaces {
		arrivals = append(arrivals, c.networkInterface(&v.Interfaces[i]))
	}
	c.chain(chainArrive, append(dispatch(ByDestination, arrivals), Step{Do: Drop})...)
	return Ruleset{Sets: c.sets(), Chains: c.chains}
}

type compiler struct {
	vpc    *VPC
	chains []Chain
	needed map[string][]netip.Prefix
}

func (c *compiler) base(name string, h Hook, steps []Step) {
	c.chains = append(c.chains, Chain{name, h, steps})
}

func (c *compiler) chain(name string, steps ...Step) {
	c.chains = append(c.chains, Chain{Name: name, Steps: steps})
}

// services decides for the addresses that every VPC has, as [VPC.passService] does.
func (c *compiler) services() {
	credentials := &Rule{Protocol: TCP, FromPort: CredentialsPort, ToPort: CredentialsPort}
	tcpDNS := &Rule{Protocol: TCP, FromPort: DNSPort, ToPort: DNSPort}
	udpDNS := &Rule{Protocol: UDP, FromPort: DNSPort, ToPort: DNSPort}
	resolvers := c.set(setResolvers, []netip.Prefix{host(Resolver), host(c.vpc.ResolverAddress())})
	steps := c.logged(Log{Gate: GateIngress}, Step{Dst: host(Metadata)})
	steps = append(steps,
		Step{Dst: host(Metadata), Ports: &Rule{Protocol: TCP, FromPort: 0, ToPort: 65535}, Do: Reset},
		Step{Dst: host(Metadata), Do: Refuse},
		Step{Dst: host(Credentials), Ports: credentials, Do: AcceptIt},
		Step{DstSet: resolvers, Flood: true, Do: Drop},
		Step{DstSet: resolvers, Ports: udpDNS, Do: AcceptIt},
		Step{DstSet: resolvers, Ports: tcpDNS, Do: AcceptIt},
	)
	for _, rest := range []Step{{Dst: host(Credentials)}, {DstSet: resolvers}} {
		steps = append(steps, c.refused(Log{Gate: GateIngress}, rest)...)
	}
	c.chain(chainServices, steps...)
}

func (c *compiler) group(g *SecurityGroup) {
	var out, in []Step
	for i := range g.Egress {
		s := Step{Ports: &g.Egress[i], Do: Goto, To: chainArrive}
		s.Dst, s.DstSet = c.peer(&g.Egress[i])
		out = append(out, s)
	}
	for i := range g.Ingress {
		s := Step{Ports: &g.Ingress[i], Do: AcceptIt}
		s.Src, s.SrcSet = c.peer(&g.Ingress[i])
		in = append(in, s)
	}
	c.chain(ident("out", g.ID), out...)
	c.chain(ident("in", g.ID), in...)
}

// peer returns a rule's other side as a range or as the name of a set.
func (c *compiler) peer(r *Rule) (netip.Prefix, string) {
	switch {
	case r.Group != "":
		return netip.Prefix{}, c.set(ident("members", r.Group), c.members(r.Group))
	case r.PrefixList != "":
		return netip.Prefix{}, c.set(ident("list", r.PrefixList), c.vpc.prefixList(r.PrefixList))
	}
	return r.CIDR, ""
}

func (c *compiler) members(group string) []netip.Prefix {
	var out []netip.Prefix
	for _, i := range c.vpc.Interfaces {
		if contains(i.Groups, group) {
			out = append(out, host(i.Address))
		}
	}
	for _, e := range c.vpc.Endpoints {
		if contains(e.Groups, group) {
			for _, a := range e.Addresses {
				out = append(out, host(a.Address))
			}
		}
	}
	return out
}

func (c *compiler) networkInterface(i *Interface) Branch {
	own := host(i.Address)
	steps := []Step{{Src: own, DstSet: setPlaces, Do: AcceptIt}}
	steps = append(steps, c.refused(Log{GateRoute, i.ID}, Step{Src: own})...)
	steps = append(steps, c.refused(Log{GateSource, i.ID}, Step{})...)
	c.chain(ident("src", i.ID), steps...)

	from := []Step{{Crowd: true, Do: Drop}, {Do: Jump, To: chainServices}}
	from = append(from, jumps("out", i.Groups, nil)...)
	c.chain(ident("from", i.ID), append(from, c.refused(Log{GateEgress, i.ID}, Step{})...)...)

	to := append([]Step{{NotOut: Device(i.ID), Do: Drop}}, jumps("in", i.Groups, nil)...)
	c.chain(ident("to", i.ID), append(to, c.refused(Log{GateIngress, i.ID}, Step{})...)...)
	return Branch{i.Address.String(), ident("to", i.ID)}
}

// places are all destinations that exist.
func (c *compiler) places() []netip.Prefix {
	out := []netip.Prefix{host(Resolver), host(c.vpc.ResolverAddress()), host(Metadata), host(Credentials)}
	for _, i := range c.vpc.Interfaces {
		out = append(out, host(i.Address))
	}
	for _, e := range c.vpc.Endpoints {
		for _, a := range e.Addresses {
			out = append(out, host(a.Address))
		}
	}
	return out
}

func (c *compiler) endpoint(e *Endpoint) []Branch {
	var steps []Step
	for _, p := range e.Ports {
		port := &Rule{Protocol: TCP, FromPort: int(p), ToPort: int(p)}
		if e.Type == GatewayEndpoint {
			steps = append(steps, Step{SrcSet: c.set(ident("routed", e.ID), c.routed(e)), Ports: port, Do: AcceptIt})
			continue
		}
		steps = append(steps, jumps("in", e.Groups, port)...)
	}
	name := ident("to", e.ID)
	c.chain(name, append(steps, c.refused(Log{Gate: GateIngress, Interface: e.ID}, Step{})...)...)
	var out []Branch
	for _, a := range e.Addresses {
		out = append(out, Branch{a.Address.String(), name})
	}
	return out
}

// routed returns the ranges of the subnets that have a route to a gateway endpoint.
func (c *compiler) routed(e *Endpoint) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range c.vpc.Subnets {
		if contains(e.RouteTables, s.RouteTable) {
			out = append(out, s.CIDR)
		}
	}
	return out
}

// logged returns step with a log, or nothing where the VPC keeps no flow log.
func (c *compiler) logged(l Log, s Step) []Step {
	if !c.vpc.FlowLogs {
		return nil
	}
	s.Log = &l
	return []Step{s}
}

// refused drops what a step matches, logging it first where the VPC keeps a flow log.
func (c *compiler) refused(l Log, s Step) []Step {
	out := c.logged(l, s)
	s.Do = Drop
	return append(out, s)
}

func (c *compiler) set(name string, p []netip.Prefix) string {
	c.needed[name] = p
	return name
}

func (c *compiler) sets() []Set {
	out := make([]Set, 0, len(c.needed))
	for name, p := range c.needed {
		out = append(out, Set{name, disjoint(p)})
	}
	slices.SortFunc(out, func(a, b Set) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// disjoint sorts ranges and leaves out those inside others. Everything is written as two halves, as a set's interval has
// an end.
func disjoint(p []netip.Prefix) []netip.Prefix {
	p = slices.Clone(p)
	slices.SortFunc(p, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var out []netip.Prefix
	for _, q := range p {
		if q.Bits() == 0 {
			return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1")}
		}
		if n := len(out); n == 0 || !out[n-1].Contains(q.Addr()) {
			out = append(out, q)
		}
	}
	return out
}

func dispatch(k Key, b []Branch) []Step {
	if len(b) == 0 {
		return nil
	}
	return []Step{{Dispatch: k, Branches: b}}
}

func jumps(prefix string, groups []string, ports *Rule) []Step {
	var out []Step
	for _, g := range groups {
		out = append(out, Step{Ports: ports, Do: Jump, To: ident(prefix, g)})
	}
	return out
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// ident makes an nft identifier of a prefix and an id. Ids have no underscore, so different ids stay different, and the
// prefix keeps every name from being a keyword.
func ident(prefix, id string) string { return prefix + "_" + strings.ReplaceAll(id, "-", "_") }
