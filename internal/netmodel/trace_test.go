package netmodel

import (
	"net/netip"
	"strings"
	"testing"
)

// clinics is the hospital with a way to the internet and, by a transit gateway, to a laboratory, whose network ACL lets in
// port 443 and what answers to the ports above 1023.
func clinics() *Cloud {
	v := hospital()
	v.Endpoints = append(v.Endpoints, Endpoint{ID: "nat-1", Type: NATGateway, Service: "nat", Ports: []uint16{80, 443, 3128},
		Addresses: []EndpointAddress{{"subnet-b", addr("10.50.1.201")}}})
	v.Attachments = []Attachment{{"tgw-attach-1", "tgw-1"}}
	v.Dialers = []Dialer{{"dial-1", "subnet-b", addr("10.50.1.202")}}
	v.RouteTables[0].Routes = []Route{{everywhere, "nat-1"}, {prefix("10.0.0.0/8"), "tgw-attach-1"}, {prefix("10.70.9.0/24"), ""}, {prefix("10.50.1.0/24"), "tgw-attach-1"}}
	v.RouteTables[1].Routes = []Route{{everywhere, "igw-1"}}
	v.SecurityGroups[0].Egress = append(v.SecurityGroups[0].Egress, tcp(443, 443).with("10.0.0.0/8", "", ""), tcp(3128, 3128).with("10.50.1.201/32", "", ""))
	v.SecurityGroups[0].Outside = []OutsideRule{{"pypi.org", []uint16{443}}, {"*.debian.org", []uint16{80, 443}}, {"ntp.example.com", []uint16{123}}}

	lab := &VPC{
		ID: "vpc-2", Account: "123456789012", CIDRs: []netip.Prefix{prefix("10.70.0.0/16")}, FlowLogs: true,
		RouteTables: []RouteTable{{"rtb-lab", []Route{{prefix("10.50.0.0/24"), "tgw-attach-2"}}}},
		NetworkACLs: []NetworkACL{{"acl-lab",
			[]ACLEntry{{100, true, TCP, 443, 443, prefix("10.50.0.0/16")}, {110, false, TCP, 5000, 5000, everywhere}, {120, true, TCP, 1024, 65535, everywhere}},
			[]ACLEntry{{100, true, TCP, 1024, 65535, everywhere}}}},
		Subnets:        []Subnet{{"subnet-lab", prefix("10.70.0.0/24"), "rtb-lab", "acl-lab"}, {"subnet-own", prefix("10.70.1.0/24"), "rtb-lab", ""}},
		SecurityGroups: []SecurityGroup{{ID: "sg-lab", Ingress: []Rule{tcp(0, 65535).with("10.50.0.0/16", "", "")}, Egress: []Rule{{Protocol: AllProtocols, CIDR: everywhere}}}},
		Attachments:    []Attachment{{"tgw-attach-2", "tgw-1"}},
		Endpoints: []Endpoint{{ID: "vpce-lab", Type: InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: []string{"sg-lab"},
			Addresses: []EndpointAddress{{"subnet-own", addr("10.70.1.200")}}}},
		Interfaces: []Interface{
			{ID: "eni-scan", Subnet: "subnet-lab", Address: addr("10.70.0.10"), Groups: []string{"sg-lab"}, Workload: "scan-1", MAC: "02:00:00:00:01:01"},
			{ID: "eni-own", Subnet: "subnet-own", Address: addr("10.70.1.10"), Groups: []string{"sg-lab"}, Workload: "scan-2", MAC: "02:00:00:00:01:02"},
		},
	}
	g := &TransitGateway{ID: "tgw-1", Account: "123456789012",
		Attachments: []TransitAttachment{
			{"tgw-attach-1", "vpc-1", v.CIDRs, "tgw-rtb-1"}, {"tgw-attach-2", "vpc-2", lab.CIDRs, "tgw-rtb-2"},
		},
		RouteTables: []TransitTable{
			{"tgw-rtb-1", []TransitRoute{{prefix("10.70.0.0/16"), "tgw-attach-2"}, {prefix("10.70.0.66/32"), ""}}},
			{"tgw-rtb-2", []TransitRoute{{prefix("10.50.0.0/16"), "tgw-attach-1"}}},
		}}
	return &Cloud{[]*VPC{v, lab}, []*TransitGateway{g}}
}

