package ec2

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A joining is an attachment that is to be made.
type joining struct {
	meta
	gateway *found[*transitGateway]
	vpc     *found[*vpc]
	*wiring
}

func (s *Service) newAttachment(ctx context.Context, c *api.Call, in *ec2.CreateTransitGatewayVpcAttachmentInput) (*joining, []api.Demand, error) {
	const action = "CreateTransitGatewayVpcAttachment"
	g, err := s.findTransit(ctx, c, in.TransitGatewayId)
	if err != nil {
		return nil, nil, err
	}
	v, err := find[*vpc](s, c, in.VpcId)
	if err != nil {
		return nil, nil, err
	}
	w, more, err := s.wire(c, action, nil, in.SubnetIds, nil)
	if err != nil {
		return nil, nil, err
	}
	m, demands := s.creation(c, action, kindAttachment, "", in.TagSpecifications)
	m.VPC = in.TransitGatewayId
	return &joining{m, g, v, w}, slices.Concat(demands, []api.Demand{g.demand(action), v.demand(action)}, more), nil
}

func (s *Service) createAttachment(_ context.Context, c *api.Call, in *ec2.CreateTransitGatewayVpcAttachmentInput, j *joining) (api.Commit[ec2.CreateTransitGatewayVpcAttachmentOutput], error) {
	o := in.Options
	if o == nil {
		o = &ec2.CreateTransitGatewayVpcAttachmentRequestOptions{}
	}
	dns, err := attachmentOptions(o.DnsSupport, o.Ipv6Support, o.ApplianceModeSupport, true)
	if err != nil {
		return nil, err
	}
	if err := j.of(in.VpcId); err != nil {
		return nil, err
	}
	subnets, err := attachmentSubnets(in.SubnetIds)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.CreateTransitGatewayVpcAttachmentOutput, error) {
		t, err := changeTransit(tx, j.VPC)
		if err != nil {
			return nil, err
		}
		n, err := change(tx, in.VpcId)
		if err != nil {
			return nil, err
		}
		a := &attachment{meta: j.meta, Network: n.vpc.ID, Subnets: subnets, State: attachmentPending, DNS: dns}
		old, err := t.room(n)
		if err != nil {
			return nil, err
		}
		if old != nil {
			if err := s.drop(tx, old); err != nil {
				return nil, err
			}
		}
		if t.gateway.Account == c.Account || t.gateway.AutoAccept {
			t.gateway.take(a)
		}
		return &ec2.CreateTransitGatewayVpcAttachmentOutput{TransitGatewayVpcAttachment: ptr(showVPCAttachment(attached{attachment: a}))}, s.put(tx, a)
	}, nil
}

// attachmentOptions reads the options that mean something, which is whether names
// are asked across the gateway.
func attachmentOptions(dns ec2.DnsSupportValue, v6 ec2.Ipv6SupportValue, appliance ec2.ApplianceModeSupportValue, otherwise bool) (bool, error) {
	var err error
	if switched(&err, v6, false, "ipv6Support") {
		err = invalidValue(v6, "ipv6Support", "Networks here are IPv4.")
	}
	if switched(&err, appliance, false, "applianceModeSupport") {
		err = invalidValue(appliance, "applianceModeSupport", "No VPC here forwards for others, and there is one availability zone.")
	}
	return switched(&err, dns, otherwise, "dnsSupport"), err
}

// attachmentSubnets are those of an attachment. All are in the one availability zone;
// AWS takes one of each zone.
func attachmentSubnets(ids []string) ([]string, error) {
	ids = unique(ids)
	if len(ids) == 0 {
		return nil, fail("InsufficientSubnetsException", "An attachment has at least one subnet.")
	}
	if len(ids) > maxSubnets {
		return nil, invalidValue(len(ids), "subnetIds", "An attachment has fewer subnets.")
	}
	return ids, nil
}

