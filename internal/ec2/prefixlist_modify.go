package ec2

import (
	"context"
	"net/netip"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// findList is find for prefix lists: AWS's own too, which is everybody's to name and
// nobody's to change.
func (s *Service) findList(c *api.Call, id string) (*found[*prefixList], error) {
	own := s.ownList()
	if id != own.ID {
		return find[*prefixList](s, c, id)
	}
	return &found[*prefixList]{it: own, keys: s.keys(c.Account, kindList, id, "", nil), resource: api.Resource{
		ARN: s.arn(own.Account, kindList, id), Account: c.Account, Type: kindList.record,
	}}, nil
}

// changes finds a list that a call would change.
func (s *Service) changes(c *api.Call, action, id string) (*found[*prefixList], []api.Demand, error) {
	f, err := s.findList(c, id)
	if err != nil {
		return nil, nil, err
	}
	if !f.missing() && f.it.Account == awsAccount {
		f.resource.Missing = fail("OperationNotPermitted", "The prefix list '%s' is managed by AWS.", id)
	}
	return f, []api.Demand{f.demand(action)}, nil
}

func (s *Service) changedList(_ context.Context, c *api.Call, in *ec2.ModifyManagedPrefixListInput) (*found[*prefixList], []api.Demand, error) {
	f, demands, err := s.changes(c, "ModifyManagedPrefixList", in.PrefixListId)
	if err != nil {
		return nil, nil, err
	}
	var attributes []string
	if in.PrefixListName != "" {
		attributes = append(attributes, "PrefixListName")
	}
	if in.MaxEntries != nil {
		attributes = append(attributes, "MaxEntries")
	}
	if len(in.AddEntries) > 0 {
		attributes = append(attributes, "AddEntries")
	}
	if len(in.RemoveEntries) > 0 {
		attributes = append(attributes, "RemoveEntries")
	}
	setAttributes(demands[0].Keys, attributes...)
	return f, demands, nil
}

// setAttributes says what a request would change of a resource.
func setAttributes(keys policy.Context, names ...string) {
	if len(names) > 0 {
		keys.Set("ec2:Attribute", names...)
	}
}

func (s *Service) modifyManagedPrefixList(_ context.Context, c *api.Call, in *ec2.ModifyManagedPrefixListInput, f *found[*prefixList]) (api.Commit[ec2.ModifyManagedPrefixListOutput], error) {
	entries := len(in.AddEntries)+len(in.RemoveEntries) > 0
	switch {
	case entries && in.CurrentVersion == nil:
		return nil, missingParameter("currentVersion")
	case entries && in.MaxEntries != nil:
		return nil, fail("InvalidParameterCombination", "The entries of a prefix list and its maximum cannot be changed in one request.")
	case !entries && in.MaxEntries == nil && in.PrefixListName == "":
		return nil, missingParameter("addEntries, removeEntries, maxEntries or prefixListName")
	}
	return func(tx *store.Tx) (*ec2.ModifyManagedPrefixListOutput, error) {
		l, err := owned[*prefixList](tx, c.Account, f.it.ID)
		if err != nil {
			return nil, err
		}
		if err := l.at(in.CurrentVersion); err != nil {
			return nil, err
		}
		there, _, err := readEntries(tx, l.ID, l.Version)
		if err != nil {
			return nil, err
		}
		if in.PrefixListName != "" {
			l.Name = in.PrefixListName
		}
		if in.MaxEntries != nil {
			l.Max = *in.MaxEntries
		}
		if err := checkList(l.Name, l.Max); err != nil {
			return nil, err
		}
		l.State = string(ec2.PrefixListStateModifyComplete)
		if !entries {
			return &ec2.ModifyManagedPrefixListOutput{PrefixList: ptr(s.showList(l))}, s.resize(tx, l, len(there))
		}
		there, err = altered(there, in.AddEntries, in.RemoveEntries)
		if err != nil {
			return nil, err
		}
		return &ec2.ModifyManagedPrefixListOutput{PrefixList: ptr(s.showList(l))}, s.advance(tx, l, there)
	}, nil
}

// A given is a member of a request by which it would change something of a resource.
type given struct {
	name string
	is   bool
}

// changing is one for an operation that changes the members that are given.
func changing[T object](s *Service, c *api.Call, action, id string, members ...given) (*found[T], []api.Demand, error) {
	f, demands, err := one[T](s, c, action, id)
	if err == nil {
		f.changes(members...)
	}
	return f, demands, err
}

func (f *found[T]) changes(members ...given) {
	var names []string
	for _, m := range where(members, func(m given) bool { return m.is }) {
		names = append(names, m.name)
	}
	setAttributes(f.keys, names...)
}

// at refuses a change that was made up looking at another version.
func (l *prefixList) at(version *int64) error {
	if version != nil && *version != l.Version {
		return fail("PrefixListVersionMismatch", "The prefix list has the incorrect version number: it is at version %d.", l.Version)
	}
	return nil
}

// altered takes entries out, which must be there, and adds others, which must not.
// Nothing is in both.
func altered(there []prefixEntry, more []ec2.AddPrefixListEntry, less []ec2.RemovePrefixListEntry) ([]prefixEntry, error) {
	all, err := extended(there, more)
	if err != nil {
		return nil, err
	}
	for _, e := range less {
		cidr, err := parseCIDR(e.Cidr, "cidr")
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(o prefixEntry) bool { return o.CIDR == cidr })
		switch {
		case i < 0:
			return nil, invalidValue(e.Cidr, "cidr", "The prefix list has no such entry.")
		case slices.ContainsFunc(more, func(o ec2.AddPrefixListEntry) bool { return sameRange(o.Cidr, cidr) }):
			return nil, invalidValue(e.Cidr, "cidr", "A request cannot add and remove the same entry.")
		}
		all = slices.Delete(all, i, i+1)
	}
	return all, nil
}

