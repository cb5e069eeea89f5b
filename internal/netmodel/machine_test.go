package netmodel

import (
	"net/netip"
	"slices"
)

// frame is a packet as one namespace's kernel sees it.
type frame struct {
	in, out string
	packet
	state State // "" is the first of a flow
	mark  uint32
}

// machine interprets a ruleset as the kernel does, where rates and quotas are never reached.
type machine struct {
	sets   map[string]*Set
	chains map[string]*Chain
	hooks  map[Hook]*Chain
	logged Gate // by the last packet
}

func newMachine(r Ruleset) *machine {
	m := &machine{map[string]*Set{}, map[string]*Chain{}, map[Hook]*Chain{}, ""}
	for i := range r.Sets {
		m.sets[r.Sets[i].Name] = &r.Sets[i]
	}
	for i := range r.Chains {
		m.chains[r.Chains[i].Name] = &r.Chains[i]
		if h := r.Chains[i].Hook; h != "" {
			m.hooks[h] = &r.Chains[i]
		}
	}
	return m
}

// accepts runs a packet through a hook. It may set the mark.
func (m *machine) accepts(h Hook, f *frame) bool {
	return m.run(m.hooks[h], f) == AcceptIt
}

// run returns a final verdict, or Continue where a regular chain came to its end.
func (m *machine) run(c *Chain, f *frame) Do {
	if c == nil {
		panic("no such chain")
	}
	for i := range c.Steps {
		s := &c.Steps[i]
		if !m.matches(s, f) {
			continue
		}
		if s.Log != (Log{}) {
			m.logged = s.Log.Gate
		}
		d, to := s.Do, s.To
		if s.Dispatch != "" {
			e := m.lookup(s.Dispatch, s.Map, f)
			if e == nil {
				continue
			}
			d, to = e.Do, e.To
		}
		if s.Mark != "" {
			e := m.lookup(ByDestination, s.Mark, f)
			if e == nil {
				continue
			}
			f.mark = e.Mark
		}
		switch d {
		case AcceptIt, Drop, Reset, Refuse:
			return d
		case Return:
			return m.end(c)
		case Jump:
			if d := m.run(m.chains[to], f); d != Continue {
				return d
			}
		case Goto:
			if d := m.run(m.chains[to], f); d != Continue {
				return d
			}
			return m.end(c)
		}
	}
	return m.end(c)
}

func (m *machine) end(c *Chain) Do {
	if c.Hook != "" {
		return Drop
	}
	return Continue
}

// lookup finds a packet's field in a set, nil if it is not there.
func (m *machine) lookup(by Field, set string, f *frame) *Element {
	s := m.sets[set]
	if s == nil {
		panic("no set " + set)
	}
	address := func(a netip.Addr, e *Element) bool { return e.Range.From.Compare(a) <= 0 && a.Compare(e.Range.To) <= 0 }
	for i := range s.Elements {
		e := &s.Elements[i]
		var found bool
		switch by {
		case BySource:
			found = s.Key == KeyAddress && address(f.from, e)
		case ByDestination:
			found = s.Key == KeyAddress && address(f.to, e)
		case ByDevice:
			found = s.Key == KeyDevice && e.Device == f.in
		case ByOrigin:
			found = s.Key == KeyDeviceAddress && e.Device == f.in && address(f.from, e)
		case ByOutlet:
			found = s.Key == KeyAddressDevice && e.Device == f.out && address(f.to, e)
		case ByExit:
			found = s.Key == KeyMarkDevice && e.Device == f.out && e.Mark == f.mark
		}
		if found {
			return e
		}
	}
	return nil
}

func (m *machine) matches(s *Step, f *frame) bool {
	if s.OtherFamily || s.Fragment || s.Large || s.Flood || s.Rush || s.Crowd || s.Busy {
		return false
	}
	if s.State != "" && !(f.state == s.State || s.State == Related && f.state == Known) {
		return false
	}
	in := func(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }
	return in(s.Src, f.from) && in(s.Dst, f.to) && (s.Out == "" || s.Out == f.out) &&
		(s.Field == "" || m.lookup(s.Field, s.Set, f) != nil) && s.Ports.match(f.protocol, f.port)
}

