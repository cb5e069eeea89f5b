package ec2

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// The default VPC, as at AWS but for one thing: it has no internet gateway. Nothing
// leads out of a network that nobody opened.
var defaultRange = netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31}), 16)

const defaultSubnetBits = 20

// defaultKey is the version key of which VPC is an account's default one. It has a
// version once the account ever had one.
func defaultKey(account string) string { return "ec2:default/" + account }

// defaultVPC is an account's; nil when it has none.
func defaultVPC(q store.Querier, account string) (*vpc, error) {
	if _, err := q.Version(defaultKey(account)); err != nil {
		return nil, err
	}
	all, err := ofKind[*vpc](q, account)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if v.Default {
			return v, nil
		}
	}
	return nil, nil
}

// orDefault is the VPC that a request names or, when it names none, the account's
// default one; empty when there is none.
func orDefault(c *api.Call, vpcID string) (string, error) {
	if vpcID != "" {
		return vpcID, nil
	}
	v, err := defaultVPC(c.Snapshot, c.Account)
	if v == nil || err != nil {
		return "", err
	}
	return v.ID, nil
}

// namedGroups are the ids of groups of the default VPC by their names.
func (s *Service) namedGroups(c *api.Call, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	vpcID, err := orDefault(c, "")
	if err != nil {
		return nil, err
	}
	n, err := s.network(c.Snapshot, vpcID)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, fail("VPCIdNotSpecified", "No default VPC for this user, and groups of others have no names of their own: use the filter group-name.")
	}
	var ids []string
	for _, name := range names {
		i := slices.IndexFunc(n.groups, func(g *group) bool { return g.Name == name })
		if i < 0 {
			return nil, fail("InvalidGroup.NotFound", "The security group '%.255s' does not exist in default VPC '%s'", name, vpcID)
		}
		ids = append(ids, n.groups[i].ID)
	}
	return ids, nil
}

// makeDefault writes an account's default VPC, with that id, and its subnet.
func (s *Service) makeDefault(tx *store.Tx, account, id string, now time.Time) (*vpc, error) {
	v := &vpc{
		meta: meta{ID: id, Account: account, VPC: id, Created: now},
		CIDR: defaultRange, DNSSupport: true, DNSHostnames: true, Default: true,
	}
	sub := &subnet{
		meta: meta{ID: kindSubnet.newID(), Account: account, VPC: id, Created: now},
		CIDR: netip.PrefixFrom(defaultRange.Addr(), defaultSubnetBits), Default: true,
	}
	if err := tx.Touch(defaultKey(account)); err != nil {
		return nil, err
	}
	return v, s.put(tx, append(furnished(v), sub)...)
}

func (s *Service) createDefaultVPC(_ context.Context, c *api.Call, _ *ec2.CreateDefaultVpcInput, _ struct{}) (api.Commit[ec2.CreateDefaultVpcOutput], error) {
	id := kindVPC.newID()
	return func(tx *store.Tx) (*ec2.CreateDefaultVpcOutput, error) {
		if is, err := defaultVPC(tx, c.Account); err != nil {
			return nil, err
		} else if is != nil {
			return nil, fail("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
		}
		if err := roomForVPC(tx, c.Account); err != nil {
			return nil, err
		}
		v, err := s.makeDefault(tx, c.Account, id, c.Now)
		if err != nil {
			return nil, err
		}
		return &ec2.CreateDefaultVpcOutput{Vpc: s.showVPC(v)}, nil
	}, nil
}

// createDefaultSubnet makes the default subnet of the zone anew, in the first free
// place.
func (s *Service) createDefaultSubnet(_ context.Context, c *api.Call, in *ec2.CreateDefaultSubnetInput, _ struct{}) (api.Commit[ec2.CreateDefaultSubnetOutput], error) {
	switch {
	case in.AvailabilityZone == "" && in.AvailabilityZoneId == "":
		return nil, missingParameter("availabilityZone")
	case in.AvailabilityZone != "" && in.AvailabilityZoneId != "":
		return nil, fail("InvalidParameterCombination", "AvailabilityZone and AvailabilityZoneId cannot be used together.")
	}
	if err := s.inZone(in.AvailabilityZone, in.AvailabilityZoneId); err != nil {
		return nil, err
	}
	sub := &subnet{meta: meta{ID: kindSubnet.newID(), Account: c.Account, Created: c.Now}, Default: true}
	return func(tx *store.Tx) (*ec2.CreateDefaultSubnetOutput, error) {
		v, err := defaultVPC(tx, c.Account)
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, fail("DefaultVpcDoesNotExist", "There is no default VPC. CreateDefaultVpc creates one.")
		}
		n, err := change(tx, v.ID)
		if err != nil {
			return nil, err
		}
		for _, o := range n.subnets {
			if o.Default {
				return nil, fail("DefaultSubnetAlreadyExistsInAvailabilityZone", "'%s' is the default subnet of %s already.", o.ID, s.zone())
			}
		}
		sub.VPC = v.ID
		for base := v.CIDR.Addr(); v.CIDR.Contains(base); {
			sub.CIDR = netip.PrefixFrom(base, defaultSubnetBits)
			if err = n.admits(sub.CIDR); err == nil {
				return &ec2.CreateDefaultSubnetOutput{Subnet: ptr(s.showSubnet(n, sub))}, s.put(tx, sub)
			}
			base = nth(sub.CIDR, size(sub.CIDR))
		}
		return nil, err
	}, nil
}
