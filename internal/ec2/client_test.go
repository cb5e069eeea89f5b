package ec2

import (
	"testing"

	"bawn.dev/internal/api/apitest"
)

func TestNetworks(t *testing.T) { onBoth(t, networks) }

func networks(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import re
e = client("ec2")
v = e.create_vpc(CidrBlock="10.0.3.7/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "main"}]}])["Vpc"]
assert re.fullmatch("vpc-[0-9a-f]{17}", v["VpcId"]) and v["CidrBlock"] == "10.0.0.0/16" and v["State"] == "available", v
assert v["Tags"] == [{"Key": "Name", "Value": "main"}] and not v["IsDefault"] and v["OwnerId"] == "123456789012", v
vpc = v["VpcId"]
for cidr in ["10.0.0.0/15", "10.0.0.0/29", "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/16"]:
    refused(e.create_vpc, "InvalidVpc.Range", CidrBlock=cidr)
for cidr in ["ten", "10.0.0.0", "fd00::/64", "10.0.0.0/33"]:
    refused(e.create_vpc, "InvalidParameterValue", CidrBlock=cidr)
refused(e.create_vpc, "InvalidParameterValue", CidrBlock="10.0.0.0/16", InstanceTenancy="dedicated")
refused(e.create_vpc, "InvalidParameterValue", CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
refused(e.create_vpc, "InvalidParameterValue", CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": "a", "Value": "b"}]}])

def attribute(name):
    out = e.describe_vpc_attribute(VpcId=vpc, Attribute=name)
    return out[name[0].upper() + name[1:]]["Value"]
assert attribute("enableDnsSupport") and not attribute("enableDnsHostnames") and not attribute("enableNetworkAddressUsageMetrics")
e.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
assert attribute("enableDnsHostnames") and attribute("enableDnsSupport")
refused(e.modify_vpc_attribute, "InvalidParameterCombination", VpcId=vpc, EnableDnsHostnames={"Value": True}, EnableDnsSupport={"Value": True})
refused(e.modify_vpc_attribute, "MissingParameter", VpcId=vpc)

s = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]
assert s["AvailableIpAddressCount"] == 251 and s["AvailabilityZone"] == "us-east-1a" and s["AvailabilityZoneId"] == "use1-az1", s
assert s["SubnetArn"] == "arn:aws:ec2:us-east-1:123456789012:subnet/" + s["SubnetId"]
for cidr in ["10.0.1.0/24", "10.0.0.0/16", "10.0.1.128/25"]:
    refused(e.create_subnet, "InvalidSubnet.Conflict", VpcId=vpc, CidrBlock=cidr)
for cidr in ["10.1.0.0/24", "10.0.2.0/29", "10.0.0.0/15"]:
    refused(e.create_subnet, "InvalidSubnet.Range", VpcId=vpc, CidrBlock=cidr)
refused(e.create_subnet, "InvalidParameterValue", VpcId=vpc, CidrBlock="10.0.2.0/24", AvailabilityZone="us-east-1b")
refused(e.create_subnet, "InvalidVpcID.NotFound", VpcId="vpc-" + "0" * 17, CidrBlock="10.0.2.0/24")
refused(e.create_subnet, "InvalidVpcID.Malformed", VpcId="vpc-*", CidrBlock="10.0.2.0/24")

# Paging and filters.
made = {s["SubnetId"]} | {e.create_subnet(VpcId=vpc, CidrBlock="10.0.%d.0/24" % i, AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"] for i in range(2, 9)}
pages = list(e.get_paginator("describe_subnets").paginate(PaginationConfig={"PageSize": 5}))
assert [len(p["Subnets"]) for p in pages] == [5, 3], pages
assert {x["SubnetId"] for p in pages for x in p["Subnets"]} == made
refused(e.describe_subnets, "InvalidNextToken", MaxResults=5, NextToken="!!")
find = lambda **kw: [x["CidrBlock"] for x in e.describe_subnets(Filters=[{"Name": k.replace("_", "-"), "Values": v} for k, v in kw.items()])["Subnets"]]
assert find(cidr_block=["10.0.1.*"]) == ["10.0.1.0/24"]
assert sorted(find(cidr_block=["10.0.[12].0/24", "10.0.?.0/24"])) == ["10.0.%d.0/24" % i for i in range(1, 9)]
assert find(vpc_id=[vpc], cidr_block=["10.0.4.0/24", "10.0.5.0/24"], state=["pending"]) == []
refused(e.describe_subnets, "InvalidParameterValue", Filters=[{"Name": "colour", "Values": ["red"]}])
refused(e.describe_subnets, "InvalidSubnetID.NotFound", SubnetIds=[s["SubnetId"], "subnet-" + "0" * 17])
refused(e.describe_subnets, "InvalidSubnetID.Malformed", SubnetIds=["subnet-0"])

# Tags.
e.create_tags(Resources=[vpc, s["SubnetId"]], Tags=[{"Key": "team", "Value": "red"}, {"Key": "Name", "Value": "new"}])
assert e.describe_vpcs(Filters=[{"Name": "tag:team", "Values": ["r*"]}, {"Name": "tag-key", "Values": ["Name"]}])["Vpcs"][0]["Tags"] == [{"Key": "Name", "Value": "new"}, {"Key": "team", "Value": "red"}]
assert [x["SubnetId"] for x in e.describe_subnets(Filters=[{"Name": "tag:team", "Values": ["red"]}])["Subnets"]] == [s["SubnetId"]]
refused(e.create_tags, "InvalidParameterValue", Resources=[vpc], Tags=[{"Key": "aws:x", "Value": ""}])
refused(e.create_tags, "InvalidParameterValue", Resources=[vpc], Tags=[{"Key": "TEAM", "Value": ""}])
refused(e.create_tags, "InvalidParameterValue", Resources=[vpc], Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}])
refused(e.create_tags, "TagLimitExceeded", Resources=[vpc], Tags=[{"Key": str(i), "Value": ""} for i in range(49)])
refused(e.create_tags, "InvalidID", Resources=["i-" + "0" * 17], Tags=[{"Key": "a", "Value": ""}])
refused(e.create_tags, "InvalidVpcID.NotFound", Resources=["vpc-" + "0" * 17], Tags=[{"Key": "a", "Value": ""}])

# What is in use stays.
refused(e.delete_vpc, "DependencyViolation", VpcId=vpc)
for x in made:
    e.delete_subnet(SubnetId=x)
refused(e.delete_subnet, "InvalidSubnetID.NotFound", SubnetId=s["SubnetId"])
e.delete_vpc(VpcId=vpc)
refused(e.describe_vpcs, "InvalidVpcID.NotFound", VpcIds=[vpc])
assert e.describe_vpcs()["Vpcs"] == [] == e.describe_security_groups()["SecurityGroups"] == e.describe_route_tables()["RouteTables"]
`)
}

func TestRoutes(t *testing.T) {
	b := newBench(t)
	b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
main = e.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}])["RouteTables"][0]
local = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
assert main["Routes"] == [local] and main["Associations"][0]["Main"], main
own = e.create_route_table(VpcId=vpc, ClientToken="once")["RouteTable"]
assert e.create_route_table(VpcId=vpc, ClientToken="once")["RouteTable"]["RouteTableId"] == own["RouteTableId"]
refused(e.create_route_table, "IdempotentParameterMismatch", VpcId=vpc, ClientToken="once", TagSpecifications=[{"ResourceType": "route-table", "Tags": [{"Key": "a", "Value": ""}]}])
rtb = own["RouteTableId"]
assert own["Routes"] == [local] and not own.get("Associations"), own
assoc = e.associate_route_table(RouteTableId=rtb, SubnetId=sub)["AssociationId"]
refused(e.associate_route_table, "Resource.AlreadyAssociated", RouteTableId=main["RouteTableId"], SubnetId=sub)
assert e.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [sub]}])["RouteTables"][0]["RouteTableId"] == rtb
refused(e.delete_route_table, "DependencyViolation", RouteTableId=rtb)
refused(e.delete_route_table, "DependencyViolation", RouteTableId=main["RouteTableId"])

# There is no way out, and each says so by its name.
out = lambda code, **kw: refused(e.create_route, code, RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0", **kw)
out("InvalidGatewayID.NotFound", GatewayId="igw-0123456789abcdef0")
out("InvalidNatGatewayID.NotFound", NatGatewayId="nat-0123456789abcdef0")
out("InvalidTransitGatewayID.NotFound", TransitGatewayId="tgw-0123456789abcdef0")
out("InvalidParameterValue", VpcPeeringConnectionId="pcx-0123456789abcdef0")
out("InvalidParameterValue", NetworkInterfaceId="eni-0123456789abcdef0")
out("InvalidParameterValue", VpcEndpointId="vpce-0123456789abcdef0")
out("RouteAlreadyExists", GatewayId="local")
out("InvalidParameterCombination")
refused(e.create_route, "InvalidRouteTableID.NotFound", RouteTableId="rtb-" + "0" * 17, DestinationCidrBlock="0.0.0.0/0", GatewayId="igw-1")
refused(e.delete_route, "InvalidParameterValue", RouteTableId=rtb, DestinationCidrBlock="10.0.0.0/16")
refused(e.delete_route, "InvalidRoute.NotFound", RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0")
assert e.describe_route_tables(RouteTableIds=[rtb])["RouteTables"][0]["Routes"] == [local]

other = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
foreign = e.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
e.disassociate_route_table(AssociationId=assoc)
refused(e.associate_route_table, "InvalidParameterValue", RouteTableId=foreign, SubnetId=sub)
refused(e.disassociate_route_table, "InvalidAssociationID.NotFound", AssociationId=assoc)
refused(e.disassociate_route_table, "InvalidParameterValue", AssociationId=main["Associations"][0]["RouteTableAssociationId"])
e.delete_route_table(RouteTableId=rtb)
`)
}

func TestGroups(t *testing.T) { onBoth(t, groups) }

func groups(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
default = e.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"][0]
everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "UserIdGroupPairs": [], "PrefixListIds": [], "Ipv6Ranges": []}]
strip = lambda ps: [{k: v for k, v in p.items() if v} for p in ps]
assert strip(default["IpPermissionsEgress"]) == strip(everything), default
assert default["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == default["GroupId"]
out = e.create_security_group(VpcId=vpc, GroupName="web", Description="d", TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}])
sg = out["GroupId"]
assert out["Tags"] == [{"Key": "a", "Value": "b"}] and out["SecurityGroupArn"].endswith(":security-group/" + sg)
group = lambda: e.describe_security_groups(GroupIds=[sg])["SecurityGroups"][0]
assert strip(group()["IpPermissionsEgress"]) == strip(everything) and not group().get("IpPermissions")
refused(e.create_security_group, "InvalidGroup.Duplicate", VpcId=vpc, GroupName="web", Description="d")
refused(e.create_security_group, "VPCIdNotSpecified", GroupName="x", Description="d")
for name in ["sg-x", "ä", "", "x" * 256]:
    refused(e.create_security_group, "InvalidParameterValue", VpcId=vpc, GroupName=name, Description="d")
