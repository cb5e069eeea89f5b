package ec2

import (
	"net/netip"

	"bawn.dev/internal/store"
)

// attachmentAvailable is the one state in which an attachment carries anything.
const attachmentAvailable = "available"

// A transitGateway routes between VPCs. It, its attachments and its tables are read
// and judged as a whole; in the rows of all of them VPC is the gateway's id.
type transitGateway struct {
	meta
	Description string `json:"description,omitzero"`
	ASN         int64  `json:"asn"`
	AutoAccept  bool   `json:"autoAccept,omitzero"`
	Association string `json:"association,omitzero"` // default table; empty if that is disabled
	Propagation string `json:"propagation,omitzero"` // likewise
	DNS         bool   `json:"dns,omitzero"`
	ECMP        bool   `json:"ecmp,omitzero"`
}

func (*transitGateway) kind() *kind { return kindTransit }

// An attachment joins a VPC, whose owner's it is, to a gateway.
type attachment struct {
	meta
	Network      string   `json:"network"` // id of the VPC
	Subnets      []string `json:"subnets"`
	State        string   `json:"state"`                  // as EC2 calls it; only an available one carries anything
	Table        string   `json:"table,omitzero"`         // associated
	Propagations []string `json:"propagations,omitempty"` // tables that learn the VPC's ranges
}

func (*attachment) kind() *kind { return kindAttachment }

// A transitTable is a route table of a gateway; learned routes are not among Routes.
type transitTable struct {
	meta
	Routes []transitRoute `json:"routes,omitempty"`
}

func (*transitTable) kind() *kind { return kindTransitTab }

// A transitRoute without an attachment is a black hole.
type transitRoute struct {
	CIDR       netip.Prefix `json:"cidr"`
	Attachment string       `json:"attachment,omitzero"`
}

// A transit is a gateway with everything of it.
type transit struct {
	gateway     *transitGateway
	attachments []*attachment
	tables      []*transitTable
}

// loadTransit reads a gateway; nil when there is none.
func loadTransit(q store.Querier, id string) (*transit, error) {
	all, err := objects(q, "vpc = ?", id)
	if err != nil {
		return nil, err
	}
	t := &transit{}
	for _, o := range all {
		switch o := o.(type) {
		case *transitGateway:
			t.gateway = o
		case *attachment:
			t.attachments = append(t.attachments, o)
		case *transitTable:
			t.tables = append(t.tables, o)
		}
	}
	if t.gateway == nil {
		return nil, nil
	}
	return t, nil
}
