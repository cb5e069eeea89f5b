package ec2

import (
	"fmt"
	"net/netip"

	"bawn.dev/internal/store"
)

// A Route is where a connection that came to an endpoint of an endpoint service goes:
// to an interface in a VPC, or to a site outside of all.
type Route struct {
	Service         string // id of the endpoint service
	Account         string // whose it is
	Consumer        string // the account whose endpoint it is
	VPC             string // of the target; empty for a site
	From            netip.Addr
	To              netip.AddrPort
	Workload, Owner string // behind the interface
	Site            string // its name; empty for an interface
	Host            string // of the site, with Port
	Port            uint16
}

// Relay says where a connection goes that came to a port of an endpoint. It is to be
// asked about each, and again about those that are open once something changed: what
// it answers holds as long as the snapshot. The error says why it goes nowhere,
// and nothing of the provider that the consumer may not hear.
//
// Whether the target takes it, its security groups say when From connects to To.
func (s *Service) Relay(q store.Querier, endpointID string, port uint16) (Route, error) {
	none := func(why string, args ...any) (Route, error) {
		return Route{}, fmt.Errorf("ec2: port %d of %.64q leads nowhere: %s", port, endpointID, fmt.Sprintf(why, args...))
	}
	led, err := store.Collect(q, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		"SELECT vpc FROM ec2_connections WHERE endpoint = ?", endpointID)
	if err != nil {
		return Route{}, err
	}
	if len(led) == 0 {
		return none("it is no endpoint of an endpoint service")
	}
	n, err := s.network(q, led[0])
	if err != nil {
		return Route{}, err
	}
	if n == nil {
		return none("its VPC is gone")
	}
	e := byID(n.endpoints, endpointID)
	if e == nil || n.services[e.Service] == nil {
		return none("it is gone, or its service")
	}
	if e.State != endpointAvailable {
		return none("it is in the state %s", e.State)
	}
	v := n.services[e.Service]
	r := Route{Service: v.ID, Account: v.Account, Consumer: e.Account, Port: port}
	for _, t := range v.Targets {
		if t.Port != port {
			continue
		}
		if t.Site != "" {
			site, err := siteOf(q, v.Account, t.Site)
			if err != nil {
				return Route{}, err
			}
			if site == nil {
				return none("the operator withdrew the site behind it")
			}
			r.Site, r.Host, r.Port = site.Name, site.Host, site.Port
			return r, nil
		}
		return s.relayInto(q, r, t, none)
	}
	return none("%s has no target there", v.ID)
}

// relayInto completes the route to an interface.
func (s *Service) relayInto(q store.Querier, r Route, t serviceTarget, none func(string, ...any) (Route, error)) (Route, error) {
	n, err := s.network(q, t.VPC)
	if err != nil {
		return Route{}, err
	}
	if n == nil || n.vpc.Account != r.Account {
		return none("its target's VPC is gone")
	}
	i := byID(n.interfaces, t.Interface)
	if i == nil || i.Workload == "" {
		return none("the workload behind it has ended")
	}
	for _, d := range n.interfaces {
		if d.Dialer == r.Service && d.Subnet == i.Subnet {
			r.VPC, r.From, r.To, r.Workload, r.Owner = t.VPC, d.Address, netip.AddrPortFrom(i.Address, t.Port), i.Workload, i.Owner
			return r, nil
		}
	}
	return none("%s has no address to connect from", r.Service)
}
