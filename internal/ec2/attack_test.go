package ec2

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// Another account's id looks the same as one that does not exist, in every
// operation.
func TestAccountsAreApart(t *testing.T) { onBoth(t, apart) }

func apart(t *testing.T, b *bench) {
	id := b.typical(t)
	fl := fields(b.Python(t, b.admin, `
e = client("ec2")
print("fl=" + e.create_flow_logs(ResourceIds=["`+id["vpc"]+`"], ResourceType="VPC", TrafficType="ALL", LogGroupName="g", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")["FlowLogIds"][0])
print("sgr=" + e.describe_security_group_rules()["SecurityGroupRules"][0]["SecurityGroupRuleId"])
print("eni=" + e.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"])
print("assoc=" + [a["RouteTableAssociationId"] for t in e.describe_route_tables()["RouteTables"] for a in t["Associations"] if not a["Main"]][0])
`))
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	script := `
e = client("ec2")
ids = dict(x.split("=") for x in """` + join(id) + " " + join(fl) + `""".split())
mine = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=mine, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
rtb = e.create_route_table(VpcId=mine)["RouteTable"]["RouteTableId"]
sg = e.create_security_group(VpcId=mine, GroupName="g", Description="d")["GroupId"]
ep = e.create_vpc_endpoint(VpcId=mine, ServiceName="com.amazonaws.us-east-1.kms", VpcEndpointType="Interface", SubnetIds=[sub], PrivateDnsEnabled=False)["VpcEndpoint"]["VpcEndpointId"]
def both(f, theirs, **kw):
    said = []
    for i in (theirs, theirs.split("-")[0] + "-" + "0" * 17):
        args = {k: ([i] if v == ["ID"] else i if v == "ID" else v) for k, v in kw.items()}
        try:
            out = f(**args)
            out.pop("ResponseMetadata")
            said.append(str(out).replace(i, "ID"))
        except botocore.exceptions.ClientError as x:
            assert x.response["Error"]["Code"].endswith(".NotFound"), x
            said.append(str(x).replace(i, "ID"))
    assert said[0] == said[1] and "NotFound" in said[0], said
tcp = lambda **kw: [dict({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}, **kw)]
vpc, theirsub, theirsg, theirep = ids["vpc"], ids["a"], ids["work"], ids["kms"]
both(e.describe_vpcs, vpc, VpcIds=["ID"])
both(e.describe_subnets, theirsub, SubnetIds=["ID"])
both(e.describe_route_tables, ids["rtb"], RouteTableIds=["ID"])
both(e.describe_security_groups, theirsg, GroupIds=["ID"])
both(e.describe_security_group_rules, ids["sgr"], SecurityGroupRuleIds=["ID"])
both(e.describe_vpc_endpoints, theirep, VpcEndpointIds=["ID"])
both(e.describe_network_interfaces, ids["eni"], NetworkInterfaceIds=["ID"])
both(e.describe_flow_logs, ids["fl"], FlowLogIds=["ID"])
both(e.describe_vpc_attribute, vpc, VpcId="ID", Attribute="enableDnsSupport")
both(e.modify_vpc_attribute, vpc, VpcId="ID", EnableDnsSupport={"Value": False})
both(e.delete_vpc, vpc, VpcId="ID")
both(e.create_subnet, vpc, VpcId="ID", CidrBlock="10.0.200.0/24")
both(e.delete_subnet, theirsub, SubnetId="ID")
both(e.create_route_table, vpc, VpcId="ID")
both(e.delete_route_table, ids["rtb"], RouteTableId="ID")
both(e.associate_route_table, ids["rtb"], RouteTableId="ID", SubnetId=sub)
both(e.associate_route_table, theirsub, RouteTableId=rtb, SubnetId="ID")
both(e.disassociate_route_table, ids["assoc"], AssociationId="ID")
both(e.create_route, ids["rtb"], RouteTableId="ID", DestinationCidrBlock="0.0.0.0/0", GatewayId="igw-1")
both(e.delete_route, ids["rtb"], RouteTableId="ID", DestinationCidrBlock="0.0.0.0/0")
both(e.create_security_group, vpc, VpcId="ID", GroupName="x", Description="d")
both(e.delete_security_group, theirsg, GroupId="ID")
for f in (e.authorize_security_group_ingress, e.authorize_security_group_egress, e.revoke_security_group_ingress, e.revoke_security_group_egress):
    both(f, theirsg, GroupId="ID", IpPermissions=tcp(IpRanges=[{"CidrIp": "0.0.0.0/0"}]))
for i in (theirsg, "sg-" + "0" * 17):
    refused(e.authorize_security_group_ingress, "InvalidGroup.NotFound", GroupId=sg, IpPermissions=tcp(UserIdGroupPairs=[{"GroupId": i}]))
kms = dict(ServiceName="com.amazonaws.us-east-1.kms", VpcEndpointType="Interface", PrivateDnsEnabled=False)
both(e.create_vpc_endpoint, vpc, VpcId="ID", SubnetIds=[sub], **kms)
both(e.create_vpc_endpoint, theirsub, VpcId=mine, SubnetIds=["ID"], **kms)
both(e.create_vpc_endpoint, theirsg, VpcId=mine, SubnetIds=[sub], SecurityGroupIds=["ID"], **kms)
both(e.create_vpc_endpoint, ids["rtb"], VpcId=mine, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=["ID"])
both(e.modify_vpc_endpoint, theirep, VpcEndpointId="ID", ResetPolicy=True)
both(e.modify_vpc_endpoint, theirsub, VpcEndpointId=ep, AddSubnetIds=["ID"])
both(e.delete_vpc_endpoints, theirep, VpcEndpointIds=["ID"])
both(e.create_flow_logs, vpc, ResourceIds=["ID"], ResourceType="VPC", TrafficType="ALL", LogGroupName="g", DeliverLogsPermissionArn="arn:aws:iam::210987654321:role/flow")
both(e.delete_flow_logs, ids["fl"], FlowLogIds=["ID"])
for i in ids.values():
    if not i.startswith(("rtbassoc-", "pl-")):
        both(e.create_tags, i, Resources=["ID"], Tags=[{"Key": "a", "Value": "b"}])
assert [v["VpcId"] for v in e.describe_vpcs()["Vpcs"]] == [mine]
assert not e.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [vpc, "vpc-0000"]}])["Vpcs"]
`
	b.Python(t, mallory, script)
	b.Python(t, b.admin, `
e = client("ec2")
assert len(e.describe_vpc_endpoints()["VpcEndpoints"]) == 3 and len(e.describe_flow_logs()["FlowLogs"]) == 1
`)
	// Nor may she name them as a foreign resource.
	b.read(t, func(sn *store.Snapshot) {
		for _, owner := range []string{apitest.Account, apitest.Other} {
			for kind, i := range map[string]string{"subnet": id["a"], "security-group": id["work"]} {
				f, err := b.service.Resolve(context.Background(), sn, "arn:aws:ec2:us-east-1:"+owner+":"+kind+"/"+i)
				if err != nil || (f.Missing == nil) != (owner == apitest.Account) || (f.Detail != nil) != (owner == apitest.Account) {
					t.Errorf("%s of %s: %+v, %v", i, owner, f, err)
				}
			}
		}
		if f, err := b.service.Resolve(context.Background(), sn, "arn:aws:ec2:us-east-1:"+apitest.Account+":vpc/"+id["a"]); f != nil || err != nil {
			t.Errorf("a subnet under a VPC's name: %+v, %v", f, err)
		}
	})
}

