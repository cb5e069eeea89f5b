package netmodel

import (
	"fmt"
	"net/netip"

	"pgregory.net/rapid"
)

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

// randomVPC draws a small valid VPC in which rules of every kind meet.
func randomVPC(t *rapid.T) *VPC {
	v := &VPC{
		ID: "vpc-r", Account: "123456789012", CIDRs: []netip.Prefix{prefix("10.9.0.0/16")},
		RouteTables: []RouteTable{{ID: "rtb-0"}, {ID: "rtb-1"}},
		Subnets:     []Subnet{{ID: "subnet-0", CIDR: prefix("10.9.0.0/24"), RouteTable: "rtb-0"}, {ID: "subnet-1", CIDR: prefix("10.9.1.0/24"), RouteTable: "rtb-1"}},
		PrefixLists: []PrefixList{{"pl-own", []netip.Prefix{prefix("10.9.0.0/27"), prefix("10.9.0.0/25"), prefix("10.9.1.5/32")}}},
		FlowLogs:    rapid.Bool().Draw(t, "flowLogs"),
	}
	groups := []string{"sg-0", "sg-1", "sg-2"}
	rule := rapid.Custom(func(t *rapid.T) Rule {
		r := Rule{Protocol: rapid.SampledFrom([]Protocol{TCP, TCP, UDP, ICMP, AllProtocols, 47}).Draw(t, "protocol")}
		switch {
		case r.Protocol.hasPorts():
			r.FromPort = rapid.SampledFrom([]int{0, 80, 443}).Draw(t, "from")
			r.ToPort = rapid.SampledFrom([]int{443, 8000, 65535}).Draw(t, "to")
		case r.Protocol == ICMP:
			r.FromPort = rapid.SampledFrom([]int{-1, 8}).Draw(t, "type")
			r.ToPort = -1
		}
		switch rapid.IntRange(0, 3).Draw(t, "peer") {
		case 0:
			r.Group = rapid.SampledFrom(groups).Draw(t, "group")
		case 1:
			r.PrefixList = rapid.SampledFrom([]string{"pl-own", "pl-gw"}).Draw(t, "list")
		default:
			r.CIDR = prefix(rapid.SampledFrom([]string{"0.0.0.0/0", "10.9.0.0/24", "10.9.1.0/24", "10.9.0.5/32", "169.254.171.0/24"}).Draw(t, "cidr"))
		}
		return r
	})
	for _, g := range groups {
		v.SecurityGroups = append(v.SecurityGroups, SecurityGroup{g,
			rapid.SliceOfN(rule, 0, 3).Draw(t, "ingress"), rapid.SliceOfN(rule, 0, 3).Draw(t, "egress")})
	}
	member := rapid.SliceOfNDistinct(rapid.SampledFrom(groups), 0, 3, rapid.ID)
	for i := range rapid.IntRange(1, 4).Draw(t, "interfaces") {
		v.Interfaces = append(v.Interfaces, Interface{ID: fmt.Sprintf("eni-%d", i), Subnet: fmt.Sprintf("subnet-%d", i%2),
			Address: addr(fmt.Sprintf("10.9.%d.%d", i%2, 5+i/2)), Groups: member.Draw(t, "groups"),
			Workload: "w", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i)})
	}
	v.Endpoints = []Endpoint{
		{ID: "vpce-g", Type: GatewayEndpoint, Service: "s3", Ports: []uint16{443, 80}, PrefixList: "pl-gw",
			RouteTables: rapid.SampledFrom([][]string{nil, {"rtb-0"}, {"rtb-0", "rtb-1"}}).Draw(t, "tables"),
			Addresses:   []EndpointAddress{{Address: addr("169.254.171.7")}}},
		{ID: "vpce-i", Type: InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: member.Draw(t, "doorGroups"),
			Addresses: []EndpointAddress{{"subnet-0", addr("10.9.0.100")}, {"subnet-1", addr("10.9.1.100")}}},
	}
	return v
}
