package accessgrants

import (
	"context"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	// maxLocations and maxGrants are AWS's quotas on an instance.
	maxLocations = 1000
	maxGrants    = 100_000
)

// A placed location is one that a request names, or makes.
type placed struct {
	*location // nil: there is none
	made      scope
	entity    *api.Entity // of the role that it gets
}

func (s *Service) locationResource(i *instance, l *location, account, id string) api.Resource {
	r := api.Resource{ARN: s.arn(account, "/location/"+id), Account: account, Type: "AWS::S3::AccessGrantsLocation"}
	switch {
	case i == nil:
		r.Missing = noInstance()
	case l == nil:
		r.Missing, r.Policy = noLocation(), i.policy
	default:
		r.Policy, r.Tags = i.policy, l.tags
	}
	return r
}

// placed demands an action on a location.
func (s *Service) placed(c *api.Call, action, account, id string) (*placed, []api.Demand, error) {
	i, err := find(c.Snapshot, account)
	if err != nil {
		return nil, nil, err
	}
	l, err := findLocation(c.Snapshot, account, id)
	if err != nil {
		return nil, nil, err
	}
	k := keys(account)
	if l != nil {
		k.Set("s3:AccessGrantsLocationScope", l.scope)
	}
	return &placed{location: l}, []api.Demand{{Action: "s3:" + action, Resource: s.locationResource(i, l, account, id), Keys: k}}, nil
}

// passed demands that the caller may pass a role of the instance's account.
func (s *Service) passed(ctx context.Context, c *api.Call, account, role string) (*api.Entity, api.Demand, error) {
	a, err := arn.Parse(role)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Account != account || !strings.HasPrefix(a.Resource, "role/") {
		return nil, api.Demand{}, badRole()
	}
	f, err := c.Resource(ctx, role)
	if err != nil {
		return nil, api.Demand{}, err
	}
	d := api.Demand{Action: "iam:PassRole", Resource: f.Resource, Keys: policy.Context{}}
	d.Keys.Set("iam:PassedToService", principal)
	d.Keys.Set("iam:AssociatedResourceArn", s.arn(account, ""))
	if d.Resource.Missing != nil {
		d.Resource.Missing = badRole()
		return nil, d, nil
	}
	e, ok := f.Detail.(*api.Entity)
	if !ok || e.Kind != api.KindRole {
		return nil, api.Demand{}, badRole()
	}
	return e, d, nil
}

func (s *Service) newLocation(ctx context.Context, c *api.Call, in *shape.CreateAccessGrantsLocationInput) (*placed, []api.Demand, error) {
	made, ok := locationScope(in.LocationScope)
	if !ok {
		return nil, nil, fail(400, "InvalidAccessGrantsLocation", "A location is s3://, s3://bucket or s3://bucket/prefix.")
	}
	id := theInstance // what AWS calls the location of everything
	if made.bucket != "" {
		id = uuid.New()
	}
	i, err := find(c.Snapshot, in.AccountId)
	if err != nil {
		return nil, nil, err
	}
	k := keys(in.AccountId)
	k.Set("s3:AccessGrantsLocationScope", in.LocationScope)
	l := &location{account: in.AccountId, id: id, created: c.Now, scope: in.LocationScope, role: in.IAMRoleArn, tags: tagMap(in.Tags)}
	r := s.locationResource(i, l, in.AccountId, id)
	r.Tags = nil
	demands, err := creating("CreateAccessGrantsLocation", r, k, in.Tags)
	if err != nil {
		return nil, nil, err
	}
	e, pass, err := s.passed(ctx, c, in.AccountId, in.IAMRoleArn)
	return &placed{l, made, e}, append(demands, pass), err
}