func TestTrace(t *testing.T) {
	for name, x := range map[string]struct {
		spoil    func(*Cloud)
		from, to string
		port     uint16
		reply    uint16
		allowed  bool
		steps    string
	}{
		"to the laboratory": {nil, "10.50.0.10", "10.70.0.10", 443, 40000, true,
			"vpc-1:source vpc-1:route vpc-1:egress tgw-1:transit vpc-2:route vpc-2:acl vpc-2:ingress <vpc-2:route <vpc-2:acl <tgw-1:transit"},
		"to an endpoint there":            {nil, "10.50.0.10", "10.70.1.200", 443, 40000, true, "<tgw-1:transit"},
		"a port that its egress lacks":    {nil, "10.50.0.10", "10.70.0.10", 444, 40000, false, "vpc-1:egress"},
		"answers that the ACL holds back": {nil, "10.50.0.10", "10.70.0.10", 443, 1000, false, "<vpc-2:acl"},
		"a port that the ACL denies": {func(c *Cloud) { c.VPCs[0].SecurityGroups[0].Egress[3].ToPort = 65535 }, "10.50.0.10", "10.70.0.10", 5000, 40000, false,
			"vpc-2:acl"},
		"a subnet without a route":   {nil, "10.50.1.10", "10.70.0.10", 443, 40000, false, "vpc-1:route"},
		"a route to nowhere":         {nil, "10.50.0.10", "10.70.9.9", 443, 40000, false, "vpc-1:route"},
		"a black hole":               {nil, "10.50.0.10", "10.70.0.66", 443, 40000, false, "tgw-1:transit"},
		"a range that nobody has":    {nil, "10.50.0.10", "10.71.0.10", 443, 40000, false, "tgw-1:transit"},
		"nobody's address there":     {nil, "10.50.0.10", "10.70.0.11", 443, 40000, false, "vpc-2:route"},
		"no association":             {func(c *Cloud) { c.Gateways[0].Attachments[0].RouteTable = "" }, "10.50.0.10", "10.70.0.10", 443, 40000, false, "tgw-1:transit"},
		"no association for answers": {func(c *Cloud) { c.Gateways[0].Attachments[1].RouteTable = "" }, "10.50.0.10", "10.70.0.10", 443, 40000, false, "<tgw-1:transit"},
		"no route for answers":       {func(c *Cloud) { c.VPCs[1].RouteTables[0].Routes = nil }, "10.50.0.10", "10.70.0.10", 443, 40000, false, "<vpc-2:route"},
		"no gateway":                 {func(c *Cloud) { c.Gateways = nil }, "10.50.0.10", "10.70.0.10", 443, 40000, false, "tgw-1:transit"},
		"the other side not there":   {func(c *Cloud) { c.VPCs = c.VPCs[:1] }, "10.50.0.10", "10.70.0.10", 443, 40000, false, "tgw-1:transit"},
		"a source that is not the attachment's": {func(c *Cloud) { c.Gateways[0].Attachments[0].CIDRs = []netip.Prefix{prefix("10.51.0.0/16")} },
			"10.50.0.10", "10.70.0.10", 443, 40000, false, "tgw-1:transit"},
		"within a VPC":              {nil, "10.50.0.10", "10.50.0.11", 5432, 40000, true, "vpc-1:source vpc-1:route vpc-1:egress vpc-1:ingress"},
		"a more special route home": {nil, "10.50.0.10", "10.50.1.10", 443, 40000, false, "vpc-1:ingress"},
		"the proxy":                 {nil, "10.50.0.10", "10.50.1.201", 3128, 40000, true, "vpc-1:ingress"},
		"the proxy without a route": {nil, "10.50.1.10", "10.50.1.201", 3128, 40000, false, "vpc-1:route"},
		"the server to a workload": {func(c *Cloud) {
			c.VPCs[0].SecurityGroups[1].Ingress[0] = tcp(5432, 5432).with("10.50.1.202/32", "", "")
		}, "10.50.1.202", "10.50.0.11", 5432, 40000, true, "vpc-1:source vpc-1:ingress"},
		"the server, not admitted":   {nil, "10.50.1.202", "10.50.0.11", 5432, 40000, false, "vpc-1:ingress"},
		"the server to an endpoint":  {nil, "10.50.1.202", "10.50.0.200", 443, 40000, false, "vpc-1:route"},
		"a workload to the server":   {nil, "10.50.0.11", "10.50.1.202", 443, 40000, false, "vpc-1:ingress"},
		"from nobody":                {nil, "10.50.0.99", "10.50.0.11", 443, 40000, false, "vpc-1:source"},
		"the internet by its number": {nil, "10.50.0.10", "203.0.113.5", 443, 40000, false, "vpc-1:route"},
	} {
		c := clinics()
		if x.spoil != nil {
			x.spoil(c)
		}
		got := c.Trace("vpc-1", Flow{addr(x.from), addr(x.to), TCP, x.reply, x.port})
		var steps []string
		for _, s := range got.Steps {
			back := ""
			if s.Back {
				back = "<"
			}
			steps = append(steps, back+s.Where+":"+string(s.Gate))
			if s.Why == "" || strings.Contains(s.Why, "%!") {
				t.Errorf("%s: %+v says nothing", name, s)
			}
		}
		if way := strings.Join(steps, " "); got.Allowed != x.allowed || !strings.HasSuffix(way, x.steps) || got.Steps[len(steps)-1].Allowed != x.allowed {
			t.Errorf("%s: %v by %s\n%+v", name, got.Allowed, way, got.Steps)
		}
	}
}

