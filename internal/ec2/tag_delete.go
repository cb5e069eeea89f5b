package ec2

import (
	"context"
	"maps"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// untagged finds what DeleteTags names. Who names no tags asks for all that a
// resource has to go, and is decided on as if she had named them.
func (s *Service) untagged(_ context.Context, c *api.Call, in *ec2.DeleteTagsInput) (map[string]string, []api.Demand, error) {
	tags, wrong := tagMap(in.Tags)
	if len(in.Resources) == 0 || len(in.Resources) > maxNamed {
		return nil, nil, fail("InvalidParameterValue", "A request names 1 to %d resources.", maxNamed)
	}
	var demands []api.Demand
	for _, id := range in.Resources {
		d, err := s.tagDemand(c, "DeleteTags", kindOf(id), id)
		if err != nil {
			return nil, nil, err
		}
		if wrong != nil {
			d.Resource.Missing = wrong
		}
		asked := tags
		if len(in.Tags) == 0 {
			asked = d.Resource.Tags
		}
		for name, value := range asked {
			if value != "" {
				d.Keys.Set("aws:RequestTag/"+name, value)
			}
		}
		d.Keys.Set("aws:TagKeys", slices.Sorted(maps.Keys(asked))...)
		demands = append(demands, d)
	}
	return tags, demands, nil
}

func (s *Service) deleteTags(_ context.Context, c *api.Call, in *ec2.DeleteTagsInput, tags map[string]string) (api.Commit[ec2.DeleteTagsOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteTagsOutput, error) {
		return &ec2.DeleteTagsOutput{}, s.retag(tx, c.Account, in.Resources, func(old map[string]string) (map[string]string, error) {
			return without(old, tags), nil
		})
	}, nil
}

// without takes tags from those that a resource has: with a value, if it is that; all
// of them if none is named.
func without(old, gone map[string]string) map[string]string {
	left := map[string]string{}
	for name, value := range old {
		if wanted, named := gone[name]; len(gone) > 0 && (!named || wanted != "" && wanted != value) {
			left[name] = value
		}
	}
	return left
}
