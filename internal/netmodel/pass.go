package netmodel

import "net/netip"

// Pass answers whether a new flow from one address of the VPC to another address passes, as far as this VPC decides. For
// TCP and UDP port is the destination port; for ICMP it is the type times 256 plus the code; otherwise it is ignored. The
// VPC must be valid.
func (v *VPC) Pass(from, to netip.Addr, p Protocol, port uint16) Verdict {
	return (&Judge{v: v}).Pass(from, to, p, port)
}

// Enter answers whether a new flow that comes by an attachment passes.
func (v *VPC) Enter(from, to netip.Addr, p Protocol, port uint16) Verdict {
	return (&Judge{v: v}).Enter(from, to, p, port)
}

// Keeps reports whether the VPC would still let a tracked flow be: whether it would let it begin, by an attachment if it
// is from a foreign address, and lets the replies come. For many flows, use a [Judge].
func (v *VPC) Keeps(f Flow) bool { return (&Judge{v: v}).Keeps(f) }

// Pass is [VPC.Pass].
func (j *Judge) Pass(from, to netip.Addr, p Protocol, port uint16) Verdict {
	w := walk{explain: true, where: j.v.ID}
	beyond, ok := j.pass(&w, packet{from, to, p, port})
	return w.verdict(ok, beyond)
}

// Enter is [VPC.Enter].
func (j *Judge) Enter(from, to netip.Addr, p Protocol, port uint16) Verdict {
	w := walk{explain: true, where: j.v.ID}
	return w.verdict(j.enter(&w, packet{from, to, p, port}), "")
}

// Keeps is [VPC.Keeps].
func (j *Judge) Keeps(f Flow) bool {
	w := walk{where: j.v.ID}
	p := packet{f.From, f.To, f.Protocol, f.Port}
	if j.v.foreign(f.From) {
		if !j.enter(&w, p) {
			return false
		}
	} else if _, ok := j.pass(&w, p); !ok {
		return false
	}
	_, ok := j.reply(&w, f)
	return ok
}

// pass walks a packet from an address of this VPC to its destination, or to the attachment that it returns.
func (j *Judge) pass(w *walk, p packet) (beyond string, ok bool) {
	if !p.protocol.valid() || p.protocol == AllProtocols {
		return "", w.refuse(GateSource, "a packet of protocol %d cannot exist here", p.protocol)
	}
	sender, receiver := j.at(p.from), j.at(p.to)
	if sender.ifc == nil && sender.dialer == nil {
		return "", w.refuse(GateSource, "no interface of %s has the source address %s", j.v.ID, p.from)
	}
	if p.from == p.to {
		return "", w.pass(GateSource, "an interface's own address does not leave the workload")
	}
	if sender.dialer != nil {
		return "", j.dials(w, p, receiver)
	}
	w.pass(GateSource, "%s is the address of %s", p.from, sender.ifc.ID)
	if j.v.service(p.to) {
		return "", j.v.passService(w, p)
	}
	beyond, ok = j.route(w, p, sender, receiver)
	if !ok || !j.v.crosses(w, p) {
		return "", false
	}
	lets := j.anyRule(sender.ifc.Groups, egress, p.to, p.protocol, p.port)
	if !w.judge(lets, GateEgress, "%s egress rule of %s's groups %v allows %s to %s", some(lets), sender.ifc.ID, sender.ifc.Groups, p, p.to) {
		return "", false
	}
	if beyond != "" {
		return beyond, true
	}
	return "", j.admit(w, p, receiver)
}

// dials decides for the server's own connections.
func (j *Judge) dials(w *walk, p packet, receiver spot) bool {
	w.pass(GateSource, "%s is the address of %s, from which the server connects", p.from, j.at(p.from).dialer.ID)
	if receiver.ifc == nil || p.protocol != TCP {
		return w.refuse(GateRoute, "the server connects to interfaces, by TCP")
	}
	return j.v.crosses(w, p) && j.admit(w, p, receiver)
}

