package server

import (
	"fmt"
	"slices"
	"strings"

	"bawn.dev/internal/netmodel"
)

// A stretch is a run of ports (for ICMP: of type times 256 plus code) about which
// every rule between two ends says the same.
type stretch struct {
	protocol   netmodel.Protocol
	begin, end uint16
}

// experiment is a protocol that stands for those that no rule names.
const experiment netmodel.Protocol = 253

// stretches are all questions to be asked about a pair: one inside each run.
func stretches(from, to *end) []stretch {
	var out []stretch
	if from.kind == NodeDialer { // it connects to its targets' ports only
		for _, l := range from.vpc.Leads[from.id] {
			if slices.Contains(to.members, l.Interface) {
				out = append(out, stretch{netmodel.TCP, l.Port, l.Port})
			}
		}
		return out
	}
	if to.endpoint != nil {
		for _, p := range to.endpoint.Ports {
			out = append(out, stretch{netmodel.TCP, p, p})
		}
		return out
	}
	begins := map[netmodel.Protocol][]int{}
	for _, r := range rulesOf(from.vpc.Model, from.groups, true) {
		begins[r.Protocol] = nil // what no egress rule is about is not asked about
	}
	if _, all := begins[netmodel.AllProtocols]; all {
		for _, p := range []netmodel.Protocol{netmodel.TCP, netmodel.UDP, netmodel.ICMP, experiment} {
			begins[p] = nil
		}
		for _, r := range rulesOf(to.vpc.Model, to.groups, false) {
			begins[r.Protocol] = nil
		}
		for _, e := range entriesOf(from, to) {
			begins[e.Protocol] = nil
		}
	}
	delete(begins, netmodel.AllProtocols)
	divide := func(p netmodel.Protocol, from, to int) {
		if _, asked := begins[p]; !asked {
			return
		}
		switch {
		case p == netmodel.ICMP && from < 0:
		case p == netmodel.ICMP && to < 0:
			begins[p] = append(begins[p], from<<8, (from+1)<<8)
		case p == netmodel.ICMP:
			begins[p] = append(begins[p], from<<8|to, from<<8|to+1)
		case p == netmodel.TCP || p == netmodel.UDP:
			begins[p] = append(begins[p], from, to+1)
		}
	}
	for _, r := range slices.Concat(rulesOf(from.vpc.Model, from.groups, true), rulesOf(to.vpc.Model, to.groups, false)) {
		divide(r.Protocol, r.FromPort, r.ToPort)
	}
	for _, e := range entriesOf(from, to) {
		divide(e.Protocol, e.FromPort, e.ToPort)
	}
	for _, question := range []int{8, 13, 15, 17} { // only these are answered, and network ACLs see the answers
		divide(netmodel.ICMP, question, -1)
	}
	for p, list := range begins {
		list = append(list, 0)
		slices.Sort(list)
		list = slices.DeleteFunc(slices.Compact(list), func(b int) bool { return b > 65535 })
		for i, b := range list {
			last := 65535
			if i+1 < len(list) {
				last = list[i+1] - 1
			}
			out = append(out, stretch{p, uint16(b), uint16(last)})
			if p != netmodel.TCP && p != netmodel.UDP && p != netmodel.ICMP {
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b stretch) int { return (int(a.protocol)-int(b.protocol))<<16 + int(a.begin) - int(b.begin) })
	return out
}

// entriesOf are those of the network ACLs of both VPCs.
func entriesOf(from, to *end) []netmodel.ACLEntry {
	var out []netmodel.ACLEntry
	for _, v := range []*netmodel.VPC{from.vpc.Model, to.vpc.Model} {
		for _, a := range v.NetworkACLs {
			out = slices.Concat(out, a.Egress, a.Ingress)
		}
	}
	return out
}

func rulesOf(v *netmodel.VPC, groups []string, egress bool) []netmodel.Rule {
	var out []netmodel.Rule
	for _, g := range v.SecurityGroups {
		switch {
		case !slices.Contains(groups, g.ID):
		case egress:
			out = append(out, g.Egress...)
		default:
			out = append(out, g.Ingress...)
		}
	}
	return out
}

// A portSet is what passes, in order of protocol and port.
type portSet []stretch

func (s *portSet) add(x stretch) {
	for i := range *s {
		if have := &(*s)[i]; have.protocol == x.protocol && int(have.end)+1 >= int(x.begin) && int(x.end)+1 >= int(have.begin) {
			have.begin, have.end = min(have.begin, x.begin), max(have.end, x.end)
			return
		}
	}
	*s = append(*s, x)
}

// texts are "tcp 443", "udp 53", "tcp 7000-7010", "icmp", "icmp 8/0", "protocol 47".
// The protocols that no rule names are "other protocols", but for what was refused.
func (s portSet) texts(refused portSet) []string {
	var out, but []string
	for _, x := range refused {
		if !slices.ContainsFunc(s, func(o stretch) bool { return o.protocol == x.protocol }) && x.named() {
			but = append(but, x.protocol.String())
		}
	}
	for _, x := range s {
		text := x.String()
		if x.protocol == experiment && len(but) > 0 {
			text += " but " + strings.Join(but, ", ")
		}
		out = append(out, text)
	}
	return out
}

// named says whether the protocol is known by its number only.
func (x stretch) named() bool {
	return x.protocol != netmodel.TCP && x.protocol != netmodel.UDP && x.protocol != netmodel.ICMP
}

func (x stretch) String() string {
	p := x.protocol
	switch {
	case p == experiment:
		return "other protocols"
	case x.named():
		return "protocol " + p.String()
	case x.begin == 0 && x.end == 65535:
		return p.String()
	case p == netmodel.ICMP && x.begin&0xff == 0 && x.end == x.begin|0xff:
		return fmt.Sprintf("icmp %d", x.begin>>8)
	case p == netmodel.ICMP && x.begin == x.end:
		return fmt.Sprintf("icmp %d/%d", x.begin>>8, x.begin&0xff)
	case p == netmodel.ICMP:
		return fmt.Sprintf("icmp %d/%d to %d/%d", x.begin>>8, x.begin&0xff, x.end>>8, x.end&0xff)
	case x.begin == x.end:
		return fmt.Sprintf("%s %d", p, x.begin)
	}
	return fmt.Sprintf("%s %d-%d", p, x.begin, x.end)
}

// portsOf is what a rule says of ports, in the same words.
func portsOf(r *netmodel.Rule) string {
	switch {
	case r.Protocol == netmodel.AllProtocols:
		return "all"
	case r.Protocol == netmodel.ICMP && r.FromPort < 0:
		return "icmp"
	case r.Protocol == netmodel.ICMP:
		return strings.TrimSuffix(fmt.Sprintf("icmp %d/%d", r.FromPort, r.ToPort), "/-1")
	}
	return stretch{r.Protocol, uint16(r.FromPort), uint16(r.ToPort)}.String()
}
