package server

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// A reach is a question on its way to an answer.
type reach struct {
	*atlas
	server     *Server
	sn         *store.Snapshot
	flow       netmodel.Flow
	sourcePort uint16

	from     *ec2.Survey
	sender   *netmodel.Interface // nil: an address that nobody has, or the server's
	workload string

	failed  netmodel.Flow
	failure netmodel.TraceStep
	out     *Reached
}

// parseWhat reads "443", "tcp/443", "udp/53", "icmp", "icmp/8/0" or "proto/47".
func parseWhat(text string) (netmodel.Flow, error) {
	wrong := doubt("%q is no port: write 443, tcp/443, udp/53, icmp, icmp/8/0 or proto/47", text)
	word, rest, more := strings.Cut(strings.ToLower(text), "/")
	number := func(s string, bits int) uint16 {
		n, err := strconv.ParseUint(s, 10, bits)
		if err != nil {
			word = ""
		}
		return uint16(n)
	}
	switch {
	case word == "icmp" && !more:
		return netmodel.Flow{Protocol: netmodel.ICMP, Port: 8 << 8}, nil
	case word == "icmp":
		kind, code, coded := strings.Cut(rest, "/")
		if !coded {
			code = "0"
		}
		port := number(kind, 8)<<8 | number(code, 8)
		if word == "" {
			return netmodel.Flow{}, wrong
		}
		return netmodel.Flow{Protocol: netmodel.ICMP, Port: port}, nil
	case word == "proto":
		p, err := netmodel.ParseProtocol(rest)
		if err != nil || p == netmodel.AllProtocols || p == netmodel.TCP || p == netmodel.UDP || p == netmodel.ICMP {
			return netmodel.Flow{}, wrong
		}
		return netmodel.Flow{Protocol: p}, nil
	case !more:
		word, rest = "tcp", word
	}
	protocol := map[string]netmodel.Protocol{"tcp": netmodel.TCP, "udp": netmodel.UDP}[word]
	port := number(rest, 16)
	if protocol == 0 || word == "" {
		return netmodel.Flow{}, wrong
	}
	return netmodel.Flow{Protocol: protocol, Port: port}, nil
}

// begin finds who sends.
func (r *reach) begin(in ReachRequest) error {
	from := in.From
	vpcID, address, placed := strings.Cut(from, ":")
	switch {
	case strings.HasPrefix(from, "arn:"):
		return r.beginWorkload(from)
	case strings.HasPrefix(from, "eni-"):
		return r.beginInterface(from)
	case strings.HasPrefix(from, "subnet-"):
		for _, v := range r.vpcs {
			for _, s := range v.Model.Subnets {
				if s.ID == from {
					return r.makeUp(v, &s, netip.Addr{}, in.Groups)
				}
			}
		}
		return doubt("there is no subnet %q", from)
	case strings.HasPrefix(from, "vpc-") && placed:
		return r.beginAddress(vpcID, address, in.Groups)
	case strings.HasPrefix(from, "vpc-"):
		return doubt("a VPC sends nothing: write %s:ADDRESS, or the id of a subnet", from)
	}
	return r.beginWorkload(from)
}

func (r *reach) beginInterface(id string) error {
	for _, vpcID := range r.order {
		v := r.vpcs[vpcID]
		for i := range v.Model.Interfaces {
			if v.Model.Interfaces[i].ID == id {
				r.sends(v, &v.Model.Interfaces[i])
				return nil
			}
		}
		for _, d := range v.Model.Dialers {
			if d.ID == id {
				r.from, r.flow.From = v, d.Address
				r.out.From = ReachEnd{ID: id, VPC: vpcID, Subnet: d.Subnet, Address: d.Address.String()}
				return nil
			}
		}
	}
	return doubt("no workload has an interface %q; what is an endpoint's or a gateway's answers, and never begins", id)
}

