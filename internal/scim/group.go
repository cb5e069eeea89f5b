package scim

import shape "bawn.dev/internal/shape/identitystore"

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
