package ec2

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// An endpoint is a door from inside a VPC to one service. One of type Interface has
// a network interface in each of its subnets; one of type Gateway an address of its
// own, and the route tables that lead to it.
type endpoint struct {
	meta
	// Service is a name of [offered], or the id of an endpoint service.
	Service     string     `json:"service"`
	Gateway     bool       `json:"gateway,omitzero"`
	Policy      string     `json:"policy"` // as it was put; empty for the default
	PrivateDNS  bool       `json:"privateDns,omitzero"`
	Groups      []string   `json:"groups,omitempty"`
	RouteTables []string   `json:"routeTables,omitempty"`
	Address     netip.Addr `json:"address,omitzero"` // of a gateway
	State       string     `json:"state,omitzero"`   // of one that leads to an endpoint service, as EC2 calls it
}

func (*endpoint) kind() *kind { return kindEndpoint }

// Limits on endpoints.
const (
	maxEndpoints   = 50 // of a VPC
	maxGroupsOfOne = 5  // of an interface or endpoint
)

// gateways are the gateway endpoints that a route table leads to.
func (n *network) gateways(tableID string) []*endpoint {
	return where(n.endpoints, func(e *endpoint) bool { return slices.Contains(e.RouteTables, tableID) })
}

// A wiring is what connects an endpoint, as a request names it.
type wiring struct {
	tables  []*found[*table]
	subnets []*found[*subnet]
	groups  []*found[*group]
}

// wire finds what a request connects an endpoint with, and states the demands.
func (s *Service) wire(c *api.Call, action string, tables, subnets, groups []string) (*wiring, []api.Demand, error) {
	w := &wiring{}
	var err error
	if w.tables, err = findAll[*table](s, c, tables); err != nil {
		return nil, nil, err
	}
	if w.subnets, err = findAll[*subnet](s, c, subnets); err != nil {
		return nil, nil, err
	}
	if w.groups, err = findAll[*group](s, c, groups); err != nil {
		return nil, nil, err
	}
	return w, slices.Concat(demandAll(action, w.tables), demandAll(action, w.subnets), demandAll(action, w.groups)), nil
}

// of demands that everything is of one VPC.
func (w *wiring) of(vpcID string) error {
	for _, f := range w.tables {
		if f.it.VPC != vpcID {
			return fail("InvalidParameter", "Route table %s does not belong to VPC %s", f.it.ID, vpcID)
		}
	}
	for _, f := range w.subnets {
		if f.it.VPC != vpcID {
			return fail("InvalidParameter", "Subnet %s does not belong to VPC %s", f.it.ID, vpcID)
		}
	}
	for _, f := range w.groups {
		if f.it.VPC != vpcID {
			return fail("InvalidParameter", "Security group %s does not belong to VPC %s", f.it.ID, vpcID)
		}
	}
	return nil
}

// An opening is an endpoint that is to be made.
type opening struct {
	*birth
	*wiring
	to *destination
}

func (s *Service) newEndpoint(_ context.Context, c *api.Call, in *ec2.CreateVpcEndpointInput) (*opening, []api.Demand, error) {
	b, demands, err := s.within(c, "CreateVpcEndpoint", kindEndpoint, in.VpcId, in.TagSpecifications)
	if err != nil {
		return nil, nil, err
	}
	to, err := s.destination(c, in.ServiceName)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys.Set("ec2:VpceServiceName", in.ServiceName)
	demands[0].Keys.Set("ec2:VpceServiceRegion", s.Region)
	demands[0].Keys.Set("ec2:VpceServiceOwner", to.owner()...)
	w, more, err := s.wire(c, "CreateVpcEndpoint", in.RouteTableIds, in.SubnetIds, in.SecurityGroupIds)
	return &opening{b, w, to}, append(demands, more...), err
}

