package scim

import (
	"slices"

	shape "bawn.dev/internal/shape/identitystore"
)

// maxShown bounds the members that one answer shows.
const maxShown = 100_000

// membersOf are the memberships in a group.
func (s *Server) membersOf(r *request, id string) ([]shape.GroupMembership, error) {
	var all []shape.GroupMembership
	size := int32(scanPage)
	for after := ""; ; {
		out, err := ask[shape.ListGroupMembershipsOutput](r, "ListGroupMemberships", &shape.ListGroupMembershipsInput{
			IdentityStoreId: s.storeID, GroupId: id, MaxResults: &size, NextToken: after})
		if err != nil {
			return nil, err
		}
		if all = append(all, out.GroupMemberships...); len(all) > maxShown {
			return nil, tooMany("The group has more than %d members: exclude the attribute members.", maxShown)
		}
		if after = out.NextToken; after == "" {
			return all, nil
		}
	}
}

// groupsOf are the groups that a person is in.
func (s *Server) groupsOf(r *request, id string) ([]string, error) {
	var all []string
	size := int32(scanPage)
	for after := ""; idForm.MatchString(id); {
		out, err := ask[shape.ListGroupMembershipsForMemberOutput](r, "ListGroupMembershipsForMember", &shape.ListGroupMembershipsForMemberInput{
			IdentityStoreId: s.storeID, MemberId: &shape.MemberId{UserId: id}, MaxResults: &size, NextToken: after})
		if missing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, m := range out.GroupMemberships {
			all = append(all, m.GroupId)
		}
		if after = out.NextToken; after == "" {
			break
		}
	}
	return all, nil
}

// memberIDs are the people whom a value of members names.
func memberIDs(v any) ([]string, error) {
	var all []string
	for _, m := range listed(v) {
		id, _ := m["value"].(string)
		if !idForm.MatchString(id) {
			return nil, badValue("A member is named by the id of a User.")
		}
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all, nil
}

// join adds people to a group, all or none of them. Who is in it stays.
func (s *Server) join(r *request, group string, people []string) error {
	var made []string
	for _, id := range people {
		out, err := ask[shape.CreateGroupMembershipOutput](r, "CreateGroupMembership", &shape.CreateGroupMembershipInput{
			IdentityStoreId: s.storeID, GroupId: group, MemberId: &shape.MemberId{UserId: id}})
		if clashes(err) {
			continue
		}
		if err == nil {
			made = append(made, out.MembershipId)
			continue
		}
		for _, m := range made {
			if undo := s.part(r, m); undo != nil {
				s.Log.Error("a membership stays of a request that failed", "membership", m, "err", undo)
			}
		}
		if missing(err) {
			return badValue("There is no User %s.", id)
		}
		return err
	}
	return nil
}

// part ends a membership, if it is there.
func (s *Server) part(r *request, membership string) error {
	_, err := ask[shape.DeleteGroupMembershipOutput](r, "DeleteGroupMembership", &shape.DeleteGroupMembershipInput{IdentityStoreId: s.storeID, MembershipId: membership})
	if missing(err) {
		return nil
	}
	return err
}

// leave removes people from a group. Who is not in it stays out.
func (s *Server) leave(r *request, group string, people []string) error {
	for _, id := range people {
		out, err := ask[shape.GetGroupMembershipIdOutput](r, "GetGroupMembershipId", &shape.GetGroupMembershipIdInput{
			IdentityStoreId: s.storeID, GroupId: group, MemberId: &shape.MemberId{UserId: id}})
		if missing(err) {
			continue
		}
		if err == nil {
			err = s.part(r, out.MembershipId)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replace makes people the members of a group, and no others. It adds first: what
// fails there leaves the group as it was.
func (s *Server) replace(r *request, group string, people []string) error {
	have, err := s.membersOf(r, group)
	if err != nil {
		return err
	}
	in := map[string]bool{}
	for _, m := range have {
		in[m.MemberId.UserId] = true
	}
	if err := s.join(r, group, slices.DeleteFunc(slices.Clone(people), func(id string) bool { return in[id] })); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, id := range people {
		wanted[id] = true
	}
	for _, m := range have {
		if wanted[m.MemberId.UserId] {
			continue
		}
		if err := s.part(r, m.MembershipId); err != nil {
			return err
		}
	}
	return nil
}

// A crowd is who is to come into a group and who is to go.
type crowd struct {
	all     bool // in are all who are to be in it
	in, out []string
}

// gather adds a change of members to those before it.
func (c change) gather(to *crowd) error {
	if c.at.sub != nil {
		return immutable("A member")
	}
	var people []string
	everybody := false
	if c.at.which != nil {
		id, ok := indexedValue(c.at.which)
		if !ok || c.op != "remove" {
			return badPath("Members are picked by value eq, and only to be removed.")
		}
		people = []string{id}
	} else {
		v, err := normalValue(c.at.attribute, c.value)
		if err != nil {
			return err
		}
		if people, err = memberIDs(v); err != nil {
			return err
		}
		everybody = c.op == "replace" || v == nil && c.op == "remove"
	}
	among := func(id string) bool { return slices.Contains(people, id) }
	switch {
	case everybody:
		*to = crowd{all: true, in: people}
	case c.op == "add":
		to.in = append(slices.DeleteFunc(to.in, among), people...)
		to.out = slices.DeleteFunc(to.out, among)
	default:
		to.in = slices.DeleteFunc(to.in, among)
		to.out = append(slices.DeleteFunc(to.out, among), people...)
	}
	return nil
}
