// Package netmodel describes virtual private clouds and the transit gateways between them as data and answers, without
// touching a machine, whether a packet passes in them.
//
// The same description crosses the socket between the server, which builds it from what people created over the EC2 API,
// and the host, whose fabric makes Linux obey it. Its views must agree: [VPC.Pass], [VPC.Enter] and [Cloud.Trace] say what
// is allowed and why; [Compile] and [CompileTransit] make packet filters, [VPC.Routing] and [TransitGateway.Routing] the
// kernel's routing tables; [VPC.Resolve] says what the private name server answers. Tests hold them against each other, and
// the fabric's tests hold them against real packets.
//
// Trust: nothing here trusts its input. [Parse] and [ParseTransit] refuse unknown, duplicate and differently cased members;
// Validate bounds every list and admits only identifiers and addresses that cannot mean anything to a packet filter but
// themselves. Whoever controls a VPC description decides which of that VPC's own interfaces may talk to each other and
// what they may send into the attachments that it names, and no more: a description has no way to name a host address, a
// link that is not an attachment, or a rule that accepts outside the gates. What comes by an attachment is held to the
// attached VPC's ranges by the gateway, and out of a VPC's own ranges by the VPC, each by itself.
//
// Semantics are those of Amazon VPC's user guide. Security groups: allow rules only, stateful, a default of deny, the
// sender's outbound and the receiver's inbound rules both needed. Network ACLs: ordered, stateless, at the borders of
// subnets. Routes: the longest match, under a local route that nothing overrides. Neither groups nor ACLs filter traffic to
// the resolver, to instance metadata and to the task credentials address, as there.
package netmodel

import "net/netip"

// Addresses that exist in every VPC. They are link-local, so no VPC range can contain them.
var (
	// Gateway is the next hop of every workload: the VPC's side of its link. It answers nothing.
	Gateway = netip.AddrFrom4([4]byte{169, 254, 1, 1})
	// Resolver is the fixed address of the private name server; [VPC.ResolverAddress] is the other one.
	Resolver = netip.AddrFrom4([4]byte{169, 254, 169, 253})
	// Metadata is EC2's instance metadata address. Bawn has none: connections are reset at once.
	Metadata = netip.AddrFrom4([4]byte{169, 254, 169, 254})
	// Credentials is the address of the container credentials endpoint, on port 80.
	Credentials = netip.AddrFrom4([4]byte{169, 254, 170, 2})
	// GatewayEndpoints is the range that the addresses of gateway endpoints come from.
	GatewayEndpoints = netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, 171, 0}), 24)
)

// MTU is the size of the greatest packet on every link, as in Amazon VPC. What is larger is lost, as fragments are refused.
const MTU = 9001

// Ports of the two services that security groups do not filter.
const (
	DNSPort         = 53
	CredentialsPort = 80
)

// VPC is one virtual network: everything that can send in it, be reached in it, and the rules between them.
type VPC struct {
	ID             string          `json:"id"`
	Account        string          `json:"account"`
	CIDRs          []netip.Prefix  `json:"cidrs"`
	Subnets        []Subnet        `json:"subnets"`
	RouteTables    []RouteTable    `json:"routeTables"`
	NetworkACLs    []NetworkACL    `json:"networkAcls,omitempty"`
	SecurityGroups []SecurityGroup `json:"securityGroups"`
	PrefixLists    []PrefixList    `json:"prefixLists,omitempty"`
	Endpoints      []Endpoint      `json:"endpoints,omitempty"`
	Attachments    []Attachment    `json:"attachments,omitempty"`
	Dialers        []Dialer        `json:"dialers,omitempty"`
	Interfaces     []Interface     `json:"interfaces,omitempty"`
	// FlowLogs asks for a record of every flow, refused ones included.
	FlowLogs bool `json:"flowLogs,omitempty"`
}

