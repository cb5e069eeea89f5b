package netmodel

import (
	"net/netip"
	"strings"
)

// Resolve returns the addresses with which the private name server answers an interface that asks for name, and whether
// the name exists for it at all. Only endpoint names exist, and names outside that one of its groups admits at some port:
// their address is that of the NAT gateway to which its subnet leads. A name of the form "*.x" stands for one label under
// x, as in a certificate. A gateway endpoint's name exists only in the subnets that have a route to it, and is preferred,
// there, over an interface endpoint's; of an interface endpoint's addresses, that of the asker's own subnet comes first.
func (v *VPC) Resolve(from netip.Addr, name string) ([]netip.Addr, bool) {
	asker := v.InterfaceAt(from)
	if asker == nil {
		return nil, false
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	subnet := v.subnet(asker.Subnet)
	var gateways, near, far []netip.Addr
	for i := range v.Endpoints {
		e := &v.Endpoints[i]
		if !e.answersTo(name) || subnet == nil || !v.leadsTo(subnet, e) {
			continue
		}
		for _, a := range e.Addresses {
			switch {
			case e.Type == GatewayEndpoint:
				gateways = append(gateways, a.Address)
			case a.Subnet == asker.Subnet:
				near = append(near, a.Address)
			default:
				far = append(far, a.Address)
			}
		}
	}
	if len(gateways) > 0 {
		return gateways, true
	}
	out := append(near, far...)
	if len(out) > 0 {
		return out, true
	}
	return v.resolveOutside(asker, name)
}

func (v *VPC) resolveOutside(asker *Interface, name string) ([]netip.Addr, bool) {
	j := &Judge{v: v}
	nat := j.natOf(asker)
	if nat == nil || j.admits(asker, name, func(*OutsideRule) bool { return true }) == "" {
		return nil, false
	}
	return []netip.Addr{nat.Addresses[0].Address}, true
}

func (e *Endpoint) answersTo(name string) bool {
	for _, n := range e.Names {
		if n == name {
			return true
		}
		if suffix, ok := strings.CutPrefix(n, "*"); ok {
			label, found := strings.CutSuffix(name, suffix)
			if found && label != "" && !strings.Contains(label, ".") {
				return true
			}
		}
	}
	return false
}
