package ec2

import "testing"

// What endpoints can be made for is told as AWS tells it, and can be made.
func TestOffers(t *testing.T) {
	b := newBench(t)
	b.Python(t, b.admin, `
e = client("ec2")
out = e.describe_vpc_endpoint_services()
names = out["ServiceNames"]
assert names == sorted(names) == [d["ServiceName"] for d in out["ServiceDetails"]], names
for name in ["com.amazonaws.iam", "com.amazonaws.us-east-1.organizations", "com.amazonaws.us-east-1.identitystore", "com.amazonaws.us-east-1.kms", "com.amazonaws.us-east-1.s3", "com.amazonaws.us-east-1.sts"]:
    assert name in names, names
by = {d["ServiceName"]: d for d in out["ServiceDetails"]}
s3, kms = by["com.amazonaws.us-east-1.s3"], by["com.amazonaws.us-east-1.kms"]
assert [t["ServiceType"] for t in s3["ServiceType"]] == ["Gateway", "Interface"] and s3["Owner"] == "amazon", s3
assert kms["PrivateDnsName"] == "kms.us-east-1.amazonaws.com" and kms["VpcEndpointPolicySupported"] and not kms["AcceptanceRequired"], kms
assert kms["BaseEndpointDnsNames"] == ["kms.us-east-1.vpce.amazonaws.com"] and kms["AvailabilityZones"] == ["us-east-1a"], kms
find = lambda name, *values, **kw: e.describe_vpc_endpoint_services(Filters=[{"Name": name, "Values": list(values)}], **kw)["ServiceNames"]
assert find("service-type", "Gateway") == ["com.amazonaws.us-east-1.s3"] and find("service-name", "*.kms") == ["com.amazonaws.us-east-1.kms"]
assert find("owner", "amazon") == names and not find("service-region", "eu-west-1") and not find("tag-key", "*")
assert find("service-type", "Interface", ServiceNames=["com.amazonaws.us-east-1.logs"]) == ["com.amazonaws.us-east-1.logs"]
pages = []
token = {}
while True:
    out = e.describe_vpc_endpoint_services(MaxResults=5, **token)
    pages += out["ServiceNames"]
    if not out.get("NextToken"):
        break
    token = {"NextToken": out["NextToken"]}
assert pages == names
for name in ["com.amazonaws.us-east-1.nothing", "com.amazonaws.eu-west-1.kms", "com.amazonaws.us-east-1.iam", "kms", "com.amazonaws.vpce.us-east-1.", ""]:
    refused(e.describe_vpc_endpoint_services, "InvalidServiceName", ServiceNames=[name])

vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
e.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
for name in names:
    v = e.create_vpc_endpoint(VpcId=vpc, VpcEndpointType="Interface", ServiceName=name, SubnetIds=[sub])["VpcEndpoint"]
    said = [d["DnsName"] for d in v["DnsEntries"]]
    assert v["ServiceName"] == name and v["PrivateDnsEnabled"] and said[0].endswith(by[name]["BaseEndpointDnsNames"][0]), v
    assert said[1:] == [d["PrivateDnsName"] for d in by[name]["PrivateDnsNames"]], v
assert [v["ServiceName"] for v in e.describe_vpc_endpoints(Filters=[{"Name": "service-name", "Values": ["*.iam"]}])["VpcEndpoints"]] == ["com.amazonaws.iam"]
`)
}
