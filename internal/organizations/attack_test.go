package organizations_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/organizations"
	stsshape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

const (
	scp = shape.PolicyTypeServiceControlPolicy
	rcp = shape.PolicyTypeResourceControlPolicy

	denyUsers  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:ListUsers","Resource":"*"}]}`
	allowRoles = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}]}`
)

// may says whether the caller lists users; if not, the refusal must be of words.
func may(t testing.TB, h *house, who api.Claim, words string) bool {
	t.Helper()
	_, err := apitest.CallAs[iamshape.ListUsersOutput](t, h.Rig, who, "", "iam:ListUsers", &iamshape.ListUsersInput{})
	if err != nil && (err.Code != "AccessDenied" || words == "" || !strings.HasSuffix(err.Message, words)) {
		t.Errorf("refused with %v, not %q", err, words)
	}
	return err == nil
}

// administrator is a user of the account who may do everything there, as the
// account sees it.
func (h *house) administrator(t testing.TB, account string) api.Claim {
	t.Helper()
	inside := h.enter(t, account)
	u := must[iamshape.CreateUserOutput](t, h, inside, "iam:CreateUser", &iamshape.CreateUserInput{UserName: "admin"}).User
	must[iamshape.AttachUserPolicyOutput](t, h, inside, "iam:AttachUserPolicy", &iamshape.AttachUserPolicyInput{
		UserName: "admin", PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess"})
	return api.Claim{Kind: api.KindUser, Account: account, ID: u.UserId, Issued: h.Now()}
}

// What a member account's administrators may do ends where the organization says,
// with the very next call, whoever they are and wherever the policy is attached.
func TestServiceControl(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.run(t)
		account := h.account(t, "research")
		root := h.root(t)
		ou := h.unit(t, root, "ou")
		h.enable(t, scp)
		inside, admin := h.enter(t, account), h.administrator(t, account)
		deny := h.policy(t, scp, "no users", denyUsers)
		const explicit = "with an explicit deny in a service control policy"

		for _, target := range []string{root, account} {
			h.attach(t, deny, target)
			if may(t, h, inside, explicit) || may(t, h, admin, explicit) {
				t.Error("an administrator passes a policy on " + target)
			}
			if !may(t, h, h.admin, "") {
				t.Error("the management account is limited by a policy on " + target)
			}
			h.detach(t, deny, target)
			if !may(t, h, inside, "") || !may(t, h, admin, "") {
				t.Error("still refused after " + target)
			}
		}

		// A move changes decisions at once, in both directions.
		h.attach(t, deny, ou)
		if !may(t, h, admin, "") {
			t.Error("a unit limits an account elsewhere")
		}
		h.move(t, account, root, ou)
		if may(t, h, inside, explicit) || may(t, h, admin, explicit) {
			t.Error("the unit does not limit what moved into it")
		}
		h.move(t, account, ou, root)
		if !may(t, h, admin, "") {
			t.Error("the unit still limits")
		}

		// A new content is a new limit.
		h.move(t, account, root, ou)
		must[shape.UpdatePolicyOutput](t, h, h.admin, "organizations:UpdatePolicy", &shape.UpdatePolicyInput{PolicyId: deny, Content: strings.Replace(denyUsers, "ListUsers", "ListGroups", 1)})
		if !may(t, h, admin, "") {
			t.Error("the old content is in force")
		}

		// Nor does the management account's own membership in a unit limit it.
		h.move(t, apitest.Account, root, ou)
		must[shape.UpdatePolicyOutput](t, h, h.admin, "organizations:UpdatePolicy", &shape.UpdatePolicyInput{PolicyId: deny, Content: denyUsers})
		if !may(t, h, h.admin, "") || may(t, h, admin, explicit) {
			t.Error("the management account is limited, or the other is not")
		}
		sn := h.snapshot(t)
		defer sn.Close()
		if a, err := h.orgs.Account(t.Context(), sn, apitest.Account); err != nil || a.SCPs != nil || a.OrgPath != a.OrgID+"/"+root+"/"+ou+"/" {
			t.Errorf("%+v %v", a, err)
		}
		sn.Close()

		// Out of force, the policies say nothing.
		must[shape.DisablePolicyTypeOutput](t, h, h.admin, "organizations:DisablePolicyType", &shape.DisablePolicyTypeInput{RootId: root, PolicyType: scp})
		if !may(t, h, admin, "") {
			t.Error("a type that is disabled is in force")
		}
	})
}

// An action must be allowed at every level: one that lacks it denies.
func TestEveryLevelMustAllow(t *testing.T) {
	h := newHouse(t)
	h.run(t)
	account := h.account(t, "research")
	chain := []string{h.root(t)}
	for range 5 {
		chain = append(chain, h.unit(t, chain[len(chain)-1], "deeper"))
	}
	h.move(t, account, chain[0], chain[5])
	h.enable(t, scp)
	chain = append(chain, account)
	admin := h.administrator(t, account)
	roles := h.policy(t, scp, "only roles", allowRoles)
	for _, level := range chain {
		h.attach(t, roles, level)
		if !may(t, h, admin, "") {
			t.Errorf("refused although %s allows everything", level)
		}
		h.detach(t, "p-FullAWSAccess", level)
		if may(t, h, admin, "because no service control policy allows the iam:ListUsers action") {
			t.Errorf("allowed although %s does not", level)
		}
		must[iamshape.ListRolesOutput](t, h, admin, "iam:ListRoles", &iamshape.ListRolesInput{})
		h.attach(t, "p-FullAWSAccess", level)
		h.detach(t, roles, level)
	}
	if !may(t, h, admin, "") {
		t.Error("refused in the end")
	}
}

// A new account is made although a policy denies everything at the root: Bawn's own
// service is no principal of the account. The role that it makes is limited.
func TestAccountsAreMadeUnderControl(t *testing.T) {
	h := newHouse(t)
	h.run(t)
	h.enable(t, scp)
	h.attach(t, h.policy(t, scp, "nothing", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`), h.root(t))
	account := h.account(t, "research")
	if may(t, h, h.enter(t, account), "with an explicit deny in a service control policy") {
		t.Error("the new account is free")
	}
}

