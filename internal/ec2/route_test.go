package ec2

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// write puts and drops rows as other operations would.
func (b *bench) write(t *testing.T, put, drop []object) {
	t.Helper()
	if err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		if err := b.service.put(tx, put...); err != nil {
			return err
		}
		return b.service.drop(tx, drop...)
	}); err != nil {
		t.Fatal(err)
	}
}

// gates are what routes lead to, in and beside a VPC.
type gates struct {
	internet, loose *internetGateway
	nat, far        *natGateway
	address         *networkInterface
	joint, pending  *attachment
}

func gatesOf(id map[string]string) *gates {
	in := func(k *kind, vpcID string) meta {
		return meta{ID: k.newID(), Account: apitest.Account, VPC: vpcID, Created: time.Unix(1, 0)}
	}
	g := &gates{
		internet: &internetGateway{meta: in(kindInternet, ""), Attached: id["vpc"]}, loose: &internetGateway{meta: in(kindInternet, "")},
		nat: &natGateway{meta: in(kindNAT, id["vpc"]), Subnet: id["out"]}, far: &natGateway{meta: in(kindNAT, id["other"])},
		joint:   &attachment{meta: in(kindAttachment, kindTransit.newID()), Network: id["vpc"], State: attachmentAvailable},
		pending: &attachment{meta: in(kindAttachment, kindTransit.newID()), Network: id["vpc"], State: "pendingAcceptance"},
	}
	g.address = &networkInterface{meta: in(kindInterface, id["vpc"]), Subnet: id["out"], Address: netip.MustParseAddr("10.0.2.9"), MAC: newMAC(), NAT: g.nat.ID}
	return g
}

func (g *gates) all() []object {
	return []object{g.internet, g.loose, g.nat, g.far, g.address, g.joint, g.pending}
}

// names are the ids for a script.
func (g *gates) names() string {
	return strings.NewReplacer("$igw", g.internet.ID, "$loose", g.loose.ID, "$nat", g.nat.ID, "$far", g.far.ID, "$tgw", g.joint.VPC, "$pending", g.pending.VPC).
		Replace("igw, loose, nat, far, tgw, pending = '$igw', '$loose', '$nat', '$far', '$tgw', '$pending'\n")
}

const routed = `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
other = e.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
work = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
out = e.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
rtb = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
public = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
a = e.associate_route_table(RouteTableId=rtb, SubnetId=work)["AssociationId"]
e.associate_route_table(RouteTableId=public, SubnetId=out)
sg = e.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"][0]["GroupId"]
for k in "vpc other work out rtb public a sg".split():
    print(k + "=" + globals()[k])
`

// known gives a script the ids.
func known(id map[string]string) string {
	script := "e = client('ec2')\n"
	for k, v := range id {
		script += k + " = '" + v + "'\n"
	}
	return script + `
shown = lambda t: {r.get("DestinationCidrBlock", r.get("DestinationPrefixListId")): (r.get("GatewayId") or r.get("NatGatewayId") or r.get("TransitGatewayId"), r["State"]) for r in e.describe_route_tables(RouteTableIds=[t])["RouteTables"][0]["Routes"]}
`
}

func TestRoutesLead(t *testing.T) { onBoth(t, routesLead) }

