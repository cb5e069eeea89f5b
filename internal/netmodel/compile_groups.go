package netmodel

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
)

// gates makes what follows connection tracking.
func (c *compiler) gates() {
	v := c.vpc
	c.set(mapSenders, KeyDevice, ToChain, false)
	c.set(mapReceivers, KeyAddressDevice, ToChain, false)
	filter := []Step{{State: Known, Do: AcceptIt}, {State: Invalid, Do: Drop}, {Dispatch: ByDevice, Map: mapSenders}}
	c.base("inward", Input, filter...)
	c.base("through", Forward, filter...)

	var out []Step
	if len(v.NetworkACLs) > 0 {
		out = append(out, Step{Do: Jump, To: chainBorder})
	}
	out = append(out, Step{State: Related, Do: AcceptIt}, Step{State: Invalid, Do: Drop}) // answers, and the router's own errors
	if len(v.Dialers) > 0 {
		c.dialers()
		out = append(out, Step{Field: BySource, Set: setDialers, Ports: Ports{TCP, 0, 65535}, Dispatch: ByOutlet, Map: mapReceivers})
	}
	c.base("outward", Output, out...)

	arrive := []Step{
		{Dispatch: ByOutlet, Map: mapReceivers},
		{Dispatch: ByDestination, Map: c.set(mapDoors, KeyAddress, ToChain, false).Name},
	}
	if len(v.Attachments) > 0 {
		arrive = append(arrive, Step{Field: ByExit, Set: setExits, Do: AcceptIt})
	}
	c.chain(chainArrive, append(arrive, Step{Do: Drop})...)
}

// dialers has the server's own connections go to the receiver's gate, and what others send there fall at it.
func (c *compiler) dialers() {
	own, places, doors := c.addresses(setDialers), c.addresses(setPlaces), c.set(mapDoors, KeyAddress, ToChain, false)
	for _, d := range c.vpc.Dialers {
		own.putAddress(d.Address)
		places.putAddress(d.Address)
		doors.put(Element{Range: one(d.Address), Do: Goto, To: refusal(GateIngress)})
	}
}

// services decides for the addresses that every VPC has, as [VPC.passService] does.
func (c *compiler) services() {
	resolvers := c.addresses(setResolvers)
	resolvers.putAddress(Resolver)
	resolvers.putAddress(c.vpc.ResolverAddress())
	const noMetadata = "refuse_metadata"
	c.chain(chainServices,
		Step{Dst: host(Metadata), Do: Goto, To: noMetadata},
		Step{Dst: host(Credentials), Ports: tcpPort(CredentialsPort), Do: AcceptIt},
		Step{Dst: host(Credentials), Do: Goto, To: refusal(GateIngress)},
		Step{Field: ByDestination, Set: setResolvers, Flood: true, Do: Drop},
		Step{Field: ByDestination, Set: setResolvers, Ports: Ports{UDP, DNSPort, DNSPort}, Do: AcceptIt},
		Step{Field: ByDestination, Set: setResolvers, Ports: tcpPort(DNSPort), Do: AcceptIt},
		Step{Field: ByDestination, Set: setResolvers, Do: Goto, To: refusal(GateIngress)},
	)
	var steps []Step
	if c.vpc.FlowLogs {
		const note = "note_metadata"
		c.chain(note, Step{Busy: true, Count: true, Do: Return}, Step{Log: Log{Gate: GateIngress}})
		steps = append(steps, Step{Do: Jump, To: note})
	}
	c.chain(noMetadata, append(steps, Step{Ports: Ports{TCP, 0, 65535}, Do: Reset}, Step{Do: Refuse})...)
}

func (c *compiler) group(g *SecurityGroup) {
	out, in := make([]Step, 0, len(g.Egress)), make([]Step, 0, len(g.Ingress))
	for i := range g.Egress {
		s := Step{Ports: g.Egress[i].ports(), Do: Goto, To: chainArrive}
		s.peer(c, &g.Egress[i], ByDestination)
		out = append(out, s)
	}
	for i := range g.Ingress {
		s := Step{Ports: g.Ingress[i].ports(), Do: AcceptIt}
		s.peer(c, &g.Ingress[i], BySource)
		in = append(in, s)
	}
	c.chain(ident("out", g.ID), out...)
	c.chain(ident("in", g.ID), in...)
}