// Subnet is an address range, the route table that governs it and the network ACL at its border. RouteTable is always
// explicit: whoever builds the VPC resolves the main table. Without a NetworkACL everything passes the border, as it does
// with a default ACL that nobody changed.
type Subnet struct {
	ID         string       `json:"id"`
	CIDR       netip.Prefix `json:"cidr"`
	RouteTable string       `json:"routeTable"`
	NetworkACL string       `json:"networkAcl,omitempty"`
}

// RouteTable holds the local route, always, which no other overrides; the gateway endpoints that name it; and Routes, of
// which the longest match counts.
type RouteTable struct {
	ID     string  `json:"id"`
	Routes []Route `json:"routes,omitempty"`
}

// Route leads a range to the NAT gateway or the transit gateway's attachment with the id Target. Any other target, an
// internet gateway's say, and an empty one, is a dead end: nothing here has an address of its own in the internet.
type Route struct {
	CIDR   netip.Prefix `json:"cidr"`
	Target string       `json:"target,omitempty"`
}

// NetworkACL decides, without a memory of flows, what crosses the border of its subnets. The first entry that matches a
// packet, by Number, decides; what none matches is refused. Replies are packets like any other. As in Amazon VPC, traffic
// within a subnet and to the addresses that every VPC has is not asked about.
type NetworkACL struct {
	ID      string     `json:"id"`
	Ingress []ACLEntry `json:"ingress,omitempty"`
	Egress  []ACLEntry `json:"egress,omitempty"`
}

// ACLEntry matches a protocol, destination ports and the range of the other side: the source of what comes in, the
// destination of what goes out. Protocol and ports are as a [Rule]'s. Numbers rise strictly within a direction.
type ACLEntry struct {
	Number   int          `json:"number"`
	Allow    bool         `json:"allow,omitempty"`
	Protocol Protocol     `json:"protocol"`
	FromPort int          `json:"fromPort"`
	ToPort   int          `json:"toPort"`
	CIDR     netip.Prefix `json:"cidr"`
}

// Attachment joins a VPC to a transit gateway; see [TransitGateway].
type Attachment struct {
	ID      string `json:"id"`
	Gateway string `json:"gateway"`
}

// Dialer is an address of the VPC from which the server itself connects to interfaces, for those who come through an
// endpoint service. Ingress rules of whom it connects to apply, and nothing may connect to it.
type Dialer struct {
	ID      string     `json:"id"`
	Subnet  string     `json:"subnet"`
	Address netip.Addr `json:"address"`
}

// SecurityGroup admits what one of its rules matches. A group without rules admits nothing.
//
// Outside are the names in the internet that its members may reach through a NAT gateway, if a route leads there and the
// egress rules let them reach the gateway itself.
type SecurityGroup struct {
	ID      string        `json:"id"`
	Ingress []Rule        `json:"ingress,omitempty"`
	Egress  []Rule        `json:"egress,omitempty"`
	Outside []OutsideRule `json:"outside,omitempty"`
}

// OutsideRule admits a name, or with "*." before it all names under one, at any of the ports.
type OutsideRule struct {
	Name  string   `json:"name"`
	Ports []uint16 `json:"ports"`
}

// Rule admits a protocol and port range to or from exactly one of a range, the members of a group, or a prefix list.
//
// For TCP and UDP the ports are inclusive, 0 to 65535. For ICMP FromPort is the type and ToPort the code, -1 meaning any,
// as in EC2. For [AllProtocols] and other protocols both are -1 or both 0, and mean nothing.
type Rule struct {
	Protocol   Protocol     `json:"protocol"`
	FromPort   int          `json:"fromPort"`
	ToPort     int          `json:"toPort"`
	CIDR       netip.Prefix `json:"cidr,omitzero"`
	Group      string       `json:"group,omitzero"`
	PrefixList string       `json:"prefixList,omitzero"`
}

