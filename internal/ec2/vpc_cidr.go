package ec2

import (
	"context"
	"net/netip"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A moreCIDR is a secondary range.
type moreCIDR struct {
	ID   string       `json:"id"` // vpc-cidr-assoc-…
	CIDR netip.Prefix `json:"cidr"`
}

const (
	cidrPrefix = "vpc-cidr-assoc-"
	maxCIDRs   = 5 // of a VPC
)

// associated are all ranges of the VPC with their associations, the primary first.
func (v *vpc) associated() []moreCIDR {
	primary := moreCIDR{cidrPrefix + v.ID[len(kindVPC.prefix):], v.CIDR}
	return append([]moreCIDR{primary}, v.More...)
}

// ranges are all of the VPC's, the primary first.
func (v *vpc) ranges() []netip.Prefix {
	var all []netip.Prefix
	for _, m := range v.associated() {
		all = append(all, m.CIDR)
	}
	return all
}

// has says whether a range lies in one of the VPC's.
func (v *vpc) has(p netip.Prefix) bool {
	return slices.ContainsFunc(v.ranges(), func(r netip.Prefix) bool { return within(p, r) })
}

func (m moreCIDR) show(state ec2.VpcCidrBlockStateCode) ec2.VpcCidrBlockAssociation {
	return ec2.VpcCidrBlockAssociation{
		AssociationId: m.ID, CidrBlock: m.CIDR.String(), CidrBlockState: &ec2.VpcCidrBlockState{State: state},
	}
}

func (s *Service) widenedVPC(_ context.Context, c *api.Call, in *ec2.AssociateVpcCidrBlockInput) (*found[*vpc], []api.Demand, error) {
	return one[*vpc](s, c, "AssociateVpcCidrBlock", in.VpcId)
}

func (s *Service) associateVPCCidrBlock(_ context.Context, _ *api.Call, in *ec2.AssociateVpcCidrBlockInput, f *found[*vpc]) (api.Commit[ec2.AssociateVpcCidrBlockOutput], error) {
	if in.CidrBlock == "" {
		return nil, missingParameter("cidrBlock")
	}
	cidr, err := parseRange(in.CidrBlock, "InvalidVpc.Range")
	if err != nil {
		return nil, err
	}
	more := moreCIDR{(&kind{prefix: cidrPrefix}).newID(), cidr}
	return func(tx *store.Tx) (*ec2.AssociateVpcCidrBlockOutput, error) {
		n, err := change(tx, f.it.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range n.vpc.ranges() {
			if r.Overlaps(cidr) {
				return nil, fail("InvalidVpc.Range", "The CIDR '%s' overlaps with '%s', which the VPC has.", cidr, r)
			}
		}
		if len(n.vpc.ranges()) >= maxCIDRs {
			return nil, fail("CidrLimitExceeded", "This network '%s' has met its maximum number of allowed CIDRs: %d", n.vpc.ID, maxCIDRs)
		}
		for _, t := range n.tables {
			for _, r := range t.Routes { // the local route would take over what somebody leads elsewhere
				if r.List == "" && within(r.CIDR, cidr) {
					return nil, fail("InvalidVpc.Range", "The CIDR '%s' has in it the destination %s of a route in %s.", cidr, r.CIDR, t.ID)
				}
			}
		}
		n.vpc.More = append(n.vpc.More, more)
		shown := more.show(ec2.VpcCidrBlockStateCodeAssociating)
		return &ec2.AssociateVpcCidrBlockOutput{VpcId: n.vpc.ID, CidrBlockAssociation: &shown}, s.putRanges(tx, n)
	}, nil
}

// putRanges writes a VPC whose ranges have changed. The gateways that it is attached
// to route by them.
func (s *Service) putRanges(tx *store.Tx, n *network) error {
	var gateways []string
	for _, a := range n.attachments {
		gateways = append(gateways, a.VPC)
	}
	if err := s.touchNetworks(tx, gateways...); err != nil {
		return err
	}
	return s.put(tx, n.vpc)
}

// A ranged VPC is one with an association of a range.
type ranged struct {
	vpc *found[*vpc]
	id  string // of the association
}

// narrowedVPC demands the action on the VPC of an association, which has no ARN of
// its own.
func (s *Service) narrowedVPC(_ context.Context, c *api.Call, in *ec2.DisassociateVpcCidrBlockInput) (*ranged, []api.Demand, error) {
	vpcs, err := ofKind[*vpc](c.Snapshot, c.Account)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range vpcs {
		if !slices.ContainsFunc(v.associated(), func(m moreCIDR) bool { return m.ID == in.AssociationId }) {
			continue
		}
		f, demands, err := one[*vpc](s, c, "DisassociateVpcCidrBlock", v.ID)
		return &ranged{f, in.AssociationId}, demands, err
	}
	return nil, []api.Demand{s.unnamed(c, "DisassociateVpcCidrBlock", kindVPC, missingRange(in.AssociationId))}, nil
}

func missingRange(id string) *api.Error {
	return fail("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%.64s' does not exist", id)
}

// unnamed is the demand of an action on a resource that was named by something of
// it which does not exist.
func (s *Service) unnamed(c *api.Call, action string, k *kind, missing *api.Error) api.Demand {
	return api.Demand{Action: "ec2:" + action, Keys: s.keys(c.Account, k, "*", "", nil), Resource: api.Resource{
		ARN: s.arn(c.Account, k, "*"), Account: c.Account, Type: k.record, Missing: missing,
	}}
}

func (s *Service) disassociateVPCCidrBlock(_ context.Context, _ *api.Call, _ *ec2.DisassociateVpcCidrBlockInput, r *ranged) (api.Commit[ec2.DisassociateVpcCidrBlockOutput], error) {
	return func(tx *store.Tx) (*ec2.DisassociateVpcCidrBlockOutput, error) {
		n, err := change(tx, r.vpc.it.ID)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(n.vpc.associated(), func(m moreCIDR) bool { return m.ID == r.id })
		switch {
		case i < 0:
			return nil, missingRange(r.id)
		case i == 0:
			return nil, fail("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", r.id)
		}
		gone := n.vpc.More[i-1]
		for _, o := range n.subnets {
			if within(o.CIDR, gone.CIDR) {
				return nil, inUse(r.id, "subnet "+o.ID+" is in it")
			}
		}
		n.vpc.More = slices.Delete(n.vpc.More, i-1, i)
		shown := gone.show(ec2.VpcCidrBlockStateCodeDisassociating)
		return &ec2.DisassociateVpcCidrBlockOutput{VpcId: n.vpc.ID, CidrBlockAssociation: &shown}, s.putRanges(tx, n)
	}, nil
}
