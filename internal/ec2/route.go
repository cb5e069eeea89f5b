package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) newRoute(_ context.Context, c *api.Call, in *ec2.CreateRouteInput) (*found[*table], []api.Demand, error) {
	return one[*table](s, c, "CreateRoute", in.RouteTableId)
}

// createRoute refuses every route, by the name of what it leads to: nothing that a
// packet could be sent out by exists here. The routes that do exist come with the
// table and with gateway endpoints.
func (s *Service) createRoute(_ context.Context, c *api.Call, in *ec2.CreateRouteInput, f *found[*table]) (api.Commit[ec2.CreateRouteOutput], error) {
	if (in.DestinationCidrBlock == "") == (in.DestinationPrefixListId == "") {
		return nil, fail("InvalidParameterCombination", "Exactly one of DestinationCidrBlock and DestinationPrefixListId must be specified.")
	}
	if in.DestinationCidrBlock != "" {
		if _, err := parseCIDR(in.DestinationCidrBlock, "destinationCidrBlock"); err != nil {
			return nil, err
		}
	}
	given := 0
	for _, id := range []string{in.GatewayId, in.NatGatewayId, in.TransitGatewayId, in.NetworkInterfaceId, in.VpcEndpointId} {
		if id != "" {
			given++
		}
	}
	if given != 1 {
		return nil, fail("InvalidParameterCombination", "Exactly one target of the route must be specified.")
	}
	switch {
	case in.GatewayId == "local":
		return nil, fail("RouteAlreadyExists", "The local route of %s is there from the beginning and the only one.", f.it.ID)
	case in.GatewayId != "":
		return nil, fail("InvalidGatewayID.NotFound", "The gateway ID '%.64s' does not exist: networks here have no internet gateway and no virtual private gateway.", in.GatewayId)
	case in.NatGatewayId != "":
		return nil, fail("InvalidNatGatewayID.NotFound", "The NAT gateway '%.64s' does not exist: networks here have no NAT gateway.", in.NatGatewayId)
	case in.TransitGatewayId != "":
		return nil, fail("InvalidTransitGatewayID.NotFound", "The transit gateway '%.64s' does not exist: networks here have no transit gateway.", in.TransitGatewayId)
	case in.NetworkInterfaceId != "":
		return nil, fail("InvalidParameterValue", "A route cannot lead to network interface '%.64s': an interface here takes only what is sent to its own address.", in.NetworkInterfaceId)
	}
	return nil, fail("InvalidParameterValue", "A route cannot lead to VPC endpoint '%.64s': name the route table in RouteTableIds of a gateway endpoint.", in.VpcEndpointId)
}

func (s *Service) deletedRoute(_ context.Context, c *api.Call, in *ec2.DeleteRouteInput) (*found[*table], []api.Demand, error) {
	return one[*table](s, c, "DeleteRoute", in.RouteTableId)
}

// deleteRoute refuses too: what routes there are, nobody may delete in this way.
func (s *Service) deleteRoute(_ context.Context, c *api.Call, in *ec2.DeleteRouteInput, f *found[*table]) (api.Commit[ec2.DeleteRouteOutput], error) {
	if (in.DestinationCidrBlock == "") == (in.DestinationPrefixListId == "") {
		return nil, fail("InvalidParameterCombination", "Exactly one of DestinationCidrBlock and DestinationPrefixListId must be specified.")
	}
	return func(tx *store.Tx) (*ec2.DeleteRouteOutput, error) {
		n, err := change(tx, f.it.VPC)
		if err != nil {
			return nil, err
		}
		for _, r := range s.showTable(n, f.it).Routes {
			switch {
			case r.DestinationCidrBlock != "" && r.DestinationCidrBlock == in.DestinationCidrBlock:
				return nil, fail("InvalidParameterValue", "cannot remove local route %s in route table %s", in.DestinationCidrBlock, f.it.ID)
			case r.DestinationPrefixListId != "" && r.DestinationPrefixListId == in.DestinationPrefixListId:
				return nil, fail("InvalidParameterValue", "cannot remove VPC endpoint route %s in route table %s; take the table out of %s", in.DestinationPrefixListId, f.it.ID, r.GatewayId)
			}
		}
		return nil, fail("InvalidRoute.NotFound", "no route with destination %.64s in route table %s", in.DestinationCidrBlock+in.DestinationPrefixListId, f.it.ID)
	}, nil
}