// PrefixList is a named set of ranges.
type PrefixList struct {
	ID    string         `json:"id"`
	CIDRs []netip.Prefix `json:"cidrs"`
}

// EndpointType tells the two kinds of VPC endpoint apart. The zero value is neither and refused.
type EndpointType string

// The kinds of endpoint, named as in EC2's VpcEndpointType, and the NAT gateway, which is one more door.
const (
	InterfaceEndpoint EndpointType = "Interface"
	GatewayEndpoint   EndpointType = "Gateway"
	NATGateway        EndpointType = "NatGateway"
)

// Ports of a NAT gateway: what it takes for the name in a request's Host or in a TLS greeting, and a proxy that is asked
// by name ("CONNECT pypi.org:443").
const (
	NATPortHTTP  = 80
	NATPortTLS   = 443
	NATPortProxy = 3128
)

// Endpoint is a door from inside the VPC to one service: addresses inside the VPC's own namespace on which the server
// listens.
//
// An interface endpoint has one address in each of its subnets and is admitted by its security groups. A gateway endpoint
// has one address from [GatewayEndpoints], is reachable from the subnets of its route tables only, and is the content of
// PrefixList, so that an egress rule can name it. A NAT gateway has one address in a subnet and is reachable from the
// subnets whose table routes 0.0.0.0/0 to it; it is a proxy, not a router: see [VPC.Outside].
type Endpoint struct {
	ID          string            `json:"id"`
	Type        EndpointType      `json:"type"`
	Service     string            `json:"service"`
	Names       []string          `json:"names,omitempty"`
	Ports       []uint16          `json:"ports"`
	Addresses   []EndpointAddress `json:"addresses"`
	Groups      []string          `json:"groups,omitempty"`
	RouteTables []string          `json:"routeTables,omitempty"`
	PrefixList  string            `json:"prefixList,omitempty"`
}

// EndpointAddress is an address of an endpoint and the subnet it is in; a gateway endpoint's is in none.
type EndpointAddress struct {
	Subnet  string     `json:"subnet,omitempty"`
	Address netip.Addr `json:"address"`
}

// Interface is the one way by which a workload reaches its VPC. An interface in no group can neither send nor receive.
type Interface struct {
	ID       string     `json:"id"`
	Subnet   string     `json:"subnet"`
	Address  netip.Addr `json:"address"`
	Groups   []string   `json:"groups,omitempty"`
	Workload string     `json:"workload"`
	Owner    string     `json:"owner,omitempty"`
	MAC      string     `json:"mac"`
}

// ResolverAddress is the second fixed address of the private name server: the base of the first range plus two, as in
// every Amazon VPC. It is the zero Addr if the VPC has no range.
func (v *VPC) ResolverAddress() netip.Addr {
	if len(v.CIDRs) == 0 || !v.CIDRs[0].IsValid() {
		return netip.Addr{}
	}
	return v.CIDRs[0].Masked().Addr().Next().Next()
}

// InterfaceAt returns the interface with this address, or nil.
func (v *VPC) InterfaceAt(a netip.Addr) *Interface {
	for i := range v.Interfaces {
		if v.Interfaces[i].Address == a {
			return &v.Interfaces[i]
		}
	}
	return nil
}

// EndpointAt returns the endpoint with this address, or nil.
func (v *VPC) EndpointAt(a netip.Addr) *Endpoint {
	for i := range v.Endpoints {
		for _, e := range v.Endpoints[i].Addresses {
			if e.Address == a {
				return &v.Endpoints[i]
			}
		}
	}
	return nil
}

func (v *VPC) subnet(id string) *Subnet {
	for i := range v.Subnets {
		if v.Subnets[i].ID == id {
			return &v.Subnets[i]
		}
	}
	return nil
}

func (v *VPC) group(id string) *SecurityGroup {
	for i := range v.SecurityGroups {
		if v.SecurityGroups[i].ID == id {
			return &v.SecurityGroups[i]
		}
	}
	return nil
}
