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
	known, invalid, senders := Step{State: Known, Do: AcceptIt}, Step{State: Invalid, Do: Drop}, Step{Dispatch: ByDevice, Map: mapSenders}
	c.base("inward", Input, known, invalid, senders)
	// What is for this namespace and is led through it is lost: an address is missing.
	c.base("through", Forward, known, invalid, Step{Field: ByDestination, Set: c.here(), Do: Drop}, senders)

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

// here makes the set of the namespace's own addresses.
func (c *compiler) here() string {
	here := c.addresses(setHere)
	for _, a := range c.vpc.services() {
		here.putAddress(a)
	}
	for _, e := range c.vpc.Endpoints {
		for _, a := range e.Addresses {
			here.putAddress(a.Address)
		}
	}
	for _, d := range c.vpc.Dialers {
		here.putAddress(d.Address)
	}
	return setHere
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

// networkInterfaces makes no chain of an interface's own.
func (c *compiler) networkInterfaces() {
	ports := c.set(setPorts, KeyDeviceAddress, NoValue, false)
	senders, receivers := c.set(mapSenders, KeyDevice, ToChain, false), c.set(mapReceivers, KeyAddressDevice, ToChain, false)
	for _, s := range []*Set{ports, senders, receivers, c.addresses(setPlaces)} {
		s.Elements = slices.Grow(s.Elements, len(c.vpc.Interfaces))
	}
	for i := range c.vpc.Interfaces {
		n := &c.vpc.Interfaces[i]
		device, at := Device(n.ID), one(n.Address)
		from, to := c.shared(n.Groups)
		ports.put(Element{Device: device, Range: at})
		senders.put(Element{Device: device, Do: Goto, To: from})
		receivers.put(Element{Range: at, Device: device, Do: Goto, To: to})
		c.reached(n.Address, n.Groups)
	}
}

// shared makes the chains of interfaces that are in these groups, once, and returns their names.
func (c *compiler) shared(groups []string) (from, to string) {
	all := c.hash(groups)
	from, to = "from_"+all, "to_"+all
	if c.chained[all] {
		return from, to
	}
	c.chained[all] = true
	steps := append([]Step{{Rush: true, Do: Drop}, {Crowd: true, Do: Drop}, {Do: Jump, To: chainServices}}, jumps("out", groups, Ports{})...)
	c.chain(from, append(steps, refuseAt(GateEgress))...)
	c.chain(to, append(jumps("in", groups, Ports{}), refuseAt(GateIngress))...)
	return from, to
}

// hash names a set of groups.
func (c *compiler) hash(groups []string) string {
	key := strings.Join(groups, " ")
	if c.hashes[key] == "" {
		sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(groups)), " ")))
		c.hashes[key] = hex.EncodeToString(sum[:16])
	}
	return c.hashes[key]
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
