package ec2

import (
	"context"
	"strconv"
	"unicode/utf8"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// Limits of AWS on transit gateways.
const (
	maxTransits      = 5  // of an account
	maxTransitTables = 20 // of a gateway
	maxTransitsOfVPC = 5  // that a VPC is attached to
	// A tenth of AWS's: all are on one machine.
	maxAttachments = 500 // of a gateway
	// With what these can propagate, AWS's 10,000 of a gateway.
	maxTransitRoutes = 10000 - maxAttachments*maxCIDRs // static ones, of a gateway
)

// The private numbers that a gateway's side of a BGP session can have. Nobody here
// speaks BGP: the number is kept for those who write it down.
const (
	defaultASN = 64512
	lastASN    = 65534
	firstLong  = 4200000000
	lastLong   = 4294967294
)

// switched reads a member that is "enable" or "disable". What is wrong with it becomes
// err, if nothing was before.
func switched[T ~string](err *error, value T, otherwise bool, parameter string) bool {
	switch {
	case value == "enable":
		return true
	case value == "disable":
		return false
	case value != "" && *err == nil:
		*err = invalidValue(value, parameter, "It is enable or disable.")
	}
	return otherwise
}

func onOff[T ~string](on bool) T {
	if on {
		return "enable"
	}
	return "disable"
}

func (s *Service) newTransit(_ context.Context, c *api.Call, in *ec2.CreateTransitGatewayInput) (meta, []api.Demand, error) {
	m, demands := s.creation(c, "CreateTransitGateway", kindTransit, "", in.TagSpecifications)
	m.VPC = m.ID
	return m, demands, nil
}

func (s *Service) createTransit(_ context.Context, c *api.Call, in *ec2.CreateTransitGatewayInput, m meta) (api.Commit[ec2.CreateTransitGatewayOutput], error) {
	if utf8.RuneCountInString(in.Description) > maxText {
		return nil, invalidValue(in.Description, "description", "A description has at most 255 characters.")
	}
	g, association, propagation, err := planned(in.Options)
	if err != nil {
		return nil, err
	}
	g.meta, g.Description = m, in.Description
	made := []object{g}
	if association || propagation {
		tab := &transitTable{meta: meta{ID: kindTransitTab.newID(), Account: m.Account, VPC: m.ID, Created: m.Created}}
		made = append(made, tab)
		if association {
			g.Association = tab.ID
		}
		if propagation {
			g.Propagation = tab.ID
		}
	}
	return func(tx *store.Tx) (*ec2.CreateTransitGatewayOutput, error) {
		there, err := ofKind[*transitGateway](tx, c.Account)
		if err != nil {
			return nil, err
		}
		if len(there) >= maxTransits {
			return nil, fail("TransitGatewayLimitExceeded", "The maximum number of transit gateways has been reached.")
		}
		return &ec2.CreateTransitGatewayOutput{TransitGateway: ptr(s.showTransit(g))}, s.put(tx, made...)
	}, nil
}

// planned reads the options of a new gateway, and whether it gets a default table
// for associations and for propagations.
func planned(o *ec2.TransitGatewayRequestOptions) (g *transitGateway, association, propagation bool, err error) {
	if o == nil {
		o = &ec2.TransitGatewayRequestOptions{}
	}
	g = &transitGateway{ASN: defaultASN}
	if o.AmazonSideAsn != nil {
		g.ASN = *o.AmazonSideAsn
		if (g.ASN < defaultASN || g.ASN > lastASN) && (g.ASN < firstLong || g.ASN > lastLong) {
			return nil, false, false, invalidValue(g.ASN, "amazonSideAsn", "The ranges of private ASNs are 64512-65534 and 4200000000-4294967294.")
		}
	}
	if switched(&err, o.MulticastSupport, false, "multicastSupport") {
		err = invalidValue(o.MulticastSupport, "multicastSupport", "Networks here carry no multicast.")
	}
	g.AutoAccept = switched(&err, o.AutoAcceptSharedAttachments, false, "autoAcceptSharedAttachments")
	g.DNS = switched(&err, o.DnsSupport, true, "dnsSupport")
	g.ECMP = switched(&err, o.VpnEcmpSupport, true, "vpnEcmpSupport")
	association = switched(&err, o.DefaultRouteTableAssociation, true, "defaultRouteTableAssociation")
	propagation = switched(&err, o.DefaultRouteTablePropagation, true, "defaultRouteTablePropagation")
	return g, association, propagation, err
}

func (s *Service) showTransit(g *transitGateway) ec2.TransitGateway {
	return ec2.TransitGateway{
		TransitGatewayId: g.ID, TransitGatewayArn: s.arn(g.Account, kindTransit, g.ID), OwnerId: g.Account,
		State: ec2.TransitGatewayStateAvailable, Description: g.Description, CreationTime: g.Created, Tags: tagList(g.Tags),
		Options: &ec2.TransitGatewayOptions{
			AmazonSideAsn:                  &g.ASN,
			AutoAcceptSharedAttachments:    onOff[ec2.AutoAcceptSharedAttachmentsValue](g.AutoAccept),
			DefaultRouteTableAssociation:   onOff[ec2.DefaultRouteTableAssociationValue](g.Association != ""),
			AssociationDefaultRouteTableId: g.Association,
			DefaultRouteTablePropagation:   onOff[ec2.DefaultRouteTablePropagationValue](g.Propagation != ""),
			PropagationDefaultRouteTableId: g.Propagation,
			VpnEcmpSupport:                 onOff[ec2.VpnEcmpSupportValue](g.ECMP),
			DnsSupport:                     onOff[ec2.DnsSupportValue](g.DNS),
			MulticastSupport:               ec2.MulticastSupportValueDisable,
		},
	}
}

func (s *Service) describeTransits(ctx context.Context, c *api.Call, in *ec2.DescribeTransitGatewaysInput, _ struct{}) (*ec2.DescribeTransitGatewaysOutput, error) {
	of := func(get func(*transitGateway) string) func(*transitGateway) []string {
		return func(g *transitGateway) []string { return []string{get(g)} }
	}
	list, next, err := listRegional(c, regional[*transitGateway, ec2.TransitGateway]{
		items: func(q store.Querier, account string) ([]*transitGateway, error) {
			return s.visibleTransits(ctx, q, account)
		},
		filters: map[string]func(*transitGateway) []string{
			"options.amazon-side-asn":                    of(func(g *transitGateway) string { return strconv.FormatInt(g.ASN, 10) }),
			"options.association-default-route-table-id": of(func(g *transitGateway) string { return g.Association }),
			"options.auto-accept-shared-attachments":     of(func(g *transitGateway) string { return onOff[string](g.AutoAccept) }),
			"options.default-route-table-association":    of(func(g *transitGateway) string { return onOff[string](g.Association != "") }),
			"options.default-route-table-propagation":    of(func(g *transitGateway) string { return onOff[string](g.Propagation != "") }),
			"options.dns-support":                        of(func(g *transitGateway) string { return onOff[string](g.DNS) }),
			"options.propagation-default-route-table-id": of(func(g *transitGateway) string { return g.Propagation }),
			"options.vpn-ecmp-support":                   of(func(g *transitGateway) string { return onOff[string](g.ECMP) }),
			"owner-id":                                   of(func(g *transitGateway) string { return g.Account }),
			"state":                                      of(func(*transitGateway) string { return "available" }),
			"transit-gateway-id":                         of(func(g *transitGateway) string { return g.ID }),
		},
		show: s.showTransit,
	}, ask{in.TransitGatewayIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeTransitGatewaysOutput{TransitGateways: list, NextToken: next}, err
}

func (s *Service) deletedTransit(_ context.Context, c *api.Call, in *ec2.DeleteTransitGatewayInput) (*found[*transitGateway], []api.Demand, error) {
	return one[*transitGateway](s, c, "DeleteTransitGateway", in.TransitGatewayId)
}

// deleteTransit deletes a gateway with its tables, once nothing is attached to it.
func (s *Service) deleteTransit(_ context.Context, _ *api.Call, _ *ec2.DeleteTransitGatewayInput, f *found[*transitGateway]) (api.Commit[ec2.DeleteTransitGatewayOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteTransitGatewayOutput, error) {
		t, err := changeTransit(tx, f.it.ID)
		if err != nil {
			return nil, err
		}
		all := []object{t.gateway}
		for _, a := range t.attachments {
			if a.stands() {
				return nil, fail("IncorrectState", "%s has non-deleted VPC Attachments: %s.", t.gateway.ID, a.ID)
			}
			all = append(all, a)
		}
		for _, tab := range t.tables {
			all = append(all, tab)
		}
		out := s.showTransit(t.gateway)
		out.State = ec2.TransitGatewayStateDeleted
		return &ec2.DeleteTransitGatewayOutput{TransitGateway: &out}, s.drop(tx, all...)
	}, nil
}
