package ec2

import (
	"net/netip"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// A Network is a VPC or a transit gateway that exists, with the version of it and of
// all that is in it.
type Network struct {
	ID, Account string
	Version     int64
}

// VPCs lists all VPCs of all accounts.
func (s *Service) VPCs(q store.Querier) ([]Network, error) { return existing(q, kindVPC) }

// Transits lists all transit gateways of all accounts.
func (s *Service) Transits(q store.Querier) ([]Network, error) { return existing(q, kindTransit) }

func existing(q store.Querier, k *kind) ([]Network, error) {
	all, err := store.Collect(q, func(r *store.Rows) (n Network, err error) { return n, r.Scan(&n.ID, &n.Account) },
		"SELECT id, account FROM ec2_resources WHERE kind = ? ORDER BY id", k.name)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	keys := make([]string, len(all))
	for i, n := range all {
		keys[i] = networkKey(n.ID)
	}
	versions, err := q.Versions(keys...)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Version = versions[i]
	}
	return all, nil
}

// Model is a VPC as the machine is to obey it. A missing one is ErrNoVPC.
func (s *Service) Model(q store.Querier, vpcID string) (*netmodel.VPC, error) {
	n, err := s.network(q, vpcID)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, ErrNoVPC
	}
	return s.model(n), nil
}

func (s *Service) model(n *network) *netmodel.VPC {
	v := &netmodel.VPC{
		ID: n.vpc.ID, Account: n.vpc.Account, CIDRs: n.vpc.ranges(), FlowLogs: len(n.flowLogs) > 0,
		PrefixLists: []netmodel.PrefixList{{ID: s.prefixList("s3")}}, // its addresses are the endpoints that name it
	}
	for _, l := range n.listsOfRules() {
		v.PrefixLists = append(v.PrefixLists, netmodel.PrefixList{ID: l.ID, CIDRs: l.prefixes()})
	}
	asked := map[string]bool{}
	for _, o := range n.subnets {
		m := netmodel.Subnet{ID: o.ID, CIDR: o.CIDR, RouteTable: n.tableOf(o.ID)}
		if a := n.aclOf(o); !a.open() {
			m.NetworkACL, asked[a.ID] = a.ID, true
		}
		v.Subnets = append(v.Subnets, m)
	}
	for _, a := range slices.Concat(n.acls, []*acl{n.defaultACL()}) {
		if asked[a.ID] {
			v.NetworkACLs = append(v.NetworkACLs, a.model())
			delete(asked, a.ID)
		}
	}
	for _, t := range n.tables {
		v.RouteTables = append(v.RouteTables, netmodel.RouteTable{ID: t.ID, Routes: n.modelRoutes(t)})
	}
	for _, a := range n.attachments {
		if a.State == attachmentAvailable {
			v.Attachments = append(v.Attachments, netmodel.Attachment{ID: a.ID, Gateway: a.VPC})
		}
	}
	for _, g := range n.groups {
		m := netmodel.SecurityGroup{ID: g.ID, Outside: n.outside[g.ID]}
		for _, r := range n.rulesOf(g.ID) {
			if r.Egress {
				m.Egress = append(m.Egress, r.Spec.model())
			} else {
				m.Ingress = append(m.Ingress, r.Spec.model())
			}
		}
		v.SecurityGroups = append(v.SecurityGroups, m)
	}
	for _, e := range n.endpoints {
		if n.served(e) {
			v.Endpoints = append(v.Endpoints, s.modelEndpoint(n, e))
		}
	}
	for _, g := range n.nats {
		if e, ok := n.modelNAT(g); ok {
			v.Endpoints = append(v.Endpoints, e)
		}
	}
	for _, i := range n.interfaces {
		switch {
		case i.Workload != "":
			v.Interfaces = append(v.Interfaces, i.model())
		case i.Dialer != "":
			v.Dialers = append(v.Dialers, netmodel.Dialer{ID: i.ID, Subnet: i.Subnet, Address: i.Address})
		}
	}
	return v
}

// listsOfRules are the customer's lists that a rule of the VPC names.
func (n *network) listsOfRules() []*prefixList {
	named := n.named()
	return where(n.lists, func(l *prefixList) bool { return named[l.ID] })
}

