package ec2

import (
	"slices"

	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// admitsRoute refuses a route that cannot be a table's of this network.
func (n *network) admitsRoute(tx *store.Tx, t *table, r route) error {
	switch l := n.prefixList(r.List); {
	case r.List != "" && !kindList.names(r.List):
		return kindList.malformed(r.List)
	case r.List != "" && l == nil:
		return kindList.missing(r.List)
	case r.List == "" && slices.Contains(n.vpc.ranges(), r.CIDR):
		return fail("RouteAlreadyExists", "The route identified by %s already exists.", r.CIDR)
	case r.List == "" && n.vpc.has(r.CIDR):
		return fail("InvalidParameterValue", "The destination CIDR block %s is more specific than one of this VPC's CIDR blocks, and the local route cannot be overridden.", r.CIDR)
	}
	k := kindOf(r.Target)
	switch {
	case k == kindInternet && n.internet != nil && n.internet.ID == r.Target, k == kindNAT && byID(n.nats, r.Target) != nil:
		return nil
	case k == kindTransit && n.attachedTo(r.Target): // which may be another account's
		return nil
	case k == kindTransit:
		return missingTarget(k, r.Target)
	}
	o, err := row(tx, r.Target)
	if err != nil {
		return err
	}
	if o == nil || o.head().Account != n.vpc.Account {
		return missingTarget(k, r.Target)
	}
	return fail("InvalidParameterValue", "route table %s and %s belong to different networks", t.ID, r.Target)
}

// attachedTo says whether packets go to a transit gateway.
func (n *network) attachedTo(id string) bool {
	return slices.ContainsFunc(n.attachments, func(a *attachment) bool { return a.VPC == id && a.State == attachmentAvailable })
}

// roomForRoutes refuses more routes than a table may have, or all of the VPC's.
func (n *network) roomForRoutes() error {
	all := 0
	for _, t := range n.tables {
		count := 0
		for _, r := range t.Routes {
			count++
			if r.List == "" {
				continue
			}
			if l := n.prefixList(r.List); l != nil {
				count += int(l.Max) - 1
			}
		}
		all += count
		if count > maxRoutes || all > maxRoutesOfVPC {
			return fail("RouteLimitExceeded", "The maximum number of %d routes of a table, or %d of a VPC, has been reached, of which a prefix list takes as many as its maximum number of entries.", maxRoutes, maxRoutesOfVPC)
		}
	}
	return nil
}

// showRoute is a route with whether anything comes through by it.
func (n *network) showRoute(r route) ec2.Route {
	out := ec2.Route{DestinationPrefixListId: r.List, Origin: ec2.RouteOriginCreateRoute, State: ec2.RouteStateBlackhole}
	if r.List == "" {
		out.DestinationCidrBlock = r.CIDR.String()
	}
	open := false
	switch kindOf(r.Target) {
	case kindNAT:
		out.NatGatewayId = r.Target
		if g := byID(n.nats, r.Target); g != nil {
			_, open = n.modelNAT(g)
		}
	case kindTransit:
		out.TransitGatewayId, open = r.Target, n.attachedTo(r.Target)
	default:
		out.GatewayId, open = r.Target, n.internet != nil && n.internet.ID == r.Target
	}
	if open {
		out.State = ec2.RouteStateActive
	}
	return out
}
