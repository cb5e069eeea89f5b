package organizations_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/organizations"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

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