// open says whether an ACL lets everything pass, so that nothing has to ask it.
func (a *acl) open() bool { return a.Default && slices.Equal(a.Entries, defaultEntries()) }

func (a *acl) model() netmodel.NetworkACL {
	m := netmodel.NetworkACL{ID: a.ID}
	for _, e := range a.Entries {
		protocol, _ := netmodel.ParseProtocol(e.Protocol) // as in spec.model
		entry := netmodel.ACLEntry{Number: int(e.Number), Allow: e.Allow, Protocol: protocol, FromPort: int(e.From), ToPort: int(e.To), CIDR: e.CIDR}
		if e.Egress {
			m.Egress = append(m.Egress, entry)
		} else {
			m.Ingress = append(m.Ingress, entry)
		}
	}
	return m
}

// modelRoutes are the routes of a table, with lists written out. A transit gateway
// stands for the VPC's attachment to it; what leads nowhere keeps its target's name,
// so that an explanation can say it.
func (n *network) modelRoutes(t *table) []netmodel.Route {
	var out []netmodel.Route
	seen := map[netip.Prefix]bool{}
	add := func(p netip.Prefix, target string) {
		if !seen[p] {
			seen[p] = true
			out = append(out, netmodel.Route{CIDR: p, Target: target})
		}
	}
	resolve := func(r route) string {
		for _, a := range n.attachments {
			if a.VPC == r.Target && a.State == attachmentAvailable {
				return a.ID
			}
		}
		return r.Target
	}
	for _, r := range t.Routes { // a range that somebody wrote counts before the same one in a list
		if r.List == "" {
			add(r.CIDR, resolve(r))
		}
	}
	for _, r := range t.Routes {
		if l := n.prefixList(r.List); l != nil {
			for _, p := range where(l.prefixes(), routable) {
				add(p, resolve(r))
			}
		}
	}
	return out
}

// modelNAT is a NAT gateway as a door; it is none unless its own subnet leads to the
// VPC's internet gateway.
func (n *network) modelNAT(g *natGateway) (netmodel.Endpoint, bool) {
	if g.Private || n.internet == nil {
		return netmodel.Endpoint{}, false
	}
	led := false
	for _, r := range byID(n.tables, n.tableOf(g.Subnet)).Routes {
		led = led || r.Target == n.internet.ID && r.CIDR == everywhere
	}
	m := netmodel.Endpoint{ID: g.ID, Type: netmodel.NATGateway, Service: "nat", Ports: []uint16{netmodel.NATPortHTTP, netmodel.NATPortTLS, netmodel.NATPortProxy}}
	for _, i := range n.interfaces {
		if i.NAT == g.ID {
			m.Addresses = append(m.Addresses, netmodel.EndpointAddress{Subnet: i.Subnet, Address: i.Address})
		}
	}
	return m, led && len(m.Addresses) == 1
}

func (p spec) model() netmodel.Rule {
	// What was stored was parsed; a row that was tampered with gets protocol 0, which nothing accepts.
	protocol, _ := netmodel.ParseProtocol(p.Protocol)
	return netmodel.Rule{
		Protocol: protocol, FromPort: int(p.From), ToPort: int(p.To), CIDR: p.CIDR, Group: p.Peer, PrefixList: p.PrefixList,
	}
}

func (i *networkInterface) model() netmodel.Interface {
	return netmodel.Interface{
		ID: i.ID, Subnet: i.Subnet, Address: i.Address, Groups: i.Groups, Workload: i.Workload, Owner: i.Owner, MAC: i.MAC,
	}
}

// endpointPort is where services are served over TLS. They are served nowhere in
// clear.
const endpointPort = 443

func (s *Service) modelEndpoint(n *network, e *endpoint) netmodel.Endpoint {
	m := netmodel.Endpoint{
		ID: e.ID, Type: netmodel.EndpointType(e.typed()), Service: modelService(e.Service), Ports: n.portsOf(e),
		Names: s.namesOf(n, e), Groups: e.Groups, RouteTables: e.RouteTables,
	}
	if e.Gateway {
		m.PrefixList = s.prefixList(e.Service)
		m.Addresses = []netmodel.EndpointAddress{{Address: e.Address}}
	}
	for _, i := range n.interfacesOf(e) {
		m.Addresses = append(m.Addresses, netmodel.EndpointAddress{Subnet: i.Subnet, Address: i.Address})
	}
	return m
}

