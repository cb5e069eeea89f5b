package scim

import (
	"slices"

	shape "bawn.dev/internal/shape/identitystore"
)

// maxShown bounds the members that one answer shows.
const maxShown = 100_000

func (s *Server) groupKind() kind {
	return kind{
		resourceType: groups, create: s.createGroup, get: s.getGroup, put: s.putGroup, patch: s.patchGroup, remove: s.removeGroup,
		found: s.findGroups, page: s.pageGroups,
	}
}

func (s *Server) group(r *request, id string) (*shape.Group, error) {
	out, err := ask[shape.DescribeGroupOutput](r, "DescribeGroup", &shape.DescribeGroupInput{IdentityStoreId: s.storeID, GroupId: id})
	if missing(err) {
		return nil, notFound(id)
	}
	return (*shape.Group)(out), err
}

func (s *Server) getGroup(r *request, id string, v view) (object, error) {
	g, err := s.group(r, id)
	if err != nil {
		return nil, err
	}
	return s.groupObject(r, g, v)
}

// groupObject is a group as SCIM shows it. Without its members it has no entity tag,
// which speaks of them too.
func (s *Server) groupObject(r *request, g *shape.Group, v view) (object, error) {
	o := object{"schemas": []any{groupURN}, "id": g.GroupId, "displayName": g.DisplayName}
	if id := s.externalID(g.ExternalIds); id != "" {
		o["externalId"] = id
	}
	whole := v.wants("members")
	if whole {
		people, err := s.membersOf(r, g.GroupId)
		if err != nil {
			return nil, err
		}
		list := []any{}
		for _, m := range people {
			list = append(list, s.memberObject(r, m.MemberId.UserId))
		}
		o["members"] = list
	}
	err := r.stamp(o, groups, g.GroupId, g.CreatedAt, g.UpdatedAt)
	if !whole {
		delete(o["meta"].(object), "version")
	}
	return o, err
}

func (s *Server) memberObject(r *request, id string) object {
	return object{"value": id, "type": "User", "$ref": r.base + "/Users/" + id}
}

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

func (s *Server) createGroup(r *request, o object) (object, error) {
	people, err := memberIDs(o["members"])
	if err != nil {
		return nil, err
	}
	name, _ := o["displayName"].(string)
	out, err := ask[shape.CreateGroupOutput](r, "CreateGroup", &shape.CreateGroupInput{IdentityStoreId: s.storeID, DisplayName: name})
	if err != nil {
		return nil, err
	}
	err = s.changeGroup(r, &shape.Group{GroupId: out.GroupId, DisplayName: name}, o)
	if err == nil {
		err = s.join(r, out.GroupId, people)
	}
	if err != nil { // what cannot be made whole is not made
		if undo := s.removeGroup(r, out.GroupId); undo != nil {
			s.Log.Error("a group stays that could not be made whole", "group", out.GroupId, "err", undo)
		}
		return nil, err
	}
	return s.getGroup(r, out.GroupId, view{})
}

// changeGroup gives a group the name and the external id that o says.
func (s *Server) changeGroup(r *request, g *shape.Group, o object) error {
	var ops []shape.AttributeOperation
	if name, _ := o["displayName"].(string); name != g.DisplayName {
		doc, err := document(o["displayName"])
		if err != nil {
			return err
		}
		ops = append(ops, shape.AttributeOperation{AttributePath: "displayName", AttributeValue: doc})
	}
	if id, _ := o["externalId"].(string); id != s.externalID(g.ExternalIds) {
		doc, err := document(s.externalIDs(g.ExternalIds, id))
		if err != nil {
			return err
		}
		ops = append(ops, shape.AttributeOperation{AttributePath: "externalIds", AttributeValue: doc})
	}
	if len(ops) == 0 {
		return nil
	}
	_, err := ask[shape.UpdateGroupOutput](r, "UpdateGroup", &shape.UpdateGroupInput{IdentityStoreId: s.storeID, GroupId: g.GroupId, Operations: ops})
	if missing(err) {
		return notFound(g.GroupId)
	}
	return err
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

func (s *Server) putGroup(r *request, id string, o object) (object, error) {
	people, err := memberIDs(o["members"])
	if err != nil {
		return nil, err
	}
	g, err := s.group(r, id)
	if err != nil {
		return nil, err
	}
	return s.settle(r, g, o, crowd{all: true, in: people})
}

// patchGroup reads all changes before it makes any.
func (s *Server) patchGroup(r *request, id string, changes []change) (object, error) {
	g, err := s.group(r, id)
	if err != nil {
		return nil, err
	}
	o := s.saidOfGroup(g)
	var all crowd
	for _, c := range changes {
		if c.at.attribute.name == "members" {
			err = c.gather(&all)
		} else {
			err = c.apply(o)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.settle(r, g, o, all)
}

func (s *Server) saidOfGroup(g *shape.Group) object {
	o := object{"displayName": g.DisplayName}
	if external := s.externalID(g.ExternalIds); external != "" {
		o["externalId"] = external
	}
	return o
}

// settle makes a group what is wanted of it. What can fail comes first, and the old
// name comes back if that does.
func (s *Server) settle(r *request, g *shape.Group, o object, people crowd) (object, error) {
	if err := s.changeGroup(r, g, o); err != nil {
		return nil, err
	}
	var err error
	if people.all {
		err = s.replace(r, g.GroupId, people.in)
	} else if err = s.join(r, g.GroupId, people.in); err == nil {
		err = s.leave(r, g.GroupId, people.out)
	}
	if err != nil {
		if now, undo := s.group(r, g.GroupId); undo == nil {
			if undo = s.changeGroup(r, now, s.saidOfGroup(g)); undo != nil {
				s.Log.Error("a group keeps the name of a request that failed", "group", g.GroupId, "err", undo)
			}
		}
		return nil, err
	}
	return s.getGroup(r, g.GroupId, view{})
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

func (s *Server) removeGroup(r *request, id string) error {
	_, err := ask[shape.DeleteGroupOutput](r, "DeleteGroup", &shape.DeleteGroupInput{IdentityStoreId: s.storeID, GroupId: id})
	if missing(err) {
		return notFound(id)
	}
	return err
}

// findGroups answers a look-up by what is unique of groups, or by a member.
func (s *Server) findGroups(r *request, l lookup) ([]string, error) {
	switch l.attribute {
	case "id":
		return []string{l.value}, nil
	case "members":
		return s.groupsOf(r, l.value)
	}
	by, err := s.alternate(l, map[string]string{"displayName": "displayName"})
	if err != nil || by == nil {
		return nil, err
	}
	out, err := ask[shape.GetGroupIdOutput](r, "GetGroupId", &shape.GetGroupIdInput{IdentityStoreId: s.storeID, AlternateIdentifier: by})
	if err != nil {
		return nil, err
	}
	return []string{out.GroupId}, nil
}

func (s *Server) pageGroups(r *request, after string, count int, v view) ([]object, string, error) {
	size := int32(count)
	out, err := ask[shape.ListGroupsOutput](r, "ListGroups", &shape.ListGroupsInput{IdentityStoreId: s.storeID, MaxResults: &size, NextToken: after})
	if err != nil {
		return nil, "", err
	}
	var list []object
	shown := 0
	for i := range out.Groups {
		o, err := s.groupObject(r, &out.Groups[i], v)
		if err != nil {
			return nil, "", err
		}
		people, _ := o["members"].([]any)
		if shown += len(people); shown > maxShown {
			return nil, "", tooMany("The groups have more than %d members: exclude the attribute members.", maxShown)
		}
		list = append(list, o)
	}
	return list, out.NextToken, nil
}
