package ec2

import (
	"context"
	"net/netip"
	"slices"

	"bawn.dev/internal/netmodel"
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
	acls         []*acl
	nats         []*natGateway

	// What belongs to no VPC and counts in this one.
	internet    *internetGateway            // that is attached; nil when none is
	lists       []*prefixList               // of the account; those that a rule or route names with their entries
	attachments []*attachment               // of the VPC, in whatever state
	services    map[string]*endpointService // by id: those that endpoints here lead to, and those with a target here
	ports       map[string][]uint16         // by service: those that lead somewhere now

	outside map[string][]netmodel.OutsideRule // by group: what the operator opened

	ruled map[string][]*rule // by group
}

// networkKey is the version key of a VPC with everything in it.
func networkKey(vpcID string) string { return "ec2:network/" + vpcID }

// load reads a VPC; nil when there is none.
func load(q store.Querier, vpcID string) (*network, error) { return loadWhere(q, "vpc = ?", vpcID) }

// loadUnruled is load without rules, of which there may be far more than of all else.
func loadUnruled(q store.Querier, vpcID string) (*network, error) {
	return loadWhere(q, "vpc = ? AND (id < ? OR id >= ?)", vpcID, firstRule, afterRules)
}

// Ids begin with their kind: those of rules are from firstRule to before afterRules.
const firstRule, afterRules = "sgr-", "sgr."

func loadWhere(q store.Querier, condition string, args ...any) (*network, error) {
	all, err := objects(q, condition, args...)
	if err != nil {
		return nil, err
	}
	n := &network{ruled: map[string][]*rule{}}
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
			n.ruled[o.Group] = append(n.ruled[o.Group], o)
		case *endpoint:
			n.endpoints = append(n.endpoints, o)
		case *networkInterface:
			n.interfaces = append(n.interfaces, o)
		case *flowLog:
			n.flowLogs = append(n.flowLogs, o)
		case *acl:
			n.acls = append(n.acls, o)
		case *natGateway:
			n.nats = append(n.nats, o)
		}
	}
	if n.vpc == nil {
		return nil, nil
	}
	return n, n.surroundings(q)
}

// surroundings reads what belongs to no VPC and counts in this one. Whoever changes
// such a thing touches the networks in which it counts: see [outlying].
func (n *network) surroundings(q store.Querier) error {
	all, err := objects(q, "account = ? AND kind IN (?, ?, ?)", n.vpc.Account, kindInternet.name, kindList.name, kindAttachment.name)
	if err != nil {
		return err
	}
	lists := n.named()
	for _, t := range n.tables {
		for _, r := range t.Routes {
			lists[r.List] = true
		}
	}
	for _, o := range all {
		switch o := o.(type) {
		case *internetGateway:
			if o.Attached == n.vpc.ID {
				n.internet = o
			}
		case *prefixList:
			n.lists = append(n.lists, o)
			if lists[o.ID] {
				if err := o.fill(q); err != nil {
					return err
				}
			}
		case *attachment:
			if o.Network == n.vpc.ID {
				n.attachments = append(n.attachments, o)
			}
		}
	}
	if n.outside, err = opened(q, n.vpc.ID); err != nil {
		return err
	}
	n.services, n.ports = map[string]*endpointService{}, map[string][]uint16{}
	wanted := map[string]bool{}
	for _, e := range n.endpoints {
		wanted[e.Service] = kindService.names(e.Service)
	}
	for _, i := range n.interfaces {
		wanted[i.Dialer] = i.Dialer != ""
	}
	for id, really := range wanted {
		if !really {
			continue
		}
		o, err := row(q, id)
		if err != nil {
			return err
		}
		service, ok := o.(*endpointService)
		if !ok {
			continue
		}
		n.services[id] = service
		if n.ports[id], err = service.open(q); err != nil {
			return err
		}
	}
	return nil
}

// named are the ids of the lists that rules name.
func (n *network) named() map[string]bool {
	lists := map[string]bool{}
	for _, r := range n.rules {
		lists[r.Spec.PrefixList] = true
	}
	return lists
}

// objects reads the resources for which a condition holds, by id.
func objects(q store.Querier, condition string, args ...any) ([]object, error) {
	return store.Collect(q, func(r *store.Rows) (object, error) { return read(r.Scan) },
		"SELECT "+columns+" FROM ec2_resources WHERE "+condition+" ORDER BY id", args...)
}

// An outlying resource belongs to no VPC, or to a transit gateway, and counts in
// these networks. A change of it that alters the list touches those that left it by
// [Service.touchNetworks].
type outlying interface{ reaches() []string }

func (g *internetGateway) reaches() []string { return where([]string{g.Attached}, named) }
func (a *attachment) reaches() []string      { return []string{a.Network} }

func named(id string) bool { return id != "" }

// touchNetworks has networks decided on and applied anew.
func (s *Service) touchNetworks(tx *store.Tx, ids ...string) error {
	keys := make([]string, 0, len(ids))
	for _, id := range ids {
		keys = append(keys, networkKey(id))
	}
	tx.AfterCommit(s.notify)
	return tx.Touch(keys...)
}

// defaultACL is the ACL of subnets that chose none: it lets everything pass until
// somebody changes it, and its id follows from the VPC's.
func (n *network) defaultACL() *acl {
	for _, a := range n.acls {
		if a.Default {
			return a
		}
	}
	return defaultACLOf(n.vpc)
}

func defaultACLOf(v *vpc) *acl {
	m := v.meta
	m.ID, m.Tags = kindACL.prefix+v.ID[len(kindVPC.prefix):], nil
	return &acl{meta: m, Default: true, Entries: defaultEntries()}
}

func defaultEntries() []aclEntry {
	all := func(egress bool) aclEntry {
		return aclEntry{Number: 100, Egress: egress, Allow: true, Protocol: allProtocols, From: -1, To: -1, CIDR: everywhere}
	}
	return []aclEntry{all(false), all(true)}
}

// aclOf is the ACL at a subnet's border.
func (n *network) aclOf(sub *subnet) *acl {
	if a := byID(n.acls, sub.ACL); a != nil {
		return a
	}
	return n.defaultACL()
}

// prefixList is a list of the account by id; nil for another.
func (n *network) prefixList(id string) *prefixList { return byID(n.lists, id) }

// change reads a VPC, but for its rules, inside a change that was decided on its being
// there. Everybody waits for the writer meanwhile.
func change(tx *store.Tx, vpcID string) (*network, error) {
	n, err := loadUnruled(tx, vpcID)
	if err == nil && n == nil {
		return nil, kindVPC.missing(vpcID)
	}
	return n, err
}

// changeRuled is change with the rules.
func changeRuled(tx *store.Tx, vpcID string) (*network, error) {
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

// networkNow is network, for what no call asks about.
func (s *Service) networkNow(ctx context.Context, st *store.Store, vpcID string) (*network, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	return s.network(sn, vpcID)
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