// room says whether a VPC can be attached. What it answers is a rejected attachment
// of the VPC, which gives its place to the new one.
func (t *transit) room(n *network) (rejected *attachment, err error) {
	elsewhere := 0
	for _, a := range n.attachments {
		switch {
		case a.VPC != t.gateway.ID && a.stands():
			elsewhere++
		case a.VPC == t.gateway.ID && a.stands():
			return nil, fail("DuplicateTransitGatewayAttachment", "%s has non-deleted Transit Gateway Attachments with same VPC ID.", t.gateway.ID)
		case a.VPC == t.gateway.ID:
			rejected = a
		}
	}
	if elsewhere >= maxTransitsOfVPC || len(where(t.attachments, (*attachment).stands)) >= maxAttachments {
		return nil, fail("TransitGatewayAttachmentLimitExceeded", "The maximum number of transit gateway attachments has been reached.")
	}
	return rejected, nil
}

// take makes an attachment available, with the gateway's default tables.
func (g *transitGateway) take(a *attachment) {
	a.State, a.Table = attachmentAvailable, g.Association
	a.Propagations = where([]string{g.Propagation}, named)
}

// A tie is an attachment and its gateway.
type tie struct {
	*found[*attachment]
	gateway *transitGateway
	*wiring // what is to be changed
}

func (s *Service) changedAttachment(_ context.Context, c *api.Call, in *ec2.ModifyTransitGatewayVpcAttachmentInput) (*tie, []api.Demand, error) {
	const action = "ModifyTransitGatewayVpcAttachment"
	f, err := find[*attachment](s, c, in.TransitGatewayAttachmentId) // the VPC owner's alone
	if err != nil {
		return nil, nil, err
	}
	f.changes(given{"AddSubnetIds", len(in.AddSubnetIds) > 0}, given{"RemoveSubnetIds", len(in.RemoveSubnetIds) > 0}, given{"Options", in.Options != nil})
	w, more, err := s.wire(c, action, nil, slices.Concat(in.AddSubnetIds, in.RemoveSubnetIds), nil)
	return &tie{found: f, wiring: w}, append([]api.Demand{f.demand(action)}, more...), err
}

func (s *Service) modifyAttachment(_ context.Context, _ *api.Call, in *ec2.ModifyTransitGatewayVpcAttachmentInput, j *tie) (api.Commit[ec2.ModifyTransitGatewayVpcAttachmentOutput], error) {
	if err := j.of(j.it.Network); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.ModifyTransitGatewayVpcAttachmentOutput, error) {
		a, err := j.now(tx, attachmentAvailable)
		if err != nil {
			return nil, err
		}
		if o := in.Options; o != nil {
			if a.DNS, err = attachmentOptions(o.DnsSupport, o.Ipv6Support, o.ApplianceModeSupport, a.DNS); err != nil {
				return nil, err
			}
		}
		if a.Subnets, err = adjusted(a.Subnets, in.AddSubnetIds, in.RemoveSubnetIds, kindSubnet); err != nil {
			return nil, err
		}
		if a.Subnets, err = attachmentSubnets(a.Subnets); err != nil {
			return nil, err
		}
		return &ec2.ModifyTransitGatewayVpcAttachmentOutput{TransitGatewayVpcAttachment: ptr(showVPCAttachment(attached{attachment: a}))}, s.put(tx, a)
	}, nil
}

// now reads the attachment inside a change, which must be in one of these states.
func (j *tie) now(tx *store.Tx, states ...string) (*attachment, error) {
	o, err := row(tx, j.it.ID)
	if err != nil {
		return nil, err
	}
	a, ok := o.(*attachment)
	if !ok {
		return nil, kindAttachment.missing(j.it.ID)
	}
	return a, a.in(states...)
}

func (a *attachment) in(states ...string) error {
	if !slices.Contains(states, a.State) {
		return fail("IncorrectState", "%s is in invalid state: %s.", a.ID, a.State)
	}
	return nil
}
