package netmodel

import "net/netip"

// Judge answers many questions about one VPC: it has [VPC.Pass] and its siblings over an index. It is good as long as the
// VPC does not change, and may be used by several goroutines.
type Judge struct {
	v      *VPC
	spots  map[netip.Addr]spot // nil: look in the VPC itself
	groups map[string]*SecurityGroup
	routes map[string][]span
}

// Judge indexes a valid VPC.
func (v *VPC) Judge() *Judge {
	j := &Judge{v: v, spots: make(map[netip.Addr]spot, len(v.Interfaces)), groups: map[string]*SecurityGroup{}, routes: map[string][]span{}}
	for i := range v.Interfaces {
		j.spots[v.Interfaces[i].Address] = spot{ifc: &v.Interfaces[i], subnet: v.Interfaces[i].Subnet}
	}
	for i := range v.Endpoints {
		for _, a := range v.Endpoints[i].Addresses {
			j.spots[a.Address] = spot{endpoint: &v.Endpoints[i], subnet: a.Subnet}
		}
	}
	for i := range v.Dialers {
		j.spots[v.Dialers[i].Address] = spot{dialer: &v.Dialers[i], subnet: v.Dialers[i].Subnet}
	}
	for i := range v.SecurityGroups {
		j.groups[v.SecurityGroups[i].ID] = &v.SecurityGroups[i]
	}
	for i := range v.RouteTables {
		j.routes[v.RouteTables[i].ID] = flatten(v.ways(&v.RouteTables[i]))
	}
	return j
}

// spot is who has an address, at most one of three.
type spot struct {
	ifc      *Interface
	endpoint *Endpoint
	dialer   *Dialer
	subnet   string // a gateway endpoint is in none
}

func (s spot) empty() bool { return s.ifc == nil && s.endpoint == nil && s.dialer == nil }

// remote reports whether packets from other networks may be for this address.
func (s spot) remote() bool {
	return s.ifc != nil || s.endpoint != nil && s.endpoint.Type == InterfaceEndpoint
}

func (s spot) groups() []string {
	switch {
	case s.ifc != nil:
		return s.ifc.Groups
	case s.endpoint != nil:
		return s.endpoint.Groups
	}
	return nil
}

func (j *Judge) at(a netip.Addr) spot {
	if j.spots != nil {
		return j.spots[a]
	}
	if i := j.v.InterfaceAt(a); i != nil {
		return spot{ifc: i, subnet: i.Subnet}
	}
	if e := j.v.EndpointAt(a); e != nil {
		for _, x := range e.Addresses {
			if x.Address == a {
				return spot{endpoint: e, subnet: x.Subnet}
			}
		}
	}
	for i := range j.v.Dialers {
		if d := &j.v.Dialers[i]; d.Address == a {
			return spot{dialer: d, subnet: d.Subnet}
		}
	}
	return spot{}
}

func (j *Judge) group(id string) *SecurityGroup {
	if j.spots != nil {
		return j.groups[id]
	}
	return j.v.group(id)
}

// leads returns the attachment to which a subnet's routes lead a foreign address, "" if none does.
func (j *Judge) leads(subnet string, to netip.Addr) string {
	s := j.v.subnet(subnet)
	if s == nil || !j.v.foreign(to) {
		return ""
	}
	if j.spots != nil {
		return find(j.routes[s.RouteTable], to)
	}
	if t := j.v.table(s.RouteTable); t != nil {
		return longest(j.v.ways(t), to)
	}
	return ""
}

func (j *Judge) anyRule(groups []string, d direction, peer netip.Addr, p Protocol, port uint16) bool {
	for _, id := range groups {
		g := j.group(id)
		if g == nil {
			continue
		}
		rules := g.rules(d)
		for i := range rules {
			if rules[i].ports().match(p, port) && j.matchesPeer(&rules[i], peer) {
				return true
			}
		}
	}
	return false
}

func (j *Judge) matchesPeer(r *Rule, peer netip.Addr) bool {
	switch {
	case r.Group != "":
		return contains(j.at(peer).groups(), r.Group)
	case r.PrefixList != "":
		return j.v.listed(r.PrefixList, peer)
	}
	return r.CIDR.IsValid() && r.CIDR.Contains(peer)
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

// listed reports whether a list holds an address: in its own ranges, or as that of a gateway endpoint that names it.
func (v *VPC) listed(list string, a netip.Addr) bool {
	for i := range v.PrefixLists {
		if v.PrefixLists[i].ID == list && holds(v.PrefixLists[i].CIDRs, a) {
			return true
		}
	}
	for i := range v.Endpoints {
		if v.Endpoints[i].PrefixList != list {
			continue
		}
		for _, x := range v.Endpoints[i].Addresses {
			if x.Address == a {
				return true
			}
		}
	}
	return false
}

// prefixList returns the ranges of a list, as [VPC.listed] has them.
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
				out = append(out, host(a.Address))
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
