package ec2

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// AWS decides these listings without looking at what they are about: who may list
// anything may list every table of the account.

// owning finds a table of the caller's for a listing.
func owning(s *Service, c *api.Call, id string) (*transitTable, error) {
	f, err := find[*transitTable](s, c, id)
	if err != nil {
		return nil, err
	}
	if f.missing() {
		return nil, f.resource.Missing
	}
	return f.it, nil
}

// attachmentsWhere reads the attachments of a table's gateway for which a test holds.
func attachmentsWhere(tab *transitTable, keep func(*attachment) bool) func(store.Querier, string) ([]*attachment, error) {
	return func(q store.Querier, _ string) ([]*attachment, error) {
		t, err := loadTransit(q, tab.VPC)
		if err != nil || t == nil {
			return nil, err
		}
		for _, a := range t.attachments {
			if a.Account != t.gateway.Account {
				a.Tags = nil
			}
		}
		return where(t.attachments, keep), nil
	}
}

var attachmentFilters = map[string]func(*attachment) []string{
	"resource-id":                   func(a *attachment) []string { return []string{a.Network} },
	"resource-type":                 func(*attachment) []string { return []string{"vpc"} },
	"transit-gateway-attachment-id": func(a *attachment) []string { return []string{a.ID} },
}

func (s *Service) transitTableAssociations(_ context.Context, c *api.Call, in *ec2.GetTransitGatewayRouteTableAssociationsInput, _ struct{}) (*ec2.GetTransitGatewayRouteTableAssociationsOutput, error) {
	tab, err := owning(s, c, in.TransitGatewayRouteTableId)
	if err != nil {
		return nil, err
	}
	list, next, err := listRegional(c, regional[*attachment, ec2.TransitGatewayRouteTableAssociation]{
		items:   attachmentsWhere(tab, func(a *attachment) bool { return a.Table == tab.ID }),
		filters: attachmentFilters,
		show: func(a *attachment) ec2.TransitGatewayRouteTableAssociation {
			return ec2.TransitGatewayRouteTableAssociation{
				TransitGatewayAttachmentId: a.ID, ResourceId: a.Network, ResourceType: ec2.TransitGatewayAttachmentResourceTypeVpc,
				State: ec2.TransitGatewayAssociationStateAssociated,
			}
		},
	}, ask{nil, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.GetTransitGatewayRouteTableAssociationsOutput{Associations: list, NextToken: next}, err
}

func (s *Service) transitTablePropagations(_ context.Context, c *api.Call, in *ec2.GetTransitGatewayRouteTablePropagationsInput, _ struct{}) (*ec2.GetTransitGatewayRouteTablePropagationsOutput, error) {
	tab, err := owning(s, c, in.TransitGatewayRouteTableId)
	if err != nil {
		return nil, err
	}
	list, next, err := listRegional(c, regional[*attachment, ec2.TransitGatewayRouteTablePropagation]{
		items:   attachmentsWhere(tab, func(a *attachment) bool { return slices.Contains(a.Propagations, tab.ID) }),
		filters: attachmentFilters,
		show: func(a *attachment) ec2.TransitGatewayRouteTablePropagation {
			return ec2.TransitGatewayRouteTablePropagation{
				TransitGatewayAttachmentId: a.ID, ResourceId: a.Network, ResourceType: ec2.TransitGatewayAttachmentResourceTypeVpc,
				State: ec2.TransitGatewayPropagationStateEnabled,
			}
		},
	}, ask{nil, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.GetTransitGatewayRouteTablePropagationsOutput{TransitGatewayRouteTablePropagations: list, NextToken: next}, err
}

func (s *Service) attachmentPropagations(_ context.Context, c *api.Call, in *ec2.GetTransitGatewayAttachmentPropagationsInput, _ struct{}) (*ec2.GetTransitGatewayAttachmentPropagationsOutput, error) {
	f, g, err := s.findAttachment(c, in.TransitGatewayAttachmentId)
	if err != nil {
		return nil, err
	}
	if f.missing() {
		return nil, f.resource.Missing
	}
	if err := (&tie{found: f, gateway: g}).ruled(c); err != nil {
		return nil, err
	}
	list, next, err := listRegional(c, regional[*transitTable, ec2.TransitGatewayAttachmentPropagation]{
		items: func(q store.Querier, account string) ([]*transitTable, error) {
			tables, err := ofKind[*transitTable](q, account)
			return where(tables, func(tab *transitTable) bool { return slices.Contains(f.it.Propagations, tab.ID) }), err
		},
		filters: map[string]func(*transitTable) []string{
			"transit-gateway-route-table-id": func(tab *transitTable) []string { return []string{tab.ID} },
		},
		show: func(tab *transitTable) ec2.TransitGatewayAttachmentPropagation {
			return ec2.TransitGatewayAttachmentPropagation{
				TransitGatewayRouteTableId: tab.ID, State: ec2.TransitGatewayPropagationStateEnabled,
			}
		},
	}, ask{nil, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.GetTransitGatewayAttachmentPropagationsOutput{TransitGatewayAttachmentPropagations: list, NextToken: next}, err
}
