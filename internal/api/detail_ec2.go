package api

import "net/netip"

// A Subnet is what its owner lets other services see of an EC2 subnet, under
// Foreign.Detail.
type Subnet struct {
	ID, VPC, Account string
	CIDR             netip.Prefix
	AvailabilityZone string
}

// A SecurityGroup is what its owner lets other services see of an EC2 security
// group, under Foreign.Detail.
type SecurityGroup struct {
	ID, VPC, Account, Name string
}

// A Reservation asks for a network interface for a workload.
type Reservation struct {
	Account          string   // must own the subnets and groups
	SubnetIDs        []string // of one VPC; the first with a free address is taken
	SecurityGroupIDs []string // of the same VPC
	Workload         string   // the host's id of the workload
	Owner            string   // ARN of what the workload is
	Service          string   // that asks: "sagemaker"
	Description      string
}

// An EndpointRef is the VPC endpoint by which something in a VPC reaches a
// service.
type EndpointRef struct {
	ID, VPC, Account string
	Address          netip.Addr
}