// route decides whether the sender's subnet has a way to the destination. What it returns is the attachment that a foreign
// destination is behind.
func (j *Judge) route(w *walk, p packet, sender, receiver spot) (beyond string, ok bool) {
	subnet := j.v.subnet(sender.subnet)
	if subnet == nil {
		return "", w.refuse(GateRoute, "%s is in no subnet", sender.ifc.ID)
	}
	e := receiver.endpoint
	switch {
	case receiver.empty():
		beyond = j.leads(sender.subnet, p.to)
		return beyond, w.judge(beyond != "", GateRoute, "the route table of %s leads %s to %s", sender.subnet, p.to, orNowhere(beyond))
	case e != nil && !j.v.leadsTo(subnet, e):
		return "", w.refuse(GateRoute, "the route table of %s has no route to %s", subnet.ID, e.ID)
	}
	return "", w.pass(GateRoute, "%s is an address of this VPC", p.to)
}

func orNowhere(target string) string {
	if target == "" {
		return "nowhere"
	}
	return target
}

func some(is bool) string {
	if is {
		return "an"
	}
	return "no"
}

// leadsTo reports whether a subnet's route table leads to an endpoint. To an interface endpoint every one does.
func (v *VPC) leadsTo(s *Subnet, e *Endpoint) bool {
	switch e.Type {
	case InterfaceEndpoint:
		return true
	case GatewayEndpoint:
		return contains(e.RouteTables, s.RouteTable)
	}
	return v.natGateway(s.RouteTable) == e
}

// enter walks a packet that came by an attachment.
func (j *Judge) enter(w *walk, p packet) bool {
	if !p.protocol.valid() || p.protocol == AllProtocols {
		return w.refuse(GateSource, "a packet of protocol %d cannot exist here", p.protocol)
	}
	if !j.v.foreign(p.from) {
		return w.refuse(GateSource, "%s cannot come from another network into %s", p.from, j.v.ID)
	}
	receiver := j.at(p.to)
	if !receiver.remote() {
		return w.refuse(GateRoute, "%s is no interface and no interface endpoint of %s, and nothing else is reached from outside", p.to, j.v.ID)
	}
	w.pass(GateRoute, "%s is an address of this VPC", p.to)
	return j.v.crosses(w, p) && j.admit(w, p, receiver)
}

// admit is the receiver's gate.
func (j *Judge) admit(w *walk, p packet, receiver spot) bool {
	groups, id := receiver.groups(), ""
	switch e := receiver.endpoint; {
	case receiver.dialer != nil:
		return w.refuse(GateIngress, "nothing connects to %s, from which the server connects", receiver.dialer.ID)
	case receiver.ifc != nil:
		id = receiver.ifc.ID
	case p.protocol != TCP || !contains(e.Ports, p.port):
		return w.refuse(GateIngress, "%s does not serve %s", e.ID, p)
	case e.Type != InterfaceEndpoint:
		return w.pass(GateIngress, "%s is open to whoever has a route to it", e.ID)
	default:
		id = e.ID
	}
	lets := j.anyRule(groups, ingress, p.from, p.protocol, p.port)
	return w.judge(lets, GateIngress, "%s ingress rule of %s's groups %v allows %s from %s", some(lets), id, groups, p, p.from)
}

// passService decides for the addresses that every VPC has.
func (v *VPC) passService(w *walk, p packet) bool {
	switch p.to {
	case Resolver, v.ResolverAddress():
		return w.judge(p.protocol.hasPorts() && p.port == DNSPort, GateIngress, "the private name server is open to every interface, on port %d", DNSPort)
	case Credentials:
		return w.judge(p.protocol == TCP && p.port == CredentialsPort, GateIngress, "the credentials endpoint is open to every interface, on TCP port %d", CredentialsPort)
	case Metadata:
		return w.refuse(GateIngress, "there is no instance metadata service")
	}
	return w.refuse(GateRoute, "the router itself answers nothing")
}

// reply walks what answers a flow that began, inside this VPC or as far as the attachment that it returns. Connection
// tracking admits it past the groups; routes and network ACLs know no flows.
func (j *Judge) reply(w *walk, f Flow) (beyond string, ok bool) {
	port, answers := f.answer()
	if !answers {
		return "", true
	}
	p := packet{f.To, f.From, f.Protocol, port}
	if j.v.foreign(p.to) {
		subnet := j.at(p.from).subnet
		beyond = j.leads(subnet, p.to)
		if !w.judge(beyond != "", GateRoute, "the route table of %s leads %s to %s", subnet, p.to, orNowhere(beyond)) {
			return "", false
		}
	}
	return beyond, j.v.crosses(w, p)
}
