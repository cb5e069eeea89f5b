package job

import (
	"testing"
)

// Two VPCs and a transit gateway: packets pass when both VPCs, the gateway's tables
// and the groups lead them there and back, and each of these alone stops them.
func TestTransitGateway(t *testing.T) {
	h := open(t)
	t.Parallel()
	ec2 := func(operation string, in args, out any) { t.Helper(); h.must(t, "admin", "ec2", operation, in, out) }
	const rangeA, rangeB = "10.82.0.0/16", "10.83.0.0/16"
	a, b := h.newPlain(t, "admin", rangeA, "10.82.1.0/24"), h.newPlain(t, "admin", rangeB, "10.83.1.0/24")
	_, there := h.wire(t, &b.network, wire{name: "far", listen: []int{7000, 7001}})
	near, here := h.wire(t, &a.network, wire{
		name: "near", listen: []int{7000},
		targets: map[string]string{"far": there + ":7000", "far other port": there + ":7001", "gateway's side": "169.254.1.2:7000"},
		streams: map[string]string{"far": there + ":7000"},
	})
	reached, nothing := map[string]string{"far": "this is far to " + here}, map[string]string{}
	h.admits(t, "admin", b.jobs, 7000, rangeA)
	h.settled(t, near, "there is no gateway", nothing)

	var made struct {
		TransitGateway struct{ TransitGatewayId string }
	}
	ec2("create_transit_gateway", args{}, &made)
	tgw := made.TransitGateway.TransitGatewayId
	attach := func(p plain) string {
		var out struct {
			TransitGatewayVpcAttachment struct{ TransitGatewayAttachmentId string }
		}
		ec2("create_transit_gateway_vpc_attachment", args{"TransitGatewayId": tgw, "VpcId": p.vpc, "SubnetIds": []string{p.subnet}}, &out)
		return out.TransitGatewayVpcAttachment.TransitGatewayAttachmentId
	}
	attachA, attachB := attach(a), attach(b)
	t.Cleanup(func() {
		for _, id := range []string{attachA, attachB} {
			ec2("delete_transit_gateway_vpc_attachment", args{"TransitGatewayAttachmentId": id}, nil)
		}
		ec2("delete_transit_gateway", args{"TransitGatewayId": tgw}, nil)
	})
	h.settled(t, near, "no route leads to the gateway", nothing)
	lead := func(p plain, to string) {
		t.Helper()
		ec2("create_route", args{"RouteTableId": p.table, "DestinationCidrBlock": to, "TransitGatewayId": tgw}, nil)
	}
	unlead := func(p plain, to string) {
		t.Helper()
		ec2("delete_route", args{"RouteTableId": p.table, "DestinationCidrBlock": to}, nil)
	}
	lead(a, rangeB)
	h.settled(t, near, "there is no way back", nothing)
	lead(b, rangeA)
	h.settled(t, near, "all lead on", reached)

	// Each of these stops it, cuts what is open, and lets it pass again when it is gone.
	var tables struct {
		TransitGatewayRouteTables []struct{ TransitGatewayRouteTableId string }
	}
	ec2("describe_transit_gateway_route_tables", args{"Filters": []args{{"Name": "transit-gateway-id", "Values": []string{tgw}}}}, &tables)
	table := tables.TransitGatewayRouteTables[0].TransitGatewayRouteTableId
	blackhole := args{"TransitGatewayRouteTableId": table, "DestinationCidrBlock": "10.83.1.0/24"}
	association := args{"TransitGatewayRouteTableId": table, "TransitGatewayAttachmentId": attachA}
	propagation := args{"TransitGatewayRouteTableId": table, "TransitGatewayAttachmentId": attachA}
	deny := func(p plain, egress bool, from, to int) (stop, restore func()) {
		entry := args{"NetworkAclId": p.acl, "RuleNumber": 50, "Egress": egress}
		return func() {
				ec2("create_network_acl_entry", with(entry, args{"Protocol": "6", "RuleAction": "deny", "CidrBlock": "10.82.0.0/15", "PortRange": args{"From": from, "To": to}}), nil)
			}, func() {
				ec2("delete_network_acl_entry", entry, nil)
			}
	}
	denyReply, allowReply := deny(a, false, 1024, 65535)
	denyPort, allowPort := deny(b, false, 7000, 7000)
	for _, c := range []struct {
		what          string
		stop, restore func()
	}{
		{"the route is gone", func() { unlead(a, rangeB) }, func() { lead(a, rangeB) }},
		{"the way back is gone", func() { unlead(b, rangeA) }, func() { lead(b, rangeA) }},
		{"a blackhole is nearer", func() { ec2("create_transit_gateway_route", with(blackhole, args{"Blackhole": true}), nil) },
			func() { ec2("delete_transit_gateway_route", blackhole, nil) }},
		{"the attachment has no table", func() { ec2("disassociate_transit_gateway_route_table", association, nil) },
			func() { ec2("associate_transit_gateway_route_table", association, nil) }},
		{"the table does not know the way back", func() { ec2("disable_transit_gateway_route_table_propagation", propagation, nil) },
			func() { ec2("enable_transit_gateway_route_table_propagation", propagation, nil) }},
		{"an ACL denies the replies", denyReply, allowReply},
		{"an ACL denies the port", denyPort, allowPort},
		{"the group shuts", func() { h.shuts(t, "admin", b.jobs, 7000, rangeA) }, func() { h.admits(t, "admin", b.jobs, 7000, rangeA) }},
	} {
		h.opens(t, near, "far")
		c.stop()
		h.cuts(t, near, "far")
		h.settled(t, near, c.what, nothing)
		c.restore()
		h.settled(t, near, c.what+" no more", reached)
	}
}

func with(in, more args) args {
	out := args{}
	for _, m := range []args{in, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}
