package ec2

import (
	"context"
	"unicode/utf8"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// changedTransit demands the action on the gateway, and on the tables that are to be
// its default ones.
func (s *Service) changedTransit(_ context.Context, c *api.Call, in *ec2.ModifyTransitGatewayInput) (*found[*transitGateway], []api.Demand, error) {
	const action = "ModifyTransitGateway"
	g, demands, err := changing[*transitGateway](s, c, action, in.TransitGatewayId,
		given{"Description", in.Description != ""}, given{"Options", in.Options != nil})
	if err != nil || in.Options == nil {
		return g, demands, err
	}
	named := where(unique([]string{in.Options.AssociationDefaultRouteTableId, in.Options.PropagationDefaultRouteTableId}), named)
	tables, err := findAll[*transitTable](s, c, named)
	return g, append(demands, demandAll(action, tables)...), err
}

func (s *Service) modifyTransit(_ context.Context, _ *api.Call, in *ec2.ModifyTransitGatewayInput, f *found[*transitGateway]) (api.Commit[ec2.ModifyTransitGatewayOutput], error) {
	if utf8.RuneCountInString(in.Description) > maxText {
		return nil, invalidValue(in.Description, "description", "A description has at most 255 characters.")
	}
	o := in.Options
	if o == nil {
		o = &ec2.ModifyTransitGatewayOptions{}
	}
	return func(tx *store.Tx) (*ec2.ModifyTransitGatewayOutput, error) {
		t, err := changeTransit(tx, f.it.ID)
		if err != nil {
			return nil, err
		}
		g := t.gateway
		if in.Description != "" {
			g.Description = in.Description
		}
		g.AutoAccept = switched(&err, o.AutoAcceptSharedAttachments, g.AutoAccept, "autoAcceptSharedAttachments")
		g.DNS = switched(&err, o.DnsSupport, g.DNS, "dnsSupport")
		g.ECMP = switched(&err, o.VpnEcmpSupport, g.ECMP, "vpnEcmpSupport")
		on := switched(&err, o.DefaultRouteTableAssociation, g.Association != "", "defaultRouteTableAssociation")
		g.Association = t.chosen(&err, on, g.Association, o.AssociationDefaultRouteTableId, "associationDefaultRouteTableId")
		on = switched(&err, o.DefaultRouteTablePropagation, g.Propagation != "", "defaultRouteTablePropagation")
		g.Propagation = t.chosen(&err, on, g.Propagation, o.PropagationDefaultRouteTableId, "propagationDefaultRouteTableId")
		if err != nil {
			return nil, err
		}
		return &ec2.ModifyTransitGatewayOutput{TransitGateway: ptr(s.showTransit(g))}, s.put(tx, g)
	}, nil
}

// chosen is a default table after a change: none when it is off, the one that the
// request names, or the one that it was. What is wrong becomes err, if nothing was
// before.
func (t *transit) chosen(err *error, on bool, before, id, parameter string) string {
	switch {
	case *err != nil:
	case !on && id != "":
		*err = fail("InvalidParameterCombination", "%s cannot be given while the default table is disabled.", parameter)
	case on && id == "" && before == "":
		*err = missingParameter(parameter)
	case !on:
		return ""
	case id != "" && byID(t.tables, id) == nil:
		*err = invalidValue(id, parameter, "The table is of another transit gateway.")
	case id != "":
		return id
	}
	return before
}
