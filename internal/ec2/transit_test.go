package ec2

import (
	"context"
	"testing"

	"bawn.dev/internal/store"
)

// organized says whether all accounts are of one organization.
func (b *bench) organized(one bool) {
	b.service.SameOrganization = func(context.Context, store.Querier, string, string) (bool, error) { return one, nil }
}

// crossroads makes a gateway and three VPCs, and leaves their ids to the script: tgw,
// vpcs, subs; attach(i) attaches one.
const crossroads = `
e = client("ec2")
g = e.create_transit_gateway()["TransitGateway"]
tgw, rtb = g["TransitGatewayId"], g["Options"]["AssociationDefaultRouteTableId"]
vpcs = [e.create_vpc(CidrBlock=c)["Vpc"]["VpcId"] for c in ("10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16")]
subs = [e.create_subnet(VpcId=v, CidrBlock="10.%d.1.0/24" % i)["Subnet"]["SubnetId"] for i, v in enumerate(vpcs)]
def attach(i, **kw):
    return e.create_transit_gateway_vpc_attachment(TransitGatewayId=tgw, VpcId=vpcs[i], SubnetIds=[subs[i]], **kw)["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
def search(name="type", *values, table=None, **kw):
    out = e.search_transit_gateway_routes(TransitGatewayRouteTableId=table or rtb, Filters=[{"Name": name, "Values": list(values) or ["*"]}], **kw)
    return [(r["DestinationCidrBlock"], r["Type"], r["State"], *[a["TransitGatewayAttachmentId"] for a in r.get("TransitGatewayAttachments", [])]) for r in out["Routes"]]
def table(**kw):
    return e.create_transit_gateway_route_table(TransitGatewayId=tgw, **kw)["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
none = "0" * 17
`

func TestTransitGateways(t *testing.T) { onBoth(t, transitGateways) }

func transitGateways(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import re
e = client("ec2")
g = e.create_transit_gateway(Description="hub – ärztlich", TagSpecifications=[{"ResourceType": "transit-gateway", "Tags": [{"Key": "Name", "Value": "hub"}]}])["TransitGateway"]
assert re.fullmatch("tgw-[0-9a-f]{17}", g["TransitGatewayId"]) and g["State"] == "available" and g["OwnerId"] == "123456789012", g
assert g["TransitGatewayArn"] == "arn:aws:ec2:us-east-1:123456789012:transit-gateway/" + g["TransitGatewayId"] and g["Description"] == "hub – ärztlich"
o = g["Options"]
rtb = o.pop("AssociationDefaultRouteTableId")
assert o.pop("PropagationDefaultRouteTableId") == rtb and o == {
    "AmazonSideAsn": 64512, "AutoAcceptSharedAttachments": "disable", "DefaultRouteTableAssociation": "enable",
    "DefaultRouteTablePropagation": "enable", "VpnEcmpSupport": "enable", "DnsSupport": "enable", "MulticastSupport": "disable"}, o
tgw = g["TransitGatewayId"]
t = e.describe_transit_gateway_route_tables()["TransitGatewayRouteTables"]
assert len(t) == 1 and t[0]["TransitGatewayRouteTableId"] == rtb and t[0]["DefaultAssociationRouteTable"] and t[0]["DefaultPropagationRouteTable"] and t[0]["State"] == "available", t

for o in [{"MulticastSupport": "enable"}, {"AmazonSideAsn": 64511}, {"AmazonSideAsn": 65535}, {"AmazonSideAsn": 4199999999}, {"AmazonSideAsn": 4294967295},
          {"TransitGatewayCidrBlocks": ["10.9.0.0/24"]}, {"SecurityGroupReferencingSupport": "enable"}, {"DnsSupport": "maybe"}]:
    refused(e.create_transit_gateway, "InvalidParameterValue", Options=o)
refused(e.create_transit_gateway, "InvalidParameterValue", Description="x" * 256)
refused(e.create_transit_gateway, "InvalidParameterValue", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}])
bare = e.create_transit_gateway(Options={"AmazonSideAsn": 4294967294, "AutoAcceptSharedAttachments": "enable", "DefaultRouteTableAssociation": "disable",
    "DefaultRouteTablePropagation": "disable", "VpnEcmpSupport": "disable", "DnsSupport": "disable", "MulticastSupport": "disable"})["TransitGateway"]
