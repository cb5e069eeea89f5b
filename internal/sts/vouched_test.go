package sts_test

import (
	"testing"
	"time"

	"bawn.dev/internal/saml/samltest"
)

// What a trust policy forbids by an attribute it forbids each time, by whichever of
// its names the provider tells the attribute.
func TestAttributesOfSeveralNames(t *testing.T) {
	h := newHouse(t)
	p := h.idp(t, h.admin, "https://idp.example.org/saml")
	role := h.role(t, "staff", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"`+samlARN+`"},"Action":`+withSAML+`},
		{"Effect":"Deny","Principal":{"Federated":"`+samlARN+`"},"Action":`+withSAML+`,"Condition":{"StringEquals":{"saml:mail":"eve@example.org"}}}]}`)
	mail := func(name string) samltest.Attribute {
		return samltest.Attribute{Name: name, Values: []string{"eve@example.org"}}
	}
	const short, long = "urn:oid:0.9.2342.19200300.100.1.3", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	bland := samltest.Attribute{Name: long, Values: []string{"bland@example.org"}}
	for range 8 { // the keys were once made in no order
		refusedWith(t, "the short name", h.bring(t, role, p.Encoded(h.vouch(p, role, mail(short)))), "AccessDenied")
		refusedWith(t, "the long name", h.bring(t, role, p.Encoded(h.vouch(p, role, mail(long)))), "AccessDenied")
		refusedWith(t, "both", h.bring(t, role, p.Encoded(h.vouch(p, role, mail(short), bland))), "AccessDenied")
	}
	h.opened(t, h.bring(t, role, p.Encoded(h.vouch(p, role, bland))))

	over := h.vouch(p, role)
	over.SessionNotOnOrAfter = h.Now().Add(-30 * time.Second)
	refusedWith(t, "a session that ends within the clocks' difference", h.bring(t, role, p.Encoded(over)), "ExpiredTokenException")
}

// A claim that policies may ask for is there when the token has it.
func TestClaimsThatPoliciesAskFor(t *testing.T) {
	h := newHouse(t)
	h.register(t)
	statement := func(effect, condition string) string {
		return `{"Effect":"` + effect + `","Principal":{"Federated":"` + issuerARN + `"},"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"],"Condition":{` + condition + `}}`
	}
	role := h.role(t, "deploy", `{"Version":"2012-10-17","Statement":[`+
		statement("Allow", `"StringEquals":{"`+issuerName+`:aud":"`+client+`"},"StringEqualsIfExists":{"`+issuerName+`:repository_owner_id":"1"}`)+`,`+
		statement("Deny", `"StringEquals":{"`+issuerName+`:ref_protected":"false"}`)+`,`+
		statement("Deny", `"StringLike":{"aws:RequestTag/team":"secret*"}`)+`]}`)
	with := func(name string, value any) answer {
		return h.show(t, role, h.token(t, func(c map[string]any) { c[name] = value }))
	}
	h.opened(t, with("ref_protected", true))
	h.opened(t, with("repository_owner_id", 1))
	h.opened(t, with("Ref_Protected", "false")) // another claim
	for _, v := range []any{"false", false, []string{"true", "false"}} {
		refusedWith(t, "an unprotected branch", with("ref_protected", v), "AccessDenied")
	}
	refusedWith(t, "another owner", with("repository_owner_id", "2"), "AccessDenied")

	// Tags may be claims of their own.
	const tag = "https://aws.amazon.com/tags/principal_tags/team"
	refusedWith(t, "a tag", with(tag, "secret"), "AccessDenied")
	refusedWith(t, "a tag in a list", with(tag, []string{"secrets"}), "AccessDenied")
	s := h.opened(t, h.show(t, role, h.token(t, func(c map[string]any) {
		c[tag], c["https://aws.amazon.com/tags/transitive_tag_keys"] = "imaging", []string{"team"}
	})))
	if s.Tags["team"] != "imaging" || len(s.TransitiveTags) != 1 {
		t.Errorf("%+v", s)
	}
}
