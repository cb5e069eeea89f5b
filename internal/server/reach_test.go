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
gateway = e.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[rtb])["VpcEndpoint"]["VpcEndpointId"]
keys = e.create_vpc_endpoint(VpcId=vpc, VpcEndpointType="Interface", ServiceName="com.amazonaws.us-east-1.kms", SubnetIds=[a, b], SecurityGroupIds=[door],
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

func TestReachSaysWhichGate(t *testing.T) {
	w := built(t, twoVPCs)
	w.workload(t, "night", "a", "work")
	w.workload(t, "db", "b", "data")
	w.workload(t, "silent", "b", "mute")
	supposed := func(groups ...string) func(*server.ReachRequest) {
		return func(in *server.ReachRequest) {
			for _, g := range groups {
				in.Groups = append(in.Groups, w.id[g])
			}
		}
	}
	w.id["nowhere"] = w.id["vpc"] + ":10.0.9.9"
	w.id["somewhere"] = w.id["vpc"] + ":10.0.1.77"
	w.id["night's"] = w.id["vpc"] + ":" + w.id["night address"]
	for _, c := range []struct {
		from, to, port string
		edit           func(*server.ReachRequest)
		gate           string // that refuses; empty if it passes
		says           string // somewhere in the answer
	}{
		{"night", "db", "5432", nil, "", w.id["dbrule"] + " in: tcp 5432 from " + w.id["work"] + " (work): nightly"},
		{"night's", "db address", "tcp/5432", nil, "", ""},
		{"night-0123", "db", "5432", nil, "", ""},
		{"Training-Job/NIGHT", "db", "5432", nil, "", ""},
		{"night", "db", "5433", nil, "egress", "--ip-permissions 'IpProtocol=tcp,FromPort=5433,ToPort=5433,UserIdGroupPairs=[{GroupId=" + w.id["data"] + "}]'"},
		{"night", "db", "udp/5432", nil, "egress", "IpProtocol=udp"},
		{"night", "db", "icmp", nil, "egress", "IpProtocol=icmp,FromPort=8,ToPort=0"},
		{"night", "db", "proto/47", nil, "egress", "'IpProtocol=47,User"},
		{"db", "night", "5432", nil, "egress", ""},
		{"silent", "kms", "443", nil, "egress", "UserIdGroupPairs=[{GroupId=" + w.id["door"]},
		{"night", "kms", "443", nil, "", "bawn explain --vpc-endpoint " + w.id["keys"]},
		{"night", "KMS.us-east-1.amazonaws.com.", "443", nil, "", "the name server answers"},
		{"night", "kms", "80", nil, "egress", ""},
		{"night", "s3", "443", nil, "egress", "PrefixListIds=[{PrefixListId=pl-"},
		{"night", "bucket.s3.amazonaws.com", "443", nil, "egress", "PrefixListIds"},
		{"db", "s3", "443", nil, "name", "create-vpc-endpoint --vpc-id " + w.id["vpc"] + " --service-name com.amazonaws.us-east-1.s3 --route-table-ids " + w.id["main"]},
		{"db", "gateway", "443", nil, "route", "modify-vpc-endpoint --vpc-endpoint-id " + w.id["gateway"] + " --add-route-table-ids " + w.id["main"]},
		{"night", "sts", "443", nil, "name", "--vpc-endpoint-type Interface --service-name com.amazonaws.us-east-1.sts"},
		{"night", "pypi.org", "443", nil, "route", "--nat-gateway-id"},
		{"night", "pypi.org", "udp/443", nil, "outside", "a proxy"},
		{"night", "169.254.169.254", "80", nil, "ingress", "no instance metadata"},
		{"night", "169.254.169.253", "udp/53", nil, "", ""},
		{"night", "203.0.113.9", "443", nil, "route", "nowhere"},
		{"nowhere", "db", "5432", nil, "source", "10.0.9.9"},
		{"somewhere", "db", "5432", supposed("work"), "", ""},
		{"b", "db", "5432", supposed("work", "mute"), "", "eni-supposed"},
		{"b", "db", "5432", supposed("mute"), "egress", ""},
	} {
		edit := []func(*server.ReachRequest){}
		if c.edit != nil {
			edit = append(edit, c.edit)
		}
		out, err := w.ask(t, c.from, c.to, c.port, edit...)
		if err != nil {
			t.Errorf("%s to %s at %s: %v", c.from, c.to, c.port, err)
			continue
		}
		gate := ""
		if !out.Allowed {
			gate = out.Steps[len(out.Steps)-1].Gate
		}
		text, _ := json.Marshal(out)
		if gate != c.gate || !strings.Contains(strings.ReplaceAll(string(text), `\u0026`, "&"), c.says) {
			t.Errorf("%s to %s at %s: refused by %q, not %q, or does not say %q:\n%s", c.from, c.to, c.port, gate, c.gate, c.says, text)
		}
	}
	var page server.AuditPage
	if err := server.AskRunning(t.Context(), w.Config, "/audit", server.AuditRequest{Operator: "test", Name: "Reach", Limit: 1}, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Lines) != 1 || !strings.Contains(string(page.Lines[0].Event), `"from":"`+w.id["b"]) {
		t.Errorf("the question is not on record: %+v", page)
	}
}

// Only some source ports pass where a network ACL lets only some replies in.
func TestReachAsksAboutSourcePorts(t *testing.T) {
	w := built(t, strings.Replace(twoVPCs, "print(", `
e.replace_network_acl_association(AssociationId=[x["NetworkAclAssociationId"] for y in e.describe_network_acls()["NetworkAcls"] for x in y.get("Associations", []) if x["SubnetId"] == a][0], NetworkAclId=acl)
def entry(number, egress, low, high, action="allow"):
    e.create_network_acl_entry(NetworkAclId=acl, RuleNumber=number, Egress=egress, Protocol="6", PortRange={"From": low, "To": high}, CidrBlock="0.0.0.0/0", RuleAction=action)
entry(100, True, 0, 65535)
entry(90, False, 40000, 50000, "deny")
entry(100, False, 20000, 65535)
print(`, 1))
	w.workload(t, "night", "a", "work")
	w.workload(t, "db", "b", "data")
	at := func(port uint16) *server.Reached {
		t.Helper()
		out, err := w.ask(t, "night", "db", "5432", func(in *server.ReachRequest) { in.SourcePort = port })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for port, want := range map[uint16]bool{1024: false, 19999: false, 20000: true, 39999: true, 40000: false, 50000: false, 50001: true, 65535: true} {
		if got := at(port); got.Allowed != want || len(got.Notes) > 0 {
			t.Errorf("from port %d: %+v", port, got)
		}
	}
	out := at(0)
	if out.Allowed || len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "tcp 20000-39999, tcp 50001-65535") {
		t.Errorf("from any port: %+v", out)
	}
	advice := strings.Fields(strings.TrimPrefix(out.Advice[0], "aws "))
	if i := slices.Index(advice, "--rule-number"); i < 0 || len(advice[i+1]) > 2 || advice[i+1] >= "90" {
		t.Errorf("the advice %v does not come before entry 90", advice)
	}
	w.CLI(t, advice...)
	if out := at(0); !out.Allowed || len(out.Notes) > 0 {
		t.Errorf("after the advice was followed: %+v", out)
	}
}

func TestQuestionsWithoutAnAnswer(t *testing.T) {
	w := built(t, twoVPCs)
	w.workload(t, "night", "a", "work")
	w.workload(t, "twin", "a", "work")
	for _, c := range []struct{ from, to, port, says string }{
		{"night", "10.0.1.5", "", "is no port"},
		{"night", "10.0.1.5", "65536", "is no port"},
		{"night", "10.0.1.5", "-1", "is no port"},
		{"night", "10.0.1.5", "sctp/1", "is no port"},
		{"night", "10.0.1.5", "tcp/", "is no port"},
		{"night", "10.0.1.5", "icmp/256", "is no port"},
		{"night", "10.0.1.5", "icmp/8/x", "is no port"},
		{"night", "10.0.1.5", "proto/6", "is no port"},
		{"night", "10.0.1.5", "proto/-1", "is no port"},
		{"night", "fd00::1", "443", "IPv4"},
		{"night", "no such thing", "443", "is no id"},
		{"night", "s33", "443", "is no id"},
		{"night", `"><script>`, "443", "is no id"},
		{"night", "eni-00000000000000000", "443", "no workload"},
		{"night", "vpce-00000000000000000", "443", "no endpoint"},
		{"eni-00000000000000000", "10.0.1.5", "443", "no workload"},
		{"subnet-00000000000000000", "10.0.1.5", "443", "no subnet"},
		{"vpc-00000000000000000:10.0.0.5", "10.0.1.5", "443", "no VPC"},
		{"vpc", "10.0.1.5", "443", "a VPC sends nothing"},
		{"a", "10.0.1.5", "443", "--group"},
		{"nobody", "10.0.1.5", "443", "no workload"},
		{"", "10.0.1.5", "443", "no workload"},
	} {
		if _, err := w.ask(t, c.from, c.to, c.port); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s to %s at %s: %v", c.from, c.to, c.port, err)
		}
	}
}