func routesLead(t *testing.T, b *bench) {
	id := fields(b.Python(t, b.admin, routed))
	g := gatesOf(id)
	b.write(t, g.all(), nil)
	script := known(id) + g.names()
	b.Python(t, b.admin, script+`
no = lambda code, cidr, f=e.create_route, **kw: refused(f, code, RouteTableId=rtb, DestinationCidrBlock=cidr, **kw)
all = "0.0.0.0/0"
no("InvalidGatewayID.NotFound", all, GatewayId="igw-" + "0" * 17)
no("InvalidGatewayID.NotFound", all, GatewayId="vgw-" + "0" * 17)
no("InvalidParameterValue", all, GatewayId=loose)
no("InvalidNatGatewayID.NotFound", all, NatGatewayId="nat-" + "0" * 17)
no("InvalidNatGatewayID.NotFound", all, NatGatewayId=igw)
no("InvalidParameterValue", all, NatGatewayId=far)
no("InvalidTransitGatewayID.NotFound", "10.9.0.0/16", TransitGatewayId="tgw-" + "0" * 17)
no("InvalidTransitGatewayID.NotFound", "10.9.0.0/16", TransitGatewayId=pending)
for cidr in ("10.9.0.0/16", "0.0.0.0/1"):
    assert "names" in str(no("InvalidParameterValue", cidr, NatGatewayId=nat))
no("RouteAlreadyExists", "10.0.0.0/16", TransitGatewayId=tgw)
for cidr in ("10.0.1.0/24", "10.0.1.7/32", "169.254.0.0/16", "169.254.169.254/32", "127.0.0.0/8", "224.0.0.0/4", "0.1.0.0/16", "ten", "::/0"):
    no("InvalidParameterValue", cidr, TransitGatewayId=tgw)
no("InvalidParameterCombination", all, GatewayId=igw, NatGatewayId=nat)
no("InvalidParameterCombination", all)
no("InvalidParameterCombination", all, GatewayId=igw, DestinationPrefixListId="pl-" + "0" * 17)
no("InvalidParameterValue", all, GatewayId=igw, DestinationIpv6CidrBlock="::/0")

assert e.create_route(RouteTableId=rtb, DestinationCidrBlock="10.9.3.4/16", TransitGatewayId=tgw)["Return"]
e.create_route(RouteTableId=rtb, DestinationCidrBlock="10.0.0.0/8", TransitGatewayId=tgw)
e.create_route(RouteTableId=rtb, DestinationCidrBlock=all, NatGatewayId=nat)
no("RouteAlreadyExists", all, NatGatewayId=nat)
want = {"10.0.0.0/16": ("local", "active"), "10.9.0.0/16": (tgw, "active"), "10.0.0.0/8": (tgw, "active"), all: (nat, "blackhole")}
assert shown(rtb) == want, shown(rtb)
# The NAT gateway leads out once its own subnet leads to the internet gateway.
e.create_route(RouteTableId=public, DestinationCidrBlock=all, GatewayId=igw)
assert shown(rtb)[all] == (nat, "active") and shown(public)[all] == (igw, "active")
refused(e.associate_vpc_cidr_block, "InvalidVpc.Range", VpcId=vpc, CidrBlock="10.9.0.0/16")

found = lambda k, v: [t["RouteTableId"] for t in e.describe_route_tables(Filters=[{"Name": k, "Values": [v]}])["RouteTables"]]
assert found("route.nat-gateway-id", nat) == [rtb] == found("route.transit-gateway-id", tgw) == found("route.destination-cidr-block", "10.0.0.0/8")
assert found("route.gateway-id", igw) == [public] and found("route.state", "blackhole") == []
assert found("route.nat-gateway-id", "*") == [rtb] and set(found("route.origin", "CreateRoute")) == {rtb, public}

no("InvalidParameterValue", "10.8.0.0/16", f=e.replace_route, TransitGatewayId=tgw)
no("InvalidTransitGatewayID.NotFound", all, f=e.replace_route, TransitGatewayId=pending)
no("InvalidParameterValue", "10.9.0.0/16", f=e.replace_route, NatGatewayId=nat)
e.replace_route(RouteTableId=rtb, DestinationCidrBlock=all, TransitGatewayId=tgw)
assert shown(rtb)[all] == (tgw, "active")
e.replace_route(RouteTableId=rtb, DestinationCidrBlock=all, NatGatewayId=nat)
e.delete_route(RouteTableId=rtb, DestinationCidrBlock="10.0.0.0/8")
assert "10.0.0.0/8" not in shown(rtb)
refused(e.delete_route, "InvalidRoute.NotFound", RouteTableId=rtb, DestinationCidrBlock="10.0.0.0/8")
refused(e.delete_route, "InvalidParameterValue", RouteTableId=rtb, DestinationCidrBlock="10.0.0.0/16")
refused(e.delete_vpc, "DependencyViolation", VpcId=vpc)
`)
	if _, err := b.reserve(t, api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{id["work"]}, SecurityGroupIDs: []string{id["sg"]}, Workload: "work", Service: "sagemaker",
	}); err != nil {
		t.Fatal(err)
	}
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, id["vpc"])
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
		from := m.Interfaces[0].Address
		if v := m.Pass(from, netip.MustParseAddr("10.9.1.1"), netmodel.TCP, 443); !v.Allowed || v.Beyond != g.joint.ID {
			t.Errorf("to the other VPC: %+v", v)
		}
		if v := m.Pass(from, netip.MustParseAddr("203.0.113.1"), netmodel.TCP, 443); v.Allowed {
			t.Errorf("to the internet: %+v", v)
		}
		if e := m.EndpointAt(g.address.Address); e == nil || e.Type != netmodel.NATGateway {
			t.Errorf("the NAT gateway is %+v", e)
		}
	})

	// Routes to what is gone stay, and lead nowhere.
	g.joint.State = "deleting"
	b.write(t, []object{g.joint}, []object{g.internet})
	b.Python(t, b.admin, script+`
assert shown(rtb)["10.9.0.0/16"] == (tgw, "blackhole") and shown(rtb)["0.0.0.0/0"] == (nat, "blackhole") and shown(public)["0.0.0.0/0"] == (igw, "blackhole")
refused(e.create_route, "InvalidGatewayID.NotFound", RouteTableId=rtb, DestinationCidrBlock="1.0.0.0/8", GatewayId=igw)
`)
	b.write(t, nil, []object{g.address, g.nat})
	b.Python(t, b.admin, script+`
refused(e.replace_route, "InvalidNatGatewayID.NotFound", RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
e.delete_route(RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0")
`)
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, id["vpc"])
		if err != nil {
			t.Fatal(err)
		}
		if v := m.Pass(m.Interfaces[0].Address, netip.MustParseAddr("10.9.1.1"), netmodel.TCP, 443); v.Allowed || v.Gate != netmodel.GateRoute {
			t.Errorf("by a black hole: %+v", v)
		}
	})
}

