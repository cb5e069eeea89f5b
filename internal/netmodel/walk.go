package netmodel

import (
	"fmt"
	"net/netip"
)

// Gate names the point at which a verdict fell.
type Gate string

// The gates, in the order in which a packet meets them.
const (
	GateSource  Gate = "source"  // the sender's address is its interface's own, or can be another network's
	GateRoute   Gate = "route"   // the destination exists and the sender's subnet has a route to it
	GateACL     Gate = "acl"     // the network ACLs of the subnets that the packet leaves and enters
	GateEgress  Gate = "egress"  // the sender's groups let it out
	GateTransit Gate = "transit" // the transit gateway's tables lead on
	GateIngress Gate = "ingress" // the receiver's groups, or the endpoint's ports, let it in
	GateOutside Gate = "outside" // the sender's groups admit the name in the internet
)

// Verdict says whether the first packet of a flow passes. Gate is where it fell, or the last one passed. Why is a sentence
// for a person. Beyond is the attachment by which an allowed packet leaves the VPC; what is beyond decides on. Replies to
// what passed meet network ACLs and routes, and no group; ICMP errors about it only pass where the rules admit them. The
// zero value refuses.
type Verdict struct {
	Allowed bool
	Gate    Gate
	Why     string
	Beyond  string
}

// packet is the first of a flow, or of the replies.
type packet struct {
	from, to netip.Addr
	protocol Protocol
	port     uint16
}

// String says what the packet is, without its addresses.
func (p packet) String() string {
	switch {
	case p.protocol.hasPorts():
		return fmt.Sprintf("%s port %d", p.protocol, p.port)
	case p.protocol == ICMP:
		return fmt.Sprintf("icmp type %d code %d", p.port>>8, p.port&0xff)
	}
	return fmt.Sprintf("protocol %d", p.protocol)
}

// walk collects what the gates say about a packet, in words only if it explains.
type walk struct {
	explain bool
	where   string
	back    bool
	steps   []TraceStep
	gate    Gate
}

// TraceStep is what one gate says about a packet. Where is a VPC or a transit gateway; Back marks the replies.
type TraceStep struct {
	Where   string
	Back    bool
	Gate    Gate
	Allowed bool
	Why     string
}

// judge notes a gate's verdict and returns it.
func (w *walk) judge(allowed bool, g Gate, format string, a ...any) bool {
	w.gate = g
	if w.explain {
		w.steps = append(w.steps, TraceStep{w.where, w.back, g, allowed, fmt.Sprintf(format, a...)})
	}
	return allowed
}

// refuse notes a refusal and returns false.
func (w *walk) refuse(g Gate, format string, a ...any) bool { return w.judge(false, g, format, a...) }

func (w *walk) pass(g Gate, format string, a ...any) bool { return w.judge(true, g, format, a...) }

// verdict is the last word.
func (w *walk) verdict(allowed bool, beyond string) Verdict {
	v := Verdict{Allowed: allowed, Gate: w.gate}
	if n := len(w.steps); n > 0 {
		v.Why = w.steps[n-1].Why
	}
	if allowed {
		v.Beyond = beyond
	}
	return v
}
