package netmodel

import (
	"cmp"
	"slices"
)

// gatesLogged are those at which packets fall in a VPC, and are logged.
var gatesLogged = []Gate{GateSource, GateRoute, GateACL, GateEgress, GateIngress}

func refusal(g Gate) string { return "refuse_" + string(g) }

func refuseAt(g Gate) Step { return Step{Do: Goto, To: refusal(g)} }

// refusals makes a chain for each gate.
func (c *compiler) refusals() {
	for _, g := range gatesLogged {
		c.chain(refusal(g), c.refused(Log{Gate: g})...)
	}
}

// refused drops everything, logging it first where the VPC keeps a flow log.
func (c *compiler) refused(l Log) []Step {
	if !c.vpc.FlowLogs {
		return []Step{{Do: Drop}}
	}
	return []Step{{Busy: true, Count: true, Do: Drop}, {Log: l}, {Do: Drop}}
}

// before makes what stands before connection tracking: source and route.
//
// Fragments are refused, before they are put together: one that claims another's address would become a part of his packet,
// and ports come later. Nor may anything be cut into fragments behind the gates: that finishes a checksum which the sender
// left to others, wherever he said that it belongs, and be it in a port or in an address.
func (c *compiler) before() {
	v := c.vpc
	first := []Step{{OtherFamily: true, Do: Drop}, {Fragment: true, Do: Goto, To: refusal(GateSource)}, {Large: true}}
	c.set(setPorts, KeyDeviceAddress, NoValue, false)
	first = append(first, Step{Field: ByOrigin, Set: setPorts, Do: Goto, To: chainSent})
	sent := []Step{
		{Field: ByDestination, Set: setPlaces, Do: Goto, To: chainCrossing},
		{Dispatch: ByDestination, Map: c.set(mapWays, KeyAddress, ToChain, false).Name},
	}
	if len(v.Attachments) > 0 {
		c.attachments()
		c.routeTables()
		first = append(first, Step{Dispatch: ByDevice, Map: mapWires})
		sent = append(sent, Step{Dispatch: BySource, Map: mapTables})
		c.chain(chainCame,
			Step{Field: BySource, Set: setOwn, Do: Goto, To: refusal(GateSource)},
			Step{Field: ByDestination, Set: setRemote, Do: Goto, To: chainCrossing},
			refuseAt(GateRoute))
	}
	places := c.addresses(setPlaces)
	places.putAddress(Resolver)
	places.putAddress(v.ResolverAddress())
	places.putAddress(Metadata)
	places.putAddress(Credentials)
	c.base("before", Prerouting, append(first, refuseAt(GateSource))...)
	c.chain(chainSent, append(sent, refuseAt(GateRoute))...)
	crossing := []Step{{Do: AcceptIt}}
	if len(v.NetworkACLs) > 0 {
		crossing = []Step{{Do: Jump, To: chainBorder}, {Do: AcceptIt}}
	}
	c.chain(chainCrossing, crossing...)
}

func (c *compiler) attachments() {
	own := slices.Concat(c.vpc.CIDRs, unroutable)
	c.ranges(setOwn, own)
	c.addresses(setRemote)
	wires, exits := c.set(mapWires, KeyDevice, ToChain, false), c.set(setExits, KeyMarkDevice, NoValue, false)
	senders := c.set(mapSenders, KeyDevice, ToChain, false)
	for _, a := range c.vpc.Attachments {
		device := TransitDevice(a.ID)
		wires.put(Element{Device: device, Do: Goto, To: chainCame})
		exits.put(Element{Mark: c.mark(a.ID), Device: device})
		senders.put(Element{Device: device, Do: Goto, To: chainLanded})
	}
	c.chain(chainLanded, Step{Rush: true, Do: Drop}, Step{Crowd: true, Do: Drop}, Step{Do: Goto, To: chainArrive})
}

// mark is the number that a packet carries from where its route is chosen to where it leaves: the two must name one
// attachment.
func (c *compiler) mark(attachment string) uint32 {
	n := uint32(1)
	for _, a := range c.vpc.Attachments {
		if cmp.Less(a.ID, attachment) {
			n++
		}
	}
	return n
}

// routeTables makes, for each table with routes to attachments, a map of what it leads to, by the mark, and the chain
// that looks there.
func (c *compiler) routeTables() {
	tables := c.set(mapTables, KeyAddress, ToChain, true)
	for i := range c.vpc.RouteTables {
		t := &c.vpc.RouteTables[i]
		spans := flatten(c.vpc.ways(t))
		if len(spans) == 0 {
			continue
		}
		name := ident("routes", t.ID)
		c.set(name, KeyAddress, MarkValue, true).putSpans(spans, c.mark)
		c.chain(name, Step{Mark: name, Do: Goto, To: chainCrossing}, refuseAt(GateRoute))
		for _, s := range c.vpc.Subnets {
			if s.RouteTable == t.ID {
				tables.put(Element{Range: whole(s.CIDR), Do: Goto, To: name})
			}
		}
	}
}

// border makes the network ACLs: two maps lead a packet to the ACL of the subnet that it leaves and of the one it enters,
// from where it comes back, or does not.
func (c *compiler) border() {
	if len(c.vpc.NetworkACLs) == 0 {
		return
	}
	reserved := c.addresses(setReserved)
	for _, a := range c.vpc.services() {
		reserved.putAddress(a)
	}
	leave, enter := c.set(mapLeave, KeyAddress, ToChain, true), c.set(mapEnter, KeyAddress, ToChain, true)
	for _, s := range c.vpc.Subnets {
		if s.NetworkACL == "" {
			continue
		}
		out, in := ident("leave", s.ID), ident("enter", s.ID)
		leave.put(Element{Range: whole(s.CIDR), Do: Jump, To: out})
		enter.put(Element{Range: whole(s.CIDR), Do: Jump, To: in})
		c.chain(out, Step{Dst: s.CIDR, Do: Return}, Step{Do: Goto, To: ident("aclout", s.NetworkACL)})
		c.chain(in, Step{Src: s.CIDR, Do: Return}, Step{Do: Goto, To: ident("aclin", s.NetworkACL)})
	}
	for i := range c.vpc.NetworkACLs {
		a := &c.vpc.NetworkACLs[i]
		c.chain(ident("aclout", a.ID), c.entries(a.Egress, egress)...)
		c.chain(ident("aclin", a.ID), c.entries(a.Ingress, ingress)...)
	}
	c.chain(chainBorder,
		Step{Field: BySource, Set: setReserved, Do: Return},
		Step{Field: ByDestination, Set: setReserved, Do: Return},
		Step{Dispatch: BySource, Map: mapLeave},
		Step{Dispatch: ByDestination, Map: mapEnter})
}

func (c *compiler) entries(list []ACLEntry, d direction) []Step {
	out := make([]Step, 0, len(list)+1)
	for i := range list {
		s := Step{Ports: list[i].ports(), Do: Return}
		if d == egress {
			s.Dst = list[i].CIDR
		} else {
			s.Src = list[i].CIDR
		}
		if !list[i].Allow {
			s.Do, s.To = Goto, refusal(GateACL)
		}
		out = append(out, s)
	}
	return append(out, refuseAt(GateACL))
}
