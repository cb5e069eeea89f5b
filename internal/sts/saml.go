package sts

import (
	"context"
	"crypto/sha1" // fixed by the protocol: see nameQualifier
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/saml"
	shape "bawn.dev/internal/shape/sts"
)

// awsRecipient and awsAudience are whom assertions are for that a provider makes
// after AWS's instructions.
const (
	awsRecipient = "https://signin.aws.amazon.com/saml"
	awsAudience  = "urn:amazon:webservices"
)

// samlGrant is a grant to the bearer of a SAML assertion.
type samlGrant struct {
	*grant
	assertion *saml.Assertion
	qualifier string
}

// samlIdentity believes the assertion before it says anything about the role.
func (s *Service) samlIdentity(ctx context.Context, c *api.Call, in *shape.AssumeRoleWithSAMLInput) (*samlGrant, []api.Demand, error) {
	g, err := begin(ctx, c, "sts:AssumeRoleWithSAML", in.RoleArn, "")
	if err != nil {
		return nil, nil, err
	}
	md, err := s.samlProvider(ctx, c, g.claim.Account, in.PrincipalArn)
	if err != nil {
		return nil, nil, err
	}
	document, err := base64.StdEncoding.DecodeString(in.SAMLAssertion)
	if err != nil {
		return nil, nil, badToken("Invalid base64 SAMLResponse")
	}
	recipients := append([]string{awsRecipient}, s.cfg.SAMLRecipients...)
	a, err := saml.Verify(md, document, saml.Expect{Audiences: append(recipients, awsAudience), Recipients: recipients, Now: c.Now})
	if err != nil {
		return nil, nil, unproven(err)
	}
	w := &samlGrant{g, a, nameQualifier(a.Issuer, in.PrincipalArn)}
	if !paired(a, in.RoleArn, in.PrincipalArn) {
		return nil, nil, denied("Not authorized to perform sts:AssumeRoleWithSAML")
	}
	if err := g.attributes(a); err != nil {
		return nil, nil, err
	}
	all := samlKeys(a, in.PrincipalArn, w.qualifier)
	g.claim.Provider, g.claim.Vouched = in.PrincipalArn, lasting(all)
	if err := g.enter(ctx, c, api.Claim{Kind: api.KindSAML, ID: a.Subject, Vouched: all}); err != nil {
		return nil, nil, err
	}
	if err := s.narrow(ctx, c, g, in.Policy, in.PolicyArns); err != nil {
		return nil, nil, err
	}
	return w, g.demands(), nil
}

// samlProvider is the metadata of a provider of the role's account.
func (s *Service) samlProvider(ctx context.Context, c *api.Call, account, name string) (*saml.Metadata, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || !strings.HasPrefix(a.Resource, "saml-provider/") {
		return nil, invalid("%s is invalid", name)
	}
	unknown := badToken("Issuer not present in specified provider")
	if a.Account != account {
		return nil, unknown
	}
	f, err := c.Resource(ctx, name)
	if _, ok := errors.AsType[*api.Error](err); ok { // no name of a provider
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	p, ok := f.Detail.(*api.SAMLProvider)
	if f.Missing != nil || !ok {
		return nil, unknown
	}
	digest := sha256.Sum256([]byte(p.Metadata))
	md, ok := s.metadata.Get(digest, 0)
	if !ok {
		if md, err = saml.ParseMetadata([]byte(p.Metadata)); err != nil {
			return nil, err // it was stored, and so it was good
		}
		s.metadata.Put(digest, 0, md)
	}
	return md, nil
}

// unproven says in AWS's words why an assertion is refused.
func unproven(err error) error {
	e, ok := errors.AsType[*saml.Error](err)
	if !ok {
		return err
	}
	switch e.Reason {
	case saml.Expired:
		return fail("ExpiredTokenException", "Token must be redeemed within its time: %s", e.Message)
	case saml.Declined:
		return &api.Error{Code: "IDPRejectedClaim", Status: 403, Message: "The identity provider did not sign anybody in: " + e.Message}
	case saml.Unproven:
		return badToken("Response signature invalid: " + e.Message)
	}
	return badToken(e.Message)
}

// paired says whether the provider gives its subject this role through this
// provider's name: an assertion shown with another role, or as another provider's,
// is worth nothing.
func paired(a *saml.Assertion, role, provider string) bool {
	return slices.ContainsFunc(a.Attributes[attributeRole], func(v string) bool {
		one, other, _ := strings.Cut(v, ",")
		one, other = strings.TrimSpace(one), strings.TrimSpace(other)
		return one == role && other == provider || one == provider && other == role
	})
}

// nameQualifier tells subjects of one name of different providers apart, as AWS
// makes it: a hash that hides nothing and protects nothing.
func nameQualifier(issuer, provider string) string {
	a, _ := arn.Parse(provider)
	sum := sha1.Sum([]byte(issuer + a.Account + strings.TrimPrefix(a.Resource, "saml-provider")))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// samlKeys are the condition keys of an assertion. As with AWS, saml:aud is the
// address to which the provider sent its subject.
func samlKeys(a *saml.Assertion, provider, qualifier string) policy.Context {
	k := policy.Context{}
	for _, name := range slices.Sorted(maps.Keys(samlAttributes)) {
		had, _ := k.Get(samlAttributes[name]) // several names may be of one key
		k.Set(samlAttributes[name], slices.Concat(had, a.Attributes[name])...)
	}
	p, _ := arn.Parse(provider)
	k.Set("saml:aud", a.Recipient)
	k.Set("saml:iss", a.Issuer)
	k.Set("saml:sub", a.Subject)
	k.Set("saml:sub_type", subjectType(a))
	k.Set("saml:namequalifier", qualifier)
	k.Set("saml:doc", p.Account+strings.TrimPrefix(p.Resource, "saml-provider"))
	return k
}

// lasting are the keys that stay with the session, which is those that name the
// subject.
func lasting(all policy.Context) policy.Context {
	k := policy.Context{}
	for _, name := range []string{"saml:aud", "saml:iss", "saml:sub", "saml:sub_type", "saml:namequalifier", "saml:doc"} {
		values, _ := all.Get(name)
		k.Set(name, values...)
	}
	return k
}

func subjectType(a *saml.Assertion) string {
	short := a.SubjectType[strings.LastIndexByte(a.SubjectType, ':')+1:]
	if strings.HasPrefix(a.SubjectType, "urn:oasis:names:tc:SAML:2.0:nameid-format:") && (short == "persistent" || short == "transient") {
		return short
	}
	return a.SubjectType
}

func (s *Service) assumeRoleWithSAML(_ context.Context, c *api.Call, in *shape.AssumeRoleWithSAMLInput, w *samlGrant) (*shape.AssumeRoleWithSAMLOutput, error) {
	seconds, err := bounded(w.assertion, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	m, who, err := s.assume(c, w.grant, seconds)
	if err != nil {
		return nil, err
	}
	return &shape.AssumeRoleWithSAMLOutput{
		AssumedRoleUser: who, Audience: w.assertion.Recipient, Credentials: m.credentials, Issuer: w.assertion.Issuer, NameQualifier: w.qualifier,
		PackedPolicySize: m.packed, SourceIdentity: w.claim.SourceIdentity, Subject: w.assertion.Subject, SubjectType: subjectType(w.assertion),
	}, nil
}
