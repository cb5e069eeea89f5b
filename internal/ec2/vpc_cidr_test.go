package ec2

import (
	"net/netip"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

func TestSecondaryRanges(t *testing.T) { onBoth(t, secondaryRanges) }

func secondaryRanges(t *testing.T, b *bench) {
	id := fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
shown = lambda: {a["CidrBlock"]: a for a in e.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlockAssociationSet"]}
out = e.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="100.64.3.4/20")
more = out["CidrBlockAssociation"]["AssociationId"]
assert out["VpcId"] == vpc and out["CidrBlockAssociation"]["CidrBlock"] == "100.64.0.0/20" and more.startswith("vpc-cidr-assoc-"), out
assert shown()["100.64.0.0/20"]["AssociationId"] == more and shown()["100.64.0.0/20"]["CidrBlockState"]["State"] == "associated"
for cidr in ["10.0.0.0/16", "10.0.128.0/17", "100.64.0.0/16", "100.64.15.0/24", "169.254.0.0/20", "10.2.0.0/15", "10.2.0.0/29", "127.0.0.0/16"]:
    refused(e.associate_vpc_cidr_block, "InvalidVpc.Range", VpcId=vpc, CidrBlock=cidr)
refused(e.associate_vpc_cidr_block, "InvalidParameterValue", VpcId=vpc, CidrBlock="ten")
refused(e.associate_vpc_cidr_block, "MissingParameter", VpcId=vpc)
refused(e.associate_vpc_cidr_block, "InvalidParameterValue", VpcId=vpc, CidrBlock="10.2.0.0/16", AmazonProvidedIpv6CidrBlock=True)
for i in (2, 3, 4):
    e.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.%d.0.0/16" % i)
refused(e.associate_vpc_cidr_block, "CidrLimitExceeded", VpcId=vpc, CidrBlock="10.5.0.0/16")

find = lambda k, v: [x["VpcId"] for x in e.describe_vpcs(Filters=[{"Name": k, "Values": [v]}])["Vpcs"]]
e.create_vpc(CidrBlock="10.0.0.0/16")
assert find("cidr-block-association.cidr-block", "100.64.0.0/20") == [vpc] == find("cidr-block-association.association-id", more)
assert find("cidr", "100.64.0.0/20") == [] and len(find("cidr-block-association.cidr-block", "10.0.0.0/16")) == 2

sub = e.create_subnet(VpcId=vpc, CidrBlock="100.64.1.0/24")["Subnet"]["SubnetId"]
home = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
refused(e.create_subnet, "InvalidSubnet.Range", VpcId=vpc, CidrBlock="100.64.16.0/24")
rtb = e.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
assert {r["DestinationCidrBlock"] for r in rtb["Routes"] if r["GatewayId"] == "local"} == set(shown()), rtb["Routes"]

refused(e.disassociate_vpc_cidr_block, "DependencyViolation", AssociationId=more)
refused(e.disassociate_vpc_cidr_block, "OperationNotPermitted", AssociationId=shown()["10.0.0.0/16"]["AssociationId"])
for i in (more[:-1], "vpc-cidr-assoc-" + "0" * 17, vpc, "x"):
    refused(e.disassociate_vpc_cidr_block, "InvalidVpcCidrBlockAssociationID.NotFound", AssociationId=i)
gone = e.disassociate_vpc_cidr_block(AssociationId=shown()["10.3.0.0/16"]["AssociationId"])
assert gone["VpcId"] == vpc and gone["CidrBlockAssociation"]["CidrBlock"] == "10.3.0.0/16" and "10.3.0.0/16" not in shown(), gone
sg = e.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"][0]["GroupId"]
print("vpc=" + vpc, "sub=" + sub, "home=" + home, "sg=" + sg, "more=" + more)
`))
	reserve := func(name, subnet string) {
		t.Helper()
		if _, err := b.reserve(t, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{subnet}, SecurityGroupIDs: []string{id["sg"]}, Workload: name, Service: "sagemaker",
		}); err != nil {
			t.Fatal(err)
		}
	}
	reserve("far", id["sub"])
	reserve("home", id["home"])
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, id["vpc"])
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
		at := map[string]netip.Addr{}
		for _, i := range m.Interfaces {
			at[i.Workload] = i.Address
		}
		if v := m.Pass(at["home"], at["far"], netmodel.TCP, 443); !v.Allowed {
			t.Errorf("from the primary range to the secondary one: %+v", v)
		}
		if m.ResolverAddress() != netip.MustParseAddr("10.0.0.2") {
			t.Errorf("the resolver is at %s", m.ResolverAddress())
		}
	})

	// Another account cannot tell an association from nothing, nor end it.
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, `
e = client("ec2")
refused(e.disassociate_vpc_cidr_block, "InvalidVpcCidrBlockAssociationID.NotFound", AssociationId="`+id["more"]+`")
refused(e.associate_vpc_cidr_block, "InvalidVpcID.NotFound", VpcId="`+id["vpc"]+`", CidrBlock="10.9.0.0/16")
`)
	weak := b.User(t, apitest.Account, "weak", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:DisassociateVpcCidrBlock","Resource":"arn:aws:ec2:*:*:vpc/vpc-other"}}`)
	b.Python(t, weak, `
e = client("ec2")
for i in ("`+id["more"]+`", "vpc-cidr-assoc-" + "0" * 17):
    refused(e.disassociate_vpc_cidr_block, "UnauthorizedOperation", AssociationId=i)
`)
}

// A transit gateway learns of a VPC's ranges as they come and go.
func TestRangesPropagate(t *testing.T) {
	b := newBench(t)
	b.Python(t, b.admin, crossroads+`
attach(0)
learned = lambda: {r[0] for r in search("type", "propagated")}
assert learned() == {"10.0.0.0/16"}
more = e.associate_vpc_cidr_block(VpcId=vpcs[0], CidrBlock="100.64.0.0/24")["CidrBlockAssociation"]["AssociationId"]
assert learned() == {"10.0.0.0/16", "100.64.0.0/24"}
e.disassociate_vpc_cidr_block(AssociationId=more)
assert learned() == {"10.0.0.0/16"}
refused(e.delete_subnet, "DependencyViolation", SubnetId=subs[0])
`)
}