// peer makes a step ask for a rule's other side.
func (s *Step) peer(c *compiler, r *Rule, f Field) {
	switch {
	case r.Group != "":
		s.Field, s.Set = f, c.addresses(ident("members", r.Group)).Name
	case r.PrefixList != "":
		s.Field, s.Set = f, c.ranges(ident("list", r.PrefixList), c.vpc.prefixList(r.PrefixList))
	case f == BySource:
		s.Src = r.CIDR
	default:
		s.Dst = r.CIDR
	}
}

// networkInterface makes no chain of the interface's own.
func (c *compiler) networkInterface(i *Interface) {
	device, at := Device(i.ID), one(i.Address)
	c.set(setPorts, KeyDeviceAddress, NoValue, false).put(Element{Device: device, Range: at})
	c.reached(i.Address, i.Groups)
	all := hash(i.Groups)
	from, to := "from_"+all, "to_"+all
	c.set(mapSenders, KeyDevice, ToChain, false).put(Element{Device: device, Do: Goto, To: from})
	c.set(mapReceivers, KeyAddressDevice, ToChain, false).put(Element{Range: at, Device: device, Do: Goto, To: to})
	if c.chained[all] {
		return
	}
	c.chained[all] = true
	steps := append([]Step{{Crowd: true, Do: Drop}, {Do: Jump, To: chainServices}}, jumps("out", i.Groups, Ports{})...)
	c.chain(from, append(steps, refuseAt(GateEgress))...)
	c.chain(to, append(jumps("in", i.Groups, Ports{}), refuseAt(GateIngress))...)
}

// hash names a set of groups.
func hash(groups []string) string {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(groups)), " ")))
	return hex.EncodeToString(sum[:16])
}

func (c *compiler) endpoint(e *Endpoint) {
	name := ident("to", e.ID)
	doors := c.set(mapDoors, KeyAddress, ToChain, false)
	for _, a := range e.Addresses {
		doors.put(Element{Range: one(a.Address), Do: Goto, To: name})
	}
	var steps []Step
	for _, p := range e.Ports {
		if e.Type == InterfaceEndpoint {
			steps = append(steps, jumps("in", e.Groups, tcpPort(p))...)
		} else {
			steps = append(steps, Step{Ports: tcpPort(p), Do: AcceptIt})
		}
	}
	c.chain(name, append(steps, c.refused(Log{GateIngress, e.ID})...)...)
	if e.Type == InterfaceEndpoint {
		for _, a := range e.Addresses {
			c.reached(a.Address, e.Groups)
		}
		return
	}
	c.ranges(ident("routed", e.ID), c.vpc.routed(e))
	way := ident("way", e.ID)
	c.chain(way, Step{Field: BySource, Set: ident("routed", e.ID), Do: Goto, To: chainCrossing}, refuseAt(GateRoute))
	for _, a := range e.Addresses {
		c.set(mapWays, KeyAddress, ToChain, false).put(Element{Range: one(a.Address), Do: Goto, To: way})
	}
}

// reached puts an address that every subnet has a route to, and other networks too, where it belongs.
func (c *compiler) reached(a netip.Addr, groups []string) {
	c.addresses(setPlaces).putAddress(a)
	if len(c.vpc.Attachments) > 0 {
		c.addresses(setRemote).putAddress(a)
	}
	for _, g := range groups {
		if s := c.sets[ident("members", g)]; s != nil {
			s.putAddress(a)
		}
	}
}

// routed returns the ranges of the subnets that have a route to an endpoint.
func (v *VPC) routed(e *Endpoint) []netip.Prefix {
	var out []netip.Prefix
	for i := range v.Subnets {
		if v.leadsTo(&v.Subnets[i], e) {
			out = append(out, v.Subnets[i].CIDR)
		}
	}
	return out
}

func jumps(prefix string, groups []string, ports Ports) []Step {
	out := make([]Step, 0, len(groups)+1)
	for _, g := range groups {
		out = append(out, Step{Ports: ports, Do: Jump, To: ident(prefix, g)})
	}
	return out
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
