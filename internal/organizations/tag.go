package organizations

import (
	"context"
	"maps"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

const maxTags = 50

type tag = shape.Tag

func tagsKey(owner string) string { return "organizations:tags/" + owner }

func tagMap(tags []tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// checkTags refuses tags that AWS refuses. Keys that differ only in case are one:
// condition keys know no case.
func checkTags(tags []tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		folded := strings.ToLower(t.Key)
		if strings.HasPrefix(folded, "aws:") {
			return invalid("INVALID_SYSTEM_TAGS_PARAMETER", "You specified a tag key that is a system tag. You can't add, edit, or delete system tag keys.")
		}
		if seen[folded] {
			return invalid("DUPLICATE_TAG_KEY", "Tag keys must be unique among the tags attached to the same entity.")
		}
		seen[folded] = true
	}
	if len(tags) > maxTags {
		return tooManyTags()
	}
	return nil
}

func tooManyTags() error {
	return constraint("MAX_TAG_LIMIT_EXCEEDED", "You have exceeded the number of tags allowed on this resource: %d.", maxTags)
}

// requestTagKeys are the condition keys of tags that a request brings.
func requestTagKeys(tags []tag) policy.Context {
	k := policy.Context{}
	var names []string
	for _, t := range tags {
		k.Set("aws:RequestTag/"+t.Key, t.Value)
		names = append(names, t.Key)
	}
	k.Set("aws:TagKeys", names...)
	return k
}

// tagged adds to the demands for making r what its tags demand.
func tagged(demands []api.Demand, r api.Resource, tags []tag) []api.Demand {
	for i := range demands {
		demands[i].Keys = withKeys(demands[i].Keys, requestTagKeys(tags))
	}
	if len(tags) > 0 {
		demands = append(demands, api.Demand{Action: tagging, Resource: r, Keys: requestTagKeys(tags)})
	}
	return demands
}

// withKeys adds keys to those that a demand has.
func withKeys(keys, more policy.Context) policy.Context {
	if keys == nil {
		return more
	}
	maps.Copy(keys, more)
	return keys
}

func tagsOf(q store.Querier, owner string) ([]tag, error) {
	return store.Collect(q, func(r *store.Rows) (t tag, err error) {
		err = r.Scan(&t.Key, &t.Value)
		return t, err
	}, `SELECT name, value FROM organizations_tags WHERE owner = ? ORDER BY folded`, owner)
}

func putTags(tx *store.Tx, owner string, tags []tag) error {
	for _, t := range tags {
		if _, err := tx.Exec(`INSERT INTO organizations_tags (owner, folded, name, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (owner, folded) DO UPDATE SET name = excluded.name, value = excluded.value`,
			owner, strings.ToLower(t.Key), t.Key, t.Value); err != nil {
			return err
		}
	}
	return tx.Touch(tagsKey(owner))
}

// holder resolves what carries tags: a node, or a policy of the customer's.
func (s *Service) holder(c *api.Call, action, id string) ([]tag, []api.Demand, error) {
	o, err := managed(c)
	if err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(id, "p-") {
		p, r, err := findPolicy(c, o, id)
		if err != nil {
			return nil, nil, err
		}
		if r.Missing != nil {
			r.Missing = noSuchTarget()
		}
		if p != nil && p.supplied() {
			r.Missing = invalid("TARGET_NOT_SUPPORTED", "You can't perform the specified operation on that target entity: AWS manages it.")
		}
		return tagsIn(p), api.On(action, r), nil
	}
	n, r, err := find(c, o, id, noSuchTarget(), anyNode...)
	if err != nil || n == nil {
		return nil, api.On(action, r), err
	}
	return n.tags, api.On(action, r), nil
}

func (s *Service) taggedResource(_ context.Context, c *api.Call, in *shape.TagResourceInput) ([]tag, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	had, demands, err := s.holder(c, "organizations:TagResource", in.ResourceId)
	for i := range demands {
		demands[i].Keys = requestTagKeys(in.Tags)
	}
	return had, demands, err
}

func (s *Service) tagResource(_ context.Context, _ *api.Call, in *shape.TagResourceInput, _ []tag) (api.Commit[shape.TagResourceOutput], error) {
	return func(tx *store.Tx) (*shape.TagResourceOutput, error) {
		if err := putTags(tx, in.ResourceId, in.Tags); err != nil {
			return nil, err
		}
		var n int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM organizations_tags WHERE owner = ?`, in.ResourceId).Scan(&n); err != nil {
			return nil, err
		}
		if n > maxTags {
			return nil, tooManyTags()
		}
		return &shape.TagResourceOutput{}, nil
	}, nil
}

func (s *Service) untaggedResource(_ context.Context, c *api.Call, in *shape.UntagResourceInput) ([]tag, []api.Demand, error) {
	had, demands, err := s.holder(c, "organizations:UntagResource", in.ResourceId)
	for i := range demands {
		demands[i].Keys = policy.Context{}
		demands[i].Keys.Set("aws:TagKeys", in.TagKeys...)
	}
	return had, demands, err
}

func (s *Service) untagResource(_ context.Context, _ *api.Call, in *shape.UntagResourceInput, _ []tag) (api.Commit[shape.UntagResourceOutput], error) {
	return func(tx *store.Tx) (*shape.UntagResourceOutput, error) {
		for _, name := range in.TagKeys {
			if _, err := tx.Exec(`DELETE FROM organizations_tags WHERE owner = ? AND folded = ?`, in.ResourceId, strings.ToLower(name)); err != nil {
				return nil, err
			}
		}
		return &shape.UntagResourceOutput{}, tx.Touch(tagsKey(in.ResourceId))
	}, nil
}

func (s *Service) listedTags(_ context.Context, c *api.Call, in *shape.ListTagsForResourceInput) ([]tag, []api.Demand, error) {
	return s.holder(c, "organizations:ListTagsForResource", in.ResourceId)
}

// listTags answers all at once, as there are few.
func (s *Service) listTags(_ context.Context, _ *api.Call, in *shape.ListTagsForResourceInput, tags []tag) (*shape.ListTagsForResourceOutput, error) {
	if in.NextToken != "" {
		return nil, invalid("INVALID_NEXT_TOKEN", "You provided an invalid value for NextToken.")
	}
	return &shape.ListTagsForResourceOutput{Tags: append([]tag{}, tags...)}, nil
}
