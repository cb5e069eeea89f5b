package cloudtrail

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
)

func (s *Service) describedTrails(_ context.Context, c *api.Call, in *shape.DescribeTrailsInput) ([]*found, []api.Demand, error) {
	demands := api.On("cloudtrail:DescribeTrails", api.Any)
	var wanted []*found
	for _, name := range in.TrailNameList {
		f, err := s.find(c, name, true)
		if err != nil {
			return nil, nil, err
		}
		wanted = append(wanted, f)
	}
	return wanted, demands, nil
}

// visible are the trails of an account and, with shadows, those of the organization.
func visible(c *api.Call, shadows bool) ([]*row, error) {
	if _, err := c.Snapshot.Version(listKey); err != nil {
		return nil, err
	}
	return trailRows(c.Snapshot, "account = ? OR (organization AND ?) ORDER BY name, account", c.Account, shadows)
}

func (s *Service) describeTrails(_ context.Context, c *api.Call, in *shape.DescribeTrailsInput, wanted []*found) (*shape.DescribeTrailsOutput, error) {
	out := &shape.DescribeTrailsOutput{TrailList: []shape.Trail{}}
	shadows := in.IncludeShadowTrails == nil || *in.IncludeShadowTrails
	if len(wanted) == 0 {
		all, err := visible(c, shadows)
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			out.TrailList = append(out.TrailList, s.present(t))
		}
		return out, nil
	}
	for _, f := range wanted { // as at AWS, one that is not there is left out
		if f.row != nil && (shadows || f.account == c.Account) {
			out.TrailList = append(out.TrailList, s.present(f.row))
		}
	}
	return out, nil
}

func (s *Service) shownTrail(_ context.Context, c *api.Call, in *shape.GetTrailInput) (*found, []api.Demand, error) {
	return s.on(c, "GetTrail", in.Name, true)
}

func (s *Service) getTrail(_ context.Context, _ *api.Call, _ *shape.GetTrailInput, f *found) (*shape.GetTrailOutput, error) {
	t := s.present(f.row)
	return &shape.GetTrailOutput{Trail: &t}, nil
}

func (s *Service) listedTrails(_ context.Context, _ *api.Call, in *shape.ListTrailsInput) (string, []api.Demand, error) {
	after, err := base64.RawURLEncoding.DecodeString(in.NextToken)
	if err != nil {
		return "", nil, fail("InvalidTokenException", "The token is not one that was given.")
	}
	return string(after), api.On("cloudtrail:ListTrails", api.Any), nil
}

// trailPage is how many trails one answer lists.
const trailPage = 100

func (s *Service) listTrails(_ context.Context, c *api.Call, _ *shape.ListTrailsInput, after string) (*shape.ListTrailsOutput, error) {
	all, err := visible(c, true)
	if err != nil {
		return nil, err
	}
	out := &shape.ListTrailsOutput{Trails: []shape.TrailInfo{}}
	for _, t := range all {
		out.Trails = append(out.Trails, shape.TrailInfo{HomeRegion: s.Region, Name: t.name, TrailARN: s.arn(t.account, t.name)})
	}
	slices.SortFunc(out.Trails, func(a, b shape.TrailInfo) int { return strings.Compare(a.TrailARN, b.TrailARN) })
	out.Trails = slices.DeleteFunc(out.Trails, func(i shape.TrailInfo) bool { return i.TrailARN <= after })
	if len(out.Trails) > trailPage {
		out.Trails = out.Trails[:trailPage]
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(out.Trails[trailPage-1].TrailARN))
	}
	return out, nil
}
