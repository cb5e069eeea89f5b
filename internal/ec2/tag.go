package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// Limits of AWS on tags.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// tagMap reads the tags of a request, and says what is wrong with them.
func tagMap(tags []ec2.Tag) (map[string]string, *api.Error) {
	out := make(map[string]string, len(tags))
	folded := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > maxTagKey:
			return nil, fail("InvalidParameterValue", "Tag key has 1 to %d characters.", maxTagKey)
		case utf8.RuneCountInString(t.Value) > maxTagValue:
			return nil, fail("InvalidParameterValue", "Tag value exceeds the maximum length of %d characters.", maxTagValue)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, fail("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case folded[strings.ToLower(t.Key)]:
			// A condition key's name has no case, so neither have the tags of one resource.
			return nil, fail("InvalidParameterValue", "Duplicate tag key '%s' specified.", t.Key)
		}
		folded[strings.ToLower(t.Key)] = true
		out[t.Key] = t.Value
	}
	if len(out) > maxTags {
		return nil, fail("TagLimitExceeded", "More than %d tags specified.", maxTags)
	}
	return out, nil
}

// specified reads TagSpecifications of an operation that makes one kind of
// resource.
func specified(k *kind, specs []ec2.TagSpecification) (map[string]string, *api.Error) {
	var all []ec2.Tag
	for _, spec := range specs {
		if string(spec.ResourceType) != k.arn {
			return nil, fail("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		all = append(all, spec.Tags...)
	}
	return tagMap(all)
}

func requestTags(keys policy.Context, tags map[string]string) {
	for name, value := range tags {
		keys.Set("aws:RequestTag/"+name, value)
	}
	keys.Set("aws:TagKeys", slices.Sorted(maps.Keys(tags))...)
}

func tagList(tags map[string]string) []ec2.Tag {
	var out []ec2.Tag
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, ec2.Tag{Key: name, Value: tags[name]})
	}
	return out
}

// tagged finds what CreateTags names, of whatever kind.
func (s *Service) tagged(_ context.Context, c *api.Call, in *ec2.CreateTagsInput) (map[string]string, []api.Demand, error) {
	tags, wrong := tagMap(in.Tags)
	if len(in.Resources) == 0 || len(in.Resources) > maxNamed {
		return nil, nil, fail("InvalidParameterValue", "A request names 1 to %d resources.", maxNamed)
	}
	var demands []api.Demand
	for _, id := range in.Resources {
		k := kindOf(id)
		d, err := s.tagDemand(c, "CreateTags", k, id)
		if err != nil {
			return nil, nil, err
		}
		if wrong != nil {
			d.Resource.Missing = wrong
		}
		requestTags(d.Keys, tags)
		demands = append(demands, d)
	}
	return tags, demands, nil
}

// tagDemand asks for an action on a resource of whatever kind that has tags.
func (s *Service) tagDemand(c *api.Call, action string, k *kind, id string) (api.Demand, error) {
	switch k {
	case kindVPC:
		return demandOf[*vpc](s, c, action, id)
	case kindSubnet:
		return demandOf[*subnet](s, c, action, id)
	case kindTable:
		return demandOf[*table](s, c, action, id)
	case kindGroup:
		return demandOf[*group](s, c, action, id)
	case kindRule:
		return demandOf[*rule](s, c, action, id)
	case kindEndpoint:
		return demandOf[*endpoint](s, c, action, id)
	case kindInterface:
		return demandOf[*networkInterface](s, c, action, id)
	case kindFlowLog:
		return demandOf[*flowLog](s, c, action, id)
	case kindACL:
		return demandOf[*acl](s, c, action, id)
	case kindList:
		return demandOf[*prefixList](s, c, action, id)
	case kindInternet:
		return demandOf[*internetGateway](s, c, action, id)
	case kindNAT:
		return demandOf[*natGateway](s, c, action, id)
	case kindService:
		return demandOf[*endpointService](s, c, action, id)
	case kindTransit:
		return demandOf[*transitGateway](s, c, action, id)
	case kindAttachment:
		return demandOf[*attachment](s, c, action, id)
	case kindTransitTab:
		return demandOf[*transitTable](s, c, action, id)
	}
	return api.Demand{Action: "ec2:" + action, Keys: policy.Context{}, Resource: api.Resource{
		ARN: "arn:aws:ec2:" + s.Region + ":" + c.Account + ":" + malformed + "/" + malformed, Account: c.Account,
		Missing: fail("InvalidID", "The ID '%.64s' is not valid", id),
	}}, nil
}

func demandOf[T object](s *Service, c *api.Call, action, id string) (api.Demand, error) {
	f, err := find[T](s, c, id)
	if err != nil {
		return api.Demand{}, err
	}
	return f.demand(action), nil
}

func (s *Service) createTags(_ context.Context, c *api.Call, in *ec2.CreateTagsInput, tags map[string]string) (api.Commit[ec2.CreateTagsOutput], error) {
	return func(tx *store.Tx) (*ec2.CreateTagsOutput, error) {
		return &ec2.CreateTagsOutput{}, s.retag(tx, c.Account, in.Resources, func(old map[string]string) (map[string]string, error) {
			return merged(old, tags)
		})
	}, nil
}

// retag changes the tags of resources.
func (s *Service) retag(tx *store.Tx, account string, ids []string, change func(map[string]string) (map[string]string, error)) error {
	for _, id := range ids {
		o, err := row(tx, id)
		if err != nil {
			return err
		}
		if o == nil || o.head().Account != account {
			return kindOf(id).missing(id)
		}
		m := o.head()
		if m.Tags, err = change(m.Tags); err != nil {
			return err
		}
		if err := s.put(tx, o); err != nil {
			return err
		}
	}
	return nil
}

// merged adds tags to those that a resource has.
func merged(old, more map[string]string) (map[string]string, error) {
	all := map[string]string{}
	maps.Copy(all, old)
	maps.Copy(all, more)
	folded := map[string]bool{}
	for name := range all {
		folded[strings.ToLower(name)] = true
	}
	switch {
	case len(folded) < len(all):
		return nil, fail("InvalidParameterValue", "A tag with this key in another case is there already.")
	case len(all) > maxTags:
		return nil, fail("TagLimitExceeded", "The maximum number of %d tags has been reached.", maxTags)
	}
	return all, nil
}
