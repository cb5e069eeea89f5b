package server

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bawn.dev/internal/ec2"
	"bawn.dev/internal/netmodel"
)

// advise says what would let the flow through the gate that refused it. There may be
// another behind. It is what to write, not whether to.
func (r *reach) advise() {
	v := r.vpcs[r.failure.Where]
	switch g := r.failure.Gate; {
	case g == gateName:
		r.adviseEndpoint(r.from)
	case v == nil && g == netmodel.GateTransit:
		r.adviseTransit()
	case v == nil:
	case g == netmodel.GateEgress, g == netmodel.GateIngress:
		r.adviseRule(v, g == netmodel.GateEgress)
	case g == netmodel.GateACL:
		r.adviseEntry()
	case g == netmodel.GateRoute:
		r.adviseRoute(v)
	case g == netmodel.GateOutside && r.flow.Protocol == netmodel.TCP && r.sender != nil && len(r.sender.Groups) > 0:
		r.advice("bawn egress allow --group %s %s:%d", r.sender.Groups[0], r.out.To.Name, r.flow.Port)
	}
}

func (r *reach) advice(format string, args ...any) {
	r.out.Advice = append(r.out.Advice, fmt.Sprintf(format, args...))
}

// adviseRule names a rule of a security group.
func (r *reach) adviseRule(v *ec2.Survey, egress bool) {
	f := r.failed
	own, peer, way := f.To, f.From, "ingress"
	if egress {
		own, peer, way = f.From, f.To, "egress"
	}
	groups := groupsAt(v.Model, own)
	if len(groups) == 0 {
		if e := v.Model.EndpointAt(own); e == nil && v.Model.InterfaceAt(own) != nil {
			r.advice("aws ec2 modify-network-interface-attribute --network-interface-id %s --groups GROUP-ID", v.Model.InterfaceAt(own).ID)
		}
		return
	}
	if e := v.Model.EndpointAt(own); e != nil && !slices.Contains(e.Ports, f.Port) {
		return // no rule makes it serve that port
	}
	r.advice("aws ec2 authorize-security-group-%s --group-id %s --ip-permissions '%s,%s'", way, groups[0], permission(f), ruledPeer(v.Model, peer))
}

func groupsAt(v *netmodel.VPC, a netip.Addr) []string {
	if i := v.InterfaceAt(a); i != nil {
		return i.Groups
	}
	if e := v.EndpointAt(a); e != nil {
		return e.Groups
	}
	return nil
}

// permission is a flow as the CLI's short form of an IpPermission has it.
func permission(f netmodel.Flow) string {
	from, to := int(f.Port), int(f.Port)
	switch f.Protocol {
	case netmodel.ICMP:
		from, to = int(f.Port>>8), int(f.Port&0xff)
	case netmodel.TCP, netmodel.UDP:
	default:
		return "IpProtocol=" + f.Protocol.String()
	}
	return fmt.Sprintf("IpProtocol=%s,FromPort=%d,ToPort=%d", f.Protocol, from, to)
}

// ruledPeer names the other side of a rule: by its group, or its list, or its address.
func ruledPeer(v *netmodel.VPC, a netip.Addr) string {
	if groups := groupsAt(v, a); len(groups) > 0 {
		return "UserIdGroupPairs=[{GroupId=" + groups[0] + "}]"
	}
	if e := v.EndpointAt(a); e != nil && e.PrefixList != "" {
		return "PrefixListIds=[{PrefixListId=" + e.PrefixList + "}]"
	}
	return "IpRanges=[{CidrIp=" + a.String() + "/32}]"
}

// adviseEntry names an entry of a network ACL, before the one that refuses.
func (r *reach) adviseEntry() {
	words := strings.Fields(r.failure.Why) // "acl-… denies tcp port 443 out of subnet-… by entry 90"
	v := r.vpcs[r.failure.Where]
	i := slices.IndexFunc(v.Model.NetworkACLs, func(a netmodel.NetworkACL) bool { return a.ID == words[0] })
	at := slices.Index(words, "entry")
	if i < 0 || at < 0 || at+1 >= len(words) {
		return
	}
	egress := slices.Contains(words, "out")
	entries := v.Model.NetworkACLs[i].Ingress
	if egress {
		entries = v.Model.NetworkACLs[i].Egress
	}
	limit, err := strconv.Atoi(words[at+1])
	if err != nil { // none matched
		limit = 32767
	}
	number := freeNumber(entries, limit)
	if number == 0 {
		return
	}
	f := r.failed
	peer, port, end := f.From, int(f.Port), int(f.Port)
	if egress {
		peer = f.To
	}
	if r.failure.Back {
		if peer, port, end = f.To, lowestClient, 65535; egress {
			peer = f.From
		}
		if r.sourcePort != 0 {
			port, end = int(r.sourcePort), int(r.sourcePort)
		}
	}
	ports := ""
	switch f.Protocol {
	case netmodel.TCP, netmodel.UDP:
		ports = fmt.Sprintf(" --port-range From=%d,To=%d", port, end)
	case netmodel.ICMP:
		kind, code := int(f.Port>>8), int(f.Port&0xff)
		if r.failure.Back {
			kind, code = -1, -1
		}
		ports = fmt.Sprintf(" --icmp-type-code Type=%d,Code=%d", kind, code)
	}
	way := "--ingress"
	if egress {
		way = "--egress"
	}
	r.advice("aws ec2 create-network-acl-entry --network-acl-id %s %s --rule-number %d --protocol %d%s --cidr-block %s/32 --rule-action allow",
		words[0], way, number, f.Protocol, ports, peer)
}

