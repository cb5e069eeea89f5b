package ec2

import "bawn.dev/internal/shape/ec2"

// An endpointService offers interfaces of its account, or sites that the operator
// approved, to other accounts' VPCs (PrivateLink). It belongs to no VPC.
type endpointService struct {
	meta
	Targets    []serviceTarget     `json:"targets"`
	Acceptance bool                `json:"acceptance,omitzero"`
	Allowed    []servicePermission `json:"allowed,omitempty"`
}

func (*endpointService) kind() *kind { return kindService }

// A serviceTarget is where connections to a port go: to an interface, or to a site.
type serviceTarget struct {
	Port      uint16 `json:"port"`
	Interface string `json:"interface,omitzero"`
	VPC       string `json:"vpc,omitzero"` // of the interface
	Site      string `json:"site,omitzero"`
}

type servicePermission struct {
	ID        string `json:"id"`
	Principal string `json:"principal"`
}

// served says whether an endpoint leads to something now: one to an endpoint service
// once it was accepted, and while the service has targets.
func (n *network) served(e *endpoint) bool {
	if !kindService.names(e.Service) {
		return true
	}
	service := n.services[e.Service]
	return e.State == string(ec2.StateAvailable) && service != nil && len(service.Targets) > 0
}
