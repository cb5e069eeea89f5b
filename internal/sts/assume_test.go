package sts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sts"
)

var listUsers = &iamshape.ListUsersInput{}

func TestDeletedRoleEndsItsSessions(t *testing.T) {
	h := newHouse(t)
	open := trust(anyone, assume, "")
	arn := h.role(t, "r", open, document(admin))
	s := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn})
	must[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers)

	must[iamshape.DeleteRolePolicyOutput](t, h, h.admin, "iam:DeleteRolePolicy", &iamshape.DeleteRolePolicyInput{RoleName: "r", PolicyName: "p"})
	refused[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers, "AccessDenied")
	must[iamshape.DeleteRoleOutput](t, h, h.admin, "iam:DeleteRole", &iamshape.DeleteRoleInput{RoleName: "r"})
	refused[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers, "Unauthenticated")

	h.role(t, "r", open, document(admin)) // the name is back, the session is not
	refused[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers, "Unauthenticated")
	must[iamshape.ListUsersOutput](t, h, h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn}), "iam:ListUsers", listUsers)
}

// Sessions from before a moment are ended as the console does it: by a Deny on
// the time of issue. Later ones work.
func TestRevokedSessions(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "r", trust(anyone, assume, ""), document(admin))
	old := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn})
	h.Advance(time.Minute)
	must[iamshape.PutRolePolicyOutput](t, h, h.admin, "iam:PutRolePolicy", &iamshape.PutRolePolicyInput{RoleName: "r", PolicyName: "AWSRevokeOlderSessions",
		PolicyDocument: document(`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"` + h.Now().UTC().Format(time.RFC3339) + `"}}}`)})
	refused[iamshape.ListUsersOutput](t, h, old, "iam:ListUsers", listUsers, "AccessDenied")
	h.Advance(time.Minute)
	must[iamshape.ListUsersOutput](t, h, h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn}), "iam:ListUsers", listUsers)
}

// A trust policy that names a user, role or session means its bearer, not the
// next one of that name.
func TestTrustIsBoundToIdentity(t *testing.T) {
	h := newHouse(t)
	userARN, ada := h.user(t, "ada", document(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))
	byUser := h.role(t, "by-user", trust(`{"AWS":"`+userARN+`"}`, assume, ""))
	first := h.role(t, "first", trust(anyone, assume, ""), document(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))
	byRole := h.role(t, "by-role", trust(`{"AWS":"`+first+`"}`, assume, ""))
	bySession := h.role(t, "by-session", trust(`{"AWS":"arn:aws:sts::`+apitest.Account+`:assumed-role/first/session"}`, assume, ""))

	h.session(t, ada, &shape.AssumeRoleInput{RoleArn: byUser})
	s := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: first})
	h.session(t, s, &shape.AssumeRoleInput{RoleArn: byRole})
	h.session(t, s, &shape.AssumeRoleInput{RoleArn: bySession})
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: byUser}, "AccessDenied")

	must[iamshape.DeleteUserPolicyOutput](t, h, h.admin, "iam:DeleteUserPolicy", &iamshape.DeleteUserPolicyInput{UserName: "ada", PolicyName: "p"})
	must[iamshape.DeleteUserOutput](t, h, h.admin, "iam:DeleteUser", &iamshape.DeleteUserInput{UserName: "ada"})
	must[iamshape.DeleteRolePolicyOutput](t, h, h.admin, "iam:DeleteRolePolicy", &iamshape.DeleteRolePolicyInput{RoleName: "first", PolicyName: "p"})
	must[iamshape.DeleteRoleOutput](t, h, h.admin, "iam:DeleteRole", &iamshape.DeleteRoleInput{RoleName: "first"})
	again, ada := h.user(t, "ada", document(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))
	if again != userARN {
		t.Fatal("the name differs")
	}
	h.role(t, "first", trust(anyone, assume, ""), document(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))
	s = h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: first})
	h.denied(t, ada, &shape.AssumeRoleInput{RoleArn: byUser}, "AccessDenied")
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: byRole}, "AccessDenied")
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: bySession}, "AccessDenied")

	// Written anew, the name means its bearer of today.
	must[iamshape.UpdateAssumeRolePolicyOutput](t, h, h.admin, "iam:UpdateAssumeRolePolicy",
		&iamshape.UpdateAssumeRolePolicyInput{RoleName: "by-user", PolicyDocument: trust(`{"AWS":"`+userARN+`"}`, assume, "")})
	h.session(t, ada, &shape.AssumeRoleInput{RoleArn: byUser})
}

