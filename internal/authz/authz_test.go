package authz_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

const (
	member = "111122223333"
	other  = "444455556666"
)

var now = time.Date(2026, time.November, 26, 9, 0, 0, 0, time.UTC)

// house is everything that an Authorizer asks, in memory.
type house struct {
	entities map[string]*authz.Entity
	accounts map[string]*authz.Account
	gone     map[string]bool // people
	endpoint []policy.Doc
}

func (h *house) Principal(_ context.Context, _ *store.Snapshot, id string) (*authz.Entity, error) {
	if e := h.entities[id]; e != nil {
		return e, nil
	}
	return nil, authz.ErrGone
}

func (h *house) Account(_ context.Context, _ *store.Snapshot, id string) (*authz.Account, error) {
	if a := h.accounts[id]; a != nil {
		return a, nil
	}
	return nil, authz.ErrGone
}

func (h *house) Present(_ context.Context, _ *store.Snapshot, p *authz.Person) error {
	if h.gone[p.UserID] {
		return authz.ErrGone
	}
	return nil
}

func (h *house) EndpointPolicy(context.Context, *store.Snapshot, string) ([]policy.Doc, error) {
	return h.endpoint, nil
}

func (h *house) ServicePolicy(string) []policy.Doc { return nil }

func doc(t *testing.T, kind policy.Kind, statements string) policy.Doc {
	t.Helper()
	p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`), kind)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Doc{Name: statements, Policy: p}
}

const everything = `{"Effect":"Allow","Action":"*","Resource":"*"}`

// build makes a house with ada, a user who may do everything, and a role that
// everybody may assume, and the Authorizer over it.
func build(t *testing.T) (*house, *authz.Authorizer) {
	t.Helper()
	trust := doc(t, policy.Trust, `{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com","Federated":"arn:aws:iam::`+member+`:oidc-provider/issuer.example"},
		"Action":["sts:AssumeRole","sts:AssumeRoleWithWebIdentity"]}`)
	h := &house{
		entities: map[string]*authz.Entity{
			"AIDAADA": {Kind: authz.User, ID: "AIDAADA", ARN: "arn:aws:iam::" + member + ":user/ada", Name: "ada", Account: member,
				Policies: []policy.Doc{doc(t, policy.Identity, everything)}},
			"AROATRAIN": {Kind: authz.Role, ID: "AROATRAIN", ARN: "arn:aws:iam::" + member + ":role/train", Name: "train", Account: member,
				Policies: []policy.Doc{doc(t, policy.Identity, everything)}, Trust: &trust},
		},
		accounts: map[string]*authz.Account{
			member: {ID: member, Active: true, OrgID: "o-1", OrgPath: "o-1/r-1/ou-1/"},
			other:  {ID: other, Active: true, OrgID: "o-1", OrgPath: "o-1/r-1/"},
		},
		gone: map[string]bool{},
	}
	a, err := authz.New(authz.Sources{Principals: h, Organization: h, Directory: h, Endpoints: h, ServicePolicies: h})
	if err != nil {
		t.Fatal(err)
	}
	return h, a
}

// ask decides an action of a claim on a resource of the member account.
func ask(t *testing.T, a *authz.Authorizer, claim authz.Claim, q authz.Question) policy.Decision {
	t.Helper()
	s, err := a.Subject(t.Context(), nil, claim)
	if err != nil {
		t.Fatal(err)
	}
	if q.Target.ARN == "" {
		q.Target.ARN = "*"
	}
	q.Subject, q.Now, q.Region = s, now, "us-east-1"
	d, err := a.Decide(t.Context(), nil, &q)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func session(kind authz.Kind, id string) authz.Claim {
	return authz.Claim{Kind: kind, Account: member, ID: id, SessionName: "s", Issued: now.Add(-time.Minute), Expires: now.Add(time.Hour)}
}

// TestSessionsOfUsers: what GetSessionToken and GetFederationToken make may never
// do certain things, whatever the user may.
func TestSessionsOfUsers(t *testing.T) {
	_, a := build(t)
	key := authz.Claim{Kind: authz.User, Account: member, ID: "AIDAADA", Issued: now.Add(-time.Hour)}
	plain, coded, federated := session(authz.User, "AIDAADA"), session(authz.User, "AIDAADA"), session(authz.Federated, "AIDAADA")
	coded.MFA = coded.Issued
	federated.HasSession, federated.SessionPolicies = true, []policy.Doc{doc(t, policy.SessionPolicy, everything)}
	for _, c := range []struct {
		name   string
		claim  authz.Claim
		action string
		want   bool
	}{
		{"a key calls iam", key, "iam:ListUsers", true},
		{"a session without a code does not", plain, "iam:ListUsers", false},
		{"nor passes as iam by case", plain, "IAM:ListUsers", false},
		{"one with a code does", coded, "iam:ListUsers", true},
		{"a federated user does not", federated, "iam:ListUsers", false},
		{"a session asks for a role", plain, "sts:AssumeRole", true},
		{"but not for another session", coded, "sts:GetSessionToken", false},
		{"a federated user asks for no role", federated, "sts:AssumeRole", false},
		{"and uses what it has", federated, "s3:GetObject", true},
	} {
		if d := ask(t, a, c.claim, authz.Question{Action: c.action}); d.Allowed != c.want {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	// Who only signed in may nothing, though a policy says everybody.
	public := doc(t, policy.Resource, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`)
	centre := authz.Claim{Kind: authz.Centre, Account: member, Issued: now, Person: &authz.Person{UserID: "u"}}
	if d := ask(t, a, centre, authz.Question{Action: "s3:GetObject", Target: authz.Target{ARN: "arn:aws:s3:::b/k", Account: member, Policy: &public}}); d.Allowed {
		t.Errorf("a person without a role: %s", d)
	}
	// PassRole is no call of iam but a demand of another service's.
	if d := ask(t, a, plain, authz.Question{Action: "iam:PassRole", Aside: true}); !d.Allowed {
		t.Errorf("passing a role: %s", d)
	}
}