func join(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	return strings.Join(out, " ")
}

// Policies by tag, by VPC and by what makes a tag decide.
func TestPolicies(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	b.Python(t, b.admin, `client("ec2").create_tags(Resources=["`+id["a"]+`"], Tags=[{"Key": "team", "Value": "red"}])`)
	red := b.User(t, apitest.Account, "red", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["ec2:CreateTags","ec2:DeleteSubnet"],"Resource":"arn:aws:ec2:*:*:subnet/*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"},"Null":{"ec2:CreateAction":"true"}}},
		{"Effect":"Allow","Action":"ec2:CreateSecurityGroup","Resource":["arn:aws:ec2:*:*:vpc/`+id["vpc"]+`","arn:aws:ec2:*:*:security-group/*"]},
		{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"arn:aws:ec2:*:*:security-group/*","Condition":{
			"StringEquals":{"ec2:CreateAction":"CreateSecurityGroup","aws:RequestTag/team":"red"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}},
		{"Effect":"Allow","Action":"ec2:DeleteSecurityGroup","Resource":"*","Condition":{"ArnEquals":{"ec2:Vpc":"arn:aws:ec2:us-east-1:123456789012:vpc/`+id["vpc"]+`"}}}]}`)
	b.Python(t, red, `
e = client("ec2")
no = lambda f, **kw: refused(f, "UnauthorizedOperation", **kw)
tag = [{"Key": "team", "Value": "red"}]
spec = lambda *tags: [{"ResourceType": "security-group", "Tags": list(tags)}]
no(e.describe_vpcs)
e.create_tags(Resources=["`+id["a"]+`"], Tags=[{"Key": "x", "Value": "y"}])
no(e.create_tags, Resources=["`+id["b"]+`"], Tags=tag)
no(e.create_tags, Resources=["`+id["a"]+`", "`+id["b"]+`"], Tags=tag)
no(e.delete_subnet, SubnetId="`+id["b"]+`")
no(e.delete_subnet, SubnetId="subnet-" + "0" * 17)
no(e.create_tags, Resources=["`+id["work"]+`"], Tags=tag)
make = lambda name, specs=[]: e.create_security_group(VpcId="`+id["vpc"]+`", GroupName=name, Description="d", TagSpecifications=specs)["GroupId"]
make("plain")
made = make("tagged", spec(*tag))
for tags in ([{"Key": "team", "Value": "blue"}], tag + [{"Key": "admin", "Value": "yes"}], [{"Key": "Name", "Value": "x"}]):
    no(e.create_security_group, VpcId="`+id["vpc"]+`", GroupName="x", Description="d", TagSpecifications=spec(*tags))
