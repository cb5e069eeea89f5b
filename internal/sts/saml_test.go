package sts_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/saml/samltest"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sts"
)

const (
	samlARN  = "arn:aws:iam::" + account + ":saml-provider/idp"
	withSAML = `"sts:AssumeRoleWithSAML"`
	signIn   = "https://signin.aws.amazon.com/saml"
	awsName  = "https://aws.amazon.com/SAML/Attributes/"
)

// idp registers a provider of assertions in an account.
func (h *house) idp(t testing.TB, admin api.Claim, entityID string) *samltest.Provider {
	t.Helper()
	p, err := samltest.NewECDSA(entityID)
	if err != nil {
		t.Fatal(err)
	}
	must[iamshape.CreateSAMLProviderOutput](t, h, admin, "iam:CreateSAMLProvider",
		&iamshape.CreateSAMLProviderInput{Name: "idp", SAMLMetadataDocument: p.Metadata()})
	return p
}

// vouch is a good response for ada, for a role by a provider.
func (h *house) vouch(p *samltest.Provider, role string, more ...samltest.Attribute) samltest.Response {
	return p.Response("ada", "urn:amazon:webservices", signIn, h.Now(), append([]samltest.Attribute{
		{Name: awsName + "Role", Values: []string{role + "," + samlARN}},
		{Name: awsName + "RoleSessionName", Values: []string{"ada@example.org"}},
	}, more...)...)
}

func (h *house) bring(t testing.TB, role, assertion string, more ...string) answer {
	t.Helper()
	members := map[string]string{"RoleArn": role, "PrincipalArn": samlARN, "SAMLAssertion": assertion}
	for i := 0; i < len(more); i += 2 {
		members[more[i]] = more[i+1]
	}
	return h.post(t, "AssumeRoleWithSAML", members)
}

func TestSAML(t *testing.T) {
	h := newHouse(t)
	p := h.idp(t, h.admin, "https://idp.example.org/saml")
	role := h.role(t, "staff", trust(`{"Federated":"`+samlARN+`"}`, withSAML,
		`{"StringEquals":{"SAML:aud":"`+signIn+`","saml:edupersonaffiliation":"staff","saml:sub_type":"persistent","saml:doc":"`+account+`/idp"}}`),
		document(`{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"StringEquals":{"saml:sub":"ada"}}}`))
	staff := samltest.Attribute{Name: "urn:oid:1.3.6.1.4.1.5923.1.1.1.1", Values: []string{"staff"}}
	good := p.Encoded(h.vouch(p, role, staff))
	a := h.bring(t, role, good)
	s := h.opened(t, a)
	if a["Arn"] != "arn:aws:sts::"+account+":assumed-role/staff/ada@example.org" || a["Subject"] != "ada" || a["SubjectType"] != "persistent" ||
		a["Issuer"] != "https://idp.example.org/saml" || a["Audience"] != signIn {
		t.Errorf("%v", a)
	}
	if raw, err := base64.StdEncoding.DecodeString(a["NameQualifier"]); err != nil || len(raw) != 20 {
		t.Errorf("the qualifier is %q", a["NameQualifier"])
	}
	must[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers)
	if s.Provider != samlARN {
		t.Errorf("%+v", s)
	}
	refusedWith(t, "no member of staff", h.bring(t, role, p.Encoded(h.vouch(p, role))), "AccessDenied")

	record := h.Records(t, account, "AssumeRoleWithSAML")
	found := false
	for _, r := range record {
		found = found || r.UserIdentity.Type == "SAMLUser" && r.UserIdentity.UserName == "ada" && r.UserIdentity.IdentityProvider == a["NameQualifier"]
		if strings.Contains(string(r.RequestParameters), good[:40]) {
			t.Errorf("the record holds an assertion: %s", r.RequestParameters)
		}
	}
	if !found {
		t.Error("no record says who got the session")
	}

	// New metadata, and none, count on the next call.
	other, err := samltest.NewECDSA("https://idp.example.org/saml")
	if err != nil {
		t.Fatal(err)
	}
	must[iamshape.UpdateSAMLProviderOutput](t, h, h.admin, "iam:UpdateSAMLProvider",
		&iamshape.UpdateSAMLProviderInput{SAMLProviderArn: samlARN, SAMLMetadataDocument: other.Metadata()})
	refusedWith(t, "a key that is no longer there", h.bring(t, role, good), "InvalidIdentityToken")
	h.opened(t, h.bring(t, role, other.Encoded(h.vouch(other, role, staff))))
	must[iamshape.DeleteSAMLProviderOutput](t, h, h.admin, "iam:DeleteSAMLProvider", &iamshape.DeleteSAMLProviderInput{SAMLProviderArn: samlARN})
	refusedWith(t, "a provider that is no longer there", h.bring(t, role, other.Encoded(h.vouch(other, role, staff))), "InvalidIdentityToken")
}

