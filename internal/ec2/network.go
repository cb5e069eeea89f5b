package ec2

import (
	"net/netip"
	"slices"

	"bawn.dev/internal/store"
)

// A network is a VPC with everything in it, as one moment has it. One that came
// from the cache does not change.
type network struct {
	vpc          *vpc
	subnets      []*subnet
	tables       []*table
	associations []*association
	groups       []*group
	rules        []*rule
	endpoints    []*endpoint
	interfaces   []*networkInterface
	flowLogs     []*flowLog
}

// networkKey is the version key of a VPC with everything in it.
func networkKey(vpcID string) string { return "ec2:network/" + vpcID }

// load reads a VPC; nil when there is none.
func load(q store.Querier, vpcID string) (*network, error) {
	all, err := store.Collect(q, func(r *store.Rows) (object, error) { return read(r.Scan) },
		"SELECT "+columns+" FROM ec2_resources WHERE vpc = ? ORDER BY id", vpcID)
	if err != nil {
		return nil, err
	}
	n := &network{}
	for _, o := range all {
		switch o := o.(type) {
		case *vpc:
			n.vpc = o
		case *subnet:
			n.subnets = append(n.subnets, o)
		case *table:
			n.tables = append(n.tables, o)
		case *association:
			n.associations = append(n.associations, o)
		case *group:
			n.groups = append(n.groups, o)
		case *rule:
			n.rules = append(n.rules, o)
		case *endpoint:
			n.endpoints = append(n.endpoints, o)
		case *networkInterface:
			n.interfaces = append(n.interfaces, o)
		case *flowLog:
			n.flowLogs = append(n.flowLogs, o)
		}
	}
	if n.vpc == nil {
		return nil, nil
	}
	return n, nil
}

// change reads a VPC inside a change that was decided on its being there.
func change(tx *store.Tx, vpcID string) (*network, error) {
	n, err := load(tx, vpcID)
	if err == nil && n == nil {
		return nil, kindVPC.missing(vpcID)
	}
	return n, err
}

// network is load through the cache. What it answers must not be changed.
func (s *Service) network(q store.Querier, vpcID string) (*network, error) {
	version, err := q.Version(networkKey(vpcID))
	if err != nil || version == 0 {
		return nil, err
	}
	if n, ok := s.networks.Get(vpcID, version); ok {
		return n, nil
	}
	n, err := load(q, vpcID)
	if err != nil || n == nil {
		return nil, err
	}
	s.networks.Put(vpcID, version, n)
	return n, nil
}

// ofAccount are the VPCs of an account with everything in them.
func (s *Service) ofAccount(q store.Querier, account string) ([]*network, error) {
	ids, err := store.Collect(q, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		"SELECT id FROM ec2_resources WHERE account = ? AND kind = ? ORDER BY id", account, kindVPC.name)
	if err != nil {
		return nil, err
	}
	var all []*network
	for _, id := range ids {
		n, err := s.network(q, id)
		if err != nil {
			return nil, err
		}
		if n != nil {
			all = append(all, n)
		}
	}
	return all, nil
}

func byID[T object](list []T, id string) T {
	i := slices.IndexFunc(list, func(o T) bool { return o.head().ID == id })
	if i < 0 {
		var none T
		return none
	}
	return list[i]
}

// where keeps what a test holds for.
func where[T any](list []T, keep func(T) bool) []T {
	var out []T
	for _, x := range list {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

// main is the route table of subnets that chose none.
func (n *network) main() *association {
	i := slices.IndexFunc(n.associations, func(a *association) bool { return a.Subnet == "" })
	return n.associations[i]
}

// tableOf is the id of the route table that governs a subnet.
func (n *network) tableOf(subnetID string) string {
	for _, a := range n.associations {
		if a.Subnet == subnetID {
			return a.Table
		}
	}
	return n.main().Table
}

// defaultGroup is the group of whatever names none.
func (n *network) defaultGroup() *group {
	i := slices.IndexFunc(n.groups, func(g *group) bool { return g.Name == defaultGroupName })
	return n.groups[i]
}

func (n *network) interfacesOf(e *endpoint) []*networkInterface {
	return where(n.interfaces, func(i *networkInterface) bool { return i.Endpoint == e.ID })
}

func (n *network) interfacesIn(subnetID string) []*networkInterface {
	return where(n.interfaces, func(i *networkInterface) bool { return i.Subnet == subnetID })
}

// flowLogsOf are the flow logs of one resource.
func (n *network) flowLogsOf(id string) []*flowLog {
	return where(n.flowLogs, func(l *flowLog) bool { return l.Resource == id })
}

// taken are the addresses that something of the VPC has.
func (n *network) taken() map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for _, i := range n.interfaces {
		taken[i.Address] = true
	}
	for _, e := range n.endpoints {
		taken[e.Address] = true
	}
	return taken
}
