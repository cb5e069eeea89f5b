package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

// A fact is something that is there without anybody having made it.
type fact struct{ meta }

func (*fact) kind() *kind { return nil }

// passes says whether a fact, by what it has under the name of each filter, is asked
// for.
func passes(asked []ec2.Filter, has map[string]string) (bool, error) {
	known := filters[*fact]{}
	for name, value := range has {
		known[name] = func(*network, *fact) []string { return []string{value} }
	}
	if err := checkFilters(known, asked); err != nil {
		return false, err
	}
	return matches(nil, &fact{}, known, asked), nil
}

// named refuses names that something which is there once does not have.
func unknownName(asked []string, name, parameter, why string) error {
	for _, n := range asked {
		if n != name {
			return invalidValue(n, parameter, why)
		}
	}
	return nil
}

const optedIn = "opt-in-not-required"

func (s *Service) describeAvailabilityZones(_ context.Context, _ *api.Call, in *ec2.DescribeAvailabilityZonesInput, _ struct{}) (*ec2.DescribeAvailabilityZonesOutput, error) {
	if err := unknownName(in.ZoneNames, s.zone(), "zoneName", "Invalid availability zone."); err != nil {
		return nil, err
	}
	if err := unknownName(in.ZoneIds, s.zoneID(), "zoneId", "Invalid availability zone-id."); err != nil {
		return nil, err
	}
	ok, err := passes(in.Filters, map[string]string{
		"group-name": s.Region, "opt-in-status": optedIn, "region-name": s.Region, "state": "available",
		"zone-id": s.zoneID(), "zone-name": s.zone(), "zone-type": "availability-zone",
	})
	if err != nil || !ok {
		return &ec2.DescribeAvailabilityZonesOutput{}, err
	}
	return &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: []ec2.AvailabilityZone{{
		ZoneName: s.zone(), ZoneId: s.zoneID(), ZoneType: "availability-zone", State: ec2.AvailabilityZoneStateAvailable,
		RegionName: s.Region, GroupName: s.Region, NetworkBorderGroup: s.Region, OptInStatus: optedIn,
	}}}, nil
}

func (s *Service) describeRegions(_ context.Context, _ *api.Call, in *ec2.DescribeRegionsInput, _ struct{}) (*ec2.DescribeRegionsOutput, error) {
	if err := unknownName(in.RegionNames, s.Region, "regionName", "There is no such region here."); err != nil {
		return nil, err
	}
	it := ec2.Region{RegionName: s.Region, Endpoint: "ec2." + s.Region + ".amazonaws.com", OptInStatus: optedIn}
	ok, err := passes(in.Filters, map[string]string{"endpoint": it.Endpoint, "opt-in-status": optedIn, "region-name": s.Region})
	if err != nil || !ok {
		return &ec2.DescribeRegionsOutput{}, err
	}
	return &ec2.DescribeRegionsOutput{Regions: []ec2.Region{it}}, nil
}

// describeAccountAttributes says 0 of what an account can have none of.
func (s *Service) describeAccountAttributes(_ context.Context, c *api.Call, in *ec2.DescribeAccountAttributesInput, _ struct{}) (*ec2.DescribeAccountAttributesOutput, error) {
	is, err := defaultVPC(c.Snapshot, c.Account)
	if err != nil {
		return nil, err
	}
	id := "none"
	if is != nil {
		id = is.ID
	}
	out := &ec2.DescribeAccountAttributesOutput{}
	for _, a := range [][2]string{
		{"supported-platforms", "VPC"}, {"vpc-max-security-groups-per-interface", decimal(maxGroupsOfOne)}, {"max-elastic-ips", "0"},
		{"max-instances", "0"}, {"vpc-max-elastic-ips", "0"}, {"default-vpc", id},
	} {
		if len(in.AttributeNames) == 0 || slices.Contains(in.AttributeNames, ec2.AccountAttributeName(a[0])) {
			out.AccountAttributes = append(out.AccountAttributes, ec2.AccountAttribute{
				AttributeName: a[0], AttributeValues: []ec2.AccountAttributeValue{{AttributeValue: a[1]}},
			})
		}
	}
	return out, nil
}

const dhcpPrefix = "dopt-"

// dhcpOptionsID is the id of the DHCP options that all VPCs of an account have.
func (s *Service) dhcpOptionsID(account string) string {
	sum := sha256.Sum256([]byte("dhcp-options " + s.Region + " " + account))
	return dhcpPrefix + hex.EncodeToString(sum[:])[:idDigits]
}

func (s *Service) describeDHCPOptions(_ context.Context, c *api.Call, in *ec2.DescribeDhcpOptionsInput, _ struct{}) (*ec2.DescribeDhcpOptionsOutput, error) {
	const key, value = "domain-name-servers", "AmazonProvidedDNS"
	id := s.dhcpOptionsID(c.Account)
	for _, other := range in.DhcpOptionsIds {
		if !(&kind{prefix: dhcpPrefix}).names(other) {
			return nil, fail("InvalidDhcpOptionsId.Malformed", "Invalid id: \"%.64s\" (expecting \"%s...\")", other, dhcpPrefix)
		}
		if other != id {
			return nil, fail("InvalidDhcpOptionID.NotFound", "The dhcpOption ID '%s' does not exist", other)
		}
	}
	if in.NextToken != "" {
		return nil, fail("InvalidNextToken", "The token '%.64s' is invalid.", in.NextToken)
	}
	ok, err := passes(in.Filters, map[string]string{"dhcp-options-id": id, "key": key, "owner-id": c.Account, "value": value})
	if err != nil || !ok {
		return &ec2.DescribeDhcpOptionsOutput{}, err
	}
	return &ec2.DescribeDhcpOptionsOutput{DhcpOptions: []ec2.DhcpOptions{{
		DhcpOptionsId: id, OwnerId: c.Account,
		DhcpConfigurations: []ec2.DhcpConfiguration{{Key: key, Values: []ec2.AttributeValue{{Value: value}}}},
	}}}, nil
}
