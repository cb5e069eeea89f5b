package accessgrants

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
)

const maxTags = 50

func tagMap(list []shape.Tag) tags {
	m := tags{}
	for _, t := range list {
		m[t.Key] = t.Value
	}
	return m
}

// tagKeys adds the condition keys of tags that a request brings, and refuses those
// that AWS does.
func tagKeys(k policy.Context, list []shape.Tag) (policy.Context, error) {
	k = maps.Clone(k)
	var names []string
	for _, t := range list {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, badTag("Tag keys may not begin with aws:, which is reserved.")
		}
		if slices.Contains(names, t.Key) {
			return nil, badTag("A tag key is given twice.")
		}
		k.Set("aws:RequestTag/"+t.Key, t.Value)
		names = append(names, t.Key)
	}
	if len(names) > 0 {
		k.Set("aws:TagKeys", names...)
	}
	return k, nil
}

// creating demands what it takes to make a resource, with tags or without.
func creating(action string, r api.Resource, k policy.Context, list []shape.Tag) ([]api.Demand, error) {
	k, err := tagKeys(k, list)
	if err != nil {
		return nil, err
	}
	demands := []api.Demand{{Action: "s3:" + action, Resource: r, Keys: k}}
	if len(list) > 0 {
		demands = append(demands, api.Demand{Action: "s3:TagResource", Resource: r, Keys: k})
	}
	return demands, nil
}

// A thing is what can have tags: an instance, location or grant.
type thing struct {
	resource api.Resource
	account  string
	table    string // with its id in the column id, if it has one
	id       string
	tags     tags
}

// thing finds what the part of an ARN after the account names; nil if there is none.
func (s *Service) thing(sn *store.Snapshot, account, name string) (*thing, error) {
	i, r, err := s.instance(sn, account)
	if err != nil || i == nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(name, "access-grants/"+theInstance)
	kind, id, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case !ok:
		return nil, nil
	case rest == "":
		return &thing{r, account, "accessgrants_instances", "", i.tags}, nil
	case kind == "location":
		l, err := findLocation(sn, account, id)
		if err != nil || l == nil {
			return nil, err
		}
		return &thing{s.locationResource(i, l, account, id), account, "accessgrants_locations", id, l.tags}, nil
	case kind == "grant":
		g, err := findGrant(sn, account, id)
		if err != nil || g == nil {
			return nil, err
		}
		return &thing{s.grantResource(i, g, account, id), account, "accessgrants_grants", id, g.tags}, nil
	}
	return nil, nil
}

// on demands an action on what an ARN names.
func (s *Service) on(c *api.Call, action, account, name string) (*thing, []api.Demand, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "s3" || a.Region != s.Region || a.Account != account || !strings.HasPrefix(a.Resource, "access-grants/") {
		return nil, nil, invalid("%.256s is not the ARN of an access grants instance, location or grant of the account.", name)
	}
	t, err := s.thing(c.Snapshot, account, a.Resource)
	if err != nil {
		return nil, nil, err
	}
	if t == nil {
		t = &thing{resource: api.Resource{ARN: name, Account: account, Missing: noSuchResource()}}
	}
	return t, []api.Demand{{Action: "s3:" + action, Resource: t.resource, Keys: keys(account)}}, nil
}

func (t *thing) set(tx *store.Tx, changed tags) error {
	if len(changed) > maxTags {
		return badTag("A resource has at most 50 tags.")
	}
	text, err := changed.text()
	if err != nil {
		return err
	}
	if t.id == "" {
		_, err = tx.Exec(`UPDATE `+t.table+` SET tags = ? WHERE account = ?`, text, t.account)
	} else {
		_, err = tx.Exec(`UPDATE `+t.table+` SET tags = ? WHERE account = ? AND id = ?`, text, t.account, t.id)
	}
	return errors.Join(err, tx.Touch(versionKey(t.account)))
}

func (s *Service) tagged(_ context.Context, c *api.Call, in *shape.TagResourceInput) (*thing, []api.Demand, error) {
	t, demands, err := s.on(c, "TagResource", in.AccountId, in.ResourceArn)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys, err = tagKeys(demands[0].Keys, in.Tags)
	return t, demands, err
}

func (s *Service) tagResource(_ context.Context, _ *api.Call, in *shape.TagResourceInput, t *thing) (api.Commit[shape.TagResourceOutput], error) {
	return func(tx *store.Tx) (*shape.TagResourceOutput, error) {
		changed := maps.Clone(t.tags)
		maps.Copy(changed, tagMap(in.Tags))
		return &shape.TagResourceOutput{}, t.set(tx, changed)
	}, nil
}

func (s *Service) untagged(_ context.Context, c *api.Call, in *shape.UntagResourceInput) (*thing, []api.Demand, error) {
	t, demands, err := s.on(c, "UntagResource", in.AccountId, in.ResourceArn)
	if err == nil {
		demands[0].Keys.Set("aws:TagKeys", in.TagKeys...)
	}
	return t, demands, err
}

func (s *Service) untagResource(_ context.Context, _ *api.Call, in *shape.UntagResourceInput, t *thing) (api.Commit[shape.UntagResourceOutput], error) {
	return func(tx *store.Tx) (*shape.UntagResourceOutput, error) {
		changed := maps.Clone(t.tags)
		for _, key := range in.TagKeys {
			delete(changed, key)
		}
		return &shape.UntagResourceOutput{}, t.set(tx, changed)
	}, nil
}

func (s *Service) listedTags(_ context.Context, c *api.Call, in *shape.ListTagsForResourceInput) (*thing, []api.Demand, error) {
	return s.on(c, "ListTagsForResource", in.AccountId, in.ResourceArn)
}

func (s *Service) listTags(_ context.Context, _ *api.Call, _ *shape.ListTagsForResourceInput, t *thing) (*shape.ListTagsForResourceOutput, error) {
	out := &shape.ListTagsForResourceOutput{Tags: []shape.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(t.tags)) {
		out.Tags = append(out.Tags, shape.Tag{Key: key, Value: t.tags[key]})
	}
	return out, nil
}
