package accessgrants

import (
	"context"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

func (s *Service) grantResource(i *instance, g *grant, account, id string) api.Resource {
	r := api.Resource{ARN: s.arn(account, "/grant/"+id), Account: account, Type: "AWS::S3::AccessGrant"}
	switch {
	case i == nil:
		r.Missing = noInstance()
	case g == nil:
		r.Missing, r.Policy = noGrant(), i.policy
	default:
		r.Policy, r.Tags = i.policy, g.tags
	}
	return r
}

// granted demands an action on a grant.
func (s *Service) granted(c *api.Call, action, account, id string) (*grant, []api.Demand, error) {
	i, err := find(c.Snapshot, account)
	if err != nil {
		return nil, nil, err
	}
	g, err := findGrant(c.Snapshot, account, id)
	if err != nil {
		return nil, nil, err
	}
	k := keys(account)
	if g != nil {
		k.Set("s3:AccessGrantScope", g.scope)
	}
	return g, []api.Demand{{Action: "s3:" + action, Resource: s.grantResource(i, g, account, id), Keys: k}}, nil
}

// A newGrant is one that is about to be made; its instance and location are there by
// the time that anything is done with it.
type newGrant struct {
	*grant
	instance *instance
}

func (s *Service) newGrant(_ context.Context, c *api.Call, in *shape.CreateAccessGrantInput) (*newGrant, []api.Demand, error) {
	i, err := find(c.Snapshot, in.AccountId)
	if err != nil {
		return nil, nil, err
	}
	l, err := findLocation(c.Snapshot, in.AccountId, in.AccessGrantsLocationId)
	if err != nil {
		return nil, nil, err
	}
	g := &grant{
		account: in.AccountId, id: uuid.New(), created: c.Now, location: in.AccessGrantsLocationId, permission: in.Permission,
		application: in.ApplicationArn, object: in.S3PrefixType, tags: tagMap(in.Tags), kind: in.Grantee.GranteeType, grantee: in.Grantee.GranteeIdentifier,
	}
	if in.AccessGrantsLocationConfiguration != nil {
		g.sub = in.AccessGrantsLocationConfiguration.S3SubPrefix
	}
	r := s.grantResource(i, g, in.AccountId, g.id)
	r.Tags = nil
	k := keys(in.AccountId)
	if l == nil && r.Missing == nil {
		r.Missing = noLocation()
	}
	if l != nil {
		of, ok := locationScope(l.scope)
		made, fits := of.below(g.sub, g.object != "")
		if !ok || !fits {
			return nil, nil, fail(400, "InvalidAccessGrant", "S3SubPrefix must end with * or, for S3PrefixType Object, be a key; it has no other wildcard, "+
				"does not begin with a slash, and begins with a bucket's name where the location is s3://.")
		}
		g.scope = made.String()
		k.Set("s3:AccessGrantScope", g.scope)
	}
	demands, err := creating("CreateAccessGrant", r, k, in.Tags)
	return &newGrant{g, i}, demands, err
}

func (s *Service) createGrant(ctx context.Context, c *api.Call, _ *shape.CreateAccessGrantInput, n *newGrant) (api.Commit[shape.CreateAccessGrantOutput], error) {
	if err := s.meet(ctx, c, n); err != nil {
		return nil, err
	}
	g := n.grant
	text, err := g.tags.text()
	if err != nil {
		return nil, err
	}
	all, err := count(c.Snapshot, `SELECT count(*) FROM accessgrants_grants WHERE account = ?`, g.account)
	if err != nil {
		return nil, err
	}
	if all >= maxGrants {
		return nil, fail(409, "AccessGrantsQuotaExceededError", "The access grants quota has been exceeded")
	}
	same, err := count(c.Snapshot, `SELECT count(*) FROM accessgrants_grants WHERE account = ? AND kind = ? AND grantee_id = ? AND scope = ? AND object = ?
		AND permission = ? AND application = ?`, g.account, string(g.kind), g.granteeID, g.scope, string(g.object), string(g.permission), g.application)
	if err != nil {
		return nil, err
	}
	if same > 0 {
		return nil, fail(409, "AccessGrantAlreadyExists", "The specified access grant already exists")
	}
	e := s.shownEntry(g)
	out := &shape.CreateAccessGrantOutput{
		AccessGrantArn: e.AccessGrantArn, AccessGrantId: e.AccessGrantId, AccessGrantsLocationConfiguration: e.AccessGrantsLocationConfiguration,
		AccessGrantsLocationId: e.AccessGrantsLocationId, ApplicationArn: e.ApplicationArn, CreatedAt: e.CreatedAt, GrantScope: e.GrantScope,
		Grantee: e.Grantee, Permission: e.Permission,
	}
	return func(tx *store.Tx) (*shape.CreateAccessGrantOutput, error) {
		_, err := tx.Exec(`INSERT INTO accessgrants_grants (account, id, created, location, sub, kind, grantee, grantee_id, permission, application, scope, object, tags)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, g.account, g.id, c.Now.UnixMicro(), g.location, g.sub, string(g.kind), g.grantee, g.granteeID,
			string(g.permission), g.application, g.scope, string(g.object), text)
		return out, errors.Join(err, tx.Touch(versionKey(g.account)))
	}, nil
}

// meet finds whom a grant is for. A user or role is meant by what it is, not by its
// name, which another may have later.
func (s *Service) meet(ctx context.Context, c *api.Call, n *newGrant) error {
	g := n.grant
	unknown := fail(400, "InvalidAccessGrant", "The grantee does not exist.")
	if g.kind == shape.GranteeTypeIam {
		if g.application != "" {
			return fail(400, "InvalidAccessGrant", "ApplicationArn belongs to people and groups of the directory.")
		}
		a, err := arn.Parse(g.grantee)
		if err != nil || a.Partition != "aws" || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") && !strings.HasPrefix(a.Resource, "user/") {
			return unknown
		}
		f, err := c.Resource(ctx, g.grantee)
		if err != nil {
			return err
		}
		e, ok := f.Detail.(*api.Entity)
		if f.Missing != nil || !ok {
			return unknown
		}
		g.granteeID = e.ID
		return nil
	}
	if n.instance.centre == "" {
		return fail(400, "InvalidAccessGrant", "The instance is not associated with an identity center.")
	}
	userID, groupID := g.grantee, ""
	switch g.kind {
	case shape.GranteeTypeDirectoryUser:
	case shape.GranteeTypeDirectoryGroup:
		userID, groupID = "", g.grantee
	default:
		return unknown
	}
	known, err := s.Directory.Known(c.Snapshot, userID, groupID)
	if err == nil && !known {
		return unknown
	}
	g.granteeID = g.grantee
	if err != nil || g.application == "" {
		return err
	}
	f, err := c.Resource(ctx, g.application)
	if err != nil {
		return err
	}
	if app, ok := f.Detail.(*api.Application); f.Missing != nil || !ok || app.InstanceARN != n.instance.centre {
		return fail(400, "InvalidAccessGrant", "The application does not exist.")
	}
	return nil
}

func (s *Service) shownEntry(g *grant) shape.ListAccessGrantEntry {
	e := shape.ListAccessGrantEntry{
		AccessGrantArn: s.arn(g.account, "/grant/"+g.id), AccessGrantId: g.id, AccessGrantsLocationId: g.location, ApplicationArn: g.application,
		CreatedAt: g.created, GrantScope: g.scope, Grantee: g.shownGrantee(), Permission: g.permission,
	}
	if g.sub != "" {
		e.AccessGrantsLocationConfiguration = &shape.AccessGrantsLocationConfiguration{S3SubPrefix: g.sub}
	}
	return e
}

func (g *grant) shownGrantee() *shape.Grantee {
	return &shape.Grantee{GranteeType: g.kind, GranteeIdentifier: g.grantee}
}

func (s *Service) shownGrant(_ context.Context, c *api.Call, in *shape.GetAccessGrantInput) (*grant, []api.Demand, error) {
	return s.granted(c, "GetAccessGrant", in.AccountId, in.AccessGrantId)
}

func (s *Service) getGrant(_ context.Context, _ *api.Call, _ *shape.GetAccessGrantInput, g *grant) (*shape.GetAccessGrantOutput, error) {
	out := shape.GetAccessGrantOutput(s.shownEntry(g))
	return &out, nil
}

func (s *Service) deletedGrant(_ context.Context, c *api.Call, in *shape.DeleteAccessGrantInput) (*grant, []api.Demand, error) {
	return s.granted(c, "DeleteAccessGrant", in.AccountId, in.AccessGrantId)
}

func (s *Service) deleteGrant(_ context.Context, _ *api.Call, _ *shape.DeleteAccessGrantInput, g *grant) (api.Commit[shape.DeleteAccessGrantOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteAccessGrantOutput, error) {
		_, err := tx.Exec(`DELETE FROM accessgrants_grants WHERE account = ? AND id = ?`, g.account, g.id)
		return &shape.DeleteAccessGrantOutput{}, errors.Join(err, tx.Touch(versionKey(g.account)))
	}, nil
}

func (s *Service) listGrants(_ context.Context, c *api.Call, in *shape.ListAccessGrantsInput, i *instance) (*shape.ListAccessGrantsOutput, error) {
	n := pageSize(in.MaxResults)
	list, err := store.Collect(c.Snapshot, scanGrant, grantColumns+`WHERE account = ? AND id > ? AND (? = '' OR kind = ?) AND (? = '' OR grantee = ?)
		AND (? = '' OR permission = ?) AND (? = '' OR scope = ?) AND (? = '' OR application = ?) ORDER BY id LIMIT ?`, i.account, in.NextToken,
		string(in.GranteeType), string(in.GranteeType), in.GranteeIdentifier, in.GranteeIdentifier, string(in.Permission), string(in.Permission),
		in.GrantScope, in.GrantScope, in.ApplicationArn, in.ApplicationArn, n+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccessGrantsOutput{AccessGrantsList: []shape.ListAccessGrantEntry{}}
	for _, g := range list[:min(len(list), n)] {
		out.AccessGrantsList = append(out.AccessGrantsList, s.shownEntry(g))
	}
	if len(list) > n {
		out.NextToken = list[n-1].id
	}
	return out, nil
}
