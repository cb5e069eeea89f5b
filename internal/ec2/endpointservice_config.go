package ec2

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) newEndpointService(_ context.Context, c *api.Call, in *ec2.CreateVpcEndpointServiceConfigurationInput) (meta, []api.Demand, error) {
	m, demands := s.creation(c, "CreateVpcEndpointServiceConfiguration", kindService, "", in.TagSpecifications)
	demands[0].Keys.Set("ec2:VpceServiceRegion", s.Region)
	return m, demands, nil
}

func (s *Service) createEndpointService(_ context.Context, c *api.Call, in *ec2.CreateVpcEndpointServiceConfigurationInput, m meta) (api.Commit[ec2.CreateVpcEndpointServiceConfigurationOutput], error) {
	for _, t := range in.SupportedIpAddressTypes {
		if t != string(ec2.ServiceConnectivityTypeIpv4) {
			return nil, fail("InvalidParameter", "SupportedIpAddressTypes %.40s is not supported: networks here are IPv4.", t)
		}
	}
	return func(tx *store.Tx) (*ec2.CreateVpcEndpointServiceConfigurationOutput, error) {
		made, err := once(tx, c, "CreateVpcEndpointServiceConfiguration", in.ClientToken, in, func() ([]string, error) {
			count, err := countOf(tx, c.Account, kindService)
			if err != nil {
				return nil, err
			}
			if count >= maxServices {
				return nil, fail("VpcEndpointServiceLimitExceeded", "The maximum number of VPC endpoint services has been reached.")
			}
			// Who said nothing lets nobody in unasked.
			v := &endpointService{meta: m, Acceptance: in.AcceptanceRequired == nil || *in.AcceptanceRequired}
			if err := s.retarget(tx, v, in.NetworkLoadBalancerArns, nil); err != nil {
				return nil, err
			}
			if err := s.put(tx, v); err != nil {
				return nil, err
			}
			return []string{v.ID}, s.dial(tx, v, nil, c.Now)
		})
		if err != nil {
			return nil, err
		}
		v, err := owned[*endpointService](tx, c.Account, made[0])
		if err != nil {
			return nil, err
		}
		return &ec2.CreateVpcEndpointServiceConfigurationOutput{ServiceConfiguration: ptr(s.showEndpointService(v)), ClientToken: in.ClientToken}, nil
	}, nil
}

func (s *Service) changedEndpointService(_ context.Context, c *api.Call, in *ec2.ModifyVpcEndpointServiceConfigurationInput) (*found[*endpointService], []api.Demand, error) {
	return changing[*endpointService](s, c, "ModifyVpcEndpointServiceConfiguration", in.ServiceId,
		given{"AcceptanceRequired", in.AcceptanceRequired != nil}, given{"AddNetworkLoadBalancerArns", len(in.AddNetworkLoadBalancerArns) > 0},
		given{"RemoveNetworkLoadBalancerArns", len(in.RemoveNetworkLoadBalancerArns) > 0})
}

// modifyEndpointService takes load balancers away also while endpoints lead to the
// service, which AWS refuses: what lies behind it here is a workload, which comes and
// goes.
func (s *Service) modifyEndpointService(_ context.Context, c *api.Call, in *ec2.ModifyVpcEndpointServiceConfigurationInput, f *found[*endpointService]) (api.Commit[ec2.ModifyVpcEndpointServiceConfigurationOutput], error) {
	return func(tx *store.Tx) (*ec2.ModifyVpcEndpointServiceConfigurationOutput, error) {
		v, err := owned[*endpointService](tx, c.Account, f.it.ID)
		if err != nil {
			return nil, err
		}
		before := v.vpcs()
		if in.AcceptanceRequired != nil {
			v.Acceptance = *in.AcceptanceRequired
		}
		if err := s.retarget(tx, v, in.AddNetworkLoadBalancerArns, in.RemoveNetworkLoadBalancerArns); err != nil {
			return nil, err
		}
		if err := s.put(tx, v); err != nil {
			return nil, err
		}
		if err := s.dial(tx, v, before, c.Now); err != nil {
			return nil, err
		}
		return &ec2.ModifyVpcEndpointServiceConfigurationOutput{Return: ptr(true)}, s.touchService(tx, v)
	}, nil
}