func TestAcrossAccounts(t *testing.T) {
	h := newHouse(t)
	// Trusting the other account hands the choice to that account.
	arn := h.role(t, "shared", trust(`{"AWS":"`+apitest.Other+`"}`, assume, `{"StringEquals":{"sts:ExternalId":"42"}}`), document(`{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}`))
	s := h.session(t, h.other, &shape.AssumeRoleInput{RoleArn: arn, ExternalId: "42"})
	if s.Account != apitest.Account {
		t.Errorf("the session is of account %s", s.Account)
	}
	users := must[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers)
	if len(users.Users) != 1 || users.Users[0].Arn != "arn:aws:iam::"+apitest.Account+":user/admin" {
		t.Errorf("it sees %v", users.Users)
	}
	h.denied(t, h.other, &shape.AssumeRoleInput{RoleArn: arn}, "AccessDenied")
	h.denied(t, h.other, &shape.AssumeRoleInput{RoleArn: arn, ExternalId: "43"}, "AccessDenied")
	// Its own account was not named: even an administrator is refused.
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, ExternalId: "42"}, "AccessDenied")
	// Without a permission of the caller's own, trust across accounts is not enough.
	poor := must[iamshape.CreateUserOutput](t, h, h.other, "iam:CreateUser", &iamshape.CreateUserInput{UserName: "poor"}).User
	h.denied(t, api.Claim{Kind: api.KindUser, Account: apitest.Other, ID: poor.UserId}, &shape.AssumeRoleInput{RoleArn: arn, ExternalId: "42"}, "AccessDenied")
	// A role that trusts its own account only is closed to the other.
	own := h.role(t, "own", trust(`{"AWS":"arn:aws:iam::`+apitest.Account+`:root"}`, assume, ""))
	h.denied(t, h.other, &shape.AssumeRoleInput{RoleArn: own}, "AccessDenied")
}

func TestServicesAssume(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "train", trust(`{"Service":"sagemaker.amazonaws.com"}`, assume, ""))
	as := func(service string) api.Claim {
		return api.Claim{Kind: api.KindService, Account: apitest.Account, ID: service}
	}
	h.session(t, as("sagemaker.amazonaws.com"), &shape.AssumeRoleInput{RoleArn: arn})
	h.denied(t, as("ec2.amazonaws.com"), &shape.AssumeRoleInput{RoleArn: arn}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn}, "AccessDenied")

	// A role can ask for which resource and account the service acts.
	careful := h.role(t, "careful", trust(`{"Service":"sagemaker.amazonaws.com"}`, assume, `{"StringEquals":{"aws:SourceAccount":"`+apitest.Account+`"}}`))
	h.denied(t, as("sagemaker.amazonaws.com"), &shape.AssumeRoleInput{RoleArn: careful}, "AccessDenied")
	deputy := as("sagemaker.amazonaws.com")
	deputy.SourceAccount = apitest.Other
	h.denied(t, deputy, &shape.AssumeRoleInput{RoleArn: careful}, "AccessDenied")
	deputy.SourceAccount = apitest.Account
	h.session(t, deputy, &shape.AssumeRoleInput{RoleArn: careful})

	// A person in whose name the service acts goes along.
	carried := as("sagemaker.amazonaws.com")
	carried.Person = &api.Person{UserID: "ada-id", IdentityStoreARN: identityStore, SignedIn: time.Now()}
	if p := h.session(t, carried, &shape.AssumeRoleInput{RoleArn: arn}).Person; p == nil || p.UserID != "ada-id" {
		t.Errorf("the session's person is %+v", p)
	}
}

func TestTags(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "tagged", trust(anyone, `["sts:AssumeRole","sts:TagSession"]`, `{"StringEquals":{"aws:RequestTag/project":"mars"}}`),
		document(`{"Effect":"Allow","Action":"sts:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/project":"mars"}}}`))
	plain := h.role(t, "untaggable", trust(anyone, assume, ""), document(admin))
	next := h.role(t, "next", trust(anyone, `["sts:AssumeRole","sts:TagSession"]`, ""), document(admin))
	mars := []shape.Tag{{Key: "project", Value: "mars"}, {Key: "note", Value: "n"}}

	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: []shape.Tag{{Key: "project", Value: "venus"}}}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: plain, Tags: mars}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: append(mars, shape.Tag{Key: "Project", Value: "venus"})}, "InvalidParameterValue")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: mars, TransitiveTagKeys: []string{"other"}}, "InvalidParameterValue")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: []shape.Tag{{Key: "aws:x", Value: ""}}}, "ValidationError")

	s := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: mars, TransitiveTagKeys: []string{"project"}})
	if s.Tags["project"] != "mars" || s.Tags["note"] != "n" || !slices.Equal(s.TransitiveTags, []string{"project"}) {
		t.Fatalf("%+v", s)
	}
	// The transitive tag goes on, the other does not; it cannot be set anew, and
	// opens no role that may not be tagged.
	chained := h.session(t, s, &shape.AssumeRoleInput{RoleArn: next, Tags: []shape.Tag{{Key: "extra", Value: "1"}}})
	if len(chained.Tags) != 2 || chained.Tags["project"] != "mars" || chained.Tags["extra"] != "1" || !slices.Equal(chained.TransitiveTags, []string{"project"}) {
		t.Errorf("%+v", chained)
	}
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: next, Tags: []shape.Tag{{Key: "PROJECT", Value: "venus"}}}, "InvalidParameterValue")
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: plain}, "AccessDenied")
}

