package identity

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/iam"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	iamshape "bawn.dev/internal/shape/iam"
	directory "bawn.dev/internal/shape/identitystore"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A ward is an identity centre and IAM behind a door, in which nothing happens by
// itself: tests do what Run does, as often and as far as they like.
type ward struct {
	*Service
	rig             *apitest.Rig
	iam             *iam.Service
	admin           map[string]api.Claim // by account
	instance, store string
	set             string
}

// rigAccounts are those of a rig.
type rigAccounts struct{}

func (rigAccounts) Named(_ *store.Snapshot, id string) (name, email string, err error) {
	if id != apitest.Account && id != apitest.Other {
		return "", "", api.ErrGone
	}
	return "account " + id, id + "@example.org", nil
}

type ownPolicies struct{}

func (ownPolicies) ServicePolicy(principal string) []policy.Doc {
	if principal == Principal {
		return ServicePolicy()
	}
	return nil
}

func openWard(t *testing.T, st *store.Store) *ward {
	t.Helper()
	w := &ward{admin: map[string]api.Claim{}}
	var err error
	if w.iam, err = iam.New(iam.Config{Key: seal.NewKey(), Catalogue: catalogue.New(), Region: apitest.Region}); err != nil {
		t.Fatal(err)
	}
	if w.Service, err = New(Config{Account: apitest.Account, Accounts: rigAccounts{}, Catalogue: catalogue.New()}); err != nil {
		t.Fatal(err)
	}
	w.rig = apitest.Over(t, st, t.TempDir(), apitest.Options{
		Migrations: [][]store.Migration{iam.Migrations(), Migrations()}, Principals: w.iam,
		Contribute: func(s *authz.Sources) {
			s.Catalogue, s.Directory, s.Assignments, s.ServicePolicies = catalogue.New(), w.Service, w.Service, ownPolicies{}
		},
	}, append(w.APIs(), w.iam.API())...)
	keys := map[string]string{}
	err = st.Update(t.Context(), func(tx *store.Tx) (err error) {
		for _, account := range []string{apitest.Account, apitest.Other} {
			if keys[account], _, err = w.iam.Bootstrap(tx, account, "admin", w.rig.Now()); err != nil {
				return err
			}
		}
		return w.Bootstrap(tx, w.rig.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	sn := w.snapshot(t)
	for account, key := range keys {
		if _, w.admin[account], err = w.iam.Credential(t.Context(), sn, key, "", w.rig.Now()); err != nil {
			t.Fatal(err)
		}
	}
	centre := ask[shape.ListInstancesOutput](t, w, "sso:ListInstances", &shape.ListInstancesInput{}).Instances[0]
	w.instance, w.store = centre.InstanceArn, centre.IdentityStoreId
	w.set = ask[shape.CreatePermissionSetOutput](t, w, "sso:CreatePermissionSet", &shape.CreatePermissionSetInput{InstanceArn: w.instance, Name: "Doctor"}).PermissionSet.PermissionSetArn
	return w
}

func wards(t *testing.T, test func(t *testing.T, open func() *ward)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		test(t, func() *ward { return openWard(t, open(t)) })
	})
}

func (w *ward) snapshot(t *testing.T) *store.Snapshot {
	t.Helper()
	sn, err := w.rig.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sn.Close() })
	return sn
}

// ask calls as the administrator of the management account, within as that of any.
func ask[Out any](t *testing.T, w *ward, action string, in any) *Out {
	t.Helper()
	return within[Out](t, w, apitest.Account, action, in)
}

func within[Out any](t *testing.T, w *ward, account, action string, in any) *Out {
	t.Helper()
	out, err := apitest.CallAs[Out](t, w.rig, w.admin[account], "", action, in)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return out
}

func (w *ward) person(t *testing.T, name string) string {
	t.Helper()
	return ask[directory.CreateUserOutput](t, w, "identitystore:CreateUser", &directory.CreateUserInput{
		IdentityStoreId: w.store, UserName: name, DisplayName: name, Name: &directory.Name{GivenName: name, FamilyName: "E"}}).UserId
}

// assign asks for an assignment and answers the request.
func (w *ward) assign(t *testing.T, userID string) string {
	t.Helper()
	return ask[shape.CreateAccountAssignmentOutput](t, w, "sso:CreateAccountAssignment", &shape.CreateAccountAssignmentInput{
		InstanceArn: w.instance, PermissionSetArn: w.set, PrincipalId: userID, PrincipalType: shape.PrincipalTypeUser,
		TargetId: apitest.Other, TargetType: shape.TargetTypeAwsAccount}).AccountAssignmentCreationStatus.RequestId
}

