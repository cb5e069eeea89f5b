package ec2

import (
	"testing"

	"bawn.dev/internal/api/apitest"
)

func TestInternetGateways(t *testing.T) { onBoth(t, internetGateways) }

func internetGateways(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import re
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
other = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
g = e.create_internet_gateway(TagSpecifications=[{"ResourceType": "internet-gateway", "Tags": [{"Key": "a", "Value": "b"}]}])["InternetGateway"]
igw = g["InternetGatewayId"]
assert re.fullmatch("igw-[0-9a-f]{17}", igw) and g["Tags"] == [{"Key": "a", "Value": "b"}] and not g.get("Attachments"), g
second = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]

refused(e.detach_internet_gateway, "Gateway.NotAttached", InternetGatewayId=igw, VpcId=vpc)
e.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
refused(e.attach_internet_gateway, "Resource.AlreadyAssociated", InternetGatewayId=igw, VpcId=other)
refused(e.attach_internet_gateway, "InvalidParameterValue", InternetGatewayId=second, VpcId=vpc)
refused(e.detach_internet_gateway, "Gateway.NotAttached", InternetGatewayId=igw, VpcId=other)
refused(e.delete_internet_gateway, "DependencyViolation", InternetGatewayId=igw)
refused(e.delete_vpc, "DependencyViolation", VpcId=vpc)
assert e.describe_internet_gateways(InternetGatewayIds=[igw])["InternetGateways"][0]["Attachments"] == [{"State": "available", "VpcId": vpc}]
find = lambda name, *values: [x["InternetGatewayId"] for x in e.describe_internet_gateways(Filters=[{"Name": name, "Values": list(values)}])["InternetGateways"]]
assert find("attachment.vpc-id", vpc) == [igw] == find("attachment.state", "available") == find("tag:a", "b") and find("internet-gateway-id", second) == [second]
assert sorted(find("owner-id", "123456789012")) == sorted([igw, second])
pages = list(e.get_paginator("describe_internet_gateways").paginate(PaginationConfig={"PageSize": 5}))
assert len(pages) == 1
for i in ("igw-" + "0" * 17,):
    refused(e.describe_internet_gateways, "InvalidInternetGatewayID.NotFound", InternetGatewayIds=[i])
    refused(e.attach_internet_gateway, "InvalidInternetGatewayID.NotFound", InternetGatewayId=i, VpcId=vpc)
    refused(e.delete_internet_gateway, "InvalidInternetGatewayID.NotFound", InternetGatewayId=i)
refused(e.delete_internet_gateway, "InvalidInternetGatewayID.Malformed", InternetGatewayId="igw-1")
refused(e.attach_internet_gateway, "InvalidVpcID.NotFound", InternetGatewayId=second, VpcId="vpc-" + "0" * 17)
e.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
e.attach_internet_gateway(InternetGatewayId=second, VpcId=vpc)
e.delete_internet_gateway(InternetGatewayId=igw)
assert find("owner-id", "*") == [second]
e.detach_internet_gateway(InternetGatewayId=second, VpcId=vpc)
e.delete_vpc(VpcId=vpc)
`)
}

func TestNATGateways(t *testing.T) { onBoth(t, natGateways) }

func natGateways(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import re
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
igw = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
refused(e.create_nat_gateway, "Gateway.NotAttached", SubnetId=sub)
e.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
assert "AllocationId" in str(refused(e.create_nat_gateway, SubnetId=sub, AllocationId="eipalloc-0123456789abcdef0"))
g = e.create_nat_gateway(SubnetId=sub, ClientToken="once", TagSpecifications=[{"ResourceType": "natgateway", "Tags": [{"Key": "a", "Value": "b"}]}])["NatGateway"]
nat = g["NatGatewayId"]
assert re.fullmatch("nat-[0-9a-f]{17}", nat) and g["State"] == "available" and g["ConnectivityType"] == "public" and g["VpcId"] == vpc and g["SubnetId"] == sub, g
assert e.create_nat_gateway(SubnetId=sub, ClientToken="once", TagSpecifications=[{"ResourceType": "natgateway", "Tags": [{"Key": "a", "Value": "b"}]}])["NatGateway"]["NatGatewayId"] == nat
refused(e.create_nat_gateway, "IdempotentParameterMismatch", SubnetId=sub, ClientToken="once")
a = g["NatGatewayAddresses"][0]
eni = e.describe_network_interfaces(NetworkInterfaceIds=[a["NetworkInterfaceId"]])["NetworkInterfaces"][0]
assert eni["PrivateIpAddress"] == a["PrivateIp"] and eni["SubnetId"] == sub and nat in eni["Description"] and not eni.get("Groups"), eni
assert e.describe_subnets(SubnetIds=[sub])["Subnets"][0]["AvailableIpAddressCount"] == 250

mine = e.create_nat_gateway(SubnetId=sub, ConnectivityType="private", PrivateIpAddress="10.0.1.77")["NatGateway"]
assert mine["NatGatewayAddresses"][0]["PrivateIp"] == "10.0.1.77" and mine["ConnectivityType"] == "private", mine
refused(e.create_nat_gateway, "InvalidIPAddress.InUse", SubnetId=sub, PrivateIpAddress="10.0.1.77")
for wrong in ["10.0.1.0", "10.0.1.3", "10.0.1.255", "10.0.2.9", "fd00::1", "x"]:
    refused(e.create_nat_gateway, "InvalidParameterValue", SubnetId=sub, PrivateIpAddress=wrong)
refused(e.create_nat_gateway, "InvalidSubnetID.NotFound", SubnetId="subnet-" + "0" * 17)
for i in range(3):
    e.create_nat_gateway(SubnetId=sub, ConnectivityType="private")
refused(e.create_nat_gateway, "NatGatewayLimitExceeded", SubnetId=sub)

find = lambda name, *values: [x["NatGatewayId"] for x in e.describe_nat_gateways(Filter=[{"Name": name, "Values": list(values)}])["NatGateways"]]
assert find("tag:a", "b") == [nat] == find("nat-gateway-id", nat) and len(find("vpc-id", vpc)) == 5 == len(find("subnet-id", sub)) == len(find("state", "available"))
assert not find("state", "deleted")
refused(e.describe_nat_gateways, "NatGatewayNotFound", NatGatewayIds=["nat-" + "0" * 17])
refused(e.describe_nat_gateways, "NatGatewayMalformed", NatGatewayIds=["nat-0"])
refused(e.delete_nat_gateway, "NatGatewayNotFound", NatGatewayId="nat-" + "0" * 17)

refused(e.detach_internet_gateway, "DependencyViolation", InternetGatewayId=igw, VpcId=vpc)
refused(e.delete_subnet, "DependencyViolation", SubnetId=sub)
assert e.delete_nat_gateway(NatGatewayId=nat)["NatGatewayId"] == nat
e.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
refused(e.delete_nat_gateway, "NatGatewayNotFound", NatGatewayId=nat)
for x in e.describe_nat_gateways()["NatGateways"]:
    e.delete_nat_gateway(NatGatewayId=x["NatGatewayId"])
e.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat])
assert not e.describe_network_interfaces()["NetworkInterfaces"]
e.delete_subnet(SubnetId=sub)
e.delete_vpc(VpcId=vpc)
`)
}

