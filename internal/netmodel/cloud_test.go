package netmodel

import (
	"fmt"
	"net/netip"

	"pgregory.net/rapid"
)

// randomCloud draws two or three VPCs, of which two may have one range, and a transit gateway that joins most of them.
func randomCloud(t *rapid.T) *Cloud {
	c := &Cloud{}
	g := &TransitGateway{ID: "tgw-0", Account: "123456789012", RouteTables: []TransitTable{{ID: "tgw-rtb-0"}, {ID: "tgw-rtb-1"}}}
	ids := []string{""}
	for i := range rapid.IntRange(2, 3).Draw(t, "VPCs") {
		net := rapid.SampledFrom([]int{9 - i, 9 - i, 9}).Draw(t, "net")
		v := randomVPC(t, fmt.Sprintf("vpc-%d", i), net)
		c.VPCs = append(c.VPCs, v)
		if !mostly(t) {
			v.Attachments = nil
			continue
		}
		ids = append(ids, v.Attachments[0].ID)
		g.Attachments = append(g.Attachments, TransitAttachment{ID: v.Attachments[0].ID, VPC: v.ID, CIDRs: v.CIDRs,
			RouteTable: rapid.SampledFrom([]string{"tgw-rtb-0", "tgw-rtb-0", "tgw-rtb-1", ""}).Draw(t, "association")})
	}
	for i := range g.RouteTables {
		list := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"0.0.0.0/0", "10.9.0.0/16", "10.8.0.0/16", "10.7.0.0/16", "10.8.0.0/24", "10.9.0.5/32", "10.8.0.0/13"}), 0, 3, rapid.ID)
		seen := map[netip.Prefix]bool{}
		for _, a := range g.Attachments {
			if !seen[a.CIDRs[0]] && mostly(t) {
				seen[a.CIDRs[0]] = true
				g.RouteTables[i].Routes = append(g.RouteTables[i].Routes, TransitRoute{a.CIDRs[0], a.ID})
			}
		}
		for _, p := range list.Draw(t, "transit routes") {
			if !seen[prefix(p)] {
				g.RouteTables[i].Routes = append(g.RouteTables[i].Routes, TransitRoute{prefix(p), rapid.SampledFrom(ids).Draw(t, "to")})
			}
		}
	}
	c.Gateways = []*TransitGateway{g}
	return c
}

