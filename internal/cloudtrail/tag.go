package cloudtrail

import (
	"context"
	"maps"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

const maxTags = 50

func tagMap(tags []shape.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// tagKeys are the condition keys of tags that a request gives or takes away.
func tagKeys(tags []shape.Tag, given bool) (policy.Context, error) {
	if len(tags) > maxTags {
		return nil, tooManyTags()
	}
	keys, folded := policy.Context{}, map[string]bool{}
	var names []string
	for _, t := range tags {
		lower := strings.ToLower(t.Key)
		if strings.HasPrefix(lower, "aws:") || folded[lower] {
			return nil, fail("InvalidTagParameterException", "Tag keys may not begin with aws: and must differ in more than case.")
		}
		folded[lower] = true
		if given {
			keys.Set("aws:RequestTag/"+t.Key, t.Value)
		}
		names = append(names, t.Key)
	}
	slices.Sort(names)
	keys.Set("aws:TagKeys", names...)
	return keys, nil
}

func tooManyTags() error {
	return fail("TagsLimitExceededException", "A trail or event data store has at most %d tags.", maxTags)
}

// labelled is what has tags: a trail or an event data store.
type labelled struct {
	id, named string
	key       string // of its version
	tags      map[string]string
	active    error // why it cannot be tagged
}

// tagged finds what a tag operation names, which takes ARNs only.
func (s *Service) tagged(c *api.Call, action, id string, shadows bool) (*labelled, []api.Demand, error) {
	a, err := arn.Parse(id)
	if err != nil {
		return nil, nil, fail("CloudTrailARNInvalidException", "Invalid ARN: %s", id)
	}
	if strings.HasPrefix(a.Resource, lakeResource) {
		f, demands, err := s.onLake(c, action, id)
		if err != nil || f.lakeRow == nil {
			return nil, unlabelled(demands, id), err
		}
		return &labelled{f.id, f.named, lakeKey(f.id), f.tags, f.active()}, demands, nil
	}
	f, demands, err := s.on(c, action, id, shadows)
	if err != nil || f.row == nil {
		return nil, unlabelled(demands, id), err
	}
	return &labelled{f.id, f.named, versionKey(f.account, f.name), f.tags, nil}, demands, nil
}

// unlabelled says of what is missing what tag operations say.
func unlabelled(demands []api.Demand, id string) []api.Demand {
	for i := range demands {
		demands[i].Resource.Missing = fail("ResourceNotFoundException", "Resource not found: %s", id)
	}
	return demands
}

func (s *Service) taggedOne(_ context.Context, c *api.Call, in *shape.AddTagsInput) (*labelled, []api.Demand, error) {
	f, demands, err := s.tagged(c, "AddTags", in.ResourceId, false)
	if err == nil {
		demands[0].Keys, err = tagKeys(in.TagsList, true)
	}
	return f, demands, err
}

func (s *Service) addTags(_ context.Context, _ *api.Call, in *shape.AddTagsInput, f *labelled) (api.Commit[shape.AddTagsOutput], error) {
	if f.active != nil {
		return nil, f.active
	}
	all := maps.Clone(f.tags)
	maps.Copy(all, tagMap(in.TagsList))
	folded := map[string]bool{}
	for name := range all {
		folded[strings.ToLower(name)] = true
	}
	if len(folded) < len(all) {
		return nil, fail("InvalidTagParameterException", "Tag keys must differ in more than case.")
	}
	if len(all) > maxTags {
		return nil, tooManyTags()
	}
	return func(tx *store.Tx) (*shape.AddTagsOutput, error) {
		if err := putTags(tx, f.id, tagMap(in.TagsList)); err != nil {
			return nil, err
		}
		return &shape.AddTagsOutput{}, tx.Touch(f.key)
	}, nil
}

func (s *Service) untaggedOne(_ context.Context, c *api.Call, in *shape.RemoveTagsInput) (*labelled, []api.Demand, error) {
	f, demands, err := s.tagged(c, "RemoveTags", in.ResourceId, false)
	if err == nil {
		demands[0].Keys, err = tagKeys(in.TagsList, false)
	}
	return f, demands, err
}

// removeTags takes away the tags of these keys; a value that is given must be the tag's.
func (s *Service) removeTags(_ context.Context, _ *api.Call, in *shape.RemoveTagsInput, f *labelled) (api.Commit[shape.RemoveTagsOutput], error) {
	if f.active != nil {
		return nil, f.active
	}
	return func(tx *store.Tx) (*shape.RemoveTagsOutput, error) {
		for _, t := range in.TagsList {
			_, err := tx.Exec("DELETE FROM cloudtrail_tags WHERE trail = ? AND name = ? AND (? = '' OR value = ?)", f.id, t.Key, t.Value, t.Value)
			if err != nil {
				return nil, err
			}
		}
		return &shape.RemoveTagsOutput{}, tx.Touch(f.key)
	}, nil
}

// labelledSome finds up to 20, all of which the caller must be allowed to see.
func (s *Service) labelledSome(_ context.Context, c *api.Call, in *shape.ListTagsInput) ([]*labelled, []api.Demand, error) {
	if in.NextToken != "" {
		return nil, nil, fail("InvalidTokenException", "The token is not one that was given.")
	}
	if len(in.ResourceIdList) == 0 || len(in.ResourceIdList) > 20 {
		return nil, nil, fail("InvalidParameterException", "ResourceIdList has from 1 to 20 members.")
	}
	var all []*labelled
	var demands []api.Demand
	for _, id := range in.ResourceIdList {
		f, d, err := s.tagged(c, "ListTags", id, true)
		if err != nil {
			return nil, nil, err
		}
		all, demands = append(all, f), append(demands, d...)
	}
	return all, demands, nil
}

func (s *Service) listTags(_ context.Context, _ *api.Call, _ *shape.ListTagsInput, all []*labelled) (*shape.ListTagsOutput, error) {
	out := &shape.ListTagsOutput{ResourceTagList: []shape.ResourceTag{}}
	for _, f := range all {
		if f.active != nil {
			return nil, f.active
		}
		labels := shape.ResourceTag{ResourceId: f.named, TagsList: []shape.Tag{}}
		for _, name := range slices.Sorted(maps.Keys(f.tags)) {
			labels.TagsList = append(labels.TagsList, shape.Tag{Key: name, Value: f.tags[name]})
		}
		out.ResourceTagList = append(out.ResourceTagList, labels)
	}
	return out, nil
}