no(e.create_security_group, VpcId="vpc-" + "0" * 17, GroupName="x", Description="d")
e.delete_security_group(GroupId=made)
no(e.delete_security_group, GroupId="sg-" + "0" * 17)
`)
}

// through runs scripts whose calls come by an endpoint.
func (b *bench) through(t *testing.T, id map[string]string, endpoint string) func(script string) {
	srv := httptest.NewServer(b.Door.Handler(api.Origin{EndpointID: id[endpoint], VPC: id["vpc"], VPCAccount: apitest.Account}))
	t.Cleanup(srv.Close)
	door := b.URL
	return func(script string) {
		t.Helper()
		b.URL = srv.URL
		b.Python(t, b.admin, "e = client('ec2')\n"+script)
		b.URL = door
	}
}

// All services answer on one port: an endpoint of one is no way to another.
func TestEndpointIsOfOneService(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	for _, other := range []string{"kms", "s3", "sm"} {
		b.through(t, id, other)(`assert "endpoint" in str(refused(e.describe_vpcs, "UnauthorizedOperation"))`)
	}
	for service := range offered() {
		p, err := policy.Parse([]byte(serves(service)), policy.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		for action, of := range map[string]string{
			"kms:Decrypt": "kms", "s3:GetObject": "s3", "sts:AssumeRole": "sts", "logs:PutLogEvents": "logs", "ec2:DescribeVpcs": "ec2",
			"sagemaker:CreateTrainingJob": "sagemaker.api", "sagemaker:InvokeEndpoint": "sagemaker.runtime", "cloudtrail:LookupEvents": "cloudtrail",
			"iam:CreateUser": "iam", "organizations:CreateAccount": "organizations", "identitystore:CreateUser": "identitystore", "sso:CreateInstance": "",
		} {
			all, err := policy.Parse([]byte(apitest.Admin), policy.Identity)
			if err != nil {
				t.Fatal(err)
			}
			d := policy.Decide(&policy.Input{
				Action: action, Resource: "*", Principal: policy.Principal{Kind: policy.User, Account: apitest.Account, ARN: "arn:aws:iam::123456789012:user/u"},
				ResourceAccount: apitest.Account, Context: policy.Context{}, Identity: []policy.Doc{{Name: "admin", Policy: all}},
				Endpoint: []policy.Doc{{Name: "service", Policy: p}},
			})
			if d.Allowed != (of == service) {
				t.Errorf("%s through an endpoint of %s: %v", action, service, d.Allowed)
			}
		}
	}
}

// A call through an endpoint is held to its policy, on the next call after a
// change, and to nothing once the endpoint is gone.
func TestEndpointPolicyDecides(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	made := apitest.Must[ec2.CreateVpcEndpointOutput](t, b.admin, "ec2:CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcId: id["vpc"], VpcEndpointType: ec2.VpcEndpointTypeInterface, ServiceName: "com.amazonaws.us-east-1.ec2", SubnetIds: []string{id["a"]},
	})
	id["ec2"] = made.VpcEndpoint.VpcEndpointId
	via := b.through(t, id, "ec2")
	via(`e.describe_vpcs()`)
	for doc, script := range map[string]string{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ec2:DescribeVpcs","Resource":"*"}]}`: `
e.describe_vpcs()
assert "VPC endpoint policy" in str(refused(e.describe_subnets, "UnauthorizedOperation"))`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"ec2:DescribeVpcs","Resource":"*"}]}`: `
refused(e.describe_vpcs, "UnauthorizedOperation")
e.describe_subnets()`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"*","Resource":"*"}]}`: `
refused(e.describe_vpcs, "UnauthorizedOperation")`,
	} {
		apitest.Must[ec2.ModifyVpcEndpointOutput](t, b.admin, "ec2:ModifyVpcEndpoint", &ec2.ModifyVpcEndpointInput{VpcEndpointId: id["ec2"], PolicyDocument: doc})
		via(script)
	}
	apitest.Must[ec2.DeleteVpcEndpointsOutput](t, b.admin, "ec2:DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id["ec2"]}})
	via(`refused(e.describe_vpcs)`)
	if r := b.Records(t, apitest.Account, "DescribeVpcs"); r[0].ErrorCode == "" || r[0].VpcEndpointID != id["ec2"] {
		t.Errorf("the refusal's record: %+v", r[0])
	}
}