o = bare["Options"]
assert o["AmazonSideAsn"] == 4294967294 and not [k for k in o if "DefaultRouteTableId" in k and o[k]], o
assert [o[k] for k in ("AutoAcceptSharedAttachments", "DefaultRouteTableAssociation", "DefaultRouteTablePropagation", "VpnEcmpSupport", "DnsSupport")] == ["enable"] + ["disable"] * 4, o
assert len(e.describe_transit_gateway_route_tables()["TransitGatewayRouteTables"]) == 1
half = e.create_transit_gateway(Options={"DefaultRouteTablePropagation": "disable"})["TransitGateway"]
assert half["Options"]["DefaultRouteTablePropagation"] == "disable" and half["Options"]["AssociationDefaultRouteTableId"]

def ids(**kw):
    return {g["TransitGatewayId"] for g in e.describe_transit_gateways(**kw)["TransitGateways"]}
def by(name, *values):
    return ids(Filters=[{"Name": name, "Values": list(values)}])
assert ids() == {tgw, bare["TransitGatewayId"], half["TransitGatewayId"]} and ids(TransitGatewayIds=[tgw]) == {tgw}
for name, value in [("options.amazon-side-asn", "4294967294"), ("options.auto-accept-shared-attachments", "enable"), ("options.default-route-table-association", "disable"),
                    ("options.dns-support", "disable"), ("options.vpn-ecmp-support", "disable")]:
    assert by(name, value) == {bare["TransitGatewayId"]}, name
assert by("options.default-route-table-propagation", "enable") == by("options.propagation-default-route-table-id", rtb) == {tgw}
assert by("options.association-default-route-table-id", rtb) == by("tag:Name", "hub") == by("transit-gateway-id", tgw) == {tgw}
assert by("owner-id", "123456789012") == by("state", "available") == ids() and not by("owner-id", "210987654321")
refused(e.describe_transit_gateways, "InvalidParameterValue", Filters=[{"Name": "colour", "Values": ["red"]}])
refused(e.describe_transit_gateways, "InvalidTransitGatewayID.NotFound", TransitGatewayIds=["tgw-" + "0" * 17])
refused(e.describe_transit_gateways, "InvalidTransitGatewayID.Malformed", TransitGatewayIds=["tgw-*"])

def modify(**kw):
    return e.modify_transit_gateway(TransitGatewayId=tgw, Options=kw)["TransitGateway"]["Options"]
assert e.modify_transit_gateway(TransitGatewayId=tgw, Description="spoke")["TransitGateway"]["Description"] == "spoke"
assert modify(AutoAcceptSharedAttachments="enable", VpnEcmpSupport="disable", DnsSupport="disable")["DnsSupport"] == "disable"
second = e.create_transit_gateway_route_table(TransitGatewayId=tgw, TagSpecifications=[{"ResourceType": "transit-gateway-route-table", "Tags": [{"Key": "Name", "Value": "second"}]}])["TransitGatewayRouteTable"]
assert not second["DefaultAssociationRouteTable"] and second["Tags"] == [{"Key": "Name", "Value": "second"}], second
second = second["TransitGatewayRouteTableId"]
assert re.fullmatch("tgw-rtb-[0-9a-f]{17}", second)
assert modify(AssociationDefaultRouteTableId=second)["AssociationDefaultRouteTableId"] == second
refused(e.modify_transit_gateway, "InvalidParameterCombination", TransitGatewayId=tgw, Options={"DefaultRouteTableAssociation": "disable", "AssociationDefaultRouteTableId": rtb})
refused(e.modify_transit_gateway, "InvalidParameterValue", TransitGatewayId=tgw, Options={"PropagationDefaultRouteTableId": half["Options"]["AssociationDefaultRouteTableId"]})
refused(e.modify_transit_gateway, "InvalidRouteTableID.NotFound", TransitGatewayId=tgw, Options={"PropagationDefaultRouteTableId": "tgw-rtb-" + "0" * 17})
refused(e.modify_transit_gateway, "InvalidRouteTableID.Malformed", TransitGatewayId=tgw, Options={"PropagationDefaultRouteTableId": "rtb-" + "0" * 17})
refused(e.modify_transit_gateway, "InvalidParameterValue", TransitGatewayId=tgw, Options={"AddTransitGatewayCidrBlocks": ["10.9.0.0/24"]})
o = modify(DefaultRouteTablePropagation="disable")
assert o["DefaultRouteTablePropagation"] == "disable" and o["DefaultRouteTableAssociation"] == "enable" and o["AutoAcceptSharedAttachments"] == "enable", o
refused(e.modify_transit_gateway, "MissingParameter", TransitGatewayId=tgw, Options={"DefaultRouteTablePropagation": "enable"})
assert modify(DefaultRouteTablePropagation="enable", PropagationDefaultRouteTableId=rtb)["PropagationDefaultRouteTableId"] == rtb

