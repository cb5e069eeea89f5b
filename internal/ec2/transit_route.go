package ec2

import (
	"context"
	"net/netip"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A leading is a static route of a table, and what it leads to: nothing, for a black
// hole.
type leading struct {
	table *found[*transitTable]
	to    *tie
}

func (s *Service) leads(c *api.Call, action, tableID, attachmentID string) (*leading, []api.Demand, error) {
	tab, demands, err := one[*transitTable](s, c, action, tableID)
	if err != nil || attachmentID == "" {
		return &leading{table: tab}, demands, err
	}
	j, more, err := s.tied(c, action, attachmentID)
	return &leading{tab, j}, append(demands, more...), err
}

// route reads a static route.
func (l *leading) route(cidr string, blackhole *bool) (transitRoute, error) {
	r := transitRoute{}
	hole := blackhole != nil && *blackhole
	switch {
	case hole && l.to != nil:
		return r, fail("InvalidParameterCombination", "A blackhole route leads to no attachment.")
	case !hole && l.to == nil:
		return r, missingParameter("transitGatewayAttachmentId")
	case l.to != nil && l.to.it.VPC != l.table.it.VPC:
		return r, fail("InvalidParameterValue", "%s and %s belong to different transit gateways", l.to.it.ID, l.table.it.ID)
	case l.to != nil:
		r.Attachment = l.to.it.ID
	}
	var err error
	if r.CIDR, err = parseCIDR(cidr, "destinationCidrBlock"); err == nil && !routable(r.CIDR) {
		err = invalidValue(cidr, "destinationCidrBlock", "No network has addresses there.")
	}
	return r, err
}

// changed changes a table, whose route leads to an attachment that is there.
func (l *leading) changed(s *Service, tx *store.Tx, r transitRoute, change func(*transit, *transitTable) error) (*ec2.TransitGatewayRoute, error) {
	t, err := changeTransit(tx, l.table.it.VPC)
	if err != nil {
		return nil, err
	}
	tab, err := part(t.tables, l.table.it.ID)
	if err != nil {
		return nil, err
	}
	way := transitWay{CIDR: r.CIDR, Static: true}
	if r.Attachment != "" {
		if way.Leads, err = part(t.attachments, r.Attachment); err == nil {
			err = way.Leads.in(attachmentAvailable)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := change(t, tab); err != nil {
		return nil, err
	}
	return ptr(showWay(way)), s.put(tx, tab)
}

func (tab *transitTable) at(p netip.Prefix) int {
	return slices.IndexFunc(tab.Routes, func(r transitRoute) bool { return r.CIDR == p })
}

func (tab *transitTable) noRoute(p netip.Prefix) error {
	return fail("InvalidRoute.NotFound", "no static route with destination %s in transit gateway route table %s", p, tab.ID)
}

func showWay(w transitWay) ec2.TransitGatewayRoute {
	out := ec2.TransitGatewayRoute{
		DestinationCidrBlock: w.CIDR.String(), Type: ec2.TransitGatewayRouteTypePropagated, State: ec2.TransitGatewayRouteStateBlackhole,
	}
	if w.Static {
		out.Type = ec2.TransitGatewayRouteTypeStatic
	}
	if w.Leads != nil {
		out.State = ec2.TransitGatewayRouteStateActive
		out.TransitGatewayAttachments = []ec2.TransitGatewayRouteAttachment{{
			TransitGatewayAttachmentId: w.Leads.ID, ResourceId: w.Leads.Network, ResourceType: ec2.TransitGatewayAttachmentResourceTypeVpc,
		}}
	}
	return out
}

func (s *Service) newTransitRoute(_ context.Context, c *api.Call, in *ec2.CreateTransitGatewayRouteInput) (*leading, []api.Demand, error) {
	return s.leads(c, "CreateTransitGatewayRoute", in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
}

// createTransitRoute makes a static route, which counts before a learned one for the
// same range.
func (s *Service) createTransitRoute(_ context.Context, _ *api.Call, in *ec2.CreateTransitGatewayRouteInput, l *leading) (api.Commit[ec2.CreateTransitGatewayRouteOutput], error) {
	r, err := l.route(in.DestinationCidrBlock, in.Blackhole)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.CreateTransitGatewayRouteOutput, error) {
		out, err := l.changed(s, tx, r, func(t *transit, tab *transitTable) error {
			if tab.at(r.CIDR) >= 0 {
				return fail("RouteAlreadyExists", "Route %s already exists in transit gateway route table %s.", r.CIDR, tab.ID)
			}
			count := 0
			for _, o := range t.tables {
				count += len(o.Routes)
			}
			if count >= maxTransitRoutes {
				return fail("RouteLimitExceeded", "The maximum number of static routes of %s has been reached.", t.gateway.ID)
			}
			tab.Routes = append(tab.Routes, r)
			return nil
		})
		return &ec2.CreateTransitGatewayRouteOutput{Route: out}, err
	}, nil
}

func (s *Service) replacedTransitRoute(_ context.Context, c *api.Call, in *ec2.ReplaceTransitGatewayRouteInput) (*leading, []api.Demand, error) {
	return s.leads(c, "ReplaceTransitGatewayRoute", in.TransitGatewayRouteTableId, in.TransitGatewayAttachmentId)
}

func (s *Service) replaceTransitRoute(_ context.Context, _ *api.Call, in *ec2.ReplaceTransitGatewayRouteInput, l *leading) (api.Commit[ec2.ReplaceTransitGatewayRouteOutput], error) {
	r, err := l.route(in.DestinationCidrBlock, in.Blackhole)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.ReplaceTransitGatewayRouteOutput, error) {
		out, err := l.changed(s, tx, r, func(_ *transit, tab *transitTable) error {
			i := tab.at(r.CIDR)
			if i < 0 {
				return tab.noRoute(r.CIDR)
			}
			tab.Routes[i] = r
			return nil
		})
		return &ec2.ReplaceTransitGatewayRouteOutput{Route: out}, err
	}, nil
}

func (s *Service) deletedTransitRoute(_ context.Context, c *api.Call, in *ec2.DeleteTransitGatewayRouteInput) (*leading, []api.Demand, error) {
	return s.leads(c, "DeleteTransitGatewayRoute", in.TransitGatewayRouteTableId, "")
}

func (s *Service) deleteTransitRoute(_ context.Context, _ *api.Call, in *ec2.DeleteTransitGatewayRouteInput, l *leading) (api.Commit[ec2.DeleteTransitGatewayRouteOutput], error) {
	cidr, err := parseCIDR(in.DestinationCidrBlock, "destinationCidrBlock")
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.DeleteTransitGatewayRouteOutput, error) {
		out, err := l.changed(s, tx, transitRoute{CIDR: cidr}, func(_ *transit, tab *transitTable) error {
			i := tab.at(cidr)
			if i < 0 {
				return tab.noRoute(cidr)
			}
			tab.Routes = slices.Delete(tab.Routes, i, i+1)
			return nil
		})
		if err != nil {
			return nil, err
		}
		out.State = ec2.TransitGatewayRouteStateDeleted
		return &ec2.DeleteTransitGatewayRouteOutput{Route: out}, nil
	}, nil
}
