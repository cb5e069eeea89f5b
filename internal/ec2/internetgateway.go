package ec2

// An internetGateway belongs to no VPC until it is attached to one. It carries no
// packet: nobody here has an address in the internet. A NAT gateway works only in a
// VPC that has one, in a subnet whose default route leads to it.
type internetGateway struct {
	meta
	Attached string `json:"attached,omitzero"` // VPC
}

func (*internetGateway) kind() *kind { return kindInternet }
