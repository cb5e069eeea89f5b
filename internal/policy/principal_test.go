package policy

import (
	"strings"
	"testing"
)

// TestNotPrincipal: a Deny with NotPrincipal spares only a caller all of whose
// levels are named, and none with a boundary, as AWS warns.
func TestNotPrincipal(t *testing.T) {
	names := func(n ...string) string {
		return `{"Effect":"Deny","NotPrincipal":` + aws(n...) + `,"Action":"*","Resource":"*"}`
	}
	yes := docs(doc(t, Identity, allow("*", "*")))
	sagemaker := `{"Effect":"Deny","NotPrincipal":{"Service":"sagemaker.amazonaws.com"},"Action":"*","Resource":"*"}`
	for _, c := range []struct {
		name      string
		statement string
		who       Principal
		bounded   bool
		spared    bool
	}{
		{"user and account", names(alice, rootOf), aUser, false, true},
		{"user and account id", names(alice, home), aUser, false, true},
		{"user by unique id", names("AIDAEXAMPLEEXAMPLE01", home), aUser, false, true},
		{"user without account", names(alice), aUser, false, false},
		{"account alone", names(home), aUser, false, false},
		{"another user", names("arn:aws:iam::"+home+":user/bob", home), aUser, false, false},
		{"user with a boundary", names(alice, home), aUser, true, false},
		{"root", names(home), aRoot, false, true},
		{"session, role and account", names(session, roleARN, home), aSession, false, true},
		{"role and account", names(roleARN, home), aSession, false, false},
		{"session and account", names(session, home), aSession, false, false},
		{"anonymous", names(alice, home), Principal{}, false, false},
		{"service", sagemaker, aService, false, true},
		{"user beside a service", sagemaker, aUser, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &Input{
				Action: get, Resource: object, Principal: c.who, ResourceAccount: home, Identity: yes,
				ResourcePolicy: ptr(doc(t, Resource, allowTo(everyone, "*"), c.statement)),
			}
			if c.bounded {
				in.Boundary = &yes[0]
			}
			if got := Decide(in).Allowed; got != c.spared {
				t.Errorf("got %s", verdict(t, in))
			}
		})
	}
}

// TestPrincipals covers the forms of Principal that the decision table lacks.
func TestPrincipals(t *testing.T) {
	id := strings.Repeat("0f", 32)
	canonical := aUser
	canonical.Canonical = id
	saml := aSession
	saml.Federated = aBearer.Federated
	renamed := aSession
	renamed.ID = "AROASOMEOTHERROLE001:job-1"
	for _, c := range []struct {
		name, statement string
		who             Principal
		want            string
	}{
		{"role by unique id", allowTo(aws("AROAEXAMPLEEXAMPLE01"), get), aSession, "allowed by resource-based policy"},
		{"a role made again under the name", allowTo(aws("AROAEXAMPLEEXAMPLE01"), get), renamed, "not allowed by identity-based policy"},
		{"user by unique id", allowTo(aws("AIDAEXAMPLEEXAMPLE01"), get), aUser, "allowed by resource-based policy"},
		{"a session's provider", allowTo(`{"Federated":"`+aBearer.Federated+`"}`, get), saml, "allowed by resource-based policy"},
		{"AWS everyone", allowTo(aws("*"), get), Principal{}, "allowed by resource-based policy"},
		{"a user of the same path elsewhere", allowTo(aws("arn:aws:iam::444455556666:user/alice"), get), aUser, "not allowed by identity-based policy"},
		{"canonical user delegates", allowTo(`{"CanonicalUser":"`+id+`"}`, get), canonical, "not allowed by identity-based policy"},
		{"canonical user denied", denyTo(`{"CanonicalUser":"`+id+`"}`, get), canonical, "denied by resource-based policy"},
		{"canonical user denied, caller's not known", denyTo(`{"CanonicalUser":"`+id+`"}`, get), aUser, "denied by resource-based policy"},
		{"bearer denied with everyone", denyTo(everyone, get), aBearer, "denied by resource-based policy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &Input{
				Action: get, Resource: object, Principal: c.who, ResourceAccount: home,
				ResourcePolicy: ptr(doc(t, Resource, c.statement)),
			}
			if got := verdict(t, in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPublic(t *testing.T) {
	when := func(c string) string {
		return `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{` + c + `}}`
	}
	for _, c := range []struct {
		statement string
		want      bool
	}{
		{allowTo(everyone, get), true},
		{allowTo(aws("*"), get), true},
		{allowTo(aws(home, "*"), get), true},
		{allowTo(aws(home), get), false},
		{allowTo(`{"Service":"s3.amazonaws.com"}`, get), false},
		{denyTo(everyone, get), false},
		{when(`"StringEquals":{"aws:SourceVpce":"vpce-1"}`), false},
		{when(`"StringEquals":{"aws:PrincipalOrgID":"o-1"}`), false},
		{when(`"StringLike":{"aws:SourceVpc":"vpc-*"}`), true},
		{when(`"StringEqualsIfExists":{"aws:SourceVpce":"vpce-1"}`), true},
		{when(`"ForAllValues:StringEquals":{"aws:SourceVpce":"vpce-1"}`), true},
		{when(`"StringNotEquals":{"aws:SourceVpce":"vpce-1"}`), true},
		{when(`"StringEquals":{"aws:PrincipalAccount":"${aws:ResourceAccount}"}`), true},
		{when(`"StringEquals":{"aws:UserAgent":"curl"}`), true},
		{when(`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`), false},
		{when(`"IpAddress":{"aws:SourceIp":["0.0.0.0/1","128.0.0.0/1"]}`), true},
		{when(`"IpAddress":{"aws:SourceIp":"2001::/16"}`), true},
		{when(`"Bool":{"aws:SecureTransport":"true"}`), true},
		{when(`"Null":{"aws:SourceVpce":"true"}`), true},
		{when(`"ArnLike":{"aws:PrincipalArn":"` + roleARN + `"}`), false},
	} {
		if got := mustParse(t, Resource, statements(denyTo(everyone, "s3:Put*"), c.statement)).Public(); got != c.want {
			t.Errorf("%s is public: %v", c.statement, got)
		}
	}
}