// world runs packets through the rules and the routing of a whole cloud, in which every interface is attached.
type world struct {
	vpcs     map[string]*network
	gateways map[string]*network
	known    map[string]bool // VPCs that track the flow
	logged   Gate            // of the last refusal
}

type network struct {
	*machine
	routing Routing
	vpc     *VPC
	gateway *TransitGateway
}

func newWorld(c *Cloud) *world {
	w := &world{map[string]*network{}, map[string]*network{}, map[string]bool{}, ""}
	for _, v := range c.VPCs {
		w.vpcs[v.ID] = &network{newMachine(Compile(v)), v.Routing(), v, nil}
	}
	for _, g := range c.Gateways {
		w.gateways[g.ID] = &network{newMachine(CompileTransit(g)), g.Routing(), nil, g}
	}
	return w
}

// route does what the kernel does with the rules and tables that [Routing] speaks of.
func (n *network) route(f *frame) (device string, local bool) {
	if n.vpc != nil {
		if n.vpc.service(f.to) || n.vpc.EndpointAt(f.to) != nil || (&Judge{v: n.vpc}).at(f.to).dialer != nil {
			return "", true
		}
		if i := n.vpc.InterfaceAt(f.to); i != nil {
			return Device(i.ID), false
		}
	}
	for _, t := range n.routing.Tables {
		if !holds(t.From, f.from) && !slices.Contains(t.Device, f.in) {
			continue
		}
		var best *KernelRoute
		for i := range t.Routes {
			if r := &t.Routes[i]; r.CIDR.Contains(f.to) && (best == nil || r.CIDR.Bits() > best.CIDR.Bits()) {
				best = r
			}
		}
		return best.Device, false
	}
	return "", false
}

// forward runs a packet that came by a device until it is delivered, and returns the VPC where it was, "" if it was lost.
func (w *world) forward(n *network, f frame) string {
	f.mark = 0
	if !w.ask(n, Prerouting, &f) {
		return ""
	}
	out, local := n.route(&f)
	if local {
		if !w.ask(n, Input, &f) {
			return ""
		}
		return w.delivered(n, f)
	}
	f.out = out
	if out == "" || !w.ask(n, Forward, &f) {
		return ""
	}
	return w.sent(n, f)
}

// emit runs a packet that a socket in the VPC's namespace sends.
func (w *world) emit(n *network, f frame) string {
	f.mark = 0
	out, local := n.route(&f)
	if f.out = out; local {
		f.out = "lo"
	}
	if f.out == "" || !w.ask(n, Output, &f) {
		return ""
	}
	return w.sent(n, f)
}

func (w *world) ask(n *network, h Hook, f *frame) bool {
	n.logged = ""
	passes := n.accepts(h, f)
	w.logged = n.logged
	return passes
}

func (w *world) delivered(n *network, f frame) string {
	if f.state == "" {
		w.known[n.vpc.ID] = true
	}
	return n.vpc.ID
}

// sent hands a packet to whoever is at the other end of its device.
func (w *world) sent(n *network, f frame) string {
	if n.vpc != nil {
		if f.state == "" {
			w.known[n.vpc.ID] = true
		}
		for _, i := range n.vpc.Interfaces {
			if Device(i.ID) == f.out {
				return w.delivered(n, f)
			}
		}
		for _, a := range n.vpc.Attachments {
			if TransitDevice(a.ID) == f.out && w.gateways[a.Gateway] != nil {
				return w.forward(w.gateways[a.Gateway], frame{in: f.out, packet: f.packet, state: f.state})
			}
		}
		return ""
	}
	for _, a := range n.gateway.Attachments {
		next := w.vpcs[a.VPC]
		if TransitDevice(a.ID) != f.out || next == nil || next.vpc.attachment(a.ID) == nil {
			continue
		}
		g := frame{in: f.out, packet: f.packet, state: f.state}
		if f.state == Known && !w.known[a.VPC] {
			g.state = Invalid
		}
		return w.forward(next, g)
	}
	return ""
}

// origin sends a packet from whoever has its source address in a VPC.
func (w *world) origin(n *network, p packet, s State) string {
	if i := n.vpc.InterfaceAt(p.from); i != nil {
		return w.forward(n, frame{in: Device(i.ID), packet: p, state: s})
	}
	return w.emit(n, frame{packet: p, state: s})
}
