package netmodel

import (
	"net/netip"
	"slices"
	"strings"
)

// Outside answers whether an interface may reach a name in the internet at a port: its subnet's table must lead everywhere
// by a NAT gateway, one of its groups must admit the name at the port, and packets to the gateway must pass, at the
// gateway's own port for the traffic or at its proxy's. The name is in lower case and without a dot at its end.
func (v *VPC) Outside(from netip.Addr, name string, port uint16) Verdict {
	return (&Judge{v: v}).Outside(from, name, port)
}

// Outside is [VPC.Outside].
func (j *Judge) Outside(from netip.Addr, name string, port uint16) Verdict {
	w := walk{explain: true, where: j.v.ID}
	return w.verdict(j.outside(&w, from, name, port), "")
}

func (j *Judge) outside(w *walk, from netip.Addr, name string, port uint16) bool {
	i := j.at(from).ifc
	if i == nil {
		return w.refuse(GateSource, "no interface of %s has the source address %s", j.v.ID, from)
	}
	nat := j.natOf(i)
	if nat == nil {
		return w.refuse(GateRoute, "the route table of %s does not lead %s to a NAT gateway", i.Subnet, everywhere)
	}
	group := j.admits(i, name, func(r *OutsideRule) bool { return contains(r.Ports, port) })
	if group == "" {
		return w.refuse(GateOutside, "no group of %s's %v allows %s port %d outside", i.ID, i.Groups, name, port)
	}
	for _, own := range []uint16{port, NATPortProxy} {
		if !contains(nat.Ports, own) {
			continue
		}
		if _, ok := j.pass(w, packet{from, nat.Addresses[0].Address, TCP, own}); ok {
			return w.pass(GateOutside, "%s allows %s port %d outside, by %s", group, name, port, nat.ID)
		}
	}
	return false
}

// natOf returns the NAT gateway by which an interface's subnet leads everywhere, or nil.
func (j *Judge) natOf(i *Interface) *Endpoint {
	s := j.v.subnet(i.Subnet)
	if s == nil {
		return nil
	}
	return j.v.natGateway(s.RouteTable)
}

// admits returns the first group of an interface with a rule for the name that fits, "" if none has.
func (j *Judge) admits(i *Interface, name string, fits func(*OutsideRule) bool) string {
	for _, id := range i.Groups {
		g := j.group(id)
		if g == nil {
			continue
		}
		if slices.ContainsFunc(g.Outside, func(r OutsideRule) bool { return r.matchesName(name) && fits(&r) }) {
			return id
		}
	}
	return ""
}

// matchesName reports whether the rule is about a name; "*." stands for one label or more.
func (r *OutsideRule) matchesName(name string) bool {
	if suffix, ok := strings.CutPrefix(r.Name, "*"); ok {
		return len(name) > len(suffix) && strings.HasSuffix(name, suffix) && name[0] != '*' && validName(name)
	}
	return r.Name == name
}
