package netmodel

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// packet is the first packet of a flow, as the kernel would see it in the VPC's namespace.
type packet struct {
	device   string
	src, dst netip.Addr
	proto    Protocol
	port     uint16
}

// machine interprets a ruleset as the kernel does, where routes are right and rates and quotas are never reached.
type machine struct {
	sets   map[string][]netip.Prefix
	chains map[string]*Chain
	hooks  map[Hook]*Chain
}

func newMachine(r Ruleset) machine {
	m := machine{map[string][]netip.Prefix{}, map[string]*Chain{}, map[Hook]*Chain{}}
	for _, s := range r.Sets {
		m.sets[s.Name] = s.Prefixes
	}
	for i := range r.Chains {
		m.chains[r.Chains[i].Name] = &r.Chains[i]
		if h := r.Chains[i].Hook; h != "" {
			m.hooks[h] = &r.Chains[i]
		}
	}
	return m
}

// accepts runs the packet through prerouting and then input or forward, by where its destination is.
func (m machine) accepts(p packet, local bool) bool {
	inner := m.hooks[Forward]
	if local {
		inner = m.hooks[Input]
	}
	return m.run(m.hooks[Prerouting], p) == AcceptIt && m.run(inner, p) == AcceptIt
}

// run returns a final verdict, or Continue where a regular chain came to its end.
func (m machine) run(c *Chain, p packet) Do {
	for i := range c.Steps {
		s := &c.Steps[i]
		if !m.matches(s, p) {
			continue
		}
		switch s.Do {
		case AcceptIt, Drop, Reset, Refuse:
			return s.Do
		case Jump, Goto:
			if d := m.run(m.chains[s.To], p); d != Continue || s.Do == Goto {
				return m.end(c, d)
			}
		}
		for _, b := range s.Branches {
			if s.Dispatch == ByDevice && b.Key == p.device || s.Dispatch == ByDestination && b.Key == p.dst.String() {
				return m.end(c, m.run(m.chains[b.Chain], p))
			}
		}
	}
	return m.end(c, Continue)
}

func (m machine) end(c *Chain, d Do) Do {
	if d == Continue && c.Hook != "" {
		return Drop
	}
	return d
}

func (m machine) matches(s *Step, p packet) bool {
	in := func(one netip.Prefix, set string, a netip.Addr) bool {
		if set == "" {
			return !one.IsValid() || one.Contains(a)
		}
		for _, q := range m.sets[set] {
			if q.Contains(a) {
				return true
			}
		}
		return false
	}
	return s.State == "" && !s.Flood && !s.Crowd && s.NotOut == "" && in(s.Src, s.SrcSet, p.src) && in(s.Dst, s.DstSet, p.dst) &&
		(s.Ports == nil || s.Ports.matchesPort(p.proto, p.port))
}

func TestCompiledRulesAgreeWithPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := randomVPC(t)
		if err := v.Validate(); err != nil {
			t.Fatal(err)
		}
		m := newMachine(Compile(v))
		places := []netip.Addr{addr("203.0.113.5"), addr("10.9.0.77"), addr("127.0.0.1"), Gateway, addr("255.255.255.255")}
		for _, p := range Compile(v).places() {
			places = append(places, p.Addr())
		}
		for i := range v.Interfaces {
			sender := &v.Interfaces[i]
			for _, dst := range places {
				for _, pr := range []struct {
					p    Protocol
					port uint16
				}{{TCP, 443}, {TCP, 80}, {TCP, 53}, {UDP, 53}, {UDP, 443}, {ICMP, 8 << 8}, {ICMP, 5 << 8}, {47, 0}, {TCP, 9999}} {
					if dst == sender.Address {
						continue
					}
					p := packet{Device(sender.ID), sender.Address, dst, pr.p, pr.port}
					want := v.Pass(p.src, p.dst, p.proto, p.port)
					if got := m.accepts(p, v.InterfaceAt(dst) == nil); got != want.Allowed {
						t.Fatalf("%+v: rules accept %v, Pass says %+v", p, got, want)
					}
				}
			}
			forged := packet{Device(sender.ID), addr("10.9.0.99"), Resolver, UDP, DNSPort}
			if m.accepts(forged, true) {
				t.Fatalf("a forged source passes from %s", sender.ID)
			}
		}
		if m.accepts(packet{"eth9", addr("10.9.0.5"), Resolver, UDP, DNSPort}, true) {
			t.Fatal("an unknown device is let in")
		}
	})
}

func (r Ruleset) places() []netip.Prefix {
	for _, s := range r.Sets {
		if s.Name == setPlaces {
			return s.Prefixes
		}
	}
	return nil
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

func TestScript(t *testing.T) {
	got := Compile(hospital()).Script()
	for _, want := range []string{
		"add table inet bawn\ndelete table inet bawn\ntable inet bawn {\n",
		"type filter hook forward priority filter; policy drop;",
		"chain src_eni_train {\nip saddr 10.50.0.10/32 ip daddr @places counter accept\n",
		"limit rate 50/second burst 200 packets log prefix \"source eni-train\" group 17 snaplen 64 \ncounter drop\n",
		"chain out_sg_train {\nip daddr @members_sg_db meta l4proto 6 th dport 5432 goto arrive\n",
		"chain in_sg_db {\nip saddr @members_sg_train meta l4proto 6 th dport 5432 counter accept\n",
		"set routed_vpce_s3 {\ntype ipv4_addr\nflags interval\nelements = { 10.50.0.0/24 }\n}\n",
		"meta l4proto 6 counter reject with tcp reset\n",
		"chain to_eni_db {\noifname != \"" + Device("eni-db") + "\" counter drop\njump in_sg_db\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the script lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
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

func BenchmarkCompile(b *testing.B) {
	v := hospital()
	b.ReportAllocs()
	for b.Loop() {
		_ = Compile(v).Script()
	}
}