// randomVPC draws a small valid VPC, 10.NET.0.0/16, in which rules of every kind meet.
func randomVPC(t *rapid.T, id string, net int) *VPC {
	in := func(rest string) string { return fmt.Sprintf("10.%d.%s", net, rest) }
	attachment := "tgw-attach-" + id
	acls := []string{"", "acl-0", "acl-1"}
	v := &VPC{
		ID: id, Account: "123456789012", CIDRs: []netip.Prefix{prefix(in("0.0/16"))},
		PrefixLists: []PrefixList{{"pl-own", []netip.Prefix{prefix(in("0.0/27")), prefix(in("0.0/25")), prefix(in("1.5/32"))}}},
		FlowLogs:    rapid.Bool().Draw(t, "flowLogs"),
		Attachments: []Attachment{{attachment, "tgw-0"}},
	}
	targets := []string{"nat-0", attachment, attachment, "igw-0", ""}
	for i := range 2 {
		v.RouteTables = append(v.RouteTables, RouteTable{ID: fmt.Sprintf("rtb-%d", i)})
		if mostly(t) {
			v.RouteTables[i].Routes = []Route{{prefix("10.0.0.0/8"), attachment}}
		}
		places := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"0.0.0.0/0", "10.8.0.0/15", "10.9.0.0/16", "10.8.0.0/16", "10.7.0.0/16", "10.8.0.0/24", "10.9.0.5/32", "203.0.113.0/24"}), 0, 4, rapid.ID)
		for _, p := range places.Draw(t, "routes") {
			v.RouteTables[i].Routes = append(v.RouteTables[i].Routes, Route{prefix(p), rapid.SampledFrom(targets).Draw(t, "target")})
		}
		v.Subnets = append(v.Subnets, Subnet{fmt.Sprintf("subnet-%d", i), prefix(in(fmt.Sprintf("%d.0/24", i))), v.RouteTables[i].ID, rapid.SampledFrom(acls).Draw(t, "acl")})
	}
	if rapid.Bool().Draw(t, "bare") {
		v.Subnets[0].NetworkACL, v.Subnets[1].NetworkACL = "", ""
	} else {
		v.NetworkACLs = []NetworkACL{{"acl-0", randomEntries(t), randomEntries(t)}, {"acl-1", randomEntries(t), randomEntries(t)}}
	}
	groups := []string{"sg-0", "sg-1", "sg-2"}
	rule := rapid.Custom(func(t *rapid.T) Rule {
		x := randomPorts(t)
		r := Rule{Protocol: x.Protocol, FromPort: x.From, ToPort: x.To}
		switch rapid.IntRange(0, 3).Draw(t, "peer") {
		case 0:
			r.Group = rapid.SampledFrom(groups).Draw(t, "group")
		case 1:
			r.PrefixList = rapid.SampledFrom([]string{"pl-own", "pl-gw"}).Draw(t, "list")
		default:
			r.CIDR = prefix(rapid.SampledFrom([]string{"0.0.0.0/0", "0.0.0.0/0", in("0.0/24"), in("1.0/24"), in("0.5/32"), "10.8.0.0/15", "169.254.171.0/24"}).Draw(t, "cidr"))
		}
		return r
	})
	rules := func() []Rule {
		list := rapid.SliceOfN(rule, 0, 3).Draw(t, "rules")
		if rapid.Bool().Draw(t, "open") {
			list = append(list, Rule{Protocol: AllProtocols, CIDR: everywhere})
		}
		return list
	}
	for _, g := range groups {
		v.SecurityGroups = append(v.SecurityGroups, SecurityGroup{ID: g, Ingress: rules(), Egress: rules()})
	}
	some := 1
	if !mostly(t) {
		some = 0
	}
	member := rapid.SliceOfNDistinct(rapid.SampledFrom(groups), some, 3, rapid.ID)
	for i := range rapid.IntRange(2, 4).Draw(t, "interfaces") {
		v.Interfaces = append(v.Interfaces, Interface{ID: fmt.Sprintf("eni-%d", i), Subnet: fmt.Sprintf("subnet-%d", i%2),
			Address: addr(in(fmt.Sprintf("%d.%d", i%2, 5+i/2))), Groups: member.Draw(t, "groups"),
			Workload: "w", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i)})
	}
	v.Endpoints = []Endpoint{
		{ID: "vpce-g", Type: GatewayEndpoint, Service: "s3", Ports: []uint16{443, 80}, PrefixList: "pl-gw",
			RouteTables: rapid.SampledFrom([][]string{nil, {"rtb-0"}, {"rtb-0", "rtb-1"}}).Draw(t, "tables"),
			Addresses:   []EndpointAddress{{Address: addr("169.254.171.7")}}},
		{ID: "vpce-i", Type: InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: member.Draw(t, "doorGroups"),
			Addresses: []EndpointAddress{{"subnet-0", addr(in("0.100"))}, {"subnet-1", addr(in("1.100"))}}},
		{ID: "nat-0", Type: NATGateway, Service: "nat", Ports: []uint16{80, 443, 3128},
			Addresses: []EndpointAddress{{"subnet-0", addr(in("0.101"))}}},
	}
	v.Dialers = []Dialer{{"dial-0", "subnet-1", addr(in("1.102"))}}
	return v
}

func randomPorts(t *rapid.T) Ports {
	x := Ports{Protocol: rapid.SampledFrom([]Protocol{TCP, TCP, UDP, ICMP, AllProtocols, AllProtocols, 47}).Draw(t, "protocol")}
	switch {
	case x.Protocol.hasPorts():
		x.From = rapid.SampledFrom([]int{0, 80, 443}).Draw(t, "from")
		x.To = rapid.SampledFrom([]int{443, 8000, 65535}).Draw(t, "to")
	case x.Protocol == ICMP:
		x.From = rapid.SampledFrom([]int{-1, 8}).Draw(t, "type")
		x.To = -1
	}
	return x
}

func randomEntries(t *rapid.T) []ACLEntry {
	out := []ACLEntry{}
	for i := range rapid.IntRange(0, 2).Draw(t, "entries") {
		x := randomPorts(t)
		out = append(out, ACLEntry{Number: 10*i + 1, Allow: mostly(t), Protocol: x.Protocol, FromPort: x.From, ToPort: x.To,
			CIDR: prefix(rapid.SampledFrom([]string{"0.0.0.0/0", "0.0.0.0/0", "10.9.0.0/24", "10.8.0.0/16", "10.9.0.5/32", "169.254.0.0/16"}).Draw(t, "aclRange"))})
	}
	if mostly(t) {
		out = append(out, ACLEntry{Number: 100, Allow: true, Protocol: AllProtocols, CIDR: everywhere})
	}
	return out
}

// mostly draws true, three times of four or more.
func mostly(t *rapid.T) bool { return rapid.IntRange(0, 3).Draw(t, "mostly") < 3 }
