package ec2

import (
	"context"
	"strconv"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) newTransitTable(_ context.Context, c *api.Call, in *ec2.CreateTransitGatewayRouteTableInput) (meta, []api.Demand, error) {
	const action = "CreateTransitGatewayRouteTable"
	g, err := find[*transitGateway](s, c, in.TransitGatewayId) // the owner's alone
	if err != nil {
		return meta{}, nil, err
	}
	m, demands := s.creation(c, action, kindTransitTab, "", in.TagSpecifications)
	m.VPC = in.TransitGatewayId
	return m, append(demands, g.demand(action)), nil
}

func (s *Service) createTransitTable(_ context.Context, _ *api.Call, _ *ec2.CreateTransitGatewayRouteTableInput, m meta) (api.Commit[ec2.CreateTransitGatewayRouteTableOutput], error) {
	return func(tx *store.Tx) (*ec2.CreateTransitGatewayRouteTableOutput, error) {
		t, err := changeTransit(tx, m.VPC)
		if err != nil {
			return nil, err
		}
		if len(t.tables) >= maxTransitTables {
			return nil, fail("TransitGatewayRouteTableLimitExceeded", "The maximum number of route tables of %s has been reached.", m.VPC)
		}
		tab := &transitTable{meta: m}
		return &ec2.CreateTransitGatewayRouteTableOutput{TransitGatewayRouteTable: ptr(showTransitTable(routing{tab, t.gateway}))}, s.put(tx, tab)
	}, nil
}

// A routing is a table of a gateway.
type routing struct {
	*transitTable
	gateway *transitGateway
}

func (r routing) associates() bool { return r.gateway.Association == r.ID }
func (r routing) learns() bool     { return r.gateway.Propagation == r.ID }

func showTransitTable(r routing) ec2.TransitGatewayRouteTable {
	return ec2.TransitGatewayRouteTable{
		TransitGatewayRouteTableId: r.ID, TransitGatewayId: r.VPC, State: ec2.TransitGatewayRouteTableStateAvailable,
		DefaultAssociationRouteTable: ptr(r.associates()), DefaultPropagationRouteTable: ptr(r.learns()),
		CreationTime: r.Created, Tags: tagList(r.Tags),
	}
}

func (s *Service) describeTransitTables(_ context.Context, c *api.Call, in *ec2.DescribeTransitGatewayRouteTablesInput, _ struct{}) (*ec2.DescribeTransitGatewayRouteTablesOutput, error) {
	list, next, err := listRegional(c, regional[routing, ec2.TransitGatewayRouteTable]{
		items: routings,
		filters: map[string]func(routing) []string{
			"default-association-route-table": func(r routing) []string { return []string{strconv.FormatBool(r.associates())} },
			"default-propagation-route-table": func(r routing) []string { return []string{strconv.FormatBool(r.learns())} },
			"state":                           func(routing) []string { return []string{"available"} },
			"transit-gateway-id":              func(r routing) []string { return []string{r.VPC} },
			"transit-gateway-route-table-id":  func(r routing) []string { return []string{r.ID} },
		},
		show: showTransitTable,
	}, ask{in.TransitGatewayRouteTableIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeTransitGatewayRouteTablesOutput{TransitGatewayRouteTables: list, NextToken: next}, err
}

// routings are the tables of an account's gateways, which nobody else sees.
func routings(q store.Querier, account string) ([]routing, error) {
	gateways, err := ofKind[*transitGateway](q, account)
	if err != nil {
		return nil, err
	}
	tables, err := ofKind[*transitTable](q, account)
	if err != nil {
		return nil, err
	}
	var all []routing
	for _, tab := range tables {
		all = append(all, routing{tab, byID(gateways, tab.VPC)})
	}
	return all, nil
}

func (s *Service) deletedTransitTable(_ context.Context, c *api.Call, in *ec2.DeleteTransitGatewayRouteTableInput) (*found[*transitTable], []api.Demand, error) {
	return one[*transitTable](s, c, "DeleteTransitGatewayRouteTable", in.TransitGatewayRouteTableId)
}

// deleteTransitTable deletes a table that routes for nothing. What it learned from it
// forgets.
func (s *Service) deleteTransitTable(_ context.Context, _ *api.Call, _ *ec2.DeleteTransitGatewayRouteTableInput, f *found[*transitTable]) (api.Commit[ec2.DeleteTransitGatewayRouteTableOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteTransitGatewayRouteTableOutput, error) {
		t, err := changeTransit(tx, f.it.VPC)
		if err != nil {
			return nil, err
		}
		tab, err := part(t.tables, f.it.ID)
		if err != nil {
			return nil, err
		}
		r := routing{tab, t.gateway}
		if r.associates() || r.learns() {
			return nil, fail("IncorrectState", "%s is a default route table of %s.", tab.ID, t.gateway.ID)
		}
		for _, a := range t.attachments {
			if a.Table == tab.ID {
				return nil, fail("IncorrectState", "%s has non-deleted associations: %s.", tab.ID, a.ID)
			}
		}
		for _, a := range t.attachments {
			if a.forget(tab.ID) {
				if err := s.put(tx, a); err != nil {
					return nil, err
				}
			}
		}
		out := showTransitTable(r)
		out.State = ec2.TransitGatewayRouteTableStateDeleted
		return &ec2.DeleteTransitGatewayRouteTableOutput{TransitGatewayRouteTable: &out}, s.drop(tx, tab)
	}, nil
}
