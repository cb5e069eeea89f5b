package ec2

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// How many routes a table has, and a VPC: AWS has no limit for all tables together,
// but here one machine obeys them. A prefix list counts as many as the entries that
// it may have.
const (
	maxRoutes      = 1000
	maxRoutesOfVPC = 20_000
)

// routable says whether a range can be another network's: no route leads to what
// means something to every machine.
func routable(p netip.Prefix) bool {
	return !slices.ContainsFunc([]netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8), netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16), netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 3),
	}, func(special netip.Prefix) bool { return within(p, special) })
}

// parseDestination reads to where a route leads: a range or a prefix list.
func parseDestination(cidr, list string) (route, error) {
	if (cidr == "") == (list == "") {
		return route{}, fail("InvalidParameterCombination", "Exactly one of DestinationCidrBlock and DestinationPrefixListId must be specified.")
	}
	if list != "" {
		return route{List: list}, nil
	}
	p, err := parseCIDR(cidr, "destinationCidrBlock")
	return route{CIDR: p}, err
}

// to says to where a route leads, as messages have it.
func (r route) to() string {
	if r.List != "" {
		return r.List
	}
	return r.CIDR.String()
}

// find is where a table has the route to the same destination; -1 when it has none.
func (t *table) find(r route) int {
	return slices.IndexFunc(t.Routes, func(o route) bool { return o.CIDR == r.CIDR && o.List == r.List })
}

// parseRoute reads a route of a request. What nothing here forwards to is refused by
// its name.
func parseRoute(in *ec2.CreateRouteInput) (route, error) {
	r, err := parseDestination(in.DestinationCidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return r, err
	}
	if r.List == "" && !routable(r.CIDR) {
		return r, invalidValue(in.DestinationCidrBlock, "destinationCidrBlock", "No other network has addresses there.")
	}
	targets := where([]string{in.GatewayId, in.NatGatewayId, in.TransitGatewayId, in.NetworkInterfaceId, in.VpcEndpointId}, named)
	if len(targets) != 1 {
		return r, fail("InvalidParameterCombination", "Exactly one target of the route must be specified.")
	}
	r.Target = targets[0]
	switch {
	case in.GatewayId == "local":
		return r, fail("RouteAlreadyExists", "The local routes of a table are there from the beginning and the only ones.")
	case in.GatewayId != "" && !kindInternet.names(r.Target):
		return r, missingTarget(kindInternet, r.Target)
	case in.NatGatewayId != "" && !kindNAT.names(r.Target):
		return r, missingTarget(kindNAT, r.Target)
	case in.NatGatewayId != "" && r.CIDR != everywhere:
		return r, invalidValue(r.to(), "destinationCidrBlock", "A NAT gateway takes 0.0.0.0/0 only: it leads to names, not to ranges.")
	case in.TransitGatewayId != "" && !kindTransit.names(r.Target):
		return r, missingTarget(kindTransit, r.Target)
	case in.NetworkInterfaceId != "":
		return r, invalidValue(r.Target, "networkInterfaceId", "An interface here takes only what is sent to its own address.")
	case in.VpcEndpointId != "":
		return r, invalidValue(r.Target, "vpcEndpointId", "Name the route table in RouteTableIds of a gateway endpoint.")
	}
	return r, nil
}

func missingTarget(k *kind, id string) *api.Error {
	if k == kindInternet {
		return fail("InvalidGatewayID.NotFound", "The gateway ID '%.64s' does not exist", id) // of whatever kind
	}
	return fail(k.code+".NotFound", "The %s '%.64s' does not exist", k.noun, id)
}

func (s *Service) newRoute(_ context.Context, c *api.Call, in *ec2.CreateRouteInput) (*found[*table], []api.Demand, error) {
	return one[*table](s, c, "CreateRoute", in.RouteTableId)
}

func (s *Service) createRoute(_ context.Context, _ *api.Call, in *ec2.CreateRouteInput, f *found[*table]) (api.Commit[ec2.CreateRouteOutput], error) {
	r, err := parseRoute(in)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.CreateRouteOutput, error) {
		return &ec2.CreateRouteOutput{Return: ptr(true)}, s.reroute(tx, f.it, func(n *network, t *table) error {
			if t.find(r) >= 0 {
				return fail("RouteAlreadyExists", "The route identified by %s already exists.", r.to())
			}
			t.Routes = append(t.Routes, r)
			return cmp.Or(n.admitsRoute(tx, t, r), n.roomForRoutes())
		})
	}, nil
}

func (s *Service) changedRoute(_ context.Context, c *api.Call, in *ec2.ReplaceRouteInput) (*found[*table], []api.Demand, error) {
	return one[*table](s, c, "ReplaceRoute", in.RouteTableId)
}

func (s *Service) replaceRoute(_ context.Context, _ *api.Call, in *ec2.ReplaceRouteInput, f *found[*table]) (api.Commit[ec2.ReplaceRouteOutput], error) {
	r, err := parseRoute((*ec2.CreateRouteInput)(in))
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.ReplaceRouteOutput, error) {
		return &ec2.ReplaceRouteOutput{}, s.reroute(tx, f.it, func(n *network, t *table) error {
			at := t.find(r)
			if at < 0 {
				return fail("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", r.to())
			}
			t.Routes[at] = r
			return n.admitsRoute(tx, t, r)
		})
	}, nil
}

func (s *Service) deletedRoute(_ context.Context, c *api.Call, in *ec2.DeleteRouteInput) (*found[*table], []api.Demand, error) {
	return one[*table](s, c, "DeleteRoute", in.RouteTableId)
}

// deleteRoute deletes what CreateRoute made. The other routes come and go with the
// VPC's ranges and with gateway endpoints.
func (s *Service) deleteRoute(_ context.Context, _ *api.Call, in *ec2.DeleteRouteInput, f *found[*table]) (api.Commit[ec2.DeleteRouteOutput], error) {
	r, err := parseDestination(in.DestinationCidrBlock, in.DestinationPrefixListId)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.DeleteRouteOutput, error) {
		return &ec2.DeleteRouteOutput{}, s.reroute(tx, f.it, func(n *network, t *table) error {
			if at := t.find(r); at >= 0 {
				t.Routes = slices.Delete(t.Routes, at, at+1)
				return nil
			}
			if slices.Contains(n.vpc.ranges(), r.CIDR) {
				return fail("InvalidParameterValue", "cannot remove local route %s in route table %s", r.CIDR, t.ID)
			}
			for _, e := range n.gateways(t.ID) {
				if s.prefixList(e.Service) == r.List {
					return fail("InvalidParameterValue", "cannot remove VPC endpoint route %s in route table %s; take the table out of %s", r.List, t.ID, e.ID)
				}
			}
			return fail("InvalidRoute.NotFound", "no route with destination %.64s in route table %s", r.to(), t.ID)
		})
	}, nil
}

// reroute changes the routes of a table.
func (s *Service) reroute(tx *store.Tx, f *table, alter func(*network, *table) error) error {
	n, err := change(tx, f.VPC)
	if err != nil {
		return err
	}
	t := byID(n.tables, f.ID)
	if t == nil {
		return kindTable.missing(f.ID)
	}
	if err := alter(n, t); err != nil {
		return err
	}
	return s.put(tx, t)
}
