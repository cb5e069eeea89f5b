package netmodel

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
)

// TransitGateway is a router between VPCs. What comes from an attachment is routed by the table that the attachment is
// associated with, and by nothing else; without an association it goes nowhere. It keeps no memory of flows: the way back
// needs routes of its own.
type TransitGateway struct {
	ID          string              `json:"id"`
	Account     string              `json:"account"`
	Attachments []TransitAttachment `json:"attachments,omitempty"`
	RouteTables []TransitTable      `json:"routeTables,omitempty"`
}

// TransitAttachment is one VPC at a gateway. CIDRs are that VPC's ranges: what does not come from them is dropped, as no
// VPC here forwards for others.
type TransitAttachment struct {
	ID         string         `json:"id"`
	VPC        string         `json:"vpc"`
	CIDRs      []netip.Prefix `json:"cidrs"`
	RouteTable string         `json:"routeTable,omitempty"`
}

// TransitTable is a route table of a gateway: static and propagated routes, already made one list in which a range stands
// once. The longest match counts.
type TransitTable struct {
	ID     string         `json:"id"`
	Routes []TransitRoute `json:"routes,omitempty"`
}

// TransitRoute leads a range to an attachment; without one it is a black hole.
type TransitRoute struct {
	CIDR       netip.Prefix `json:"cidr"`
	Attachment string       `json:"attachment,omitempty"`
}

// TransitDevice is the name of both ends of the link between a VPC and a transit gateway.
func TransitDevice(attachmentID string) string {
	sum := sha256.Sum256([]byte(attachmentID))
	return "t" + hex.EncodeToString(sum[:7])
}

// Cloud is every network of a machine: what a question about a path needs to know.
type Cloud struct {
	VPCs     []*VPC
	Gateways []*TransitGateway
}

// Flow is a flow that somebody asks about. FromPort is the source port, which only network ACLs look at, when replies
// come; for ICMP Port is the type times 256 plus the code, and for other protocols than TCP and UDP FromPort is ignored.
type Flow struct {
	From, To       netip.Addr
	Protocol       Protocol
	FromPort, Port uint16
}
