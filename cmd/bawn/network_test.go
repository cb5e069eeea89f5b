package main

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"bawn.dev/internal/server"
)

var update = flag.Bool("update", false, "write the golden files anew")

// ward is a hospital's network: a VPC where people train, one with a database behind
// a transit gateway, and a service that a third account offers.
func ward() *server.NetworkMap {
	arn := func(name string) string { return "arn:aws:sagemaker:eu-west-1:111122223333:training-job/" + name }
	return &server.NetworkMap{
		Time: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC),
		VPCs: []server.NetworkVPC{{
			ID: "vpc-0aaaaaaaaaaaaaaa1", Name: "training", Account: "111122223333", CIDRs: []string{"10.0.0.0/16"}, Internet: "igw-0aaaaaaaaaaaaaaa1", FlowLogs: true,
			Subnets: []server.NetworkSubnet{
				{ID: "subnet-0aaaaaaaaaaaaaaa1", Name: "notebooks", CIDR: "10.0.1.0/24", ACL: "acl-0aaaaaaaaaaaaaaa1", Open: true, RouteTable: "rtb-0aaaaaaaaaaaaaaa1",
					Routes: []server.NetworkRoute{{To: "0.0.0.0/0", Target: "nat-0aaaaaaaaaaaaaaa1"}, {To: "pl-0aaaaaaaaaaaaaaa1", Target: "vpce-0aaaaaaaaaaaaaaa1"}}},
				{ID: "subnet-0aaaaaaaaaaaaaaa2", Name: "jobs", CIDR: "10.0.2.0/24", ACL: "acl-0aaaaaaaaaaaaaaa2", RouteTable: "rtb-0aaaaaaaaaaaaaaa2",
					Routes: []server.NetworkRoute{{To: "10.1.0.0/16", Target: "tgw-attach-0aaaaaaaaaaaaaaa1"}, {To: "pl-0aaaaaaaaaaaaaaa1", Target: "vpce-0aaaaaaaaaaaaaaa1"}}},
				{ID: "subnet-0aaaaaaaaaaaaaaa3", Name: "edge", CIDR: "10.0.3.0/24", ACL: "acl-0aaaaaaaaaaaaaaa1", Open: true, RouteTable: "rtb-0aaaaaaaaaaaaaaa3",
					Routes: []server.NetworkRoute{{To: "0.0.0.0/0", Target: "igw-0aaaaaaaaaaaaaaa1"}}},
			},
			Groups: []server.NetworkGroup{
				{ID: "sg-0aaaaaaaaaaaaaaa1", Name: "notebooks", Outside: []string{"pypi.org:443"}, Rules: []string{"sgr-0aaaaaaaaaaaaaaa1 out: all to 0.0.0.0/0"}},
				{ID: "sg-0aaaaaaaaaaaaaaa2", Name: "jobs", Rules: []string{"sgr-0aaaaaaaaaaaaaaa2 in: tcp 7000-7010 from sg-0aaaaaaaaaaaaaaa2 (jobs): gradients"}},
				{ID: "sg-0aaaaaaaaaaaaaaa3", Name: "endpoints"},
				{ID: "sg-0aaaaaaaaaaaaaaa4", Name: "unused"},
			},
			Nodes: []server.NetworkNode{
				{ID: "eni-0aaaaaaaaaaaaaaa1", Kind: server.NodeInterfaces, Subnets: []string{"subnet-0aaaaaaaaaaaaaaa1"}, Groups: []string{"sg-0aaaaaaaaaaaaaaa1"},
					Members: []server.NetworkMember{{ID: "eni-0aaaaaaaaaaaaaaa1", Address: "10.0.1.10", Owner: arn("explore"), Person: "ada"}}},
				{ID: "eni-0aaaaaaaaaaaaaaa2", Kind: server.NodeInterfaces, Subnets: []string{"subnet-0aaaaaaaaaaaaaaa1"}, Groups: []string{"sg-0aaaaaaaaaaaaaaa1", "sg-0aaaaaaaaaaaaaaa2"},
					Members: []server.NetworkMember{{ID: "eni-0aaaaaaaaaaaaaaa2", Address: "10.0.1.11", Owner: arn("triage"), Person: "bob"}}},
				{ID: "eni-0aaaaaaaaaaaaaaa3", Kind: server.NodeInterfaces, Subnets: []string{"subnet-0aaaaaaaaaaaaaaa2"}, Groups: []string{"sg-0aaaaaaaaaaaaaaa2"},
					Members: []server.NetworkMember{
						{ID: "eni-0aaaaaaaaaaaaaaa3", Address: "10.0.2.10", Owner: arn("night"), Person: "ada"},
						{ID: "eni-0aaaaaaaaaaaaaaa4", Address: "10.0.2.11", Owner: arn("night-2"), Person: "ada"},
						{ID: "eni-0aaaaaaaaaaaaaaa5", Address: "10.0.2.12", Owner: arn("dawn"), Person: "eve"}}},
				{ID: "vpce-0aaaaaaaaaaaaaaa1", Kind: server.NodeEndpoint, Service: "com.amazonaws.eu-west-1.s3", Policy: true, Members: []server.NetworkMember{{Address: "169.254.171.1"}}},
				{ID: "vpce-0aaaaaaaaaaaaaaa2", Kind: server.NodeEndpoint, Service: "com.amazonaws.eu-west-1.kms", Subnets: []string{"subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2"},
					Groups: []string{"sg-0aaaaaaaaaaaaaaa3"}, Members: []server.NetworkMember{{Address: "10.0.1.5"}, {Address: "10.0.2.5"}}},
				{ID: "vpce-0aaaaaaaaaaaaaaa3", Kind: server.NodeEndpoint, Service: "com.amazonaws.vpce.eu-west-1.vpce-svc-0bbbbbbbbbbbbbbb1", Subnets: []string{"subnet-0aaaaaaaaaaaaaaa2"},
					Groups: []string{"sg-0aaaaaaaaaaaaaaa3"}, Members: []server.NetworkMember{{Address: "10.0.2.6"}}, Lines: []string{"port 5432: eni-0bbbbbbbbbbbbbbb1 in vpc-0bbbbbbbbbbbbbbb1"}},
				{ID: "nat-0aaaaaaaaaaaaaaa1", Kind: server.NodeNAT, Subnets: []string{"subnet-0aaaaaaaaaaaaaaa3"}, Members: []server.NetworkMember{{Address: "10.0.3.5"}}},
				{ID: "outside-nat-0aaaaaaaaaaaaaaa1", Kind: server.NodeOutside, Lines: []string{"*.pythonhosted.org:443  notebooks", "pypi.org:443  notebooks"}},
			},
			Attachments: []server.NetworkAttachment{{ID: "tgw-attach-0aaaaaaaaaaaaaaa1", Gateway: "tgw-0aaaaaaaaaaaaaaa1"}},
			Idle:        []server.NetworkIdle{{ID: "vpce-0aaaaaaaaaaaaaaa9", Why: "its endpoint service serves nothing by it: it is pendingAcceptance"}},
		}, {
			ID: "vpc-0bbbbbbbbbbbbbbb1", Name: "records", Account: "444455556666", CIDRs: []string{"10.1.0.0/16", "10.2.0.0/16"},
			Subnets: []server.NetworkSubnet{{ID: "subnet-0bbbbbbbbbbbbbbb1", CIDR: "10.1.1.0/24", ACL: "acl-0bbbbbbbbbbbbbbb1", Open: true, RouteTable: "rtb-0bbbbbbbbbbbbbbb1",
				Routes: []server.NetworkRoute{{To: "10.0.0.0/16", Target: "tgw-attach-0bbbbbbbbbbbbbbb1"}}}},
			Groups: []server.NetworkGroup{{ID: "sg-0bbbbbbbbbbbbbbb1", Name: "database"}},
			Nodes: []server.NetworkNode{
				{ID: "eni-0bbbbbbbbbbbbbbb1", Kind: server.NodeInterfaces, Name: "postgres", Subnets: []string{"subnet-0bbbbbbbbbbbbbbb1"}, Groups: []string{"sg-0bbbbbbbbbbbbbbb1"},
					Members: []server.NetworkMember{{ID: "eni-0bbbbbbbbbbbbbbb1", Address: "10.1.1.20", Owner: "arn:aws:sagemaker:eu-west-1:444455556666:training-job/postgres"}}},
				{ID: "eni-0bbbbbbbbbbbbbbb2", Kind: server.NodeDialer, Service: "com.amazonaws.vpce.eu-west-1.vpce-svc-0bbbbbbbbbbbbbbb1", Subnets: []string{"subnet-0bbbbbbbbbbbbbbb1"},
					Members: []server.NetworkMember{{ID: "eni-0bbbbbbbbbbbbbbb2", Address: "10.1.1.9"}}},
			},
			Attachments: []server.NetworkAttachment{{ID: "tgw-attach-0bbbbbbbbbbbbbbb1", Gateway: "tgw-0aaaaaaaaaaaaaaa1"}},
		}},
		Transits: []server.NetworkTransit{{ID: "tgw-0aaaaaaaaaaaaaaa1", Account: "444455556666", Tables: []server.NetworkTransitTable{{
			ID: "tgw-rtb-0aaaaaaaaaaaaaaa1", Associated: []string{"vpc-0aaaaaaaaaaaaaaa1", "vpc-0bbbbbbbbbbbbbbb1"},
			Routes: []server.NetworkRoute{{To: "10.0.0.0/16", Target: "vpc-0aaaaaaaaaaaaaaa1"}, {To: "10.1.0.0/16", Target: "vpc-0bbbbbbbbbbbbbbb1"}, {To: "10.9.0.0/16"}},
		}}}},
		Flows: []server.NetworkFlow{
			{From: "eni-0aaaaaaaaaaaaaaa1", To: "vpce-0aaaaaaaaaaaaaaa1", Kind: server.FlowPackets, Ports: []string{"tcp 443"}},
			{From: "eni-0aaaaaaaaaaaaaaa1", To: "vpce-0aaaaaaaaaaaaaaa2", Kind: server.FlowPackets, Ports: []string{"tcp 443"}},
			{From: "eni-0aaaaaaaaaaaaaaa1", To: "nat-0aaaaaaaaaaaaaaa1", Kind: server.FlowPackets, Ports: []string{"tcp 80", "tcp 443", "tcp 3128"}},
			{From: "eni-0aaaaaaaaaaaaaaa2", To: "vpce-0aaaaaaaaaaaaaaa1", Kind: server.FlowPackets, Ports: []string{"tcp 443"}},
			{From: "eni-0aaaaaaaaaaaaaaa2", To: "vpce-0aaaaaaaaaaaaaaa2", Kind: server.FlowPackets, Ports: []string{"tcp 443"}},
			{From: "eni-0aaaaaaaaaaaaaaa2", To: "nat-0aaaaaaaaaaaaaaa1", Kind: server.FlowPackets, Ports: []string{"tcp 80", "tcp 443", "tcp 3128"}},
			{From: "eni-0aaaaaaaaaaaaaaa2", To: "eni-0aaaaaaaaaaaaaaa3", Kind: server.FlowPackets, Ports: []string{"tcp 7000-7010"}},
			{From: "eni-0aaaaaaaaaaaaaaa3", To: "eni-0aaaaaaaaaaaaaaa2", Kind: server.FlowPackets, Ports: []string{"tcp 7000-7010"}},
			{From: "eni-0aaaaaaaaaaaaaaa3", To: "eni-0aaaaaaaaaaaaaaa3", Kind: server.FlowPackets, Ports: []string{"tcp 7000-7010"}, Among: true},
			{From: "eni-0aaaaaaaaaaaaaaa3", To: "vpce-0aaaaaaaaaaaaaaa1", Kind: server.FlowPackets, Ports: []string{"tcp 443"}},
			{From: "eni-0aaaaaaaaaaaaaaa3", To: "vpce-0aaaaaaaaaaaaaaa2", Kind: server.FlowPackets, Ports: []string{"tcp 443"}},
			{From: "eni-0aaaaaaaaaaaaaaa3", To: "vpce-0aaaaaaaaaaaaaaa3", Kind: server.FlowPackets, Ports: []string{"tcp 5432"}},
			{From: "eni-0aaaaaaaaaaaaaaa3", To: "eni-0bbbbbbbbbbbbbbb1", Kind: server.FlowPackets, Ports: []string{"tcp 5432"}, Via: "tgw-0aaaaaaaaaaaaaaa1", Some: true},
			{From: "nat-0aaaaaaaaaaaaaaa1", To: "outside-nat-0aaaaaaaaaaaaaaa1", Kind: server.FlowRelay},
			{From: "vpce-0aaaaaaaaaaaaaaa3", To: "eni-0bbbbbbbbbbbbbbb2", Kind: server.FlowRelay, Ports: []string{"tcp 5432"}},
			{From: "eni-0bbbbbbbbbbbbbbb2", To: "eni-0bbbbbbbbbbbbbbb1", Kind: server.FlowPackets, Ports: []string{"tcp 5432"}},
		},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is drawn now; if that is right, run with -update:\n%s", path, got)
	}
}

