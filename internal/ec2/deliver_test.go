package ec2

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func TestDeliver(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	eni := map[string]string{}
	for _, place := range []string{"a", "b"} {
		var err error
		eni[place], err = b.reserve(t, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{id[place]}, SecurityGroupIDs: []string{id["work"]}, Workload: "w-" + place, Service: "sagemaker",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	logged := func() bool {
		var on bool
		b.read(t, func(sn *store.Snapshot) {
			m, err := b.service.Model(sn, id["vpc"])
			if err != nil {
				t.Fatal(err)
			}
			on = m.FlowLogs
		})
		return on
	}
	if logged() {
		t.Error("flows are logged though nobody asked")
	}
	make := func(resource string, kind ec2.FlowLogsResourceType, traffic ec2.TrafficType, group string) string {
		return apitest.Must[ec2.CreateFlowLogsOutput](t, b.admin, "ec2:CreateFlowLogs", &ec2.CreateFlowLogsInput{
			ResourceIds: []string{resource}, ResourceType: kind, TrafficType: traffic, LogGroupName: group,
			DeliverLogsPermissionArn: "arn:aws:iam::123456789012:role/flow",
		}).FlowLogIds[0]
	}
	make(id["vpc"], "VPC", "ALL", "all")
	make(id["b"], "Subnet", "REJECT", "refused")
	make(eni["a"], "NetworkInterface", "ACCEPT", "one")
	if !logged() {
		t.Error("flow logs do not switch the machine's on")
	}
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	start := time.Unix(1700000000, 0)
	flows := []Flow{
		{Start: start, End: start.Add(time.Minute), Interface: eni["a"], Src: at("10.0.1.9:40000"), Dst: at("10.0.2.9:443"), Protocol: netmodel.TCP, Packets: 3, Bytes: 200, Action: "ACCEPT"},
		{Start: start, End: start, Interface: eni["b"], Src: at("10.0.1.9:0"), Dst: at("10.0.2.9:0"), Protocol: netmodel.ICMP, Packets: 1, Bytes: 84, Action: "REJECT"},
		{Start: start, End: start.Add(time.Second), Interface: "eni-00000000000000000", Src: at("10.0.1.9:1"), Dst: at("10.0.2.9:2"), Protocol: netmodel.UDP, Action: "ACCEPT"},
		{Start: start, End: start.Add(time.Minute), Interface: eni["b"], Action: "SKIPDATA"},
	}
	if err := b.service.Deliver(t.Context(), b.Store, id["vpc"], flows); err != nil {
		t.Fatal(err)
	}
	accepted := "2 123456789012 " + eni["a"] + " 10.0.1.9 10.0.2.9 40000 443 6 3 200 1700000000 1700000060 ACCEPT OK"
	rejected := "2 123456789012 " + eni["b"] + " 10.0.1.9 10.0.2.9 0 0 1 1 84 1700000000 1700000000 REJECT OK"
	lost := "2 123456789012 " + eni["b"] + " - - - - - - - 1700000000 1700000060 - SKIPDATA"
	want := map[string]string{
		"all " + eni["a"] + "-all": accepted, "all " + eni["b"] + "-all": rejected + "|" + lost,
		"refused " + eni["b"] + "-reject": rejected + "|" + lost, "one " + eni["a"] + "-accept": accepted,
	}
	for to, lines := range b.logs.got {
		var text []string
		for _, l := range lines {
			text = append(text, l.Text)
		}
		k := to.Group + " " + to.Stream
		if got := strings.Join(text, "|"); got != want[k] || to.RoleID != "AROAFLOW" || to.Account != apitest.Account {
			t.Errorf("%+v: %s", to, got)
		}
		delete(want, k)
	}
	if len(want) != 0 {
		t.Errorf("not delivered: %v", want)
	}

	// What cannot be written is told to the owner of the log.
	status := func() map[string]int {
		n := map[string]int{}
		for _, l := range apitest.Must[ec2.DescribeFlowLogsOutput](t, b.admin, "ec2:DescribeFlowLogs", &ec2.DescribeFlowLogsInput{}).FlowLogs {
			n[l.DeliverLogsStatus]++
		}
		return n
	}
	b.logs.fail = true
	if err := b.service.Deliver(t.Context(), b.Store, id["vpc"], flows[:1]); err == nil || status()["FAILED"] != 2 {
		t.Errorf("%v, %v", err, status())
	}
	b.logs.fail = false
	if err := b.service.Deliver(t.Context(), b.Store, id["vpc"], flows[:1]); err != nil || status()["FAILED"] != 0 {
		t.Errorf("%v, %v", err, status())
	}
}

// What a workload sent at its very end is told though its interface is gone.
func TestDeliverOfTheDeparted(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	eni, err := b.reserve(t, api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{id["a"]}, SecurityGroupIDs: []string{id["work"]}, Workload: "w", Service: "sagemaker",
	})
	if err != nil {
		t.Fatal(err)
	}
	apitest.Must[ec2.CreateFlowLogsOutput](t, b.admin, "ec2:CreateFlowLogs", &ec2.CreateFlowLogsInput{
		ResourceIds: []string{id["vpc"]}, ResourceType: "VPC", TrafficType: "ALL", LogGroupName: "all", DeliverLogsPermissionArn: "arn:aws:iam::123456789012:role/flow",
	})
	if err := b.Store.Update(t.Context(), func(tx *store.Tx) error { return b.service.Release(tx, eni) }); err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1700000000, 0)
	last := Flow{Start: start, End: start, Interface: eni, Src: netip.MustParseAddrPort("10.0.1.9:1"), Dst: netip.MustParseAddrPort("10.0.2.9:2"), Protocol: netmodel.UDP, Packets: 1, Bytes: 29, Action: "ACCEPT"}
	if err := b.service.Deliver(t.Context(), b.Store, id["vpc"], []Flow{last, {Start: start, End: start, Action: "SKIPDATA"}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for to, lines := range b.logs.got {
		if to.Stream == eni+"-all" {
			for _, l := range lines {
				got = append(got, l.Text)
			}
		}
	}
	if len(got) != 1 || !strings.Contains(got[0], " 10.0.1.9 10.0.2.9 1 2 17 1 29 ") {
		t.Errorf("%q", got)
	}
}
