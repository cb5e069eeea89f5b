package ec2

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

// describeTags lists the tags of all that the account has, by resource and key.
func (s *Service) describeTags(_ context.Context, c *api.Call, in *ec2.DescribeTagsInput, _ struct{}) (*ec2.DescribeTagsOutput, error) {
	after, err := base64.RawURLEncoding.DecodeString(in.NextToken)
	if err != nil || len(in.NextToken) > maxTagToken {
		return nil, fail("InvalidNextToken", "The token '%.64s' is invalid.", in.NextToken)
	}
	if err := checkTagFilters(in.Filters); err != nil {
		return nil, err
	}
	limit := maxPage
	if in.MaxResults != nil {
		if *in.MaxResults < 5 || *in.MaxResults > maxPage {
			return nil, invalidValue(*in.MaxResults, "maxResults", "Expecting a value from 5 to 1000.")
		}
		limit = int(*in.MaxResults)
	}
	// What has no tags need not be read; that some text looks like tags does no harm.
	all, err := objects(c.Snapshot, `account = ? AND body LIKE '%"tags":{%'`, c.Account)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b object) int { return cmp.Compare(a.head().ID, b.head().ID) })
	out := &ec2.DescribeTagsOutput{}
	last := ""
	for _, o := range all {
		m := o.head()
		for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
			at := m.ID + " " + name
			t := ec2.TagDescription{ResourceId: m.ID, ResourceType: ec2.ResourceType(o.kind().arn), Key: name, Value: m.Tags[name]}
			if at <= string(after) || !tagMatches(t, in.Filters) {
				continue
			}
			if len(out.Tags) == limit {
				out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(last))
				return out, nil
			}
			out.Tags, last = append(out.Tags, t), at
		}
	}
	return out, nil
}

// maxTagToken bounds the token of a page: an id and a key, in base64.
const maxTagToken = 1024

func checkTagFilters(asked []ec2.Filter) error {
	none := func(*network, *vpc) []string { return nil }
	return checkFilters(filters[*vpc]{"key": none, "resource-id": none, "resource-type": none, "value": none}, asked)
}

// tagMatches says whether every filter has a value that the tag has.
func tagMatches(t ec2.TagDescription, asked []ec2.Filter) bool {
	for _, f := range asked {
		has := ""
		switch name, isTag := strings.CutPrefix(f.Name, "tag:"); {
		case isTag && name != t.Key:
			return false
		case isTag, f.Name == "value":
			has = t.Value
		case f.Name == "key", f.Name == "tag-key":
			has = t.Key
		case f.Name == "resource-id":
			has = t.ResourceId
		case f.Name == "resource-type":
			has = string(t.ResourceType)
		}
		if !slices.ContainsFunc(f.Values, func(pattern string) bool { return like(pattern, has) }) {
			return false
		}
	}
	return true
}
