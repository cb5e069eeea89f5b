package netmodel

import (
	"cmp"
	"net/netip"
	"slices"
)

// everywhere is the destination that routes to a NAT gateway have.
var everywhere = netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 0)

// local reports whether the local route of every table covers an address: it overrides all other routes.
func (v *VPC) local(a netip.Addr) bool { return holds(v.CIDRs, a) }

// foreign reports whether an address can be another network's.
func (v *VPC) foreign(a netip.Addr) bool { return a.Is4() && !v.local(a) && !holds(unroutable, a) }

func (v *VPC) table(id string) *RouteTable {
	for i := range v.RouteTables {
		if v.RouteTables[i].ID == id {
			return &v.RouteTables[i]
		}
	}
	return nil
}

func (v *VPC) attachment(id string) *Attachment {
	for i := range v.Attachments {
		if v.Attachments[i].ID == id {
			return &v.Attachments[i]
		}
	}
	return nil
}

// ways returns what counts of a table's routes: those to attachments as they are, others as dead ends, and over them what
// no route reaches: the VPC's own ranges and [unroutable]. It is nil for a table without a route to an attachment.
func (v *VPC) ways(t *RouteTable) []way {
	own := slices.Concat(v.CIDRs, unroutable)
	var out []way
	leads := false
	for _, r := range t.Routes {
		if inside(r.CIDR, own) {
			continue
		}
		w := way{Prefix: r.CIDR}
		if v.attachment(r.Target) != nil {
			w.target, leads = r.Target, true
		}
		out = append(out, w)
	}
	if !leads {
		return nil
	}
	for _, p := range own {
		out = append(out, way{Prefix: p})
	}
	return out
}

// natGateway returns the NAT gateway that a table's route for everywhere leads to, or nil.
func (v *VPC) natGateway(table string) *Endpoint {
	t := v.table(table)
	if t == nil {
		return nil
	}
	for _, r := range t.Routes {
		if r.CIDR != everywhere {
			continue
		}
		for i := range v.Endpoints {
			if e := &v.Endpoints[i]; e.ID == r.Target && e.Type == NATGateway {
				return e
			}
		}
	}
	return nil
}

// Routing is what the kernel's routing of one namespace must hold besides the local table and the main one, in which a
// VPC has a /32 for each attached interface and nothing else, and a transit gateway nothing.
//
// Rules are in this order: local; main; one for each From or Device here, which look up disjoint things; no others.
// Each table ends with a black hole for everything that it does not route, the VPC's own ranges included, so that what
// main does not have is lost and never falls through to another network.
type Routing struct {
	Tables []KernelTable
}

// KernelTable is a routing table and what is looked up in it: packets from ranges, in a VPC, or those that came by a
// device, in a transit gateway. Numbers are the same for the same ids, from [FirstTable].
type KernelTable struct {
	Number int
	From   []netip.Prefix
	Device []string
	Routes []KernelRoute
}

// KernelRoute leads a range to a device, without a next hop; without a device it is a black hole.
type KernelRoute struct {
	CIDR   netip.Prefix
	Device string
}

// FirstTable is the least number of a [KernelTable].
const FirstTable = 1000

// Routing returns the tables of subnets that have a route to a transit gateway.
func (v *VPC) Routing() Routing {
	tables := slices.Clone(v.RouteTables)
	slices.SortFunc(tables, func(a, b RouteTable) int { return cmp.Compare(a.ID, b.ID) })
	var out Routing
	for i := range tables {
		ways := v.ways(&tables[i])
		k := KernelTable{Number: FirstTable + i}
		for _, s := range v.Subnets {
			if s.RouteTable == tables[i].ID {
				k.From = append(k.From, s.CIDR)
			}
		}
		if ways == nil || k.From == nil {
			continue
		}
		k.Routes = kernelRoutes(ways)
		out.Tables = append(out.Tables, k)
	}
	return out
}

// Routing returns the tables that have associations.
func (g *TransitGateway) Routing() Routing {
	tables := slices.Clone(g.RouteTables)
	slices.SortFunc(tables, func(a, b TransitTable) int { return cmp.Compare(a.ID, b.ID) })
	var out Routing
	for i := range tables {
		k := KernelTable{Number: FirstTable + i, Routes: kernelRoutes(tables[i].ways())}
		for _, a := range g.Attachments {
			if a.RouteTable == tables[i].ID {
				k.Device = append(k.Device, TransitDevice(a.ID))
			}
		}
		if k.Device != nil {
			out.Tables = append(out.Tables, k)
		}
	}
	return out
}

func kernelRoutes(ways []way) []KernelRoute {
	out := make([]KernelRoute, 0, len(ways)+1)
	ended := false
	for _, w := range ways {
		r := KernelRoute{CIDR: w.Prefix}
		if w.target != "" {
			r.Device = TransitDevice(w.target)
		}
		ended = ended || w.Prefix == everywhere
		out = append(out, r)
	}
	if !ended {
		out = append(out, KernelRoute{CIDR: everywhere})
	}
	slices.SortFunc(out, func(a, b KernelRoute) int {
		return cmp.Or(a.CIDR.Addr().Compare(b.CIDR.Addr()), cmp.Compare(a.CIDR.Bits(), b.CIDR.Bits()))
	})
	return out
}
