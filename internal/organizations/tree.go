package organizations

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// treeKey is touched by whatever changes what an account stands under: units,
// moves, policies, attachments and enabled types. Every caller's account depends on
// it, so a change here is seen by the next call, and of two changes that were
// decided on the same tree the second is decided again.
const treeKey = "organizations:tree"

// A node is the root, a unit or an account: what a policy can be attached to.
type node struct {
	kind             shape.TargetType
	id, name, parent string
	tags             []tag
}

var (
	anyNode   = []shape.TargetType{shape.TargetTypeRoot, shape.TargetTypeOrganizationalUnit, shape.TargetTypeAccount}
	container = []shape.TargetType{shape.TargetTypeRoot, shape.TargetTypeOrganizationalUnit}
	movable   = []shape.TargetType{shape.TargetTypeOrganizationalUnit, shape.TargetTypeAccount}
)

// kindOf tells nodes apart by their ids.
func kindOf(id string) shape.TargetType {
	switch {
	case strings.HasPrefix(id, "r-"):
		return shape.TargetTypeRoot
	case strings.HasPrefix(id, "ou-"):
		return shape.TargetTypeOrganizationalUnit
	}
	return shape.TargetTypeAccount
}

func (o org) nodeARN(id string) string {
	kind := "account"
	switch kindOf(id) {
	case shape.TargetTypeRoot:
		kind = "root"
	case shape.TargetTypeOrganizationalUnit:
		kind = "ou"
	}
	return "arn:aws:organizations::" + o.management + ":" + kind + "/" + o.id + "/" + id
}

// nodeResource is a node, or one that is not there, as decisions see it.
func (o org) nodeResource(id string, tags []tag) api.Resource {
	r := api.Resource{ARN: o.nodeARN(id), Account: o.management, Type: "AWS::Organizations::Account", Tags: tagMap(tags)}
	switch kindOf(id) {
	case shape.TargetTypeRoot:
		r.Type = "AWS::Organizations::Root"
	case shape.TargetTypeOrganizationalUnit:
		r.Type = "AWS::Organizations::OrganizationalUnit"
	}
	return r
}

// nodeByID answers nil for one that is not there. It reads no tags.
func nodeByID(q store.Querier, o org, id string) (*node, error) {
	n := &node{kind: kindOf(id), id: id}
	var err error
	switch n.kind {
	case shape.TargetTypeRoot:
		if id != o.root {
			return nil, nil
		}
		n.name = rootName
	case shape.TargetTypeOrganizationalUnit:
		err = q.QueryRow(`SELECT name, parent FROM organizations_units WHERE id = ?`, id).Scan(&n.name, &n.parent)
	default:
		err = q.QueryRow(`SELECT name, parent FROM organizations_accounts WHERE id = ?`, id).Scan(&n.name, &n.parent)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return n, err
}

// maxDepth is how many units may stand below each other.
const maxDepth = 5

// above lists the containers from the root down to the one named.
func above(q store.Querier, o org, id string) ([]string, error) {
	chain := []string{id}
	for id != o.root {
		if len(chain) > maxDepth {
			return nil, errors.New("organizations: units stand below each other in a circle, or too deep")
		}
		if err := q.QueryRow(`SELECT parent FROM organizations_units WHERE id = ?`, id).Scan(&id); err != nil {
			return nil, err
		}
		chain = append(chain, id)
	}
	slices.Reverse(chain)
	return chain, nil
}

// path is a chain of containers as aws:PrincipalOrgPaths has it.
func (o org) path(chain []string) string { return o.id + "/" + strings.Join(chain, "/") + "/" }

// managed is the organization, for a principal of its management account. Nobody
// else manages it: here is no delegation.
func managed(c *api.Call) (org, error) {
	if !c.Organization().Management {
		return org{}, &api.Error{Code: "AccessDeniedException", Status: http.StatusBadRequest, Message: "You don't have permissions to access this resource."}
	}
	if _, err := c.Snapshot.Version(treeKey); err != nil {
		return org{}, err
	}
	return organization(c.Snapshot)
}

// find reads a node of one of the kinds and notes what it depends on. A missing one
// is a nil node and a resource that says so.
func find(c *api.Call, o org, id string, missing *api.Error, kinds ...shape.TargetType) (*node, api.Resource, error) {
	if _, err := c.Snapshot.Versions(treeKey, accountKey(id), tagsKey(id)); err != nil {
		return nil, api.Resource{}, err
	}
	n, err := nodeByID(c.Snapshot, o, id)
	if err != nil {
		return nil, api.Resource{}, err
	}
	if n == nil || !slices.Contains(kinds, n.kind) {
		r := o.nodeResource(id, nil)
		r.Missing = missing
		return nil, r, nil
	}
	n.tags, err = tagsOf(c.Snapshot, id)
	return n, o.nodeResource(id, n.tags), err
}

// A place is a node of the organization that somebody asks about.
type place struct {
	org  org
	node *node
}

// at resolves operations on one node.
func at(c *api.Call, action, id string, missing *api.Error, kinds ...shape.TargetType) (place, []api.Demand, error) {
	o, err := managed(c)
	if err != nil {
		return place{}, nil, err
	}
	n, r, err := find(c, o, id, missing, kinds...)
	return place{o, n}, api.On(action, r), err
}

// anywhere resolves operations that know no resource.
func anywhere(c *api.Call, action string) (org, []api.Demand, error) {
	o, err := managed(c)
	return o, api.On(action, api.Any), err
}

func (s *Service) listedChildren(_ context.Context, c *api.Call, in *shape.ListChildrenInput) (place, []api.Demand, error) {
	return at(c, "organizations:ListChildren", in.ParentId, noSuchParent(), container...)
}

func (s *Service) listChildren(_ context.Context, c *api.Call, in *shape.ListChildrenInput, at place) (*shape.ListChildrenOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	table := "organizations_accounts"
	if in.ChildType == shape.ChildTypeOrganizationalUnit {
		table = "organizations_units"
	}
	found, err := store.Collect(c.Snapshot, func(r *store.Rows) (child shape.Child, err error) {
		child.Type = in.ChildType
		err = r.Scan(&child.Id)
		return child, err
	}, `SELECT id FROM `+table+` WHERE parent = ? AND id > ? ORDER BY id LIMIT ?`, at.node.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListChildrenOutput{Children: []shape.Child{}}
	found, out.NextToken = cut(p, found, func(child shape.Child) string { return child.Id })
	out.Children = append(out.Children, found...)
	return out, nil
}

func (s *Service) listedParents(_ context.Context, c *api.Call, in *shape.ListParentsInput) (place, []api.Demand, error) {
	return at(c, "organizations:ListParents", in.ChildId, fail("ChildNotFoundException", "You specified a child that doesn't exist."), movable...)
}

func (s *Service) listParents(_ context.Context, _ *api.Call, in *shape.ListParentsInput, at place) (*shape.ListParentsOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	kind := shape.ParentTypeOrganizationalUnit
	if at.node.parent == at.org.root {
		kind = shape.ParentTypeRoot
	}
	return &shape.ListParentsOutput{Parents: only(p, shape.Parent{Id: at.node.parent, Type: kind}, at.node.parent)}, nil
}
