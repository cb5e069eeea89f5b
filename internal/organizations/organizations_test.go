package organizations_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/iam"
	"bawn.dev/internal/organizations"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/organizations"
	stsshape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/sts"
)

// A house has IAM and STS as they are behind the organization: making an account
// ends with a role in it that can be assumed.
type house struct {
	*apitest.Rig
	iam   *iam.Service
	orgs  *organizations.Service
	admin api.Claim
	key   *apitest.Caller
}

type servicePolicies struct{}

func (servicePolicies) ServicePolicy(principal string) []policy.Doc {
	if principal == "organizations.amazonaws.com" {
		return organizations.ServicePolicy()
	}
	return nil
}

func newHouse(t testing.TB) *house {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return houseOver(t, st, dir)
}

func houseOver(t testing.TB, st *store.Store, dir string) *house {
	t.Helper()
	h := &house{}
	var err error
	if h.iam, err = iam.New(iam.Config{Key: seal.NewKey()}); err != nil {
		t.Fatal(err)
	}
	if h.orgs, err = organizations.New(organizations.Config{}); err != nil {
		t.Fatal(err)
	}
	tokens, err := sts.New(sts.Config{Key: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	h.Rig = apitest.Over(t, st, dir, apitest.Options{
		Migrations:  [][]store.Migration{organizations.Migrations(), iam.Migrations()},
		Credentials: map[string]api.Credentials{"AKIA": h.iam, "ASIA": tokens},
		Principals:  h.iam,
		Contribute: func(s *authz.Sources) {
			s.Organization, s.ServicePolicies, s.Catalogue = h.orgs, servicePolicies{}, catalogue.New()
		},
	}, h.iam.API(), h.orgs.API(), tokens.API())
	h.key = &apitest.Caller{}
	err = h.Store.Update(t.Context(), func(tx *store.Tx) error {
		made, err := h.orgs.Bootstrap(tx, apitest.Account, "management", h.Now())
		if err != nil || !made {
			t.Errorf("bootstrap: %v %v", made, err)
		}
		if again, err := h.orgs.Bootstrap(tx, apitest.Other, "usurper", h.Now()); again || err != nil {
			t.Errorf("a second bootstrap: %v %v", again, err)
		}
		h.key.AccessKeyID, h.key.Secret, err = h.iam.Bootstrap(tx, apitest.Account, "admin", h.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sn := h.snapshot(t)
	defer sn.Close()
	if _, h.admin, err = h.iam.Credential(t.Context(), sn, h.key.AccessKeyID, "", h.Now()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) snapshot(t testing.TB) *store.Snapshot {
	t.Helper()
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sn
}

// run has the loop work until the test ends, or stop is called.
func (h *house) run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.orgs.Run(ctx, h.Door) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func must[Out any](t testing.TB, h *house, who api.Claim, action string, in any) *Out {
	t.Helper()
	out, err := apitest.CallAs[Out](t, h.Rig, who, "", action, in)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return out
}

func refused[Out any](t testing.TB, h *house, who api.Claim, action string, in any, code string) {
	t.Helper()
	if _, err := apitest.CallAs[Out](t, h.Rig, who, "", action, in); err == nil || err.Code != code {
		t.Errorf("%s: %v, not %s", action, err, code)
	}
}

// made waits for a request to settle.
func (h *house) made(t testing.TB, id string) *shape.CreateAccountStatus {
	t.Helper()
	for {
		s := must[shape.DescribeCreateAccountStatusOutput](t, h, h.admin, "organizations:DescribeCreateAccountStatus",
			&shape.DescribeCreateAccountStatusInput{CreateAccountRequestId: id}).CreateAccountStatus
		if s.State != shape.CreateAccountStateInProgress {
			return s
		}
		if t.Context().Err() != nil {
			t.Fatal("the account was never made")
		}
	}
}

func (h *house) request(t testing.TB, name string) *shape.CreateAccountStatus {
	t.Helper()
	return must[shape.CreateAccountOutput](t, h, h.admin, "organizations:CreateAccount",
		&shape.CreateAccountInput{AccountName: name, Email: name + "@example.com"}).CreateAccountStatus
}

// enter assumes the new account's role, as its administrators do.
func (h *house) enter(t testing.TB, account string) api.Claim {
	t.Helper()
	out := must[stsshape.AssumeRoleOutput](t, h, h.admin, "sts:AssumeRole", &stsshape.AssumeRoleInput{
		RoleArn: "arn:aws:iam::" + account + ":role/OrganizationAccountAccessRole", RoleSessionName: "admin"})
	return api.Claim{Kind: api.KindRole, Account: account, ID: strings.TrimSuffix(out.AssumedRoleUser.AssumedRoleId, ":admin"), SessionName: "admin", Issued: h.Now()}
}

func TestOrganizationWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.run(t)
		h.Python(t, h.key, flow)
		events := h.Records(t, apitest.Account, "CreateAccountResult")
		if len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
		for _, r := range events {
			if r.EventType != "AwsServiceEvent" || !strings.Contains(string(r.AdditionalEventData), "SUCCEEDED") {
				t.Errorf("%+v", r)
			}
		}
	})
}

const flow = `
org = client("organizations")
o = org.describe_organization()["Organization"]
assert o["MasterAccountId"] == "123456789012" and o["FeatureSet"] == "ALL" and o["Id"].startswith("o-"), o
refused(org.create_organization, "AlreadyInOrganizationException", FeatureSet="ALL")
assert [a["Id"] for a in org.list_accounts()["Accounts"]] == ["123456789012"]

s = org.create_account(AccountName="Research", Email="research@example.com")["CreateAccountStatus"]
assert s["State"] == "IN_PROGRESS" and s["Id"].startswith("car-"), s
while s["State"] == "IN_PROGRESS":
    s = org.describe_create_account_status(CreateAccountRequestId=s["Id"])["CreateAccountStatus"]
assert s["State"] == "SUCCEEDED" and len(s["AccountId"]) == 12, s
new = s["AccountId"]
a = org.describe_account(AccountId=new)["Account"]
assert a["Status"] == "ACTIVE" and a["State"] == "ACTIVE" and a["Name"] == "Research" and a["JoinedMethod"] == "CREATED", a
assert a["Arn"] == f"arn:aws:organizations::123456789012:account/{o['Id']}/{new}", a
twice = org.create_account(AccountName="Twin", Email="Research@example.com")["CreateAccountStatus"]
assert twice["State"] == "FAILED" and twice["FailureReason"] == "EMAIL_ALREADY_EXISTS", twice
refused(org.describe_account, "AccountNotFoundException", AccountId="000000000000")
refused(org.describe_create_account_status, "CreateAccountStatusNotFoundException", CreateAccountRequestId="car-00000000")
refused(org.list_accounts, "InvalidInputException", NextToken="!")
pages = list(org.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 1}))
assert sorted(a["Id"] for p in pages for a in p["Accounts"]) == sorted(["123456789012", new]) and len(pages) == 2, pages

# The management account enters the new one; from there nothing of the others is seen.
c = client("sts").assume_role(RoleArn=f"arn:aws:iam::{new}:role/OrganizationAccountAccessRole", RoleSessionName="admin")["Credentials"]
inside = lambda service: client(service, aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"], aws_session_token=c["SessionToken"])
assert inside("sts").get_caller_identity()["Account"] == new
assert inside("iam").list_users()["Users"] == []
assert inside("organizations").describe_organization()["Organization"]["Id"] == o["Id"]
refused(inside("organizations").list_accounts, "AccessDeniedException")
refused(inside("organizations").create_account, "AccessDeniedException", AccountName="Sub", Email="sub@example.com")
refused(inside("organizations").describe_account, "AccessDeniedException", AccountId="123456789012")
refused(inside("organizations").describe_account, "AccessDeniedException", AccountId="000000000000")
refused(inside("organizations").describe_create_account_status, "AccessDeniedException", CreateAccountRequestId=s["Id"])
refused(inside("organizations").create_organization, "AlreadyInOrganizationException", FeatureSet="ALL")
`

// Whatever step the process was killed after, the next start finishes the account.
func TestInterruptedAccountsAreFinished(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, h *house, account string){
		"nothing done": func(*testing.T, *house, string) {},
		"role made": func(t *testing.T, h *house, account string) {
			role(t, h, account)
		},
		"policy attached": func(t *testing.T, h *house, account string) {
			role(t, h, account)
			must[iamshape.AttachRolePolicyOutput](t, h, service(account), "iam:AttachRolePolicy", &iamshape.AttachRolePolicyInput{
				RoleName: "OrganizationAccountAccessRole", PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			s := h.request(t, "research") // and nothing runs
			before(t, h, newest(t, h))
			h.run(t)
			done := h.made(t, s.Id)
			if done.State != shape.CreateAccountStateSucceeded {
				t.Fatalf("%+v", done)
			}
			must[iamshape.ListRolesOutput](t, h, h.enter(t, done.AccountId), "iam:ListRoles", &iamshape.ListRolesInput{})
		})
	}
}

func service(account string) api.Claim {
	return api.Claim{Kind: api.KindService, Account: account, ID: "organizations.amazonaws.com"}
}

func role(t *testing.T, h *house, account string) {
	t.Helper()
	must[iamshape.CreateRoleOutput](t, h, service(account), "iam:CreateRole", &iamshape.CreateRoleInput{
		RoleName:                 "OrganizationAccountAccessRole",
		AssumeRolePolicyDocument: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + apitest.Account + `:root"},"Action":"sts:AssumeRole"}]}`})
}

// newest is the account that is not the management account.
func newest(t *testing.T, h *house) string {
	t.Helper()
	for _, a := range must[shape.ListAccountsOutput](t, h, h.admin, "organizations:ListAccounts", &shape.ListAccountsInput{}).Accounts {
		if a.Id != apitest.Account {
			return a.Id
		}
	}
	t.Fatal("there is no other account")
	return ""
}

// Two copies of the server work on the same request: one account, one role, one event.
func TestTwoCopies(t *testing.T) {
	h := newHouse(t)
	s := h.request(t, "research")
	h.run(t)
	h.run(t)
	if done := h.made(t, s.Id); done.State != shape.CreateAccountStateSucceeded {
		t.Fatalf("%+v", done)
	}
	if n := len(h.Records(t, apitest.Account, "CreateAccountResult")); n != 1 {
		t.Errorf("%d events", n)
	}
}

// The service may do what makes an account enterable, and nothing else.
func TestServiceIsConfined(t *testing.T) {
	h := newHouse(t)
	if len(organizations.ServicePolicy()) != 1 {
		t.Fatal("the service has no policy")
	}
	s := h.request(t, "research")
	h.run(t)
	account := h.made(t, s.Id).AccountId
	refused[iamshape.AttachRolePolicyOutput](t, h, service(account), "iam:AttachRolePolicy", &iamshape.AttachRolePolicyInput{
		RoleName: "OrganizationAccountAccessRole", PolicyArn: "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "AccessDenied")
	refused[iamshape.CreateUserOutput](t, h, service(account), "iam:CreateUser", &iamshape.CreateUserInput{UserName: "x"}, "AccessDenied")
	refused[iamshape.PutRolePolicyOutput](t, h, service(account), "iam:PutRolePolicy", &iamshape.PutRolePolicyInput{
		RoleName: "OrganizationAccountAccessRole", PolicyName: "p", PolicyDocument: `{}`}, "AccessDenied")
	refused[iamshape.CreateUserOutput](t, h, api.Claim{Kind: api.KindService, Account: account, ID: "organizations.example.com"},
		"iam:CreateUser", &iamshape.CreateUserInput{UserName: "x"}, "AccessDenied")
}

func TestUnknownAccount(t *testing.T) {
	h := newHouse(t)
	sn := h.snapshot(t)
	defer sn.Close()
	if _, err := h.orgs.Account(t.Context(), sn, apitest.Other); !errors.Is(err, api.ErrGone) {
		t.Errorf("%v", err)
	}
	a, err := h.orgs.Account(t.Context(), sn, apitest.Account)
	if err != nil || !a.Active || !a.Management || !strings.HasPrefix(a.OrgPath, a.OrgID+"/r-") || !strings.HasSuffix(a.OrgPath, "/") {
		t.Errorf("%+v %v", a, err)
	}
	refused[iamshape.ListUsersOutput](t, h, api.Claim{Kind: api.KindService, Account: apitest.Other, ID: "organizations.amazonaws.com", Issued: time.Now()},
		"iam:ListUsers", &iamshape.ListUsersInput{}, "Unauthenticated")
}

func BenchmarkAccount(b *testing.B) {
	h := newHouse(b)
	b.ReportAllocs()
	for b.Loop() {
		sn := h.snapshot(b)
		if _, err := h.orgs.Account(b.Context(), sn, apitest.Account); err != nil {
			b.Fatal(err)
		}
		sn.Close()
	}
}
