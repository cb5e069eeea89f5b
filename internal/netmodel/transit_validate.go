package netmodel

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/go-json-experiment/json"
)

// Limits on a transit gateway. Tables and routes are Amazon's quotas, attachments a tenth of theirs.
const (
	maxTransitAttachments = 500
	maxTransitTables      = 20
	maxTransitRoutes      = 10_000
)

// Validate reports the first thing that makes the gateway unfit to be enforced.
func (g *TransitGateway) Validate() error {
	if g == nil {
		return errors.New("netmodel: no transit gateway")
	}
	c := checker{ids: map[string]string{}, devices: map[string]string{}}
	for _, step := range []func(*TransitGateway) error{checkGateway, c.transitTables, c.transitAttachments, c.transitRoutes} {
		if err := step(g); err != nil {
			return fmt.Errorf("netmodel: %.80s: %w", g.ID, err)
		}
	}
	return nil
}

func checkGateway(g *TransitGateway) error {
	switch {
	case !ValidID(g.ID):
		return errors.New("invalid transit gateway id")
	case !validAccount(g.Account):
		return errors.New("an account id has twelve digits")
	case len(g.Attachments) > maxTransitAttachments:
		return fmt.Errorf("more than %d attachments", maxTransitAttachments)
	case len(g.RouteTables) > maxTransitTables:
		return fmt.Errorf("more than %d route tables", maxTransitTables)
	}
	return nil
}

func (c *checker) transitTables(g *TransitGateway) error {
	for _, t := range g.RouteTables {
		if err := c.declare(kindRouteTable, t.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) transitAttachments(g *TransitGateway) error {
	vpcs := map[string]bool{}
	for _, a := range g.Attachments {
		if err := c.declare(kindAttachment, a.ID); err != nil {
			return err
		}
		if !ValidID(a.VPC) || vpcs[a.VPC] {
			return fmt.Errorf("%s: %.80q is no VPC's id, or attached twice", a.ID, a.VPC)
		}
		vpcs[a.VPC] = true
		if err := checkRanges(a.CIDRs); err != nil {
			return fmt.Errorf("%s: %w", a.ID, err)
		}
		if a.RouteTable != "" {
			if err := c.refer(kindRouteTable, a.RouteTable); err != nil {
				return err
			}
		}
		if err := c.takeDevice(TransitDevice(a.ID), a.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) transitRoutes(g *TransitGateway) error {
	for _, t := range g.RouteTables {
		if len(t.Routes) > maxTransitRoutes {
			return fmt.Errorf("%s has more than %d routes", t.ID, maxTransitRoutes)
		}
		seen := make(map[netip.Prefix]bool, len(t.Routes))
		for _, r := range t.Routes {
			if err := checkDestination(r.CIDR, seen); err != nil {
				return fmt.Errorf("%s: %w", t.ID, err)
			}
			if r.Attachment == "" {
				continue
			}
			if err := c.refer(kindAttachment, r.Attachment); err != nil {
				return err
			}
		}
	}
	return nil
}

// ParseTransit decodes and validates one transit gateway, as strictly as [Parse] a VPC.
func ParseTransit(b []byte) (*TransitGateway, error) {
	if len(b) > MaxSize {
		return nil, errors.New("netmodel: description of a transit gateway is too large")
	}
	g := new(TransitGateway)
	if err := json.Unmarshal(b, g, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

// Encode is the inverse of [ParseTransit]; it refuses what that would refuse.
func (g *TransitGateway) Encode() ([]byte, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return json.Marshal(g, json.Deterministic(true))
}