func TestSourceIdentity(t *testing.T) {
	h := newHouse(t)
	settable := trust(anyone, `["sts:AssumeRole","sts:SetSourceIdentity"]`, `{"StringLike":{"sts:SourceIdentity":"*@example.com"}}`)
	arn := h.role(t, "named", settable, document(admin))
	next := h.role(t, "next", trust(anyone, `["sts:AssumeRole","sts:SetSourceIdentity"]`, ""), document(admin))
	unset := h.role(t, "unset", trust(anyone, assume, ""), document(admin))

	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: unset, SourceIdentity: "ada@example.com"}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, SourceIdentity: "ada"}, "AccessDenied")
	s := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, SourceIdentity: "ada@example.com"})
	if got := h.session(t, s, &shape.AssumeRoleInput{RoleArn: next}).SourceIdentity; got != "ada@example.com" {
		t.Errorf("the chained session's source identity is %q", got)
	}
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: next, SourceIdentity: "eve@example.com"}, "AccessDenied")
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: unset}, "AccessDenied")
}

func TestPersonCannotBeShedOrSwapped(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "carrier", trust(anyone, `["sts:AssumeRole","sts:SetContext"]`, ""), document(admin))
	next := h.role(t, "next", trust(anyone, assume, ""), document(admin))
	onlyAda := h.role(t, "only-ada", trust(anyone, `["sts:AssumeRole","sts:SetContext"]`,
		`{"StringEquals":{"sts:RequestContext/identitystore:UserId":"ada-id"},"ForAllValues:ArnEquals":{"sts:RequestContextProviders":"`+provider+`"}}`))
	from := func(assertion string) []shape.ProvidedContext {
		return []shape.ProvidedContext{{ProviderArn: provider, ContextAssertion: assertion}}
	}
	s := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, ProvidedContexts: from("ada")})
	if s.Person == nil || s.Person.UserID != "ada-id" {
		t.Fatalf("%+v", s.Person)
	}
	if p := h.session(t, s, &shape.AssumeRoleInput{RoleArn: next}).Person; p == nil || p.UserID != "ada-id" {
		t.Errorf("chaining shed the person: %+v", p)
	}
	h.session(t, s, &shape.AssumeRoleInput{RoleArn: arn, ProvidedContexts: from("ada")})
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: arn, ProvidedContexts: from("eve")}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: next, ProvidedContexts: from("ada")}, "AccessDenied")
	h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: onlyAda, ProvidedContexts: from("ada")})
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: onlyAda, ProvidedContexts: from("eve")}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: onlyAda}, "AccessDenied")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, ProvidedContexts: from("forged")}, "ValidationError")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, ProvidedContexts: from("expired")}, "ExpiredTokenException")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, ProvidedContexts: append(from("ada"), from("ada")...)}, "ValidationError")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, ProvidedContexts: []shape.ProvidedContext{{ProviderArn: "arn:aws:iam::aws:contextProvider/Other", ContextAssertion: "ada"}}}, "ValidationError")

	for _, r := range h.Records(t, apitest.Account, "AssumeRole") {
		if strings.Contains(string(r.RequestParameters), `"ada"`) {
			t.Errorf("the record holds the assertion: %s", r.RequestParameters)
		}
	}

	// Removing her ends the sessions that carry her, and no others.
	plain := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn})
	h.RemovePerson("ada-id")
	refused[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers, "Unauthenticated")
	must[iamshape.ListUsersOutput](t, h, plain, "iam:ListUsers", listUsers)
}

