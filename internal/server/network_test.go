package server_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/ec2"
	"bawn.dev/internal/server"
	"bawn.dev/internal/store"
)

// doors gives the first of the two VPCs a way outside.
const doors = `
edge = e.create_subnet(VpcId=vpc, CidrBlock="10.0.3.0/24")["Subnet"]["SubnetId"]
out = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
e.associate_route_table(RouteTableId=out, SubnetId=edge)
igw = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
e.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
nat = e.create_nat_gateway(SubnetId=edge)["NatGateway"]["NatGatewayId"]
e.create_route(RouteTableId=out, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
e.create_route(RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
`

// offered makes an endpoint service of a workload, and an endpoint of it in the
// first VPC.
func (w *town) offered(t *testing.T, target string) {
	t.Helper()
	out := w.Python(t, `
e = client("ec2")
target, vpc, subnet, group = sys.argv[1:]
balancer = "arn:aws:elasticloadbalancing:us-east-1:%s:loadbalancer/net/%s/5432" % (client("sts").get_caller_identity()["Account"], target)
service = e.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[balancer], AcceptanceRequired=True)["ServiceConfiguration"]
e.modify_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"], AddAllowedPrincipals=["*"])
offer = e.create_vpc_endpoint(VpcId=vpc, VpcEndpointType="Interface", ServiceName=service["ServiceName"], SubnetIds=[subnet], SecurityGroupIds=[group], PrivateDnsEnabled=False)["VpcEndpoint"]["VpcEndpointId"]
print(json.dumps({"service": service["ServiceId"], "offer": offer}))
`, w.id[target], w.id["vpc"], w.id["b"], w.id["door"])
	var made map[string]string
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	maps.Copy(w.id, made)
}