def tables(name, *values):
    return {t["TransitGatewayRouteTableId"] for t in e.describe_transit_gateway_route_tables(Filters=[{"Name": name, "Values": list(values)}])["TransitGatewayRouteTables"]}
assert tables("transit-gateway-id", tgw) == {rtb, second} and tables("tag:Name", "second") == tables("transit-gateway-route-table-id", second) == {second}
assert tables("default-propagation-route-table", "true") == {rtb} and second in tables("default-association-route-table", "true") and len(tables("state", "available")) == 3
for t in (rtb, second): # default ones
    refused(e.delete_transit_gateway_route_table, "IncorrectState", TransitGatewayRouteTableId=t)
modify(AssociationDefaultRouteTableId=rtb)
assert e.delete_transit_gateway_route_table(TransitGatewayRouteTableId=second)["TransitGatewayRouteTable"]["State"] == "deleted"
refused(e.delete_transit_gateway_route_table, "InvalidRouteTableID.NotFound", TransitGatewayRouteTableId=second)
refused(e.describe_transit_gateway_route_tables, "InvalidRouteTableID.NotFound", TransitGatewayRouteTableIds=[second])

for _ in range(2):
    e.create_transit_gateway()
refused(e.create_transit_gateway, "TransitGatewayLimitExceeded")
pages = list(e.get_paginator("describe_transit_gateways").paginate(PaginationConfig={"PageSize": 5}))
assert len(pages) == 1 and len(pages[0]["TransitGateways"]) == 5
e.create_tags(Resources=[tgw, rtb], Tags=[{"Key": "team", "Value": "net"}])
assert by("tag:team", "net") == {tgw}
for g in ids():
    assert e.delete_transit_gateway(TransitGatewayId=g)["TransitGateway"]["State"] == "deleted"
refused(e.delete_transit_gateway, "InvalidTransitGatewayID.NotFound", TransitGatewayId=tgw)
assert not ids() and not e.describe_transit_gateway_route_tables()["TransitGatewayRouteTables"]
`)
}

func TestTransitAttachments(t *testing.T) { onBoth(t, transitAttachments) }

func transitAttachments(t *testing.T, b *bench) {
	b.Python(t, b.admin, crossroads+`
import re
new = e.create_transit_gateway_vpc_attachment
a = new(TransitGatewayId=tgw, VpcId=vpcs[0], SubnetIds=[subs[0]], TagSpecifications=[{"ResourceType": "transit-gateway-attachment", "Tags": [{"Key": "Name", "Value": "first"}]}])["TransitGatewayVpcAttachment"]
one = a["TransitGatewayAttachmentId"]
assert re.fullmatch("tgw-attach-[0-9a-f]{17}", one) and a["State"] == "available" and a["VpcId"] == vpcs[0] and a["VpcOwnerId"] == "123456789012", a
assert a["SubnetIds"] == [subs[0]] and a["Options"] == {"DnsSupport": "enable", "Ipv6Support": "disable", "ApplianceModeSupport": "disable"} and a["TransitGatewayId"] == tgw, a

def no(code, gateway=tgw, vpc=vpcs[1], subnets=[subs[1]], **kw):
    refused(new, code, TransitGatewayId=gateway, VpcId=vpc, SubnetIds=subnets, **kw)
no("DuplicateTransitGatewayAttachment", vpc=vpcs[0], subnets=[subs[0]])
no("InvalidTransitGatewayID.NotFound", gateway="tgw-" + none)
no("InvalidTransitGatewayID.Malformed", gateway=one)
no("InvalidVpcID.NotFound", vpc="vpc-" + none)
no("InvalidSubnetID.NotFound", subnets=["subnet-" + none])
no("InvalidParameter", subnets=[subs[0]])
no("MissingParameter", subnets=[])
for o in ({"Ipv6Support": "enable"}, {"ApplianceModeSupport": "enable"}, {"SecurityGroupReferencingSupport": "enable"}):
    no("InvalidParameterValue", Options=o)
