package ec2

import (
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
)

// Everything that has an id has tags, also what is there without anybody having made
// it; each is shown where the resource is.
func TestTagsOfEveryKind(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	eni, err := b.reserve(t, api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{id["b"]}, SecurityGroupIDs: []string{id["work"]}, Workload: "w", Service: "sagemaker",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Python(t, b.admin, `
e = client("ec2")
vpc, a, eni = "`+id["vpc"]+`", "`+id["a"]+`", "`+eni+`"
acl = e.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"][0]
assert acl["IsDefault"]
made = {"network-acl": acl["NetworkAclId"], "network-interface": eni, "vpc": vpc, "subnet": a}
made["prefix-list"] = e.create_managed_prefix_list(PrefixListName="x", MaxEntries=1, AddressFamily="IPv4")["PrefixList"]["PrefixListId"]
made["internet-gateway"] = igw = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
e.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
made["natgateway"] = e.create_nat_gateway(SubnetId=a)["NatGateway"]["NatGatewayId"]
made["vpc-endpoint-service"] = e.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=["arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/" + eni + "/80"])["ServiceConfiguration"]["ServiceId"]
made["transit-gateway"] = tgw = e.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
made["transit-gateway-attachment"] = e.create_transit_gateway_vpc_attachment(TransitGatewayId=tgw, VpcId=vpc, SubnetIds=[a])["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
made["transit-gateway-route-table"] = e.create_transit_gateway_route_table(TransitGatewayId=tgw)["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
made["vpc-flow-log"] = e.create_flow_logs(ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName="g", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")["FlowLogIds"][0]
made["security-group-rule"] = e.describe_security_group_rules()["SecurityGroupRules"][0]["SecurityGroupRuleId"]
made["security-group"], made["route-table"], made["vpc-endpoint"] = "`+id["work"]+`", "`+id["rtb"]+`", "`+id["kms"]+`"
e.create_tags(Resources=list(made.values()), Tags=[{"Key": "team", "Value": "red"}])
got = e.describe_tags(Filters=[{"Name": "tag:team", "Values": ["red"]}])["Tags"]
assert {t["ResourceType"]: t["ResourceId"] for t in got} == made and len(got) == len(made), got
one = [{"Name": "tag:team", "Values": ["red"]}]
for f, key, name in ((e.describe_network_acls, "NetworkAcls", "network-acl"), (e.describe_managed_prefix_lists, "PrefixLists", "prefix-list"), (e.describe_internet_gateways, "InternetGateways", "internet-gateway"),
    (e.describe_vpc_endpoint_service_configurations, "ServiceConfigurations", "vpc-endpoint-service"), (e.describe_transit_gateways, "TransitGateways", "transit-gateway"), (e.describe_network_interfaces, "NetworkInterfaces", "network-interface"),
    (e.describe_transit_gateway_vpc_attachments, "TransitGatewayVpcAttachments", "transit-gateway-attachment"), (e.describe_transit_gateway_route_tables, "TransitGatewayRouteTables", "transit-gateway-route-table")):
    assert made[name] in [v for x in f(Filters=one)[key] for v in x.values() if isinstance(v, str)], name
for k in ("FlowLogs", "NatGateways"):
    assert len({"FlowLogs": e.describe_flow_logs, "NatGateways": e.describe_nat_gateways}[k](Filter=one)[k]) == 1
e.delete_tags(Resources=list(made.values()), Tags=[{"Key": "team", "Value": "red"}])
assert not e.describe_tags()["Tags"]
assert len(e.describe_network_acls(NetworkAclIds=[made["network-acl"]])["NetworkAcls"][0]["Entries"]) == 4, "tags change no entries"

mine = [x["PrefixListId"] for x in e.describe_managed_prefix_lists(Filters=[{"Name": "owner-id", "Values": ["AWS"]}])["PrefixLists"]]
refused(e.create_tags, "InvalidPrefixListID.NotFound", Resources=mine, Tags=[{"Key": "a", "Value": "b"}])
refused(e.create_tags, "InvalidID", Resources=["rtbassoc-" + "0" * 17], Tags=[{"Key": "a", "Value": "b"}])
`)
}
