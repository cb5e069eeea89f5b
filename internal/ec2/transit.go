package ec2

import (
	"cmp"
	"net/netip"
	"slices"

	"bawn.dev/internal/store"
)

// The states of an attachment that last. Only an available one carries anything; a
// rejected one holds nothing up.
const (
	attachmentAvailable = "available"
	attachmentPending   = "pendingAcceptance"
	attachmentRejected  = "rejected"
)

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
	State        string   `json:"state"` // as EC2 calls it
	DNS          bool     `json:"dns,omitzero"`
	Table        string   `json:"table,omitzero"`         // associated
	Propagations []string `json:"propagations,omitempty"` // tables that learn the VPC's ranges
}

func (*attachment) kind() *kind { return kindAttachment }

// stands says whether an attachment keeps its VPC and its gateway from being deleted.
func (a *attachment) stands() bool { return a.State != attachmentRejected }

// A transitTable is a route table of a gateway; learned routes are not among Routes.
type transitTable struct {
	meta
	Routes []transitRoute `json:"routes,omitempty"`
}

func (*transitTable) kind() *kind { return kindTransitTab }

// A transitRoute without an attachment is a black hole, and so is one to an
// attachment that is gone.
type transitRoute struct {
	CIDR       netip.Prefix `json:"cidr"`
	Attachment string       `json:"attachment,omitzero"`
}

// A transit is a gateway with everything of it.
type transit struct {
	gateway     *transitGateway
	attachments []*attachment
	tables      []*transitTable
	ranges      map[string][]netip.Prefix // of the VPCs, by id
}

// loadTransit reads a gateway; nil when there is none.
func loadTransit(q store.Querier, id string) (*transit, error) {
	all, err := objects(q, "vpc = ?", id)
	if err != nil {
		return nil, err
	}
	t := &transit{ranges: map[string][]netip.Prefix{}}
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
	for _, a := range t.attachments {
		o, err := row(q, a.Network)
		if err != nil {
			return nil, err
		}
		if v, ok := o.(*vpc); ok {
			t.ranges[a.Network] = v.ranges()
		}
	}
	// The oldest attachment's ranges count where two VPCs have the same.
	slices.SortFunc(t.attachments, func(a, b *attachment) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return t, nil
}

// changeTransit reads a gateway inside a change that was decided on its being there.
func changeTransit(tx *store.Tx, id string) (*transit, error) {
	t, err := loadTransit(tx, id)
	if err == nil && t == nil {
		return nil, kindTransit.missing(id)
	}
	return t, err
}

// part finds a part of a gateway that a decision saw.
func part[T interface {
	comparable
	object
}](list []T, id string) (T, error) {
	var none T
	it := byID(list, id)
	if it == none {
		return none, none.kind().missing(id)
	}
	return it, nil
}

// carries is the available attachment with an id; nil when there is none.
func (t *transit) carries(id string) *attachment {
	if a := byID(t.attachments, id); a != nil && a.State == attachmentAvailable {
		return a
	}
	return nil
}

// A transitWay is a route in force. Without an attachment it is a black hole.
type transitWay struct {
	CIDR   netip.Prefix
	Leads  *attachment
	Static bool
}

// ways are a table's routes in force, in the order of their ranges: a static one
// before a learned one for the same range, and of learned ones that of the oldest
// attachment.
func (t *transit) ways(tab *transitTable) []transitWay {
	var out []transitWay
	seen := map[netip.Prefix]bool{}
	add := func(w transitWay) {
		if !seen[w.CIDR] {
			seen[w.CIDR] = true
			out = append(out, w)
		}
	}
	for _, r := range tab.Routes {
		add(transitWay{r.CIDR, t.carries(r.Attachment), true})
	}
	for _, a := range t.attachments {
		if a.State == attachmentAvailable && slices.Contains(a.Propagations, tab.ID) {
			for _, p := range t.ranges[a.Network] {
				add(transitWay{p, a, false})
			}
		}
	}
	slices.SortFunc(out, func(a, b transitWay) int { return byRange(a.CIDR, b.CIDR) })
	return out
}

func byRange(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
