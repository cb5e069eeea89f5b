package netlimit

import "net/netip"

// Network is what one sender can be expected to have of addresses: a /64 of IPv6, as
// text to count under. What is no address is itself.
func Network(source string) string {
	a, err := netip.ParseAddr(source)
	if err != nil || a.Unmap().Is4() {
		return source
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return source
	}
	return p.String()
}
