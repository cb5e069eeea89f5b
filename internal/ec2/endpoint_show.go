package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

func (e *endpoint) typed() ec2.VpcEndpointType {
	if e.Gateway {
		return ec2.VpcEndpointTypeGateway
	}
	return ec2.VpcEndpointTypeInterface
}

// ownName is the name that an interface endpoint has whether private DNS is on or
// not.
func (s *Service) ownName(e *endpoint) string {
	return e.ID + "." + s.ownLabel(e.Service) + ".vpce.amazonaws.com"
}

// ownLabel is the service and the region in such a name.
func (s *Service) ownLabel(service string) string {
	switch service {
	case "sagemaker.api":
		service = "api.sagemaker"
	case "sagemaker.runtime":
		service = "runtime.sagemaker"
	case "organizations":
		return service + ".us-east-1"
	}
	return service + "." + s.Region
}

func (s *Service) showEndpoint(n *network, e *endpoint) ec2.VpcEndpoint {
	out := ec2.VpcEndpoint{
		VpcEndpointId: e.ID, VpcEndpointType: e.typed(), VpcId: e.VPC, OwnerId: e.Account, ServiceName: s.serviceName(e.Service),
		State: ec2.State(e.state()), PolicyDocument: e.Policy, PrivateDnsEnabled: &e.PrivateDNS, RequesterManaged: ptr(false),
		IpAddressType: "ipv4", CreationTimestamp: e.Created, RouteTableIds: e.RouteTables, Tags: tagList(e.Tags),
	}
	if e.Policy == "" && !e.private() {
		out.PolicyDocument = defaultPolicy
	}
	for _, i := range n.interfacesOf(e) {
		out.NetworkInterfaceIds = append(out.NetworkInterfaceIds, i.ID)
		out.SubnetIds = append(out.SubnetIds, i.Subnet)
	}
	for _, id := range e.Groups {
		out.Groups = append(out.Groups, ec2.SecurityGroupIdentifier{GroupId: id, GroupName: byID(n.groups, id).Name})
	}
	if !e.Gateway {
		out.DnsEntries = append(out.DnsEntries, ec2.DnsEntry{DnsName: s.ownName(e)})
	}
	if e.PrivateDNS {
		for _, name := range offered()[e.Service](s.Region) {
			out.DnsEntries = append(out.DnsEntries, ec2.DnsEntry{DnsName: name})
		}
	}
	return out
}

func (s *Service) describeVPCEndpoints(_ context.Context, c *api.Call, in *ec2.DescribeVpcEndpointsInput, _ struct{}) (*ec2.DescribeVpcEndpointsOutput, error) {
	list, next, err := list(s, c, listing[*endpoint, ec2.VpcEndpoint]{
		items: func(n *network) []*endpoint { return n.endpoints },
		filters: filters[*endpoint]{
			"ip-address-type":    func(*network, *endpoint) []string { return []string{"ipv4"} },
			"service-region":     func(*network, *endpoint) []string { return []string{s.Region} },
			"service-name":       func(_ *network, e *endpoint) []string { return []string{s.serviceName(e.Service)} },
			"vpc-endpoint-id":    func(_ *network, e *endpoint) []string { return []string{e.ID} },
			"vpc-endpoint-state": func(_ *network, e *endpoint) []string { return []string{e.state()} },
			"vpc-endpoint-type":  func(_ *network, e *endpoint) []string { return []string{string(e.typed())} },
			"vpc-id":             func(_ *network, e *endpoint) []string { return []string{e.VPC} },
		},
		show: s.showEndpoint,
	}, ask{in.VpcEndpointIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: list, NextToken: next}, err
}
