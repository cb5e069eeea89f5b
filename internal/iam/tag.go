package iam

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

type tag = shape.Tag

func tagMap(tags []tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// checkTags refuses tags that AWS refuses. Keys that differ only in case are one.
func checkTags(tags []tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		folded := fold(t.Key)
		if strings.HasPrefix(folded, "aws:") {
			return invalid("Tag keys may not begin with aws:, which is reserved.")
		}
		if seen[folded] {
			return fail("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[folded] = true
	}
	if len(tags) > maxTags {
		return exceeded("TagsPerResource", maxTags)
	}
	return nil
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

// resourceTagKeys are IAM's own names for the tags of what is acted on.
func resourceTagKeys(tags []tag) policy.Context {
	k := policy.Context{}
	for _, t := range tags {
		k.Set("iam:ResourceTag/"+t.Key, t.Value)
	}
	return k
}

// creating demands what it takes to make a resource, with tags or without.
func creating(action, tagging string, r api.Resource, tags []tag) []api.Demand {
	demands := []api.Demand{{Action: action, Resource: r, Keys: requestTagKeys(tags)}}
	if len(tags) > 0 {
		demands = append(demands, api.Demand{Action: tagging, Resource: r, Keys: requestTagKeys(tags)})
	}
	return demands
}

func tagsOf(q querier, owner string) ([]tag, error) {
	return store.Collect(q, func(r *store.Rows) (t tag, err error) {
		err = r.Scan(&t.Key, &t.Value)
		return t, err
	}, `SELECT name, value FROM iam_tags WHERE owner = ? ORDER BY folded`, owner)
}

func putTags(tx *store.Tx, owner string, tags []tag) error {
	for _, t := range tags {
		if _, err := tx.Exec(`INSERT INTO iam_tags (owner, folded, name, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (owner, folded) DO UPDATE SET name = excluded.name, value = excluded.value`,
			owner, fold(t.Key), t.Key, t.Value); err != nil {
			return err
		}
	}
	return nil
}

// tagging resolves the entity that a request brings tags to.
func tagging(c *api.Call, k kind, name, action string, tags []tag) (*entity, []api.Demand, error) {
	if err := checkTags(tags); err != nil {
		return nil, nil, err
	}
	e, demands, err := target(c, k, name, action)
	return e, bringing(demands, tags), err
}

// bringing adds to demands what a request's tags are.
func bringing(demands []api.Demand, tags []tag) []api.Demand {
	for i := range demands {
		demands[i].Keys = withKeys(demands[i].Keys, requestTagKeys(tags))
	}
	return demands
}

// naming adds to demands which tags a request takes away.
func naming(demands []api.Demand, tagKeys []string) []api.Demand {
	for i := range demands {
		demands[i].Keys = withKeys(demands[i].Keys, policy.Context{})
		demands[i].Keys.Set("aws:TagKeys", tagKeys...)
	}
	return demands
}

// untagging resolves the entity that a request takes tags from.
func untagging(c *api.Call, k kind, name, action string, tagKeys []string) (*entity, []api.Demand, error) {
	e, demands, err := target(c, k, name, action)
	return e, naming(demands, tagKeys), err
}

// addTags gives tags to what an id stands for ("Role"), whose version key is key.
func addTags(tx *store.Tx, id, noun, key string, tags []tag) error {
	if err := putTags(tx, id, tags); err != nil {
		return err
	}
	n, err := count(tx, `SELECT COUNT(*) FROM iam_tags WHERE owner = ?`, id)
	if err != nil {
		return err
	}
	if n > maxTags {
		return exceeded("TagsPer"+noun, maxTags)
	}
	return tx.Touch(key)
}

func removeTags(tx *store.Tx, id, key string, tagKeys []string) error {
	for _, name := range tagKeys {
		if _, err := tx.Exec(`DELETE FROM iam_tags WHERE owner = ? AND folded = ?`, id, fold(name)); err != nil {
			return err
		}
	}
	return tx.Touch(key)
}

// pageOfTags is the part of some tags that a list wants.
func pageOfTags(tags []tag, marker string, maxItems *int32) ([]tag, *bool, string, error) {
	p, err := paging(marker, maxItems)
	if err != nil {
		return nil, nil, "", err
	}
	name := func(t tag) string { return fold(t.Key) }
	tags, more, next := cut(p, rest(p, slices.Clone(tags), name), name)
	return tags, more, next, nil
}

func (s *Service) taggedRole(_ context.Context, c *api.Call, in *shape.TagRoleInput) (*entity, []api.Demand, error) {
	return tagging(c, role, in.RoleName, "iam:TagRole", in.Tags)
}

func (s *Service) tagRole(_ context.Context, _ *api.Call, in *shape.TagRoleInput, e *entity) (api.Commit[shape.TagRoleOutput], error) {
	return func(tx *store.Tx) (*shape.TagRoleOutput, error) {
		return &shape.TagRoleOutput{}, addTags(tx, e.id, string(e.kind), e.key(), in.Tags)
	}, nil
}

func (s *Service) untaggedRole(_ context.Context, c *api.Call, in *shape.UntagRoleInput) (*entity, []api.Demand, error) {
	return untagging(c, role, in.RoleName, "iam:UntagRole", in.TagKeys)
}

func (s *Service) untagRole(_ context.Context, _ *api.Call, in *shape.UntagRoleInput, e *entity) (api.Commit[shape.UntagRoleOutput], error) {
	return func(tx *store.Tx) (*shape.UntagRoleOutput, error) {
		return &shape.UntagRoleOutput{}, removeTags(tx, e.id, e.key(), in.TagKeys)
	}, nil
}

func (s *Service) listedRoleTags(_ context.Context, c *api.Call, in *shape.ListRoleTagsInput) (*entity, []api.Demand, error) {
	return target(c, role, in.RoleName, "iam:ListRoleTags")
}

func (s *Service) listRoleTags(_ context.Context, _ *api.Call, in *shape.ListRoleTagsInput, e *entity) (*shape.ListRoleTagsOutput, error) {
	out := &shape.ListRoleTagsOutput{}
	var err error
	out.Tags, out.IsTruncated, out.Marker, err = pageOfTags(e.tags, in.Marker, in.MaxItems)
	return out, err
}

// withKeys adds keys to those that a demand has.
func withKeys(keys, more policy.Context) policy.Context {
	if keys == nil {
		keys = policy.Context{}
	}
	for name, values := range more {
		keys[name] = values
	}
	return keys
}
