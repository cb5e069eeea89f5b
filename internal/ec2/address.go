package ec2

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"bawn.dev/internal/api"
)

// Sizes of ranges, and the addresses of each subnet that AWS keeps: the first four
// and the last.
const (
	minBits      = 16
	maxBits      = 28
	keptAtStart  = 4
	keptInSubnet = keptAtStart + 1
)

// parseCIDR reads a range and, as EC2 does, puts it in canonical form.
func parseCIDR(text, parameter string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, invalidValue(text, parameter, "This is not a valid IPv4 CIDR block.")
	}
	return p.Masked(), nil
}

// parseRange reads the range of a VPC or subnet: /16 to /28, and none that the
// machine treats in a way of its own.
func parseRange(text, code string) (netip.Prefix, error) {
	p, err := parseCIDR(text, "cidrBlock")
	if err != nil {
		return p, err
	}
	a := p.Addr()
	if p.Bits() < minBits || p.Bits() > maxBits || a.IsLoopback() || a.IsLinkLocalUnicast() || a.As4()[0] == 0 || a.As4()[0] >= 224 {
		return p, fail(code, "The CIDR '%s' is invalid.", text)
	}
	return p, nil
}

func within(inner, outer netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// size is how many addresses a range has.
func size(p netip.Prefix) uint32 { return 1 << (32 - p.Bits()) }

// nth is the address with that number in a range.
func nth(p netip.Prefix, n uint32) netip.Addr {
	base := p.Addr().As4()
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(base[:])+n)
	return netip.AddrFrom4(a)
}

// free picks an address of a subnet that nothing has. It begins at random: the next
// workload should not inherit the last one's address with whatever still believes
// in it.
func free(p netip.Prefix, taken map[netip.Addr]bool) (netip.Addr, bool) {
	usable := size(p) - keptInSubnet
	start := rand.Uint32N(usable)
	for i := range usable {
		if a := nth(p, keptAtStart+(start+i)%usable); !taken[a] {
			return a, true
		}
	}
	return netip.Addr{}, false
}

func noAddress(subnetID string) *api.Error {
	return fail("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of network interfaces.", subnetID)
}
