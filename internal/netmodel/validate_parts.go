package netmodel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

func (c *checker) groups() error {
	if len(c.vpc.SecurityGroups) > maxGroups {
		return fmt.Errorf("more than %d security groups", maxGroups)
	}
	for _, g := range c.vpc.SecurityGroups {
		if err := c.declare(kindGroup, g.ID); err != nil {
			return err
		}
		if len(g.Ingress) > maxRules || len(g.Egress) > maxRules {
			return fmt.Errorf("%s has more than %d rules in one direction", g.ID, maxRules)
		}
		if err := checkOutside(g.Outside); err != nil {
			return fmt.Errorf("%s: %w", g.ID, err)
		}
	}
	return nil
}

func (c *checker) prefixLists() error {
	if len(c.vpc.PrefixLists) > maxPrefixLists {
		return fmt.Errorf("more than %d prefix lists", maxPrefixLists)
	}
	for _, l := range c.vpc.PrefixLists {
		if err := c.declare(kindPrefixList, l.ID); err != nil {
			return err
		}
		if len(l.CIDRs) > maxPrefixes {
			return fmt.Errorf("%s has more than %d ranges", l.ID, maxPrefixes)
		}
		for _, p := range l.CIDRs {
			if err := checkPeer(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPeer admits any IPv4 range as a rule's peer, in canonical form.
func checkPeer(p netip.Prefix) error {
	if !p.IsValid() || !p.Addr().Is4() || p != p.Masked() {
		return fmt.Errorf("%s is not an IPv4 range", p)
	}
	return nil
}

func (c *checker) endpoints() error {
	if len(c.vpc.Endpoints) > maxEndpoints {
		return fmt.Errorf("more than %d endpoints", maxEndpoints)
	}
	for i := range c.vpc.Endpoints {
		e := &c.vpc.Endpoints[i]
		if err := c.declare(kindEndpoint, e.ID); err != nil {
			return err
		}
		if err := c.endpoint(e); err != nil {
			return fmt.Errorf("%s: %w", e.ID, err)
		}
	}
	// Lists that exist only as the content of a gateway endpoint become nameable when all lists are known.
	for _, e := range c.vpc.Endpoints {
		if e.PrefixList == "" || c.ids[e.PrefixList] == kindPrefixList {
			continue
		}
		if err := c.declare(kindPrefixList, e.PrefixList); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) endpoint(e *Endpoint) error {
	if !ValidID(e.Service) {
		return errors.New("invalid service name")
	}
	if err := checkPorts(e.Ports); err != nil {
		return err
	}
	if len(e.Names) > maxNames {
		return fmt.Errorf("more than %d names", maxNames)
	}
	for _, n := range e.Names {
		if !validName(n) {
			return fmt.Errorf("invalid name %.80q", n)
		}
	}
	switch e.Type {
	case InterfaceEndpoint:
		return c.interfaceEndpoint(e)
	case GatewayEndpoint:
		return c.gatewayEndpoint(e)
	case NATGateway:
		return c.natGateway(e)
	}
	return fmt.Errorf("unknown type %.20q", e.Type)
}

func (c *checker) interfaceEndpoint(e *Endpoint) error {
	if len(e.RouteTables) > 0 || e.PrefixList != "" {
		return errors.New("an interface endpoint has neither route tables nor a prefix list")
	}
	if len(e.Addresses) == 0 || len(e.Addresses) > maxSubnets {
		return errors.New("an interface endpoint has an address in at least one subnet")
	}
	subnets := map[string]bool{}
	for _, a := range e.Addresses {
		if subnets[a.Subnet] {
			return fmt.Errorf("two addresses in %s", a.Subnet)
		}
		subnets[a.Subnet] = true
		if err := c.claim(a.Subnet, a.Address, e.ID); err != nil {
			return err
		}
	}
	return c.referAll(kindGroup, e.Groups, maxGroupsOfOne)
}

func (c *checker) gatewayEndpoint(e *Endpoint) error {
	if len(e.Groups) > 0 {
		return errors.New("a gateway endpoint has no security groups")
	}
	if len(e.Addresses) != 1 || e.Addresses[0].Subnet != "" || !GatewayEndpoints.Contains(e.Addresses[0].Address) {
		return fmt.Errorf("a gateway endpoint has one address, in %s and in no subnet", GatewayEndpoints)
	}
	if err := c.claimUnique(e.Addresses[0].Address, e.ID); err != nil {
		return err
	}
	return c.referAll(kindRouteTable, e.RouteTables, maxRouteTables)
}

// validName admits a lower-case DNS name of at least two labels, the first of which may be "*". It is no address: the last
// begins with a letter.
func validName(n string) bool {
	n = strings.TrimPrefix(n, "*.")
	last := strings.LastIndexByte(n, '.') + 1
	if len(n) > 251 || last == 0 || last == len(n) || n[last] < 'a' || n[last] > 'z' {
		return false
	}
	for label := range strings.SplitSeq(n, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

func (c *checker) interfaces() error {
	if len(c.vpc.Interfaces) > maxInterfaces {
		return fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	for _, i := range c.vpc.Interfaces {
		if err := c.declare(kindInterface, i.ID); err != nil {
			return err
		}
		if err := c.claim(i.Subnet, i.Address, i.ID); err != nil {
			return err
		}
		if err := c.referAll(kindGroup, i.Groups, maxGroupsOfOne); err != nil {
			return fmt.Errorf("%s: %w", i.ID, err)
		}
		if !ValidID(i.Workload) {
			return fmt.Errorf("%s: invalid workload id", i.ID)
		}
		if len(i.Owner) > 2048 {
			return fmt.Errorf("%s: owner is too long", i.ID)
		}
		if err := checkMAC(i.MAC); err != nil {
			return fmt.Errorf("%s: %w", i.ID, err)
		}
		if err := c.takeDevice(Device(i.ID), i.ID); err != nil {
			return err
		}
	}
	return nil
}

// checkMAC admits a locally administered unicast address, one that no hardware has, as lower-case pairs with colons.
func checkMAC(s string) error {
	ok := len(s) == 17 && strings.IndexByte("26ae", s[1]) >= 0
	for i := 0; ok && i < len(s); i++ {
		if i%3 == 2 {
			ok = s[i] == ':'
		} else {
			ok = strings.IndexByte("0123456789abcdef", s[i]) >= 0
		}
	}
	if !ok {
		return fmt.Errorf("%.40q is not a locally administered unicast MAC address", s)
	}
	return nil
}

// rules comes last: a group's rule may name any group or prefix list of the VPC.
func (c *checker) rules() error {
	for _, g := range c.vpc.SecurityGroups {
		for _, rules := range [][]Rule{g.Ingress, g.Egress} {
			for i := range rules {
				if err := c.rule(&rules[i]); err != nil {
					return fmt.Errorf("%s: %w", g.ID, err)
				}
			}
		}
	}
	return nil
}

func (c *checker) rule(r *Rule) error {
	peers := 0
	var err error
	if r.CIDR != (netip.Prefix{}) {
		peers, err = peers+1, errors.Join(err, checkPeer(r.CIDR))
	}
	if r.Group != "" {
		peers, err = peers+1, errors.Join(err, c.refer(kindGroup, r.Group))
	}
	if r.PrefixList != "" {
		peers, err = peers+1, errors.Join(err, c.refer(kindPrefixList, r.PrefixList))
	}
	if err != nil {
		return err
	}
	if peers != 1 {
		return errors.New("a rule names exactly one of a range, a group and a prefix list")
	}
	return r.ports().check()
}

func (x Ports) check() error {
	ok := false
	switch {
	case !x.Protocol.valid():
		return fmt.Errorf("%d is not a protocol", x.Protocol)
	case x.Protocol.hasPorts():
		ok = 0 <= x.From && x.From <= x.To && x.To <= 65535
	case x.Protocol == ICMP:
		ok = -1 <= x.From && x.From <= 255 && -1 <= x.To && x.To <= 255 && (x.From != -1 || x.To == -1)
	default:
		ok = x.From == x.To && (x.From == -1 || x.From == 0)
	}
	if !ok {
		return fmt.Errorf("ports %d to %d do not fit protocol %s", x.From, x.To, x.Protocol)
	}
	return nil
}
