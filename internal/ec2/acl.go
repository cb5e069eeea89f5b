package ec2

import "net/netip"

// An acl is a network ACL. A VPC's default one exists from the beginning and is a
// row only once somebody changed it: see [network.defaultACL].
type acl struct {
	meta
	Default bool       `json:"default,omitzero"`
	Entries []aclEntry `json:"entries,omitempty"` // in the order of direction and number
}

func (*acl) kind() *kind { return kindACL }

// An aclEntry is one line. What no line matches is refused.
type aclEntry struct {
	Number   int32        `json:"number"`
	Egress   bool         `json:"egress,omitzero"`
	Allow    bool         `json:"allow,omitzero"`
	Protocol string       `json:"protocol"` // as a rule's
	From     int32        `json:"from"`
	To       int32        `json:"to"`
	CIDR     netip.Prefix `json:"cidr"`
}
