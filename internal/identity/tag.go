package identity

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// maxTags is AWS's limit on a resource.
const maxTags = 50

// tagging is the action that whoever creates something with tags needs too.
const tagging = "sso:TagResource"

// checkTags refuses tags that AWS refuses. Keys that differ only in case are one:
// condition keys know no case.
func checkTags(tags []shape.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		folded := strings.ToLower(t.Key)
		if strings.HasPrefix(folded, "aws:") {
			return invalid("Tag keys may not begin with aws:, which is reserved.")
		}
		if seen[folded] {
			return invalid("Tag keys must be unique, without regard to case.")
		}
		seen[folded] = true
	}
	if len(tags) > maxTags {
		return tooMany("A resource has at most %d tags.", maxTags)
	}
	return nil
}

// tagKeys adds the condition keys of tags that a request brings.
func tagKeys(k policy.Context, tags []shape.Tag) policy.Context {
	if len(tags) == 0 {
		return k
	}
	var names []string
	for _, t := range tags {
		k.Set("aws:RequestTag/"+t.Key, t.Value)
		names = append(names, t.Key)
	}
	k.Set("aws:TagKeys", names...)
	return k
}

// creating adds to the demands of something's creation those of its tags; r is the
// new thing. All of them know what tags are asked for.
func creating(demands []api.Demand, r api.Resource, tags []shape.Tag) ([]api.Demand, error) {
	if len(tags) == 0 {
		return demands, nil
	}
	tagKeys(demands[0].Keys, tags) // which all demands share
	return append(demands, api.Demand{Action: tagging, Resource: r, Keys: demands[0].Keys}), checkTags(tags)
}

func tagsOf(q store.Querier, owner string) ([]shape.Tag, error) {
	if _, err := q.Version(tagsKey(owner)); err != nil {
		return nil, err
	}
	return store.Collect(q, func(r *store.Rows) (t shape.Tag, err error) {
		return t, r.Scan(&t.Key, &t.Value)
	}, `SELECT name, value FROM identity_tags WHERE owner = ? ORDER BY folded`, owner)
}

// tagMap are the tags of a resource as decisions see them.
func tagMap(q store.Querier, owner string) (map[string]string, error) {
	tags, err := tagsOf(q, owner)
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m, err
}

func putTags(tx *store.Tx, owner string, tags []shape.Tag) error {
	for _, t := range tags {
		if _, err := tx.Exec(`INSERT INTO identity_tags (owner, folded, name, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (owner, folded) DO UPDATE SET name = excluded.name, value = excluded.value`,
			owner, strings.ToLower(t.Key), t.Key, t.Value); err != nil {
			return err
		}
	}
	return tx.Touch(tagsKey(owner))
}

func deleteTags(tx *store.Tx, owner string) error {
	if _, err := tx.Exec(`DELETE FROM identity_tags WHERE owner = ?`, owner); err != nil {
		return err
	}
	return tx.Touch(tagsKey(owner))
}

// labelled finds what tags are asked for or put on: the instance, a permission set,
// an application or a trusted token issuer. AWS wants the instance named for the
// first two; if it is named, it must be this one.
func (s *Service) labelled(c *api.Call, action, instanceARN, arn string, keys policy.Context) (string, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return "", nil, err
	}
	r := api.Resource{ARN: arn, Account: s.account}
	found := false
	switch {
	case arn == i.arn():
		r.Type, found = "AWS::SSO::Instance", true
	case strings.Contains(arn, ":permissionSet/"):
		set, err := s.permissionSet(c.Snapshot, arn)
		if err != nil {
			return "", nil, err
		}
		r.Type, found = "AWS::SSO::PermissionSet", set != nil
	case strings.Contains(arn, ":application/"):
		a, err := s.application(c.Snapshot, arn)
		if err != nil {
			return "", nil, err
		}
		r.Type, found = "AWS::SSO::Application", a != nil
	case strings.Contains(arn, ":trustedTokenIssuer/"):
		t, err := s.issuer(c.Snapshot, arn)
		if err != nil {
			return "", nil, err
		}
		r.Type, found = "AWS::SSO::TrustedTokenIssuer", t != nil
	}
	if !found || instanceARN != "" && instanceARN != i.arn() {
		r.Missing = notFound("The resource does not exist.")
	} else if r.Tags, err = tagMap(c.Snapshot, arn); err != nil {
		return "", nil, err
	}
	return arn, []api.Demand{{Action: action, Resource: r, Keys: keys}}, nil
}

func (s *Service) taggedResource(_ context.Context, c *api.Call, in *shape.TagResourceInput) (string, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return "", nil, err
	}
	return s.labelled(c, tagging, in.InstanceArn, in.ResourceArn, tagKeys(policy.Context{}, in.Tags))
}

func (s *Service) tagResource(_ context.Context, _ *api.Call, in *shape.TagResourceInput, arn string) (api.Commit[shape.TagResourceOutput], error) {
	return func(tx *store.Tx) (*shape.TagResourceOutput, error) {
		if err := putTags(tx, arn, in.Tags); err != nil {
			return nil, err
		}
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_tags WHERE owner = ?`, arn).Scan(&n); err != nil {
			return nil, err
		}
		if n > maxTags {
			return nil, tooMany("A resource has at most %d tags.", maxTags)
		}
		return &shape.TagResourceOutput{}, nil
	}, nil
}

func (s *Service) untaggedResource(_ context.Context, c *api.Call, in *shape.UntagResourceInput) (string, []api.Demand, error) {
	keys := policy.Context{}
	keys.Set("aws:TagKeys", in.TagKeys...)
	return s.labelled(c, "sso:UntagResource", in.InstanceArn, in.ResourceArn, keys)
}

func (s *Service) untagResource(_ context.Context, _ *api.Call, in *shape.UntagResourceInput, arn string) (api.Commit[shape.UntagResourceOutput], error) {
	return func(tx *store.Tx) (*shape.UntagResourceOutput, error) {
		for _, key := range in.TagKeys {
			if _, err := tx.Exec(`DELETE FROM identity_tags WHERE owner = ? AND folded = ?`, arn, strings.ToLower(key)); err != nil {
				return nil, err
			}
		}
		return &shape.UntagResourceOutput{}, tx.Touch(tagsKey(arn))
	}, nil
}

func (s *Service) listedTags(_ context.Context, c *api.Call, in *shape.ListTagsForResourceInput) (string, []api.Demand, error) {
	return s.labelled(c, "sso:ListTagsForResource", in.InstanceArn, in.ResourceArn, policy.Context{})
}

// listTags shows all: there are at most maxTags.
func (s *Service) listTags(_ context.Context, c *api.Call, _ *shape.ListTagsForResourceInput, arn string) (*shape.ListTagsForResourceOutput, error) {
	tags, err := tagsOf(c.Snapshot, arn)
	return &shape.ListTagsForResourceOutput{Tags: tags}, err
}
