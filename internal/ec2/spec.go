package ec2

import (
	"fmt"
	"net/netip"
	"strconv"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
)

// A spec is what a rule admits: a protocol and ports, to or from exactly one of a
// range, a group and a prefix list. It is comparable; two equal ones are duplicates.
type spec struct {
	Protocol   string       `json:"protocol"`
	From       int32        `json:"from"`
	To         int32        `json:"to"`
	CIDR       netip.Prefix `json:"cidr,omitzero"`
	Peer       string       `json:"peer,omitzero"`
	PrefixList string       `json:"prefixList,omitzero"`
}

const allProtocols = "-1"

var everywhere = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

func (p spec) cidr() string {
	if p.CIDR.IsValid() {
		return p.CIDR.String()
	}
	return ""
}

func (p spec) String() string {
	return fmt.Sprintf("peer: %s%s%s, %s, from port: %d, to port: %d, ALLOW", p.cidr(), p.Peer, p.PrefixList, p.Protocol, p.From, p.To)
}

func decimal(n int32) string { return strconv.Itoa(int(n)) }

// hasPorts says whether From and To mean something.
func (p spec) hasPorts() bool {
	return p.Protocol == "tcp" || p.Protocol == "udp" || p.Protocol == "icmp"
}

// A described spec is one with what somebody wrote beside it.
type described struct {
	spec
	description string
}

// parsePermission reads one IpPermission: a rule for each peer that it names.
func parsePermission(in ec2.IpPermission, account, vpcID string) ([]described, error) {
	base, err := parsePorts(in.IpProtocol, in.FromPort, in.ToPort)
	if err != nil {
		return nil, err
	}
	var out []described
	add := func(p spec, description string) error {
		if !plainText(description) {
			return invalidValue(description, "description", "Invalid rule description.")
		}
		out = append(out, described{p, description})
		return nil
	}
	for _, r := range in.IpRanges {
		p := base
		if p.CIDR, err = parseCIDR(r.CidrIp, "cidrIp"); err != nil {
			return nil, err
		}
		if err := add(p, r.Description); err != nil {
			return nil, err
		}
	}
	for _, g := range in.UserIdGroupPairs {
		p := base
		switch {
		case !kindGroup.names(g.GroupId):
			return nil, kindGroup.malformed(g.GroupId)
		case g.UserId != "" && g.UserId != account, g.VpcId != "" && g.VpcId != vpcID:
			return nil, kindGroup.missing(g.GroupId) // of another VPC: no packet could come from there
		}
		p.Peer = g.GroupId
		if err := add(p, g.Description); err != nil {
			return nil, err
		}
	}
	for _, l := range in.PrefixListIds {
		if !kindList.names(l.PrefixListId) {
			return nil, kindList.malformed(l.PrefixListId)
		}
		p := base
		p.PrefixList = l.PrefixListId
		if err := add(p, l.Description); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, missingParameter("cidrIp, groupId or prefixListId")
	}
	return out, nil
}

func parsePorts(protocol string, from, to *int32) (spec, error) {
	if protocol == "" {
		return spec{}, missingParameter("ipProtocol")
	}
	number, err := netmodel.ParseProtocol(protocol)
	if err != nil {
		return spec{}, invalidValue(protocol, "ipProtocol", "Unknown IP protocol, or one that IPv4 networks do not carry.")
	}
	p := spec{Protocol: number.String(), From: -1, To: -1}
	if !p.hasPorts() {
		return p, nil // EC2 ignores ports of the others, which have none
	}
	if from != nil {
		p.From = *from
	}
	if to != nil {
		p.To = *to
	}
	if p.Protocol == "icmp" {
		if p.From < -1 || p.From > 255 || p.To < -1 || p.To > 255 || p.From == -1 && p.To != -1 {
			return p, fail("InvalidParameterValue", "ICMP type (%d) or code (%d) out of range", p.From, p.To)
		}
		return p, nil
	}
	switch {
	case from == nil || to == nil:
		return p, fail("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
	case p.From < 0 || p.To > 65535:
		return p, fail("InvalidParameterValue", "TCP/UDP port (%d to %d) out of range", p.From, p.To)
	case p.From > p.To:
		return p, fail("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d)", p.From, p.To)
	}
	return p, nil
}

// permissions shows rules as IpPermissions: those of one protocol and port range
// together.
func permissions(rules []*rule) []ec2.IpPermission {
	var out []ec2.IpPermission
	at := map[spec]int{}
	for _, r := range rules {
		k := spec{Protocol: r.Spec.Protocol, From: r.Spec.From, To: r.Spec.To}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			p := ec2.IpPermission{IpProtocol: k.Protocol}
			if k.hasPorts() {
				p.FromPort, p.ToPort = &k.From, &k.To
			}
			out = append(out, p)
		}
		p := &out[i]
		switch {
		case r.Spec.CIDR.IsValid():
			p.IpRanges = append(p.IpRanges, ec2.IpRange{CidrIp: r.Spec.cidr(), Description: r.Description})
		case r.Spec.Peer != "":
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, ec2.UserIdGroupPair{GroupId: r.Spec.Peer, UserId: r.Account, Description: r.Description})
		default:
			p.PrefixListIds = append(p.PrefixListIds, ec2.PrefixListId{PrefixListId: r.Spec.PrefixList, Description: r.Description})
		}
	}
	return out
}
