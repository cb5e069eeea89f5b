package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// An internetGateway belongs to no VPC until it is attached to one. It carries no
// packet: nobody here has an address in the internet. A NAT gateway works only in a
// VPC that has one, in a subnet whose default route leads to it.
type internetGateway struct {
	meta
	Attached string `json:"attached,omitzero"` // VPC
}

func (*internetGateway) kind() *kind { return kindInternet }

const maxInternetGateways = maxVPCs // of an account

func (s *Service) newInternetGateway(_ context.Context, c *api.Call, in *ec2.CreateInternetGatewayInput) (meta, []api.Demand, error) {
	m, demands := s.creation(c, "CreateInternetGateway", kindInternet, "", in.TagSpecifications)
	return m, demands, nil
}

func (s *Service) createInternetGateway(_ context.Context, c *api.Call, _ *ec2.CreateInternetGatewayInput, m meta) (api.Commit[ec2.CreateInternetGatewayOutput], error) {
	g := &internetGateway{meta: m}
	return func(tx *store.Tx) (*ec2.CreateInternetGatewayOutput, error) {
		count, err := countOf(tx, c.Account, kindInternet)
		if err != nil {
			return nil, err
		}
		if count >= maxInternetGateways {
			return nil, fail("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")
		}
		return &ec2.CreateInternetGatewayOutput{InternetGateway: ptr(showInternetGateway(g))}, s.put(tx, g)
	}, nil
}

// countOf is how many resources of a kind an account has.
func countOf(q store.Querier, account string, k *kind) (count int, err error) {
	return count, q.QueryRow("SELECT count(*) FROM ec2_resources WHERE account = ? AND kind = ?", account, k.name).Scan(&count)
}

func showInternetGateway(g *internetGateway) ec2.InternetGateway {
	out := ec2.InternetGateway{InternetGatewayId: g.ID, OwnerId: g.Account, Tags: tagList(g.Tags)}
	if g.Attached != "" {
		out.Attachments = []ec2.InternetGatewayAttachment{{VpcId: g.Attached, State: "available"}} // AWS's word for attached
	}
	return out
}

func (s *Service) describeInternetGateways(_ context.Context, c *api.Call, in *ec2.DescribeInternetGatewaysInput, _ struct{}) (*ec2.DescribeInternetGatewaysOutput, error) {
	list, next, err := listRegional(c, regional[*internetGateway, ec2.InternetGateway]{
		items: ofKind[*internetGateway],
		filters: map[string]func(*internetGateway) []string{
			"attachment.state": func(g *internetGateway) []string {
				if g.Attached == "" {
					return nil
				}
				return []string{"available"}
			},
			"attachment.vpc-id":   func(g *internetGateway) []string { return []string{g.Attached} },
			"internet-gateway-id": func(g *internetGateway) []string { return []string{g.ID} },
			"owner-id":            func(g *internetGateway) []string { return []string{g.Account} },
		},
		show: showInternetGateway,
	}, ask{in.InternetGatewayIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: list, NextToken: next}, err
}

func (s *Service) deletedInternetGateway(_ context.Context, c *api.Call, in *ec2.DeleteInternetGatewayInput) (*found[*internetGateway], []api.Demand, error) {
	return one[*internetGateway](s, c, "DeleteInternetGateway", in.InternetGatewayId)
}

func (s *Service) deleteInternetGateway(_ context.Context, c *api.Call, _ *ec2.DeleteInternetGatewayInput, f *found[*internetGateway]) (api.Commit[ec2.DeleteInternetGatewayOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteInternetGatewayOutput, error) {
		g, err := owned[*internetGateway](tx, c.Account, f.it.ID)
		if err != nil {
			return nil, err
		}
		if g.Attached != "" {
			return nil, inUse(g.ID, "it is attached to "+g.Attached)
		}
		return &ec2.DeleteInternetGatewayOutput{}, s.drop(tx, g)
	}, nil
}

// A mooring is an internet gateway and a VPC.
type mooring struct {
	gateway *found[*internetGateway]
	vpc     *found[*vpc]
}

func (s *Service) moored(c *api.Call, action, gatewayID, vpcID string) (*mooring, []api.Demand, error) {
	g, err := find[*internetGateway](s, c, gatewayID)
	if err != nil {
		return nil, nil, err
	}
	v, err := find[*vpc](s, c, vpcID)
	if err != nil {
		return nil, nil, err
	}
	return &mooring{g, v}, []api.Demand{g.demand(action), v.demand(action)}, nil
}

// now reads both inside a change.
func (m *mooring) now(tx *store.Tx, account string) (*internetGateway, *network, error) {
	g, err := owned[*internetGateway](tx, account, m.gateway.it.ID)
	if err != nil {
		return nil, nil, err
	}
	n, err := change(tx, m.vpc.it.ID)
	return g, n, err
}

func (s *Service) attachedGateway(_ context.Context, c *api.Call, in *ec2.AttachInternetGatewayInput) (*mooring, []api.Demand, error) {
	return s.moored(c, "AttachInternetGateway", in.InternetGatewayId, in.VpcId)
}

func (s *Service) attachInternetGateway(_ context.Context, c *api.Call, _ *ec2.AttachInternetGatewayInput, m *mooring) (api.Commit[ec2.AttachInternetGatewayOutput], error) {
	return func(tx *store.Tx) (*ec2.AttachInternetGatewayOutput, error) {
		g, n, err := m.now(tx, c.Account)
		if err != nil {
			return nil, err
		}
		switch {
		case g.Attached != "":
			return nil, fail("Resource.AlreadyAssociated", "resource %s is already attached to network %s", g.ID, g.Attached)
		case n.internet != nil:
			return nil, fail("InvalidParameterValue", "Network %s already has an internet gateway attached", n.vpc.ID)
		}
		g.Attached = n.vpc.ID
		return &ec2.AttachInternetGatewayOutput{}, s.put(tx, g)
	}, nil
}

func (s *Service) detachedGateway(_ context.Context, c *api.Call, in *ec2.DetachInternetGatewayInput) (*mooring, []api.Demand, error) {
	return s.moored(c, "DetachInternetGateway", in.InternetGatewayId, in.VpcId)
}

func (s *Service) detachInternetGateway(_ context.Context, c *api.Call, _ *ec2.DetachInternetGatewayInput, m *mooring) (api.Commit[ec2.DetachInternetGatewayOutput], error) {
	return func(tx *store.Tx) (*ec2.DetachInternetGatewayOutput, error) {
		g, n, err := m.now(tx, c.Account)
		if err != nil {
			return nil, err
		}
		if g.Attached != n.vpc.ID {
			return nil, fail("Gateway.NotAttached", "resource %s is not attached to network %s", g.ID, n.vpc.ID)
		}
		for _, nat := range n.nats {
			if !nat.Private {
				return nil, fail("DependencyViolation", "Network %s has the public NAT gateway %s. Delete it before detaching the gateway.", n.vpc.ID, nat.ID)
			}
		}
		g.Attached = ""
		if err := s.touchNetworks(tx, n.vpc.ID); err != nil {
			return nil, err
		}
		return &ec2.DetachInternetGatewayOutput{}, s.put(tx, g)
	}, nil
}
