package organizations

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// maxUnits is AWS's quota.
const maxUnits = 2000

func (o org) toUnit(id, name string, chain []string) shape.OrganizationalUnit {
	return shape.OrganizationalUnit{Arn: o.nodeARN(id), Id: id, Name: name, Path: o.path(chain)}
}

// unit is the unit of a place as the API describes it.
func (p place) unit(q store.Querier) (*shape.OrganizationalUnit, error) {
	chain, err := above(q, p.org, p.node.id)
	if err != nil {
		return nil, err
	}
	u := p.org.toUnit(p.node.id, p.node.name, chain)
	return &u, nil
}

// A newcomer is a unit that is being made.
type newcomer struct {
	place // the parent
	id    string
}

func (s *Service) newUnit(_ context.Context, c *api.Call, in *shape.CreateOrganizationalUnitInput) (newcomer, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return newcomer{}, nil, err
	}
	parent, demands, err := at(c, "organizations:CreateOrganizationalUnit", in.ParentId, noSuchParent(), container...)
	if err != nil {
		return newcomer{}, nil, err
	}
	id := "ou-" + parent.org.root[len("r-"):] + "-" + letters(8)
	return newcomer{parent, id}, tagged(demands, parent.org.nodeResource(id, nil), in.Tags), nil
}

func (s *Service) createUnit(_ context.Context, c *api.Call, in *shape.CreateOrganizationalUnitInput, n newcomer) (api.Commit[shape.CreateOrganizationalUnitOutput], error) {
	chain, err := above(c.Snapshot, n.org, n.node.id)
	if err != nil {
		return nil, err
	}
	if len(chain) > maxDepth {
		return nil, constraint("OU_DEPTH_LIMIT_EXCEEDED", "You have exceeded the allowed depth of organizational units: %d.", maxDepth)
	}
	now := c.Now
	return func(tx *store.Tx) (*shape.CreateOrganizationalUnitOutput, error) {
		var units, twins int
		if err := tx.QueryRow(`SELECT COUNT(*), COUNT(CASE WHEN parent = ? AND name = ? THEN 1 END) FROM organizations_units`,
			n.node.id, in.Name).Scan(&units, &twins); err != nil {
			return nil, err
		}
		switch {
		case twins > 0:
			return nil, duplicateUnit()
		case units >= maxUnits:
			return nil, constraint("OU_NUMBER_LIMIT_EXCEEDED", "You have exceeded the allowed number of organizational units: %d.", maxUnits)
		}
		if _, err := tx.Exec(`INSERT INTO organizations_units (id, parent, name, created) VALUES (?, ?, ?, ?)`,
			n.id, n.node.id, in.Name, now.UnixMicro()); err != nil {
			return nil, err
		}
		if err := attachSupplied(tx, n.id); err != nil {
			return nil, err
		}
		if err := putTags(tx, n.id, in.Tags); err != nil {
			return nil, err
		}
		u := n.org.toUnit(n.id, in.Name, append(chain[:len(chain):len(chain)], n.id))
		return &shape.CreateOrganizationalUnitOutput{OrganizationalUnit: &u}, tx.Touch(treeKey)
	}, nil
}

func (s *Service) describedUnit(_ context.Context, c *api.Call, in *shape.DescribeOrganizationalUnitInput) (place, []api.Demand, error) {
	return at(c, "organizations:DescribeOrganizationalUnit", in.OrganizationalUnitId, noSuchUnit(), shape.TargetTypeOrganizationalUnit)
}

func (s *Service) describeUnit(_ context.Context, c *api.Call, _ *shape.DescribeOrganizationalUnitInput, at place) (*shape.DescribeOrganizationalUnitOutput, error) {
	u, err := at.unit(c.Snapshot)
	return &shape.DescribeOrganizationalUnitOutput{OrganizationalUnit: u}, err
}

func (s *Service) updatedUnit(_ context.Context, c *api.Call, in *shape.UpdateOrganizationalUnitInput) (place, []api.Demand, error) {
	return at(c, "organizations:UpdateOrganizationalUnit", in.OrganizationalUnitId, noSuchUnit(), shape.TargetTypeOrganizationalUnit)
}