two = attach(1, Options={"DnsSupport": "disable"})

more = e.create_subnet(VpcId=vpcs[0], CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
def modify(**kw):
    return e.modify_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=one, **kw)["TransitGatewayVpcAttachment"]
assert modify(AddSubnetIds=[more], RemoveSubnetIds=[subs[0]], Options={"DnsSupport": "disable"})["SubnetIds"] == [more]
assert modify(AddSubnetIds=[subs[0]])["Options"]["DnsSupport"] == "disable"
for kw, code in [({"RemoveSubnetIds": [subs[0], more]}, "InsufficientSubnetsException"), ({"AddSubnetIds": [subs[1]]}, "InvalidParameter"),
                 ({"AddSubnetIds": ["subnet-" + none]}, "InvalidSubnetID.NotFound"), ({"Options": {"ApplianceModeSupport": "enable"}}, "InvalidParameterValue")]:
    refused(modify, code, **kw)
modify(RemoveSubnetIds=[subs[0]])
refused(modify, "InvalidSubnetID.NotFound", RemoveSubnetIds=[subs[0]])
e.delete_subnet(SubnetId=subs[0])
refused(e.delete_subnet, "DependencyViolation", SubnetId=more)
refused(e.delete_vpc, "DependencyViolation", VpcId=vpcs[0])

def ids(f, key, *filters, **kw):
    return {a["TransitGatewayAttachmentId"] for a in f(Filters=[{"Name": n, "Values": [v]} for n, v in filters], **kw)[key]}
def vpc_attachments(*filters, **kw): return ids(e.describe_transit_gateway_vpc_attachments, "TransitGatewayVpcAttachments", *filters, **kw)
def attachments(*filters, **kw): return ids(e.describe_transit_gateway_attachments, "TransitGatewayAttachments", *filters, **kw)
for f in (vpc_attachments, attachments):
    assert f() == f(("state", "available")) == f(("transit-gateway-id", tgw)) == {one, two}
    assert f(("tag:Name", "first")) == f(("transit-gateway-attachment-id", one)) == f(TransitGatewayAttachmentIds=[one]) == {one}
    refused(f, "InvalidTransitGatewayAttachmentID.NotFound", TransitGatewayAttachmentIds=["tgw-attach-" + none])
    refused(f, "InvalidTransitGatewayAttachmentID.Malformed", TransitGatewayAttachmentIds=[tgw])
assert vpc_attachments(("vpc-id", vpcs[1])) == attachments(("resource-id", vpcs[1])) == {two}
assert attachments(("resource-type", "vpc"), ("resource-owner-id", "123456789012"), ("transit-gateway-owner-id", "123456789012"), ("association.state", "associated"),
                   ("association.transit-gateway-route-table-id", rtb)) == {one, two} and not attachments(("resource-type", "vpn"))
seen = e.describe_transit_gateway_attachments(TransitGatewayAttachmentIds=[two])["TransitGatewayAttachments"][0]
assert seen["Association"] == {"TransitGatewayRouteTableId": rtb, "State": "associated"} and seen["ResourceId"] == vpcs[1] and seen["ResourceType"] == "vpc", seen

# Nothing waits for acceptance within one account.
for f in (e.accept_transit_gateway_vpc_attachment, e.reject_transit_gateway_vpc_attachment):
    refused(f, "IncorrectState", TransitGatewayAttachmentId=one)
    refused(f, "InvalidTransitGatewayAttachmentID.NotFound", TransitGatewayAttachmentId="tgw-attach-" + none)
refused(e.delete_transit_gateway, "IncorrectState", TransitGatewayId=tgw)
for a in (one, two):
    assert e.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=a)["TransitGatewayVpcAttachment"]["State"] == "deleted"
refused(e.delete_transit_gateway_vpc_attachment, "InvalidTransitGatewayAttachmentID.NotFound", TransitGatewayAttachmentId=one)
again = attach(1)
e.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=again)

