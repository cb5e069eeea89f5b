package ec2

import "net/netip"

// A prefixList is a customer's managed prefix list: a named set of ranges that
// rules and routes name. It belongs to no VPC.
type prefixList struct {
	meta
	Name     string                  `json:"name"`
	Max      int32                   `json:"max"`
	Version  int64                   `json:"version"`
	Versions map[int64][]prefixEntry `json:"versions"` // the current one and those that can be restored
}

func (*prefixList) kind() *kind { return kindList }

type prefixEntry struct {
	CIDR        netip.Prefix `json:"cidr"`
	Description string       `json:"description,omitzero"`
}

// prefixes are the ranges of the current version.
func (l *prefixList) prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, e := range l.Versions[l.Version] {
		out = append(out, e.CIDR)
	}
	return out
}
