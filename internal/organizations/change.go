package organizations

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

func (s *Service) newPolicy(_ context.Context, c *api.Call, in *shape.CreatePolicyInput) (held, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return held{}, nil, err
	}
	o, demands, err := anywhere(c, "organizations:CreatePolicy")
	if err != nil {
		return held{}, nil, err
	}
	demands[0].Keys = typeKeys(in.Type)
	p := &control{id: "p-" + letters(10), name: in.Name, description: in.Description, kind: in.Type, content: in.Content}
	r := api.Resource{ARN: o.policyARN(p.kind, p.id), Account: o.management, Type: "AWS::Organizations::Policy"}
	return held{o, p}, tagged(demands, r, in.Tags), nil
}

func (s *Service) createPolicy(_ context.Context, c *api.Call, in *shape.CreatePolicyInput, h held) (api.Commit[shape.CreatePolicyOutput], error) {
	if err := s.check(in.Type, in.Content); err != nil {
		return nil, err
	}
	p, now := h.policy, c.Now
	return func(tx *store.Tx) (*shape.CreatePolicyOutput, error) {
		n, err := named(tx, p)
		if err != nil {
			return nil, err
		}
		if n >= served[p.kind].policies {
			return nil, constraint("POLICY_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of policies of the type: %d.", served[p.kind].policies)
		}
		if _, err := tx.Exec(`INSERT INTO organizations_policies (`+policyColumns+`, created) VALUES (?, ?, ?, ?, ?, 1, ?)`,
			p.id, string(p.kind), p.name, p.description, p.content, now.UnixMicro()); err != nil {
			return nil, err
		}
		if err := putTags(tx, p.id, in.Tags); err != nil {
			return nil, err
		}
		return &shape.CreatePolicyOutput{Policy: h.org.toPolicy(p)}, tx.Touch(treeKey)
	}, nil
}

// named counts the policies of the type, and refuses a name that another has.
func named(tx *store.Tx, p *control) (n int, err error) {
	var twins int
	if err := tx.QueryRow(`SELECT COUNT(*), COUNT(CASE WHEN name = ? AND id <> ? THEN 1 END) FROM organizations_policies WHERE type = ?`,
		p.name, p.id, string(p.kind)).Scan(&n, &twins); err != nil {
		return 0, err
	}
	if twins > 0 || p.name == suppliedOf(p.kind).name {
		return 0, duplicatePolicy()
	}
	return n, nil
}

func immutable() *api.Error {
	return invalid("IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and can't be modified.")
}

func (s *Service) updatedPolicy(_ context.Context, c *api.Call, in *shape.UpdatePolicyInput) (held, []api.Demand, error) {
	return hold(c, "organizations:UpdatePolicy", in.PolicyId)
}

func (s *Service) updatePolicy(_ context.Context, _ *api.Call, in *shape.UpdatePolicyInput, h held) (api.Commit[shape.UpdatePolicyOutput], error) {
	if h.policy.supplied() {
		return nil, immutable()
	}
	p := *h.policy
	if in.Name != "" {
		p.name = in.Name
	}
	if in.Description != "" {
		p.description = in.Description
	}
	if in.Content != "" {
		if err := s.check(p.kind, in.Content); err != nil {
			return nil, err
		}
		p.content = in.Content
	}
	return func(tx *store.Tx) (*shape.UpdatePolicyOutput, error) {
		if _, err := named(tx, &p); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`UPDATE organizations_policies SET name = ?, description = ?, content = ?, revision = revision + 1 WHERE id = ?`,
			p.name, p.description, p.content, p.id); err != nil {
			return nil, err
		}
		return &shape.UpdatePolicyOutput{Policy: h.org.toPolicy(&p)}, tx.Touch(treeKey)
	}, nil
}

func (s *Service) deletedPolicy(_ context.Context, c *api.Call, in *shape.DeletePolicyInput) (held, []api.Demand, error) {
	return hold(c, "organizations:DeletePolicy", in.PolicyId)
}

func (s *Service) deletePolicy(_ context.Context, _ *api.Call, _ *shape.DeletePolicyInput, h held) (api.Commit[shape.DeletePolicyOutput], error) {
	if h.policy.supplied() {
		return nil, immutable()
	}
	id := h.policy.id
	return func(tx *store.Tx) (*shape.DeletePolicyOutput, error) {
		var attached int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM organizations_attachments WHERE policy = ?`, id).Scan(&attached); err != nil {
			return nil, err
		}
		if attached > 0 {
			return nil, fail("PolicyInUseException", "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
		}
		for _, statement := range []string{`DELETE FROM organizations_tags WHERE owner = ?`, `DELETE FROM organizations_policies WHERE id = ?`} {
			if _, err := tx.Exec(statement, id); err != nil {
				return nil, err
			}
		}
		return &shape.DeletePolicyOutput{}, tx.Touch(treeKey, tagsKey(id))
	}, nil
}
