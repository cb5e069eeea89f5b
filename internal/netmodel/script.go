package netmodel

import (
	"fmt"
	"strings"
)

// Table is the name of the one table, of family inet, that a VPC's namespace has.
const Table = "bawn"

// Script writes the ruleset in nft's language. Run as one transaction it replaces what was there before, or nothing.
func (r Ruleset) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "add table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {\n", Table)
	b.WriteString("set flood {\ntype ipv4_addr\nsize 8192\nflags dynamic,timeout\ntimeout 1m\n}\n")
	for _, s := range r.Sets {
		fmt.Fprintf(&b, "set %s {\ntype ipv4_addr\nflags interval\n", s.Name)
		if len(s.Prefixes) > 0 {
			b.WriteString("elements = { ")
			for i, p := range s.Prefixes {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(p.String())
			}
			b.WriteString(" }\n")
		}
		b.WriteString("}\n")
	}
	// Chains are declared before any is filled, so that steps may name chains further down.
	for _, c := range r.Chains {
		fmt.Fprintf(&b, "chain %s {\n", c.Name)
		switch c.Hook {
		case "":
		case Prerouting:
			b.WriteString("type filter hook prerouting priority raw; policy drop;\n")
		default:
			fmt.Fprintf(&b, "type filter hook %s priority filter; policy drop;\n", c.Hook)
		}
		b.WriteString("}\n")
	}
	for _, c := range r.Chains {
		fmt.Fprintf(&b, "chain %s {\n", c.Name)
		for i := range c.Steps {
			c.Steps[i].write(&b)
		}
		b.WriteString("}\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func (s *Step) write(b *strings.Builder) {
	if s.State != "" {
		fmt.Fprintf(b, "ct state %s ", s.State)
	}
	writeAddress(b, "saddr", s.Src.IsValid(), s.Src, s.SrcSet)
	writeAddress(b, "daddr", s.Dst.IsValid(), s.Dst, s.DstSet)
	if s.NotOut != "" {
		fmt.Fprintf(b, "oifname != %q ", s.NotOut)
	}
	if s.Ports != nil {
		s.Ports.write(b)
	}
	if s.Flood {
		fmt.Fprintf(b, "update @flood { ip saddr limit rate over %d/second burst %d packets } ", FloodRate, FloodBurst)
	}
	if s.Crowd {
		fmt.Fprintf(b, "ct count over %d ", MaxFlows)
	}
	if s.Log != nil {
		fmt.Fprintf(b, "limit rate %d/second burst %d packets log prefix \"%s\" group %d snaplen %d ",
			LogRate, LogBurst, strings.TrimSpace(string(s.Log.Gate)+" "+s.Log.Interface), LogGroup, logHead)
	}
	switch s.Dispatch {
	case ByDevice:
		writeMap(b, "iifname", s.Branches)
	case ByDestination:
		writeMap(b, "ip daddr", s.Branches)
	}
	switch s.Do {
	case AcceptIt:
		b.WriteString("counter accept")
	case Drop:
		b.WriteString("counter drop")
	case Reset:
		b.WriteString("counter reject with tcp reset")
	case Refuse:
		b.WriteString("counter reject with icmp type admin-prohibited")
	case Jump, Goto:
		fmt.Fprintf(b, "%s %s", s.Do, s.To)
	}
	b.WriteByte('\n')
}

// logHead is how much of a refused packet is copied: the longest IPv4 header and the ports after it.
const logHead = 64

func writeAddress(b *strings.Builder, field string, one bool, p fmt.Stringer, set string) {
	switch {
	case one:
		fmt.Fprintf(b, "ip %s %s ", field, p)
	case set != "":
		fmt.Fprintf(b, "ip %s @%s ", field, set)
	}
}

func writeMap(b *strings.Builder, key string, branches []Branch) {
	fmt.Fprintf(b, "%s vmap { ", key)
	for i, br := range branches {
		if i > 0 {
			b.WriteString(", ")
		}
		if key == "iifname" {
			fmt.Fprintf(b, "%q : goto %s", br.Key, br.Chain)
		} else {
			fmt.Fprintf(b, "%s : goto %s", br.Key, br.Chain)
		}
	}
	b.WriteString(" }")
}

func (r *Rule) write(b *strings.Builder) {
	switch {
	case r.Protocol == AllProtocols:
		return
	case r.Protocol.hasPorts() && r.FromPort == 0 && r.ToPort == 65535:
		fmt.Fprintf(b, "meta l4proto %d ", r.Protocol)
	case r.Protocol.hasPorts() && r.FromPort == r.ToPort:
		fmt.Fprintf(b, "meta l4proto %d th dport %d ", r.Protocol, r.FromPort)
	case r.Protocol.hasPorts():
		fmt.Fprintf(b, "meta l4proto %d th dport %d-%d ", r.Protocol, r.FromPort, r.ToPort)
	case r.Protocol == ICMP:
		fmt.Fprintf(b, "meta l4proto %d ", r.Protocol)
		if r.FromPort >= 0 {
			fmt.Fprintf(b, "icmp type %d ", r.FromPort)
		}
		if r.ToPort >= 0 {
			fmt.Fprintf(b, "icmp code %d ", r.ToPort)
		}
	default:
		fmt.Fprintf(b, "meta l4proto %d ", r.Protocol)
	}
}
