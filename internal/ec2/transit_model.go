package ec2

import (
	"errors"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// ErrNoTransitGateway says that there is no such transit gateway, or no longer.
var ErrNoTransitGateway = errors.New("ec2: no such transit gateway")

// TransitModel is a transit gateway as the machine is to obey it. A missing one is
// ErrNoTransitGateway.
func (s *Service) TransitModel(q store.Querier, id string) (*netmodel.TransitGateway, error) {
	t, err := loadTransit(q, id)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, ErrNoTransitGateway
	}
	return t.model(), nil
}

func (t *transit) model() *netmodel.TransitGateway {
	m := &netmodel.TransitGateway{ID: t.gateway.ID, Account: t.gateway.Account}
	for _, a := range t.attachments {
		if a.State == attachmentAvailable {
			m.Attachments = append(m.Attachments, netmodel.TransitAttachment{ID: a.ID, VPC: a.Network, CIDRs: t.ranges[a.Network], RouteTable: a.Table})
		}
	}
	for _, tab := range t.tables {
		mt := netmodel.TransitTable{ID: tab.ID}
		for _, w := range t.ways(tab) {
			r := netmodel.TransitRoute{CIDR: w.CIDR}
			if w.Leads != nil {
				r.Attachment = w.Leads.ID
			}
			mt.Routes = append(mt.Routes, r)
		}
		m.RouteTables = append(m.RouteTables, mt)
	}
	return m
}