func TestTraceOfNothing(t *testing.T) {
	if (Trace{}).Allowed || (&Cloud{}).Trace("vpc-1", Flow{}).Allowed || (&Cloud{}).Outside("vpc-1", addr("10.0.0.1"), "pypi.org", 443).Allowed {
		t.Error("nothing allows something")
	}
}

func TestPassSaysWhatIsBeyond(t *testing.T) {
	v := clinics().VPCs[0]
	if got := v.Pass(addr("10.50.0.10"), addr("10.70.0.10"), TCP, 443); !got.Allowed || got.Beyond != "tgw-attach-1" || got.Gate != GateEgress {
		t.Errorf("%+v", got)
	}
	if got := v.Pass(addr("10.50.0.10"), addr("10.70.0.10"), TCP, 80); got.Allowed || got.Beyond != "" {
		t.Errorf("%+v", got)
	}
}

func TestOutside(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(*VPC)
		from  string
		host  string
		port  uint16
		gate  Gate // "" if allowed
	}{
		"by name":                  {nil, "10.50.0.10", "pypi.org", 443, ""},
		"under a name":             {nil, "10.50.0.10", "deb.debian.org", 80, ""},
		"far under a name":         {nil, "10.50.0.10", "a.b.debian.org", 443, ""},
		"by the proxy only":        {nil, "10.50.0.10", "ntp.example.com", 123, ""},
		"the name itself":          {nil, "10.50.0.10", "debian.org", 443, GateOutside},
		"another port":             {nil, "10.50.0.10", "pypi.org", 80, GateOutside},
		"another name":             {nil, "10.50.0.10", "example.com", 443, GateOutside},
		"a name that ends like it": {nil, "10.50.0.10", "evilpypi.org", 443, GateOutside},
		"a name that is none":      {nil, "10.50.0.10", "a b.debian.org", 443, GateOutside},
		"an empty label":           {nil, "10.50.0.10", ".debian.org", 443, GateOutside},
		"a star":                   {nil, "10.50.0.10", "*.debian.org", 443, GateOutside},
		"no name":                  {nil, "10.50.0.10", "", 443, GateOutside},
		"no group":                 {nil, "10.50.0.12", "pypi.org", 443, GateOutside},
		"no route":                 {nil, "10.50.1.10", "pypi.org", 443, GateRoute},
		"nobody":                   {nil, "10.50.0.99", "pypi.org", 443, GateSource},
		"no NAT gateway":           {func(v *VPC) { v.Endpoints = v.Endpoints[:2] }, "10.50.0.10", "pypi.org", 443, GateRoute},
		"no egress to it":          {func(v *VPC) { v.SecurityGroups[0].Egress = v.SecurityGroups[0].Egress[:3] }, "10.50.0.10", "pypi.org", 443, GateEgress},
		"an ACL before it": {func(v *VPC) {
			v.NetworkACLs = []NetworkACL{{ID: "acl-1"}}
			v.Subnets[1].NetworkACL = "acl-1"
		}, "10.50.0.10", "pypi.org", 443, GateACL},
	} {
		c := clinics()
		if x.spoil != nil {
			x.spoil(c.VPCs[0])
		}
		got := c.VPCs[0].Outside(addr(x.from), x.host, x.port)
		if got.Allowed != (x.gate == "") || got.Gate != x.gate && !got.Allowed || got.Why == "" {
			t.Errorf("%s: %+v", name, got)
		}
		if trace := c.Outside("vpc-1", addr(x.from), x.host, x.port); trace.Allowed != got.Allowed || trace.Steps[len(trace.Steps)-1].Why != got.Why {
			t.Errorf("%s: the trace says %+v", name, trace)
		}
	}
}

