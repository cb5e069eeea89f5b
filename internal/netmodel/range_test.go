package netmodel

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Flattened ways lead each address where the longest match does, and are disjoint and in order.
func TestFlattenIsLongestMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ways []way
		seen := map[netip.Prefix]bool{}
		for range rapid.IntRange(0, 12).Draw(t, "ways") {
			// Few high bits and few lengths, so that ranges nest and touch.
			bits := rapid.SampledFrom([]int{0, 1, 2, 3, 4, 31, 32}).Draw(t, "bits")
			base := rapid.Uint32Range(0, 15).Draw(t, "high")<<28 | rapid.SampledFrom([]uint32{0, 0, 1, 2, 3, 0x0fffffff}).Draw(t, "low")
			p := netip.PrefixFrom(toAddr(base), bits).Masked()
			if !seen[p] {
				seen[p] = true
				ways = append(ways, way{p, rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "target")})
			}
		}
		spans := flatten(ways)
		for i, s := range spans {
			if s.from > s.to || i > 0 && spans[i-1].to >= s.from || s.target == "" {
				t.Fatalf("%v are no runs", spans)
			}
		}
		asked := []uint32{0, 0xffffffff, rapid.Uint32().Draw(t, "any")}
		for _, w := range ways {
			first, last := toUint(w.Addr()), lastOf(w.Prefix)
			asked = append(asked, first-1, first, first+1, last-1, last, last+1)
		}
		for _, n := range asked {
			if got, want := find(spans, toAddr(n)), longest(ways, toAddr(n)); got != want {
				t.Fatalf("%v leads to %q, not %q: %v", toAddr(n), got, want, spans)
			}
		}
	})
}

func TestKernelTables(t *testing.T) {
	c := clinics()
	v := c.VPCs[0]
	got := v.Routing()
	if len(got.Tables) != 1 {
		t.Fatalf("%+v", got)
	}
	k := got.Tables[0]
	// The first number is that of rtb-none, which needs no table.
	if k.Number != FirstTable+1 || len(k.From) != 1 || k.From[0] != prefix("10.50.0.0/24") || k.Device != nil {
		t.Errorf("%+v", k)
	}
	want := map[string]string{
		"0.0.0.0/0":      "", // the NAT gateway, which the kernel knows as an address
		"10.0.0.0/8":     TransitDevice("tgw-attach-1"),
		"10.50.0.0/16":   "", // the VPC's own
		"10.70.9.0/24":   "",
		"169.254.0.0/16": "", "127.0.0.0/8": "", "224.0.0.0/3": "", "0.0.0.0/8": "",
	}
	for _, r := range k.Routes {
		device, there := want[r.CIDR.String()]
		if !there || device != r.Device {
			t.Errorf("%+v", r)
		}
		delete(want, r.CIDR.String())
	}
	if len(want) > 0 {
		t.Errorf("no routes to %v", want)
	}
	g := c.Gateways[0].Routing()
	if len(g.Tables) != 2 || len(g.Tables[0].Device) != 1 || g.Tables[0].Device[0] != TransitDevice("tgw-attach-1") || g.Tables[1].Number != FirstTable+1 || g.Tables[0].From != nil {
		t.Errorf("%+v", g)
	}
	if first := g.Tables[0].Routes[0]; first.CIDR != everywhere || first.Device != "" {
		t.Errorf("what has no route is not lost: %+v", g.Tables[0].Routes)
	}
}
