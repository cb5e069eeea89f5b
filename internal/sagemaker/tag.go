package sagemaker

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/store"
)

// setTags adds the condition keys of tags that a request gives.
func setTags(keys policy.Context, tags []shape.Tag) error {
	if len(tags) == 0 {
		return nil
	}
	if len(tags) > maxTags {
		return tooManyTags()
	}
	folded := map[string]bool{}
	var names []string
	for _, t := range tags {
		lower := strings.ToLower(t.Key)
		if strings.HasPrefix(lower, "aws:") {
			return invalid("Tag keys may not begin with aws:, which is reserved.")
		}
		if folded[lower] {
			return invalid("Tag keys must differ in more than case.")
		}
		folded[lower] = true
		keys.Set("aws:RequestTag/"+t.Key, t.Value)
		names = append(names, t.Key)
	}
	slices.Sort(names)
	keys.Set("aws:TagKeys", names...)
	return nil
}

func tooManyTags() *api.Error {
	return fail("ResourceLimitExceeded", "A resource may have %d tags.", maxTags)
}

// taggable resolves the ARN of something that can have tags: a training job.
func (s *Service) taggable(c *api.Call, action, name string) (*found, []api.Demand, error) {
	account, job, ok := s.cutARN(name)
	if !ok {
		return nil, nil, invalid("%s is not the ARN of a training job of this region.", name)
	}
	f, err := s.find(c.Snapshot, account, job)
	if err != nil {
		return nil, nil, err
	}
	if account != c.Account {
		f.job, f.resource.Tags, f.resource.Missing = nil, nil, notFound()
	}
	return f, api.On("sagemaker:"+action, f.resource), nil
}

func (s *Service) tagged(_ context.Context, c *api.Call, in *shape.AddTagsInput) (*found, []api.Demand, error) {
	f, demands, err := s.taggable(c, "AddTags", in.ResourceArn)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys = policy.Context{}
	return f, demands, setTags(demands[0].Keys, in.Tags)
}

func (s *Service) addTags(_ context.Context, _ *api.Call, in *shape.AddTagsInput, f *found) (api.Commit[shape.AddTagsOutput], error) {
	return func(tx *store.Tx) (*shape.AddTagsOutput, error) {
		for _, t := range in.Tags {
			if err := putTag(tx, f.id, t.Key, t.Value); err != nil {
				return nil, err
			}
		}
		all, err := tagsOf(tx, f.id)
		if err != nil {
			return nil, err
		}
		if len(all) > maxTags {
			return nil, tooManyTags()
		}
		return &shape.AddTagsOutput{Tags: tagList(all)}, tx.Touch(versionKey(f.account, f.name))
	}, nil
}

func tagList(tags map[string]string) []shape.Tag {
	list := []shape.Tag{}
	for name, value := range tags {
		list = append(list, shape.Tag{Key: name, Value: value})
	}
	slices.SortFunc(list, func(a, b shape.Tag) int { return strings.Compare(a.Key, b.Key) })
	return list
}

func (s *Service) listedTags(_ context.Context, c *api.Call, in *shape.ListTagsInput) (*found, []api.Demand, error) {
	return s.taggable(c, "ListTags", in.ResourceArn)
}

// listTags answers all tags at once: there are no more than a page holds.
func (s *Service) listTags(_ context.Context, _ *api.Call, in *shape.ListTagsInput, f *found) (*shape.ListTagsOutput, error) {
	if in.NextToken != "" {
		return nil, badToken()
	}
	return &shape.ListTagsOutput{Tags: tagList(f.resource.Tags)}, nil
}

func badToken() *api.Error { return invalid("The NextToken is not valid.") }

func encodeToken(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func decodeToken(s string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "", badToken()
	}
	return string(b), nil
}