// TestKeysOfSessions: the keys that a policy sees of each kind of claim.
func TestKeysOfSessions(t *testing.T) {
	_, a := build(t)
	coded := session(authz.User, "AIDAADA")
	coded.MFA = now.Add(-90 * time.Second)
	web := session(authz.Role, "AROATRAIN")
	web.Provider = "arn:aws:iam::" + member + ":oidc-provider/issuer.example"
	web.Vouched = policy.Context{}
	web.Vouched.Set("issuer.example:sub", "ada")
	web.Vouched.Set("aws:PrincipalOrgID", "o-forged")
	web.Vouched.Set("aws:username", "root")
	for _, c := range []struct {
		name, condition string
		claim           authz.Claim
		q               authz.Question
		want            bool
	}{
		{"a code's age", `"NumericLessThan":{"aws:MultiFactorAuthAge":"91"}`, coded, authz.Question{}, true},
		{"a code that is too old", `"NumericLessThan":{"aws:MultiFactorAuthAge":"90"}`, coded, authz.Question{}, false},
		{"no code, no age", `"NumericLessThan":{"aws:MultiFactorAuthAge":"9999"}`, session(authz.User, "AIDAADA"), authz.Question{}, false},
		{"no code", `"Bool":{"aws:MultiFactorAuthPresent":"false"}`, session(authz.User, "AIDAADA"), authz.Question{}, true},
		{"a code with the call", `"Bool":{"aws:MultiFactorAuthPresent":"true"}`, session(authz.User, "AIDAADA"), authz.Question{MFA: true}, true},
		{"a request cannot claim a code", `"Bool":{"aws:MultiFactorAuthPresent":"true"}`, session(authz.Role, "AROATRAIN"),
			authz.Question{Keys: policy.Context{"aws:multifactorauthpresent": {"true"}}}, false},
		{"who vouched", `"StringEquals":{"aws:FederatedProvider":"` + web.Provider + `"}`, web, authz.Question{}, true},
		{"what was vouched for", `"StringEquals":{"issuer.example:sub":"ada"}`, web, authz.Question{}, true},
		{"a provider does not say the organization", `"StringEquals":{"aws:PrincipalOrgID":"o-forged"}`, web, authz.Question{}, false},
		{"nor a key that a role lacks", `"StringEquals":{"aws:username":"root"}`, web, authz.Question{}, false},
		{"a federated user's type", `"StringEquals":{"aws:PrincipalType":"FederatedUser"}`, session(authz.Federated, "AIDAADA"), authz.Question{}, true},
	} {
		bucket := doc(t, policy.Resource, `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{`+c.condition+`}}`)
		c.q.Action = "s3:GetObject"
		c.q.Target = authz.Target{ARN: "arn:aws:s3:::b/k", Account: member, Policy: &bucket, RootOfTrust: true}
		if d := ask(t, a, c.claim, c.q); d.Allowed != c.want {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// TestControls: what the organization says limits members, their services' trust
// and bearers of tokens; not the management account.
func TestControls(t *testing.T) {
	h, a := build(t)
	denyAssume := [][]policy.Doc{{doc(t, policy.RCP, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`),
		doc(t, policy.RCP, `{"Effect":"Deny","Principal":"*","Action":["sts:*","s3:*"],"Resource":"*"}`)}}
	role := h.entities["AROATRAIN"]
	bearer := authz.Claim{Kind: authz.WebIdentity, Account: member, ID: "ada", Provider: "arn:aws:iam::" + member + ":oidc-provider/issuer.example", Issued: now}
	assume := authz.Question{Action: "sts:AssumeRoleWithWebIdentity", Target: authz.Target{ARN: role.ARN, Account: member, Policy: role.Trust, RootOfTrust: true}}
	trusts := func() bool {
		t.Helper()
		ok, err := a.Trusts(t.Context(), nil, role, "sagemaker.amazonaws.com", "arn:aws:sagemaker:us-east-1:"+member+":training-job/j", now)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !trusts() || !ask(t, a, bearer, assume).Allowed {
		t.Fatal("the role trusts neither its service nor its provider")
	}
	stranger := bearer
	stranger.Provider = "arn:aws:iam::" + member + ":oidc-provider/other.example"
	if ask(t, a, stranger, assume).Allowed {
		t.Error("another provider's bearer was let in")
	}

	h.accounts[member].RCPs = denyAssume
	if trusts() {
		t.Error("a service passed by a resource control policy")
	}
	if d := ask(t, a, bearer, assume); d.Allowed || d.Gate != policy.GateRCP {
		t.Errorf("a bearer under a resource control policy: %s", d)
	}
	if d := ask(t, a, session(authz.Role, "AROATRAIN"), authz.Question{Action: "ec2:DescribeVpcs"}); !d.Allowed {
		t.Errorf("resource control policies do not speak of ec2: %s", d)
	}
	own := assume
	own.Target.AWSManaged = true
	if d := ask(t, a, bearer, own); !d.Allowed {
		t.Errorf("what AWS manages: %s", d)
	}
	h.accounts[member].Management = true
	if !trusts() {
		t.Error("a resource control policy bound the management account")
	}
	h.accounts[member].Management, h.accounts[member].RCPs = false, nil

	h.accounts[member].SCPs = [][]policy.Doc{{doc(t, policy.SCP, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)}}
	if d := ask(t, a, session(authz.Role, "AROATRAIN"), authz.Question{Action: "ec2:DescribeVpcs"}); d.Allowed || d.Gate != policy.GateSCP {
		t.Errorf("outside the service control policy: %s", d)
	}
	if !trusts() {
		t.Error("a service control policy bound a service")
	}
	role.ServiceLinked = true
	if d := ask(t, a, session(authz.Role, "AROATRAIN"), authz.Question{Action: "ec2:DescribeVpcs"}); !d.Allowed {
		t.Errorf("a service-linked role: %s", d)
	}
}

// TestSignedOut: sessions end with their principal, their account, their person
// and when either was signed out; keys that a user keeps outlive a sign-out.
func TestSignedOut(t *testing.T) {
	person := &authz.Person{UserID: "u"}
	for name, end := range map[string]func(*house){
		"the role is deleted":          func(h *house) { delete(h.entities, "AROATRAIN") },
		"the role was made anew":       func(h *house) { h.entities["AROATRAIN"].NotBefore = now },
		"the account was closed":       func(h *house) { h.accounts[member].Active = false },
		"the account was signed out":   func(h *house) { h.accounts[member].NotBefore = now },
		"the person left":              func(h *house) { h.gone["u"] = true },
		"the id is now another kind's": func(h *house) { h.entities["AROATRAIN"].Kind = authz.User },
		"the id is another account's":  func(h *house) { h.entities["AROATRAIN"].Account = other },
	} {
		h, a := build(t)
		claim := session(authz.Role, "AROATRAIN")
		claim.Person = person
		if _, err := a.Subject(t.Context(), nil, claim); err != nil {
			t.Fatal(err)
		}
		end(h)
		if _, err := a.Subject(t.Context(), nil, claim); err != authz.ErrGone {
			t.Errorf("%s: %v", name, err)
		}
	}
	h, a := build(t)
	h.entities["AIDAADA"].NotBefore = now
	if _, err := a.Subject(t.Context(), nil, session(authz.User, "AIDAADA")); err != authz.ErrGone {
		t.Errorf("a user's session from before: %v", err)
	}
	if _, err := a.Subject(t.Context(), nil, authz.Claim{Kind: authz.User, Account: member, ID: "AIDAADA", Issued: now.Add(-time.Hour)}); err != nil {
		t.Errorf("a user's key: %v", err)
	}
}

// TestHeadersAreBounded: what a request says of itself is matched against patterns
// only as far as anybody needs.
func TestHeadersAreBounded(t *testing.T) {
	_, a := build(t)
	public := doc(t, policy.Resource, `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringLike":{"aws:UserAgent":"*y"}}}`)
	q := authz.Question{Action: "s3:GetObject", UserAgent: strings.Repeat("x", 2047) + "y" + strings.Repeat("x", 60<<10),
		Target: authz.Target{ARN: "arn:aws:s3:::b/k", Account: member, Policy: &public, RootOfTrust: true}}
	if d := ask(t, a, session(authz.Role, "AROATRAIN"), q); !d.Allowed {
		t.Errorf("the beginning of a header: %s", d)
	}
}
