package netmodel

import (
	"fmt"
	"net/netip"
	"slices"
)

// border is the network ACL that a packet meets at the edge of one subnet.
type border struct {
	subnet *Subnet
	acl    *NetworkACL
	d      direction
}

// borders returns the network ACLs that a packet meets, in order: that of the subnet it leaves and that of the subnet it
// enters, where these are two and have one. Nobody asks about packets of the services that every VPC has.
func (v *VPC) borders(from, to netip.Addr) (out [2]border) {
	if len(v.NetworkACLs) == 0 || v.service(from) || v.service(to) {
		return out
	}
	left, entered := v.subnetOf(from), v.subnetOf(to)
	if left == entered {
		return out
	}
	if left != nil {
		out[0] = border{left, v.acl(left.NetworkACL), egress}
	}
	if entered != nil {
		out[1] = border{entered, v.acl(entered.NetworkACL), ingress}
	}
	return out
}

// crosses asks both borders about a packet.
func (v *VPC) crosses(w *walk, p packet) bool {
	for _, b := range v.borders(p.from, p.to) {
		if b.acl == nil {
			continue
		}
		peer, entries, way := p.from, b.acl.Ingress, "into"
		if b.d == egress {
			peer, entries, way = p.to, b.acl.Egress, "out of"
		}
		allow, by := false, "*, which denies the rest"
		for i := range entries {
			if e := &entries[i]; e.CIDR.Contains(peer) && e.ports().match(p.protocol, p.port) {
				allow = e.Allow
				if w.explain {
					by = fmt.Sprint(e.Number)
				}
				break
			}
		}
		if !w.judge(allow, GateACL, "%s %s %s %s %s by entry %s", b.acl.ID, verb(allow), p, way, b.subnet.ID, by) {
			return false
		}
	}
	return true
}

func verb(allow bool) string {
	if allow {
		return "allows"
	}
	return "denies"
}

// services are the addresses that every VPC has, the router's own among them.
func (v *VPC) services() [5]netip.Addr {
	return [...]netip.Addr{Gateway, Resolver, v.ResolverAddress(), Metadata, Credentials}
}

func (v *VPC) service(a netip.Addr) bool {
	all := v.services()
	return slices.Contains(all[:], a)
}

func (v *VPC) subnetOf(a netip.Addr) *Subnet {
	for i := range v.Subnets {
		if v.Subnets[i].CIDR.Contains(a) {
			return &v.Subnets[i]
		}
	}
	return nil
}

func (v *VPC) acl(id string) *NetworkACL {
	for i := range v.NetworkACLs {
		if v.NetworkACLs[i].ID == id {
			return &v.NetworkACLs[i]
		}
	}
	return nil
}
