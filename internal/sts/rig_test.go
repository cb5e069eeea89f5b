package sts_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/iam"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/oidctest"
	"bawn.dev/internal/seal"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/store"
	"bawn.dev/internal/sts"
)

// A house has the real IAM behind sts. Assertions stand for what the identity
// centre would open.
type house struct {
	*apitest.Rig
	iam   *iam.Service
	sts   *sts.Service
	admin api.Claim
	key   *apitest.Caller // the admin's
	other api.Claim       // admin of the other account

	issuer *oidctest.Issuer // at issuerURL
}

const issuerURL = "https://token.example.org/tenant"

type assertions map[string]*api.Person

func (a assertions) Open(_ context.Context, _ *store.Snapshot, assertion string, _ time.Time) (*api.Person, error) {
	if assertion == "expired" {
		return nil, api.ErrExpired
	}
	if p := a[assertion]; p != nil {
		return p, nil
	}
	return nil, api.ErrGone
}

const (
	identityStore = "arn:aws:identitystore::" + apitest.Account + ":identitystore/d-1234567890"
	provider      = "arn:aws:iam::aws:contextProvider/IdentityCenter"
)

func newHouse(t testing.TB) *house {
	t.Helper()
	people, err := iam.New(iam.Config{Key: seal.NewKey(), Catalogue: catalogue.New()})
	if err != nil {
		t.Fatal(err)
	}
	signedIn := time.Now().Add(-time.Minute)
	h := &house{iam: people}
	if h.issuer, err = oidctest.New(); err != nil {
		t.Fatal(err)
	}
	h.issuer.URL = issuerURL
	h.sts, err = sts.New(sts.Config{
		Key: seal.NewKey(), Catalogue: catalogue.New(), Policies: people, Keys: people, MFA: people,
		Issuers: oidc.New(network{"token.example.org": http.StripPrefix("/tenant", h.issuer)}, func() time.Time { return h.Now() }),
		Contexts: assertions{
			"ada": {UserID: "ada-id", IdentityStoreARN: identityStore, SignedIn: signedIn, ApplicationARN: "arn:aws:sso::" + apitest.Account + ":application/x/y"},
			"eve": {UserID: "eve-id", IdentityStoreARN: identityStore, SignedIn: signedIn},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Rig = apitest.New(t, apitest.Options{
		Migrations:  [][]store.Migration{iam.Migrations()},
		Credentials: map[string]api.Credentials{"AKIA": people, "ASIA": h.sts},
		Principals:  people,
		Contribute:  func(sources *authz.Sources) { sources.Catalogue = catalogue.New() },
	}, people.API(), h.sts.API())
	h.key, h.admin = h.bootstrap(t, apitest.Account)
	_, h.other = h.bootstrap(t, apitest.Other)
	return h
}

func (h *house) bootstrap(t testing.TB, account string) (*apitest.Caller, api.Claim) {
	t.Helper()
	c := &apitest.Caller{}
	err := h.Store.Update(t.Context(), func(tx *store.Tx) (err error) {
		c.AccessKeyID, c.Secret, err = h.iam.Bootstrap(tx, account, "admin", h.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := h.open(t, h.iam, c.AccessKeyID, "")
	if err != nil {
		t.Fatal(err)
	}
	return c, claim
}

// open asks a source what a credential stands for.
func (h *house) open(t testing.TB, source api.Credentials, id, token string) (api.Claim, error) {
	t.Helper()
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	_, claim, err := source.Credential(t.Context(), sn, id, token, h.Now())
	claim.AccessKeyID = id
	return claim, err
}

// role makes a role of the first account.
func (h *house) role(t testing.TB, name, trust string, policies ...string) string {
	t.Helper()
	return h.roleIn(t, h.admin, name, trust, policies...)
}

func (h *house) roleIn(t testing.TB, admin api.Claim, name, trust string, policies ...string) string {
	t.Helper()
	r := must[iamshape.CreateRoleOutput](t, h, admin, "iam:CreateRole", &iamshape.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: trust}).Role
	for _, p := range policies {
		must[iamshape.PutRolePolicyOutput](t, h, admin, "iam:PutRolePolicy", &iamshape.PutRolePolicyInput{RoleName: name, PolicyName: "p", PolicyDocument: p})
	}
	return r.Arn
}

func (h *house) user(t testing.TB, name string, policies ...string) (arn string, claim api.Claim) {
	t.Helper()
	u := must[iamshape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &iamshape.CreateUserInput{UserName: name}).User
	for _, p := range policies {
		must[iamshape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", &iamshape.PutUserPolicyInput{UserName: name, PolicyName: "p", PolicyDocument: p})
	}
	return u.Arn, api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: u.UserId}
}

func (h *house) assume(who api.Claim, in *shape.AssumeRoleInput, t testing.TB) (*shape.AssumeRoleOutput, *api.Error) {
	t.Helper()
	if in.RoleSessionName == "" {
		in.RoleSessionName = "session"
	}
	return apitest.CallAs[shape.AssumeRoleOutput](t, h.Rig, who, "", "sts:AssumeRole", in)
}

// session assumes a role and opens what it got, as the door does for a request.
func (h *house) session(t testing.TB, who api.Claim, in *shape.AssumeRoleInput) api.Claim {
	t.Helper()
	out, err := h.assume(who, in, t)
	if err != nil {
		t.Fatal(err)
	}
	claim, e := h.open(t, h.sts, out.Credentials.AccessKeyId, out.Credentials.SessionToken)
	if e != nil {
		t.Fatal(e)
	}
	return claim
}

// denied fails the test unless the role cannot be assumed.
func (h *house) denied(t testing.TB, who api.Claim, in *shape.AssumeRoleInput, code string) {
	t.Helper()
	if _, err := h.assume(who, in, t); err == nil {
		t.Errorf("%+v was not refused", in)
	} else if err.Code != code {
		t.Errorf("%v, not %s", err, code)
	}
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

// document is a policy of the given statements.
func document(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

// trust lets a principal do actions, under a condition if there is one.
func trust(principal, actions, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return document(`{"Effect":"Allow","Principal":` + principal + `,"Action":` + actions + condition + `}`)
}

const (
	anyone = `"*"`
	assume = `"sts:AssumeRole"`
	admin  = `{"Effect":"Allow","Action":"*","Resource":"*"}`
)