func TestResolveOutside(t *testing.T) {
	v := clinics().VPCs[0]
	for _, x := range []struct{ from, name, want string }{
		{"10.50.0.10", "pypi.org", "10.50.1.201"},
		{"10.50.0.10", "Deb.Debian.org.", "10.50.1.201"},
		{"10.50.0.10", "debian.org", ""},
		{"10.50.0.10", "c2VjcmV0.example.com", ""},
		{"10.50.1.10", "pypi.org", ""}, // no route
		{"10.50.0.11", "pypi.org", ""}, // no rule
		{"10.50.0.99", "pypi.org", ""},
	} {
		got, exists := v.Resolve(addr(x.from), x.name)
		if exists != (x.want != "") || exists && (len(got) != 1 || got[0] != addr(x.want)) {
			t.Errorf("%s asks for %s: %v", x.from, x.name, got)
		}
	}
	v.SecurityGroups[0].Outside = []OutsideRule{{"*.us-east-1.amazonaws.com", []uint16{443}}}
	if got, _ := v.Resolve(addr("10.50.0.10"), "kms.us-east-1.amazonaws.com"); len(got) != 2 {
		t.Errorf("an endpoint's own name leads outside: %v", got)
	}
}

// A flow is kept as long as it could begin again and be answered.
func TestKeeps(t *testing.T) {
	out := Flow{addr("10.50.0.10"), addr("10.70.0.10"), TCP, 40000, 443}
	back := Flow{addr("10.70.0.10"), addr("10.50.0.10"), TCP, 40000, 443}
	for name, x := range map[string]struct {
		spoil func(v, lab *VPC)
		f     Flow
		keeps bool
	}{
		"nothing":            {func(v, lab *VPC) {}, out, true},
		"the other way":      {func(v, lab *VPC) {}, back, false},
		"egress":             {func(v, lab *VPC) { v.SecurityGroups[0].Egress = nil }, out, false},
		"ingress":            {func(v, lab *VPC) { lab.SecurityGroups[0].Ingress = nil }, out, false},
		"route":              {func(v, lab *VPC) { v.RouteTables[0].Routes = nil }, out, false},
		"attachment":         {func(v, lab *VPC) { v.Attachments = nil }, out, false},
		"route for answers":  {func(v, lab *VPC) { lab.RouteTables[0].Routes = nil }, out, false},
		"network ACL":        {func(v, lab *VPC) { lab.NetworkACLs[0].Ingress = nil }, out, false},
		"ACL for answers":    {func(v, lab *VPC) { lab.NetworkACLs[0].Egress = nil }, out, false},
		"receiver":           {func(v, lab *VPC) { lab.Interfaces = nil }, out, false},
		"sender":             {func(v, lab *VPC) { v.Interfaces = v.Interfaces[1:] }, out, false},
		"somebody else":      {func(v, lab *VPC) { lab.Interfaces = lab.Interfaces[:1] }, out, true},
		"ports of no answer": {func(v, lab *VPC) {}, Flow{out.From, out.To, TCP, 1000, 443}, false},
	} {
		c := clinics()
		x.spoil(c.VPCs[0], c.VPCs[1])
		if got := c.VPCs[0].Keeps(x.f) && c.VPCs[1].Judge().Keeps(x.f); got != x.keeps {
			t.Errorf("%s: kept %v", name, got)
		}
	}
}
