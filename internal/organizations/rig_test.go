package organizations_test

import (
	"context"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/iam"
	"bawn.dev/internal/organizations"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/organizations"
	stsshape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/store"
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
	known := catalogue.New()
	var err error
	if h.iam, err = iam.New(iam.Config{Key: seal.NewKey()}); err != nil {
		t.Fatal(err)
	}
	if h.orgs, err = organizations.New(organizations.Config{Catalogue: known}); err != nil {
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
			s.Organization, s.ServicePolicies, s.Catalogue = h.orgs, servicePolicies{}, known
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

// account is a new member account, ready.
func (h *house) account(t testing.TB, name string) string {
	t.Helper()
	s := h.made(t, h.request(t, name).Id)
	if s.State != shape.CreateAccountStateSucceeded {
		t.Fatalf("%+v", s)
	}
	return s.AccountId
}

func (h *house) root(t testing.TB) string {
	t.Helper()
	return must[shape.ListRootsOutput](t, h, h.admin, "organizations:ListRoots", &shape.ListRootsInput{}).Roots[0].Id
}

func (h *house) unit(t testing.TB, parent, name string) string {
	t.Helper()
	return must[shape.CreateOrganizationalUnitOutput](t, h, h.admin, "organizations:CreateOrganizationalUnit",
		&shape.CreateOrganizationalUnitInput{ParentId: parent, Name: name}).OrganizationalUnit.Id
}

func (h *house) move(t testing.TB, account, from, to string) {
	t.Helper()
	must[shape.MoveAccountOutput](t, h, h.admin, "organizations:MoveAccount",
		&shape.MoveAccountInput{AccountId: account, SourceParentId: from, DestinationParentId: to})
}

func (h *house) enable(t testing.TB, kind shape.PolicyType) {
	t.Helper()
	must[shape.EnablePolicyTypeOutput](t, h, h.admin, "organizations:EnablePolicyType",
		&shape.EnablePolicyTypeInput{RootId: h.root(t), PolicyType: kind})
}

func (h *house) policy(t testing.TB, kind shape.PolicyType, name, content string) string {
	t.Helper()
	return must[shape.CreatePolicyOutput](t, h, h.admin, "organizations:CreatePolicy",
		&shape.CreatePolicyInput{Type: kind, Name: name, Description: name, Content: content}).Policy.PolicySummary.Id
}

func (h *house) attach(t testing.TB, policy, target string) {
	t.Helper()
	must[shape.AttachPolicyOutput](t, h, h.admin, "organizations:AttachPolicy", &shape.AttachPolicyInput{PolicyId: policy, TargetId: target})
}

func (h *house) detach(t testing.TB, policy, target string) {
	t.Helper()
	must[shape.DetachPolicyOutput](t, h, h.admin, "organizations:DetachPolicy", &shape.DetachPolicyInput{PolicyId: policy, TargetId: target})
}