// A resource control policy stops who comes from outside the account although the
// role lets them in, and says so.
func TestResourceControl(t *testing.T) {
	h := newHouse(t)
	h.run(t)
	account, root := h.account(t, "research"), h.root(t)
	h.enable(t, rcp)
	h.enter(t, account)
	assume := func() *api.Error {
		_, err := apitest.CallAs[stsshape.AssumeRoleOutput](t, h.Rig, h.admin, "", "sts:AssumeRole", &stsshape.AssumeRoleInput{
			RoleArn: "arn:aws:iam::" + account + ":role/OrganizationAccountAccessRole", RoleSessionName: "admin"})
		return err
	}
	outside := h.policy(t, rcp, "own people only", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Resource":"*",
		"Condition":{"StringNotEqualsIfExists":{"aws:PrincipalAccount":"`+account+`"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}}}]}`)
	for _, target := range []string{root, account} {
		h.attach(t, outside, target)
		if err := assume(); err == nil || !strings.HasSuffix(err.Message, "with an explicit deny in a resource control policy") {
			t.Errorf("%s: %v", target, err)
		}
		h.detach(t, outside, target)
		if err := assume(); err != nil {
			t.Errorf("after %s: %v", target, err)
		}
	}

	// The management account's own roles are out of its reach.
	must[iamshape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &iamshape.CreateRoleInput{RoleName: "own",
		AssumeRolePolicyDocument: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}]}`})
	inside := h.enter(t, account)
	h.attach(t, h.policy(t, rcp, "nobody", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:*","Resource":"*"}]}`), root)
	must[stsshape.AssumeRoleOutput](t, h, inside, "sts:AssumeRole", &stsshape.AssumeRoleInput{
		RoleArn: "arn:aws:iam::" + apitest.Account + ":role/own", RoleSessionName: "s"})
}

// A closed account's sessions and keys are dead with the next call, and its role
// cannot be assumed.
func TestClosedAccount(t *testing.T) {
	h := newHouse(t)
	h.run(t)
	account := h.account(t, "research")
	inside, admin := h.enter(t, account), h.administrator(t, account)
	if !may(t, h, inside, "") || !may(t, h, admin, "") {
		t.Fatal("they could do nothing before")
	}
	must[shape.CloseAccountOutput](t, h, h.admin, "organizations:CloseAccount", &shape.CloseAccountInput{AccountId: account})
	for _, who := range []api.Claim{inside, admin, service(account)} {
		refused[iamshape.ListUsersOutput](t, h, who, "iam:ListUsers", &iamshape.ListUsersInput{}, "Unauthenticated")
	}
	refused[stsshape.AssumeRoleOutput](t, h, h.admin, "sts:AssumeRole", &stsshape.AssumeRoleInput{
		RoleArn: "arn:aws:iam::" + account + ":role/OrganizationAccountAccessRole", RoleSessionName: "admin"}, "AccessDenied")
}

// Accounts close ten in thirty days, and not while they are being made.
func TestClosingQuota(t *testing.T) {
	h := newHouse(t)
	pending := h.request(t, "pending")
	refused[shape.CloseAccountOutput](t, h, h.admin, "organizations:CloseAccount", &shape.CloseAccountInput{AccountId: newest(t, h)}, "ConflictException")
	h.run(t)
	h.made(t, pending.Id)
	var accounts []string
	for i := range 11 {
		accounts = append(accounts, h.account(t, "closing-"+string(rune('a'+i))))
	}
	for _, a := range accounts[:10] {
		must[shape.CloseAccountOutput](t, h, h.admin, "organizations:CloseAccount", &shape.CloseAccountInput{AccountId: a})
	}
	refused[shape.CloseAccountOutput](t, h, h.admin, "organizations:CloseAccount", &shape.CloseAccountInput{AccountId: accounts[10]}, "ConstraintViolationException")
	h.Advance(31 * 24 * 60 * 60 * 1e9)
	must[shape.CloseAccountOutput](t, h, h.admin, "organizations:CloseAccount", &shape.CloseAccountInput{AccountId: accounts[10]})
}

// Of detachments at the same time, the last policy survives.
func TestLastPolicyStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		ou := h.unit(t, h.root(t), "ou")
		h.enable(t, scp)
		policies := []string{"p-FullAWSAccess", h.policy(t, scp, "a", allowRoles), h.policy(t, scp, "b", denyUsers)}
		list := func() []shape.PolicySummary {
			return must[shape.ListPoliciesForTargetOutput](t, h, h.admin, "organizations:ListPoliciesForTarget", &shape.ListPoliciesForTargetInput{TargetId: ou, Filter: scp}).Policies
		}
		h.attach(t, policies[1], ou)
		h.attach(t, policies[2], ou)
		for range 10 {
			var all sync.WaitGroup
			for _, p := range policies {
				all.Go(func() {
					_, err := apitest.CallAs[shape.DetachPolicyOutput](t, h.Rig, h.admin, "", "organizations:DetachPolicy", &shape.DetachPolicyInput{PolicyId: p, TargetId: ou})
					if err != nil && err.Code != "ConstraintViolationException" && err.Code != "ServiceUnavailable" {
						t.Error(err)
					}
				})
			}
			all.Wait()
			left := list()
			if len(left) == 0 {
				t.Fatal("no policy is left")
			}
			for _, p := range policies {
				if !slices.ContainsFunc(left, func(one shape.PolicySummary) bool { return one.Id == p }) {
					h.attach(t, p, ou)
				}
			}
		}
	})
}

