package authz

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// A Subject is an authenticated caller together with all that speaks for or
// against it.
type Subject struct {
	Claim     Claim
	Principal policy.Principal
	Entity    *Entity  // nil for a service
	Account   *Account // the principal's
	Keys      policy.Context
}

// Subject resolves a claim on a snapshot: the account must be active, the user
// or role must still exist, the person too, and none may have been signed out
// since the credential was issued. The failures are ErrGone.
func (a *Authorizer) Subject(ctx context.Context, sn *store.Snapshot, claim Claim) (*Subject, error) {
	account, err := a.src.Organization.Account(ctx, sn, claim.Account)
	if err != nil {
		return nil, err
	}
	if !account.Active || claim.Issued.Before(account.NotBefore) {
		return nil, ErrGone
	}
	s := &Subject{Claim: claim, Account: account}
	switch claim.Kind {
	case Service:
		s.Principal = policy.Principal{Kind: policy.Service, Account: claim.Account, Service: claim.ID, ARN: claim.ID}
	case WebIdentity, SAML:
		if claim.Provider == "" {
			return nil, fmt.Errorf("authz: a bearer without a provider")
		}
		s.Principal = policy.Principal{Kind: policy.WebIdentity, Federated: claim.Provider, ARN: claim.Provider, ID: claim.Provider + ":" + claim.ID}
	case Centre:
		if claim.Person == nil {
			return nil, fmt.Errorf("authz: a sign-in without a person")
		}
		s.Principal = policy.Principal{Kind: policy.Anonymous, ID: claim.Person.UserID}
	case User, Role, Federated:
		if err := a.bind(ctx, sn, s); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("authz: claim of kind %q", claim.Kind)
	}
	if p := claim.Person; p != nil {
		if err := a.src.Directory.Present(ctx, sn, p); err != nil {
			return nil, err
		}
		if err := a.holds(ctx, sn, s, p); err != nil {
			return nil, err
		}
	}
	s.Keys = identityKeys(s)
	return s, nil
}

// assignable is where the identity centre's roles lie; IAM lets nobody else make or
// change a role there.
const assignable = ":role/aws-reserved/sso.amazonaws.com/"

// holds refuses a person whom the identity centre let into a role that is no longer
// assigned to her.
func (a *Authorizer) holds(ctx context.Context, sn *store.Snapshot, s *Subject, p *Person) error {
	if s.Entity == nil || !strings.Contains(s.Entity.ARN, assignable) {
		return nil
	}
	if a.src.Assignments == nil {
		return ErrGone
	}
	return a.src.Assignments.Holds(ctx, sn, p, s.Entity)
}

// bind finds the user or role of a claim.
func (a *Authorizer) bind(ctx context.Context, sn *store.Snapshot, s *Subject) error {
	e, err := a.src.Principals.Principal(ctx, sn, s.Claim.ID)
	if err != nil {
		return err
	}
	kind := s.Claim.Kind
	if kind == Federated {
		kind = User
	}
	if e.Kind != kind || e.Account != s.Claim.Account {
		return ErrGone
	}
	s.Entity = e
	if s.Claim.Temporary() && s.Claim.Issued.Before(e.NotBefore) {
		return ErrGone
	}
	switch s.Claim.Kind {
	case User:
		s.Principal = policy.Principal{Kind: policy.User, Account: e.Account, ARN: e.ARN, ID: e.ID}
		return nil
	case Federated:
		s.Principal = policy.Principal{
			Kind:    policy.Federated,
			Account: e.Account,
			ARN:     "arn:aws:sts::" + e.Account + ":federated-user/" + s.Claim.SessionName,
			RoleARN: e.ARN,
			UserID:  e.ID,
			ID:      e.Account + ":" + s.Claim.SessionName,
		}
		return nil
	}
	s.Principal = policy.Principal{
		Kind:      policy.Session,
		Account:   e.Account,
		ARN:       "arn:aws:sts::" + e.Account + ":assumed-role/" + e.Name + "/" + s.Claim.SessionName,
		RoleARN:   e.ARN,
		Federated: s.Claim.Provider,
		ID:        e.ID + ":" + s.Claim.SessionName,
	}
	return nil
}

