package sts

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
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
	k.Set(issuer+":amr", texts(t.Claims["amr"], maxVouched, maxSubject)...)
	return k
}

// asked adds to what stays with a session the other claims of a token that a trust
// policy may ask for: those that the catalogue knows, to the letter.
func (s *Service) asked(issuer string, t *oidc.Token, vouched policy.Context) policy.Context {
	all := maps.Clone(vouched)
	for name, claim := range t.Claims {
		key := strings.ToLower(issuer) + ":" + name
		_, set := all.Get(key)
		if set || name != strings.ToLower(name) || s.cfg.Catalogue == nil || !s.cfg.Catalogue.KnownKey(key) {
			continue
		}
		switch v := claim.(type) {
		case bool:
			all.Set(key, strconv.FormatBool(v))
		case float64:
			all.Set(key, strconv.FormatFloat(v, 'f', -1, 64))
		case string:
			all.Set(key, v)
		case []any:
			all.Set(key, texts(v, len(v), math.MaxInt)...)
		}
	}
	return all
}

// texts are the strings of a claim that is one or a list of them, within bounds.
func texts(claim any, most, longest int) []string {
	if one, ok := claim.(string); ok {
		claim = []any{one}
	}
	list, _ := claim.([]any)
	var all []string
	for _, v := range list[:min(len(list), most)] {
		if text, ok := v.(string); ok && text != "" && len(text) <= longest {
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
// text, or its parts where they are claims of their own. What is not of its form
// refuses the token: a tag that is passed over might have restricted.
func claimedTags(claims map[string]any) ([]shape.Tag, []string, error) {
	var t tagClaims
	good := true
	for claim, part := range claims {
		rest, ours := strings.CutPrefix(claim, claimTags)
		key, single := strings.CutPrefix(rest, "/principal_tags/")
		switch {
		case !ours, rest != "" && rest[0] != '/':
		case single:
			text, plain := part.(string)
			if plain {
				part = []any{text}
			}
			good = t.tag(key, part) && good
		case rest == "":
			good = t.nested(part) && good
		default:
			good = t.part(rest[1:], part) && good
		}
	}
	if !good {
		return nil, nil, badToken("The claim " + claimTags + " in the token is not valid")
	}
	return t.tags, t.transitive, nil
}

// tagClaims are the tags that a token was found to have.
type tagClaims struct {
	tags       []shape.Tag
	transitive []string
}

func (t *tagClaims) nested(claim any) bool {
	parts, ok := claim.(map[string]any)
	for name, part := range parts {
		ok = t.part(name, part) && ok
	}
	return ok
}

func (t *tagClaims) part(name string, claim any) (ok bool) {
	switch name {
	case "principal_tags":
		pairs, ok := claim.(map[string]any)
		for key, v := range pairs {
			ok = t.tag(key, v) && ok
		}
		return ok
	case "transitive_tag_keys":
		list, ok := claim.([]any)
		for _, v := range list {
			key, is := v.(string)
			t.transitive, ok = append(t.transitive, key), ok && is
		}
		return ok
	}
	return false
}

func (t *tagClaims) tag(key string, claim any) bool {
	list, _ := claim.([]any)
	if len(list) != 1 {
		return false
	}
	value, ok := list[0].(string)
	t.tags = append(t.tags, shape.Tag{Key: key, Value: value})
	return ok
}
