package server_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/store"
)

// A town is a running server with networks in it.
type town struct {
	*servertest.Bawn
	id map[string]string // by the names in the script
}

// built makes networks by a boto3 script that prints ids as JSON.
func built(t *testing.T, script string) *town {
	t.Helper()
	w := &town{Bawn: servertest.Start(t)}
	if err := json.Unmarshal([]byte(w.Python(t, script)), &w.id); err != nil {
		t.Fatal(err)
	}
	return w
}

// workload gives a job an interface, as the service of jobs does.
func (w *town) workload(t *testing.T, name, subnet string, groups ...string) string {
	t.Helper()
	s, err := ec2.New(ec2.Config{Region: w.Config.Region})
	if err != nil {
		t.Fatal(err)
	}
	r := api.Reservation{
		Account: w.Config.AccountID, SubnetIDs: []string{w.id[subnet]}, Workload: name + "-0123", Service: "sagemaker",
		Owner: "arn:aws:sagemaker:us-east-1:" + w.Config.AccountID + ":training-job/" + name,
	}
	for _, g := range groups {
		r.SecurityGroupIDs = append(r.SecurityGroupIDs, w.id[g])
	}
	err = w.Door().Store.Update(t.Context(), func(tx *store.Tx) error {
		i, _, err := s.Reserve(t.Context(), tx, r)
		w.id[name], w.id[name+" address"] = i.ID, i.Address.String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w.id[name]
}

// ask asks the running server as bawn reach does. Names of the script stand for ids.
func (w *town) ask(t *testing.T, from, to, port string, edit ...func(*server.ReachRequest)) (*server.Reached, error) {
	t.Helper()
	in := server.ReachRequest{Operator: "test", From: w.named(from), To: w.named(to), Port: port}
	for _, e := range edit {
		e(&in)
	}
	var out server.Reached
	err := server.AskRunning(context.Background(), w.Config, "/reach", in, &out)
	return &out, err
}

func (w *town) named(name string) string {
	if id, ok := w.id[name]; ok {
		return id
	}
	return name
}

const twoVPCs = `
e = client("ec2")
def group(vpc, name, *rules):
    g = e.create_security_group(VpcId=vpc, GroupName=name, Description=name)["GroupId"]
    e.revoke_security_group_egress(GroupId=g, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    return g
def tcp(port, **kw): return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **kw}]
vpc = e.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "training"}]}])["Vpc"]["VpcId"]
e.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
a = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
b = e.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
rtb = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
e.associate_route_table(RouteTableId=rtb, SubnetId=a)
main = e.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}])["RouteTables"][0]["RouteTableId"]
work, data, door, mute = (group(vpc, n) for n in ("work", "data", "door", "mute"))
s3 = e.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[rtb])["VpcEndpoint"]["VpcEndpointId"]
kms = e.create_vpc_endpoint(VpcId=vpc, VpcEndpointType="Interface", ServiceName="com.amazonaws.us-east-1.kms", SubnetIds=[a, b], SecurityGroupIds=[door],
    PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}]}))["VpcEndpoint"]["VpcEndpointId"]
e.authorize_security_group_egress(GroupId=work, IpPermissions=tcp(5432, UserIdGroupPairs=[{"GroupId": data}]) + tcp(443, UserIdGroupPairs=[{"GroupId": door}]))
e.authorize_security_group_ingress(GroupId=door, IpPermissions=tcp(443, UserIdGroupPairs=[{"GroupId": work}]))
dbrule = e.authorize_security_group_ingress(GroupId=data, IpPermissions=tcp(5432, UserIdGroupPairs=[{"GroupId": work, "Description": "nightly"}]))["SecurityGroupRules"][0]["SecurityGroupRuleId"]

far = e.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
f = e.create_subnet(VpcId=far, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
archive = group(far, "archive")
farmain = e.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [far]}])["RouteTables"][0]["RouteTableId"]
tgw = e.create_transit_gateway(Options={"DefaultRouteTableAssociation": "disable", "DefaultRouteTablePropagation": "disable"})["TransitGateway"]["TransitGatewayId"]
here = e.create_transit_gateway_vpc_attachment(TransitGatewayId=tgw, VpcId=vpc, SubnetIds=[a])["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
there = e.create_transit_gateway_vpc_attachment(TransitGatewayId=tgw, VpcId=far, SubnetIds=[f])["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
trtb = e.create_transit_gateway_route_table(TransitGatewayId=tgw)["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
acl = e.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
print(json.dumps({k: v for k, v in globals().items() if isinstance(v, str) and "-" in v and not k.startswith("__")}))
`

// Whoever does what the answers advise comes through, gate by gate, to a workload in
// another VPC; and not before.
func TestReachLeadsThroughEveryGate(t *testing.T) {
	w := built(t, twoVPCs)
	w.workload(t, "night", "a", "work")
	w.workload(t, "records", "f", "archive")
	gates := []string{}
	for range 20 {
		out, err := w.ask(t, "night", "records", "5432")
		if err != nil {
			t.Fatal(err)
		}
		if out.Allowed {
			break
		}
		last := out.Steps[len(out.Steps)-1]
		gates = append(gates, last.Gate)
		if last.Allowed || len(out.Advice) != 1 {
			t.Fatalf("refused: %+v", out)
		}
		advice := strings.NewReplacer("TABLE-ID", w.id["trtb"]).Replace(out.Advice[0])
		t.Log(out.Verdict, "\n", advice)
		w.CLI(t, shellWords(strings.TrimPrefix(advice, "aws "))...)
		if len(gates) == 2 { // the ACL comes when nothing here refuses any more
			w.CLI(t, "ec2", "replace-network-acl-association", "--association-id", w.association(t), "--network-acl-id", w.id["acl"])
		}
	}
	want := "route egress acl transit transit ingress route transit transit acl"
	if got := strings.Join(gates, " "); got != want {
		t.Errorf("the gates were %s, not %s", got, want)
	}
	if out, err := w.ask(t, "night", "records", "5432"); err != nil || !out.Allowed || !slices.ContainsFunc(out.Steps, func(s server.ReachStep) bool { return s.Back }) {
		t.Errorf("it does not pass: %+v, %v", out, err)
	}
}

// association is that of subnet a with its network ACL.
func (w *town) association(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(w.Python(t, `
for acl in client("ec2").describe_network_acls()["NetworkAcls"]:
    for x in acl.get("Associations", []):
        if x["SubnetId"] == sys.argv[1]: print(x["NetworkAclAssociationId"])
`, w.id["a"]))
}

// shellWords splits a command as a shell does, quotes in one piece.
func shellWords(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}
