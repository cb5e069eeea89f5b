package ec2

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) acceptedConnections(_ context.Context, c *api.Call, in *ec2.AcceptVpcEndpointConnectionsInput) (*found[*endpointService], []api.Demand, error) {
	return one[*endpointService](s, c, "AcceptVpcEndpointConnections", in.ServiceId)
}

func (s *Service) acceptConnections(_ context.Context, c *api.Call, in *ec2.AcceptVpcEndpointConnectionsInput, f *found[*endpointService]) (api.Commit[ec2.AcceptVpcEndpointConnectionsOutput], error) {
	return func(tx *store.Tx) (*ec2.AcceptVpcEndpointConnectionsOutput, error) {
		failed, err := s.settle(tx, c, f.it.ID, in.VpcEndpointIds, endpointAvailable, endpointPending, endpointRejected)
		return &ec2.AcceptVpcEndpointConnectionsOutput{Unsuccessful: failed}, err
	}, nil
}

func (s *Service) rejectedConnections(_ context.Context, c *api.Call, in *ec2.RejectVpcEndpointConnectionsInput) (*found[*endpointService], []api.Demand, error) {
	return one[*endpointService](s, c, "RejectVpcEndpointConnections", in.ServiceId)
}

func (s *Service) rejectConnections(_ context.Context, c *api.Call, in *ec2.RejectVpcEndpointConnectionsInput, f *found[*endpointService]) (api.Commit[ec2.RejectVpcEndpointConnectionsOutput], error) {
	return func(tx *store.Tx) (*ec2.RejectVpcEndpointConnectionsOutput, error) {
		failed, err := s.settle(tx, c, f.it.ID, in.VpcEndpointIds, endpointRejected, endpointPending, endpointAvailable)
		return &ec2.RejectVpcEndpointConnectionsOutput{Unsuccessful: failed}, err
	}, nil
}

// settle puts endpoints that lead to a service into a state, from one of others, and
// answers those that it could not. An endpoint that does not lead to it is missing.
func (s *Service) settle(tx *store.Tx, c *api.Call, serviceID string, ids []string, state string, from ...string) ([]ec2.UnsuccessfulItem, error) {
	if len(ids) == 0 || len(ids) > maxNamed {
		return nil, fail("InvalidParameterValue", "A request names 1 to %d endpoints.", maxNamed)
	}
	v, err := owned[*endpointService](tx, c.Account, serviceID)
	if err != nil {
		return nil, err
	}
	led, err := connections(tx, v.ID)
	if err != nil {
		return nil, err
	}
	var failed []ec2.UnsuccessfulItem
	for _, id := range unique(ids) {
		e := byID(led, id)
		switch {
		case !kindEndpoint.names(id):
			failed = append(failed, refusedItem(id, kindEndpoint.malformed(id)))
		case e == nil:
			failed = append(failed, refusedItem(id, kindEndpoint.missing(id)))
		case !slices.Contains(from, e.state()):
			failed = append(failed, refusedItem(id, fail("InvalidState", "VPC endpoint %s is in the state %s.", id, e.state())))
		default:
			e.State = state
			if err := s.put(tx, e); err != nil {
				return nil, err
			}
		}
	}
	return failed, nil
}

func (s *Service) describeConnections(_ context.Context, c *api.Call, in *ec2.DescribeVpcEndpointConnectionsInput, _ struct{}) (*ec2.DescribeVpcEndpointConnectionsOutput, error) {
	services := map[string]*endpointService{}
	list, next, err := listRegional(c, regional[*endpoint, ec2.VpcEndpointConnection]{
		items: func(q store.Querier, account string) ([]*endpoint, error) {
			own, err := ofKind[*endpointService](q, account)
			if err != nil {
				return nil, err
			}
			var all []*endpoint
			for _, v := range own {
				services[v.ID] = v
				led, err := connections(q, v.ID)
				if err != nil {
					return nil, err
				}
				all = append(all, led...)
			}
			for _, e := range all {
				e.Tags = nil // are its owner's
			}
			return all, nil
		},
		filters: map[string]func(*endpoint) []string{
			"ip-address-type":     func(*endpoint) []string { return []string{"ipv4"} },
			"service-id":          func(e *endpoint) []string { return []string{e.Service} },
			"vpc-endpoint-id":     func(e *endpoint) []string { return []string{e.ID} },
			"vpc-endpoint-owner":  func(e *endpoint) []string { return []string{e.Account} },
			"vpc-endpoint-region": func(*endpoint) []string { return []string{s.Region} },
			"vpc-endpoint-state":  func(e *endpoint) []string { return []string{e.state()} },
		},
		show: func(e *endpoint) ec2.VpcEndpointConnection {
			out := ec2.VpcEndpointConnection{
				ServiceId: e.Service, VpcEndpointId: e.ID, VpcEndpointOwner: e.Account, VpcEndpointState: ec2.State(e.state()),
				CreationTimestamp: e.Created, IpAddressType: "ipv4", DnsEntries: []ec2.DnsEntry{{DnsName: s.ownName(e)}},
				VpcEndpointConnectionId: "vpce-con-" + e.ID[len(kindEndpoint.prefix):],
			}
			v := services[e.Service]
			for _, t := range v.Targets {
				out.NetworkLoadBalancerArns = append(out.NetworkLoadBalancerArns, s.targetARN(v.Account, t))
			}
			return out
		},
	}, ask{nil, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeVpcEndpointConnectionsOutput{VpcEndpointConnections: list, NextToken: next}, err
}
