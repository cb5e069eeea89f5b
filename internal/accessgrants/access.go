package accessgrants

import (
	"cmp"
	"context"
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const defaultDuration = time.Hour

// ofCaller are the grants that mean the caller: as the user or role that signs, as
// the person whom she carries, or as one of that person's groups now.
func (s *Service) ofCaller(c *api.Call, i *instance) ([]*grant, error) {
	var all []*grant
	add := func(kind shape.GranteeType, id string) error {
		list, err := store.Collect(c.Snapshot, scanGrant, grantColumns+`WHERE account = ? AND kind = ? AND grantee_id = ?`, i.account, string(kind), id)
		all = append(all, list...)
		return err
	}
	if k := c.Claim().Kind; k == api.KindUser || k == api.KindRole {
		if err := add(shape.GranteeTypeIam, c.Entity().ID); err != nil {
			return nil, err
		}
	}
	p := c.Person()
	if p == nil || p.Audit || i.centre == "" || p.InstanceARN != i.centre {
		return all, nil
	}
	if err := add(shape.GranteeTypeDirectoryUser, p.UserID); err != nil {
		return nil, err
	}
	groups, _, err := s.Directory.GroupsOf(c.Snapshot, p.UserID)
	if err != nil {
		return nil, err
	}
	for _, id := range groups {
		if err := add(shape.GranteeTypeDirectoryGroup, id); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// admits says whether a grant is good where the person comes from.
func (g *grant) admits(p *api.Person) bool {
	return g.application == "" || p != nil && !p.Audit && p.ApplicationARN == g.application
}

// reaches is what a grant is for.
func (g *grant) reaches() (scope, bool) { return parseScope(g.scope, g.object != "") }

// allows says whether a permission includes another.
func allows(has, asked shape.Permission) bool {
	return has == asked || has == shape.PermissionReadwrite
}

// match is the narrowest of the caller's grants that covers what is asked for.
func (s *Service) match(c *api.Call, i *instance, asked scope, permission shape.Permission) (*grant, scope, error) {
	list, err := s.ofCaller(c, i)
	if err != nil {
		return nil, scope{}, err
	}
	type candidate struct {
		*grant
		scope scope
	}
	var found []candidate
	for _, g := range list {
		if of, ok := g.reaches(); ok && of.covers(asked) && allows(g.permission, permission) && g.admits(c.Person()) {
			found = append(found, candidate{g, of})
		}
	}
	if len(found) == 0 {
		return nil, scope{}, nil
	}
	best := slices.MinFunc(found, func(a, b candidate) int {
		return cmp.Or(-cmp.Compare(len(a.scope.key), len(b.scope.key)), cmp.Compare(a.id, b.id))
	})
	return best.grant, best.scope, nil
}

func (s *Service) getDataAccess(ctx context.Context, c *api.Call, in *shape.GetDataAccessInput, i *instance) (*shape.GetDataAccessOutput, error) {
	asked, ok := parseScope(in.Target, in.TargetType != "")
	if !ok {
		return nil, invalid("Target is s3://bucket, s3://bucket/prefix* or, with TargetType Object, s3://bucket/key.")
	}
	g, reach, err := s.match(c, i, asked, in.Permission)
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, fail(403, "AccessDenied", "You do not have %s permissions to the requested S3 Prefix: %s", in.Permission, in.Target)
	}
	l, err := findLocation(c.Snapshot, i.account, g.location)
	if err != nil {
		return nil, err
	}
	role, err := s.entrusted(ctx, c, l)
	if err != nil {
		return nil, err
	}
	duration := defaultDuration
	if in.DurationSeconds != nil {
		duration = time.Duration(*in.DurationSeconds) * time.Second
	}
	if duration > role.MaxSession {
		return nil, fail(400, "StsValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if in.Privilege == shape.PrivilegeMinimal {
		reach = asked
	}
	text, err := s.sessionPolicy(reach, in.Permission)
	if err != nil {
		return nil, err
	}
	issued := c.Now.UTC().Truncate(time.Microsecond)
	claim := api.Claim{
		Kind: api.KindRole, Account: role.Account, ID: role.ID, SessionName: "access-grants-" + uuid.New(), SourceIdentity: sourceIdentity(c),
		Issued: issued, Expires: issued.Add(duration).Truncate(time.Second), Person: c.Person(),
	}
	made, err := s.Sessions.Issue(claim, text)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"accessGrantArn": s.arn(i.account, "/grant/"+g.id), "grantScope": g.scope, "assumedRole": role.ARN, "roleSessionName": claim.SessionName, "accessKeyId": made.AccessKeyID,
	} {
		c.Note(name, value)
	}
	return &shape.GetDataAccessOutput{
		Credentials: &shape.Credentials{AccessKeyId: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey, SessionToken: made.SessionToken, Expiration: made.Expiration},
		Grantee:     g.shownGrantee(), MatchedGrantTarget: g.scope,
	}, nil
}

// entrusted is the role of a location, if it is the one that was passed and still
// admits the service with whom the session will carry.
func (s *Service) entrusted(ctx context.Context, c *api.Call, l *location) (*api.Entity, error) {
	refused := fail(403, "StsNotAuthorizedError", "The role of the location does not let S3 Access Grants assume it for the caller.")
	if l == nil {
		return nil, refused
	}
	f, err := c.Resource(ctx, l.role)
	if err != nil {
		return nil, err
	}
	role, ok := f.Detail.(*api.Entity)
	if !ok || f.Missing != nil || role.ID != l.roleID {
		return nil, refused
	}
	also, k := []string{"sts:SetSourceIdentity"}, policy.Context{}
	k.Set("sts:SourceIdentity", sourceIdentity(c))
	if p := c.Person(); p != nil {
		also = append(also, "sts:SetContext")
		k.Set("sts:RequestContextProviders", "arn:aws:iam::aws:contextProvider/IdentityCenter")
	}
	if p := c.Person(); p != nil && !p.Audit {
		k.Set("sts:RequestContext/identitystore:UserId", p.UserID)
		k.Set("sts:RequestContext/identitystore:IdentityStoreArn", p.IdentityStoreARN)
		k.Set("sts:RequestContext/identitycenter:InstanceArn", p.InstanceARN)
		if p.ApplicationARN != "" {
			k.Set("sts:RequestContext/identitycenter:ApplicationArn", p.ApplicationARN)
		}
		if p.CredentialID != "" {
			k.Set("sts:RequestContext/identitycenter:CredentialId", p.CredentialID)
		}
	}
	trusted, err := c.TrustsWith(ctx, role, principal, s.arn(l.account, ""), k, also...)
	if err != nil {
		return nil, err
	}
	if !trusted {
		return nil, refused
	}
	return role, nil
}

// sourceIdentity stays what it is, and is the caller's own id where there was none.
func sourceIdentity(c *api.Call) string {
	claim := c.Claim()
	switch {
	case claim.SourceIdentity != "":
		return claim.SourceIdentity
	case claim.Person != nil:
		return claim.Person.UserID
	}
	return claim.ID
}