func (s *Service) deletedEndpointServices(_ context.Context, c *api.Call, in *ec2.DeleteVpcEndpointServiceConfigurationsInput) ([]*found[*endpointService], []api.Demand, error) {
	return several[*endpointService](s, c, "DeleteVpcEndpointServiceConfigurations", in.ServiceIds)
}

func (s *Service) deleteEndpointServices(_ context.Context, c *api.Call, _ *ec2.DeleteVpcEndpointServiceConfigurationsInput, all []*found[*endpointService]) (api.Commit[ec2.DeleteVpcEndpointServiceConfigurationsOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteVpcEndpointServiceConfigurationsOutput, error) {
		out := &ec2.DeleteVpcEndpointServiceConfigurationsOutput{Unsuccessful: unsuccessful(all)}
		for _, f := range all {
			if f.missing() {
				continue
			}
			led, err := connections(tx, f.it.ID)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(led, func(e *endpoint) bool { return e.state() != endpointRejected }) {
				out.Unsuccessful = append(out.Unsuccessful, refusedItem(f.it.ID,
					fail("ExistingVpcEndpointConnections", "Service %s has existing active VPC Endpoint connections!", f.it.ID)))
				continue
			}
			if err := s.withdraw(tx, f.it, c); err != nil {
				return nil, err
			}
		}
		return out, nil
	}, nil
}

// withdraw deletes a service with the interfaces that it connected from.
func (s *Service) withdraw(tx *store.Tx, v *endpointService, c *api.Call) error {
	if err := s.touchService(tx, v); err != nil {
		return err
	}
	if err := s.drop(tx, v); err != nil {
		return err
	}
	return s.dial(tx, &endpointService{meta: v.meta}, v.vpcs(), c.Now)
}

func refusedItem(id string, e *api.Error) ec2.UnsuccessfulItem {
	return ec2.UnsuccessfulItem{ResourceId: id, Error: &ec2.UnsuccessfulItemError{Code: e.Code, Message: e.Message}}
}

func (s *Service) showEndpointService(v *endpointService) ec2.ServiceConfiguration {
	out := ec2.ServiceConfiguration{
		ServiceId: v.ID, ServiceName: s.serviceName(v.ID), ServiceState: ec2.ServiceStateAvailable,
		ServiceType:       []ec2.ServiceTypeDetail{{ServiceType: ec2.ServiceTypeInterface}},
		AvailabilityZones: []string{s.zone()}, AvailabilityZoneIds: []string{s.zoneID()},
		AcceptanceRequired: &v.Acceptance, ManagesVpcEndpoints: ptr(false),
		SupportedIpAddressTypes: []ec2.ServiceConnectivityType{ec2.ServiceConnectivityTypeIpv4},
		BaseEndpointDnsNames:    []string{v.ID + "." + s.Region + ".vpce.amazonaws.com"}, Tags: tagList(v.Tags),
	}
	for _, t := range v.Targets {
		out.NetworkLoadBalancerArns = append(out.NetworkLoadBalancerArns, s.targetARN(v.Account, t))
	}
	return out
}

func (s *Service) describeEndpointServiceConfigurations(_ context.Context, c *api.Call, in *ec2.DescribeVpcEndpointServiceConfigurationsInput, _ struct{}) (*ec2.DescribeVpcEndpointServiceConfigurationsOutput, error) {
	list, next, err := listRegional(c, regional[*endpointService, ec2.ServiceConfiguration]{
		items: ofKind[*endpointService],
		filters: map[string]func(*endpointService) []string{
			"service-id":                 func(v *endpointService) []string { return []string{v.ID} },
			"service-name":               func(v *endpointService) []string { return []string{s.serviceName(v.ID)} },
			"service-state":              func(*endpointService) []string { return []string{string(ec2.ServiceStateAvailable)} },
			"supported-ip-address-types": func(*endpointService) []string { return []string{"ipv4"} },
		},
		show: s.showEndpointService,
	}, ask{in.ServiceIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeVpcEndpointServiceConfigurationsOutput{ServiceConfigurations: list, NextToken: next}, err
}