func (w *ward) unassign(t *testing.T, userID string) string {
	t.Helper()
	return ask[shape.DeleteAccountAssignmentOutput](t, w, "sso:DeleteAccountAssignment", &shape.DeleteAccountAssignmentInput{
		InstanceArn: w.instance, PermissionSetArn: w.set, PrincipalId: userID, PrincipalType: shape.PrincipalTypeUser,
		TargetId: apitest.Other, TargetType: shape.TargetTypeAwsAccount}).AccountAssignmentDeletionStatus.RequestId
}

// outcome is the state of a request, and why.
func (w *ward) outcome(t *testing.T, action, id string) (shape.StatusValues, string) {
	t.Helper()
	r, err := w.requestOf(w.snapshot(t), action, id)
	if err != nil {
		t.Fatal(err)
	}
	return r.state, r.reason
}

// roles are the names of the identity centre's in the other account.
func (w *ward) roles(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, r := range within[iamshape.ListRolesOutput](t, w, apitest.Other, "iam:ListRoles", &iamshape.ListRolesInput{PathPrefix: "/aws-reserved/"}).Roles {
		names = append(names, r.RoleName)
	}
	return names
}

func (w *ward) work(ctx context.Context) error { return w.settle(ctx, w.rig.Door) }

// text is a policy that is told from others by a name.
func text(name string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"` + name + `","Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
}

// dress gives the permission set one customer-managed policy, an inline policy and a
// boundary ("" for none), and the other account what these mean.
func (w *ward) dress(t *testing.T, attached, inline, fence string) {
	t.Helper()
	for _, name := range []string{attached, fence} {
		if name == "" {
			continue
		}
		_, err := apitest.CallAs[iamshape.CreatePolicyOutput](t, w.rig, w.admin[apitest.Other], "", "iam:CreatePolicy", &iamshape.CreatePolicyInput{PolicyName: name, PolicyDocument: text(name)})
		if err != nil && err.Code != "EntityAlreadyExists" {
			t.Fatal(err)
		}
	}
	err := w.rig.Store.Update(t.Context(), func(tx *store.Tx) error {
		return w.changeSet(tx, w.set, true, func(p *permissionSet) error {
			p.Customer, p.Inline, p.Boundary = []reference{{attached, "/"}}, text(inline), nil
			if fence != "" {
				p.Boundary = &boundary{Customer: &reference{fence, "/"}}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// worn is what the role in the other account has, by names.
func (w *ward) worn(t *testing.T) (attached []string, inline, fence string) {
	t.Helper()
	names := w.roles(t)
	if len(names) != 1 {
		t.Fatalf("%v", names)
	}
	for _, p := range within[iamshape.ListAttachedRolePoliciesOutput](t, w, apitest.Other, "iam:ListAttachedRolePolicies", &iamshape.ListAttachedRolePoliciesInput{RoleName: names[0]}).AttachedPolicies {
		attached = append(attached, p.PolicyName)
	}
	role := within[iamshape.GetRoleOutput](t, w, apitest.Other, "iam:GetRole", &iamshape.GetRoleInput{RoleName: names[0]}).Role
	if b := role.PermissionsBoundary; b != nil {
		fence = b.PermissionsBoundaryArn[strings.LastIndexByte(b.PermissionsBoundaryArn, '/')+1:]
	}
	got, err := apitest.CallAs[iamshape.GetRolePolicyOutput](t, w.rig, w.admin[apitest.Other], "", "iam:GetRolePolicy", &iamshape.GetRolePolicyInput{RoleName: names[0], PolicyName: inlineName})
	if err != nil {
		return attached, "", fence
	}
	plain, e := url.QueryUnescape(got.PolicyDocument)
	if e != nil {
		t.Fatal(e)
	}
	for _, name := range []string{"X", "Y"} {
		if plain == text(name) {
			inline = name
		}
	}
	return attached, inline, fence
}

func (w *ward) wears(t *testing.T, attached, inline, fence string) {
	t.Helper()
	a, i, f := w.worn(t)
	if !slices.Equal(a, []string{attached}) || i != inline || f != fence {
		t.Errorf("the role has %v, %q within %q", a, i, f)
	}
}

// remove takes a person out of the directory and leaves what deleteUser would take
// with her.
func (w *ward) remove(userID string) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM identity_users WHERE id = ?`, userID)
		return errors.Join(err, tx.Touch(userKey(userID)))
	}
}
