package ec2

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A crossing is an attachment and a route table of its gateway.
type crossing struct {
	*tie
	table *found[*transitTable]
}

func (s *Service) crossed(c *api.Call, action, attachmentID, tableID string) (*crossing, []api.Demand, error) {
	j, demands, err := s.tied(c, action, attachmentID)
	if err != nil {
		return nil, nil, err
	}
	tab, err := find[*transitTable](s, c, tableID) // the gateway owner's alone
	if err != nil {
		return nil, nil, err
	}
	return &crossing{j, tab}, append(demands, tab.demand(action)), nil
}

// apart is what an attachment and a table of different gateways hear.
func (x *crossing) apart() error {
	if x.it.VPC != x.table.it.VPC {
		return fail("InvalidParameterValue", "%s and %s belong to different transit gateways", x.it.ID, x.table.it.ID)
	}
	return nil
}

// changed changes the attachment, which must be available, with its table still
// there.
func (x *crossing) changed(s *Service, tx *store.Tx, change func(*attachment) error) error {
	t, err := changeTransit(tx, x.it.VPC)
	if err != nil {
		return err
	}
	if _, err := part(t.tables, x.table.it.ID); err != nil {
		return err
	}
	a, err := part(t.attachments, x.it.ID)
	if err == nil {
		err = a.in(attachmentAvailable)
	}
	if err == nil {
		err = change(a)
	}
	if err != nil {
		return err
	}
	return s.put(tx, a)
}

func (x *crossing) association(state ec2.TransitGatewayAssociationState) *ec2.TransitGatewayAssociation {
	return &ec2.TransitGatewayAssociation{
		TransitGatewayAttachmentId: x.it.ID, TransitGatewayRouteTableId: x.table.it.ID, State: state,
		ResourceId: x.it.Network, ResourceType: ec2.TransitGatewayAttachmentResourceTypeVpc,
	}
}

func (x *crossing) propagation(state ec2.TransitGatewayPropagationState) *ec2.TransitGatewayPropagation {
	return &ec2.TransitGatewayPropagation{
		TransitGatewayAttachmentId: x.it.ID, TransitGatewayRouteTableId: x.table.it.ID, State: state,
		ResourceId: x.it.Network, ResourceType: ec2.TransitGatewayAttachmentResourceTypeVpc,
	}
}

// forget ends a propagation, and says whether there was one.
func (a *attachment) forget(table string) bool {
	before := len(a.Propagations)
	a.Propagations = where(a.Propagations, func(id string) bool { return id != table })
	return len(a.Propagations) < before
}

func (s *Service) newTransitAssociation(_ context.Context, c *api.Call, in *ec2.AssociateTransitGatewayRouteTableInput) (*crossing, []api.Demand, error) {
	return s.crossed(c, "AssociateTransitGatewayRouteTable", in.TransitGatewayAttachmentId, in.TransitGatewayRouteTableId)
}

func (s *Service) associateTransitTable(_ context.Context, _ *api.Call, _ *ec2.AssociateTransitGatewayRouteTableInput, x *crossing) (api.Commit[ec2.AssociateTransitGatewayRouteTableOutput], error) {
	if err := x.apart(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.AssociateTransitGatewayRouteTableOutput, error) {
		err := x.changed(s, tx, func(a *attachment) error {
			if a.Table != "" {
				return fail("Resource.AlreadyAssociated", "Transit Gateway Attachment %s is already associated to a route table.", a.ID)
			}
			a.Table = x.table.it.ID
			return nil
		})
		return &ec2.AssociateTransitGatewayRouteTableOutput{Association: x.association(ec2.TransitGatewayAssociationStateAssociated)}, err
	}, nil
}

func (s *Service) endedTransitAssociation(_ context.Context, c *api.Call, in *ec2.DisassociateTransitGatewayRouteTableInput) (*crossing, []api.Demand, error) {
	return s.crossed(c, "DisassociateTransitGatewayRouteTable", in.TransitGatewayAttachmentId, in.TransitGatewayRouteTableId)
}

func (s *Service) disassociateTransitTable(_ context.Context, _ *api.Call, _ *ec2.DisassociateTransitGatewayRouteTableInput, x *crossing) (api.Commit[ec2.DisassociateTransitGatewayRouteTableOutput], error) {
	if err := x.apart(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.DisassociateTransitGatewayRouteTableOutput, error) {
		err := x.changed(s, tx, func(a *attachment) error {
			if a.Table != x.table.it.ID {
				return fail("InvalidAssociation.NotFound", "Transit Gateway Attachment %s is not associated to %s.", a.ID, x.table.it.ID)
			}
			a.Table = ""
			return nil
		})
		return &ec2.DisassociateTransitGatewayRouteTableOutput{Association: x.association(ec2.TransitGatewayAssociationStateDisassociated)}, err
	}, nil
}

func (s *Service) newPropagation(_ context.Context, c *api.Call, in *ec2.EnableTransitGatewayRouteTablePropagationInput) (*crossing, []api.Demand, error) {
	return s.crossed(c, "EnableTransitGatewayRouteTablePropagation", in.TransitGatewayAttachmentId, in.TransitGatewayRouteTableId)
}

func (s *Service) enablePropagation(_ context.Context, _ *api.Call, _ *ec2.EnableTransitGatewayRouteTablePropagationInput, x *crossing) (api.Commit[ec2.EnableTransitGatewayRouteTablePropagationOutput], error) {
	if err := x.apart(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.EnableTransitGatewayRouteTablePropagationOutput, error) {
		err := x.changed(s, tx, func(a *attachment) error {
			if slices.Contains(a.Propagations, x.table.it.ID) {
				return fail("TransitGatewayRouteTablePropagation.Duplicate", "Propagation of %s to %s already exists.", a.ID, x.table.it.ID)
			}
			a.Propagations = append(a.Propagations, x.table.it.ID)
			return nil
		})
		return &ec2.EnableTransitGatewayRouteTablePropagationOutput{Propagation: x.propagation(ec2.TransitGatewayPropagationStateEnabled)}, err
	}, nil
}

func (s *Service) endedPropagation(_ context.Context, c *api.Call, in *ec2.DisableTransitGatewayRouteTablePropagationInput) (*crossing, []api.Demand, error) {
	return s.crossed(c, "DisableTransitGatewayRouteTablePropagation", in.TransitGatewayAttachmentId, in.TransitGatewayRouteTableId)
}

func (s *Service) disablePropagation(_ context.Context, _ *api.Call, _ *ec2.DisableTransitGatewayRouteTablePropagationInput, x *crossing) (api.Commit[ec2.DisableTransitGatewayRouteTablePropagationOutput], error) {
	if err := x.apart(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.DisableTransitGatewayRouteTablePropagationOutput, error) {
		err := x.changed(s, tx, func(a *attachment) error {
			if !a.forget(x.table.it.ID) {
				return fail("TransitGatewayRouteTablePropagation.NotFound", "Propagation of %s to %s does not exist.", a.ID, x.table.it.ID)
			}
			return nil
		})
		return &ec2.DisableTransitGatewayRouteTablePropagationOutput{Propagation: x.propagation(ec2.TransitGatewayPropagationStateDisabled)}, err
	}, nil
}