// A route by a list leads its ranges, but none that mean something to the machine.
func TestRoutesByLists(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, routed))
	g := gatesOf(id)
	b.write(t, g.all(), nil)
	script := known(id) + g.names()
	out := fields(b.Python(t, b.admin, script+`
make = lambda n, *cidrs: e.create_managed_prefix_list(PrefixListName="l", AddressFamily="IPv4", MaxEntries=n, Entries=[{"Cidr": c} for c in cidrs])["PrefixList"]["PrefixListId"]
l = make(10, "10.9.0.0/16", "10.0.1.0/24", "127.0.0.0/8", "169.254.0.0/17", "10.8.0.0/16")
refused(e.create_route, "InvalidParameterValue", RouteTableId=rtb, DestinationPrefixListId=l, NatGatewayId=nat)
refused(e.create_route, "InvalidPrefixListID.NotFound", RouteTableId=rtb, DestinationPrefixListId="pl-" + "0" * 17, TransitGatewayId=tgw)
refused(e.create_route, "InvalidPrefixListID.Malformed", RouteTableId=rtb, DestinationPrefixListId="pl-0", TransitGatewayId=tgw)
e.create_route(RouteTableId=rtb, DestinationPrefixListId=l, TransitGatewayId=tgw)
refused(e.create_route, "RouteAlreadyExists", RouteTableId=rtb, DestinationPrefixListId=l, TransitGatewayId=tgw)
assert shown(rtb)[l] == (tgw, "active"), shown(rtb)
big = make(989)
e.create_route(RouteTableId=rtb, DestinationPrefixListId=big, TransitGatewayId=tgw)
e.create_route(RouteTableId=rtb, DestinationCidrBlock="10.7.0.0/16", TransitGatewayId=tgw)
refused(e.create_route, "RouteLimitExceeded", RouteTableId=rtb, DestinationCidrBlock="10.6.0.0/16", TransitGatewayId=tgw)
refused(e.modify_managed_prefix_list, "RouteLimitExceeded", PrefixListId=big, MaxEntries=990)
e.delete_route(RouteTableId=rtb, DestinationPrefixListId=big)
refused(e.delete_managed_prefix_list, "DependencyViolation", PrefixListId=l)
print("list=" + l)
`))
	if _, err := b.reserve(t, api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{id["work"]}, SecurityGroupIDs: []string{id["sg"]}, Workload: "work", Service: "sagemaker",
	}); err != nil {
		t.Fatal(err)
	}
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, id["vpc"])
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
		for to, passes := range map[string]bool{"10.9.1.1": true, "10.8.1.1": true, "10.5.1.1": false, "169.254.3.4": false, "127.0.0.1": false, "10.0.1.99": false} {
			if v := m.Pass(m.Interfaces[0].Address, netip.MustParseAddr(to), netmodel.TCP, 443); v.Allowed != passes || passes && v.Beyond != g.joint.ID {
				t.Errorf("to %s: %+v", to, v)
			}
		}
		i := slices.IndexFunc(m.RouteTables, func(r netmodel.RouteTable) bool { return r.ID == id["rtb"] })
		for _, r := range m.RouteTables[i].Routes {
			if !routable(r.CIDR) {
				t.Errorf("%s leads %s elsewhere", out["list"], r.CIDR)
			}
		}
	})
}

