package netmodel

// Ports is what a rule or a network ACL's entry asks of a packet besides its addresses. The zero value asks for nothing.
type Ports struct {
	Protocol Protocol
	From, To int
}

func (r *Rule) ports() Ports { return Ports{r.Protocol, r.FromPort, r.ToPort} }

func (e *ACLEntry) ports() Ports { return Ports{e.Protocol, e.FromPort, e.ToPort} }

func tcpPort(p uint16) Ports { return Ports{TCP, int(p), int(p)} }

func (x Ports) match(p Protocol, port uint16) bool {
	switch {
	case x.Protocol == AllProtocols || x.Protocol == 0:
		return true
	case x.Protocol != p:
		return false
	case p.hasPorts():
		return x.From <= int(port) && int(port) <= x.To
	case p == ICMP:
		return (x.From == -1 || x.From == int(port>>8)) && (x.To == -1 || x.To == int(port&0xff))
	}
	return true
}

// answer returns the port of the packets that answer a flow, and false if nothing answers it: an ICMP message that is no
// question.
func (f Flow) answer() (uint16, bool) {
	switch {
	case f.Protocol.hasPorts():
		return f.FromPort, true
	case f.Protocol != ICMP:
		return 0, true
	}
	switch f.Port >> 8 {
	case 8: // echo
		return 0, true
	case 13, 15, 17: // timestamp, information, address mask
		return f.Port&0xff00 + 1<<8, true
	}
	return 0, false
}
