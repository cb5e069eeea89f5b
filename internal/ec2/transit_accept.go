package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// tied finds the attachment that an operation is about, of either side.
func (s *Service) tied(c *api.Call, action, id string) (*tie, []api.Demand, error) {
	f, g, err := s.findAttachment(c, id)
	if err != nil {
		return nil, nil, err
	}
	return &tie{found: f, gateway: g}, []api.Demand{f.demand(action)}, nil
}

// ruled demands that the caller owns the gateway: the VPC's owner sees the
// attachment and has no say in this.
func (j *tie) ruled(c *api.Call) error {
	if j.gateway.Account != c.Account {
		return fail("OperationNotPermitted", "Only the owner of transit gateway %s can do this with %s.", j.gateway.ID, j.it.ID)
	}
	return nil
}

// acceptedAttachment refuses a VPC whose owner has left the organization since she
// asked.
func (s *Service) acceptedAttachment(ctx context.Context, c *api.Call, in *ec2.AcceptTransitGatewayVpcAttachmentInput) (*tie, []api.Demand, error) {
	j, demands, err := s.tied(c, "AcceptTransitGatewayVpcAttachment", in.TransitGatewayAttachmentId)
	if err != nil || j.missing() {
		return j, demands, err
	}
	near, err := s.together(ctx, c.Snapshot, j.gateway.Account, j.it.Account)
	if !near {
		demands[0].Resource.Missing = fail("OperationNotPermitted", "The owner of %s is of another organization.", j.it.Network)
	}
	return j, demands, err
}

func (s *Service) acceptAttachment(_ context.Context, c *api.Call, _ *ec2.AcceptTransitGatewayVpcAttachmentInput, j *tie) (api.Commit[ec2.AcceptTransitGatewayVpcAttachmentOutput], error) {
	if err := j.ruled(c); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.AcceptTransitGatewayVpcAttachmentOutput, error) {
		t, err := changeTransit(tx, j.it.VPC)
		if err != nil {
			return nil, err
		}
		a, err := part(t.attachments, j.it.ID)
		if err == nil {
			err = a.in(attachmentPending)
		}
		if err != nil {
			return nil, err
		}
		t.gateway.take(a)
		return &ec2.AcceptTransitGatewayVpcAttachmentOutput{TransitGatewayVpcAttachment: showTied(c, a)}, s.put(tx, a)
	}, nil
}

func (s *Service) rejectedAttachment(_ context.Context, c *api.Call, in *ec2.RejectTransitGatewayVpcAttachmentInput) (*tie, []api.Demand, error) {
	return s.tied(c, "RejectTransitGatewayVpcAttachment", in.TransitGatewayAttachmentId)
}

// rejectAttachment leaves the attachment there as rejected, for its owner to see,
// until it is deleted or tried again.
func (s *Service) rejectAttachment(_ context.Context, c *api.Call, _ *ec2.RejectTransitGatewayVpcAttachmentInput, j *tie) (api.Commit[ec2.RejectTransitGatewayVpcAttachmentOutput], error) {
	if err := j.ruled(c); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.RejectTransitGatewayVpcAttachmentOutput, error) {
		a, err := j.now(tx, attachmentPending)
		if err != nil {
			return nil, err
		}
		a.State = attachmentRejected
		return &ec2.RejectTransitGatewayVpcAttachmentOutput{TransitGatewayVpcAttachment: showTied(c, a)}, s.put(tx, a)
	}, nil
}

func (s *Service) deletedAttachment(_ context.Context, c *api.Call, in *ec2.DeleteTransitGatewayVpcAttachmentInput) (*tie, []api.Demand, error) {
	return s.tied(c, "DeleteTransitGatewayVpcAttachment", in.TransitGatewayAttachmentId)
}

// deleteAttachment leaves routes that lead to the attachment there as black holes.
func (s *Service) deleteAttachment(_ context.Context, c *api.Call, _ *ec2.DeleteTransitGatewayVpcAttachmentInput, j *tie) (api.Commit[ec2.DeleteTransitGatewayVpcAttachmentOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteTransitGatewayVpcAttachmentOutput, error) {
		a, err := j.now(tx, attachmentAvailable, attachmentPending, attachmentRejected)
		if err != nil {
			return nil, err
		}
		out := showTied(c, a)
		out.State = ec2.TransitGatewayAttachmentStateDeleted
		return &ec2.DeleteTransitGatewayVpcAttachmentOutput{TransitGatewayVpcAttachment: out}, s.drop(tx, a)
	}, nil
}

