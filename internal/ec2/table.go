package ec2

import (
	"context"
	"net/netip"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A table is a route table. Besides its Routes it has the local one and those of the
// gateway endpoints that name it.
type table struct {
	meta
	Routes []route `json:"routes,omitempty"`
}

// A route leads a range or the ranges of a prefix list to a target: an internet
// gateway, a NAT gateway or a transit gateway.
type route struct {
	CIDR   netip.Prefix `json:"cidr,omitzero"`
	List   string       `json:"list,omitzero"`
	Target string       `json:"target"`
}

func (*table) kind() *kind { return kindTable }

const maxTables = 200 // of a VPC

func (s *Service) newTable(_ context.Context, c *api.Call, in *ec2.CreateRouteTableInput) (*birth, []api.Demand, error) {
	return s.within(c, "CreateRouteTable", kindTable, in.VpcId, in.TagSpecifications)
}

func (s *Service) createRouteTable(_ context.Context, c *api.Call, in *ec2.CreateRouteTableInput, b *birth) (api.Commit[ec2.CreateRouteTableOutput], error) {
	t := &table{meta: b.meta}
	return func(tx *store.Tx) (*ec2.CreateRouteTableOutput, error) {
		made, err := once(tx, c, "CreateRouteTable", in.ClientToken, in, func() ([]string, error) {
			n, err := change(tx, b.VPC)
			if err != nil {
				return nil, err
			}
			if len(n.tables) >= maxTables {
				return nil, fail("RouteTableLimitExceeded", "The maximum number of route tables has been reached.")
			}
			return []string{t.ID}, s.put(tx, t)
		})
		if err != nil {
			return nil, err
		}
		n, err := change(tx, b.VPC)
		if err != nil {
			return nil, err
		}
		it := byID(n.tables, made[0])
		if it == nil {
			return nil, kindTable.missing(made[0])
		}
		return &ec2.CreateRouteTableOutput{RouteTable: ptr(s.showTable(n, it)), ClientToken: in.ClientToken}, nil
	}, nil
}

func (s *Service) showTable(n *network, t *table) ec2.RouteTable {
	out := ec2.RouteTable{RouteTableId: t.ID, VpcId: t.VPC, OwnerId: t.Account, Tags: tagList(t.Tags)}
	for _, p := range n.vpc.ranges() {
		out.Routes = append(out.Routes, ec2.Route{
			DestinationCidrBlock: p.String(), GatewayId: "local", Origin: ec2.RouteOriginCreateRouteTable, State: ec2.RouteStateActive,
		})
	}
	for _, r := range t.Routes {
		out.Routes = append(out.Routes, n.showRoute(r))
	}
	for _, e := range n.gateways(t.ID) {
		out.Routes = append(out.Routes, ec2.Route{
			DestinationPrefixListId: s.prefixList(e.Service), GatewayId: e.ID,
			Origin: ec2.RouteOriginCreateRoute, State: ec2.RouteStateActive,
		})
	}
	for _, a := range n.associations {
		if a.Table == t.ID {
			out.Associations = append(out.Associations, ec2.RouteTableAssociation{
				RouteTableAssociationId: a.ID, RouteTableId: t.ID, SubnetId: a.Subnet, Main: ptr(a.Subnet == ""),
				AssociationState: &ec2.RouteTableAssociationState{State: ec2.RouteTableAssociationStateCodeAssociated},
			})
		}
	}
	return out
}

func (n *network) associationsOf(t *table) []*association {
	return where(n.associations, func(a *association) bool { return a.Table == t.ID })
}

func (s *Service) describeRouteTables(_ context.Context, c *api.Call, in *ec2.DescribeRouteTablesInput, _ struct{}) (*ec2.DescribeRouteTablesOutput, error) {
	associated := func(of func(*association) string) func(*network, *table) []string {
		return func(n *network, t *table) (out []string) {
			for _, a := range n.associationsOf(t) {
				out = append(out, of(a))
			}
			return out
		}
	}
	routed := func(of func(ec2.Route) string) func(*network, *table) []string {
		return func(n *network, t *table) (out []string) {
			for _, r := range s.showTable(n, t).Routes {
				if v := of(r); v != "" {
					out = append(out, v)
				}
			}
			return out
		}
	}
	list, next, err := list(s, c, listing[*table, ec2.RouteTable]{
		items: func(n *network) []*table { return n.tables },
		filters: filters[*table]{
			"association.route-table-association-id": associated(func(a *association) string { return a.ID }),
			"association.route-table-id":             associated(func(a *association) string { return a.Table }),
			"association.subnet-id":                  associated(func(a *association) string { return a.Subnet }),
			"association.main": associated(func(a *association) string {
				if a.Subnet == "" {
					return "true"
				}
				return "false"
			}),
			"owner-id":                         func(_ *network, t *table) []string { return []string{t.Account} },
			"route-table-id":                   func(_ *network, t *table) []string { return []string{t.ID} },
			"route.destination-cidr-block":     routed(func(r ec2.Route) string { return r.DestinationCidrBlock }),
			"route.destination-prefix-list-id": routed(func(r ec2.Route) string { return r.DestinationPrefixListId }),
			"route.gateway-id":                 routed(func(r ec2.Route) string { return r.GatewayId }),
			"route.nat-gateway-id":             routed(func(r ec2.Route) string { return r.NatGatewayId }),
			"route.origin":                     routed(func(r ec2.Route) string { return string(r.Origin) }),
			"route.state":                      routed(func(r ec2.Route) string { return string(r.State) }),
			"route.transit-gateway-id":         routed(func(r ec2.Route) string { return r.TransitGatewayId }),
			"vpc-id":                           func(_ *network, t *table) []string { return []string{t.VPC} },
		},
		show: s.showTable,
	}, ask{in.RouteTableIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeRouteTablesOutput{RouteTables: list, NextToken: next}, err
}

func (s *Service) deletedTable(_ context.Context, c *api.Call, in *ec2.DeleteRouteTableInput) (*found[*table], []api.Demand, error) {
	return one[*table](s, c, "DeleteRouteTable", in.RouteTableId)
}

func (s *Service) deleteRouteTable(_ context.Context, _ *api.Call, _ *ec2.DeleteRouteTableInput, f *found[*table]) (api.Commit[ec2.DeleteRouteTableOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteRouteTableOutput, error) {
		n, err := change(tx, f.it.VPC)
		if err != nil {
			return nil, err
		}
		if used := n.associationsOf(f.it); len(used) > 0 {
			return nil, inUse(f.it.ID, "association "+used[0].ID+" names it")
		}
		if used := n.gateways(f.it.ID); len(used) > 0 {
			return nil, inUse(f.it.ID, "gateway endpoint "+used[0].ID+" names it")
		}
		return &ec2.DeleteRouteTableOutput{}, s.drop(tx, f.it)
	}, nil
}
