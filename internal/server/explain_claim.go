package server

import (
	"context"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// supposedly is how long the credential of a supposed session would last.
const supposedly = time.Hour

// claimed is what the credential of the principal that is asked about would say.
func (s *Server) claimed(ctx context.Context, sn *store.Snapshot, in ExplainRequest) (api.Claim, error) {
	claim, err := s.named(ctx, sn, in)
	if err != nil {
		return claim, err
	}
	claim.Issued = s.now()
	if in.MFA {
		claim.MFA = claim.Issued
	}
	if claim.Kind == api.KindRole || claim.Kind == api.KindFederated || in.MFA {
		claim.Expires = claim.Issued.Add(supposedly)
	}
	return claim, narrow(in, &claim)
}

// named finds the principal.
func (s *Server) named(ctx context.Context, sn *store.Snapshot, in ExplainRequest) (api.Claim, error) {
	claim := api.Claim{SessionName: in.Session, Account: in.Account}
	if claim.SessionName == "" {
		claim.SessionName = "explain"
	}
	if strings.HasSuffix(in.Principal, ".amazonaws.com") && !strings.Contains(in.Principal, ":") {
		claim.Kind, claim.ID = api.KindService, in.Principal
		if claim.Account == "" {
			claim.Account = s.cfg.AccountID
		}
		return claim, nil
	}
	a, err := arn.Parse(in.Principal)
	kind, name, _ := strings.Cut(a.Resource, "/")
	if err != nil || a.Service != "iam" && a.Service != "sts" {
		return claim, question("%q is no principal: give the ARN of a user, a role, a session of a role or a federated user, or the name of a service", in.Principal)
	}
	who := in.Principal
	switch {
	case a.Service == "sts" && kind == "assumed-role":
		role, session, _ := strings.Cut(name, "/")
		who, claim.SessionName = "arn:aws:iam::"+a.Account+":assumed-role/"+role, session
	case a.Service == "sts" && kind == "federated-user":
		who, claim.SessionName = in.User, name
		if who == "" {
			return claim, question("name the user who made the session of %s", in.Principal)
		}
	case kind != "user" && kind != "role":
		return claim, question("%s makes no calls: a group is no principal, and there is no root user here", in.Principal)
	}
	f, err := s.door.Resource(ctx, sn, who)
	if err != nil {
		return claim, err
	}
	if f == nil || f.Missing != nil {
		return claim, question("there is no %s", who)
	}
	e, ok := f.Detail.(*api.Entity)
	if !ok {
		return claim, question("%s is neither a user nor a role", who)
	}
	claim.Kind, claim.Account, claim.ID = e.Kind, e.Account, e.ID
	if kind == "federated-user" {
		claim.Kind = api.KindFederated
		if e.Kind != api.KindUser || e.Account != a.Account {
			return claim, question("%s makes no federated users of account %s", who, a.Account)
		}
	}
	return claim, nil
}

// narrow adds what the request says of the session.
func narrow(in ExplainRequest, claim *api.Claim) error {
	claim.Tags = in.Tags
	if in.Policy == "" {
		return nil
	}
	p, err := policy.Parse([]byte(in.Policy), policy.SessionPolicy)
	if err != nil {
		return question("session policy: %v", err)
	}
	claim.HasSession = true
	claim.SessionPolicies = []policy.Doc{{Name: "session policy", Policy: p}}
	return nil
}

// onBehalf adds what a session says of a person. That she signed in and may is
// supposed, but not that she is there.
func (s *Server) onBehalf(ctx context.Context, sn *store.Snapshot, of *authz.Subject, person string) error {
	id, err := s.identity.UserID(sn, person)
	if err != nil {
		return err
	}
	if id == "" {
		id = person
	}
	f, err := s.door.Resource(ctx, sn, "arn:aws:identitystore:::user/"+id)
	if err != nil {
		return err
	}
	if f == nil || f.Missing != nil {
		return api.ErrGone
	}
	instance, directory, err := s.identity.Instance(sn)
	of.Keys.Set("identitystore:UserId", id)
	of.Keys.Set("identitystore:IdentityStoreArn", directory)
	of.Keys.Set("identitycenter:InstanceArn", instance)
	return err
}

// recordedClaim is what the credential of a recorded call said, as far as the record
// tells. The principal is the one that the record names by unique id.
func (s *Server) recordedClaim(r *trail.Record, in ExplainRequest) (api.Claim, error) {
	u := r.UserIdentity
	claim := api.Claim{Account: u.AccountID, ID: u.PrincipalID, Issued: s.now()}
	switch u.Type {
	case "IAMUser":
		claim.Kind = api.KindUser
	case "AssumedRole", "FederatedUser":
		claim.Kind = api.KindRole
		if u.Type == "FederatedUser" {
			claim.Kind = api.KindFederated
		}
		if u.SessionContext == nil {
			return claim, question("the record does not say whose session it was")
		}
		claim.ID = u.SessionContext.SessionIssuer.PrincipalID
		claim.SessionName = u.ARN[strings.LastIndexByte(u.ARN, '/')+1:]
	case "AWSService":
		claim.Kind, claim.ID, claim.Account = api.KindService, u.InvokedBy, r.Account
	default:
		return claim, question("a caller of type %s is not explained", u.Type)
	}
	if c := u.SessionContext; c != nil {
		claim.Issued, claim.Expires, claim.SourceIdentity = c.CreationDate, s.now().Add(supposedly), c.SourceIdentity
		if c.MFA {
			claim.MFA = c.CreationDate
		}
	}
	return claim, narrow(in, &claim)
}
