package server

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bawn.dev/internal/ec2"
	"bawn.dev/internal/netmodel"
)

// ReachRequest asks whether a packet would pass.
type ReachRequest struct {
	Operator   string   `json:"operator"`
	From       string   `json:"from"` // eni-…, a workload, VPC-ID:ADDRESS, or a subnet
	To         string   `json:"to"`   // eni-…, vpce-…, nat-…, an address, a service, or a name
	Port       string   `json:"port"` // "443", "tcp/443", "udp/53", "icmp", "icmp/8/0", "proto/47"
	SourcePort uint16   `json:"sourcePort,omitzero"`
	Groups     []string `json:"groups,omitempty"` // of an interface that is made up
}

// Reached is the answer, with every gate on the way.
type Reached struct {
	Allowed bool        `json:"allowed"`
	Verdict string      `json:"verdict"`
	From    ReachEnd    `json:"from"`
	To      ReachEnd    `json:"to"`
	What    string      `json:"what"` // "tcp port 443"
	Steps   []ReachStep `json:"steps,omitempty"`
	Notes   []string    `json:"notes,omitempty"`
	Advice  []string    `json:"advice,omitempty"` // what would let it pass; each line by itself is one change
}

// ReachEnd is who sends, or who is reached.
type ReachEnd struct {
	ID      string   `json:"id,omitempty"`
	VPC     string   `json:"vpc,omitempty"`
	Subnet  string   `json:"subnet,omitempty"`
	Address string   `json:"address,omitempty"`
	Name    string   `json:"name,omitempty"` // by which it was asked for
	Groups  []string `json:"groups,omitempty"`
	Owner   string   `json:"owner,omitempty"`
	Person  string   `json:"person,omitempty"`
	MadeUp  bool     `json:"madeUp,omitzero"` // there is no such interface; it is as if there were
}

// ReachStep is what one gate says.
type ReachStep struct {
	Where   string   `json:"where"`
	Back    bool     `json:"back,omitzero"` // about the replies
	Gate    string   `json:"gate"`
	Allowed bool     `json:"allowed"`
	Why     string   `json:"why"`
	Rules   []string `json:"rules,omitempty"` // of security groups, that match
}

// Gates besides those of netmodel.
const (
	gateName  = "name"  // what the VPC's name server answers
	gateRelay = "relay" // where the server itself connects on
)

