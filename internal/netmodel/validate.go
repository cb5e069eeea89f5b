package netmodel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Limits on a VPC. Each is at or above the Amazon VPC quota of the same name.
const (
	maxCIDRs        = 5
	maxSubnets      = 256
	maxRouteTables  = 256
	maxGroups       = 500
	maxRules        = 200
	maxGroupsOfOne  = 16
	maxPrefixLists  = 128
	maxPrefixes     = 1000
	maxEndpoints    = 100
	maxRoutes       = 1000
	maxACLs         = 200
	maxEntries      = 40
	maxEntryNumber  = 32766
	maxAttachments  = 20
	maxDialers      = 100
	maxOutside      = 100
	maxNames        = 64
	maxPorts        = 16
	maxInterfaces   = 4096
	minBits         = 16
	maxBits         = 28
	reservedAtStart = 4
)

// Validate reports the first thing that makes the VPC unfit to be enforced: a bad or repeated identifier or address, a
// reference to something that is not there, a range outside its parent, a rule without exactly one peer, a limit exceeded.
func (v *VPC) Validate() error {
	if v == nil {
		return errors.New("netmodel: no VPC")
	}
	c := checker{vpc: v, ids: map[string]string{}, addresses: map[netip.Addr]string{}, devices: map[string]string{}}
	for _, step := range []func() error{
		c.ranges, c.routeTables, c.networkACLs, c.subnets, c.groups, c.prefixLists, c.endpoints, c.attachments, c.dialers, c.interfaces, c.rules,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("netmodel: %s: %w", v.ID, err)
		}
	}
	return nil
}

// checker remembers what a VPC has declared so far, by identifier and by address.
type checker struct {
	vpc       *VPC
	ids       map[string]string // identifier to kind
	addresses map[netip.Addr]string
	devices   map[string]string
}

const (
	kindSubnet     = "subnet"
	kindRouteTable = "route table"
	kindGroup      = "security group"
	kindPrefixList = "prefix list"
	kindEndpoint   = "endpoint"
	kindInterface  = "interface"
	kindACL        = "network ACL"
	kindAttachment = "attachment"
	kindDialer     = "dialer"
)

// ValidID reports whether s may name something: 1 to 64 lower-case letters, digits and hyphens, beginning with a letter.
// Such a name is also safe as a file name and inside a packet filter's quoted string.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

func (c *checker) declare(kind, id string) error {
	if !ValidID(id) {
		return fmt.Errorf("%s has the invalid id %.80q", kind, id)
	}
	if _, dup := c.ids[id]; dup {
		return fmt.Errorf("%s %s is declared twice", kind, id)
	}
	c.ids[id] = kind
	return nil
}

func (c *checker) refer(kind, id string) error {
	if c.ids[id] != kind {
		return fmt.Errorf("%.80q is not a %s of this VPC", id, kind)
	}
	return nil
}

func (c *checker) referAll(kind string, ids []string, limit int) error {
	if len(ids) > limit {
		return fmt.Errorf("more than %d references to a %s", limit, kind)
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if err := c.refer(kind, id); err != nil {
			return err
		}
		if seen[id] {
			return fmt.Errorf("%s is named twice", id)
		}
		seen[id] = true
	}
	return nil
}

func (c *checker) ranges() error {
	v := c.vpc
	if !ValidID(v.ID) {
		return errors.New("invalid VPC id")
	}
	if !validAccount(v.Account) {
		return errors.New("an account id has twelve digits")
	}
	return checkRanges(v.CIDRs)
}

func validAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// checkRanges admits what a VPC may consist of.
func checkRanges(all []netip.Prefix) error {
	if len(all) == 0 || len(all) > maxCIDRs {
		return fmt.Errorf("a VPC has 1 to %d ranges", maxCIDRs)
	}
	for i, p := range all {
		if err := checkRange(p); err != nil {
			return err
		}
		for _, q := range all[:i] {
			if p.Overlaps(q) {
				return fmt.Errorf("ranges %s and %s overlap", p, q)
			}
		}
	}
	return nil
}

// checkRange admits what a VPC or a subnet may be: IPv4, /16 to /28, and no address that Linux treats in a special way.
func checkRange(p netip.Prefix) error {
	if !p.IsValid() || !p.Addr().Is4() || p != p.Masked() || p.Bits() < minBits || p.Bits() > maxBits {
		return fmt.Errorf("%s is not an IPv4 range of /%d to /%d", p, minBits, maxBits)
	}
	a := p.Addr()
	if a.IsLoopback() || a.IsLinkLocalUnicast() || a.As4()[0] == 0 || a.As4()[0] >= 224 {
		return fmt.Errorf("%s is reserved", p)
	}
	return nil
}

func (c *checker) subnets() error {
	v := c.vpc
	if len(v.Subnets) > maxSubnets {
		return fmt.Errorf("more than %d subnets", maxSubnets)
	}
	for i, s := range v.Subnets {
		if err := c.declare(kindSubnet, s.ID); err != nil {
			return err
		}
		if err := c.refer(kindRouteTable, s.RouteTable); err != nil {
			return err
		}
		if s.NetworkACL != "" {
			if err := c.refer(kindACL, s.NetworkACL); err != nil {
				return err
			}
		}
		if err := checkRange(s.CIDR); err != nil {
			return err
		}
		if !inside(s.CIDR, v.CIDRs) {
			return fmt.Errorf("subnet %s lies outside the VPC", s.CIDR)
		}
		for _, t := range v.Subnets[:i] {
			if s.CIDR.Overlaps(t.CIDR) {
				return fmt.Errorf("subnets %s and %s overlap", s.CIDR, t.CIDR)
			}
		}
	}
	return nil
}

// claim takes an address of a subnet for one user. As in Amazon's subnets the first four and the last are nobody's.
func (c *checker) claim(subnet string, a netip.Addr, user string) error {
	if err := c.refer(kindSubnet, subnet); err != nil {
		return err
	}
	p := c.vpc.subnet(subnet).CIDR
	if !p.Contains(a) {
		return fmt.Errorf("%s is not an address of %s", a, subnet)
	}
	host := toUint(a) - toUint(p.Addr())
	if size := uint32(1) << (32 - p.Bits()); host < reservedAtStart || host == size-1 {
		return fmt.Errorf("%s is reserved in %s", a, subnet)
	}
	return c.claimUnique(a, user)
}

func (c *checker) claimUnique(a netip.Addr, user string) error {
	if other, dup := c.addresses[a]; dup {
		return fmt.Errorf("%s and %s have the same address %s", other, user, a)
	}
	c.addresses[a] = user
	return nil
}

func (c *checker) takeDevice(name, id string) error {
	if other, dup := c.devices[name]; dup {
		return fmt.Errorf("%s and %s map to one device name", other, id)
	}
	c.devices[name] = id
	return nil
}