// freeNumber is a number between the limit and the entries before it, by tens if that
// fits; 0 if none is left.
func freeNumber(entries []netmodel.ACLEntry, limit int) int {
	taken := map[int]bool{}
	last := 0 // before the limit
	for _, e := range entries {
		taken[e.Number] = true
		if e.Number < limit {
			last = max(last, e.Number)
		}
	}
	if next := last/10*10 + 10; next < limit && next <= 32766 {
		return next
	}
	for n := limit - 1; n > 0; n-- {
		if !taken[n] {
			return n
		}
	}
	return 0
}

// adviseRoute names a route, or what a route could lead to.
func (r *reach) adviseRoute(v *ec2.Survey) {
	to, table := r.failed.To, ""
	from := r.failed.From
	if r.failure.Back {
		to, from = from, to
	}
	for _, s := range v.Model.Subnets {
		if s.CIDR.Contains(from) {
			table = s.RouteTable
		}
	}
	e := v.Model.EndpointAt(to)
	switch {
	case table == "" || r.failed.Protocol == 0:
	case r.out.To.Name != "" && r.out.To.ID == "":
		r.adviseNAT(v, table)
	case e != nil && e.Type == netmodel.GatewayEndpoint:
		r.advice("aws ec2 modify-vpc-endpoint --vpc-endpoint-id %s --add-route-table-ids %s", e.ID, table)
	case e != nil && e.Type == netmodel.NATGateway:
		r.advice("aws ec2 create-route --route-table-id %s --destination-cidr-block 0.0.0.0/0 --nat-gateway-id %s", table, e.ID)
	case e == nil:
		r.adviseWay(v, table, to)
	}
}

func (r *reach) adviseNAT(v *ec2.Survey, table string) {
	nat := "NAT-GATEWAY-ID"
	for _, e := range v.Model.Endpoints {
		if e.Type == netmodel.NATGateway {
			nat = e.ID
		}
	}
	if nat == "NAT-GATEWAY-ID" {
		r.advice("aws ec2 create-nat-gateway --subnet-id SUBNET-ID --connectivity-type public, in another subnet, whose table leads 0.0.0.0/0 to an internet gateway")
	}
	r.advice("aws ec2 create-route --route-table-id %s --destination-cidr-block 0.0.0.0/0 --nat-gateway-id %s", table, nat)
}

// adviseWay names a route to another VPC, if there is one with the address.
func (r *reach) adviseWay(v *ec2.Survey, table string, to netip.Addr) {
	for _, id := range r.order {
		for _, p := range r.vpcs[id].Model.CIDRs {
			if id == v.Model.ID || !p.Contains(to) {
				continue
			}
			gateway := "TRANSIT-GATEWAY-ID"
			for _, a := range v.Model.Attachments {
				for _, b := range r.vpcs[id].Model.Attachments {
					if a.Gateway == b.Gateway {
						gateway = a.Gateway
					}
				}
			}
			if gateway == "TRANSIT-GATEWAY-ID" {
				r.advice("aws ec2 create-transit-gateway-vpc-attachment, for %s and for %s", v.Model.ID, id)
			}
			r.advice("aws ec2 create-route --route-table-id %s --destination-cidr-block %s --transit-gateway-id %s", table, p, gateway)
			return
		}
	}
}

// adviseTransit names a route of a transit gateway's table, or the association that
// is missing.
func (r *reach) adviseTransit() {
	i := slices.IndexFunc(r.cloud.Gateways, func(g *netmodel.TransitGateway) bool { return g.ID == r.failure.Where })
	if i < 0 {
		return
	}
	from, to := r.failed.From, r.failed.To
	if r.failure.Back {
		from, to = to, from
	}
	var in, out *netmodel.TransitAttachment
	var reached netip.Prefix
	for k := range r.cloud.Gateways[i].Attachments {
		a := &r.cloud.Gateways[i].Attachments[k]
		for _, p := range a.CIDRs {
			if p.Contains(from) {
				in = a
			}
			if p.Contains(to) {
				out, reached = a, p
			}
		}
	}
	switch {
	case in == nil || out == nil:
	case in.RouteTable == "":
		r.advice("aws ec2 associate-transit-gateway-route-table --transit-gateway-attachment-id %s --transit-gateway-route-table-id TABLE-ID", in.ID)
	default:
		r.advice("aws ec2 create-transit-gateway-route --transit-gateway-route-table-id %s --destination-cidr-block %s --transit-gateway-attachment-id %s",
			in.RouteTable, reached, out.ID)
	}
}

// adviseEndpoint names the endpoint that is missing.
func (r *reach) adviseEndpoint(v *ec2.Survey) {
	service := "com.amazonaws." + r.server.cfg.Region + "." + cmp.Or(r.out.To.Name, "SERVICE")
	if r.sender == nil {
		return
	}
	if r.out.To.Name == "s3" {
		for _, s := range v.Model.Subnets {
			if s.ID == r.sender.Subnet {
				r.advice("aws ec2 create-vpc-endpoint --vpc-id %s --service-name %s --route-table-ids %s", v.Model.ID, service, s.RouteTable)
			}
		}
	}
	r.advice("aws ec2 create-vpc-endpoint --vpc-id %s --vpc-endpoint-type Interface --service-name %s --subnet-ids %s --security-group-ids GROUP-ID",
		v.Model.ID, service, r.sender.Subnet)
}
