package netmodel

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// probes are what the property tests send to each place.
var probes = []struct {
	p    Protocol
	port uint16
}{{TCP, 443}, {TCP, 80}, {TCP, 53}, {TCP, 3128}, {TCP, 9999}, {UDP, 53}, {UDP, 443}, {ICMP, 8 << 8}, {ICMP, 5 << 8}, {47, 0}}

// replyPort is where all questions of the property tests come from.
const replyPort = 443

// everyPlace lists addresses of all kinds, of this VPC and others.
func (c *Cloud) everyPlace() []netip.Addr {
	out := []netip.Addr{Gateway, Resolver, Metadata, Credentials}
	for _, s := range []string{"203.0.113.5", "10.9.0.77", "10.7.0.77", "10.0.0.2", "127.0.0.1", "169.254.171.8", "169.254.9.9", "0.0.0.0", "224.0.0.1", "255.255.255.255"} {
		out = append(out, addr(s))
	}
	for _, v := range c.VPCs {
		out = append(out, v.ResolverAddress())
		for a := range v.Judge().spots {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// What the rules and routes of all namespaces do to a flow's first packet and to its answer is what Trace says, gate by
// gate.
func TestCompiledRulesAgreeWithTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := randomCloud(t)
		if err := errors.Join(c.VPCs[0].Validate(), c.VPCs[1].Validate(), c.VPCs[len(c.VPCs)-1].Validate(), c.Gateways[0].Validate()); err != nil {
			t.Fatal(err)
		}
		w := newWorld(c)
		places := c.everyPlace()
		for _, v := range c.VPCs {
			sources := []netip.Addr{v.Dialers[0].Address}
			for _, i := range v.Interfaces {
				sources = append(sources, i.Address)
			}
			for _, from := range sources {
				for _, to := range places {
					for _, pr := range probes {
						if from != to {
							w.agrees(t, c, v, Flow{from, to, pr.p, replyPort, pr.port})
						}
					}
				}
			}
		}
	})
}

func (w *world) agrees(t *rapid.T, c *Cloud, v *VPC, f Flow) {
	clear(w.known)
	n := w.vpcs[v.ID]
	there := packet{f.From, f.To, f.Protocol, f.Port}
	reached, back := w.origin(n, there, ""), ""
	if reached != "" {
		if port, answers := f.answer(); answers {
			back = w.origin(w.vpcs[reached], packet{f.To, f.From, f.Protocol, port}, Known)
		} else {
			back = v.ID
		}
	}
	want := c.Trace(v.ID, f)
	if got := back == v.ID; got != want.Allowed {
		t.Fatalf("%s %+v: reached %q, answered %q, but\n%+v", v.ID, f, reached, back, want)
	}
	last := want.Steps[len(want.Steps)-1]
	if at := w.vpcs[last.Where]; !want.Allowed && at != nil && at.vpc.FlowLogs && n.vpc.InterfaceAt(f.From) != nil && (!last.Back || last.Gate == GateACL) && w.logged != last.Gate {
		t.Fatalf("%s %+v: logged %q, but\n%+v", v.ID, f, w.logged, want)
	}
	if first := v.Pass(f.From, f.To, f.Protocol, f.Port); first != v.Judge().Pass(f.From, f.To, f.Protocol, f.Port) {
		t.Fatalf("%s %+v: the index says otherwise than %+v", v.ID, f, first)
	}
	if keeps := v.Keeps(f); want.Allowed && !keeps {
		t.Fatalf("%s %+v: allowed, but not kept: %+v", v.ID, f, want)
	}
}

// Whatever is forged, no packet gets past the first chain of a VPC or of a transit gateway.
func TestForgedSourcesFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := randomCloud(t)
		w := newWorld(c)
		for _, v := range c.VPCs {
			for _, i := range v.Interfaces {
				for _, from := range c.everyPlace() {
					if from != i.Address && w.forward(w.vpcs[v.ID], frame{in: Device(i.ID), packet: packet{from, Resolver, UDP, DNSPort}}) != "" {
						t.Fatalf("%s sends as %s", i.ID, from)
					}
				}
			}
			for _, in := range []string{"eth9", "lo", ""} {
				if w.forward(w.vpcs[v.ID], frame{in: in, packet: packet{v.Interfaces[0].Address, Resolver, UDP, DNSPort}}) != "" {
					t.Fatalf("%q is let in", in)
				}
			}
			for _, a := range v.Attachments {
				for _, from := range c.everyPlace() {
					for _, to := range c.everyPlace() {
						p := packet{from, to, TCP, 443}
						reached := w.forward(w.vpcs[v.ID], frame{in: TransitDevice(a.ID), packet: p})
						if want := v.Enter(from, to, TCP, 443).Allowed; (reached == v.ID) != want || !want && reached != "" {
							t.Fatalf("%+v by %s: %q, but Enter says %v", p, a.ID, reached, want)
						}
						if reached := w.forward(w.gateways[a.Gateway], frame{in: TransitDevice(a.ID), packet: p}); reached != "" && !v.local(from) {
							t.Fatalf("%+v passes the gateway", p)
						}
					}
				}
			}
		}
	})
}

// No chain that decides for the sender may accept: only what stands on the receiver's side may.
func TestSendersGateCannotAccept(t *testing.T) {
	for _, c := range Compile(hospital()).Chains {
		sender := strings.HasPrefix(c.Name, "out_") || strings.HasPrefix(c.Name, "from_") || c.Name == chainArrive
		for _, s := range c.Steps {
			if sender && s.Do == AcceptIt {
				t.Errorf("%s accepts", c.Name)
			}
		}
	}
}

func TestEveryHookDropsByDefault(t *testing.T) {
	got := Compile(hospital()).Script()
	if strings.Count(got, "policy drop;") != 4 || strings.Count(got, "hook ") != 4 || strings.Contains(got, "policy accept") {
		t.Errorf("not every hook drops by default:\n%s", got)
	}
}

func TestNoFlowLogMeansNoCopies(t *testing.T) {
	v := hospital()
	v.FlowLogs = false
	if strings.Contains(Compile(v).Script(), "log") {
		t.Error("packets are copied although nobody asked for flow logs")
	}
}