func (s *Service) createLocation(ctx context.Context, c *api.Call, in *shape.CreateAccessGrantsLocationInput, p *placed) (api.Commit[shape.CreateAccessGrantsLocationOutput], error) {
	if err := s.trusted(ctx, c, p.entity); err != nil {
		return nil, err
	}
	text, err := p.tags.text()
	if err != nil {
		return nil, err
	}
	list, err := store.Collect(c.Snapshot, scanLocation, locationColumns+`WHERE account = ?`, p.account)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if of, _ := locationScope(l.scope); of == p.made {
			return nil, fail(409, "AccessGrantsLocationAlreadyExistsError", "The specified access grants location already exists")
		}
	}
	if len(list) >= maxLocations {
		return nil, fail(409, "AccessGrantsLocationsQuotaExceededError", "The access grants location quota has been exceeded")
	}
	out := &shape.CreateAccessGrantsLocationOutput{
		CreatedAt: c.Now, AccessGrantsLocationId: p.id, AccessGrantsLocationArn: s.arn(p.account, "/location/"+p.id), LocationScope: p.scope, IAMRoleArn: p.role,
	}
	return func(tx *store.Tx) (*shape.CreateAccessGrantsLocationOutput, error) {
		_, err := tx.Exec(`INSERT INTO accessgrants_locations (account, id, created, scope, role, role_id, tags) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			p.account, p.id, c.Now.UnixMicro(), p.scope, p.role, p.entity.ID, text)
		return out, errors.Join(err, tx.Touch(versionKey(p.account)))
	}, nil
}

// trusted refuses a role that would not admit the service.
func (s *Service) trusted(ctx context.Context, c *api.Call, e *api.Entity) error {
	ok, err := c.Trusts(ctx, e, principal, s.arn(e.Account, ""))
	if err == nil && !ok {
		return badRole()
	}
	return err
}

func (s *Service) shownLocation(_ context.Context, c *api.Call, in *shape.GetAccessGrantsLocationInput) (*placed, []api.Demand, error) {
	return s.placed(c, "GetAccessGrantsLocation", in.AccountId, in.AccessGrantsLocationId)
}

func (s *Service) getLocation(_ context.Context, _ *api.Call, _ *shape.GetAccessGrantsLocationInput, p *placed) (*shape.GetAccessGrantsLocationOutput, error) {
	out := shape.GetAccessGrantsLocationOutput(s.entry(p.location))
	return &out, nil
}

func (s *Service) entry(l *location) shape.ListAccessGrantsLocationsEntry {
	return shape.ListAccessGrantsLocationsEntry{
		AccessGrantsLocationArn: s.arn(l.account, "/location/"+l.id), AccessGrantsLocationId: l.id, CreatedAt: l.created, IAMRoleArn: l.role, LocationScope: l.scope,
	}
}

func (s *Service) updatedLocation(ctx context.Context, c *api.Call, in *shape.UpdateAccessGrantsLocationInput) (*placed, []api.Demand, error) {
	p, demands, err := s.placed(c, "UpdateAccessGrantsLocation", in.AccountId, in.AccessGrantsLocationId)
	if err != nil {
		return nil, nil, err
	}
	e, pass, err := s.passed(ctx, c, in.AccountId, in.IAMRoleArn)
	p.entity = e
	return p, append(demands, pass), err
}

func (s *Service) updateLocation(ctx context.Context, c *api.Call, in *shape.UpdateAccessGrantsLocationInput, p *placed) (api.Commit[shape.UpdateAccessGrantsLocationOutput], error) {
	if err := s.trusted(ctx, c, p.entity); err != nil {
		return nil, err
	}
	changed := *p.location
	changed.role = in.IAMRoleArn
	out := shape.UpdateAccessGrantsLocationOutput(s.entry(&changed))
	return func(tx *store.Tx) (*shape.UpdateAccessGrantsLocationOutput, error) {
		_, err := tx.Exec(`UPDATE accessgrants_locations SET role = ?, role_id = ? WHERE account = ? AND id = ?`, in.IAMRoleArn, p.entity.ID, p.account, p.id)
		return &out, errors.Join(err, tx.Touch(versionKey(p.account)))
	}, nil
}

func (s *Service) deletedLocation(_ context.Context, c *api.Call, in *shape.DeleteAccessGrantsLocationInput) (*placed, []api.Demand, error) {
	return s.placed(c, "DeleteAccessGrantsLocation", in.AccountId, in.AccessGrantsLocationId)
}

func (s *Service) deleteLocation(_ context.Context, c *api.Call, _ *shape.DeleteAccessGrantsLocationInput, p *placed) (api.Commit[shape.DeleteAccessGrantsLocationOutput], error) {
	n, err := count(c.Snapshot, `SELECT count(*) FROM accessgrants_grants WHERE account = ? AND location = ?`, p.account, p.id)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return nil, fail(400, "AccessGrantsLocationNotEmptyError", "Please clean up access grants before deleting access grants location")
	}
	return func(tx *store.Tx) (*shape.DeleteAccessGrantsLocationOutput, error) {
		_, err := tx.Exec(`DELETE FROM accessgrants_locations WHERE account = ? AND id = ?`, p.account, p.id)
		return &shape.DeleteAccessGrantsLocationOutput{}, errors.Join(err, tx.Touch(versionKey(p.account)))
	}, nil
}

func (s *Service) listLocations(_ context.Context, c *api.Call, in *shape.ListAccessGrantsLocationsInput, i *instance) (*shape.ListAccessGrantsLocationsOutput, error) {
	n := pageSize(in.MaxResults)
	list, err := store.Collect(c.Snapshot, scanLocation, locationColumns+`WHERE account = ? AND id > ? AND (? = '' OR scope = ?) ORDER BY id LIMIT ?`,
		i.account, in.NextToken, in.LocationScope, in.LocationScope, n+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccessGrantsLocationsOutput{AccessGrantsLocationsList: []shape.ListAccessGrantsLocationsEntry{}}
	for _, l := range list[:min(len(list), n)] {
		out.AccessGrantsLocationsList = append(out.AccessGrantsLocationsList, s.entry(l))
	}
	if len(list) > n {
		out.NextToken = list[n-1].id
	}
	return out, nil
}

// pageSize is how many a page holds; 0 is as good as none.
func pageSize(asked *int32) int {
	if asked == nil || *asked == 0 {
		return 1000
	}
	return int(*asked)
}
