package netmodel

import (
	"fmt"
	"strings"
)

// Table is the name of the one table, of family inet, that a namespace has.
const Table = "bawn"

// Script writes the ruleset in nft's language. Run as one transaction it replaces what was there before, or nothing.
func (r Ruleset) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "add table inet %[1]s\ndelete table inet %[1]s\nadd table inet %[1]s\n", Table)
	fmt.Fprintf(&b, "add counter inet %s %s\n", Table, CounterOver)
	fmt.Fprintf(&b, "add set inet %s flood { type ipv4_addr; size 8192; flags dynamic,timeout; timeout 1m; }\n", Table)
	fmt.Fprintf(&b, "add set inet %s rush { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }\n", Table)
	fmt.Fprintf(&b, "add set inet %s crowd { type ipv4_addr; size 65535; flags dynamic; }\n", Table)
	// Names are declared before anything refers to them.
	for i := range r.Chains {
		r.Chains[i].declare(&b)
	}
	for i := range r.Sets {
		r.Sets[i].declare(&b)
		r.Sets[i].add(&b, r.Sets[i].Elements)
	}
	for i := range r.Chains {
		r.Chains[i].fill(&b)
	}
	return b.String()
}

func (c *Chain) declare(b *strings.Builder) {
	fmt.Fprintf(b, "add chain inet %s %s", Table, c.Name)
	switch c.Hook {
	case "":
	case Prerouting: // fragments are put together at -400
		b.WriteString(" { type filter hook prerouting priority -450; policy drop; }")
	default:
		fmt.Fprintf(b, " { type filter hook %s priority filter; policy drop; }", c.Hook)
	}
	b.WriteByte('\n')
}

func (c *Chain) fill(b *strings.Builder) {
	for i := range c.Steps {
		fmt.Fprintf(b, "add rule inet %s %s ", Table, c.Name)
		c.Steps[i].write(b)
		b.WriteByte('\n')
	}
}

// kind is what nft calls it.
func (s *Set) kind() string {
	if s.Value == NoValue {
		return "set"
	}
	return "map"
}

func (s *Set) declare(b *strings.Builder) {
	fmt.Fprintf(b, "add %s inet %s %s { type %s", s.kind(), Table, s.Name, s.Key)
	if s.Value != NoValue {
		fmt.Fprintf(b, " : %s", s.Value)
	}
	if s.Interval {
		b.WriteString("; flags interval")
	}
	b.WriteString("; }\n")
}

func (s *Set) add(b *strings.Builder, list []Element) {
	s.writeElements(b, "add", list, func(e *Element) {
		s.writeKey(b, e)
		switch s.Value {
		case ToChain:
			fmt.Fprintf(b, " : %s %s", e.Do, e.To)
		case MarkValue:
			fmt.Fprintf(b, " : %d", e.Mark)
		}
	})
}

func (s *Set) remove(b *strings.Builder, list []Element) {
	s.writeElements(b, "delete", list, func(e *Element) { s.writeKey(b, e) })
}

func (s *Set) writeElements(b *strings.Builder, verb string, list []Element, write func(*Element)) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "%s element inet %s %s { ", verb, Table, s.Name)
	for i := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		write(&list[i])
	}
	b.WriteString(" }\n")
}

func (s *Set) writeKey(b *strings.Builder, e *Element) {
	switch s.Key {
	case KeyDevice:
		fmt.Fprintf(b, "%q", e.Device)
	case KeyDeviceAddress:
		fmt.Fprintf(b, "%q . %s", e.Device, e.Range.From)
	case KeyAddressDevice:
		fmt.Fprintf(b, "%s . %q", e.Range.From, e.Device)
	case KeyMarkDevice:
		fmt.Fprintf(b, "%d . %q", e.Mark, e.Device)
	case KeyAddress:
		b.WriteString(e.Range.From.String())
		if e.Range.To != e.Range.From {
			b.WriteString("-" + e.Range.To.String())
		}
	}
}

func (s *Step) write(b *strings.Builder) {
	s.writeMatch(b)
	if s.Mark != "" {
		fmt.Fprintf(b, "meta mark set ip daddr map @%s ", s.Mark)
	}
	if s.Dispatch != "" {
		fmt.Fprintf(b, "%s vmap @%s ", s.Dispatch, s.Map)
	}
	if s.Count {
		fmt.Fprintf(b, "counter name %s ", CounterOver)
	}
	if s.Log != (Log{}) {
		fmt.Fprintf(b, "log prefix \"%s\" group %d snaplen %d ", strings.TrimSpace(string(s.Log.Gate)+" "+s.Log.Endpoint), LogGroup, logHead)
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
	case Return:
		b.WriteString("return")
	case Jump, Goto:
		fmt.Fprintf(b, "%s %s", s.Do, s.To)
	}
}

func (s *Step) writeMatch(b *strings.Builder) {
	if s.OtherFamily {
		b.WriteString("meta nfproto != ipv4 ")
	}
	if s.State != "" {
		fmt.Fprintf(b, "ct state %s ", s.State)
	}
	if s.Src.IsValid() {
		fmt.Fprintf(b, "ip saddr %s ", s.Src)
	}
	if s.Dst.IsValid() {
		fmt.Fprintf(b, "ip daddr %s ", s.Dst)
	}
	if s.Field != "" {
		fmt.Fprintf(b, "%s @%s ", s.Field, s.Set)
	}
	if s.Out != "" {
		fmt.Fprintf(b, "oifname %q ", s.Out)
	}
	s.Ports.write(b)
	if s.Flood {
		fmt.Fprintf(b, "update @flood { ip saddr limit rate over %d/second burst %d packets } ", FloodRate, FloodBurst)
	}
	if s.Fragment {
		b.WriteString("ip frag-off & 0x3fff != 0 ")
	}
	if s.Large {
		fmt.Fprintf(b, "meta length > %d ip frag-off & 0x4000 == 0 ip frag-off set 0x4000 ", MTU)
	}
	if s.Rush || s.Crowd { // a flow that nobody answers is new for ever, but begins once
		b.WriteString("ct status & confirmed == 0 ")
	}
	if s.Rush {
		fmt.Fprintf(b, "update @rush { ip saddr limit rate over %d/second burst %d packets } ", FlowRate, FlowBurst)
	}
	if s.Crowd {
		fmt.Fprintf(b, "add @crowd { ip saddr ct count over %d } ", MaxFlows)
	}
	if s.Busy {
		fmt.Fprintf(b, "limit rate over %d/second burst %d packets ", LogRate, LogBurst)
	}
}

// logHead is how much of a refused packet is copied: the longest IPv4 header and the ports after it.
const logHead = 64

func (x Ports) write(b *strings.Builder) {
	switch {
	case x.Protocol == AllProtocols || x.Protocol == 0:
		return
	case !x.Protocol.hasPorts() && x.Protocol != ICMP || x.Protocol.hasPorts() && x.From == 0 && x.To == 65535:
		fmt.Fprintf(b, "meta l4proto %d ", x.Protocol)
	case x.Protocol.hasPorts() && x.From == x.To:
		fmt.Fprintf(b, "meta l4proto %d th dport %d ", x.Protocol, x.From)
	case x.Protocol.hasPorts():
		fmt.Fprintf(b, "meta l4proto %d th dport %d-%d ", x.Protocol, x.From, x.To)
	default:
		fmt.Fprintf(b, "meta l4proto %d ", x.Protocol)
		if x.From >= 0 {
			fmt.Fprintf(b, "icmp type %d ", x.From)
		}
		if x.To >= 0 {
			fmt.Fprintf(b, "icmp code %d ", x.To)
		}
	}
}