func TestForgedSAML(t *testing.T) {
	h := newHouse(t)
	p := h.idp(t, h.admin, "https://idp.example.org/saml")
	theirs := h.idp(t, h.other, "https://idp.example.org/saml")
	open := trust(`{"Federated":"`+samlARN+`"}`, withSAML, "")
	role, second := h.role(t, "staff", open), h.role(t, "second", open)
	good := p.Encoded(h.vouch(p, role))
	for name, bent := range map[string]struct {
		change func(*samltest.Response)
		code   string
	}{
		"unsigned":                      {func(r *samltest.Response) { r.SignAssertion = false }, "InvalidIdentityToken"},
		"another audience":              {func(r *samltest.Response) { r.Audience = "https://other.example" }, "InvalidIdentityToken"},
		"another recipient":             {func(r *samltest.Response) { r.Recipient = "https://other.example/acs" }, "InvalidIdentityToken"},
		"a failed sign-in":              {func(r *samltest.Response) { r.Status = "Requester" }, "IDPRejectedClaim"},
		"an old one":                    {func(r *samltest.Response) { r.NotOnOrAfter = h.Now().Add(-2 * time.Minute) }, "ExpiredTokenException"},
		"one of tomorrow":               {func(r *samltest.Response) { r.NotBefore = h.Now().Add(time.Hour) }, "ExpiredTokenException"},
		"no role":                       {func(r *samltest.Response) { r.Attributes = r.Attributes[1:] }, "AccessDenied"},
		"no session name":               {func(r *samltest.Response) { r.Attributes = r.Attributes[:1] }, "InvalidIdentityToken"},
		"a session name of two":         {func(r *samltest.Response) { r.Attributes[1].Values = []string{"a", "b"} }, "InvalidIdentityToken"},
		"a session name that is a path": {func(r *samltest.Response) { r.Attributes[1].Values = []string{"../admin"} }, "InvalidIdentityToken"},
		"another role":                  {func(r *samltest.Response) { r.Attributes[0].Values = []string{second + "," + samlARN} }, "AccessDenied"},
		"a role of another provider": {func(r *samltest.Response) {
			r.Attributes[0].Values = []string{role + ",arn:aws:iam::" + account + ":saml-provider/other"}
		}, "AccessDenied"},
		"a role and no provider": {func(r *samltest.Response) { r.Attributes[0].Values = []string{role} }, "AccessDenied"},
		"a source identity that is none": {func(r *samltest.Response) {
			r.Attributes = append(r.Attributes, samltest.Attribute{Name: awsName + "SourceIdentity", Values: []string{"two words"}})
		}, "InvalidIdentityToken"},
		"a duration that is none": {func(r *samltest.Response) {
			r.Attributes = append(r.Attributes, samltest.Attribute{Name: awsName + "SessionDuration", Values: []string{"forever"}})
		}, "InvalidIdentityToken"},
		"tags where none may be": {func(r *samltest.Response) {
			r.Attributes = append(r.Attributes, samltest.Attribute{Name: awsName + "PrincipalTag:team", Values: []string{"x"}})
		}, "AccessDenied"},
		"a reserved tag": {func(r *samltest.Response) {
			r.Attributes = append(r.Attributes, samltest.Attribute{Name: awsName + "PrincipalTag:aws:x", Values: []string{"x"}})
		}, "ValidationError"},
	} {
		r := h.vouch(p, role)
		bent.change(&r)
		refusedWith(t, name, h.bring(t, role, p.Encoded(r)), bent.code)
	}
	refusedWith(t, "an assertion shown with another role", h.bring(t, second, good), "AccessDenied")
	refusedWith(t, "an assertion of another account's provider", h.bring(t, role, theirs.Encoded(h.vouch(theirs, role))), "InvalidIdentityToken")
	refusedWith(t, "another account's provider by name", h.bring(t, role, theirs.Encoded(h.vouch(theirs, role)),
		"PrincipalArn", "arn:aws:iam::"+apitest.Other+":saml-provider/idp"), "InvalidIdentityToken")
	refusedWith(t, "a provider that is a role", h.bring(t, role, good, "PrincipalArn", role), "ValidationError")
	refusedWith(t, "a provider that is not there", h.bring(t, role, good, "PrincipalArn", samlARN+"x"), "InvalidIdentityToken")
	refusedWith(t, "no base64", h.bring(t, role, "<Response/>"), "InvalidIdentityToken")
	refusedWith(t, "no XML", h.bring(t, role, "AAAA"), "InvalidIdentityToken")
	text, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	refusedWith(t, "another subject", h.bring(t, role, base64.StdEncoding.EncodeToString([]byte(strings.Replace(string(text), ">ada<", ">eve<", 1)))), "InvalidIdentityToken")
	plain := h.role(t, "plain", trust(anyone, withSAML, ""))
	refusedWith(t, "a role that trusts everybody", h.bring(t, plain, p.Encoded(h.vouch(p, plain))), "AccessDenied")
	absent := "arn:aws:iam::" + account + ":role/absent"
	refusedWith(t, "a role that is not there", h.bring(t, absent, p.Encoded(h.vouch(p, absent))), "AccessDenied")
	h.opened(t, h.bring(t, role, good))
	h.Advance(10 * time.Minute)
	refusedWith(t, "one that was good", h.bring(t, role, good), "ExpiredTokenException")
}

