package ec2

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

// A networkInterface is an address in a subnet: a workload's, an endpoint's, a NAT
// gateway's, or one from which an endpoint service connects.
type networkInterface struct {
	meta
	Subnet      string     `json:"subnet"`
	Address     netip.Addr `json:"address"`
	Groups      []string   `json:"groups"`
	MAC         string     `json:"mac"`
	Description string     `json:"description,omitzero"`
	Endpoint    string     `json:"endpoint,omitzero"`
	NAT         string     `json:"nat,omitzero"`    // NAT gateway whose address it is
	Dialer      string     `json:"dialer,omitzero"` // endpoint service that connects from it
	Workload    string     `json:"workload,omitzero"`
	Owner       string     `json:"owner,omitzero"`   // ARN of what the workload is
	Service     string     `json:"service,omitzero"` // that the workload is of
}

func (*networkInterface) kind() *kind { return kindInterface }

// newMAC is a hardware address that no hardware has: locally administered.
func newMAC() string {
	var b [6]byte
	rand.Read(b[:])
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", b[1], b[2], b[3], b[4], b[5])
}

// requester is the service whose interface it is.
func (i *networkInterface) requester() string {
	switch {
	case i.Endpoint != "":
		return "vpce.amazonaws.com"
	case i.NAT != "":
		return "natgateway.amazonaws.com"
	case i.Dialer != "":
		return "elasticloadbalancing.amazonaws.com"
	}
	return i.Service + ".amazonaws.com"
}

func (i *networkInterface) typed() ec2.NetworkInterfaceType {
	switch {
	case i.Endpoint != "":
		return ec2.NetworkInterfaceTypeVpcEndpoint
	case i.NAT != "":
		return "nat_gateway" // not as the API's model spells it, but as EC2 answers
	case i.Dialer != "":
		return ec2.NetworkInterfaceTypeNetworkLoadBalancer
	}
	return ec2.NetworkInterfaceTypeInterface
}

func (i *networkInterface) attachment() *ec2.NetworkInterfaceAttachment {
	return &ec2.NetworkInterfaceAttachment{
		AttachmentId: "eni-attach-" + i.ID[len(kindInterface.prefix):], AttachTime: i.Created, DeleteOnTermination: ptr(true),
		DeviceIndex: ptr(int32(0)), InstanceOwnerId: i.requester(), Status: ec2.AttachmentStatusAttached,
	}
}

func (n *network) groupsOf(i *networkInterface) (out []ec2.GroupIdentifier) {
	for _, id := range i.Groups {
		out = append(out, ec2.GroupIdentifier{GroupId: id, GroupName: byID(n.groups, id).Name})
	}
	return out
}

func (s *Service) showInterface(n *network, i *networkInterface) ec2.NetworkInterface {
	out := ec2.NetworkInterface{
		NetworkInterfaceId: i.ID, SubnetId: i.Subnet, VpcId: i.VPC, OwnerId: i.Account, Description: i.Description,
		AvailabilityZone: s.zone(), AvailabilityZoneId: s.zoneID(), InterfaceType: i.typed(), MacAddress: i.MAC,
		PrivateIpAddress:   i.Address.String(),
		PrivateIpAddresses: []ec2.NetworkInterfacePrivateIpAddress{{Primary: ptr(true), PrivateIpAddress: i.Address.String()}},
		RequesterId:        i.requester(), RequesterManaged: ptr(true), SourceDestCheck: ptr(true),
		Status: ec2.NetworkInterfaceStatusInUse, TagSet: tagList(i.Tags), Groups: n.groupsOf(i), Attachment: i.attachment(),
	}
	return out
}

func (s *Service) describeNetworkInterfaces(_ context.Context, c *api.Call, in *ec2.DescribeNetworkInterfacesInput, _ struct{}) (*ec2.DescribeNetworkInterfacesOutput, error) {
	of := func(field func(*networkInterface) string) func(*network, *networkInterface) []string {
		return func(_ *network, i *networkInterface) []string { return []string{field(i)} }
	}
	always := func(value string) func(*network, *networkInterface) []string {
		return func(*network, *networkInterface) []string { return []string{value} }
	}
	address := of(func(i *networkInterface) string { return i.Address.String() })
	list, next, err := list(s, c, listing[*networkInterface, ec2.NetworkInterface]{
		items: func(n *network) []*networkInterface { return n.interfaces },
		filters: filters[*networkInterface]{
			"addresses.primary":                always("true"),
			"addresses.private-ip-address":     address,
			"attachment.attach-time":           of(func(i *networkInterface) string { return i.Created.UTC().Format(attachTime) }),
			"attachment.attachment-id":         of(func(i *networkInterface) string { return i.attachment().AttachmentId }),
			"attachment.delete-on-termination": always("true"),
			"attachment.device-index":          always("0"),
			"attachment.instance-owner-id":     of((*networkInterface).requester),
			"attachment.nat-gateway-id":        of(func(i *networkInterface) string { return i.NAT }),
			"attachment.status":                always("attached"),
			"availability-zone":                always(s.zone()),
			"availability-zone-id":             always(s.zoneID()),
			"description":                      of(func(i *networkInterface) string { return i.Description }),
			"group-id":                         func(_ *network, i *networkInterface) []string { return i.Groups },
			"group-name": func(n *network, i *networkInterface) (out []string) {
				for _, g := range n.groupsOf(i) {
					out = append(out, g.GroupName)
				}
				return out
			},
			"interface-type":       of(func(i *networkInterface) string { return string(i.typed()) }),
			"mac-address":          of(func(i *networkInterface) string { return i.MAC }),
			"network-interface-id": of(func(i *networkInterface) string { return i.ID }),
			"owner-id":             of(func(i *networkInterface) string { return i.Account }),
			"private-ip-address":   address,
			"requester-id":         of((*networkInterface).requester),
			"requester-managed":    always("true"),
			"source-dest-check":    always("true"),
			"status":               always("in-use"),
			"subnet-id":            of(func(i *networkInterface) string { return i.Subnet }),
			"vpc-id":               of(func(i *networkInterface) string { return i.VPC }),
		},
		show: s.showInterface,
	}, ask{in.NetworkInterfaceIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: list, NextToken: next}, err
}

// attachTime is how the time of an attachment is written in a filter.
const attachTime = "2006-01-02T15:04:05.000Z"
