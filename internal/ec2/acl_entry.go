package ec2

import (
	"context"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// show is an entry as the API has it, with its protocol as a number.
func (e aclEntry) show() ec2.NetworkAclEntry {
	number, _ := netmodel.ParseProtocol(e.Protocol) // as in spec.model
	out := ec2.NetworkAclEntry{
		RuleNumber: &e.Number, Egress: &e.Egress, Protocol: decimal(int32(number)), CidrBlock: e.CIDR.String(), RuleAction: ec2.RuleActionDeny,
	}
	if e.Allow {
		out.RuleAction = ec2.RuleActionAllow
	}
	switch number {
	case netmodel.ICMP:
		out.IcmpTypeCode = &ec2.IcmpTypeCode{Type: &e.From, Code: &e.To}
	case netmodel.TCP, netmodel.UDP:
		out.PortRange = &ec2.PortRange{From: &e.From, To: &e.To}
	}
	return out
}

// parseEntry reads an entry of a request.
func parseEntry(in *ec2.CreateNetworkAclEntryInput) (aclEntry, error) {
	e := aclEntry{Number: in.RuleNumber, Egress: in.Egress, Allow: in.RuleAction == ec2.RuleActionAllow}
	if e.Number < 1 || e.Number >= lastEntry {
		return e, invalidValue(e.Number, "ruleNumber", "A rule number is from 1 to 32766.")
	}
	if in.CidrBlock == "" {
		return e, missingParameter("cidrBlock")
	}
	var err error
	if e.CIDR, err = parseCIDR(in.CidrBlock, "cidrBlock"); err != nil {
		return e, err
	}
	var from, to *int32
	switch protocol, _ := netmodel.ParseProtocol(in.Protocol); {
	case protocol == netmodel.ICMP && (in.IcmpTypeCode == nil || in.IcmpTypeCode.Type == nil || in.IcmpTypeCode.Code == nil):
		return e, missingParameter("icmpTypeCode")
	case protocol == netmodel.ICMP:
		from, to = in.IcmpTypeCode.Type, in.IcmpTypeCode.Code
	case in.PortRange != nil:
		from, to = in.PortRange.From, in.PortRange.To
	}
	p, err := parsePorts(in.Protocol, from, to)
	e.Protocol, e.From, e.To = p.Protocol, p.From, p.To
	return e, err
}

func missingEntry(number int32, id string) *api.Error {
	return fail("InvalidNetworkAclEntry.NotFound", "The network ACL entry %d of %s does not exist", number, id)
}

func (s *Service) newEntry(_ context.Context, c *api.Call, in *ec2.CreateNetworkAclEntryInput) (*found[*acl], []api.Demand, error) {
	return one[*acl](s, c, "CreateNetworkAclEntry", in.NetworkAclId)
}

func (s *Service) createNetworkACLEntry(_ context.Context, _ *api.Call, in *ec2.CreateNetworkAclEntryInput, f *found[*acl]) (api.Commit[ec2.CreateNetworkAclEntryOutput], error) {
	e, err := parseEntry(in)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.CreateNetworkAclEntryOutput, error) {
		return &ec2.CreateNetworkAclEntryOutput{}, s.enter(tx, f.it.ID, func(a *acl) error {
			at, taken := a.at(e.Egress, e.Number)
			if taken {
				return fail("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", e.Number)
			}
			if len(where(a.Entries, func(o aclEntry) bool { return o.Egress == e.Egress })) >= maxEntries {
				return fail("NetworkAclEntryLimitExceeded", "The maximum number of entries of %s has been reached.", a.ID)
			}
			a.Entries = slices.Insert(a.Entries, at, e)
			return nil
		})
	}, nil
}

func (s *Service) changedEntry(_ context.Context, c *api.Call, in *ec2.ReplaceNetworkAclEntryInput) (*found[*acl], []api.Demand, error) {
	return one[*acl](s, c, "ReplaceNetworkAclEntry", in.NetworkAclId)
}

func (s *Service) replaceNetworkACLEntry(_ context.Context, _ *api.Call, in *ec2.ReplaceNetworkAclEntryInput, f *found[*acl]) (api.Commit[ec2.ReplaceNetworkAclEntryOutput], error) {
	e, err := parseEntry((*ec2.CreateNetworkAclEntryInput)(in))
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*ec2.ReplaceNetworkAclEntryOutput, error) {
		return &ec2.ReplaceNetworkAclEntryOutput{}, s.enter(tx, f.it.ID, func(a *acl) error {
			at, there := a.at(e.Egress, e.Number)
			if !there {
				return missingEntry(e.Number, a.ID)
			}
			a.Entries[at] = e
			return nil
		})
	}, nil
}

func (s *Service) deletedEntry(_ context.Context, c *api.Call, in *ec2.DeleteNetworkAclEntryInput) (*found[*acl], []api.Demand, error) {
	return one[*acl](s, c, "DeleteNetworkAclEntry", in.NetworkAclId)
}

func (s *Service) deleteNetworkACLEntry(_ context.Context, _ *api.Call, in *ec2.DeleteNetworkAclEntryInput, f *found[*acl]) (api.Commit[ec2.DeleteNetworkAclEntryOutput], error) {
	if in.RuleNumber == lastEntry {
		return nil, invalidValue(in.RuleNumber, "ruleNumber", "What no entry matches is refused: this one cannot be deleted.")
	}
	return func(tx *store.Tx) (*ec2.DeleteNetworkAclEntryOutput, error) {
		return &ec2.DeleteNetworkAclEntryOutput{}, s.enter(tx, f.it.ID, func(a *acl) error {
			at, there := a.at(in.Egress, in.RuleNumber)
			if !there {
				return missingEntry(in.RuleNumber, a.ID)
			}
			a.Entries = slices.Delete(a.Entries, at, at+1)
			return nil
		})
	}, nil
}

// at is where the entry with that number is, or would be.
func (a *acl) at(egress bool, number int32) (int, bool) {
	return slices.BinarySearchFunc(a.Entries, aclEntry{Egress: egress, Number: number}, aclEntry.compare)
}

// enter changes the entries of an ACL.
func (s *Service) enter(tx *store.Tx, id string, change func(*acl) error) error {
	o, err := row(tx, id)
	if err != nil {
		return err
	}
	a, ok := o.(*acl)
	if !ok {
		return kindACL.missing(id)
	}
	if err := change(a); err != nil {
		return err
	}
	return s.put(tx, a)
}