// portsOf are the ports that an endpoint serves, if it does.
func (n *network) portsOf(e *endpoint) []uint16 {
	if e.private() {
		return n.ports[e.Service]
	}
	return []uint16{endpointPort}
}

// modelService is a service's name as an identifier of the model.
func modelService(service string) string { return strings.ReplaceAll(service, ".", "-") }

// namesOf are the names by which the VPC's name server answers an endpoint's
// addresses: none when the VPC's DNS support is off.
func (s *Service) namesOf(n *network, e *endpoint) []string {
	if !n.vpc.DNSSupport {
		return nil
	}
	var names []string // an endpoint service has no other than its own
	if of := offered()[e.Service]; of != nil {
		names = of(s.Region)
	}
	if e.Gateway {
		return names
	}
	own := []string{s.ownName(e)}
	if e.Service == "s3" {
		own = append(own, "*."+s.ownName(e))
	}
	if e.PrivateDNS && n.vpc.DNSHostnames {
		return append(own, names...)
	}
	return own
}

// A ListenerSpec says where an endpoint is to be served.
type ListenerSpec struct {
	EndpointID, VPC, Account string
	Service                  string           // "s3", "sagemaker.api", or the id of an endpoint service
	Addrs                    []netip.AddrPort // none while it is not served
}

// Endpoints lists the endpoints of all VPCs.
func (s *Service) Endpoints(q store.Querier) ([]ListenerSpec, error) {
	vpcs, err := s.VPCs(q)
	if err != nil {
		return nil, err
	}
	var out []ListenerSpec
	for _, v := range vpcs {
		n, err := s.network(q, v.ID)
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		for _, e := range n.endpoints {
			l := ListenerSpec{EndpointID: e.ID, VPC: e.VPC, Account: e.Account, Service: e.Service}
			if n.served(e) {
				for _, a := range s.modelEndpoint(n, e).Addresses {
					for _, port := range n.portsOf(e) {
						l.Addrs = append(l.Addrs, netip.AddrPortFrom(a.Address, port))
					}
				}
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// EndpointFor finds the endpoint by which a subnet's workloads reach a service: one
// that the subnet's route table leads to before one with private DNS, as the VPC's
// name server answers. It does not say that a packet would pass: see Reach.
func (s *Service) EndpointFor(q store.Querier, vpcID, subnetID, service string) (*api.EndpointRef, bool, error) {
	n, err := s.network(q, vpcID)
	if err != nil || n == nil || byID(n.subnets, subnetID) == nil {
		return nil, false, err
	}
	names := offered()[service]
	if names == nil {
		return nil, false, nil
	}
	// The name server is asked as a workload in the subnet would ask it.
	m := s.model(n)
	probe := netmodel.Interface{Subnet: subnetID, Address: nth(byID(n.subnets, subnetID).CIDR, 1)}
	m.Interfaces = append(m.Interfaces, probe)
	for _, name := range names(s.Region) {
		if found, ok := m.Resolve(probe.Address, strings.Replace(name, "*", "any", 1)); ok {
			e := m.EndpointAt(found[0])
			return &api.EndpointRef{ID: e.ID, VPC: n.vpc.ID, Account: n.vpc.Account, Address: found[0]}, true, nil
		}
	}
	return nil, false, nil
}

// Reach finds the endpoint by which a workload's interface reaches a service, and
// says whether its packets pass, and why.
func (s *Service) Reach(q store.Querier, vpcID, interfaceID, service string) (*api.EndpointRef, netmodel.Verdict, error) {
	m, err := s.Model(q, vpcID)
	if err != nil {
		return nil, netmodel.Verdict{}, err
	}
	for _, i := range m.Interfaces {
		if i.ID != interfaceID {
			continue
		}
		e, ok, err := s.EndpointFor(q, vpcID, i.Subnet, service)
		if err != nil || !ok {
			return nil, netmodel.Verdict{Gate: netmodel.GateRoute, Why: "no endpoint of " + vpcID + " leads from " + i.Subnet + " to " + service}, err
		}
		return e, m.Pass(i.Address, e.Address, netmodel.TCP, endpointPort), nil
	}
	return nil, netmodel.Verdict{Gate: netmodel.GateSource, Why: vpcID + " has no interface " + interfaceID}, nil
}