# A VPC is attached to five gateways at most.
gateways = [tgw] + [e.create_transit_gateway()["TransitGateway"]["TransitGatewayId"] for _ in range(4)]
for tgw in gateways:
    attach(2)
e.delete_subnet(SubnetId=more)
e.delete_vpc(VpcId=vpcs[0])
`)
}

func TestTransitRoutes(t *testing.T) { onBoth(t, transitRoutes) }

func transitRoutes(t *testing.T, b *bench) {
	b.Python(t, b.admin, crossroads+`
one, two = attach(0), attach(1)
assert search() == [("10.0.0.0/16", "propagated", "active", one), ("10.1.0.0/16", "propagated", "active", two)], search()
def route(f, cidr, to=None, table=rtb, **kw):
    if to: kw["TransitGatewayAttachmentId"] = to
    r = f(TransitGatewayRouteTableId=table, DestinationCidrBlock=cidr, **kw)["Route"]
    return r["DestinationCidrBlock"], r["Type"], r["State"]
new, replace, drop = e.create_transit_gateway_route, e.replace_transit_gateway_route, e.delete_transit_gateway_route
assert route(new, "192.0.2.9/24", two) == ("192.0.2.0/24", "static", "active")
assert route(new, "10.0.0.0/16", Blackhole=True) == ("10.0.0.0/16", "static", "blackhole")
assert route(new, "0.0.0.0/0", one) == ("0.0.0.0/0", "static", "active")
assert route(new, "10.1.5.0/24", Blackhole=True)[2] == "blackhole"
# The static one counts, and the learned one does not stand beside it.
want = [("0.0.0.0/0", "static", "active", one), ("10.0.0.0/16", "static", "blackhole"), ("10.1.0.0/16", "propagated", "active", two),
        ("10.1.5.0/24", "static", "blackhole"), ("192.0.2.0/24", "static", "active", two)]
assert search() == want, search()

refused(new, "RouteAlreadyExists", TransitGatewayRouteTableId=rtb, DestinationCidrBlock="192.0.2.0/24", Blackhole=True)
refused(new, "InvalidParameterCombination", TransitGatewayRouteTableId=rtb, DestinationCidrBlock="192.0.2.0/25", Blackhole=True, TransitGatewayAttachmentId=one)
refused(new, "MissingParameter", TransitGatewayRouteTableId=rtb, DestinationCidrBlock="192.0.2.0/25", Blackhole=False)
for cidr in ("fd00::/64", "10.0.0.0", "ten", "10.0.0.0/33", "127.0.0.0/8", "169.254.169.254/32", "224.0.0.0/4", "0.1.0.0/16"):
    refused(new, "InvalidParameterValue", TransitGatewayRouteTableId=rtb, DestinationCidrBlock=cidr, Blackhole=True)
refused(new, "InvalidRouteTableID.NotFound", TransitGatewayRouteTableId="tgw-rtb-" + none, DestinationCidrBlock="10.0.0.0/8", Blackhole=True)
refused(new, "InvalidTransitGatewayAttachmentID.NotFound", TransitGatewayRouteTableId=rtb, DestinationCidrBlock="10.0.0.0/8", TransitGatewayAttachmentId="tgw-attach-" + none)
other = e.create_transit_gateway()["TransitGateway"]["Options"]["AssociationDefaultRouteTableId"]
for f in (new, replace):
    refused(f, "InvalidParameterValue", TransitGatewayRouteTableId=other, DestinationCidrBlock="10.0.0.0/8", TransitGatewayAttachmentId=one)
for f in (e.associate_transit_gateway_route_table, e.disassociate_transit_gateway_route_table, e.enable_transit_gateway_route_table_propagation, e.disable_transit_gateway_route_table_propagation):
    refused(f, "InvalidParameterValue", TransitGatewayRouteTableId=other, TransitGatewayAttachmentId=one)
    refused(f, "InvalidRouteTableID.NotFound", TransitGatewayRouteTableId="tgw-rtb-" + none, TransitGatewayAttachmentId=one)
    refused(f, "InvalidTransitGatewayAttachmentID.NotFound", TransitGatewayRouteTableId=rtb, TransitGatewayAttachmentId="tgw-attach-" + none)

