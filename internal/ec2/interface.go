package ec2

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

// A networkInterface is an address in a subnet: a workload's, or an endpoint's.
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
	if i.Endpoint != "" {
		return "vpce.amazonaws.com"
	}
	return i.Service + ".amazonaws.com"
}

func (i *networkInterface) typed() ec2.NetworkInterfaceType {
	if i.Endpoint != "" {
		return ec2.NetworkInterfaceTypeVpcEndpoint
	}
	return ec2.NetworkInterfaceTypeInterface
}

func (s *Service) showInterface(n *network, i *networkInterface) ec2.NetworkInterface {
	out := ec2.NetworkInterface{
		NetworkInterfaceId: i.ID, SubnetId: i.Subnet, VpcId: i.VPC, OwnerId: i.Account, Description: i.Description,
		AvailabilityZone: s.zone(), AvailabilityZoneId: s.zoneID(), InterfaceType: i.typed(), MacAddress: i.MAC,
		PrivateIpAddress:   i.Address.String(),
		PrivateIpAddresses: []ec2.NetworkInterfacePrivateIpAddress{{Primary: ptr(true), PrivateIpAddress: i.Address.String()}},
		RequesterId:        i.requester(), RequesterManaged: ptr(true), SourceDestCheck: ptr(true),
		Status: ec2.NetworkInterfaceStatusInUse, TagSet: tagList(i.Tags),
		Attachment: &ec2.NetworkInterfaceAttachment{
			AttachmentId: "eni-attach-" + i.ID[len(kindInterface.prefix):], AttachTime: i.Created, DeleteOnTermination: ptr(true),
			DeviceIndex: ptr(int32(0)), InstanceOwnerId: i.requester(), Status: ec2.AttachmentStatusAttached,
		},
	}
	for _, id := range i.Groups {
		out.Groups = append(out.Groups, ec2.GroupIdentifier{GroupId: id, GroupName: byID(n.groups, id).Name})
	}
	return out
}

func (s *Service) describeNetworkInterfaces(_ context.Context, c *api.Call, in *ec2.DescribeNetworkInterfacesInput, _ struct{}) (*ec2.DescribeNetworkInterfacesOutput, error) {
	address := func(_ *network, i *networkInterface) []string { return []string{i.Address.String()} }
	list, next, err := list(s, c, listing[*networkInterface, ec2.NetworkInterface]{
		items: func(n *network) []*networkInterface { return n.interfaces },
		filters: filters[*networkInterface]{
			"addresses.private-ip-address": address,
			"private-ip-address":           address,
			"attachment.status":            func(*network, *networkInterface) []string { return []string{"attached"} },
			"availability-zone":            func(*network, *networkInterface) []string { return []string{s.zone()} },
			"description":                  func(_ *network, i *networkInterface) []string { return []string{i.Description} },
			"group-id":                     func(_ *network, i *networkInterface) []string { return i.Groups },
			"group-name": func(n *network, i *networkInterface) (out []string) {
				for _, id := range i.Groups {
					out = append(out, byID(n.groups, id).Name)
				}
				return out
			},
			"interface-type":       func(_ *network, i *networkInterface) []string { return []string{string(i.typed())} },
			"mac-address":          func(_ *network, i *networkInterface) []string { return []string{i.MAC} },
			"network-interface-id": func(_ *network, i *networkInterface) []string { return []string{i.ID} },
			"owner-id":             func(_ *network, i *networkInterface) []string { return []string{i.Account} },
			"requester-id":         func(_ *network, i *networkInterface) []string { return []string{i.requester()} },
			"requester-managed":    func(*network, *networkInterface) []string { return []string{"true"} },
			"status":               func(*network, *networkInterface) []string { return []string{"in-use"} },
			"subnet-id":            func(_ *network, i *networkInterface) []string { return []string{i.Subnet} },
			"vpc-id":               func(_ *network, i *networkInterface) []string { return []string{i.VPC} },
		},
		show: s.showInterface,
	}, ask{in.NetworkInterfaceIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: list, NextToken: next}, err
}
