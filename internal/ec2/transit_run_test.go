package ec2

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A machine obeys gateways after the VPCs that they join, and is rid of them before;
// what it lost it is told again.
func TestMachineObeysTransits(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, crossroads+`
one = attach(0)
print("tgw=" + tgw, "vpc=" + vpcs[0], "other=" + vpcs[1], "third=" + vpcs[2], "sub=" + subs[1], "one=" + one, "rtb=" + rtb)
`))
	const orphan = "tgw-00000000000000000"
	m := &machine{transit: map[string]*netmodel.TransitGateway{orphan: {}}, vpcs: map[string]*netmodel.VPC{"vpc-00000000000000000": {}}}
	reconcile := func(want ...string) {
		t.Helper()
		m.told = nil
		if err := b.service.reconcile(t.Context(), b.Store, m); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(m.told)); !slices.Equal(got, want) {
			t.Errorf("the machine was told %v, not %v", m.told, want)
		}
	}
	before := func(one, two string) {
		t.Helper()
		if i, j := slices.Index(m.told, one), slices.Index(m.told, two); i < 0 || j < i {
			t.Errorf("%v: not %s before %s", m.told, one, two)
		}
	}
	reconcile("-"+orphan, "-vpc-00000000000000000", id["vpc"], id["other"], id["third"], id["tgw"])
	before("-"+orphan, "-vpc-00000000000000000")
	for _, v := range []string{id["vpc"], id["other"], id["third"]} {
		before(v, id["tgw"])
	}
	reconcile()

	// A change is told to those that it is about.
	two := apitest.Must[ec2.CreateTransitGatewayVpcAttachmentOutput](t, b.admin, "ec2:CreateTransitGatewayVpcAttachment",
		&ec2.CreateTransitGatewayVpcAttachmentInput{TransitGatewayId: id["tgw"], VpcId: id["other"], SubnetIds: []string{id["sub"]}}).TransitGatewayVpcAttachment.TransitGatewayAttachmentId
	reconcile(id["other"], id["tgw"])
	if g := m.transit[id["tgw"]]; len(g.Attachments) != 2 || g.Attachments[1].ID != two || g.Attachments[1].RouteTable != id["rtb"] {
		t.Errorf("the machine has %+v", g)
	}
	apitest.Must[ec2.CreateTransitGatewayRouteOutput](t, b.admin, "ec2:CreateTransitGatewayRoute",
		&ec2.CreateTransitGatewayRouteInput{TransitGatewayRouteTableId: id["rtb"], DestinationCidrBlock: "10.0.9.0/24", Blackhole: ptr(true)})
	reconcile(id["tgw"])
	apitest.Must[ec2.AssociateVpcCidrBlockOutput](t, b.admin, "ec2:AssociateVpcCidrBlock", &ec2.AssociateVpcCidrBlockInput{VpcId: id["other"], CidrBlock: "10.7.0.0/16"})
	reconcile(id["other"], id["tgw"])
	if g := m.transit[id["tgw"]]; !slices.Contains(g.Attachments[1].CIDRs, netip.MustParsePrefix("10.7.0.0/16")) || len(g.RouteTables[0].Routes) != 4 {
		t.Errorf("the second range is not in %+v", g)
	}

	// Where a VPC was lost, so was its end of the gateway.
	delete(m.vpcs, id["vpc"])
	reconcile(id["vpc"], id["tgw"])
	b.service.Again(id["third"]) // at no gateway
	reconcile(id["third"])
	delete(m.transit, id["tgw"])
	reconcile(id["tgw"])

	// One that fails keeps none of the others waiting, and is tried again.
	m.refuses = id["tgw"]
	delete(m.transit, id["tgw"])
	if err := b.service.reconcile(t.Context(), b.Store, m); !errors.Is(err, errDown) || b.service.transits.version(id["tgw"]) != 0 {
		t.Errorf("a machine that cannot have the gateway: %v", err)
	}
	m.refuses = ""
	reconcile(id["tgw"])

	for _, a := range []string{id["one"], two} {
		apitest.Must[ec2.DeleteTransitGatewayVpcAttachmentOutput](t, b.admin, "ec2:DeleteTransitGatewayVpcAttachment", &ec2.DeleteTransitGatewayVpcAttachmentInput{TransitGatewayAttachmentId: a})
	}
	apitest.Must[ec2.DeleteTransitGatewayOutput](t, b.admin, "ec2:DeleteTransitGateway", &ec2.DeleteTransitGatewayInput{TransitGatewayId: id["tgw"]})
	reconcile("-"+id["tgw"], id["vpc"], id["other"])
	b.read(t, func(sn *store.Snapshot) {
		if _, err := b.service.TransitModel(sn, id["tgw"]); !errors.Is(err, ErrNoTransitGateway) {
			t.Errorf("a gateway that is gone: %v", err)
		}
	})
}