func drawn(t *testing.T, m *server.NetworkMap) (text, svg string) {
	t.Helper()
	var a, b strings.Builder
	if err := errors.Join(drawText(&a, m), drawSVG(&b, m)); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String()
}

func TestNetworksAreDrawn(t *testing.T) {
	text, svg := drawn(t, ward())
	golden(t, "network.txt", text)
	golden(t, "network.svg", svg)
}

// Every flow has its arrow, and no wire runs behind a node.
func TestWiresAreSeen(t *testing.T) {
	d := layOut(ward())
	arrows := 0
	for _, w := range d.wires {
		arrows += len(w.runs)
	}
	if arrows != len(d.m.Flows) {
		t.Errorf("%d arrows for %d flows", arrows, len(d.m.Flows))
	}
	for _, r := range d.rows() {
		for _, w := range r.lanes {
			for _, o := range d.rows() {
				for _, b := range o.boxes {
					if y := r.laneY(w); b.y <= y && y <= b.y+b.h {
						t.Errorf("a wire runs at %d behind %s", y, b.node.ID)
					}
				}
			}
		}
	}
}

// Tags, owners and names of groups are text that others chose: it must not become
// part of the drawing, nor of the terminal.
func TestDrawingsHoldNothingThatSomebodyWrote(t *testing.T) {
	names := append([]string{`<script>alert(1)</script>`, `"/><image href="http://203.0.113.1/x"/>`, `]]><!--`, `&lt;&#x3c;`, `{{.}} %s %n`}, hostile...)
	plain := shapes(t, ward())
	for _, name := range names {
		m := ward()
		for i := range m.VPCs {
			v := &m.VPCs[i]
			v.Name = name
			for k := range v.Subnets {
				v.Subnets[k].Name = name
			}
			for k := range v.Groups {
				v.Groups[k].Name, v.Groups[k].Rules, v.Groups[k].Outside = name, []string{name}, []string{name}
			}
			for k := range v.Nodes {
				n := &v.Nodes[k]
				n.Name, n.Service, n.Lines = name, name, []string{name}
				for j := range n.Members {
					n.Members[j].Owner, n.Members[j].Person = name, name
				}
			}
		}
		text, svg := drawn(t, m)
		for _, out := range []string{text, svg} {
			for _, r := range out {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%q leaves %q", name, r)
				}
			}
		}
		for element := range shapes(t, m) {
			if plain[element] == 0 {
				t.Errorf("%q makes the element %s", name, element)
			}
		}
		if strings.Contains(svg, "href") && !strings.Contains(svg, "&#34;http") && strings.Contains(svg, `href="`) {
			t.Errorf("%q makes a link", name)
		}
	}
}

// shapes counts the elements of a drawing, by name and names of attributes.
func shapes(t *testing.T, m *server.NetworkMap) map[string]int {
	t.Helper()
	_, svg := drawn(t, m)
	count := map[string]int{}
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			count[token.Name.Local]++
			for _, a := range token.Attr {
				count["attribute "+a.Name.Local]++
			}
		case xml.Comment, xml.ProcInst, xml.Directive:
			t.Fatalf("%T in the drawing", token)
		}
	}
}