func TestReplaceRouteTableAssociation(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, routed))
	script := known(id)
	b.Python(t, b.admin, script+`
of = lambda s: [t["RouteTableId"] for t in e.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [s]}])["RouteTables"]]
out1 = e.replace_route_table_association(AssociationId=a, RouteTableId=public)
assert of(work) == [public] and out1["AssociationState"]["State"] == "associated" and out1["NewAssociationId"] != a, out1
refused(e.replace_route_table_association, "InvalidAssociationID.NotFound", AssociationId=a, RouteTableId=rtb)
refused(e.replace_route_table_association, "InvalidRouteTableID.NotFound", AssociationId=out1["NewAssociationId"], RouteTableId="rtb-" + "0" * 17)
foreign = e.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
refused(e.replace_route_table_association, "InvalidParameterValue", AssociationId=out1["NewAssociationId"], RouteTableId=foreign)

# The main table is one by an association too; who was main can be deleted then.
main = lambda: e.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
was = main()
e.replace_route_table_association(AssociationId=was["Associations"][0]["RouteTableAssociationId"], RouteTableId=rtb)
assert main()["RouteTableId"] == rtb
e.delete_route_table(RouteTableId=was["RouteTableId"])
refused(e.delete_route_table, "DependencyViolation", RouteTableId=rtb)
refused(e.delete_vpc, "DependencyViolation", VpcId=vpc)
for x in (work, out):
    e.delete_subnet(SubnetId=x)
refused(e.delete_vpc, "DependencyViolation", VpcId=vpc)
e.delete_route_table(RouteTableId=public)
e.delete_vpc(VpcId=vpc)
`)
	id = fields(b.Python(t, b.admin, routed))
	b.Python(t, b.admin, `client("ec2").create_tags(Resources=["`+id["rtb"]+`"], Tags=[{"Key": "guard", "Value": "yes"}])`)
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, known(id)+`
mine = e.create_route_table(VpcId=e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])["RouteTable"]["RouteTableId"]
refused(e.replace_route_table_association, "InvalidAssociationID.NotFound", AssociationId=a, RouteTableId=mine)
refused(e.replace_route, "InvalidRouteTableID.NotFound", RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0", GatewayId="igw-" + "0" * 17)
`)
	operator := b.User(t, apitest.Account, "operator", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
		{"Effect":"Deny","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:route-table/*","Condition":{"StringEquals":{"aws:ResourceTag/guard":"yes"}}}]}`)
	b.Python(t, operator, known(id)+`
refused(e.replace_route_table_association, "UnauthorizedOperation", AssociationId=a, RouteTableId=public)
refused(e.create_route, "UnauthorizedOperation", RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0", GatewayId="igw-" + "0" * 17)
`)
}

// No route of another account's network leads here, and none of ours there.
func TestRoutesToOthersGates(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, routed))
	g := gatesOf(id)
	b.write(t, g.all(), nil)
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, g.names()+`
e = client("ec2")
rtb = e.create_route_table(VpcId=e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])["RouteTable"]["RouteTableId"]
for k, v, code in [("GatewayId", igw, "InvalidGatewayID"), ("GatewayId", loose, "InvalidGatewayID"), ("NatGatewayId", nat, "InvalidNatGatewayID"),
        ("TransitGatewayId", tgw, "InvalidTransitGatewayID"), ("TransitGatewayId", pending, "InvalidTransitGatewayID")]:
    no = lambda i: str(refused(e.create_route, code + ".NotFound", RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0", **{k: i})).replace(i, "")
    assert no(v) == no(v[:4] + "0" * 17)
`)
}

// Wherever a request leads a route, the machine can obey it: what is routable here is
// so there.
func FuzzRoute(f *testing.F) {
	for _, cidr := range []string{"0.0.0.0/0", "10.1.2.3/8", "127.0.0.1/32", "169.254.0.0/15", "169.254.171.0/24", "224.0.0.0/3", "240.0.0.0/4", "0.0.0.0/8", "1.0.0.0/7", "::/0"} {
		f.Add(cidr)
	}
	target := kindTransit.newID()
	f.Fuzz(func(t *testing.T, cidr string) {
		r, err := parseRoute(&ec2.CreateRouteInput{DestinationCidrBlock: cidr, TransitGatewayId: target})
		p, wrong := netip.ParsePrefix(cidr)
		if wrong != nil || !p.Addr().Is4() {
			if err == nil {
				t.Errorf("%q is a route to %v", cidr, r)
			}
			return
		}
		v := &netmodel.VPC{
			ID: "vpc-1", Account: "123456789012", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")},
			RouteTables: []netmodel.RouteTable{{ID: "rtb-1", Routes: []netmodel.Route{{CIDR: p.Masked(), Target: target}}}},
		}
		if obeyed := v.Validate(); (obeyed == nil) != (err == nil) {
			t.Errorf("%s: a request hears %v, the machine %v", cidr, err, obeyed)
		}
	})
}
