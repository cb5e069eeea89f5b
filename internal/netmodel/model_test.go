package netmodel

import "net/netip"

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func tcp(from, to int) Rule { return Rule{Protocol: TCP, FromPort: from, ToPort: to} }

func (r Rule) with(cidr, group, list string) Rule {
	if cidr != "" {
		r.CIDR = prefix(cidr)
	}
	r.Group, r.PrefixList = group, list
	return r
}

// hospital is a VPC with two subnets, of which only the first has a route to S3, a database that trainers may reach, and
// an interface endpoint for KMS that trainers may reach too.
func hospital() *VPC {
	return &VPC{
		ID: "vpc-1", Account: "123456789012", CIDRs: []netip.Prefix{prefix("10.50.0.0/16")},
		RouteTables: []RouteTable{{ID: "rtb-s3"}, {ID: "rtb-none"}},
		Subnets:     []Subnet{{ID: "subnet-a", CIDR: prefix("10.50.0.0/24"), RouteTable: "rtb-s3"}, {ID: "subnet-b", CIDR: prefix("10.50.1.0/24"), RouteTable: "rtb-none"}},
		SecurityGroups: []SecurityGroup{
			{ID: "sg-train", Egress: []Rule{
				tcp(5432, 5432).with("", "sg-db", ""), tcp(443, 443).with("", "sg-door", ""), tcp(443, 443).with("", "", "pl-s3"),
			}},
			{ID: "sg-db", Ingress: []Rule{tcp(5432, 5432).with("", "sg-train", "")}, Egress: []Rule{{Protocol: AllProtocols, CIDR: prefix("0.0.0.0/0")}}},
			{ID: "sg-door", Ingress: []Rule{tcp(0, 65535).with("", "sg-train", "")}},
		},
		Endpoints: []Endpoint{
			{ID: "vpce-s3", Type: GatewayEndpoint, Service: "s3", Ports: []uint16{443}, PrefixList: "pl-s3", RouteTables: []string{"rtb-s3"},
				Addresses: []EndpointAddress{{Address: addr("169.254.171.1")}},
				Names:     []string{"s3.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com"}},
			{ID: "vpce-kms", Type: InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: []string{"sg-door"},
				Addresses: []EndpointAddress{{"subnet-a", addr("10.50.0.200")}, {"subnet-b", addr("10.50.1.200")}},
				Names:     []string{"kms.us-east-1.amazonaws.com"}},
		},
		Interfaces: []Interface{
			{ID: "eni-train", Subnet: "subnet-a", Address: addr("10.50.0.10"), Groups: []string{"sg-train"}, Workload: "job-1", MAC: "02:00:00:00:00:01"},
			{ID: "eni-far", Subnet: "subnet-b", Address: addr("10.50.1.10"), Groups: []string{"sg-train"}, Workload: "job-2", MAC: "02:00:00:00:00:02"},
			{ID: "eni-db", Subnet: "subnet-a", Address: addr("10.50.0.11"), Groups: []string{"sg-db"}, Workload: "db-1", MAC: "02:00:00:00:00:03"},
			{ID: "eni-lone", Subnet: "subnet-a", Address: addr("10.50.0.12"), Workload: "job-3", MAC: "02:00:00:00:00:04"},
		},
		FlowLogs: true,
	}
}
