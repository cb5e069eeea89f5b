package netmodel

// CompileTransit turns a valid transit gateway into the packet filter of its namespace. It forwards, without a memory of
// flows, what comes by an attachment from that attachment's ranges and leaves by the one that the associated table leads
// to, and says nothing itself. Refusals are not logged here.
func CompileTransit(g *TransitGateway) Ruleset {
	c := compiler{vpc: &VPC{}, sets: map[string]*Set{}}
	exits := c.set(setExits, KeyMarkDevice, NoValue, false)
	wires := c.set(mapWires, KeyDevice, ToChain, false)
	marks := map[string]uint32{}
	for i, a := range g.Attachments {
		device, from := TransitDevice(a.ID), ident("from", a.ID)
		marks[a.ID] = uint32(i + 1)
		exits.put(Element{Mark: marks[a.ID], Device: device})
		wires.put(Element{Device: device, Do: Goto, To: from})
		var steps []Step
		if a.RouteTable != "" {
			own := c.ranges(ident("ranges", a.ID), a.CIDRs)
			steps = append(steps, Step{Field: BySource, Set: own, Do: Goto, To: ident("routes", a.RouteTable)})
		}
		c.chain(from, append(steps, Step{Do: Drop})...)
	}
	for i := range g.RouteTables {
		t := &g.RouteTables[i]
		name := ident("routes", t.ID)
		c.set(name, KeyAddress, MarkValue, true).putSpans(flatten(t.ways()), func(id string) uint32 { return marks[id] })
		c.chain(name, Step{Mark: name, Do: AcceptIt}, Step{Do: Drop})
	}
	c.base("before", Prerouting, Step{OtherFamily: true, Do: Drop}, Step{Fragment: true, Do: Drop}, Step{Large: true},
		Step{Dispatch: ByDevice, Map: mapWires})
	c.base("inward", Input)
	c.base("through", Forward, Step{Field: ByExit, Set: setExits, Do: AcceptIt})
	c.base("outward", Output)
	return c.ruleset()
}
