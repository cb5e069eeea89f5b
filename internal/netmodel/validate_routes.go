package netmodel

import (
	"errors"
	"fmt"
	"net/netip"
)

// checkDestination admits what a route may lead to: any IPv4 range that other networks can have addresses in.
func checkDestination(p netip.Prefix, seen map[netip.Prefix]bool) error {
	if err := checkPeer(p); err != nil {
		return err
	}
	if inside(p, unroutable) {
		return fmt.Errorf("%s is reserved", p)
	}
	if seen[p] {
		return fmt.Errorf("%s has two routes", p)
	}
	seen[p] = true
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
		if len(t.Routes) > maxRoutes {
			return fmt.Errorf("%s has more than %d routes", t.ID, maxRoutes)
		}
		seen := make(map[netip.Prefix]bool, len(t.Routes))
		for _, r := range t.Routes {
			if err := checkDestination(r.CIDR, seen); err != nil {
				return fmt.Errorf("%s: %w", t.ID, err)
			}
			if r.Target != "" && !ValidID(r.Target) {
				return fmt.Errorf("%s: invalid target %.80q", t.ID, r.Target)
			}
		}
	}
	return nil
}

func (c *checker) networkACLs() error {
	if len(c.vpc.NetworkACLs) > maxACLs {
		return fmt.Errorf("more than %d network ACLs", maxACLs)
	}
	for _, a := range c.vpc.NetworkACLs {
		if err := c.declare(kindACL, a.ID); err != nil {
			return err
		}
		for _, entries := range [][]ACLEntry{a.Ingress, a.Egress} {
			if err := checkEntries(entries); err != nil {
				return fmt.Errorf("%s: %w", a.ID, err)
			}
		}
	}
	return nil
}

func checkEntries(entries []ACLEntry) error {
	if len(entries) > maxEntries {
		return fmt.Errorf("more than %d entries in one direction", maxEntries)
	}
	last := 0
	for i := range entries {
		e := &entries[i]
		if e.Number <= last || e.Number > maxEntryNumber {
			return fmt.Errorf("entry %d is out of order or over %d", e.Number, maxEntryNumber)
		}
		last = e.Number
		if err := checkPeer(e.CIDR); err != nil {
			return err
		}
		if err := e.ports().check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) attachments() error {
	if len(c.vpc.Attachments) > maxAttachments {
		return fmt.Errorf("more than %d attachments", maxAttachments)
	}
	gateways := map[string]bool{}
	for _, a := range c.vpc.Attachments {
		if err := c.declare(kindAttachment, a.ID); err != nil {
			return err
		}
		if !ValidID(a.Gateway) || gateways[a.Gateway] {
			return fmt.Errorf("%s: %.80q is no transit gateway's id, or attached twice", a.ID, a.Gateway)
		}
		gateways[a.Gateway] = true
		if err := c.takeDevice(TransitDevice(a.ID), a.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) dialers() error {
	if len(c.vpc.Dialers) > maxDialers {
		return fmt.Errorf("more than %d dialers", maxDialers)
	}
	for _, d := range c.vpc.Dialers {
		if err := c.declare(kindDialer, d.ID); err != nil {
			return err
		}
		if err := c.claim(d.Subnet, d.Address, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// natPorts are a NAT gateway's, all of them.
var natPorts = []uint16{NATPortHTTP, NATPortTLS, NATPortProxy}

func (c *checker) natGateway(e *Endpoint) error {
	if len(e.Groups) > 0 || len(e.Names) > 0 || len(e.RouteTables) > 0 || e.PrefixList != "" {
		return errors.New("a NAT gateway has no security groups, names, route tables or prefix list")
	}
	if len(e.Ports) != len(natPorts) { // which are distinct
		return fmt.Errorf("a NAT gateway has the ports %v", natPorts)
	}
	for _, p := range natPorts {
		if !contains(e.Ports, p) {
			return fmt.Errorf("a NAT gateway has the ports %v", natPorts)
		}
	}
	if len(e.Addresses) != 1 {
		return errors.New("a NAT gateway has one address")
	}
	return c.claim(e.Addresses[0].Subnet, e.Addresses[0].Address, e.ID)
}

// checkOutside checks a group's rules about names in the internet.
func checkOutside(rules []OutsideRule) error {
	if len(rules) > maxOutside {
		return fmt.Errorf("more than %d rules about names outside", maxOutside)
	}
	for _, r := range rules {
		if !validName(r.Name) {
			return fmt.Errorf("invalid name %.80q", r.Name)
		}
		if err := checkPorts(r.Ports); err != nil {
			return err
		}
	}
	return nil
}

func checkPorts(ports []uint16) error {
	if len(ports) == 0 || len(ports) > maxPorts {
		return fmt.Errorf("there must be 1 to %d ports", maxPorts)
	}
	for i, p := range ports {
		if p == 0 || contains(ports[:i], p) {
			return fmt.Errorf("port %d is zero or named twice", p)
		}
	}
	return nil
}