// opens lets a group reach a name outside, as bawn egress does.
func (w *town) opens(t *testing.T, group, name string, ports ...uint16) string {
	t.Helper()
	s, err := ec2.New(ec2.Config{Region: w.Config.Region})
	if err != nil {
		t.Fatal(err)
	}
	var rule *ec2.OutsideRule
	err = w.Door().Store.Update(t.Context(), func(tx *store.Tx) error {
		rule, err = s.AllowOutside(tx, ec2.OutsideRule{Group: w.id[group], Name: name, Ports: ports, Budget: 1 << 20, Operator: "test"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rule.ID
}

// network asks the running server as bawn network does.
func (w *town) network(t *testing.T, in server.NetworkRequest) *server.NetworkMap {
	t.Helper()
	in.Operator = "test"
	var out server.NetworkMap
	if err := server.AskRunning(t.Context(), w.Config, "/network", in, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// flowsOf are the flows in words, with the names of the script for ids.
func (w *town) flowsOf(m *server.NetworkMap) []string {
	names := map[string]string{}
	for name, id := range w.id {
		names[id] = name
	}
	names[w.id["night"]], names[w.id["dawn"]] = "jobs", "jobs" // which are alike
	var out []string
	for _, f := range m.Flows {
		name := func(id string) string {
			for known, name := range names {
				id = strings.ReplaceAll(id, known, name)
			}
			return id
		}
		text := name(f.From) + " to " + name(f.To) + ": " + strings.Join(f.Ports, ", ")
		if f.Via != "" {
			text += " by " + name(f.Via)
		}
		if f.Kind == server.FlowRelay {
			text += " relayed"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// A way out and a private service take every one of several things, and the answers
// and the map say so step by step.
func TestNetworkShowsTheOnlyPaths(t *testing.T) {
	w := built(t, strings.Replace(twoVPCs, "print(", doors+"\nprint(", 1))
	w.workload(t, "night", "a", "work")
	w.workload(t, "dawn", "a", "work")
	w.workload(t, "db", "f", "archive")
	w.offered(t, "db")
	ask := func(to, port string) *server.Reached {
		t.Helper()
		out, err := w.ask(t, "night", to, port)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	refusedBy := func(to, port, gate, says string) {
		t.Helper()
		out := ask(to, port)
		if text, _ := json.Marshal(out); out.Allowed || out.Steps[len(out.Steps)-1].Gate != gate || !strings.Contains(string(text), says) {
			t.Errorf("%s at %s: not refused by %s, or it does not say %q:\n%s", to, port, gate, says, text)
		}
	}
	both := server.NetworkRequest{VPCs: []string{w.id["vpc"], w.id["far"]}}
	hold := func(want ...string) {
		t.Helper()
		if got := w.flowsOf(w.network(t, both)); !slices.Equal(got, want) {
			t.Errorf("the flows are\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	hold("jobs to keys: tcp 443")

	refusedBy("pypi.org", "443", "outside", "bawn egress allow --group "+w.id["work"]+" pypi.org:443")
	w.opens(t, "work", "*.pypi.org", 443)
	rule := w.opens(t, "work", "pypi.org", 443, 8443)
	refusedBy("pypi.org", "443", "egress", "authorize-security-group-egress")
	hold("jobs to keys: tcp 443")
	w.Python(t, `
permission = lambda port: [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "10.0.3.0/24"}]}]
client("ec2").authorize_security_group_egress(GroupId=sys.argv[1], IpPermissions=permission(443) + permission(3128))`, w.id["work"])
	if out := ask("pypi.org", "443"); !out.Allowed || !slices.ContainsFunc(out.Notes, func(n string) bool { return strings.Contains(n, rule) }) {
		t.Errorf("pypi.org: %+v", out)
	}
	if out := ask("pypi.org", "8443"); !out.Allowed || !slices.ContainsFunc(out.Notes, func(n string) bool { return strings.Contains(n, ":3128") }) {
		t.Errorf("pypi.org at a port of the proxy's: %+v", out)
	}
	refusedBy("evil.example", "443", "outside", "evil.example")
	refusedBy("pypi.org", "80", "outside", "pypi.org:80")
	hold("jobs to keys: tcp 443", "jobs to nat: tcp 443, tcp 3128", "nat to outside-nat:  relayed")

	refusedBy("offer", "5432", "route", "pendingAcceptance")
	w.CLI(t, "ec2", "accept-vpc-endpoint-connections", "--service-id", w.id["service"], "--vpc-endpoint-ids", w.id["offer"])
	refusedBy("offer", "5432", "egress", w.id["door"])
	w.Python(t, `
e = client("ec2")
work, door = sys.argv[1:]
permission = lambda group: [{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": group}]}]
e.authorize_security_group_egress(GroupId=work, IpPermissions=permission(door))
e.authorize_security_group_ingress(GroupId=door, IpPermissions=permission(work))`, w.id["work"], w.id["door"])
	refusedBy("offer", "5432", "ingress", "authorize-security-group-ingress --group-id "+w.id["archive"])
	m := w.network(t, both)
	for _, v := range m.VPCs {
		for _, n := range v.Nodes {
			if n.Kind == server.NodeDialer {
				w.id["dialer"] = n.ID
			}
			if i := slices.IndexFunc(n.Members, func(m server.NetworkMember) bool { return m.ID == w.id["night"] }); i >= 0 && len(n.Members) != 2 {
				t.Errorf("two of a kind are not one node: %+v", n)
			}
		}
	}
	hold("jobs to keys: tcp 443", "jobs to nat: tcp 443, tcp 3128", "jobs to offer: tcp 5432", "nat to outside-nat:  relayed", "offer to dialer: tcp 5432 relayed")
	w.CLI(t, shellWords(strings.TrimPrefix(ask("offer", "5432").Advice[0], "aws "))...)
	if out := ask("offer", "5432"); !out.Allowed || !slices.ContainsFunc(out.Steps, func(s server.ReachStep) bool { return s.Gate == "relay" }) {
		t.Errorf("the service: %+v", out)
	}
	hold("dialer to db: tcp 5432", "jobs to keys: tcp 443", "jobs to nat: tcp 443, tcp 3128", "jobs to offer: tcp 5432", "nat to outside-nat:  relayed",
		"offer to dialer: tcp 5432 relayed")
	if alone := w.network(t, server.NetworkRequest{VPCs: []string{w.id["far"]}}); len(alone.VPCs) != 1 || len(alone.Flows) != 1 || len(alone.Transits) != 1 {
		t.Errorf("one VPC alone: %+v", alone)
	}
	if none := w.network(t, server.NetworkRequest{Account: "999999999999"}); len(none.VPCs) != 0 {
		t.Errorf("another account has %+v", none.VPCs)
	}
	var out server.NetworkMap
	if err := server.AskRunning(t.Context(), w.Config, "/network", server.NetworkRequest{VPCs: []string{"vpc-0"}}, &out); err == nil {
		t.Error("a VPC that is not there is drawn")
	}
}