// showTied shows an attachment to one of its sides. The tags are the VPC owner's.
func showTied(c *api.Call, a *attachment) *ec2.TransitGatewayVpcAttachment {
	out := showVPCAttachment(attached{attachment: a})
	if a.Account != c.Account {
		out.Tags = nil
	}
	return &out
}

func showVPCAttachment(a attached) ec2.TransitGatewayVpcAttachment {
	return ec2.TransitGatewayVpcAttachment{
		TransitGatewayAttachmentId: a.ID, TransitGatewayId: a.VPC, VpcId: a.Network, VpcOwnerId: a.Account,
		State: ec2.TransitGatewayAttachmentState(a.State), SubnetIds: a.Subnets, CreationTime: a.Created, Tags: tagList(a.Tags),
		Options: &ec2.TransitGatewayVpcAttachmentOptions{
			DnsSupport: onOff[ec2.DnsSupportValue](a.DNS), Ipv6Support: ec2.Ipv6SupportValueDisable,
			ApplianceModeSupport: ec2.ApplianceModeSupportValueDisable,
		},
	}
}

func (s *Service) showAttachment(a attached) ec2.TransitGatewayAttachment {
	out := ec2.TransitGatewayAttachment{
		TransitGatewayAttachmentId: a.ID, TransitGatewayId: a.VPC, TransitGatewayOwnerId: a.gateway.Account,
		ResourceId: a.Network, ResourceOwnerId: a.Account, ResourceType: ec2.TransitGatewayAttachmentResourceTypeVpc,
		State: ec2.TransitGatewayAttachmentState(a.State), CreationTime: a.Created, Tags: tagList(a.Tags),
	}
	if table := a.table(); table != "" {
		out.Association = &ec2.TransitGatewayAttachmentAssociation{
			State: ec2.TransitGatewayAssociationStateAssociated, TransitGatewayRouteTableId: table,
		}
	}
	return out
}

// table is the associated one, which the gateway's owner alone knows.
func (a attached) table() string {
	if !a.rules {
		return ""
	}
	return a.Table
}

func (s *Service) describeVPCAttachments(_ context.Context, c *api.Call, in *ec2.DescribeTransitGatewayVpcAttachmentsInput, _ struct{}) (*ec2.DescribeTransitGatewayVpcAttachmentsOutput, error) {
	list, next, err := listRegional(c, regional[attached, ec2.TransitGatewayVpcAttachment]{
		items: s.visibleAttachments,
		filters: map[string]func(attached) []string{
			"state":                         func(a attached) []string { return []string{a.State} },
			"transit-gateway-attachment-id": func(a attached) []string { return []string{a.ID} },
			"transit-gateway-id":            func(a attached) []string { return []string{a.VPC} },
			"vpc-id":                        func(a attached) []string { return []string{a.Network} },
		},
		show: showVPCAttachment,
	}, ask{in.TransitGatewayAttachmentIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeTransitGatewayVpcAttachmentsOutput{TransitGatewayVpcAttachments: list, NextToken: next}, err
}

func (s *Service) describeAttachments(_ context.Context, c *api.Call, in *ec2.DescribeTransitGatewayAttachmentsInput, _ struct{}) (*ec2.DescribeTransitGatewayAttachmentsOutput, error) {
	list, next, err := listRegional(c, regional[attached, ec2.TransitGatewayAttachment]{
		items: s.visibleAttachments,
		filters: map[string]func(attached) []string{
			"association.state": func(a attached) []string {
				return where([]string{"associated"}, func(string) bool { return a.table() != "" })
			},
			"association.transit-gateway-route-table-id": func(a attached) []string { return where([]string{a.table()}, named) },
			"resource-id":                   func(a attached) []string { return []string{a.Network} },
			"resource-owner-id":             func(a attached) []string { return []string{a.Account} },
			"resource-type":                 func(attached) []string { return []string{"vpc"} },
			"state":                         func(a attached) []string { return []string{a.State} },
			"transit-gateway-attachment-id": func(a attached) []string { return []string{a.ID} },
			"transit-gateway-id":            func(a attached) []string { return []string{a.VPC} },
			"transit-gateway-owner-id":      func(a attached) []string { return []string{a.gateway.Account} },
		},
		show: s.showAttachment,
	}, ask{in.TransitGatewayAttachmentIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeTransitGatewayAttachmentsOutput{TransitGatewayAttachments: list, NextToken: next}, err
}
