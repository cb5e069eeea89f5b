package organizations

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

func attach(tx *store.Tx, p *control, target string) error {
	_, err := tx.Exec(`INSERT INTO organizations_attachments (target, policy, type) VALUES (?, ?, ?)`, target, p.id, string(p.kind))
	return err
}

// attachSupplied gives a new node what every node has from its first moment.
func attachSupplied(tx *store.Tx, target string) error {
	enabled, err := enabledTypes(tx)
	if err != nil {
		return err
	}
	for _, t := range enabled {
		if err := attach(tx, suppliedOf(t), target); err != nil {
			return err
		}
	}
	return nil
}

// A bond is a policy and a node that it is, or shall be, attached to.
type bond struct {
	policy *control
	target *node
}

// bind resolves what attaches and detaches: both sides must be allowed.
func bind(c *api.Call, action, policyID, targetID string) (bond, []api.Demand, error) {
	h, demands, err := hold(c, action, policyID)
	if err != nil {
		return bond{}, nil, err
	}
	n, r, err := find(c, h.org, targetID, noSuchTarget(), anyNode...)
	demands = append(demands, api.Demand{Action: action, Resource: r, Keys: demands[0].Keys})
	return bond{h.policy, n}, demands, err
}

// attached counts the policies of a type on a target, and of them the one named.
func (b bond) attached(tx *store.Tx) (all, this int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*), COUNT(CASE WHEN policy = ? THEN 1 END) FROM organizations_attachments WHERE target = ? AND type = ?`,
		b.policy.id, b.target.id, string(b.policy.kind)).Scan(&all, &this)
	return all, this, err
}

func (s *Service) attachedPolicy(_ context.Context, c *api.Call, in *shape.AttachPolicyInput) (bond, []api.Demand, error) {
	return bind(c, "organizations:AttachPolicy", in.PolicyId, in.TargetId)
}

func (s *Service) attachPolicy(_ context.Context, _ *api.Call, _ *shape.AttachPolicyInput, b bond) (api.Commit[shape.AttachPolicyOutput], error) {
	return func(tx *store.Tx) (*shape.AttachPolicyOutput, error) {
		if on, err := isEnabled(tx, b.policy.kind); err != nil {
			return nil, err
		} else if !on {
			return nil, notEnabled()
		}
		all, this, err := b.attached(tx)
		if err != nil {
			return nil, err
		}
		if this > 0 {
			return nil, fail("DuplicatePolicyAttachmentException", "The selected policy is already attached to the specified target.")
		}
		if limit := served[b.policy.kind].attached; all >= limit {
			return nil, constraint("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You have exceeded the number of policies of the type that can be attached to the target: %d.", limit)
		}
		if err := attach(tx, b.policy, b.target.id); err != nil {
			return nil, err
		}
		return &shape.AttachPolicyOutput{}, tx.Touch(treeKey)
	}, nil
}

func (s *Service) detachedPolicy(_ context.Context, c *api.Call, in *shape.DetachPolicyInput) (bond, []api.Demand, error) {
	return bind(c, "organizations:DetachPolicy", in.PolicyId, in.TargetId)
}

func (s *Service) detachPolicy(_ context.Context, _ *api.Call, _ *shape.DetachPolicyInput, b bond) (api.Commit[shape.DetachPolicyOutput], error) {
	return func(tx *store.Tx) (*shape.DetachPolicyOutput, error) {
		all, this, err := b.attached(tx)
		if err != nil {
			return nil, err
		}
		switch {
		case this == 0:
			return nil, fail("PolicyNotAttachedException", "The policy isn't attached to the specified target in the specified root.")
		case b.policy == suppliedOf(shape.PolicyTypeResourceControlPolicy):
			return nil, invalid("NON_DETACHABLE_POLICY", "You can't detach this AWS managed policy.")
		case all == 1:
			return nil, constraint("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You must have at least one policy of the type attached to the target.")
		}
		if _, err := tx.Exec(`DELETE FROM organizations_attachments WHERE target = ? AND policy = ?`, b.target.id, b.policy.id); err != nil {
			return nil, err
		}
		return &shape.DetachPolicyOutput{}, tx.Touch(treeKey)
	}, nil
}

func (s *Service) listedTargetPolicies(_ context.Context, c *api.Call, in *shape.ListPoliciesForTargetInput) (place, []api.Demand, error) {
	at, demands, err := at(c, "organizations:ListPoliciesForTarget", in.TargetId, noSuchTarget(), anyNode...)
	for i := range demands {
		demands[i].Keys = typeKeys(in.Filter)
	}
	return at, demands, err
}

func (s *Service) listPoliciesForTarget(_ context.Context, c *api.Call, in *shape.ListPoliciesForTargetInput, at place) (*shape.ListPoliciesForTargetOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	ids, err := collectIDs(c.Snapshot, `SELECT policy FROM organizations_attachments WHERE target = ? AND type = ? AND policy > ? ORDER BY policy LIMIT ?`,
		at.node.id, string(in.Filter), p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListPoliciesForTargetOutput{Policies: []shape.PolicySummary{}}
	ids, out.NextToken = cut(p, ids, itself)
	for _, id := range ids {
		one, err := policyByID(c.Snapshot, id)
		if err != nil {
			return nil, err
		}
		if one != nil {
			out.Policies = append(out.Policies, *at.org.toSummary(one))
		}
	}
	return out, nil
}

func (s *Service) listedTargets(_ context.Context, c *api.Call, in *shape.ListTargetsForPolicyInput) (held, []api.Demand, error) {
	return hold(c, "organizations:ListTargetsForPolicy", in.PolicyId)
}

func (s *Service) listTargetsForPolicy(_ context.Context, c *api.Call, in *shape.ListTargetsForPolicyInput, h held) (*shape.ListTargetsForPolicyOutput, error) {
	p, err := paging(in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	ids, err := collectIDs(c.Snapshot, `SELECT target FROM organizations_attachments WHERE policy = ? AND target > ? ORDER BY target LIMIT ?`,
		h.policy.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListTargetsForPolicyOutput{Targets: []shape.PolicyTargetSummary{}}
	ids, out.NextToken = cut(p, ids, itself)
	for _, id := range ids {
		n, err := nodeByID(c.Snapshot, h.org, id)
		if err != nil {
			return nil, err
		}
		if n != nil {
			out.Targets = append(out.Targets, shape.PolicyTargetSummary{Arn: h.org.nodeARN(id), Name: n.name, TargetId: id, Type: n.kind})
		}
	}
	return out, nil
}

func itself(s string) string { return s }

func collectIDs(q store.Querier, query string, args ...any) ([]string, error) {
	return store.Collect(q, func(r *store.Rows) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	}, query, args...)
}
