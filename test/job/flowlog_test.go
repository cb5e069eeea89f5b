package job

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What is sent, and what each packet has besides its payload.
const (
	flowTCP, flowUDP, flowShut, flowFirst = 7000, 7100, 7101, 7200
	flowStream                            = 300_000 // bytes
	flowDatagrams, flowRefused, flowSize  = 400, 300, 100
	flowKnocks                            = 20
	udpHeaders                            = 28
)

// A flow is a line of a flow log in the format that this test asks for.
type flow struct {
	ifc, src, dst, action, status string
	protocol, port                int
	packets, bytes, end           int64
}

const flowFormat = "${interface-id} ${srcaddr} ${dstaddr} ${action} ${log-status} ${protocol} ${dstport} ${packets} ${bytes} ${end}"

// logged is an event as CloudWatch Logs answers it; times are in milliseconds.
type logged struct {
	Message, LogStreamName string
	IngestionTime          int64
}

func (h *house) logged(t testing.TB, group string) (all []logged) {
	t.Helper()
	for in := (args{"logGroupName": group}); ; {
		var page struct {
			Events    []logged
			NextToken string
		}
		h.must(t, "admin", "logs", "filter_log_events", in, &page)
		all = append(all, page.Events...)
		if page.NextToken == "" {
			return all
		}
		in["nextToken"] = page.NextToken
	}
}

func (h *house) newFlowLog(t testing.TB, vpc, group string) {
	t.Helper()
	h.must(t, "admin", "logs", "create_log_group", args{"logGroupName": group}, nil)
	role := h.newRole(t, "flow-logs", trusting("vpc-flow-logs.amazonaws.com"),
		allow([]string{"logs:CreateLogStream", "logs:PutLogEvents"}, "arn:aws:logs:"+region+":"+account+":log-group:"+group+":*"))
	h.must(t, "admin", "ec2", "create_flow_logs", args{"ResourceType": "VPC", "ResourceIds": []string{vpc}, "TrafficType": "ALL", "LogGroupName": group,
		"DeliverLogsPermissionArn": role, "MaxAggregationInterval": 60, "LogFormat": flowFormat}, nil)
}