func TestSAMLTagsAndTimes(t *testing.T) {
	h := newHouse(t)
	p := h.idp(t, h.admin, "https://idp.example.org/saml")
	role := h.role(t, "staff", trust(`{"Federated":"`+samlARN+`"}`, `["sts:AssumeRoleWithSAML","sts:TagSession","sts:SetSourceIdentity"]`, ""), document(admin))
	one := func(name, value string) samltest.Attribute {
		return samltest.Attribute{Name: awsName + name, Values: []string{value}}
	}
	s := h.opened(t, h.bring(t, role, p.Encoded(h.vouch(p, role, one("PrincipalTag:team", "imaging"), one("TransitiveTagKeys", "team"), one("SourceIdentity", "ada")))))
	if s.Tags["team"] != "imaging" || len(s.TransitiveTags) != 1 || s.SourceIdentity != "ada" || s.Expires.Sub(s.Issued) < 59*time.Minute {
		t.Errorf("%+v", s)
	}
	next := h.role(t, "next", trust(anyone, `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`, ""), document(admin))
	if c := h.session(t, s, &shape.AssumeRoleInput{RoleArn: next}); len(c.Vouched) != 0 || c.Provider != "" || c.Tags["team"] != "imaging" {
		t.Errorf("%+v", c)
	}
	lasts := func(change func(*samltest.Response), more ...string) time.Duration {
		r := h.vouch(p, role)
		change(&r)
		s := h.opened(t, h.bring(t, role, p.Encoded(r), more...))
		return s.Expires.Sub(s.Issued).Round(time.Second)
	}
	if d := lasts(func(r *samltest.Response) { r.SessionNotOnOrAfter = h.Now().Add(5 * time.Minute) }); d > 5*time.Minute {
		t.Errorf("it outlasts the provider's session: %v", d)
	}
	if d := lasts(func(r *samltest.Response) { r.Attributes = append(r.Attributes, one("SessionDuration", "1800")) }); d > 30*time.Minute {
		t.Errorf("it outlasts SessionDuration: %v", d)
	}
	if d := lasts(func(r *samltest.Response) { r.Attributes = append(r.Attributes, one("SessionDuration", "43200")) }, "DurationSeconds", "900"); d > 15*time.Minute {
		t.Errorf("it outlasts what was asked for: %v", d)
	}
	r := h.vouch(p, role, one("SessionDuration", "43200"))
	refusedWith(t, "longer than the role's sessions", h.bring(t, role, p.Encoded(r), "DurationSeconds", "3601"), "ValidationError")
}
