package ec2

import (
	"slices"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// An endpointService offers interfaces of its account, or sites that the operator
// approved, to other accounts' VPCs (PrivateLink). It belongs to no VPC.
//
// Its owner says who may make an endpoint that leads to it and which of them it
// serves; what lies behind it, whose security groups still decide, she says too. A
// consumer learns neither what that is nor where.
type endpointService struct {
	meta
	Targets    []serviceTarget     `json:"targets"`
	Acceptance bool                `json:"acceptance,omitzero"`
	Allowed    []servicePermission `json:"allowed,omitempty"`
}

func (*endpointService) kind() *kind { return kindService }

// A serviceTarget is where connections to a port go: to an interface, or to a site.
// The interface's subnet has the address that they come from.
type serviceTarget struct {
	Port      uint16 `json:"port"`
	Interface string `json:"interface,omitzero"`
	VPC       string `json:"vpc,omitzero"` // of the interface
	Subnet    string `json:"subnet,omitzero"`
	Site      string `json:"site,omitzero"`
}

type servicePermission struct {
	ID        string `json:"id"`
	Principal string `json:"principal"`
}

// The states of an endpoint that leads to an endpoint service.
const (
	endpointPending   = "pendingAcceptance"
	endpointAvailable = "available"
	endpointRejected  = "rejected"
)

// Limits on endpoint services. A model's endpoint has at most as many ports.
const (
	maxServices    = 20 // of an account
	maxTargets     = 16
	maxConnections = 1000
	maxOfAccount   = 50 // connections: one consumer leaves room for others
	maxPermissions = 200
)

// served says whether an endpoint leads to something now: one to an endpoint service
// once it was accepted, and while one of the service's targets is there.
func (n *network) served(e *endpoint) bool {
	return !e.private() || e.State == endpointAvailable && len(n.ports[e.Service]) > 0
}

// private says whether an endpoint leads to an endpoint service.
func (e *endpoint) private() bool { return kindService.names(e.Service) }

// state is an endpoint's as EC2 calls it.
func (e *endpoint) state() string {
	if e.State == "" {
		return endpointAvailable
	}
	return e.State
}

// open lists the ports of a service that lead somewhere now.
func (v *endpointService) open(q store.Querier) ([]uint16, error) {
	var ports []uint16
	for _, t := range v.Targets {
		if t.Site != "" {
			site, err := siteOf(q, v.Account, t.Site)
			if err != nil {
				return nil, err
			}
			if site != nil {
				ports = append(ports, t.Port)
			}
			continue
		}
		i, err := workloadInterface(q, v.Account, t.Interface)
		if err != nil {
			return nil, err
		}
		if i != nil {
			ports = append(ports, t.Port)
		}
	}
	return ports, nil
}

// workloadInterface finds the interface of a workload of an account; nil if there is
// no such.
func workloadInterface(q store.Querier, account, id string) (*networkInterface, error) {
	o, err := row(q, id)
	if err != nil {
		return nil, err
	}
	if i, ok := o.(*networkInterface); ok && i.Account == account && i.Workload != "" {
		return i, nil
	}
	return nil, nil
}

// connections are the endpoints that lead to a service, of whatever account and in
// whatever state.
func connections(q store.Querier, serviceID string) ([]*endpoint, error) {
	found, err := objects(q, "id IN (SELECT endpoint FROM ec2_connections WHERE service = ?)", serviceID)
	var all []*endpoint
	for _, o := range found {
		all = append(all, o.(*endpoint)) // the table names no others
	}
	return all, err
}

// gone forgets the connection of an endpoint that is deleted.
func (e *endpoint) gone(tx *store.Tx) error {
	if !e.private() {
		return nil
	}
	_, err := tx.Exec("DELETE FROM ec2_connections WHERE endpoint = ?", e.ID)
	return err
}

// gone forgets what leads to a service that is deleted.
func (v *endpointService) gone(tx *store.Tx) error {
	_, err := tx.Exec("DELETE FROM ec2_connections WHERE service = ?", v.ID)
	return err
}

// touchService has the networks decided on and applied anew in which a service
// counts: those with an endpoint that leads to it, and those of its targets.
func (s *Service) touchService(tx *store.Tx, v *endpointService) error {
	ids, err := store.Collect(tx, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		"SELECT DISTINCT vpc FROM ec2_connections WHERE service = ?", v.ID)
	if err != nil {
		return err
	}
	return s.touchNetworks(tx, unique(slices.Concat(ids, v.vpcs()))...)
}

// vpcs are those of a service's targets.
func (v *endpointService) vpcs() []string {
	var ids []string
	for _, t := range v.Targets {
		if t.VPC != "" {
			ids = append(ids, t.VPC)
		}
	}
	return unique(ids)
}

// touchTargets is touchService for the services to which an interface is a target:
// it is about to go.
func (s *Service) touchTargets(tx *store.Tx, n *network, interfaceID string) error {
	for _, v := range n.services {
		if slices.ContainsFunc(v.Targets, func(t serviceTarget) bool { return t.Interface == interfaceID }) {
			if err := s.touchService(tx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// LeadsToService says whether an endpoint of a model is one of an endpoint service,
// behind which the server relays.
func LeadsToService(e *netmodel.Endpoint) bool { return kindService.names(e.Service) }