func (r *reach) beginAddress(vpcID, address string, groups []string) error {
	v := r.vpcs[vpcID]
	if v == nil {
		return doubt("there is no VPC %q", vpcID)
	}
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is4() {
		return doubt("%q is no IPv4 address", address)
	}
	if i := v.Model.InterfaceAt(a); i != nil {
		r.sends(v, i)
		return nil
	}
	for _, s := range v.Model.Subnets {
		if len(groups) > 0 && s.CIDR.Contains(a) {
			return r.makeUp(v, &s, a, groups)
		}
	}
	r.from, r.flow.From = v, a
	r.out.From = ReachEnd{VPC: vpcID, Address: a.String()}
	return nil
}

// beginWorkload finds a workload by its id, its ARN or its name.
func (r *reach) beginWorkload(name string) error {
	var found []*netmodel.Interface
	var in *ec2.Survey
	for _, vpcID := range r.order {
		v := r.vpcs[vpcID]
		for i := range v.Model.Interfaces {
			if o := &v.Model.Interfaces[i]; o.Workload == name || o.Owner == name || ownedBy(o.Owner, name) {
				found, in = append(found, o), v
			}
		}
	}
	switch len(found) {
	case 0:
		return doubt("no workload %q has a network interface; a job has one while it runs, if it has a VpcConfig", name)
	case 1:
		r.sends(in, found[0])
		return nil
	}
	owners := make([]string, len(found))
	for i, o := range found {
		owners[i] = o.ID + " (" + o.Owner + ")"
	}
	return doubt("%q is the name of more than one: %s", name, strings.Join(owners, ", "))
}

// ownedBy compares a name with an ARN's: "training-job/night", or "night".
func ownedBy(owner, name string) bool {
	a, err := arn.Parse(owner)
	if err != nil {
		return false
	}
	_, last, _ := strings.Cut(a.Resource, "/")
	return strings.EqualFold(a.Resource, name) || strings.EqualFold(last, name)
}

func (r *reach) sends(v *ec2.Survey, i *netmodel.Interface) {
	r.from, r.sender, r.flow.From, r.workload = v, i, i.Address, i.Workload
	r.out.From = ReachEnd{ID: i.ID, VPC: v.Model.ID, Subnet: i.Subnet, Address: i.Address.String(), Groups: i.Groups, Owner: i.Owner}
}

