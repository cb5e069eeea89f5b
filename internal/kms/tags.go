package kms

import (
	"context"
	"maps"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

const maxTags = 50

func tagMap(tags []kms.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.TagKey] = t.TagValue
	}
	return m
}

// setTags checks tags of a request and adds their condition keys.
func setTags(keys policy.Context, tags []kms.Tag) error {
	if len(tags) > maxTags {
		return fail("TagException", "Too many tags")
	}
	seen := map[string]bool{}
	var names []string
	for _, t := range tags {
		if t.TagKey == "" || strings.HasPrefix(strings.ToLower(t.TagKey), "aws:") {
			return fail("TagException", "Invalid tag key %q", t.TagKey)
		}
		// A condition key's name has no case, so neither have a key's tags.
		if folded := strings.ToLower(t.TagKey); seen[folded] {
			return fail("TagException", "Duplicate tag keys")
		} else {
			seen[folded] = true
		}
		if err := storable("tag", t.TagKey+t.TagValue); err != nil {
			return err
		}
		keys.Set("aws:RequestTag/"+t.TagKey, t.TagValue)
		names = append(names, t.TagKey)
	}
	keys.Set("aws:TagKeys", names...)
	return nil
}

func (s *Service) taggedKey(ctx context.Context, c *api.Call, in *kms.TagResourceInput) (*named, []api.Demand, error) {
	n, demands, err := s.on(ctx, c, "TagResource", in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	if err := setTags(demands[0].Keys, in.Tags); err != nil {
		return nil, nil, err
	}
	return n, demands, nil
}

func (s *Service) tagResource(_ context.Context, _ *api.Call, in *kms.TagResourceInput, n *named) (api.Commit[kms.TagResourceOutput], error) {
	if err := n.undeleted(); err != nil {
		return nil, err
	}
	all := maps.Clone(n.tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, tagMap(in.Tags))
	if len(all) > maxTags {
		return nil, fail("LimitExceededException", "A key has at most %d tags.", maxTags)
	}
	folded := map[string]bool{}
	for name := range all {
		folded[strings.ToLower(name)] = true
	}
	if len(folded) < len(all) {
		return nil, fail("TagException", "Tag keys that differ only in case")
	}
	return func(tx *store.Tx) (*kms.TagResourceOutput, error) {
		for _, t := range in.Tags {
			if err := putTag(tx, n.id, t.TagKey, t.TagValue); err != nil {
				return nil, err
			}
		}
		return &kms.TagResourceOutput{}, tx.Touch(versionKey(n.id))
	}, nil
}

func (s *Service) untaggedKey(ctx context.Context, c *api.Call, in *kms.UntagResourceInput) (*named, []api.Demand, error) {
	if err := storable("tagKeys", strings.Join(in.TagKeys, "")); err != nil {
		return nil, nil, err
	}
	n, demands, err := s.on(ctx, c, "UntagResource", in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys.Set("aws:TagKeys", in.TagKeys...)
	return n, demands, nil
}

func (s *Service) untagResource(_ context.Context, _ *api.Call, in *kms.UntagResourceInput, n *named) (api.Commit[kms.UntagResourceOutput], error) {
	if err := n.undeleted(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.UntagResourceOutput, error) {
		for _, name := range in.TagKeys {
			if _, err := tx.Exec("DELETE FROM kms_tags WHERE key = ? AND name = ?", n.id, name); err != nil {
				return nil, err
			}
		}
		return &kms.UntagResourceOutput{}, tx.Touch(versionKey(n.id))
	}, nil
}

func (s *Service) listedTags(ctx context.Context, c *api.Call, in *kms.ListResourceTagsInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "ListResourceTags", in.KeyId, ownKey)
}

func (s *Service) listResourceTags(_ context.Context, _ *api.Call, in *kms.ListResourceTagsInput, n *named) (*kms.ListResourceTagsOutput, error) {
	p, err := pageOf(in.Limit, in.Marker, 50, 50)
	if err != nil {
		return nil, err
	}
	var tags []kms.Tag
	for _, name := range slices.Sorted(maps.Keys(n.tags)) {
		if name > p.after {
			tags = append(tags, kms.Tag{TagKey: name, TagValue: n.tags[name]})
		}
	}
	tags, next, more := cut(p, tags, func(t kms.Tag) string { return t.TagKey })
	return &kms.ListResourceTagsOutput{Tags: tags, NextMarker: next, Truncated: &more}, nil
}
