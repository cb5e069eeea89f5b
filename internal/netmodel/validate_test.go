package netmodel

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

func TestValidateRefuses(t *testing.T) {
	if err := hospital().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*VPC){
		"no id":                         func(v *VPC) { v.ID = "" },
		"id that ends a string":         func(v *VPC) { v.ID = `x" accept` },
		"id in capitals":                func(v *VPC) { v.Interfaces[0].ID = "ENI-1" },
		"id with a slash":               func(v *VPC) { v.SecurityGroups[0].ID = "../x" },
		"account":                       func(v *VPC) { v.Account = "12345678901x" },
		"no range":                      func(v *VPC) { v.CIDRs = nil },
		"IPv6 range":                    func(v *VPC) { v.CIDRs[0] = prefix("fd00::/16") },
		"range too wide":                func(v *VPC) { v.CIDRs[0] = prefix("10.0.0.0/8") },
		"range with host bits":          func(v *VPC) { v.CIDRs[0] = prefix("10.50.1.1/16") },
		"loopback range":                func(v *VPC) { v.CIDRs[0] = prefix("127.0.0.0/16") },
		"link-local range":              func(v *VPC) { v.CIDRs[0] = prefix("169.254.0.0/16") },
		"multicast range":               func(v *VPC) { v.CIDRs[0] = prefix("224.0.0.0/16") },
		"overlapping ranges":            func(v *VPC) { v.CIDRs = append(v.CIDRs, prefix("10.50.1.0/24")) },
		"subnet outside":                func(v *VPC) { v.Subnets[0].CIDR = prefix("10.51.0.0/24") },
		"subnets overlap":               func(v *VPC) { v.Subnets[1].CIDR = prefix("10.50.0.128/25") },
		"subnet without table":          func(v *VPC) { v.Subnets[0].RouteTable = "" },
		"table that is a group":         func(v *VPC) { v.Subnets[0].RouteTable = "sg-db" },
		"same id twice":                 func(v *VPC) { v.SecurityGroups[1].ID = "sg-train" },
		"rule with no peer":             func(v *VPC) { v.SecurityGroups[0].Egress[0].Group = "" },
		"rule with two peers":           func(v *VPC) { v.SecurityGroups[0].Egress[0].CIDR = prefix("0.0.0.0/0") },
		"rule with unknown group":       func(v *VPC) { v.SecurityGroups[0].Egress[0].Group = "sg-gone" },
		"rule with unknown list":        func(v *VPC) { v.SecurityGroups[0].Egress[2].PrefixList = "pl-gone" },
		"rule with IPv6":                func(v *VPC) { v.SecurityGroups[1].Egress[0].CIDR = prefix("::/0") },
		"rule with no protocol":         func(v *VPC) { v.SecurityGroups[0].Egress[0].Protocol = 0 },
		"rule for ICMPv6":               func(v *VPC) { v.SecurityGroups[1].Egress[0].Protocol = 58 },
		"ports the wrong way round":     func(v *VPC) { v.SecurityGroups[0].Egress[0].FromPort = 6000 },
		"port too high":                 func(v *VPC) { v.SecurityGroups[0].Egress[0].ToPort = 65536 },
		"ports for all":                 func(v *VPC) { v.SecurityGroups[1].Egress[0].ToPort = 22 },
		"address outside the subnet":    func(v *VPC) { v.Interfaces[0].Address = addr("10.50.1.11") },
		"address twice":                 func(v *VPC) { v.Interfaces[0].Address = v.Interfaces[2].Address },
		"address of an endpoint":        func(v *VPC) { v.Interfaces[0].Address = addr("10.50.0.200") },
		"the resolver's address":        func(v *VPC) { v.Interfaces[0].Address = v.ResolverAddress() },
		"broadcast address":             func(v *VPC) { v.Interfaces[0].Address = addr("10.50.0.255") },
		"no address":                    func(v *VPC) { v.Interfaces[0].Address = netip.Addr{} },
		"IPv4 in IPv6":                  func(v *VPC) { v.Interfaces[0].Address = addr("::ffff:10.50.0.10") },
		"unknown group":                 func(v *VPC) { v.Interfaces[0].Groups = []string{"sg-gone"} },
		"group twice":                   func(v *VPC) { v.Interfaces[0].Groups = []string{"sg-db", "sg-db"} },
		"no workload":                   func(v *VPC) { v.Interfaces[0].Workload = "" },
		"hardware MAC":                  func(v *VPC) { v.Interfaces[0].MAC = "00:1b:21:00:00:01" },
		"multicast MAC":                 func(v *VPC) { v.Interfaces[0].MAC = "03:00:00:00:00:01" },
		"MAC in capitals":               func(v *VPC) { v.Interfaces[0].MAC = "02:00:00:00:00:AA" },
		"MAC with other separators":     func(v *VPC) { v.Interfaces[0].MAC = "02-00-00-00-00-01" },
		"endpoint of no type":           func(v *VPC) { v.Endpoints[0].Type = "" },
		"endpoint without ports":        func(v *VPC) { v.Endpoints[0].Ports = nil },
		"endpoint on port 0":            func(v *VPC) { v.Endpoints[0].Ports = []uint16{0} },
		"gateway with groups":           func(v *VPC) { v.Endpoints[0].Groups = []string{"sg-db"} },
		"gateway on metadata's address": func(v *VPC) { v.Endpoints[0].Addresses[0].Address = Metadata },
		"gateway with two addresses": func(v *VPC) {
			v.Endpoints[0].Addresses = append(v.Endpoints[0].Addresses, EndpointAddress{Address: addr("169.254.171.2")})
		},
		"gateway with unknown table":   func(v *VPC) { v.Endpoints[0].RouteTables = []string{"rtb-gone"} },
		"endpoint with list of routes": func(v *VPC) { v.Endpoints[1].RouteTables = []string{"rtb-s3"} },
		"endpoint twice in a subnet":   func(v *VPC) { v.Endpoints[1].Addresses[1] = EndpointAddress{"subnet-a", addr("10.50.0.201")} },
		"endpoint without address":     func(v *VPC) { v.Endpoints[1].Addresses = nil },
		"name of one label":            func(v *VPC) { v.Endpoints[1].Names = []string{"com"} },
		"wildcard for everything":      func(v *VPC) { v.Endpoints[1].Names = []string{"*"} },
		"wildcard for a top level":     func(v *VPC) { v.Endpoints[1].Names = []string{"*.com"} },
		"name in capitals":             func(v *VPC) { v.Endpoints[1].Names = []string{"KMS.us-east-1.amazonaws.com"} },
		"too many rules":               func(v *VPC) { v.SecurityGroups[0].Egress = make([]Rule, maxRules+1) },
		"too many interfaces":          func(v *VPC) { v.Interfaces = make([]Interface, maxInterfaces+1) },
	} {
		v := hospital()
		spoil(v)
		if v.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if (*VPC)(nil).Validate() == nil || (&VPC{}).Validate() == nil {
		t.Error("the zero VPC is accepted")
	}
}

