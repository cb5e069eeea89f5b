package netmodel

import "net/netip"

// Trace is the whole way of a flow, there and back, gate by gate. It is allowed if a flow that needs answers would work:
// its first packet passes everything, and so do the replies. The last step is the one that refuses.
type Trace struct {
	Allowed bool
	Steps   []TraceStep
}

// Trace follows a flow that begins in the VPC with this id. All of the cloud must be valid.
func (c *Cloud) Trace(vpcID string, f Flow) Trace {
	w := walk{explain: true, where: vpcID}
	allowed := c.trace(&w, vpcID, f)
	return Trace{allowed, w.steps}
}

func (c *Cloud) trace(w *walk, vpcID string, f Flow) bool {
	v := c.vpc(vpcID)
	if v == nil {
		return w.refuse(GateSource, "there is no VPC %.80s", vpcID)
	}
	j := &Judge{v: v}
	there := packet{f.From, f.To, f.Protocol, f.Port}
	beyond, ok := j.pass(w, there)
	if !ok {
		return false
	}
	far := j
	if beyond != "" {
		u := c.transit(w, v, beyond, there)
		if u == nil {
			return false
		}
		w.where = u.ID
		far = &Judge{v: u}
		if !far.enter(w, there) {
			return false
		}
	}
	w.back = true
	if f.From == f.To {
		return true
	}
	beyond, ok = far.reply(w, f)
	if !ok || far == j {
		return ok
	}
	port, answers := f.answer()
	if !answers {
		return true
	}
	back := packet{f.To, f.From, f.Protocol, port}
	u := c.transit(w, far.v, beyond, back)
	if u == nil {
		return false
	}
	if u != v {
		return w.refuse(GateTransit, "the replies are led to %s, where the flow did not begin", u.ID)
	}
	w.where = v.ID
	return v.crosses(w, back)
}

// transit walks a packet through the gateway of an attachment and returns the VPC that it comes out in, or nil.
func (c *Cloud) transit(w *walk, v *VPC, attachment string, p packet) *VPC {
	here := v.attachment(attachment)
	g := c.gateway(here.Gateway)
	w.where = here.Gateway
	if g == nil {
		w.refuse(GateTransit, "there is no transit gateway %s", here.Gateway)
		return nil
	}
	out := g.leads(w, attachment, p)
	if out == nil {
		return nil
	}
	u := c.vpc(out.VPC)
	if u == nil || u.attachment(out.ID) == nil {
		w.refuse(GateTransit, "%s is not attached by %s", out.VPC, out.ID)
		return nil
	}
	return u
}

// leads walks a packet that comes by an attachment through the gateway. It returns the attachment to leave by, or nil.
func (g *TransitGateway) leads(w *walk, attachment string, p packet) *TransitAttachment {
	in := g.attachment(attachment)
	switch {
	case in == nil:
		w.refuse(GateTransit, "%s is no attachment of %s", attachment, g.ID)
		return nil
	case !holds(in.CIDRs, p.from):
		w.refuse(GateTransit, "%s is not in the ranges of %s", p.from, in.VPC)
		return nil
	}
	var to string
	if t := g.table(in.RouteTable); t != nil {
		to = longest(t.ways(), p.to)
	}
	out := g.attachment(to)
	if !w.judge(out != nil, GateTransit, "the route table of %s, %s, leads %s to %s", in.ID, orNowhere(in.RouteTable), p.to, orNowhere(to)) {
		return nil
	}
	return out
}

func (c *Cloud) vpc(id string) *VPC {
	for _, v := range c.VPCs {
		if v.ID == id {
			return v
		}
	}
	return nil
}

func (c *Cloud) gateway(id string) *TransitGateway {
	for _, g := range c.Gateways {
		if g.ID == id {
			return g
		}
	}
	return nil
}

func (g *TransitGateway) attachment(id string) *TransitAttachment {
	for i := range g.Attachments {
		if g.Attachments[i].ID == id {
			return &g.Attachments[i]
		}
	}
	return nil
}

func (g *TransitGateway) table(id string) *TransitTable {
	for i := range g.RouteTables {
		if g.RouteTables[i].ID == id {
			return &g.RouteTables[i]
		}
	}
	return nil
}

func (t *TransitTable) ways() []way {
	out := make([]way, len(t.Routes))
	for i, r := range t.Routes {
		out[i] = way{r.CIDR, r.Attachment}
	}
	return out
}

// Outside follows an interface's way to a name in the internet: see [VPC.Outside].
func (c *Cloud) Outside(vpcID string, from netip.Addr, name string, port uint16) Trace {
	w := walk{explain: true, where: vpcID}
	v := c.vpc(vpcID)
	if v == nil {
		w.refuse(GateSource, "there is no VPC %.80s", vpcID)
		return Trace{Steps: w.steps}
	}
	allowed := (&Judge{v: v}).outside(&w, from, name, port)
	return Trace{allowed, w.steps}
}
