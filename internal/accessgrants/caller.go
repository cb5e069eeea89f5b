package accessgrants

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/s3control"
)

// listCallerGrants lists what the caller was granted, and nobody else's.
func (s *Service) listCallerGrants(_ context.Context, c *api.Call, in *shape.ListCallerAccessGrantsInput, i *instance) (*shape.ListCallerAccessGrantsOutput, error) {
	all, err := s.ofCaller(c, i)
	if err != nil {
		return nil, err
	}
	byApplication := in.AllowedByApplication != nil && *in.AllowedByApplication
	all = slices.DeleteFunc(all, func(g *grant) bool {
		return g.id <= in.NextToken || in.GrantScope != "" && !strings.HasPrefix(g.scope, strings.TrimSuffix(in.GrantScope, "*")) ||
			byApplication && !g.admits(c.Person())
	})
	slices.SortFunc(all, func(a, b *grant) int { return strings.Compare(a.id, b.id) })
	all = slices.CompactFunc(all, func(a, b *grant) bool { return a.id == b.id })
	n := pageSize(in.MaxResults)
	out := &shape.ListCallerAccessGrantsOutput{CallerAccessGrantsList: []shape.ListCallerAccessGrantsEntry{}}
	for _, g := range all[:min(len(all), n)] {
		out.CallerAccessGrantsList = append(out.CallerAccessGrantsList, shape.ListCallerAccessGrantsEntry{
			ApplicationArn: g.application, GrantScope: g.scope, Permission: g.permission,
		})
	}
	if len(all) > n {
		out.NextToken = all[n-1].id
	}
	return out, nil
}
