package ec2

import (
	"testing"

	"bawn.dev/internal/api/apitest"
)

// What nobody made is there, and nothing more.
func TestRegion(t *testing.T) {
	b := newBench(t)
	b.Python(t, b.admin, `
e = client("ec2")
f = lambda k, v: [{"Name": k, "Values": [v]}]
zones = e.describe_availability_zones()["AvailabilityZones"]
assert len(zones) == 1 and zones[0]["ZoneName"] == "us-east-1a" and zones[0]["ZoneId"] == "use1-az1" and zones[0]["State"] == "available", zones
assert e.describe_availability_zones(ZoneNames=["us-east-1a"], ZoneIds=["use1-az1"], Filters=f("state", "available"))["AvailabilityZones"] == zones
assert e.describe_availability_zones(AllAvailabilityZones=True)["AvailabilityZones"] == zones
assert e.describe_availability_zones(Filters=f("zone-type", "local-zone"))["AvailabilityZones"] == []
refused(e.describe_availability_zones, "InvalidParameterValue", ZoneNames=["us-east-1a", "us-east-1b"])
refused(e.describe_availability_zones, "InvalidParameterValue", ZoneIds=["use1-az2"])
refused(e.describe_availability_zones, "InvalidParameterValue", Filters=f("colour", "red"))

regions = e.describe_regions()["Regions"]
assert [(r["RegionName"], r["Endpoint"], r["OptInStatus"]) for r in regions] == [("us-east-1", "ec2.us-east-1.amazonaws.com", "opt-in-not-required")], regions
assert e.describe_regions(RegionNames=["us-east-1"], Filters=f("region-name", "us-*"), AllRegions=True)["Regions"] == regions
assert e.describe_regions(Filters=f("region-name", "eu-*"))["Regions"] == []
refused(e.describe_regions, "InvalidParameterValue", RegionNames=["eu-west-1"])

vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
options = e.describe_dhcp_options()["DhcpOptions"]
assert [o["DhcpOptionsId"] for o in options] == [vpc["DhcpOptionsId"]], options
assert options[0]["DhcpConfigurations"] == [{"Key": "domain-name-servers", "Values": [{"Value": "AmazonProvidedDNS"}]}], options
assert e.describe_dhcp_options(DhcpOptionsIds=[vpc["DhcpOptionsId"]], Filters=f("value", "Amazon*"))["DhcpOptions"] == options
assert e.describe_dhcp_options(Filters=f("key", "domain-name"))["DhcpOptions"] == []
assert [v["VpcId"] for v in e.describe_vpcs(Filters=f("dhcp-options-id", vpc["DhcpOptionsId"]))["Vpcs"]] == [vpc["VpcId"]]
refused(e.describe_dhcp_options, "InvalidDhcpOptionID.NotFound", DhcpOptionsIds=["dopt-" + "0" * 17])
refused(e.describe_dhcp_options, "InvalidDhcpOptionsId.Malformed", DhcpOptionsIds=["default"])
refused(e.describe_dhcp_options, "InvalidNextToken", NextToken="x")
`)
}

// Policies may decide by the zone of a subnet and the tenancy of a VPC.
func TestKeysOfPlaces(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
print("vpc=" + vpc, "sub=" + e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"])`))
	guest := func(name, zone, script string) {
		t.Helper()
		u := b.User(t, apitest.Account, name, `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"ec2:*Subnet","Resource":"arn:aws:ec2:*:*:subnet/*","Condition":{"StringEquals":{"ec2:AvailabilityZoneId":"`+zone+`"}}},
			{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:vpc/*","Condition":{"StringEquals":{"ec2:Tenancy":"default"}}}]}`)
		b.Python(t, u, "e, vpc, sub = client('ec2'), '"+id["vpc"]+"', '"+id["sub"]+"'\n"+script)
	}
	guest("far", "use1-az2", `
e.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
refused(e.create_subnet, "UnauthorizedOperation", VpcId=vpc, CidrBlock="10.0.2.0/24")
refused(e.delete_subnet, "UnauthorizedOperation", SubnetId=sub)
`)
	guest("near", "use1-az1", `
e.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24")
e.delete_subnet(SubnetId=sub)
`)
}
