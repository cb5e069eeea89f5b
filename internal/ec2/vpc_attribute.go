package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) readAttribute(_ context.Context, c *api.Call, in *ec2.DescribeVpcAttributeInput) (*found[*vpc], []api.Demand, error) {
	return one[*vpc](s, c, "DescribeVpcAttribute", in.VpcId)
}

func (s *Service) describeVPCAttribute(_ context.Context, _ *api.Call, in *ec2.DescribeVpcAttributeInput, f *found[*vpc]) (*ec2.DescribeVpcAttributeOutput, error) {
	out := &ec2.DescribeVpcAttributeOutput{VpcId: f.it.ID}
	switch in.Attribute {
	case ec2.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &ec2.AttributeBooleanValue{Value: &f.it.DNSSupport}
	case ec2.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &ec2.AttributeBooleanValue{Value: &f.it.DNSHostnames}
	case ec2.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &ec2.AttributeBooleanValue{Value: ptr(false)}
	default:
		return nil, invalidValue(in.Attribute, "attribute", "Unknown attribute.")
	}
	return out, nil
}

func (s *Service) changedAttribute(_ context.Context, c *api.Call, in *ec2.ModifyVpcAttributeInput) (*found[*vpc], []api.Demand, error) {
	return changing[*vpc](s, c, "ModifyVpcAttribute", in.VpcId,
		given{"EnableDnsSupport", in.EnableDnsSupport != nil}, given{"EnableDnsHostnames", in.EnableDnsHostnames != nil})
}

func (s *Service) modifyVPCAttribute(_ context.Context, _ *api.Call, in *ec2.ModifyVpcAttributeInput, f *found[*vpc]) (api.Commit[ec2.ModifyVpcAttributeOutput], error) {
	support, hostnames := in.EnableDnsSupport, in.EnableDnsHostnames
	switch {
	case support != nil && hostnames != nil:
		return nil, fail("InvalidParameterCombination", "Fields for multiple attribute types specified: enableDnsSupport, enableDnsHostnames")
	case support != nil && support.Value != nil, hostnames != nil && hostnames.Value != nil:
	default:
		return nil, missingParameter("attribute")
	}
	return func(tx *store.Tx) (*ec2.ModifyVpcAttributeOutput, error) {
		n, err := change(tx, f.it.ID)
		if err != nil {
			return nil, err
		}
		if support != nil {
			n.vpc.DNSSupport = *support.Value
		} else {
			n.vpc.DNSHostnames = *hostnames.Value
		}
		return &ec2.ModifyVpcAttributeOutput{}, s.put(tx, n.vpc)
	}, nil
}
