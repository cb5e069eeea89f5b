package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// An association gives a subnet its route table. The one without a subnet makes
// its table the VPC's main one.
type association struct {
	meta
	Table  string `json:"table"`
	Subnet string `json:"subnet,omitzero"`
}

func (*association) kind() *kind { return kindAssociation }

// A joint is a subnet and a route table.
type joint struct {
	table  *found[*table]
	subnet *found[*subnet]
}

func (s *Service) newAssociation(_ context.Context, c *api.Call, in *ec2.AssociateRouteTableInput) (*joint, []api.Demand, error) {
	t, err := find[*table](s, c, in.RouteTableId)
	if err != nil {
		return nil, nil, err
	}
	sub, err := find[*subnet](s, c, in.SubnetId)
	if err != nil {
		return nil, nil, err
	}
	return &joint{t, sub}, []api.Demand{t.demand("AssociateRouteTable"), sub.demand("AssociateRouteTable")}, nil
}

func (s *Service) associateRouteTable(_ context.Context, c *api.Call, _ *ec2.AssociateRouteTableInput, j *joint) (api.Commit[ec2.AssociateRouteTableOutput], error) {
	t, sub := j.table.it, j.subnet.it
	if t.VPC != sub.VPC {
		return nil, fail("InvalidParameterValue", "Route table %s and network %s belong to different networks", t.ID, sub.ID)
	}
	a := &association{
		meta:  meta{ID: kindAssociation.newID(), Account: c.Account, VPC: t.VPC, Created: c.Now},
		Table: t.ID, Subnet: sub.ID,
	}
	return func(tx *store.Tx) (*ec2.AssociateRouteTableOutput, error) {
		n, err := change(tx, t.VPC)
		if err != nil {
			return nil, err
		}
		for _, other := range n.associations {
			if other.Subnet == sub.ID {
				return nil, fail("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", t.ID)
			}
		}
		return &ec2.AssociateRouteTableOutput{
			AssociationId:    a.ID,
			AssociationState: &ec2.RouteTableAssociationState{State: ec2.RouteTableAssociationStateCodeAssociated},
		}, s.put(tx, a)
	}, nil
}

func (s *Service) endedAssociation(_ context.Context, c *api.Call, in *ec2.DisassociateRouteTableInput) (*found[*association], []api.Demand, error) {
	return s.associated(c, "DisassociateRouteTable", in.AssociationId)
}

// associated finds an association and demands an action on its route table and its
// subnet, if it has one: it has no ARN of its own.
func (s *Service) associated(c *api.Call, action, id string) (*found[*association], []api.Demand, error) {
	f, err := find[*association](s, c, id)
	if err != nil {
		return nil, nil, err
	}
	if f.missing() {
		any := f.demand(action)
		any.Resource.ARN = s.arn(c.Account, kindTable, "*")
		return f, []api.Demand{any}, nil
	}
	t, err := find[*table](s, c, f.it.Table)
	if err != nil {
		return nil, nil, err
	}
	demands := []api.Demand{t.demand(action)}
	if f.it.Subnet != "" {
		sub, err := find[*subnet](s, c, f.it.Subnet)
		if err != nil {
			return nil, nil, err
		}
		demands = append(demands, sub.demand(action))
	}
	return f, demands, nil
}

func (s *Service) disassociateRouteTable(_ context.Context, _ *api.Call, _ *ec2.DisassociateRouteTableInput, f *found[*association]) (api.Commit[ec2.DisassociateRouteTableOutput], error) {
	if f.it.Subnet == "" {
		return nil, fail("InvalidParameterValue", "cannot disassociate the main route table association %s", f.it.ID)
	}
	return func(tx *store.Tx) (*ec2.DisassociateRouteTableOutput, error) {
		return &ec2.DisassociateRouteTableOutput{}, s.drop(tx, f.it)
	}, nil
}

// A swap is an association and the table that is to be in the place of its own.
type swap struct {
	old   *found[*association]
	table *found[*table]
}

// replacedAssociation demands the action on both tables and on the subnet: the table
// that it has loses a subnet, as it does by DisassociateRouteTable.
func (s *Service) replacedAssociation(_ context.Context, c *api.Call, in *ec2.ReplaceRouteTableAssociationInput) (*swap, []api.Demand, error) {
	const action = "ReplaceRouteTableAssociation"
	t, err := find[*table](s, c, in.RouteTableId)
	if err != nil {
		return nil, nil, err
	}
	old, demands, err := s.associated(c, action, in.AssociationId)
	return &swap{old, t}, append([]api.Demand{t.demand(action)}, demands...), err
}

func (s *Service) replaceRouteTableAssociation(_ context.Context, c *api.Call, in *ec2.ReplaceRouteTableAssociationInput, w *swap) (api.Commit[ec2.ReplaceRouteTableAssociationOutput], error) {
	old, t := w.old.it, w.table.it
	if t.VPC != old.VPC {
		return nil, fail("InvalidParameterValue", "Route table %s and association %s belong to different networks", t.ID, old.ID)
	}
	fresh := &association{
		meta:  meta{ID: kindAssociation.newID(), Account: c.Account, VPC: t.VPC, Created: c.Now},
		Table: t.ID, Subnet: old.Subnet,
	}
	return func(tx *store.Tx) (*ec2.ReplaceRouteTableAssociationOutput, error) {
		n, err := change(tx, t.VPC)
		switch {
		case err != nil:
			return nil, err
		case byID(n.associations, old.ID) == nil:
			return nil, kindAssociation.missing(old.ID)
		case byID(n.tables, t.ID) == nil:
			return nil, kindTable.missing(t.ID)
		}
		if err := s.drop(tx, old); err != nil {
			return nil, err
		}
		return &ec2.ReplaceRouteTableAssociationOutput{
			NewAssociationId: fresh.ID,
			AssociationState: &ec2.RouteTableAssociationState{State: ec2.RouteTableAssociationStateCodeAssociated},
		}, s.put(tx, fresh)
	}, nil
}
