package ec2

// A natGateway is the address of a proxy in a subnet: see package egress. What may
// be reached through it the operator says, per security group.
type natGateway struct {
	meta
	Subnet  string `json:"subnet"`
	Private bool   `json:"private,omitzero"` // leads nowhere outside
}

func (*natGateway) kind() *kind { return kindNAT }
