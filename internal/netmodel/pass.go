package netmodel

import (
	"fmt"
	"net/netip"
)

// Gate names the point at which a verdict fell.
type Gate string

// The gates, in the order in which a packet meets them.
const (
	GateSource  Gate = "source"  // the sender's address is its interface's own
	GateRoute   Gate = "route"   // the destination exists and the sender's subnet has a route to it
	GateEgress  Gate = "egress"  // the sender's groups let it out
	GateIngress Gate = "ingress" // the receiver's groups, or the endpoint's ports, let it in
)

// Verdict says whether the first packet of a flow passes. Gate is where it fell, or the last one passed. Why is a sentence
// for a person. Replies to what passed always pass, ICMP errors about it only where the rules admit them; the zero value
// refuses.
type Verdict struct {
	Allowed bool
	Gate    Gate
	Why     string
}

func refuse(g Gate, format string, a ...any) Verdict {
	return Verdict{Gate: g, Why: fmt.Sprintf(format, a...)}
}

// Pass answers whether a new flow from one address to another passes. For TCP and UDP port is the destination port; for
// ICMP it is the type times 256 plus the code; otherwise it is ignored. The VPC must be valid.
func (v *VPC) Pass(from, to netip.Addr, p Protocol, port uint16) Verdict {
	if !p.valid() || p == AllProtocols {
		return refuse(GateSource, "a packet of protocol %d cannot exist here", p)
	}
	sender := v.InterfaceAt(from)
	if sender == nil {
		return refuse(GateSource, "no interface of %s has the source address %s", v.ID, from)
	}
	if from == to {
		return Verdict{true, GateSource, "an interface's own address does not leave the workload"}
	}
	if verdict, ok := v.passService(to, p, port); ok {
		return verdict
	}
	receiver, endpoint := v.InterfaceAt(to), v.EndpointAt(to)
	switch {
	case receiver == nil && endpoint == nil:
		return refuse(GateRoute, "%s has no route to %s", sender.Subnet, to)
	case endpoint != nil && endpoint.Type == GatewayEndpoint && !v.routed(sender, endpoint):
		return refuse(GateRoute, "the route table of %s has no route to %s", sender.Subnet, endpoint.ID)
	}
	if !v.anyRule(sender.Groups, egress, to, p, port) {
		return refuse(GateEgress, "no egress rule of %s's groups %v allows %s port %d to %s", sender.ID, sender.Groups, p, port, to)
	}
	if endpoint != nil {
		return v.passEndpoint(endpoint, from, p, port)
	}
	if !v.anyRule(receiver.Groups, ingress, from, p, port) {
		return refuse(GateIngress, "no ingress rule of %s's groups %v allows %s port %d from %s", receiver.ID, receiver.Groups, p, port, from)
	}
	return Verdict{true, GateIngress, "egress of " + sender.ID + " and ingress of " + receiver.ID + " allow it"}
}

// passService decides for the addresses that every VPC has.
func (v *VPC) passService(to netip.Addr, p Protocol, port uint16) (Verdict, bool) {
	switch to {
	case Resolver, v.ResolverAddress():
		if p.hasPorts() && port == DNSPort {
			return Verdict{true, GateIngress, "the private name server is open to every interface"}, true
		}
		return refuse(GateIngress, "the private name server answers on port %d only", DNSPort), true
	case Credentials:
		if p == TCP && port == CredentialsPort {
			return Verdict{true, GateIngress, "the credentials endpoint is open to every interface"}, true
		}
		return refuse(GateIngress, "the credentials endpoint answers on TCP port %d only", CredentialsPort), true
	case Metadata:
		return refuse(GateIngress, "there is no instance metadata service"), true
	}
	return Verdict{}, false
}

func (v *VPC) passEndpoint(e *Endpoint, from netip.Addr, p Protocol, port uint16) Verdict {
	if p != TCP || !contains(e.Ports, port) {
		return refuse(GateIngress, "%s does not serve %s port %d", e.ID, p, port)
	}
	if e.Type == GatewayEndpoint {
		return Verdict{true, GateIngress, "the subnet has a route to " + e.ID + " and egress rules allow it"}
	}
	if !v.anyRule(e.Groups, ingress, from, p, port) {
		return refuse(GateIngress, "no ingress rule of %s's groups %v allows %s port %d from %s", e.ID, e.Groups, p, port, from)
	}
	return Verdict{true, GateIngress, "egress rules and ingress of " + e.ID + " allow it"}
}

func (v *VPC) routed(i *Interface, e *Endpoint) bool {
	s := v.subnet(i.Subnet)
	return s != nil && contains(e.RouteTables, s.RouteTable)
}

type direction bool

const (
	ingress direction = false
	egress  direction = true
)

func (g *SecurityGroup) rules(d direction) []Rule {
	if d == egress {
		return g.Egress
	}
	return g.Ingress
}

func (v *VPC) anyRule(groups []string, d direction, peer netip.Addr, p Protocol, port uint16) bool {
	for _, id := range groups {
		g := v.group(id)
		if g == nil {
			continue
		}
		for _, r := range g.rules(d) {
			if r.matchesPort(p, port) && v.matchesPeer(&r, peer) {
				return true
			}
		}
	}
	return false
}

func (r *Rule) matchesPort(p Protocol, port uint16) bool {
	switch {
	case r.Protocol == AllProtocols:
		return true
	case r.Protocol != p:
		return false
	case p.hasPorts():
		return r.FromPort <= int(port) && int(port) <= r.ToPort
	case p == ICMP:
		return (r.FromPort == -1 || r.FromPort == int(port>>8)) && (r.ToPort == -1 || r.ToPort == int(port&0xff))
	}
	return true
}

func (v *VPC) matchesPeer(r *Rule, peer netip.Addr) bool {
	switch {
	case r.Group != "":
		return v.memberOf(r.Group, peer)
	case r.PrefixList != "":
		for _, c := range v.prefixList(r.PrefixList) {
			if c.Contains(peer) {
				return true
			}
		}
		return false
	}
	return r.CIDR.IsValid() && r.CIDR.Contains(peer)
}

func (v *VPC) memberOf(group string, a netip.Addr) bool {
	if i := v.InterfaceAt(a); i != nil {
		return contains(i.Groups, group)
	}
	if e := v.EndpointAt(a); e != nil {
		return contains(e.Groups, group)
	}
	return false
}

// prefixList returns the ranges of a list: its own, and the addresses of the gateway endpoints that name it.
func (v *VPC) prefixList(id string) []netip.Prefix {
	var out []netip.Prefix
	for _, l := range v.PrefixLists {
		if l.ID == id {
			out = append(out, l.CIDRs...)
		}
	}
	for _, e := range v.Endpoints {
		if e.PrefixList == id {
			for _, a := range e.Addresses {
				out = append(out, netip.PrefixFrom(a.Address, a.Address.BitLen()))
			}
		}
	}
	return out
}

func contains[T comparable](list []T, x T) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}