// Reach says whether a packet would pass now, and why.
func (s *Server) Reach(ctx context.Context, in ReachRequest) (*Reached, error) {
	if err := s.administered(ctx, "Reach", in.Operator, in); err != nil {
		return nil, err
	}
	flow, err := parseWhat(in.Port)
	if err != nil {
		return nil, err
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	all, err := s.surveyed(sn)
	if err != nil {
		return nil, err
	}
	r := &reach{atlas: all, server: s, sn: sn, flow: flow, sourcePort: in.SourcePort, out: &Reached{What: whatText(flow)}}
	if err := r.begin(in); err != nil {
		return nil, err
	}
	if r.out.From.Person, err = s.behind(sn, r.workload); err != nil {
		return nil, err
	}
	if err := r.end(strings.ToLower(in.To)); err != nil {
		return nil, err
	}
	r.verdict()
	return r.out, nil
}

func doubt(format string, args ...any) error { return fmt.Errorf("reach: "+format, args...) }

func whatText(f netmodel.Flow) string {
	switch f.Protocol {
	case netmodel.TCP, netmodel.UDP:
		return fmt.Sprintf("%s port %d", f.Protocol, f.Port)
	case netmodel.ICMP:
		return fmt.Sprintf("icmp type %d code %d", f.Port>>8, f.Port&0xff)
	}
	return "protocol " + f.Protocol.String()
}

// follow traces the flow to an address, which is to be in a VPC if one is named, and
// through what the server does there.
func (r *reach) follow(vpcID string, to netip.Addr) bool {
	r.flow.To = to
	if !r.trace(r.from.Model.ID, r.flow) {
		return false
	}
	arrived := r.arrived()
	if arrived == nil {
		return true
	}
	if at := arrived.Model.ID; vpcID != "" && at != vpcID {
		return r.step(at, string(netmodel.GateRoute), false, "%s has %s too, and that is where the packet ends", at, to)
	}
	e := arrived.Model.EndpointAt(to)
	if e == nil {
		return true
	}
	if arrived.Policies[e.ID] {
		r.note("%s has a policy: what a call may do by it is asked with bawn explain --vpc-endpoint %s", e.ID, e.ID)
	}
	return r.relay(arrived, e)
}

// relay goes on where an endpoint service's endpoint leads.
func (r *reach) relay(v *ec2.Survey, e *netmodel.Endpoint) bool {
	for _, l := range v.Leads[e.ID] {
		if l.Port != r.flow.Port {
			continue
		}
		if l.Site != "" {
			r.step(v.Model.ID, gateRelay, true, "the server connects to the site %s", l.Site)
			return true
		}
		provider := r.vpcs[l.VPC]
		if provider == nil {
			return r.step(l.VPC, gateRelay, false, "there is no VPC %s", l.VPC)
		}
		for _, d := range provider.Model.Dialers {
			if provider.Services[d.ID] != v.Services[e.ID] {
				continue
			}
			for _, i := range provider.Model.Interfaces {
				if i.ID == l.Interface {
					r.step(v.Model.ID, gateRelay, true, "the server connects from %s to %s", d.Address, i.ID)
					return r.trace(l.VPC, netmodel.Flow{From: d.Address, To: i.Address, Protocol: netmodel.TCP, Port: l.Port})
				}
			}
		}
		return r.step(l.VPC, gateRelay, false, "%s is not there, or nothing connects to it", l.Interface)
	}
	return true
}

// lowestClient is the least port from which a client may connect. Linux uses those
// between [ephemeral].
const lowestClient = 1024

// trace asks the model, once for each run of source ports about which the network
// ACLs say the same. Of these it shows one that is refused, if Linux would use it.
func (r *reach) trace(vpcID string, f netmodel.Flow) bool {
	var good portSet
	var shown *netmodel.Trace
	var at netmodel.Flow
	bad, counts := 0, false // whether Linux would use the port of the one that is shown
	for _, s := range r.clients(f) {
		f.FromPort = s.begin
		t := r.cloud.Trace(vpcID, f)
		usual := r.sourcePort != 0 || s.end >= ephemeral[0] && s.begin <= ephemeral[1]
		if t.Allowed {
			good.add(s)
		} else {
			bad++
		}
		if shown == nil || usual && (shown.Allowed || !counts) {
			shown, at, counts = &t, f, usual
		}
	}
	r.steps(at, shown)
	if len(good) > 0 && bad > 0 {
		r.note("Only connections from these source ports pass: %s. Linux connects from %d to %d.", strings.Join(good.texts(nil), ", "), ephemeral[0], ephemeral[1])
	}
	return shown.Allowed
}

// clients are runs of source ports.
func (r *reach) clients(f netmodel.Flow) []stretch {
	if r.sourcePort != 0 || f.Protocol != netmodel.TCP && f.Protocol != netmodel.UDP {
		return []stretch{{f.Protocol, r.sourcePort, r.sourcePort}}
	}
	begins := []int{lowestClient, int(ephemeral[0]), int(ephemeral[1]) + 1}
	for _, v := range r.cloud.VPCs {
		for _, a := range v.NetworkACLs {
			for _, e := range slices.Concat(a.Ingress, a.Egress) {
				if e.Protocol == f.Protocol {
					begins = append(begins, e.FromPort, e.ToPort+1)
				}
			}
		}
	}
	slices.Sort(begins)
	begins = slices.DeleteFunc(slices.Compact(begins), func(b int) bool { return b < lowestClient || b > 65535 })
	var out []stretch
	for i, b := range begins {
		end := 65535
		if i+1 < len(begins) {
			end = begins[i+1] - 1
		}
		out = append(out, stretch{f.Protocol, uint16(b), uint16(end)})
	}
	return out
}

// steps adds what a trace says, with the rules that match.
func (r *reach) steps(f netmodel.Flow, t *netmodel.Trace) {
	for _, s := range t.Steps {
		step := ReachStep{Where: s.Where, Back: s.Back, Gate: string(s.Gate), Allowed: s.Allowed, Why: s.Why}
		if v := r.vpcs[s.Where]; v != nil && s.Allowed && !s.Back {
			for _, rule := range matching(v, s.Gate, f) {
				step.Rules = append(step.Rules, ruleText(v, rule))
			}
		}
		r.out.Steps = append(r.out.Steps, step)
	}
	if n := len(t.Steps); n > 0 && !t.Allowed {
		r.failed, r.failure = f, t.Steps[n-1]
	}
}

// step adds what is no part of a trace.
func (r *reach) step(where, gate string, allowed bool, format string, args ...any) bool {
	why := fmt.Sprintf(format, args...)
	r.out.Steps = append(r.out.Steps, ReachStep{Where: where, Gate: gate, Allowed: allowed, Why: why})
	if !allowed {
		r.failure = netmodel.TraceStep{Where: where, Gate: netmodel.Gate(gate), Why: why}
	}
	return allowed
}

func (r *reach) note(format string, args ...any) {
	r.out.Notes = append(r.out.Notes, fmt.Sprintf(format, args...))
}

// arrived is the VPC in which the flow came to its end.
func (r *reach) arrived() *ec2.Survey {
	var at *ec2.Survey
	for _, s := range r.out.Steps {
		if v := r.vpcs[s.Where]; v != nil && !s.Back {
			at = v
		}
	}
	return at
}

// matching are the rules that let a flow through a gate: those of which each alone
// would.
func matching(v *ec2.Survey, g netmodel.Gate, f netmodel.Flow) []ec2.SurveyedRule {
	if g != netmodel.GateEgress && g != netmodel.GateIngress {
		return nil
	}
	egress := g == netmodel.GateEgress
	var groups []string
	whose := f.To
	if egress {
		whose = f.From
	}
	if i := v.Model.InterfaceAt(whose); i != nil {
		groups = i.Groups
	} else if e := v.Model.EndpointAt(whose); e != nil {
		groups = e.Groups
	}
	alone := *v.Model
	alone.SecurityGroups = slices.Clone(v.Model.SecurityGroups)
	var out []ec2.SurveyedRule
	for _, rule := range v.Rules {
		if rule.Egress != egress || !slices.Contains(groups, rule.Group) {
			continue
		}
		for i, group := range v.Model.SecurityGroups {
			rules := &alone.SecurityGroups[i].Ingress
			if egress {
				rules = &alone.SecurityGroups[i].Egress
			}
			*rules = nil
			if group.ID == rule.Group {
				*rules = []netmodel.Rule{rule.Rule}
			}
		}
		verdict := alone.Pass(f.From, f.To, f.Protocol, f.Port)
		if verdict.Gate == netmodel.GateSource { // it came by an attachment
			verdict = alone.Enter(f.From, f.To, f.Protocol, f.Port)
		}
		if verdict.Allowed || egress && verdict.Gate == netmodel.GateIngress {
			out = append(out, rule)
		}
	}
	return out
}

// verdict says in one line what came out.
func (r *reach) verdict() {
	if r.failure.Why != "" {
		r.out.Verdict = fmt.Sprintf("refused by the %s of %s: %s", gateText(r.failure), r.failure.Where, r.failure.Why)
		r.advise()
		return
	}
	last := r.out.Steps[len(r.out.Steps)-1]
	r.out.Allowed, r.out.Verdict = true, "it passes: "+last.Why
	if last.Back || last.Gate == string(netmodel.GateIngress) {
		r.out.Verdict = "it passes, and so do the replies"
	}
}

func gateText(s netmodel.TraceStep) string {
	text := string(s.Gate) + " gate"
	if s.Back {
		text += " for the replies"
	}
	return text
}