func (s *Service) createVPCEndpoint(_ context.Context, c *api.Call, in *ec2.CreateVpcEndpointInput, o *opening) (api.Commit[ec2.CreateVpcEndpointOutput], error) {
	e, err := s.opened(in, o)
	if err != nil {
		return nil, err
	}
	groups := e.Groups
	return func(tx *store.Tx) (*ec2.CreateVpcEndpointOutput, error) {
		made, err := once(tx, c, "CreateVpcEndpoint", in.ClientToken, in, func() ([]string, error) {
			n, err := change(tx, e.VPC)
			if err != nil {
				return nil, err
			}
			if len(n.endpoints) >= maxEndpoints {
				return nil, fail("VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached.")
			}
			e.Address = netip.Addr{} // another attempt's
			if e.Groups = groups; !e.Gateway && len(groups) == 0 {
				e.Groups = []string{n.defaultGroup().ID}
			}
			if err := s.lead(tx, e); err != nil {
				return nil, err
			}
			return []string{e.ID}, s.connect(tx, n, e, in.SubnetIds, c)
		})
		if err != nil {
			return nil, err
		}
		n, err := change(tx, e.VPC)
		if err != nil {
			return nil, err
		}
		it := byID(n.endpoints, made[0])
		if it == nil {
			return nil, kindEndpoint.missing(made[0])
		}
		return &ec2.CreateVpcEndpointOutput{VpcEndpoint: ptr(s.showEndpoint(n, it)), ClientToken: in.ClientToken}, nil
	}, nil
}

// opened checks a request as far as it can be without looking at the VPC.
func (s *Service) opened(in *ec2.CreateVpcEndpointInput, o *opening) (*endpoint, error) {
	service := o.to.service
	if service == "" {
		return nil, noService(in.ServiceName)
	}
	kind := in.VpcEndpointType
	if kind == "" {
		kind = ec2.VpcEndpointTypeGateway
	}
	if !supports(service, kind) {
		return nil, fail("InvalidParameter", "Endpoint type (%s) does not match available service types.", kind)
	}
	if in.IpAddressType != "" && in.IpAddressType != "ipv4" {
		return nil, fail("InvalidParameter", "IpAddressType %s is not supported: networks here are IPv4.", in.IpAddressType)
	}
	if err := o.of(o.VPC); err != nil {
		return nil, err
	}
	e := &endpoint{
		meta: o.meta, Service: service, Gateway: kind == ec2.VpcEndpointTypeGateway, Policy: in.PolicyDocument,
		Groups: unique(in.SecurityGroupIds), RouteTables: unique(in.RouteTableIds),
	}
	switch {
	case e.Gateway && len(in.SubnetIds) > 0:
		return nil, fail("InvalidParameter", "SubnetIds is not a parameter of a Gateway endpoint.")
	case e.Gateway && len(in.SecurityGroupIds) > 0:
		return nil, fail("InvalidParameter", "SecurityGroupIds is not a parameter of a Gateway endpoint.")
	case e.Gateway && in.PrivateDnsEnabled != nil && *in.PrivateDnsEnabled:
		return nil, fail("InvalidParameter", "Private DNS can't be set for a Gateway endpoint.")
	case !e.Gateway && len(in.RouteTableIds) > 0:
		return nil, fail("InvalidParameter", "RouteTableIds is not a parameter of an Interface endpoint.")
	}
	if e.private() {
		return e, e.plain(in.PolicyDocument != "", in.PrivateDnsEnabled)
	}
	e.PrivateDNS = !e.Gateway && (in.PrivateDnsEnabled == nil || *in.PrivateDnsEnabled)
	_, err := s.checkedPolicy(e, e.Policy)
	return e, err
}