func sameRange(text string, cidr netip.Prefix) bool {
	p, err := parseCIDR(text, "cidr")
	return err == nil && p == cidr
}

// advance gives a list entries, as its next version, wherever it is named.
func (s *Service) advance(tx *store.Tx, l *prefixList, entries []prefixEntry) error {
	if len(entries) > int(l.Max) {
		return tooMany(l, len(entries))
	}
	l.Version++
	if err := l.keep(tx, entries); err != nil {
		return err
	}
	networks, err := naming(tx, l)
	if err != nil {
		return err
	}
	if err := s.touchNetworks(tx, networks...); err != nil {
		return err
	}
	return s.put(tx, l)
}

// resize writes a list with another name or maximum. The maximum counts against the
// quotas of all that name the list.
func (s *Service) resize(tx *store.Tx, l *prefixList, entries int) error {
	if entries > int(l.Max) {
		return tooMany(l, entries)
	}
	if err := s.put(tx, l); err != nil {
		return err
	}
	networks, err := naming(tx, l)
	if err != nil {
		return err
	}
	for _, id := range networks {
		n, err := changeRuled(tx, id)
		if err != nil {
			return err
		}
		for _, g := range n.groups {
			book := &rulebook{g, n.rulesOf(g.ID), n.lists}
			if err := book.fits(); err != nil {
				return err
			}
		}
		if err := n.roomForRoutes(); err != nil {
			return err
		}
	}
	return nil
}

// naming are the networks in which a rule or a route names a list.
func naming(q store.Querier, l *prefixList) ([]string, error) {
	all, err := objects(q, "account = ? AND kind IN (?, ?) AND body LIKE ?", l.Account, kindRule.name, kindTable.name, "%"+l.ID+"%")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, o := range all {
		switch o := o.(type) {
		case *rule:
			if o.Spec.PrefixList == l.ID {
				ids = append(ids, o.VPC)
			}
		case *table:
			if slices.ContainsFunc(o.Routes, func(r route) bool { return r.List == l.ID }) {
				ids = append(ids, o.VPC)
			}
		}
	}
	return unique(ids), nil
}