// A flow between two VPCs goes only where both of them and the gateway's tables lead
// it, there and back.
func TestTransitTraces(t *testing.T) { onBoth(t, transitTraces) }

func transitTraces(t *testing.T, b *bench) {
	b.organized(true)
	other := b.User(t, apitest.Other, "guest", apitest.Admin)
	id := fields(b.Python(t, b.admin, crossroads+as("o", other)+guest+`
def open_to_all(c, vpc):
    g = c.create_security_group(VpcId=vpc, GroupName="open", Description="d")["GroupId"]
    c.authorize_security_group_ingress(GroupId=g, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
    return g
def main(c, vpc):
    return c.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
one, two = attach(0), attach(1)
theirs_att = join()["TransitGatewayAttachmentId"]
g1, g2, g3 = open_to_all(e, vpcs[0]), open_to_all(e, vpcs[1]), open_to_all(o, theirs)
print("tgw=" + tgw, "rtb=" + rtb, "one=" + one, "two=" + two, "guest=" + theirs_att, "main1=" + main(e, vpcs[0]), "main2=" + main(e, vpcs[1]), "main3=" + main(o, theirs))
print("vpc1=" + vpcs[0], "vpc2=" + vpcs[1], "vpc3=" + theirs, "sub1=" + subs[0], "sub2=" + subs[1], "sub3=" + theirsub, "g1=" + g1, "g2=" + g2, "g3=" + g3)
`))
	reserve := func(account, n string) {
		t.Helper()
		eni, err := b.reserve(t, api.Reservation{Account: account, SubnetIDs: []string{id["sub"+n]}, SecurityGroupIDs: []string{id["g"+n]}, Workload: "w" + n, Service: "sagemaker"})
		if err != nil {
			t.Fatal(err)
		}
		id["eni"+n] = eni
	}
	reserve(apitest.Account, "1")
	reserve(apitest.Account, "2")
	reserve(apitest.Other, "3")
	// trace follows a flow on the model as it is now.
	trace := func(from, to string) (out netmodel.Trace) {
		t.Helper()
		b.read(t, func(sn *store.Snapshot) {
			c := &netmodel.Cloud{}
			at := map[string]netip.Addr{}
			for _, v := range []string{id["vpc1"], id["vpc2"], id["vpc3"]} {
				m, err := b.service.Model(sn, v)
				if err != nil || m.Validate() != nil {
					t.Fatal(err, m.Validate())
				}
				c.VPCs = append(c.VPCs, m)
				for _, i := range m.Interfaces {
					at[i.ID] = i.Address
				}
			}
			g, err := b.service.TransitModel(sn, id["tgw"])
			if err != nil || g.Validate() != nil {
				t.Fatal(err, g.Validate())
			}
			c.Gateways = append(c.Gateways, g)
			out = c.Trace(id["vpc"+from], netmodel.Flow{From: at[id["eni"+from]], To: at[id["eni"+to]], Protocol: netmodel.TCP, FromPort: 40000, Port: 7000})
		})
		return out
	}
	passes := func(why, from, to string) {
		t.Helper()
		if got := trace(from, to); !got.Allowed {
			t.Errorf("%s: %s to %s is refused: %+v", why, from, to, got.Steps)
		}
	}
	refused := func(why, from, to string, gate netmodel.Gate, where string) {
		t.Helper()
		got := trace(from, to)
		if last := got.Steps[len(got.Steps)-1]; got.Allowed || last.Gate != gate || last.Where != where {
			t.Errorf("%s: %s to %s: %v, %+v", why, from, to, got.Allowed, got.Steps)
		}
	}
	route := func(as *apitest.Caller, table, cidr string) {
		t.Helper()
		apitest.Must[ec2.CreateRouteOutput](t, as, "ec2:CreateRoute", &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: cidr, TransitGatewayId: id["tgw"]})
	}
	refused("no route there", "1", "2", netmodel.GateRoute, id["vpc1"])
	route(b.admin, id["main1"], "10.0.0.0/8")
	refused("a route there and none back", "1", "2", netmodel.GateRoute, id["vpc2"])
	route(b.admin, id["main2"], "10.0.0.0/8")
	passes("routes there and back, both learned by the gateway", "1", "2")
	passes("the other way", "2", "1")

	hole := func(as string, cidr string) {
		t.Helper()
		apitest.Must[ec2.CreateTransitGatewayRouteOutput](t, b.admin, "ec2:CreateTransitGatewayRoute",
			&ec2.CreateTransitGatewayRouteInput{TransitGatewayRouteTableId: id["rtb"], DestinationCidrBlock: cidr, Blackhole: ptr(true)})
		refused(as, "1", "2", netmodel.GateTransit, id["tgw"])
		apitest.Must[ec2.DeleteTransitGatewayRouteOutput](t, b.admin, "ec2:DeleteTransitGatewayRoute",
			&ec2.DeleteTransitGatewayRouteInput{TransitGatewayRouteTableId: id["rtb"], DestinationCidrBlock: cidr})
		passes("without: "+as, "1", "2")
	}
	hole("a black hole before what was learned", "10.1.0.0/16")
	hole("a black hole that is narrower", "10.1.1.0/24")
	hole("a black hole on the way back", "10.0.1.0/24")

	cross := func(attachment string) *ec2.DisassociateTransitGatewayRouteTableInput {
		return &ec2.DisassociateTransitGatewayRouteTableInput{TransitGatewayAttachmentId: attachment, TransitGatewayRouteTableId: id["rtb"]}
	}
	for _, a := range []string{id["one"], id["two"]} {
		apitest.Must[ec2.DisassociateTransitGatewayRouteTableOutput](t, b.admin, "ec2:DisassociateTransitGatewayRouteTable", cross(a))
		refused("an attachment without association", "1", "2", netmodel.GateTransit, id["tgw"])
		in := ec2.AssociateTransitGatewayRouteTableInput(*cross(a))
		apitest.Must[ec2.AssociateTransitGatewayRouteTableOutput](t, b.admin, "ec2:AssociateTransitGatewayRouteTable", &in)
	}
	disable := &ec2.DisableTransitGatewayRouteTablePropagationInput{TransitGatewayAttachmentId: id["two"], TransitGatewayRouteTableId: id["rtb"]}
	apitest.Must[ec2.DisableTransitGatewayRouteTablePropagationOutput](t, b.admin, "ec2:DisableTransitGatewayRouteTablePropagation", disable)
	refused("a range that is not propagated", "1", "2", netmodel.GateTransit, id["tgw"])
	enable := ec2.EnableTransitGatewayRouteTablePropagationInput(*disable)
	apitest.Must[ec2.EnableTransitGatewayRouteTablePropagationOutput](t, b.admin, "ec2:EnableTransitGatewayRouteTablePropagation", &enable)
	passes("propagated again", "1", "2")

	// Another account's, which waits.
	refused("an attachment that waits", "1", "3", netmodel.GateTransit, id["tgw"])
	if _, err := apitest.Call[ec2.CreateRouteOutput](t, other, "ec2:CreateRoute",
		&ec2.CreateRouteInput{RouteTableId: id["main3"], DestinationCidrBlock: "10.0.0.0/8", TransitGatewayId: id["tgw"]}); err == nil {
		t.Error("a route to a gateway that did not accept the VPC")
	}
	refused("a VPC that waits", "3", "1", netmodel.GateRoute, id["vpc3"])
	apitest.Must[ec2.AcceptTransitGatewayVpcAttachmentOutput](t, b.admin, "ec2:AcceptTransitGatewayVpcAttachment", &ec2.AcceptTransitGatewayVpcAttachmentInput{TransitGatewayAttachmentId: id["guest"]})
	refused("accepted, and no route back", "1", "3", netmodel.GateRoute, id["vpc3"])
	route(other, id["main3"], "10.0.0.0/8")
	passes("accepted", "1", "3")
	passes("accepted, the other way", "3", "1")
	apitest.Must[ec2.DeleteTransitGatewayVpcAttachmentOutput](t, b.admin, "ec2:DeleteTransitGatewayVpcAttachment", &ec2.DeleteTransitGatewayVpcAttachmentInput{TransitGatewayAttachmentId: id["guest"]})
	refused("ended by the owner", "3", "1", netmodel.GateRoute, id["vpc3"])
	refused("ended, from the others", "1", "3", netmodel.GateTransit, id["tgw"])
}