// identityKeys are the condition keys that come with an identity. They survive
// forward access; the network's keys do not.
func identityKeys(s *Subject) policy.Context {
	k := make(policy.Context, 14) // of most
	for name, values := range s.Claim.Vouched {
		if !strings.HasPrefix(name, "aws:") { // a provider vouches for nothing that is ours to say
			k[name] = values
		}
	}
	if s.Claim.Kind == Centre {
		return k
	}
	if s.Claim.Kind == WebIdentity || s.Claim.Kind == SAML {
		k.Set("aws:PrincipalIsAWSService", "false")
		k.Set("aws:FederatedProvider", s.Claim.Provider)
		return k
	}
	if s.Claim.Kind == Service {
		k.Set("aws:PrincipalIsAWSService", "true")
		k.Set("aws:PrincipalServiceName", s.Claim.ID)
		k.Set("aws:PrincipalServiceNamesList", s.Claim.ID)
		if s.Claim.SourceARN != "" {
			k.Set("aws:SourceArn", s.Claim.SourceARN)
		}
		if s.Claim.SourceAccount != "" {
			k.Set("aws:SourceAccount", s.Claim.SourceAccount)
			if s.Claim.SourceAccount == s.Account.ID && s.Account.OrgID != "" {
				k.Set("aws:SourceOrgID", s.Account.OrgID)
				k.Set("aws:SourceOrgPaths", s.Account.OrgPath)
			}
		}
		return k
	}
	k.Set("aws:PrincipalIsAWSService", "false")
	k.Set("aws:PrincipalAccount", s.Principal.Account)
	k.Set("aws:PrincipalArn", s.Entity.ARN)
	k.Set("aws:userid", s.Principal.ID)
	if s.Account.OrgID != "" {
		k.Set("aws:PrincipalOrgID", s.Account.OrgID)
		k.Set("aws:PrincipalOrgPaths", s.Account.OrgPath)
	}
	switch s.Claim.Kind {
	case User:
		k.Set("aws:PrincipalType", "User")
		k.Set("aws:username", s.Entity.Name)
	case Federated:
		k.Set("aws:PrincipalType", "FederatedUser")
		k.Set("aws:PrincipalArn", s.Principal.ARN)
	default:
		k.Set("aws:PrincipalType", "AssumedRole")
	}
	if s.Claim.Temporary() {
		k.Set("aws:TokenIssueTime", s.Claim.Issued.UTC().Format(time.RFC3339))
		// AWS sets the key on temporary credentials only, and says false unless a code was given.
		k.Set("aws:MultiFactorAuthPresent", fmt.Sprint(!s.Claim.MFA.IsZero()))
	}
	if s.Claim.Provider != "" {
		k.Set("aws:FederatedProvider", s.Claim.Provider)
	}
	for name, value := range s.Entity.Tags {
		k.Set("aws:PrincipalTag/"+name, value)
	}
	for name, value := range s.Claim.Tags { // a session tag hides the role's own
		k.Set("aws:PrincipalTag/"+name, value)
	}
	if s.Claim.SourceIdentity != "" {
		k.Set("aws:SourceIdentity", s.Claim.SourceIdentity)
	}
	if p := s.Claim.Person; p != nil && !p.Audit {
		k.Set("identitystore:UserId", p.UserID)
		k.Set("identitystore:IdentityStoreArn", p.IdentityStoreARN)
		k.Set("identitycenter:InstanceArn", p.InstanceARN)
		if p.ApplicationARN != "" {
			k.Set("identitycenter:ApplicationArn", p.ApplicationARN)
		}
		k.Set("identitycenter:CredentialId", p.CredentialID)
	}
	return k
}

// ServiceLinked says whether organization controls pass the caller by. The path is
// looked for in its place only: customers choose theirs, colons included.
func (s *Subject) serviceLinked() bool {
	e := s.Entity
	return e != nil && e.Kind == Role && (e.ServiceLinked || strings.HasPrefix(e.ARN, "arn:aws:iam::"+e.Account+":role/aws-service-role/"))
}