// What a flow log says was sent, accepted and refused is what was, packet by packet,
// and within a minute; the names that were asked lie beside it.
func TestFlowLogsAgree(t *testing.T) {
	h := open(t)
	t.Parallel()
	const group = "/test/flows"
	p := h.newPlain(t, "admin", "10.84.0.0/16", "10.84.1.0/24")
	h.newFlowLog(t, p.vpc, group)
	h.admits(t, "admin", p.jobs, flowTCP, "10.84.0.0/16")
	h.must(t, "admin", "ec2", "authorize_security_group_ingress", args{"GroupId": p.jobs, "IpPermissions": []args{
		{"IpProtocol": "udp", "FromPort": flowUDP, "ToPort": flowUDP, "IpRanges": []args{{"CidrIp": "10.84.0.0/16"}}}}}, nil)

	hyper := func(in args) map[string]string {
		out := map[string]string{}
		for k, v := range in {
			out[k] = text(v)
		}
		return out
	}
	numbers := args{"tcp": flowTCP, "udp": flowUDP, "datagrams": flowDatagrams}
	receiver := h.start(t, order{program: "flows.py", place: &p.network, hyper: hyper(with(numbers, args{"do": "receive"}))})
	t.Cleanup(func() {
		h.call(t, "ada", "sagemaker", "stop_training_job", args{"TrainingJobName": receiver}, nil)
		h.end(t, receiver)
	})
	there := h.says(t, receiver, "OWN ")
	names := []string{"s3." + region + ".amazonaws.com", "c2VjcmV0.tunnel.example"}
	sender := h.start(t, order{program: "flows.py", place: &p.network, hyper: hyper(with(numbers, args{
		"do": "send", "to": there, "shut": flowShut, "first": flowFirst, "knocks": flowKnocks, "stream": flowStream, "refused": flowRefused, "size": flowSize, "names": names}))})
	here := h.says(t, sender, "SENT ")
	h.completed(t, sender)
	var got struct{ Packets, Bytes, Stream int64 }
	if err := json.Unmarshal([]byte(h.says(t, receiver, "GOT ")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Packets != flowDatagrams || got.Bytes != flowDatagrams*flowSize || got.Stream != flowStream {
		t.Fatalf("the receiver got %+v", got)
	}

	// What is accepted both ends see, and what is refused who refuses it.
	want := map[string][2]int64{fmt.Sprintf("REJECT 17 %d at the receiver", flowShut): {flowRefused, flowRefused * (flowSize + udpHeaders)}}
	for port := flowFirst; port < flowFirst+flowKnocks; port++ {
		want[fmt.Sprintf("REJECT 6 %d at the receiver", port)] = [2]int64{1, 60}
	}
	for _, side := range []string{"sender", "receiver"} {
		want[fmt.Sprintf("ACCEPT 17 %d at the %s", flowUDP, side)] = [2]int64{flowDatagrams, flowDatagrams * (flowSize + udpHeaders)}
		want[fmt.Sprintf("ACCEPT 6 %d at the %s", flowTCP, side)] = [2]int64{}
		want["ACCEPT 6 back at the "+side] = [2]int64{}
	}
	taker := h.interfaceAt(t, "admin", p.vpc, there)
	var sum map[string][2]int64
	ifc := ""
	eventually(t, "all is logged", func() bool {
		sum = map[string][2]int64{}
		for _, e := range h.logged(t, group) {
			if !strings.HasPrefix(e.LogStreamName, "eni-") {
				continue
			}
			f := parsed(t, e)
			side, port := "receiver", fmt.Sprint(f.port)
			if f.ifc != taker {
				side, ifc = "sender", f.ifc
			}
			switch {
			case f.src == there && f.dst == here:
				port = "back"
			case f.src != here || f.dst != there:
				continue // with endpoints and with the name server
			}
			if late := e.IngestionTime/1000 - f.end; late > 60 || f.status != "OK" {
				t.Errorf("%d seconds late: %s", late, e.Message)
			}
			key := fmt.Sprintf("%s %d %s at the %s", f.action, f.protocol, port, side)
			s := sum[key]
			sum[key] = [2]int64{s[0] + f.packets, s[1] + f.bytes}
		}
		for key, w := range want {
			if s := sum[key]; s[0] == 0 || s[0] < w[0] || strings.Contains(key, fmt.Sprintf(" 6 %d ", flowTCP)) && s[1] < flowStream {
				return false
			}
		}
		return true
	})
	for key, s := range sum {
		w, ok := want[key]
		switch {
		case !ok:
			t.Errorf("nobody sent what the log has as %s: %v", key, s)
		case w[0] == 0 && s[1] > 2*flowStream:
			t.Errorf("%s: %v", key, s) // TCP's own share, and what it sent twice
		case w[0] > 0 && s != w:
			t.Errorf("%s: %v packets and bytes, and %v were sent", key, s, w)
		}
	}
	eventually(t, "the names are logged", func() bool { return h.asked(t, group, p.vpc, here, ifc, names) })
}

// asked says whether the log of names has these questions of one interface, and
// fails if it has other names.
func (h *house) asked(t testing.TB, group, vpc, address, ifc string, names []string) bool {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range h.logged(t, group) {
		if e.LogStreamName != vpc+"-dns-queries" {
			continue
		}
		var q struct {
			QueryName string `json:"query_name"`
			Address   string `json:"srcaddr"`
			Rcode     string `json:"rcode"`
			Source    struct {
				Interface string `json:"network_interface"`
			} `json:"srcids"`
		}
		if err := json.Unmarshal([]byte(e.Message), &q); err != nil {
			t.Fatal(err)
		}
		if q.Address != address {
			continue // the receiver's
		}
		name := strings.TrimSuffix(q.QueryName, ".")
		if !slices.Contains(names, name) || q.Source.Interface != ifc || (q.Rcode == "NOERROR") != (name == names[0]) {
			t.Errorf("asked: %s", e.Message)
		}
		seen[name] = true
	}
	return len(seen) == len(names)
}

func parsed(t testing.TB, e logged) (f flow) {
	t.Helper()
	if _, err := fmt.Sscan(e.Message, &f.ifc, &f.src, &f.dst, &f.action, &f.status, &f.protocol, &f.port, &f.packets, &f.bytes, &f.end); err != nil {
		t.Fatalf("%v: %s", err, e.Message)
	}
	return f
}
