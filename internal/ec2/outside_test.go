package ec2

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A way is a VPC with a workload, from which a way out can be made in all its parts.
type way struct {
	*bench
	id   map[string]string
	addr netip.Addr // of the workload
}

func newWay(t testing.TB, b *bench) *way {
	t.Helper()
	w := &way{bench: b, id: fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
edge = e.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
inner = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
outer = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
e.associate_route_table(RouteTableId=inner, SubnetId=sub)
e.associate_route_table(RouteTableId=outer, SubnetId=edge)
igw = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
e.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
nat = e.create_nat_gateway(SubnetId=edge)["NatGateway"]["NatGatewayId"]
work = e.create_security_group(VpcId=vpc, GroupName="work", Description="d")["GroupId"]
other = e.create_security_group(VpcId=vpc, GroupName="other", Description="d")["GroupId"]
for k in "vpc sub edge inner outer igw nat work other".split():
    print(k + "=" + globals()[k])
`))}
	var i netmodel.Interface
	w.update(t, func(tx *store.Tx) (err error) {
		i, _, err = b.service.Reserve(t.Context(), tx, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{w.id["sub"]}, SecurityGroupIDs: []string{w.id["work"]}, Workload: "job", Owner: "arn:job", Service: "sagemaker",
		})
		return err
	})
	w.addr, w.id["eni"] = i.Address, i.ID
	w.routes(t, "inner", "nat")
	w.routes(t, "outer", "igw")
	return w
}

func (w *way) update(t testing.TB, f func(*store.Tx) error) {
	t.Helper()
	if err := w.Store.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// routes has a table lead everywhere by a gateway; by none if it is empty.
func (w *way) routes(t testing.TB, tableName, gateway string) {
	t.Helper()
	apitest.Call[ec2.DeleteRouteOutput](t, w.admin, "ec2:DeleteRoute", &ec2.DeleteRouteInput{RouteTableId: w.id[tableName], DestinationCidrBlock: "0.0.0.0/0"})
	in := &ec2.CreateRouteInput{RouteTableId: w.id[tableName], DestinationCidrBlock: "0.0.0.0/0"}
	switch gateway {
	case "":
		return
	case "igw":
		in.GatewayId = w.id[gateway]
	default:
		in.NatGatewayId = w.id[gateway]
	}
	apitest.Must[ec2.CreateRouteOutput](t, w.admin, "ec2:CreateRoute", in)
}

func (w *way) allow(t testing.TB, r OutsideRule) *OutsideRule {
	t.Helper()
	var made *OutsideRule
	w.update(t, func(tx *store.Tx) (err error) { made, err = w.service.AllowOutside(tx, r); return err })
	return made
}

func (w *way) ask(t testing.TB, name string, port uint16) (g OutsideGrant, err error) {
	t.Helper()
	w.read(t, func(sn *store.Snapshot) {
		m, e := w.service.Model(sn, w.id["vpc"])
		if e != nil {
			t.Fatal(e)
		}
		if e := m.Validate(); e != nil {
			t.Fatal(e)
		}
		g, err = w.service.Outside(sn, w.id["vpc"], w.addr, name, port)
	})
	return g, err
}

// refusal demands that there is no way to pypi.org, and answers the gate.
func (w *way) refusal(t testing.TB, name string, port uint16) netmodel.Gate {
	t.Helper()
	g, err := w.ask(t, name, port)
	refused, ok := errors.AsType[*Refused](err)
	if !ok {
		t.Fatalf("%s:%d: %+v, %v", name, port, g, err)
	}
	return refused.Gate
}

func TestOutside(t *testing.T) { onBoth(t, outside) }

// All of it must hold, and each part that is taken away closes the way at once.
func outside(t *testing.T, b *bench) {
	w := newWay(t, b)
	if gate := w.refusal(t, "pypi.org", 443); gate != netmodel.GateOutside {
		t.Errorf("with nothing opened, the gate is %s", gate)
	}
	rule := w.allow(t, OutsideRule{Group: w.id["work"], Name: "PyPI.org.", Ports: []uint16{443}, Operator: "root"})
	if rule.Name != "pypi.org" || rule.Account != apitest.Account || rule.VPC != w.id["vpc"] || !strings.HasPrefix(rule.ID, "eo-") || rule.Created.IsZero() {
		t.Errorf("%+v", rule)
	}
	g, err := w.ask(t, "pypi.org", 443)
	if err != nil || g.Rule != rule.ID || g.Group != w.id["work"] || g.Remaining != -1 || g.Interface != w.id["eni"] || g.Workload != "job" || g.Owner != "arn:job" || g.Account != apitest.Account {
		t.Fatalf("%+v, %v", g, err)
	}
	if _, err := w.ask(t, "PYPI.ORG.", 443); err != nil {
		t.Error("another writing of the name:", err)
	}
	for name, port := range map[string]uint16{"pypi.org": 80, "www.pypi.org": 443, "evil-pypi.org": 443, "pypi.org.evil.com": 443, "": 443, "*": 443, "1.2.3.4": 443} {
		w.refusal(t, name, port)
	}
	w.routes(t, "inner", "")
	if gate := w.refusal(t, "pypi.org", 443); gate != netmodel.GateRoute {
		t.Errorf("without a route: %s", gate)
	}
	w.routes(t, "inner", "igw") // nobody has an address of his own out there
	w.refusal(t, "pypi.org", 443)
	w.routes(t, "inner", "nat")
	w.routes(t, "outer", "")
	w.refusal(t, "pypi.org", 443)
	w.routes(t, "outer", "igw")
	egress := []ec2.IpPermission{{IpProtocol: "-1", IpRanges: []ec2.IpRange{{CidrIp: "0.0.0.0/0"}}}}
	apitest.Must[ec2.RevokeSecurityGroupEgressOutput](t, b.admin, "ec2:RevokeSecurityGroupEgress", &ec2.RevokeSecurityGroupEgressInput{GroupId: w.id["work"], IpPermissions: egress})
	if gate := w.refusal(t, "pypi.org", 443); gate != netmodel.GateEgress {
		t.Errorf("without an egress rule: %s", gate)
	}
	apitest.Must[ec2.AuthorizeSecurityGroupEgressOutput](t, b.admin, "ec2:AuthorizeSecurityGroupEgress", &ec2.AuthorizeSecurityGroupEgressInput{GroupId: w.id["work"], IpPermissions: egress})
	if _, err := w.ask(t, "pypi.org", 443); err != nil {
		t.Error(err)
	}
	apitest.Must[ec2.DeleteNatGatewayOutput](t, b.admin, "ec2:DeleteNatGateway", &ec2.DeleteNatGatewayInput{NatGatewayId: w.id["nat"]})
	w.refusal(t, "pypi.org", 443)
	w.id["nat"] = apitest.Must[ec2.CreateNatGatewayOutput](t, b.admin, "ec2:CreateNatGateway", &ec2.CreateNatGatewayInput{SubnetId: w.id["edge"], ConnectivityType: ec2.ConnectivityTypePrivate}).NatGateway.NatGatewayId
	w.routes(t, "inner", "nat")
	w.refusal(t, "pypi.org", 443) // a private one leads nowhere outside
	w.id["nat"] = apitest.Must[ec2.CreateNatGatewayOutput](t, b.admin, "ec2:CreateNatGateway", &ec2.CreateNatGatewayInput{SubnetId: w.id["edge"]}).NatGateway.NatGatewayId
	w.routes(t, "inner", "nat")
	if _, err := w.ask(t, "pypi.org", 443); err != nil {
		t.Error(err)
	}
	w.update(t, func(tx *store.Tx) error { _, err := w.service.RevokeOutside(tx, rule.ID); return err })
	if gate := w.refusal(t, "pypi.org", 443); gate != netmodel.GateOutside {
		t.Errorf("revoked: %s", gate)
	}
	w.read(t, func(sn *store.Snapshot) {
		if _, err := w.service.Outside(sn, kindVPC.newID(), w.addr, "pypi.org", 443); !errors.Is(err, ErrNoVPC) {
			t.Error(err)
		}
		if _, err := w.service.Outside(sn, w.id["vpc"], netip.MustParseAddr("10.0.1.200"), "pypi.org", 443); err == nil {
			t.Error("an address that nobody has reaches a name")
		}
	})
}

func TestOutsideBudgets(t *testing.T) { onBoth(t, outsideBudgets) }

func outsideBudgets(t *testing.T, b *bench) {
	w := newWay(t, b)
	version := func() (v int64) {
		w.read(t, func(sn *store.Snapshot) { v, _ = w.service.Version(sn, w.id["vpc"]) })
		return v
	}
	small := w.allow(t, OutsideRule{Group: w.id["work"], Name: "*.example.org", Ports: []uint16{443, 80}, Budget: 1000})
	spend := func(rule string, n int64) {
		t.Helper()
		w.update(t, func(tx *store.Tx) error { return w.service.Spend(tx, rule, n) })
	}
	before := version()
	spend(small.ID, 400)
	if g, err := w.ask(t, "a.b.example.org", 80); err != nil || g.Remaining != 600 || g.Rule != small.ID {
		t.Errorf("%+v, %v", g, err)
	}
	w.refusal(t, "example.org", 443) // the name itself is not below it
	spend(small.ID, 601)
	if gate := w.refusal(t, "a.example.org", 443); gate != netmodel.GateOutside {
		t.Errorf("a spent budget: %s", gate)
	}
	if version() != before {
		t.Error("bytes that are counted have the machine obey the VPC anew")
	}
	// A rule that has more left counts, one without limit before all.
	more := w.allow(t, OutsideRule{Group: w.id["work"], Name: "a.example.org", Ports: []uint16{443}, Budget: 5})
	if g, err := w.ask(t, "a.example.org", 443); err != nil || g.Rule != more.ID || g.Remaining != 5 {
		t.Errorf("%+v, %v", g, err)
	}
	endless := w.allow(t, OutsideRule{Group: w.id["work"], Name: "a.example.org", Ports: []uint16{443, 8443}})
	if g, err := w.ask(t, "a.example.org", 443); err != nil || g.Rule != endless.ID || g.Remaining != -1 {
		t.Errorf("%+v, %v", g, err)
	}
	w.allow(t, OutsideRule{Group: w.id["other"], Name: "b.example.org", Ports: []uint16{443}}) // of a group that it is not in
	w.refusal(t, "b.example.org", 443)
	if err := w.Store.Update(t.Context(), func(tx *store.Tx) error { return w.service.Spend(tx, small.ID, -5) }); err == nil {
		t.Error("bytes are given back")
	}
	spend("eo-00000000000000000", 1)

	// What was open to a group goes with it.
	list := func() (all []OutsideRule) {
		w.read(t, func(sn *store.Snapshot) { all, _ = w.service.ListOutside(sn, "") })
		return all
	}
	if all := list(); len(all) != 4 || !slices.ContainsFunc(all, func(r OutsideRule) bool { return r.ID == small.ID && r.Used == 1001 && len(r.Ports) == 2 }) {
		t.Errorf("%+v", all)
	}
	apitest.Must[ec2.DeleteSecurityGroupOutput](t, b.admin, "ec2:DeleteSecurityGroup", &ec2.DeleteSecurityGroupInput{GroupId: w.id["other"]})
	if all := list(); len(all) != 3 {
		t.Errorf("%+v", all)
	}
}

// What the operator may not open by mistake.
func TestOutsideRefusals(t *testing.T) {
	w := newWay(t, newBench(t))
	good := OutsideRule{Group: w.id["work"], Name: "pypi.org", Ports: []uint16{443}}
	long := strings.Repeat("a.", 125) + "abc"
	for name, bad := range map[string]func(*OutsideRule){
		"no group": func(r *OutsideRule) { r.Group = "" }, "a VPC": func(r *OutsideRule) { r.Group = w.id["vpc"] },
		"one label": func(r *OutsideRule) { r.Name = "localhost" }, "every name": func(r *OutsideRule) { r.Name = "*" }, "a domain": func(r *OutsideRule) { r.Name = "*.org" },
		"star inside": func(r *OutsideRule) { r.Name = "a.*.org" }, "two stars": func(r *OutsideRule) { r.Name = "*.*.example.org" }, "an address": func(r *OutsideRule) { r.Name = "203.0.113.7" },
		"hexadecimal": func(r *OutsideRule) { r.Name = "127.0.0.0x1" }, "IPv6": func(r *OutsideRule) { r.Name = "[2001:db8::1]" }, "short address": func(r *OutsideRule) { r.Name = "127.1" },
		"no name": func(r *OutsideRule) { r.Name = "" }, "a port in it": func(r *OutsideRule) { r.Name = "pypi.org:443" }, "empty label": func(r *OutsideRule) { r.Name = "a..org" },
		"not A-labels": func(r *OutsideRule) { r.Name = "bücher.example" }, "long": func(r *OutsideRule) { r.Name = long }, "space": func(r *OutsideRule) { r.Name = "pypi.org " },
		"no port": func(r *OutsideRule) { r.Ports = nil }, "port 0": func(r *OutsideRule) { r.Ports = []uint16{0} }, "twice": func(r *OutsideRule) { r.Ports = []uint16{1, 2, 1} },
		"many": func(r *OutsideRule) { r.Ports = make([]uint16, 17) }, "negative": func(r *OutsideRule) { r.Budget = -1 },
	} {
		r := good
		bad(&r)
		err := w.Store.Update(t.Context(), func(tx *store.Tx) error { _, err := w.service.AllowOutside(tx, r); return err })
		if err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	longest := OutsideRule{Group: good.Group, Name: "*." + long[4:], Ports: []uint16{1, 65535}}
	w.allow(t, longest)
	w.allow(t, good)
	if err := w.Store.Update(t.Context(), func(tx *store.Tx) error { _, err := w.service.AllowOutside(tx, good); return err }); err == nil {
		t.Error("the same rule twice")
	}
	if _, err := w.ask(t, "pypi.org", 443); err != nil { // the model is valid with all of them
		t.Error(err)
	}
}

func TestSites(t *testing.T) { onBoth(t, sites) }

// A site is what the operator approved, for that account only, and only as long.
func sites(t *testing.T, b *bench) {
	l := newLink(t, b)
	allow := func(site Site) error {
		return b.Store.Update(t.Context(), func(tx *store.Tx) error { return b.service.AllowSite(tx, site) })
	}
	good := Site{Account: apitest.Account, Name: "archive", Host: "PACS.hospital.example.", Port: 104, Operator: "root"}
	for name, bad := range map[string]func(*Site){
		"no account": func(s *Site) { s.Account = "" }, "no name": func(s *Site) { s.Name = "" }, "path": func(s *Site) { s.Name = "../x" }, "upper case": func(s *Site) { s.Name = "PACS" },
		"no port": func(s *Site) { s.Port = 0 }, "no host": func(s *Site) { s.Host = "" }, "this machine": func(s *Site) { s.Host = "127.0.0.1" }, "its name": func(s *Site) { s.Host = "localhost" },
		"below it": func(s *Site) { s.Host = "a.localhost" }, "metadata": func(s *Site) { s.Host = "169.254.169.254" }, "any": func(s *Site) { s.Host = "0.0.0.0" }, "IPv6": func(s *Site) { s.Host = "::1" },
		"mapped": func(s *Site) { s.Host = "::ffff:127.0.0.1" }, "multicast": func(s *Site) { s.Host = "224.0.0.1" }, "broadcast": func(s *Site) { s.Host = "255.255.255.255" }, "URL": func(s *Site) { s.Host = "https://x" },
		"short": func(s *Site) { s.Host = "127.1" }, "number": func(s *Site) { s.Host = "2130706433" }, "hexadecimal": func(s *Site) { s.Host = "0x7f000001" },
	} {
		s := good
		bad(&s)
		if err := allow(s); err == nil {
			t.Errorf("%s: approved", name)
		}
	}
	modify := func(c *apitest.Caller, service, name string) *api.Error {
		_, err := apitest.Call[ec2.ModifyVpcEndpointServiceConfigurationOutput](t, c, "ec2:ModifyVpcEndpointServiceConfiguration",
			&ec2.ModifyVpcEndpointServiceConfigurationInput{ServiceId: service, AddNetworkLoadBalancerArns: []string{name}})
		return err
	}
	if err := modify(b.admin, l.service, balancers+"site/archive"); err == nil {
		t.Error("a site that nobody approved is offered")
	}
	if err := allow(good); err != nil {
		t.Fatal(err)
	}
	theirs := good
	theirs.Account, theirs.Name = apitest.Other, "theirs"
	if err := allow(theirs); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{balancers + "site/theirs", strings.Replace(balancers, apitest.Account, apitest.Other, 1) + "site/theirs"} {
		if err := modify(b.admin, l.service, other); err == nil || err.Code != "InvalidParameter" {
			t.Errorf("another account's site: %v", err)
		}
	}
	if err := modify(b.admin, l.service, balancers+"site/archive"); err != nil {
		t.Fatal(err)
	}
	l.allow(t, "*")
	vpce := l.connect(t)
	l.accept(t, vpce)
	r, listening, err := l.relay(t, vpce, 104)
	if err != nil || r.Site != "archive" || r.Host != "pacs.hospital.example" || r.Port != 104 || r.VPC != "" || r.From.IsValid() || !slices.Equal(listening.Ports, []uint16{104, 5432}) {
		t.Fatalf("%+v, %+v, %v", r, listening, err)
	}
	moved := good
	moved.Host, moved.Port = "192.0.2.9", 11112
	if err := allow(moved); err != nil {
		t.Fatal(err)
	}
	if r, _, err := l.relay(t, vpce, 104); err != nil || r.Host != "192.0.2.9" || r.Port != 11112 {
		t.Errorf("another address: %+v, %v", r, err)
	}
	revoke := func(account, name string) error {
		return b.Store.Update(t.Context(), func(tx *store.Tx) error { return b.service.RevokeSite(tx, account, name) })
	}
	if err := revoke(apitest.Other, "archive"); err == nil {
		t.Error("a site of no account is withdrawn")
	}
	if err := revoke(apitest.Account, "archive"); err != nil {
		t.Fatal(err)
	}
	if _, listening, err := l.relay(t, vpce, 104); err == nil || !slices.Equal(listening.Ports, []uint16{5432}) || strings.Contains(err.Error(), "archive") {
		t.Errorf("withdrawn: %+v, %v", listening, err)
	}
	b.read(t, func(sn *store.Snapshot) {
		all, err := b.service.ListSites(sn, "")
		own, _ := b.service.ListSites(sn, apitest.Account)
		if err != nil || len(all) != 1 || all[0].Name != "theirs" || all[0].Operator != "root" || len(own) != 0 {
			t.Errorf("%+v, %+v, %v", all, own, err)
		}
	})
}
