package ec2

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
)

func TestFlowLogFormat(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	b.Python(t, b.admin, `
e = client("ec2")
ask = dict(ResourceIds=["`+id["vpc"]+`"], ResourceType="VPC", TrafficType="ALL", LogGroupName="g", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")
for f in ["${srcaddr}  ${dstaddr}", "srcaddr", "${srcaddr},${dstaddr}", "${srcaddr} ${srcaddr}", "${colour}", "${}", "${srcaddr", " ", "${srcaddr}\n"]:
    refused(e.create_flow_logs, "InvalidParameter", LogFormat=f, **ask)
for f in ["tcp-flags", "reject-reason", "traffic-path", "pkt-src-aws-service", "ecs-cluster-arn", "sublocation-id"]:
    m = refused(e.create_flow_logs, "InvalidParameter", LogFormat="${version} ${%s}" % f, **ask)
    assert "${%s}" % f in str(m), m
for t in ["TransitGateway", "TransitGatewayAttachment"]:
    m = refused(e.create_flow_logs, "InvalidParameter", **dict(ask, ResourceType=t, ResourceIds=["tgw-" + "0" * 17]))
    assert t in str(m), m
m = refused(e.create_flow_logs, "InvalidParameter", LogDestinationType="s3", LogDestination="arn:aws:s3:::b", **{k: v for k, v in ask.items() if k != "LogGroupName"})
assert "s3" in str(m), m
e.create_flow_logs(LogFormat="${flow-direction} ${type} ${region} ${az-id} ${vpc-id} ${subnet-id} ${instance-id} ${pkt-srcaddr} ${dstport} ${version} ${log-status}", **ask)
e.create_flow_logs(LogFormat="${version} ${vpc-id} ${interface-id}", **dict(ask, TrafficType="REJECT"))
formats = {l["TrafficType"]: l["LogFormat"] for l in e.describe_flow_logs()["FlowLogs"]}
assert formats["ALL"].startswith("${flow-direction} ${type}") and formats["REJECT"] == "${version} ${vpc-id} ${interface-id}", formats
`)
	eni, err := b.reserve(t, api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{id["a"]}, SecurityGroupIDs: []string{id["work"]}, Workload: "w", Service: "sagemaker",
	})
	if err != nil {
		t.Fatal(err)
	}
	var self netip.Addr
	n := b.network(t, id["vpc"])
	self = byID(n.interfaces, eni).Address
	door := n.interfacesOf(byID(n.endpoints, id["kms"]))[0]
	peer := netip.MustParseAddrPort("10.0.9.9:5555")
	start := time.Unix(1700000000, 0)
	flow := func(name, action string, src, dst netip.AddrPort) Flow {
		return Flow{Start: start, End: start.Add(time.Minute), Interface: name, Src: src, Dst: dst, Protocol: netmodel.TCP, Packets: 1, Bytes: 40, Action: action}
	}
	if err := b.service.Deliver(t.Context(), b.Store, id["vpc"], []Flow{
		flow(eni, "ACCEPT", netip.AddrPortFrom(self, 4000), peer),
		flow(eni, "REJECT", peer, netip.AddrPortFrom(self, 22)),
		flow(id["kms"], "REJECT", peer, netip.AddrPortFrom(door.Address, 443)),
		flow(id["kms"], "REJECT", peer, netip.MustParseAddrPort("10.0.7.7:443")), // at no address of the endpoint's
		{Start: start, End: start.Add(time.Minute), Interface: eni, Action: "SKIPDATA"},
	}); err != nil {
		t.Fatal(err)
	}
	place := " us-east-1 use1-az1 " + id["vpc"] + " "
	want := map[string]string{
		eni + "-all": "egress IPv4" + place + id["a"] + " - " + self.String() + " 5555 5 OK|" +
			"ingress IPv4" + place + id["a"] + " - 10.0.9.9 22 5 OK|" +
			"- -" + place + id["a"] + " - - - 5 SKIPDATA",
		door.ID + "-all":    "ingress IPv4" + place + door.Subnet + " - 10.0.9.9 443 5 OK",
		eni + "-reject":     "3 " + id["vpc"] + " " + eni + "|3 " + id["vpc"] + " " + eni,
		door.ID + "-reject": "3 " + id["vpc"] + " " + door.ID,
	}
	for to, got := range b.logs.text() {
		if got != want[to.Stream] {
			t.Errorf("%s:\n%s\nnot\n%s", to.Stream, got, want[to.Stream])
		}
		delete(want, to.Stream)
	}
	if len(want) > 0 {
		t.Errorf("not delivered: %v", want)
	}
}