// From a member account nothing of the organization is seen or changed, whatever
// its own policies allow, and it is refused alike for what is there and what is not.
func TestMembersDoNotManage(t *testing.T) {
	h := newHouse(t)
	h.run(t)
	account, root := h.account(t, "research"), h.root(t)
	ou := h.unit(t, root, "ou")
	h.enable(t, scp)
	admin := h.administrator(t, account)
	must[shape.DescribeOrganizationOutput](t, h, admin, "organizations:DescribeOrganization", &shape.DescribeOrganizationInput{})

	tags := []shape.Tag{{Key: "a", Value: "b"}}
	asked := map[string]bool{"organizations:DescribeOrganization": true, "organizations:CreateOrganization": true}
	ids := [][3]string{{ou, "p-FullAWSAccess", account}, {"ou-0000-00000000", "p-0000000000", "000000000000"}}
	for _, one := range ids {
		ou, p, other := one[0], one[1], one[2]
		for action, in := range map[string]any{
			"ListAWSServiceAccessForOrganization": &shape.ListAWSServiceAccessForOrganizationInput{},
			"ListDelegatedAdministrators":         &shape.ListDelegatedAdministratorsInput{},
			"ListRoots":                           &shape.ListRootsInput{},
			"EnablePolicyType":                    &shape.EnablePolicyTypeInput{RootId: root, PolicyType: rcp},
			"DisablePolicyType":                   &shape.DisablePolicyTypeInput{RootId: root, PolicyType: scp},
			"CreateOrganizationalUnit":            &shape.CreateOrganizationalUnitInput{ParentId: ou, Name: "x", Tags: tags},
			"DescribeOrganizationalUnit":          &shape.DescribeOrganizationalUnitInput{OrganizationalUnitId: ou},
			"UpdateOrganizationalUnit":            &shape.UpdateOrganizationalUnitInput{OrganizationalUnitId: ou, Name: "y"},
			"DeleteOrganizationalUnit":            &shape.DeleteOrganizationalUnitInput{OrganizationalUnitId: ou},
			"ListOrganizationalUnitsForParent":    &shape.ListOrganizationalUnitsForParentInput{ParentId: ou},
			"ListChildren":                        &shape.ListChildrenInput{ParentId: ou, ChildType: shape.ChildTypeAccount},
			"ListParents":                         &shape.ListParentsInput{ChildId: other},
			"ListAccounts":                        &shape.ListAccountsInput{},
			"ListAccountsForParent":               &shape.ListAccountsForParentInput{ParentId: ou},
			"DescribeAccount":                     &shape.DescribeAccountInput{AccountId: other},
			"MoveAccount":                         &shape.MoveAccountInput{AccountId: other, SourceParentId: root, DestinationParentId: ou},
			"CloseAccount":                        &shape.CloseAccountInput{AccountId: other},
			"CreateAccount":                       &shape.CreateAccountInput{AccountName: "x", Email: "x@example.com", Tags: tags},
			"DescribeCreateAccountStatus":         &shape.DescribeCreateAccountStatusInput{CreateAccountRequestId: "car-00000000"},
			"ListCreateAccountStatus":             &shape.ListCreateAccountStatusInput{},
			"CreatePolicy":                        &shape.CreatePolicyInput{Type: scp, Name: "x", Content: denyUsers, Tags: tags},
			"DescribePolicy":                      &shape.DescribePolicyInput{PolicyId: p},
			"UpdatePolicy":                        &shape.UpdatePolicyInput{PolicyId: p, Name: "x"},
			"DeletePolicy":                        &shape.DeletePolicyInput{PolicyId: p},
			"ListPolicies":                        &shape.ListPoliciesInput{Filter: scp},
			"AttachPolicy":                        &shape.AttachPolicyInput{PolicyId: p, TargetId: ou},
			"DetachPolicy":                        &shape.DetachPolicyInput{PolicyId: p, TargetId: ou},
			"ListPoliciesForTarget":               &shape.ListPoliciesForTargetInput{TargetId: ou, Filter: scp},
			"ListTargetsForPolicy":                &shape.ListTargetsForPolicyInput{PolicyId: p},
			"TagResource":                         &shape.TagResourceInput{ResourceId: other, Tags: tags},
			"UntagResource":                       &shape.UntagResourceInput{ResourceId: other, TagKeys: []string{"a"}},
			"ListTagsForResource":                 &shape.ListTagsForResourceInput{ResourceId: ou},
		} {
			call, err := h.Door.Begin(t.Context(), admin, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = api.InvokeAny(t.Context(), call, "organizations:"+action, in)
			var e *api.Error
			if !errors.As(err, &e) || e.Code != "AccessDeniedException" || e.Message != "You don't have permissions to access this resource." {
				t.Errorf("%s: %v", action, err)
			}
			asked["organizations:"+action] = true
		}
	}
	for _, e := range h.Door.Entries() {
		if strings.HasPrefix(e.Name, "organizations:") && !asked[e.Name] {
			t.Errorf("%s was not tried", e.Name)
		}
	}
	if u := must[shape.DescribeOrganizationalUnitOutput](t, h, h.admin, "organizations:DescribeOrganizationalUnit",
		&shape.DescribeOrganizationalUnitInput{OrganizationalUnitId: ou}).OrganizationalUnit; u.Name != "ou" {
		t.Errorf("%+v", u)
	}
}
