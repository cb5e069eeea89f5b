package sts

import (
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/sts"
)

const (
	// clockSkew is what an issuer's clock may differ from ours.
	clockSkew  = time.Minute
	maxSubject = 255
	// maxVouched bounds the values of one claim that stay with a session.
	maxVouched = 10
	// What AWS's own claims in a token are called.
	claimTags           = "https://aws.amazon.com/tags"
	claimSourceIdentity = "https://aws.amazon.com/source_identity"
)

// audience is whom a token was made for: a client that is registered with the
// provider. Where the token says who asked for it (azp), that must be one too; with
// several audiences it must say.
func audience(t *oidc.Token, clients []string) (string, error) {
	bad := badToken("Incorrect token audience")
	registered := func(name string) bool { return slices.Contains(clients, name) }
	if !slices.ContainsFunc(t.Audience, registered) {
		return "", bad
	}
	asker, told := t.Claims["azp"]
	if !told {
		if len(t.Audience) > 1 {
			return "", bad
		}
		return t.Audience[0], nil
	}
	name, _ := asker.(string)
	if !registered(name) {
		return "", bad
	}
	return name, nil
}

// current says whether a token's time has come and is not over.
func current(t *oidc.Token, now time.Time) error {
	switch {
	case t.Subject == "" || len(t.Subject) > maxSubject:
		return badToken("The ID Token provided has no sub claim, or too long a one")
	case t.Expires.IsZero() || t.Issued.IsZero():
		return badToken("The ID Token provided must have exp and iat claims")
	case now.After(t.Expires.Add(clockSkew)):
		return fail("ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), t.Expires.Unix())
	case t.Issued.After(now.Add(clockSkew)), t.NotBefore.After(now.Add(clockSkew)):
		return badToken("The ID Token provided is not valid yet")
	}
	return nil
}

// vouchedBy are the condition keys of a token's claims. As with AWS, aud is who
// asked for the token, if it says, and oaud whom it is for.
func vouchedBy(issuer string, t *oidc.Token) policy.Context {
	k := policy.Context{}
	k.Set(issuer+":aud", t.Audience...)
	k.Set(issuer+":oaud", t.Audience...)
	k.Set(issuer+":sub", t.Subject)
	if asker, ok := t.Claims["azp"].(string); ok {
		k.Set(issuer+":aud", asker)
		k.Set(issuer+":azp", asker)
	}
	if email, ok := t.Claims["email"].(string); ok && len(email) <= maxSubject {
		k.Set(issuer+":email", email)
	}
	k.Set(issuer+":amr", texts(t.Claims["amr"])...)
	return k
}

// texts are the strings of a claim that is one or a list of them.
func texts(claim any) []string {
	if one, ok := claim.(string); ok {
		claim = []any{one}
	}
	list, _ := claim.([]any)
	var all []string
	for _, v := range list[:min(len(list), maxVouched)] {
		if text, ok := v.(string); ok && text != "" && len(text) <= maxSubject {
			all = append(all, text)
		}
	}
	return all
}

// claimed takes the session's tags and its source identity from a token.
func (g *grant) claimed(claims map[string]any) error {
	tags, transitive, err := claimedTags(claims)
	if err != nil {
		return err
	}
	if err := g.tag(api.Claim{}, tags, transitive); err != nil {
		return err
	}
	source, told := claims[claimSourceIdentity]
	if !told {
		return nil
	}
	name, _ := source.(string)
	if !nameText(name) {
		return badToken("The source identity in the token is not valid")
	}
	return g.identify("", name)
}

// claimedTags reads the claim that AWS names for tags, whose values are lists of one
// text. What is not of its form refuses the token: a tag that is passed over might
// have restricted.
func claimedTags(claims map[string]any) (tags []shape.Tag, transitive []string, err error) {
	bad := badToken("The claim " + claimTags + " in the token is not valid")
	claim, told := claims[claimTags]
	if !told {
		return nil, nil, nil
	}
	both, ok := claim.(map[string]any)
	if !ok {
		return nil, nil, bad
	}
	for name, part := range both {
		switch name {
		case "principal_tags":
			pairs, ok := part.(map[string]any)
			if !ok {
				return nil, nil, bad
			}
			for key, v := range pairs {
				list, _ := v.([]any)
				if len(list) != 1 {
					return nil, nil, bad
				}
				value, ok := list[0].(string)
				if !ok {
					return nil, nil, bad
				}
				tags = append(tags, shape.Tag{Key: key, Value: value})
			}
		case "transitive_tag_keys":
			list, ok := part.([]any)
			if !ok {
				return nil, nil, bad
			}
			for _, v := range list {
				key, ok := v.(string)
				if !ok {
					return nil, nil, bad
				}
				transitive = append(transitive, key)
			}
		default:
			return nil, nil, bad
		}
	}
	return tags, transitive, nil
}