// Nobody reaches another account's gateways, nor hears of them.
func TestGatewaysAreApart(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
igw = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
e.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
nat = e.create_nat_gateway(SubnetId=sub)["NatGateway"]["NatGatewayId"]
free = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
for k in "vpc sub igw nat free".split():
    print(k + "=" + globals()[k])
`))
	b.Python(t, b.User(t, apitest.Other, "mallory", apitest.Admin), `
e = client("ec2")
ids = dict(x.split("=") for x in """`+join(id)+`""".split())
mine = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
igw = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
for f, kw in [
    (e.attach_internet_gateway, dict(InternetGatewayId=ids["free"], VpcId=mine)),
    (e.attach_internet_gateway, dict(InternetGatewayId=igw, VpcId=ids["vpc"])),
    (e.detach_internet_gateway, dict(InternetGatewayId=ids["igw"], VpcId=ids["vpc"])),
    (e.delete_internet_gateway, dict(InternetGatewayId=ids["free"])),
    (e.describe_internet_gateways, dict(InternetGatewayIds=[ids["igw"]])),
    (e.create_nat_gateway, dict(SubnetId=ids["sub"])),
    (e.delete_nat_gateway, dict(NatGatewayId=ids["nat"])),
    (e.describe_nat_gateways, dict(NatGatewayIds=[ids["nat"]])),
]:
    said = []
    for there in (True, False):
        args = {}
        for k, v in kw.items():
            i = v[0] if type(v) is list else v
            if i in ids.values() and not there:
                i = i.split("-")[0] + "-" + "0" * 17
            args[k] = [i] if type(v) is list else i
        x = refused(f, **args)
        assert x.response["Error"]["Code"].endswith("NotFound"), x
        said.append(x.response["Error"]["Code"])
    assert said[0] == said[1], said
assert [g["InternetGatewayId"] for g in e.describe_internet_gateways()["InternetGateways"]] == [igw] and not e.describe_nat_gateways()["NatGateways"]
`)
	// A policy about one VPC says which may be joined to the internet.
	some := b.User(t, apitest.Account, "some", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:AttachInternetGateway","Resource":["arn:aws:ec2:*:*:internet-gateway/*","arn:aws:ec2:*:*:vpc/vpc-00000000000000000"]},
		{"Effect":"Allow","Action":"ec2:CreateNatGateway","Resource":"arn:aws:ec2:*:*:natgateway/*"}]}`)
	b.Python(t, some, `
e = client("ec2")
refused(e.attach_internet_gateway, "UnauthorizedOperation", InternetGatewayId="`+id["free"]+`", VpcId="`+id["vpc"]+`")
refused(e.attach_internet_gateway, "InvalidVpcID.NotFound", InternetGatewayId="`+id["free"]+`", VpcId="vpc-" + "0" * 17)
refused(e.create_nat_gateway, "UnauthorizedOperation", SubnetId="`+id["sub"]+`")
`)
}