// behind is the name of the person on whose behalf a workload runs; empty if there is
// none.
func (s *Server) behind(sn *store.Snapshot, workload string) (string, error) {
	claim, _, err := s.sagemaker.Behind(sn, workload)
	if errors.Is(err, api.ErrGone) || err == nil && claim.Person == nil {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return s.identity.UserName(sn, claim.Person.UserID)
}

// made is the id of an interface that is only supposed.
const made = "eni-supposed"

// makeUp supposes an interface in a subnet: at an address, or at any that is free.
func (r *reach) makeUp(v *ec2.Survey, s *netmodel.Subnet, at netip.Addr, groups []string) error {
	if len(groups) == 0 {
		return doubt("name the groups of the interface that is to be supposed in %s: --group", s.ID)
	}
	for _, g := range groups {
		if !slices.ContainsFunc(v.Model.SecurityGroups, func(o netmodel.SecurityGroup) bool { return o.ID == g }) {
			return doubt("there is no security group %q in %s", g, v.Model.ID)
		}
	}
	if !at.IsValid() {
		var ok bool
		if at, ok = freeIn(v.Model, s); !ok {
			return doubt("%s has no free address", s.ID)
		}
	}
	supposed := *v.Model
	supposed.Interfaces = append(slices.Clone(v.Model.Interfaces), netmodel.Interface{ID: made, Subnet: s.ID, Address: at, Groups: groups})
	v.Model = &supposed // the survey is this question's own
	for i, m := range r.cloud.VPCs {
		if m.ID == supposed.ID {
			r.cloud.VPCs[i] = &supposed
		}
	}
	r.sends(v, &supposed.Interfaces[len(supposed.Interfaces)-1])
	r.out.From.MadeUp = true
	return nil
}

// freeIn is an address of a subnet that nothing has, but for those that every
// subnet keeps free.
func freeIn(v *netmodel.VPC, s *netmodel.Subnet) (netip.Addr, bool) {
	taken := map[netip.Addr]bool{}
	for _, d := range v.Dialers {
		taken[d.Address] = true
	}
	a := s.CIDR.Addr()
	for n := 0; s.CIDR.Contains(a.Next()); n, a = n+1, a.Next() {
		if n >= 4 && !taken[a] && v.InterfaceAt(a) == nil && v.EndpointAt(a) == nil {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// end finds who is asked for, and follows the way there.
func (r *reach) end(to string) error {
	if a, err := netip.ParseAddr(to); err == nil {
		if !a.Is4() {
			return doubt("networks here are IPv4: %s is not", to)
		}
		r.out.To = r.describe(a)
		r.follow("", a)
		return nil
	}
	switch {
	case strings.HasPrefix(to, "eni-"):
		for _, vpcID := range r.order {
			for _, i := range r.vpcs[vpcID].Model.Interfaces {
				if i.ID == to {
					return r.toOther(vpcID, i.Address)
				}
			}
			for _, d := range r.vpcs[vpcID].Model.Dialers {
				if d.ID == to {
					return r.toOther(vpcID, d.Address)
				}
			}
		}
		return doubt("no workload has an interface %q; name an endpoint or a NAT gateway by its own id", to)
	case strings.HasPrefix(to, "vpce-"), strings.HasPrefix(to, "nat-"):
		return r.toEndpoint(to)
	}
	if names := r.server.ec2.ServiceNames(to); names != nil {
		return r.toService(to, names)
	}
	return r.toName(strings.TrimSuffix(to, "."))
}

// toOther follows the way to an address of a VPC, which must be where it ends.
func (r *reach) toOther(vpcID string, a netip.Addr) error {
	r.out.To = r.describeIn(r.vpcs[vpcID], a)
	r.follow(vpcID, a)
	return nil
}

func (r *reach) toEndpoint(id string) error {
	for _, vpcID := range r.order {
		v := r.vpcs[vpcID]
		if why := v.Idle[id]; why != "" {
			r.out.To = ReachEnd{ID: id, VPC: vpcID}
			r.step(vpcID, string(netmodel.GateRoute), false, "%s is without effect: %s", id, why)
			return nil
		}
		for _, e := range v.Model.Endpoints {
			if e.ID != id || len(e.Addresses) == 0 {
				continue
			}
			near := e.Addresses[0].Address
			for _, a := range e.Addresses {
				if r.sender != nil && a.Subnet == r.sender.Subnet {
					near = a.Address
				}
			}
			return r.toOther(vpcID, near)
		}
	}
	return doubt("there is no endpoint or NAT gateway %q", id)
}

// toService asks the name server for a service's names, as a client would.
func (r *reach) toService(service string, names []string) error {
	if r.sender != nil {
		for _, name := range names {
			name = strings.Replace(name, "*", "any", 1)
			if got, ok := r.from.Model.Resolve(r.flow.From, name); ok && r.isEndpoint(got[0]) {
				r.found(name, got[0])
				return nil
			}
		}
	}
	r.out.To = ReachEnd{Name: service}
	r.step(r.from.Model.ID, gateName, false, "no endpoint of %s leads from %s to %s: its name server knows none of its names", r.from.Model.ID, r.place(), service)
	return nil
}

// place is where the question begins.
func (r *reach) place() string {
	if r.sender == nil {
		return r.flow.From.String()
	}
	return r.sender.Subnet
}

func (r *reach) isEndpoint(a netip.Addr) bool {
	e := r.from.Model.EndpointAt(a)
	return e != nil && e.Type != netmodel.NATGateway
}

// found goes on with what the name server answered.
func (r *reach) found(name string, a netip.Addr) {
	r.step(r.from.Model.ID, gateName, true, "the name server answers %s for %s", a, name)
	r.out.To = r.describeIn(r.from, a)
	r.out.To.Name = name
	r.follow(r.from.Model.ID, a)
}

// toName asks for a name: an endpoint's, or one in the internet.
func (r *reach) toName(name string) error {
	if len(name) > 253 || !strings.Contains(name, ".") || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return doubt("%q is no id, address, service or name", name)
	}
	if got, ok := r.from.Model.Resolve(r.flow.From, name); ok && r.isEndpoint(got[0]) {
		r.found(name, got[0])
		return nil
	}
	r.out.To = ReachEnd{Name: name}
	if r.flow.Protocol != netmodel.TCP {
		r.step(r.from.Model.ID, string(netmodel.GateOutside), false, "a NAT gateway is a proxy: it carries connections by TCP, and nothing else")
		return nil
	}
	t := r.cloud.Outside(r.from.Model.ID, r.flow.From, name, r.flow.Port)
	nat := r.flow
	if got, ok := r.from.Model.Resolve(r.flow.From, name); ok {
		nat.To = got[0]
		r.step(r.from.Model.ID, gateName, true, "the name server answers %s for %s, which is the NAT gateway's", got[0], name)
	}
	r.steps(nat, &t)
	direct := slices.Contains([]uint16{netmodel.NATPortHTTP, netmodel.NATPortTLS}, r.flow.Port)
	if t.Allowed && (!direct || slices.ContainsFunc(t.Steps, func(s netmodel.TraceStep) bool { return !s.Allowed })) {
		r.note("Only by the proxy: http_proxy and https_proxy must be http://%s:%d.", nat.To, netmodel.NATPortProxy)
	}
	return r.budgets(name)
}

// budgets notes what is left of the bytes that the operator allowed.
func (r *reach) budgets(name string) error {
	rules, err := r.server.ec2.ListOutside(r.sn, r.from.Model.ID)
	if err != nil || r.sender == nil {
		return err
	}
	for _, o := range rules {
		suffix, wild := strings.CutPrefix(o.Name, "*")
		if o.Budget > 0 && slices.Contains(r.sender.Groups, o.Group) && (o.Name == name || wild && strings.HasSuffix(name, suffix)) {
			r.note("%s lets %d bytes through, of which %d are used; when none is left, nothing passes by it", o.ID, o.Budget, o.Used)
		}
	}
	return nil
}

// describe finds whose an address is: in the sender's VPC first.
func (r *reach) describe(a netip.Addr) ReachEnd {
	for _, v := range append([]*ec2.Survey{r.from}, r.others()...) {
		if e := r.describeIn(v, a); e.ID != "" {
			return e
		}
	}
	return ReachEnd{Address: a.String()}
}

func (r *reach) others() []*ec2.Survey {
	var out []*ec2.Survey
	for _, id := range r.order {
		out = append(out, r.vpcs[id])
	}
	return out
}

func (r *reach) describeIn(v *ec2.Survey, a netip.Addr) ReachEnd {
	end := ReachEnd{Address: a.String()}
	if i := v.Model.InterfaceAt(a); i != nil {
		return ReachEnd{ID: i.ID, VPC: v.Model.ID, Subnet: i.Subnet, Address: a.String(), Groups: i.Groups, Owner: i.Owner}
	}
	if e := v.Model.EndpointAt(a); e != nil {
		end.ID, end.VPC, end.Groups, end.Name = e.ID, v.Model.ID, e.Groups, v.Services[e.ID]
		for _, x := range e.Addresses {
			if x.Address == a {
				end.Subnet = x.Subnet
			}
		}
	}
	for _, d := range v.Model.Dialers {
		if d.Address == a {
			end.ID, end.VPC, end.Subnet = d.ID, v.Model.ID, d.Subnet
		}
	}
	return end
}