assert route(replace, "192.0.2.0/24", Blackhole=True)[2] == "blackhole" and route(replace, "192.0.2.0/24", one)[2] == "active"
refused(replace, "InvalidRoute.NotFound", TransitGatewayRouteTableId=rtb, DestinationCidrBlock="10.1.0.0/16", Blackhole=True) # a learned one
refused(drop, "InvalidRoute.NotFound", TransitGatewayRouteTableId=rtb, DestinationCidrBlock="10.1.0.0/16")
assert route(drop, "192.0.2.0/24")[2] == "deleted"
assert route(drop, "10.0.0.0/16")[2] == "deleted" and ("10.0.0.0/16", "propagated", "active", one) in search()

cidrs = lambda *a, **kw: [r[0] for r in search(*a, **kw)]
for name, values, got in [
    ("route-search.exact-match", ["10.1.0.0/16"], ["10.1.0.0/16"]), ("route-search.exact-match", ["10.1.0.0/17"], []),
    ("route-search.longest-prefix-match", ["10.1.5.7"], ["10.1.5.0/24"]), ("route-search.longest-prefix-match", ["10.1.6.7/32", "10.1.0.0/15"], ["0.0.0.0/0", "10.1.0.0/16"]),
    ("route-search.longest-prefix-match", ["10.1.0.0/16"], ["10.1.0.0/16"]),
    ("route-search.subnet-of-match", ["10.0.0.0/8"], ["10.0.0.0/16", "10.1.0.0/16", "10.1.5.0/24"]), ("route-search.subnet-of-match", ["10.1.5.0/24"], ["10.1.5.0/24"]),
    ("route-search.supernet-of-match", ["10.1.5.0/25"], ["0.0.0.0/0", "10.1.0.0/16", "10.1.5.0/24"]), ("route-search.supernet-of-match", ["11.0.0.0/8"], ["0.0.0.0/0"]),
    ("type", ["static"], ["0.0.0.0/0", "10.1.5.0/24"]), ("state", ["blackhole"], ["10.1.5.0/24"]), ("attachment.resource-type", ["vpc"], ["0.0.0.0/0", "10.0.0.0/16", "10.1.0.0/16"]),
    ("attachment.resource-id", [vpcs[1]], ["10.1.0.0/16"]), ("attachment.transit-gateway-attachment-id", [one], ["0.0.0.0/0", "10.0.0.0/16"])]:
    assert cidrs(name, *values) == got, (name, values, cidrs(name, *values))
both = e.search_transit_gateway_routes(TransitGatewayRouteTableId=rtb, Filters=[{"Name": "type", "Values": ["propagated"]}, {"Name": "route-search.longest-prefix-match", "Values": ["10.1.5.7"]}])
assert not both["Routes"] and both["AdditionalRoutesAvailable"] is False, both # the longest of the table is another
refused(e.search_transit_gateway_routes, "MissingParameter", TransitGatewayRouteTableId=rtb, Filters=[])
refused(e.search_transit_gateway_routes, "InvalidParameterValue", TransitGatewayRouteTableId=rtb, Filters=[{"Name": "colour", "Values": ["red"]}])
refused(e.search_transit_gateway_routes, "InvalidParameterValue", TransitGatewayRouteTableId=rtb, Filters=[{"Name": "route-search.exact-match", "Values": ["ten"]}])
refused(e.search_transit_gateway_routes, "InvalidParameterValue", TransitGatewayRouteTableId=rtb, Filters=[{"Name": "type", "Values": []}])
for i in range(8):
    route(new, "172.16.%d.0/24" % i, Blackhole=True)
got, token = [], None
while True:
    page = e.search_transit_gateway_routes(TransitGatewayRouteTableId=rtb, Filters=[{"Name": "type", "Values": ["*"]}], MaxResults=5, **({"NextToken": token} if token else {}))
    got += [r["DestinationCidrBlock"] for r in page["Routes"]]
    token = page.get("NextToken")
    assert page["AdditionalRoutesAvailable"] == bool(token)
    if not token: break
assert got == cidrs() and len(got) == 12, got
refused(e.search_transit_gateway_routes, "InvalidNextToken", TransitGatewayRouteTableId=rtb, Filters=[{"Name": "type", "Values": ["*"]}], NextToken="bm90IGEgcmFuZ2U")

