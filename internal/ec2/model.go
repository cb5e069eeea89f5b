package ec2

import (
	"net/netip"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// A VPC is one that exists, with the version of it and all that is in it.
type VPC struct {
	ID, Account string
	Version     int64
}

// VPCs lists all VPCs of all accounts.
func (s *Service) VPCs(q store.Querier) ([]VPC, error) {
	all, err := store.Collect(q, func(r *store.Rows) (v VPC, err error) { return v, r.Scan(&v.ID, &v.Account) },
		"SELECT id, account FROM ec2_resources WHERE kind = ? ORDER BY id", kindVPC.name)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	keys := make([]string, len(all))
	for i, v := range all {
		keys[i] = networkKey(v.ID)
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

// Logged lists the VPCs that have a flow log, of themselves or of a part.
func (s *Service) Logged(q store.Querier) ([]string, error) {
	return store.Collect(q, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		"SELECT DISTINCT vpc FROM ec2_resources WHERE kind = ? ORDER BY vpc", kindFlowLog.name)
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
		ID: n.vpc.ID, Account: n.vpc.Account, CIDRs: []netip.Prefix{n.vpc.CIDR}, FlowLogs: len(n.flowLogs) > 0,
		PrefixLists: []netmodel.PrefixList{{ID: s.prefixList("s3")}}, // its addresses are the endpoints that name it
	}
	for _, o := range n.subnets {
		v.Subnets = append(v.Subnets, netmodel.Subnet{ID: o.ID, CIDR: o.CIDR, RouteTable: n.tableOf(o.ID)})
	}
	for _, t := range n.tables {
		v.RouteTables = append(v.RouteTables, netmodel.RouteTable{ID: t.ID})
	}
	for _, g := range n.groups {
		m := netmodel.SecurityGroup{ID: g.ID}
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
		v.Endpoints = append(v.Endpoints, s.modelEndpoint(n, e))
	}
	for _, i := range n.interfaces {
		if i.Workload != "" {
			v.Interfaces = append(v.Interfaces, i.model())
		}
	}
	return v
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
		ID: e.ID, Type: netmodel.EndpointType(e.typed()), Service: modelService(e.Service), Ports: []uint16{endpointPort},
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

// modelService is a service's name as an identifier of the model.
func modelService(service string) string { return strings.ReplaceAll(service, ".", "-") }

// namesOf are the names by which the VPC's name server answers an endpoint's
// addresses: none when the VPC's DNS support is off.
func (s *Service) namesOf(n *network, e *endpoint) []string {
	if !n.vpc.DNSSupport {
		return nil
	}
	names := offered()[e.Service](s.Region)
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
	Service                  string // "s3", "sagemaker.api"
	Addrs                    []netip.AddrPort
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
			for _, a := range s.modelEndpoint(n, e).Addresses {
				l.Addrs = append(l.Addrs, netip.AddrPortFrom(a.Address, endpointPort))
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