refused(e.create_security_group, "InvalidGroup.Reserved", VpcId=vpc, GroupName="default", Description="d")

allow = e.authorize_security_group_ingress
rule = allow(GroupId=sg, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.0.0.9/8")["SecurityGroupRules"][0]
assert rule["CidrIpv4"] == "10.0.0.0/8" and not rule["IsEgress"] and rule["SecurityGroupRuleId"].startswith("sgr-"), rule
tcp = lambda **kw: [dict({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}, **kw)]
refused(allow, "InvalidPermission.Duplicate", GroupId=sg, IpPermissions=[{"IpProtocol": "6", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
refused(allow, "InvalidParameterValue", GroupId=sg, IpPermissions=tcp(IpRanges=[{"CidrIp": "10.1.0.0/16"}, {"CidrIp": "10.1.0.1/16"}]))
refused(allow, "InvalidGroup.NotFound", GroupId=sg, IpPermissions=tcp(UserIdGroupPairs=[{"GroupId": "sg-" + "0" * 17}]))
refused(allow, "InvalidGroup.NotFound", GroupId=sg, IpPermissions=tcp(UserIdGroupPairs=[{"GroupId": sg, "UserId": "210987654321"}]))
refused(allow, "InvalidPrefixListID.NotFound", GroupId=sg, IpPermissions=tcp(PrefixListIds=[{"PrefixListId": "pl-" + "0" * 17}]))
refused(allow, "InvalidParameterValue", GroupId=sg, IpPermissions=tcp(Ipv6Ranges=[{"CidrIpv6": "::/0"}]))
refused(allow, "InvalidParameterValue", GroupId=sg, IpPermissions=[{"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
refused(allow, "InvalidParameterValue", GroupId=sg, IpPermissions=[{"IpProtocol": "udp", "FromPort": 2, "ToPort": 1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
refused(allow, "InvalidParameterValue", GroupId=sg, IpPermissions=[{"IpProtocol": "icmpv6", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
refused(allow, "MissingParameter", GroupId=sg, IpPermissions=tcp())
refused(allow, "MissingParameter", GroupId=sg)
refused(allow, "InvalidParameterCombination", GroupId=sg, IpProtocol="tcp", IpPermissions=tcp(IpRanges=[{"CidrIp": "0.0.0.0/0"}]))
refused(allow, "RulesPerSecurityGroupLimitExceeded", GroupId=sg, IpPermissions=tcp(IpRanges=[{"CidrIp": "10.%d.0.0/16" % i} for i in range(61)]))
assert len(e.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [sg]}])["SecurityGroupRules"]) == 2

peer = e.create_security_group(VpcId=vpc, GroupName="peer", Description="d")["GroupId"]
made = allow(GroupId=sg, IpPermissions=tcp(UserIdGroupPairs=[{"GroupId": peer, "Description": "from peer"}]) + [{"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}],
    TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "why", "Value": "test"}]}])["SecurityGroupRules"]
assert [r["Tags"] for r in made] == [[{"Key": "why", "Value": "test"}]] * 2
assert made[0]["ReferencedGroupInfo"]["GroupId"] == peer and made[0]["Description"] == "from peer"
refused(e.delete_security_group, "DependencyViolation", GroupId=peer)
refused(e.delete_security_group, "CannotDelete", GroupId=default["GroupId"])
assert [r["IpProtocol"] for r in e.describe_security_group_rules(SecurityGroupRuleIds=[made[1]["SecurityGroupRuleId"]])["SecurityGroupRules"]] == ["icmp"]
assert [g["GroupId"] for g in e.describe_security_groups(Filters=[{"Name": "ip-permission.group-id", "Values": [peer]}])["SecurityGroups"]] == [sg]

revoke = e.revoke_security_group_ingress
refused(revoke, "InvalidPermission.NotFound", GroupId=sg, IpPermissions=tcp(IpRanges=[{"CidrIp": "10.0.0.0/9"}]))
refused(revoke, "InvalidSecurityGroupRuleId.NotFound", GroupId=peer, SecurityGroupRuleIds=[made[0]["SecurityGroupRuleId"]])
refused(e.revoke_security_group_egress, "InvalidSecurityGroupRuleId.NotFound", GroupId=sg, SecurityGroupRuleIds=[made[0]["SecurityGroupRuleId"]])
gone = revoke(GroupId=sg, SecurityGroupRuleIds=[made[0]["SecurityGroupRuleId"]])
assert gone["Return"] and gone["RevokedSecurityGroupRules"][0]["ReferencedGroupId"] == peer
revoke(GroupId=sg, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.0.0.0/8")
e.revoke_security_group_egress(GroupId=sg, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
assert not group().get("IpPermissionsEgress") and len(group()["IpPermissions"]) == 1
e.delete_security_group(GroupId=peer)
refused(e.describe_security_groups, "InvalidGroup.NotFound", GroupIds=[peer])
e.delete_security_group(GroupId=sg)
e.delete_vpc(VpcId=vpc)
`)
}

func TestEndpoints(t *testing.T) { onBoth(t, endpoints) }

func endpoints(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
a, b = [e.create_subnet(VpcId=vpc, CidrBlock=c)["Subnet"]["SubnetId"] for c in ("10.0.1.0/28", "10.0.2.0/24")]
rtb = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
make = lambda service="kms", **kw: e.create_vpc_endpoint(**dict(dict(VpcId=vpc, ServiceName="com.amazonaws.us-east-1." + service, VpcEndpointType="Interface", SubnetIds=[a]), **kw))["VpcEndpoint"]
no = lambda code, service="kms", **kw: refused(e.create_vpc_endpoint, code, **dict(dict(VpcId=vpc, ServiceName="com.amazonaws.us-east-1." + service, VpcEndpointType="Interface", SubnetIds=[a]), **kw))
for name in ["dynamodb", "ssm", "", "KMS"]:
    no("InvalidServiceName", name)
no("InvalidServiceName", ServiceName="com.amazonaws.eu-west-1.kms")
no("InvalidParameter")  # private DNS needs hostnames
e.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
no("InvalidParameter", SubnetIds=[])
no("InvalidParameter", RouteTableIds=[rtb])
no("InvalidParameter", VpcEndpointType="Gateway", SubnetIds=[])
no("InvalidParameter", VpcEndpointType="GatewayLoadBalancer")
no("InvalidParameter", IpAddressType="dualstack")
no("InvalidSubnetID.NotFound", SubnetIds=["subnet-" + "0" * 17])
k = make(SubnetIds=[a, b, a], ClientToken="t")
assert make(SubnetIds=[a, b, a], ClientToken="t")["VpcEndpointId"] == k["VpcEndpointId"]
assert k["State"] == "available" and len(k["NetworkInterfaceIds"]) == 2 and k["PrivateDnsEnabled"] and k["Groups"][0]["GroupName"] == "default", k
assert "kms.us-east-1.amazonaws.com" in [d["DnsName"] for d in k["DnsEntries"]]
assert json.loads(k["PolicyDocument"])["Statement"][0]["Action"] == "*"
no("InvalidParameter")  # two of one name
assert make(PrivateDnsEnabled=False)["VpcEndpointId"] != k["VpcEndpointId"]
nics = e.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [b]}])["NetworkInterfaces"]
assert [n["InterfaceType"] for n in nics] == ["vpc_endpoint"] and nics[0]["PrivateIpAddress"].startswith("10.0.2."), nics
assert e.describe_subnets(SubnetIds=[b])["Subnets"][0]["AvailableIpAddressCount"] == 250
refused(e.delete_subnet, "DependencyViolation", SubnetId=b)

g = make("s3", VpcEndpointType="Gateway", SubnetIds=[], RouteTableIds=[rtb])
routes = e.describe_route_tables(RouteTableIds=[rtb])["RouteTables"][0]["Routes"]
assert [r["GatewayId"] for r in routes] == ["local", g["VpcEndpointId"]] and routes[1]["DestinationPrefixListId"].startswith("pl-"), routes
no("RouteAlreadyExists", "s3", VpcEndpointType="Gateway", SubnetIds=[], RouteTableIds=[rtb])
no("InvalidParameter", "s3", VpcEndpointType="Gateway", RouteTableIds=[rtb])
refused(e.delete_route_table, "DependencyViolation", RouteTableId=rtb)
refused(e.delete_route, "InvalidParameterValue", RouteTableId=rtb, DestinationPrefixListId=routes[1]["DestinationPrefixListId"])

# Policies.
def policy(principal='"*"', **kw):
    st = dict({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}, **kw)
    return json.dumps({"Version": "2012-10-17", "Statement": [st]})[:-3] + ', "Principal": ' + principal + "}]}"
change = lambda i, **kw: e.modify_vpc_endpoint(VpcEndpointId=i, **kw)
bad = lambda i, doc: refused(e.modify_vpc_endpoint, "InvalidPolicyDocument", VpcEndpointId=i, PolicyDocument=doc)
for p in ['"*"', '{"AWS": "*"}', '{"AWS": ["*"]}']:
    change(g["VpcEndpointId"], PolicyDocument=policy(p))
assert json.loads(e.describe_vpc_endpoints(VpcEndpointIds=[g["VpcEndpointId"]])["VpcEndpoints"][0]["PolicyDocument"])["Statement"][0]["Action"] == "s3:GetObject"
for p in ['{"AWS": "123456789012"}', '{"AWS": ["*", "123456789012"]}', '{"Service": "sagemaker.amazonaws.com"}']:
    bad(g["VpcEndpointId"], policy(p))
    change(k["VpcEndpointId"], PolicyDocument=policy(p))
for doc in ["x", "{}", policy(Colour="red"), policy(Condition={"StringEquals": {"aws:Nothing": "x"}}), policy(Sid="x" * 20480)]:
    bad(k["VpcEndpointId"], doc)
no("InvalidPolicyDocument", "logs", PolicyDocument="{}")
change(k["VpcEndpointId"], ResetPolicy=True)
refused(e.modify_vpc_endpoint, "InvalidParameterCombination", VpcEndpointId=k["VpcEndpointId"], ResetPolicy=True, PolicyDocument=policy())

# Rewiring.
sg = e.create_security_group(VpcId=vpc, GroupName="door", Description="d")["GroupId"]
change(k["VpcEndpointId"], RemoveSubnetIds=[b], AddSecurityGroupIds=[sg], RemoveSecurityGroupIds=[k["Groups"][0]["GroupId"]])
now = e.describe_vpc_endpoints(VpcEndpointIds=[k["VpcEndpointId"]])["VpcEndpoints"][0]
assert now["SubnetIds"] == [a] and [x["GroupId"] for x in now["Groups"]] == [sg], now
assert e.describe_network_interfaces(NetworkInterfaceIds=now["NetworkInterfaceIds"])["NetworkInterfaces"][0]["Groups"] == [{"GroupId": sg, "GroupName": "door"}]
refused(e.modify_vpc_endpoint, "InvalidParameter", VpcEndpointId=k["VpcEndpointId"], RemoveSubnetIds=[a])
refused(e.modify_vpc_endpoint, "InvalidParameter", VpcEndpointId=k["VpcEndpointId"], RemoveSecurityGroupIds=[sg])
refused(e.modify_vpc_endpoint, "InvalidParameter", VpcEndpointId=k["VpcEndpointId"], AddRouteTableIds=[rtb])
refused(e.modify_vpc_endpoint, "InvalidParameter", VpcEndpointId=g["VpcEndpointId"], AddSubnetIds=[a])
refused(e.delete_security_group, "DependencyViolation", GroupId=sg)
other = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
foreign = e.create_subnet(VpcId=other, CidrBlock="10.0.9.0/24")["Subnet"]["SubnetId"]
refused(e.modify_vpc_endpoint, "InvalidParameter", VpcEndpointId=k["VpcEndpointId"], AddSubnetIds=[foreign])

# The /28 has 11 addresses, of which k and its twin have two.
for i in range(9):
    make(PrivateDnsEnabled=False)
no("InsufficientFreeAddressesInSubnet", PrivateDnsEnabled=False)
all = [x["VpcEndpointId"] for p in e.get_paginator("describe_vpc_endpoints").paginate(PaginationConfig={"PageSize": 5}) for x in p["VpcEndpoints"]]
assert len(all) == len(set(all)) == 12, all
out = e.delete_vpc_endpoints(VpcEndpointIds=all + ["vpce-" + "0" * 17])
assert [(u["ResourceId"], u["Error"]["Code"]) for u in out["Unsuccessful"]] == [("vpce-" + "0" * 17, "InvalidVpcEndpointId.NotFound")], out
assert e.describe_network_interfaces()["NetworkInterfaces"] == [] == e.describe_vpc_endpoints()["VpcEndpoints"]
assert len(e.describe_route_tables(RouteTableIds=[rtb])["RouteTables"][0]["Routes"]) == 1
`)
}

func TestFlowLogs(t *testing.T) {
	b := newBench(t)
	b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
ask = dict(ResourceIds=[vpc], ResourceType="VPC", TrafficType="REJECT", LogGroupName="/vpc/flows", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")
out = e.create_flow_logs(**ask)
fl = out["FlowLogIds"][0]
assert fl.startswith("fl-") and not out["Unsuccessful"], out
no = lambda code, **kw: refused(e.create_flow_logs, code, **dict(ask, **kw))
no("InvalidParameter", LogDestinationType="s3", LogDestination="arn:aws:s3:::b")
no("InvalidParameter", LogGroupName="a b")
no("InvalidParameter", LogDestination="arn:aws:logs:us-east-1:123456789012:log-group:x")
no("InvalidParameter", MaxAggregationInterval=61)
no("InvalidParameter", ResourceType="TransitGateway")
no("InvalidParameter", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/other")
no("InvalidParameter", DeliverLogsPermissionArn="arn:aws:iam::210987654321:role/flow")
no("InvalidVpcID.NotFound", ResourceIds=["vpc-" + "0" * 17])
no("InvalidParameter", LogFormat="${colour}")
out = e.create_flow_logs(**ask)
assert out["Unsuccessful"][0]["Error"]["Code"] == "FlowLogAlreadyExists" and not out["FlowLogIds"], out
ask["LogDestination"] = "arn:aws:logs:us-east-1:123456789012:log-group:" + ask.pop("LogGroupName") + ":*"
two = e.create_flow_logs(**dict(ask, ResourceIds=[sub], ResourceType="Subnet", TrafficType="ALL", MaxAggregationInterval=60))["FlowLogIds"]
got = e.describe_flow_logs(Filter=[{"Name": "resource-id", "Values": [sub]}])["FlowLogs"]
assert [(l["FlowLogId"], l["LogGroupName"], l["TrafficType"], l["MaxAggregationInterval"], l["DeliverLogsStatus"]) for l in got] == [(two[0], "/vpc/flows", "ALL", 60, "SUCCESS")], got
e.delete_subnet(SubnetId=sub)
assert [l["FlowLogId"] for l in e.describe_flow_logs()["FlowLogs"]] == [fl]
assert e.delete_flow_logs(FlowLogIds=[fl, two[0]])["Unsuccessful"][0]["Error"]["Code"] == "InvalidFlowLogId.NotFound"
e.delete_vpc(VpcId=vpc)
`)
	poor := b.User(t, apitest.Account, "poor", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`)
	b.Python(t, poor, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
m = refused(e.create_flow_logs, "UnauthorizedOperation", ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName="g", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")
assert "iam:PassRole" in str(m), m
`)
}
