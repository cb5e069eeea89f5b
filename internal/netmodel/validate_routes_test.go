package netmodel

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

func TestValidateRefusesOfTheWayOut(t *testing.T) {
	for _, v := range clinics().VPCs {
		if err := v.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	nat := func(v *VPC) *Endpoint { return &v.Endpoints[2] }
	for name, spoil := range map[string]func(*VPC){
		"route twice":               func(v *VPC) { v.RouteTables[0].Routes[1].CIDR = everywhere },
		"route with host bits":      func(v *VPC) { v.RouteTables[0].Routes[1].CIDR = prefix("10.1.2.3/8") },
		"route of IPv6":             func(v *VPC) { v.RouteTables[0].Routes[1].CIDR = prefix("::/0") },
		"no range of a route":       func(v *VPC) { v.RouteTables[0].Routes[1].CIDR = netip.Prefix{} },
		"route to link-local":       func(v *VPC) { v.RouteTables[0].Routes[1].CIDR = prefix("169.254.169.254/32") },
		"route to loopback":         func(v *VPC) { v.RouteTables[0].Routes[1].CIDR = prefix("127.0.0.0/8") },
		"target that ends a string": func(v *VPC) { v.RouteTables[0].Routes[1].Target = `x" accept` },
		"too many routes":           func(v *VPC) { v.RouteTables[0].Routes = make([]Route, maxRoutes+1) },
		"unknown ACL":               func(v *VPC) { v.Subnets[0].NetworkACL = "acl-gone" },
		"ACL that is a group":       func(v *VPC) { v.Subnets[0].NetworkACL = "sg-db" },
		"entries out of order":      func(v *VPC) { entries(v, ACLEntry{Number: 100, Protocol: TCP, ToPort: 1, CIDR: everywhere}) },
		"entry with number 0": func(v *VPC) {
			v.NetworkACLs = []NetworkACL{{ID: "acl-2", Ingress: []ACLEntry{{Protocol: TCP, CIDR: everywhere}}}}
		},
		"entry with too high number":  func(v *VPC) { entries(v, ACLEntry{Number: 32767, Protocol: TCP, CIDR: everywhere}) },
		"entry without a range":       func(v *VPC) { entries(v, ACLEntry{Number: 101, Protocol: TCP}) },
		"entry without a protocol":    func(v *VPC) { entries(v, ACLEntry{Number: 101, CIDR: everywhere}) },
		"entry with ports for all":    func(v *VPC) { entries(v, ACLEntry{Number: 101, Protocol: AllProtocols, ToPort: 22, CIDR: everywhere}) },
		"too many entries":            func(v *VPC) { v.NetworkACLs = []NetworkACL{{ID: "acl-2", Egress: make([]ACLEntry, maxEntries+1)}} },
		"too many ACLs":               func(v *VPC) { v.NetworkACLs = make([]NetworkACL, maxACLs+1) },
		"attached twice":              func(v *VPC) { v.Attachments = append(v.Attachments, Attachment{"tgw-attach-9", "tgw-1"}) },
		"attachment of no gateway":    func(v *VPC) { v.Attachments[0].Gateway = "" },
		"attachment twice":            func(v *VPC) { v.Attachments = append(v.Attachments, Attachment{"tgw-attach-1", "tgw-2"}) },
		"too many attachments":        func(v *VPC) { v.Attachments = make([]Attachment, maxAttachments+1) },
		"dialer elsewhere":            func(v *VPC) { v.Dialers[0].Address = addr("10.50.0.77") },
		"dialer at somebody's":        func(v *VPC) { v.Dialers[0].Address = addr("10.50.1.201") },
		"dialer in no subnet":         func(v *VPC) { v.Dialers[0].Subnet = "" },
		"dialer twice":                func(v *VPC) { v.Dialers = append(v.Dialers, Dialer{"dial-1", "subnet-b", addr("10.50.1.77")}) },
		"too many dialers":            func(v *VPC) { v.Dialers = make([]Dialer, maxDialers+1) },
		"NAT gateway with groups":     func(v *VPC) { nat(v).Groups = []string{"sg-db"} },
		"NAT gateway with names":      func(v *VPC) { nat(v).Names = []string{"kms.us-east-1.amazonaws.com"} },
		"NAT gateway with tables":     func(v *VPC) { nat(v).RouteTables = []string{"rtb-s3"} },
		"NAT gateway with a list":     func(v *VPC) { nat(v).PrefixList = "pl-nat" },
		"NAT gateway with other port": func(v *VPC) { nat(v).Ports = []uint16{80, 443, 22} },
		"NAT gateway with less ports": func(v *VPC) { nat(v).Ports = []uint16{80, 443} },
		"NAT gateway with more ports": func(v *VPC) { nat(v).Ports = append(nat(v).Ports, 22) },
		"NAT gateway everywhere":      func(v *VPC) { nat(v).Addresses[0] = EndpointAddress{"", addr("169.254.171.9")} },
		"NAT gateway in two subnets": func(v *VPC) {
			nat(v).Addresses = append(nat(v).Addresses, EndpointAddress{"subnet-a", addr("10.50.0.201")})
		},
		"everything outside":         func(v *VPC) { v.SecurityGroups[0].Outside[0].Name = "*" },
		"all of a top level":         func(v *VPC) { v.SecurityGroups[0].Outside[0].Name = "*.org" },
		"a number outside":           func(v *VPC) { v.SecurityGroups[0].Outside[0].Name = "203.0.113.5" },
		"a name in capitals outside": func(v *VPC) { v.SecurityGroups[0].Outside[0].Name = "PyPI.org" },
		"no port outside":            func(v *VPC) { v.SecurityGroups[0].Outside[0].Ports = nil },
		"port 0 outside":             func(v *VPC) { v.SecurityGroups[0].Outside[0].Ports = []uint16{0} },
		"too many names outside":     func(v *VPC) { v.SecurityGroups[0].Outside = make([]OutsideRule, maxOutside+1) },
	} {
		v := clinics().VPCs[0]
		spoil(v)
		if v.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// entries gives a VPC an ACL whose second entry is e.
func entries(v *VPC, e ACLEntry) {
	v.NetworkACLs = []NetworkACL{{ID: "acl-2", Egress: []ACLEntry{{Number: 100, Protocol: TCP, ToPort: 1, CIDR: everywhere}, e}}}
}

func TestValidateTransitRefuses(t *testing.T) {
	if err := clinics().Gateways[0].Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*TransitGateway){
		"no id":                   func(g *TransitGateway) { g.ID = "" },
		"account":                 func(g *TransitGateway) { g.Account = "1" },
		"no VPC":                  func(g *TransitGateway) { g.Attachments[0].VPC = "" },
		"a VPC twice":             func(g *TransitGateway) { g.Attachments[0].VPC = "vpc-2" },
		"an attachment twice":     func(g *TransitGateway) { g.Attachments[0].ID = "tgw-attach-2" },
		"an attachment's bad id":  func(g *TransitGateway) { g.Attachments[0].ID = "../x" },
		"no ranges":               func(g *TransitGateway) { g.Attachments[0].CIDRs = nil },
		"every range":             func(g *TransitGateway) { g.Attachments[0].CIDRs = []netip.Prefix{everywhere} },
		"the link's range":        func(g *TransitGateway) { g.Attachments[0].CIDRs = []netip.Prefix{prefix("169.254.0.0/16")} },
		"an unknown table":        func(g *TransitGateway) { g.Attachments[0].RouteTable = "tgw-rtb-9" },
		"a table twice":           func(g *TransitGateway) { g.RouteTables[1].ID = "tgw-rtb-1" },
		"an unknown attachment":   func(g *TransitGateway) { g.RouteTables[0].Routes[0].Attachment = "tgw-attach-9" },
		"a route to a table":      func(g *TransitGateway) { g.RouteTables[0].Routes[0].Attachment = "tgw-rtb-1" },
		"a route twice":           func(g *TransitGateway) { g.RouteTables[0].Routes[1].CIDR = prefix("10.70.0.0/16") },
		"a route to link-local":   func(g *TransitGateway) { g.RouteTables[0].Routes[0].CIDR = prefix("169.254.169.254/32") },
		"a route with host bits":  func(g *TransitGateway) { g.RouteTables[0].Routes[0].CIDR = prefix("10.70.0.1/16") },
		"too many attachments":    func(g *TransitGateway) { g.Attachments = make([]TransitAttachment, maxTransitAttachments+1) },
		"too many tables":         func(g *TransitGateway) { g.RouteTables = make([]TransitTable, maxTransitTables+1) },
		"too many routes":         func(g *TransitGateway) { g.RouteTables[0].Routes = make([]TransitRoute, maxTransitRoutes+1) },
		"a table that is a group": func(g *TransitGateway) { g.RouteTables[0].ID = "" },
	} {
		g := clinics().Gateways[0]
		spoil(g)
		if g.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if (*TransitGateway)(nil).Validate() == nil || (&TransitGateway{}).Validate() == nil {
		t.Error("the zero gateway is accepted")
	}
}

func TestParseTransitIsStrict(t *testing.T) {
	good, err := clinics().Gateways[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseTransit(good); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"unknown member": strings.Replace(string(good), `"id":"tgw-1"`, `"id":"tgw-1","allowAll":true`, 1),
		"duplicate":      strings.Replace(string(good), `"id":"tgw-1"`, `"id":"tgw-1","id":"tgw-2"`, 1),
		"other case":     strings.Replace(string(good), `"attachments"`, `"Attachments"`, 1),
		"trailing data":  string(good) + "{}",
		"nothing":        "null",
		"too large":      string(good) + strings.Repeat(" ", MaxSize),
	} {
		if _, err := ParseTransit([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseTransit(f *testing.F) {
	good, err := clinics().Gateways[0].Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"id":"tgw-1","account":"123456789012"}`))
	f.Add([]byte(`{"id":"tgw-1","account":"123456789012","routeTables":[{"id":"t","routes":[{"cidr":"0.0.0.0/0"}]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		g, err := ParseTransit(in)
		if err != nil {
			return
		}
		once, err := g.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseTransit(once)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := again.Encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not stable: %v\n%s\n%s", err, once, twice)
		}
		if err := new(tables).load(CompileTransit(g).Script()); err != nil {
			t.Fatal(err)
		}
		for _, k := range g.Routing().Tables {
			if len(k.Routes) == 0 || k.Routes[0].CIDR.Bits() != 0 {
				t.Fatalf("a table has no end: %+v", k)
			}
		}
	})
}