func (s *Service) updateUnit(_ context.Context, c *api.Call, in *shape.UpdateOrganizationalUnitInput, at place) (api.Commit[shape.UpdateOrganizationalUnitOutput], error) {
	u, err := at.unit(c.Snapshot)
	if err != nil {
		return nil, err
	}
	if in.Name != "" {
		u.Name = in.Name
	}
	return func(tx *store.Tx) (*shape.UpdateOrganizationalUnitOutput, error) {
		var twins int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM organizations_units WHERE parent = ? AND name = ? AND id <> ?`,
			at.node.parent, u.Name, u.Id).Scan(&twins); err != nil {
			return nil, err
		}
		if twins > 0 {
			return nil, duplicateUnit()
		}
		if _, err := tx.Exec(`UPDATE organizations_units SET name = ? WHERE id = ?`, u.Name, u.Id); err != nil {
			return nil, err
		}
		return &shape.UpdateOrganizationalUnitOutput{OrganizationalUnit: u}, tx.Touch(treeKey)
	}, nil
}

func (s *Service) deletedUnit(_ context.Context, c *api.Call, in *shape.DeleteOrganizationalUnitInput) (place, []api.Demand, error) {
	return at(c, "organizations:DeleteOrganizationalUnit", in.OrganizationalUnitId, noSuchUnit(), shape.TargetTypeOrganizationalUnit)
}

func (s *Service) deleteUnit(_ context.Context, _ *api.Call, _ *shape.DeleteOrganizationalUnitInput, at place) (api.Commit[shape.DeleteOrganizationalUnitOutput], error) {
	id := at.node.id
	return func(tx *store.Tx) (*shape.DeleteOrganizationalUnitOutput, error) {
		var units, accounts int
		if err := tx.QueryRow(`SELECT (SELECT COUNT(*) FROM organizations_units WHERE parent = ?),
			(SELECT COUNT(*) FROM organizations_accounts WHERE parent = ?)`, id, id).Scan(&units, &accounts); err != nil {
			return nil, err
		}
		if units+accounts > 0 {
			return nil, fail("OrganizationalUnitNotEmptyException", "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, and try the operation again.")
		}
		for _, statement := range []string{
			`DELETE FROM organizations_attachments WHERE target = ?`,
			`DELETE FROM organizations_tags WHERE owner = ?`,
			`DELETE FROM organizations_units WHERE id = ?`,
		} {
			if _, err := tx.Exec(statement, id); err != nil {
				return nil, err
			}
		}
		return &shape.DeleteOrganizationalUnitOutput{}, tx.Touch(treeKey, tagsKey(id))
	}, nil
}

func (s *Service) listedUnits(_ context.Context, c *api.Call, in *shape.ListOrganizationalUnitsForParentInput) (place, []api.Demand, error) {
	return at(c, "organizations:ListOrganizationalUnitsForParent", in.ParentId, noSuchParent(), container...)
}

func (s *Service) listUnits(_ context.Context, c *api.Call, in *shape.ListOrganizationalUnitsForParentInput, at place) (*shape.ListOrganizationalUnitsForParentOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	chain, err := above(c.Snapshot, at.org, at.node.id)
	if err != nil {
		return nil, err
	}
	found, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.OrganizationalUnit, error) {
		var id, name string
		err := r.Scan(&id, &name)
		return at.org.toUnit(id, name, append(chain[:len(chain):len(chain)], id)), err
	}, `SELECT id, name FROM organizations_units WHERE parent = ? AND id > ? ORDER BY id LIMIT ?`, at.node.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListOrganizationalUnitsForParentOutput{OrganizationalUnits: []shape.OrganizationalUnit{}}
	found, out.NextToken = cut(p, found, func(u shape.OrganizationalUnit) string { return u.Id })
	out.OrganizationalUnits = append(out.OrganizationalUnits, found...)
	return out, nil
}