# Tables, associations and propagations.
second = table()
pair = lambda a, t: dict(TransitGatewayAttachmentId=a, TransitGatewayRouteTableId=t)
associate, disassociate = e.associate_transit_gateway_route_table, e.disassociate_transit_gateway_route_table
enable, disable = e.enable_transit_gateway_route_table_propagation, e.disable_transit_gateway_route_table_propagation
refused(associate, "Resource.AlreadyAssociated", **pair(one, second))
refused(disassociate, "InvalidAssociation.NotFound", **pair(one, second))
refused(disable, "TransitGatewayRouteTablePropagation.NotFound", **pair(one, second))
refused(enable, "TransitGatewayRouteTablePropagation.Duplicate", **pair(one, rtb))
a = disassociate(**pair(one, rtb))["Association"]
assert a == dict(pair(one, rtb), ResourceId=vpcs[0], ResourceType="vpc", State="disassociated"), a
assert associate(**pair(one, second))["Association"]["State"] == "associated"
assert enable(**pair(two, second))["Propagation"] == dict(pair(two, second), ResourceId=vpcs[1], ResourceType="vpc", State="enabled")
assert search(table=second) == [("10.1.0.0/16", "propagated", "active", two)]
def listed(f, key, what, **kw):
    return [x[what] for x in f(**kw)[key]]
associations = lambda t, **kw: listed(e.get_transit_gateway_route_table_associations, "Associations", "TransitGatewayAttachmentId", TransitGatewayRouteTableId=t, **kw)
propagations = lambda t, **kw: listed(e.get_transit_gateway_route_table_propagations, "TransitGatewayRouteTablePropagations", "TransitGatewayAttachmentId", TransitGatewayRouteTableId=t, **kw)
learning = lambda a, **kw: listed(e.get_transit_gateway_attachment_propagations, "TransitGatewayAttachmentPropagations", "TransitGatewayRouteTableId", TransitGatewayAttachmentId=a, **kw)
assert associations(rtb) == [two] and associations(second) == [one] and propagations(second) == [two] and propagations(rtb) == sorted([one, two])
assert learning(one) == [rtb] and learning(two) == sorted([rtb, second]) and learning(two, Filters=[{"Name": "transit-gateway-route-table-id", "Values": [second]}]) == [second]
for name, value in (("resource-id", vpcs[1]), ("transit-gateway-attachment-id", two)):
    assert propagations(rtb, Filters=[{"Name": name, "Values": [value]}]) == associations(rtb, Filters=[{"Name": name, "Values": [value]}]) == [two]
    assert not associations(second, Filters=[{"Name": name, "Values": [value]}])
assert propagations(rtb, Filters=[{"Name": "resource-type", "Values": ["vpc"]}]) == propagations(rtb) and not propagations(rtb, Filters=[{"Name": "resource-type", "Values": ["vpn"]}])
for f in (associations, propagations):
    refused(lambda **kw: f("tgw-rtb-" + none), "InvalidRouteTableID.NotFound")
refused(lambda **kw: learning("tgw-attach-" + none), "InvalidTransitGatewayAttachmentID.NotFound")
refused(e.delete_transit_gateway_route_table, "IncorrectState", TransitGatewayRouteTableId=second)
disassociate(**pair(one, second))
assert disable(**pair(two, second))["Propagation"]["State"] == "disabled" and not search(table=second)
enable(**pair(two, second))
e.delete_transit_gateway_route_table(TransitGatewayRouteTableId=second)
assert learning(two) == [rtb]

# What led to an attachment that is gone is a black hole.
e.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=one)
assert ("0.0.0.0/0", "static", "blackhole") in search() and "10.0.0.0/16" not in cidrs()
third = attach(0)
assert ("0.0.0.0/0", "static", "blackhole") in search() and ("10.0.0.0/16", "propagated", "active", third) in search()
route(replace, "0.0.0.0/0", third)

# Ranges that two VPCs have are the older attachment's.
twin = e.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=twin, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
later = e.create_transit_gateway_vpc_attachment(TransitGatewayId=tgw, VpcId=twin, SubnetIds=[sub])["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
assert search("route-search.exact-match", "10.1.0.0/16") == [("10.1.0.0/16", "propagated", "active", two)]
e.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=two)
assert search("route-search.exact-match", "10.1.0.0/16") == [("10.1.0.0/16", "propagated", "active", later)]
`)
}
