package netmodel

import (
	"cmp"
	"net/netip"
	"slices"
)

// unroutable are the ranges that mean something to every machine: no packet goes to or comes from another network with
// an address in them, whatever a route says.
var unroutable = []netip.Prefix{
	netip.PrefixFrom(netip.AddrFrom4([4]byte{0}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16),
	netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 3),
}

func holds(ranges []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

func inside(p netip.Prefix, outer []netip.Prefix) bool {
	return slices.ContainsFunc(outer, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
}

// way leads a range to a target; without one it is a dead end.
type way struct {
	netip.Prefix
	target string
}

// Range is a run of IPv4 addresses, both ends included.
type Range struct{ From, To netip.Addr }

func one(a netip.Addr) Range { return Range{a, a} }

func whole(p netip.Prefix) Range { return Range{p.Addr(), toAddr(lastOf(p))} }

// span is a run of addresses that lead to one target.
type span struct {
	from, to uint32
	target   string
}

// flatten turns ways, of which the longest match counts, into disjoint runs in ascending order. What leads nowhere is left
// out.
func flatten(ways []way) []span {
	ways = slices.Clone(ways)
	slices.SortFunc(ways, func(a, b way) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var out []span
	var open []way // each inside the one before
	next := uint64(0)
	until := func(end uint64, target string) {
		if n := len(out); target != "" && next < end {
			if n > 0 && out[n-1].target == target && uint64(out[n-1].to)+1 == next {
				out[n-1].to = uint32(end - 1)
			} else {
				out = append(out, span{uint32(next), uint32(end - 1), target})
			}
		}
		next = max(next, end)
	}
	closeBefore := func(start uint64) {
		for len(open) > 0 {
			last := open[len(open)-1]
			end := uint64(lastOf(last.Prefix)) + 1
			if end > start {
				return
			}
			until(end, last.target)
			open = open[:len(open)-1]
		}
	}
	for _, w := range ways {
		start := uint64(toUint(w.Addr()))
		closeBefore(start)
		if len(open) > 0 {
			until(start, open[len(open)-1].target)
		}
		next = max(next, start)
		open = append(open, w)
	}
	closeBefore(1 << 32)
	return out
}

// find returns the target of an address among flattened ways, "" if there is none.
func find(spans []span, a netip.Addr) string {
	n := toUint(a)
	i, found := slices.BinarySearchFunc(spans, n, func(s span, n uint32) int {
		switch {
		case s.to < n:
			return -1
		case s.from > n:
			return 1
		}
		return 0
	})
	if !found {
		return ""
	}
	return spans[i].target
}

// longest returns the target of an address by the longest match, "" if nothing matches or it is a dead end.
func longest(ways []way, a netip.Addr) string {
	best := way{}
	for _, w := range ways {
		if w.Contains(a) && (!best.IsValid() || w.Bits() > best.Bits()) {
			best = w
		}
	}
	return best.target
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func toAddr(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func lastOf(p netip.Prefix) uint32 { return toUint(p.Addr()) | uint32(1<<(32-p.Bits())-1) }