func unique(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// connect writes an endpoint that has changed, or is new, so that it stands in
// exactly these subnets. It refuses what the network would not obey.
func (s *Service) connect(tx *store.Tx, n *network, e *endpoint, subnets []string, c *api.Call) error {
	if e.Gateway {
		if err := s.gateway(n, e); err != nil {
			return err
		}
		return s.put(tx, e)
	}
	subnets = unique(subnets)
	switch {
	case len(subnets) == 0:
		return fail("InvalidParameter", "An Interface endpoint needs at least one subnet in SubnetIds.")
	case len(e.Groups) == 0:
		return fail("InvalidParameter", "An Interface endpoint needs at least one security group.")
	case len(e.Groups) > maxGroupsOfOne:
		return fail("SecurityGroupsPerInterfaceLimitExceeded", "An endpoint has at most %d security groups.", maxGroupsOfOne)
	}
	for _, id := range subnets {
		if byID(n.subnets, id) == nil {
			return kindSubnet.missing(id)
		}
	}
	for _, id := range e.Groups {
		if byID(n.groups, id) == nil {
			return kindGroup.missing(id)
		}
	}
	if err := n.privateDNS(e); err != nil {
		return err
	}
	var gone, changed []object
	in := map[string]bool{}
	for _, i := range n.interfacesOf(e) {
		if !slices.Contains(subnets, i.Subnet) {
			gone = append(gone, i)
			for _, l := range n.flowLogsOf(i.ID) {
				gone = append(gone, l)
			}
			continue
		}
		in[i.Subnet] = true
		i.Groups = e.Groups
		changed = append(changed, i)
	}
	taken := n.taken()
	for _, id := range subnets {
		if in[id] {
			continue
		}
		a, ok := free(byID(n.subnets, id).CIDR, taken)
		if !ok {
			return noAddress(id)
		}
		taken[a] = true
		changed = append(changed, &networkInterface{
			meta:   meta{ID: kindInterface.newID(), Account: e.Account, VPC: e.VPC, Created: c.Now},
			Subnet: id, Address: a, Groups: e.Groups, Endpoint: e.ID, MAC: newMAC(),
			Description: "VPC Endpoint Interface " + e.ID,
		})
	}
	if err := s.drop(tx, gone...); err != nil {
		return err
	}
	return s.put(tx, append(changed, e)...)
}

// gateway gives a gateway endpoint its address and holds its routes to be the only
// ones of their kind.
func (s *Service) gateway(n *network, e *endpoint) error {
	for _, id := range e.RouteTables {
		if byID(n.tables, id) == nil {
			return kindTable.missing(id)
		}
		for _, other := range n.gateways(id) {
			if other.ID != e.ID && other.Service == e.Service {
				return fail("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", id, s.prefixList(e.Service))
			}
		}
	}
	if e.Address.IsValid() {
		return nil
	}
	taken := n.taken()
	for i := uint32(1); i < size(netmodel.GatewayEndpoints)-1; i++ {
		if a := nth(netmodel.GatewayEndpoints, i); !taken[a] {
			e.Address = a
			return nil
		}
	}
	return fail("VpcEndpointLimitExceeded", "The maximum number of gateway endpoints has been reached.")
}

// privateDNS refuses names that would not be answered, or by two endpoints.
func (n *network) privateDNS(e *endpoint) error {
	if !e.PrivateDNS {
		return nil
	}
	if !n.vpc.DNSSupport || !n.vpc.DNSHostnames {
		return fail("InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", n.vpc.ID)
	}
	for _, other := range n.endpoints {
		if other.ID != e.ID && other.Service == e.Service && other.PrivateDNS {
			return fail("InvalidParameter", "private-dns-enabled cannot be set because there is already a conflicting DNS domain for %s in the VPC %s", e.Service, n.vpc.ID)
		}
	}
	return nil
}

func (s *Service) deletedEndpoints(_ context.Context, c *api.Call, in *ec2.DeleteVpcEndpointsInput) ([]*found[*endpoint], []api.Demand, error) {
	return several[*endpoint](s, c, "DeleteVpcEndpoints", in.VpcEndpointIds)
}

// several finds resources that an operation deals with one by one. That one of
// them is missing is its own outcome, told after the decision on all of them.
func several[T object](s *Service, c *api.Call, action string, ids []string) ([]*found[T], []api.Demand, error) {
	all, err := findAll[T](s, c, unique(ids))
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		var none T
		return nil, nil, missingParameter(none.kind().noun)
	}
	demands := demandAll(action, all)
	for i := range demands {
		if !all[i].malformed {
			demands[i].Resource.Missing = nil
		}
	}
	return all, demands, nil
}

// unsuccessful is what is said of those that are missing.
func unsuccessful[T object](all []*found[T]) []ec2.UnsuccessfulItem {
	var out []ec2.UnsuccessfulItem
	for _, f := range all {
		if e := f.resource.Missing; e != nil {
			id := f.resource.ARN[slices.Index([]byte(f.resource.ARN), '/')+1:]
			out = append(out, ec2.UnsuccessfulItem{ResourceId: id, Error: &ec2.UnsuccessfulItemError{Code: e.Code, Message: e.Message}})
		}
	}
	return out
}

func (s *Service) deleteVPCEndpoints(_ context.Context, _ *api.Call, _ *ec2.DeleteVpcEndpointsInput, all []*found[*endpoint]) (api.Commit[ec2.DeleteVpcEndpointsOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteVpcEndpointsOutput, error) {
		gone := map[string]object{}
		for _, f := range all {
			if f.missing() {
				continue
			}
			n, err := change(tx, f.it.VPC)
			if err != nil {
				return nil, err
			}
			gone[f.it.ID] = f.it
			for _, i := range n.interfacesOf(f.it) {
				gone[i.ID] = i
				for _, l := range n.flowLogsOf(i.ID) {
					gone[l.ID] = l
				}
			}
		}
		return &ec2.DeleteVpcEndpointsOutput{Unsuccessful: unsuccessful(all)}, s.drop(tx, slices.Collect(maps.Values(gone))...)
	}, nil
}
