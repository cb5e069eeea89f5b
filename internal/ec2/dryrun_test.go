package ec2

import (
	"reflect"
	"strings"
	"testing"

	"bawn.dev/internal/shape/ec2"
)

// A rehearsal says whether a request would be granted, and changes nothing.
func TestDryRun(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.Python(t, b.admin, `
e = client("ec2")
def code(f, **kw):
    try:
        f(DryRun=True, **kw)
        return "done"
    except Exception as x:
        return x.response["Error"]["Code"]

before = e.describe_vpcs()["Vpcs"]
assert code(e.create_vpc, CidrBlock="10.0.0.0/16") == "DryRunOperation"
assert code(e.create_vpc, CidrBlock="nonsense") == "InvalidParameterValue"
assert code(e.describe_vpcs) == "DryRunOperation"
assert code(e.delete_vpc, VpcId="vpc-00000000000000000") == "InvalidVpcID.NotFound"
vpc = e.create_vpc(CidrBlock="10.0.0.0/16", DryRun=False)["Vpc"]["VpcId"]
for f, kw in ((e.delete_vpc, {"VpcId": vpc}), (e.create_subnet, {"VpcId": vpc, "CidrBlock": "10.0.1.0/24"}), (e.create_internet_gateway, {}),
              (e.create_transit_gateway, {}), (e.create_tags, {"Resources": [vpc], "Tags": [{"Key": "a", "Value": "b"}]}),
              (e.modify_vpc_endpoint_service_permissions, {"ServiceId": "vpce-svc-00000000000000000"})):
    assert code(f, **kw) in ("DryRunOperation", "InvalidVpcEndpointServiceId.NotFound"), (f, code(f, **kw))
after = e.describe_vpcs()["Vpcs"]
assert [v["VpcId"] for v in after if v not in before] == [vpc] and "Tags" not in after[-1], after
assert not e.describe_internet_gateways()["InternetGateways"] and not e.describe_transit_gateways()["TransitGateways"]
assert not e.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
`)
	})
}

// Every operation that AWS lets one rehearse can be rehearsed here: the parameter is a
// pointer of that name, which the service looks for.
func TestDryRunIsKnown(t *testing.T) {
	for _, op := range ec2.Model().Operations {
		in := reflect.TypeOf(op.NewInput()).Elem()
		field, ok := in.FieldByName("DryRun")
		if !ok && !strings.Contains("ModifyVpcAttribute DescribeVpcAttribute AssociateVpcCidrBlock DisassociateVpcCidrBlock", op.Name) {
			t.Errorf("%s has no DryRun", op.Name)
		}
		if ok && field.Type != reflect.TypeFor[*bool]() {
			t.Errorf("%s: DryRun is a %v", op.Name, field.Type)
		}
	}
}