func TestDurations(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "r", trust(anyone, assume, ""), document(admin))
	must[iamshape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &iamshape.CreateRoleInput{
		RoleName: "long", AssumeRolePolicyDocument: trust(anyone, assume, ""), MaxSessionDuration: number(7200)})
	long := "arn:aws:iam::" + apitest.Account + ":role/long"
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, DurationSeconds: number(3601)}, "ValidationError")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, DurationSeconds: number(899)}, "ValidationError")
	h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: long, DurationSeconds: number(7200)})
	s := h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn})
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: long, DurationSeconds: number(3601)}, "ValidationError")
	if c := h.session(t, s, &shape.AssumeRoleInput{RoleArn: long, DurationSeconds: number(3600)}); !c.Chained {
		t.Error("the session does not know that a session made it")
	}

	out, err := h.assume(h.admin, &shape.AssumeRoleInput{RoleArn: arn, DurationSeconds: number(900)}, t)
	if err != nil {
		t.Fatal(err)
	}
	h.Advance(901 * time.Second)
	if _, err := h.open(t, h.sts, out.Credentials.AccessKeyId, out.Credentials.SessionToken); !errors.Is(err, api.ErrExpired) {
		t.Errorf("after its end the session is %v", err)
	}
}

func TestMisspeltSessionPolicy(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "r", trust(anyone, assume, ""), document(admin))
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Policy: strings.Replace(narrow, `"Resource"`, `"Condition":{"StringEquals":{"s3:prefixx":"a"}},"Resource"`, 1)}, "MalformedPolicyDocument")
}

func TestPackedSize(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "r", trust(anyone, `["sts:AssumeRole","sts:TagSession"]`, ""), document(admin))
	var tags []shape.Tag
	for i := range 50 {
		tags = append(tags, shape.Tag{Key: fmt.Sprintf("key-%d", i), Value: strings.Repeat("v", 250)})
	}
	h.session(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: tags[:20]})
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: tags}, "PackedPolicyTooLarge")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Policy: strings.Repeat(" ", 9000) + narrow}, "PackedPolicyTooLarge")
	h.denied(t, h.admin, &shape.AssumeRoleInput{RoleArn: arn, Tags: append(tags, shape.Tag{Key: "one-more"})}, "ValidationError")
}

func number(n int32) *int32 { return &n }

func TestManagedSessionPolicies(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "r", trust(anyone, assume, ""), document(admin))
	p := must[iamshape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &iamshape.CreatePolicyInput{
		PolicyName: "users", PolicyDocument: document(`{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}`)}).Policy
	with := func(arns ...string) *shape.AssumeRoleInput {
		in := &shape.AssumeRoleInput{RoleArn: arn}
		for _, a := range arns {
			in.PolicyArns = append(in.PolicyArns, shape.PolicyDescriptorType{Arn: a})
		}
		return in
	}
	in := with(p.Arn)
	out, e := h.assume(h.admin, in, t)
	if e != nil {
		t.Fatal(e)
	}
	now := func() api.Claim {
		s, err := h.open(t, h.sts, out.Credentials.AccessKeyId, out.Credentials.SessionToken)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	must[iamshape.ListUsersOutput](t, h, now(), "iam:ListUsers", listUsers)
	refused[iamshape.ListRolesOutput](t, h, now(), "iam:ListRoles", &iamshape.ListRolesInput{}, "AccessDenied")
	// A policy that is gone allows nothing, under its own name or its successor's.
	must[iamshape.DeletePolicyOutput](t, h, h.admin, "iam:DeletePolicy", &iamshape.DeletePolicyInput{PolicyArn: p.Arn})
	refused[iamshape.ListUsersOutput](t, h, now(), "iam:ListUsers", listUsers, "AccessDenied")
	must[iamshape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &iamshape.CreatePolicyInput{PolicyName: "users", PolicyDocument: document(admin)})
	refused[iamshape.ListUsersOutput](t, h, now(), "iam:ListUsers", listUsers, "AccessDenied")

	s := h.session(t, h.admin, with("arn:aws:iam::aws:policy/ReadOnlyAccess"))
	must[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers)
	refused[iamshape.DeleteUserOutput](t, h, s, "iam:DeleteUser", &iamshape.DeleteUserInput{UserName: "admin"}, "AccessDenied")
	h.denied(t, h.admin, with("arn:aws:iam::"+apitest.Account+":policy/none"), "ValidationError")
	h.denied(t, h.admin, with("arn:aws:iam::"+apitest.Other+":policy/none"), "ValidationError")
	h.denied(t, h.admin, with(slices.Repeat([]string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}, 11)...), "ValidationError")
	// Who may not assume the role does not learn which policies its account has.
	_, poor := h.user(t, "poor")
	closed := h.role(t, "closed", trust(`{"AWS":"`+apitest.Account+`"}`, assume, ""))
	absent := with("arn:aws:iam::" + apitest.Account + ":policy/none")
	absent.RoleArn = closed
	h.denied(t, poor, absent, "AccessDenied")
}