// text is what was delivered, the lines of a stream joined.
func (s *sink) text() map[LogDestination]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[LogDestination]string{}
	for to, lines := range s.got {
		var all []string
		for _, l := range lines {
			all = append(all, l.Text)
		}
		out[to] = strings.Join(all, "|")
	}
	return out
}

func TestDeliverQueries(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	ask := func(resource, kind, traffic, group string) {
		b.Python(t, b.admin, `client("ec2").create_flow_logs(ResourceIds=["`+resource+`"], ResourceType="`+kind+`", TrafficType="`+traffic+`", LogGroupName="`+group+`", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")`)
	}
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	evil := "x\"}\n{\"account_id\":\"210987654321\"\x00\xff.example."
	queries := []Query{
		{Time: at, Interface: "eni-1", Source: netip.MustParseAddrPort("10.0.1.9:40000"), Name: "s3.us-east-1.amazonaws.com.", Type: "A", Rcode: "NOERROR",
			Answers: []netip.Addr{netip.MustParseAddr("169.254.171.1")}, Transport: "UDP"},
		{Time: at, Source: netip.MustParseAddrPort("10.0.1.9:40001"), Name: evil, Type: "TXT", Rcode: "NXDOMAIN", Transport: "TCP"},
		{Time: at, Lost: 7},
	}
	ask(id["a"], "Subnet", "ALL", "part")
	if err := b.service.DeliverQueries(t.Context(), b.Store, id["vpc"], queries); err != nil || len(b.logs.got) > 0 {
		t.Fatalf("the log of a subnet has the VPC's queries: %v", err)
	}
	ask(id["vpc"], "VPC", "ACCEPT", "whole")
	ask(id["vpc"], "VPC", "REJECT", "whole")
	ask(id["vpc"], "VPC", "ALL", "other")
	if err := b.service.DeliverQueries(t.Context(), b.Store, id["vpc"], queries); err != nil {
		t.Fatal(err)
	}
	groups := map[string]bool{}
	for to, lines := range b.logs.got {
		groups[to.Group] = true
		if to.Stream != id["vpc"]+"-dns-queries" || to.RoleID != "AROAFLOW" || len(lines) != 3 {
			t.Fatalf("%+v: %d lines", to, len(lines))
		}
		want := `{"version":"1.100000","account_id":"123456789012","region":"us-east-1","vpc_id":"` + id["vpc"] + `","query_timestamp":"2026-11-26T08:00:00Z",` +
			`"query_name":"s3.us-east-1.amazonaws.com.","query_type":"A","query_class":"IN","rcode":"NOERROR","answers":[{"Rdata":"169.254.171.1","Type":"A","Class":"IN"}],` +
			`"srcaddr":"10.0.1.9","srcport":"40000","transport":"UDP","srcids":{"network_interface":"eni-1"}}`
		if lines[0].Text != want {
			t.Errorf("%s\nnot\n%s", lines[0].Text, want)
		}
		// Who asks cannot write a line of her own, or another account into this one.
		var second struct {
			Name    string `json:"query_name"`
			Account string `json:"account_id"`
		}
		if err := json.Unmarshal([]byte(lines[1].Text), &second); err != nil || strings.ContainsAny(lines[1].Text, "\n\x00") ||
			second.Account != apitest.Account || second.Name != strings.ToValidUTF8(evil, "\uFFFD") {
			t.Errorf("%q: %+v, %v", lines[1].Text, second, err)
		}
		if !strings.Contains(lines[2].Text, `"lost_queries":7`) || strings.Contains(lines[2].Text, "srcaddr") {
			t.Error(lines[2].Text)
		}
	}
	if len(groups) != 2 {
		t.Errorf("delivered to %v", groups)
	}
	b.logs.fail = true
	if err := b.service.DeliverQueries(t.Context(), b.Store, id["vpc"], queries); err == nil || b.service.failure(b.network(t, id["vpc"]).flowLogsOf(id["vpc"])[0].ID) == "" {
		t.Errorf("a failure is told to nobody: %v", err)
	}
	if err := b.service.DeliverQueries(t.Context(), b.Store, "vpc-00000000000000000", queries); err != nil {
		t.Error(err)
	}
}
