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
	maxPrefixLists  = 100
	maxPrefixes     = 1000
	maxEndpoints    = 100
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
		c.ranges, c.routeTables, c.subnets, c.groups, c.prefixLists, c.endpoints, c.interfaces, c.rules,
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
	if len(v.Account) != 12 || strings.Trim(v.Account, "0123456789") != "" {
		return errors.New("an account id has twelve digits")
	}
	if len(v.CIDRs) == 0 || len(v.CIDRs) > maxCIDRs {
		return fmt.Errorf("a VPC has 1 to %d ranges", maxCIDRs)
	}
	for i, p := range v.CIDRs {
		if err := checkRange(p); err != nil {
			return err
		}
		for _, q := range v.CIDRs[:i] {
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

func (c *checker) routeTables() error {
	if len(c.vpc.RouteTables) > maxRouteTables {
		return fmt.Errorf("more than %d route tables", maxRouteTables)
	}
	for _, t := range c.vpc.RouteTables {
		if err := c.declare(kindRouteTable, t.ID); err != nil {
			return err
		}
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

func inside(p netip.Prefix, outer []netip.Prefix) bool {
	for _, o := range outer {
		if o.Bits() <= p.Bits() && o.Contains(p.Addr()) {
			return true
		}
	}
	return false
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

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