func TestParseIsStrict(t *testing.T) {
	good, err := hospital().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(string) string{
		"unknown member":  func(s string) string { return strings.Replace(s, `"id":"vpc-1"`, `"id":"vpc-1","allowAll":true`, 1) },
		"duplicate":       func(s string) string { return strings.Replace(s, `"id":"vpc-1"`, `"id":"vpc-1","id":"vpc-2"`, 1) },
		"other case":      func(s string) string { return strings.Replace(s, `"cidrs"`, `"CIDRs"`, 1) },
		"trailing data":   func(s string) string { return s + "{}" },
		"nothing":         func(string) string { return "null" },
		"not valid":       func(s string) string { return strings.Replace(s, `"vpc-1"`, `"VPC 1"`, 1) },
		"larger than max": func(s string) string { return s + strings.Repeat(" ", MaxSize) },
	} {
		if _, err := Parse([]byte(spoil(string(good)))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, err := hospital().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, v := range clinics().VPCs {
		b, err := v.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"id":"vpc-1","account":"123456789012","cidrs":["10.0.0.0/16"],"subnets":[],"routeTables":[],"securityGroups":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := Parse(in)
		if err != nil {
			return
		}
		once, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(once)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := again.Encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not stable: %v\n%s\n%s", err, once, twice)
		}
		// Whatever was let in must be writable without ever leaving its place in the script.
		if err := new(tables).load(Compile(v).Script()); err != nil {
			t.Fatal(err)
		}
		for _, k := range v.Routing().Tables {
			if len(k.Routes) == 0 || k.Routes[0].CIDR.Bits() != 0 {
				t.Fatalf("a table has no end: %+v", k)
			}
		}
	})
}

func TestProtocol(t *testing.T) {
	for _, s := range []string{"tcp", "udp", "icmp", "-1", "47", "255"} {
		if p, err := ParseProtocol(s); err != nil || p.String() != s {
			t.Errorf("%s: %v %v", s, p, err)
		}
	}
	for _, s := range []string{"", "0", "256", "TCP", "06", "58", "-2", "icmpv6"} {
		if p, err := ParseProtocol(s); err == nil {
			t.Errorf("%q is read as %v", s, p)
		}
	}
}
