package netmodel

import (
	"errors"
	"fmt"
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
	ends := map[string]int{} // how ways ended
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
							ends[w.agrees(t, c, v, Flow{from, to, pr.p, replyPort, pr.port})]++
						}
					}
				}
			}
		}
	})
	// What never happens shows nothing.
	for _, end := range []string{
		"ingress, 1 networks", "ingress, 3 networks", "no source, 2 networks", "no route, 1 networks", "no acl, 1 networks", "no egress, 1 networks",
		"no ingress, 1 networks", "no transit, 2 networks", "no route, 3 networks", "no acl, 3 networks", "no ingress, 3 networks",
		"no answer: acl, 1 networks", "no answer: route, 3 networks", "no answer: acl, 3 networks", "no answer: transit, 3 networks", "answer: acl, 1 networks", "answer: transit, 3 networks",
	} {
		if ends[end] == 0 {
			t.Errorf("never %s; but %v", end, ends)
		}
	}
}

// agrees compares what is said and done about a flow, and tells how it ended.
func (w *world) agrees(t *rapid.T, c *Cloud, v *VPC, f Flow) string {
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
	seen := map[string]bool{}
	for _, s := range want.Steps {
		seen[s.Where] = true
	}
	end := string(last.Gate)
	if last.Back {
		end = "answer: " + end
	}
	if !want.Allowed {
		end = "no " + end
	}
	return fmt.Sprintf("%s, %d networks", end, len(seen))
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

// Should the kernel's routes be wrong, or a wire be plugged in, the rules do not let a new flow out by another device than
// the model's.
func TestMisroutedPacketsFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := randomCloud(t)
		w := newWorld(c)
		wrong := func(n *network, in string, p packet, devices []string) {
			f := frame{in: in, packet: p}
			if !n.accepts(Prerouting, &f) {
				return
			}
			right, _ := n.route(&f)
			for _, out := range append(devices, "", "lo", "eth9") {
				if f.out = out; out != right && n.accepts(Forward, &f) {
					t.Fatalf("from %v to %v by %q, marked %d, leaves by %q, not by %q: %+v", f.from, f.to, in, f.mark, out, right, n.routing)
				}
			}
		}
		for _, v := range c.VPCs {
			devices := []string{TransitDevice("tgw-attach-other")}
			for _, a := range v.Attachments {
				devices = append(devices, TransitDevice(a.ID))
			}
			for _, i := range v.Interfaces {
				devices = append(devices, Device(i.ID))
			}
			for _, to := range c.everyPlace() {
				for _, i := range v.Interfaces {
					wrong(w.vpcs[v.ID], Device(i.ID), packet{i.Address, to, TCP, 443}, devices)
				}
				for _, a := range v.Attachments {
					wrong(w.vpcs[v.ID], TransitDevice(a.ID), packet{addr("10.8.0.5"), to, TCP, 443}, devices)
					wrong(w.gateways[a.Gateway], TransitDevice(a.ID), packet{v.Interfaces[0].Address, to, TCP, 443}, devices)
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
