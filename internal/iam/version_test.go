package iam

import (
	"context"
	"sync"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// Whoever has a policy, by whatever way, has its default version from the next call
// on, and no other.
func TestDefaultsHoldAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		arn := h.policy(t, "p", allow(`"Action":"iam:ListRoles","Resource":"*"`))
		attached, member, bounded := h.user(t, "attached", ""), h.user(t, "member", ""), h.user(t, "bounded", apitest.Admin)
		must[shape.AttachUserPolicyOutput](t, h, h.admin, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "attached", PolicyArn: arn})
		must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"})
		must[shape.AttachGroupPolicyOutput](t, h, h.admin, "iam:AttachGroupPolicy", &shape.AttachGroupPolicyInput{GroupName: "g", PolicyArn: arn})
		must[shape.AddUserToGroupOutput](t, h, h.admin, "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: "g", UserName: "member"})
		must[shape.PutUserPermissionsBoundaryOutput](t, h, h.admin, "iam:PutUserPermissionsBoundary", &shape.PutUserPermissionsBoundaryInput{UserName: "bounded", PermissionsBoundary: arn})
		expect := func(roles, users bool) {
			t.Helper()
			for _, c := range []*apitest.Caller{attached, member, bounded} {
				for action, want := range map[string]bool{"iam:ListRoles": roles, "iam:ListUsers": users} {
					_, err := api.InvokeAny(t.Context(), h.begin(t, c), action, map[string]any{"iam:ListRoles": &shape.ListRolesInput{}, "iam:ListUsers": &shape.ListUsersInput{}}[action])
					if (err == nil) != want {
						t.Errorf("%s: %v, want %v", action, err, want)
					}
				}
			}
		}
		setDefault := func(id string) {
			t.Helper()
			must[shape.SetDefaultPolicyVersionOutput](t, h, h.admin, "iam:SetDefaultPolicyVersion", &shape.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: id})
		}
		create := func(document string, standard bool) {
			t.Helper()
			must[shape.CreatePolicyVersionOutput](t, h, h.admin, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: document, SetAsDefault: &standard})
		}
		expect(true, false)
		create(allow(`"Action":"iam:ListUsers","Resource":"*"`), false)
		expect(true, false)
		setDefault("v2")
		expect(false, true)
		setDefault("v1")
		expect(true, false)
		create(allow(`"Action":["iam:ListUsers","iam:ListRoles"],"Resource":"*"`), true)
		expect(true, true)
		setDefault("v2")
		must[shape.DeletePolicyVersionOutput](t, h, h.admin, "iam:DeletePolicyVersion", &shape.DeletePolicyVersionInput{PolicyArn: arn, VersionId: "v3"})
		expect(false, true)
		create(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`, true)
		expect(false, false)
	})
}

// begin starts a call from inside.
func (h *house) begin(t testing.TB, c *apitest.Caller) *api.Call {
	t.Helper()
	call, err := h.Door.Begin(context.Background(), h.claim(t, c), "")
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// doc is what a managed policy says now, as entities and sessions are told.
func (h *house) doc(t testing.TB, id string) *policy.Policy {
	t.Helper()
	sn, err := h.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	d, err := h.iam.Policy(sn, id)
	if err != nil {
		t.Fatal(err)
	}
	return d.Policy
}

// Sessions name policies by id and follow the default version. A document is parsed
// once per version, whoever asks.
func TestParsedOncePerVersion(t *testing.T) {
	h := newHouse(t)
	arn := h.policy(t, "p", apitest.Admin)
	id := must[shape.GetPolicyOutput](t, h, h.admin, "iam:GetPolicy", &shape.GetPolicyInput{PolicyArn: arn}).Policy.PolicyId
	var claims []api.Claim
	for _, name := range []string{"a", "b"} {
		claims = append(claims, h.claim(t, h.user(t, name, "")))
		must[shape.AttachUserPolicyOutput](t, h, h.admin, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: name, PolicyArn: arn})
	}
	principal := func(c api.Claim) *api.Entity {
		t.Helper()
		sn, err := h.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		e, err := h.iam.Principal(t.Context(), sn, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := principal(claims[0])
	if first != principal(claims[0]) || first.Policies[0].Policy != h.doc(t, id) || first.Policies[0].Policy != principal(claims[1]).Policies[0].Policy {
		t.Error("the same version was parsed again")
	}
	must[shape.CreatePolicyVersionOutput](t, h, h.admin, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{
		PolicyArn: arn, PolicyDocument: allow(`"Action":"s3:*","Resource":"*"`), SetAsDefault: new(true)})
	now := h.doc(t, id)
	if now == first.Policies[0].Policy || principal(claims[0]).Policies[0].Policy != now || principal(claims[1]).Policies[0].Policy != now {
		t.Error("the new version is not everybody's")
	}
}

// Of versions made at once no more stay than may, each with a number of its own;
// and a policy that somebody has just got cannot be gone.
func TestVersionsAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		arn := h.policy(t, "p", apitest.Admin)
		n := atOnce[shape.CreatePolicyVersionOutput](t, h, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: apitest.Admin, SetAsDefault: new(true)})
		all := must[shape.ListPolicyVersionsOutput](t, h, h.admin, "iam:ListPolicyVersions", &shape.ListPolicyVersionsInput{PolicyArn: arn}).Versions
		standards := 0
		for _, v := range all {
			if *v.IsDefaultVersion {
				standards++
			}
		}
		if n == 0 || len(all) != n+1 || len(all) > maxVersions || standards != 1 {
			t.Errorf("%d made, %d there, %d defaults", n, len(all), standards)
		}
		for range 5 {
			h.raceForPolicy(t)
		}
	})
}

// raceForPolicy deletes a policy while a user and a role get it.
func (h *house) raceForPolicy(t *testing.T) {
	arn := h.policy(t, "contended", apitest.Admin)
	u := must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: "racer"}).User
	var group sync.WaitGroup
	for action, in := range map[string]any{
		"iam:DeletePolicy":               &shape.DeletePolicyInput{PolicyArn: arn},
		"iam:AttachUserPolicy":           &shape.AttachUserPolicyInput{UserName: "racer", PolicyArn: arn},
		"iam:PutUserPermissionsBoundary": &shape.PutUserPermissionsBoundaryInput{UserName: "racer", PermissionsBoundary: arn},
		"iam:CreateRole":                 &shape.CreateRoleInput{RoleName: "racer", AssumeRolePolicyDocument: trustAccount, PermissionsBoundary: arn},
	} {
		c := h.begin(t, h.admin)
		group.Go(func() { _, _ = api.InvokeAny(t.Context(), c, action, in) })
	}
	group.Wait()
	// Whoever has it can be asked; nobody holds what is gone.
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if _, err := h.iam.Principal(t.Context(), sn, u.UserId); err != nil {
		t.Error(err)
	}
	h.sweep(t, arn)
}

// sweep takes away what raceForPolicy left.
func (h *house) sweep(t *testing.T, arn string) {
	for action, in := range map[string]any{
		"iam:DetachUserPolicy": &shape.DetachUserPolicyInput{UserName: "racer", PolicyArn: arn}, "iam:DeleteRole": &shape.DeleteRoleInput{RoleName: "racer"},
		"iam:DeleteUserPermissionsBoundary": &shape.DeleteUserPermissionsBoundaryInput{UserName: "racer"},
	} {
		_, _ = api.InvokeAny(t.Context(), h.begin(t, h.admin), action, in)
	}
	must[shape.DeleteUserOutput](t, h, h.admin, "iam:DeleteUser", &shape.DeleteUserInput{UserName: "racer"})
	_, _ = api.InvokeAny(t.Context(), h.begin(t, h.admin), "iam:DeletePolicy", &shape.DeletePolicyInput{PolicyArn: arn})
	refused[shape.GetPolicyOutput](t, h, h.admin, "iam:GetPolicy", &shape.GetPolicyInput{PolicyArn: arn}, "NoSuchEntity")
}

// The tags of a policy decide who changes it; those that a request brings do not.
func TestTagsOfPoliciesDecide(t *testing.T) {
	h := newHouse(t)
	team := []shape.Tag{{Key: "team", Value: "red"}}
	red := must[shape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: "red", PolicyDocument: apitest.Admin, Tags: team}).Policy.Arn
	blue := h.policy(t, "blue", apitest.Admin)
	c := h.user(t, "red", allow(`"Action":["iam:CreatePolicyVersion","iam:TagPolicy","iam:UntagPolicy"],"Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}`))
	must[shape.CreatePolicyVersionOutput](t, h, c, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: red, PolicyDocument: apitest.Admin})
	refused[shape.CreatePolicyVersionOutput](t, h, c, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: blue, PolicyDocument: apitest.Admin}, "AccessDenied")
	refused[shape.TagPolicyOutput](t, h, c, "iam:TagPolicy", &shape.TagPolicyInput{PolicyArn: blue, Tags: team}, "AccessDenied")
	must[shape.UntagPolicyOutput](t, h, c, "iam:UntagPolicy", &shape.UntagPolicyInput{PolicyArn: red, TagKeys: []string{"team"}})
	refused[shape.CreatePolicyVersionOutput](t, h, c, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: red, PolicyDocument: apitest.Admin}, "AccessDenied")

	only := h.user(t, "only", allow(`"Action":["iam:TagPolicy","iam:UntagPolicy"],"Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["cost"]}}`))
	must[shape.TagPolicyOutput](t, h, only, "iam:TagPolicy", &shape.TagPolicyInput{PolicyArn: blue, Tags: []shape.Tag{{Key: "cost", Value: "1"}}})
	refused[shape.TagPolicyOutput](t, h, only, "iam:TagPolicy", &shape.TagPolicyInput{PolicyArn: blue, Tags: team}, "AccessDenied")
	refused[shape.UntagPolicyOutput](t, h, only, "iam:UntagPolicy", &shape.UntagPolicyInput{PolicyArn: blue, TagKeys: []string{"team"}}, "AccessDenied")
}

// What stood in a database before policies had versions is their first, attached to
// whom it was.
func TestOldPoliciesHaveAVersion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		st := open(t)
		if err := st.Migrate(t.Context(), Migrations()[:1]); err != nil {
			t.Fatal(err)
		}
		const id, arn = "ANPAAAAAAAAAAAAAAAAAA", "arn:aws:iam::" + apitest.Account + ":policy/old"
		err := st.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec(`INSERT INTO iam_entities (id, kind, account, path, name, folded, description, trust, max_session, created, not_before)
				VALUES ('AIDAAAAAAAAAAAAAAAAAA', 'User', ?, '/', 'ada', 'ada', '', '', 0, 1000000, 0)`, apitest.Account); err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO iam_policies (id, account, path, name, folded, description, document, created)
				VALUES (?, ?, '/', 'old', 'old', '', ?, 1000000)`, id, apitest.Account, allow(`"Action":"iam:ListRoles","Resource":"*"`)); err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO iam_attachments (owner, policy, arn, account) VALUES ('AIDAAAAAAAAAAAAAAAAAA', ?, ?, ?)`, id, arn, apitest.Account)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		h := houseOver(t, st, t.TempDir())
		k := must[shape.CreateAccessKeyOutput](t, h, h.admin, "iam:CreateAccessKey", &shape.CreateAccessKeyInput{UserName: "ada"}).AccessKey
		ada := &apitest.Caller{AccessKeyID: k.AccessKeyId, Secret: k.SecretAccessKey}
		must[shape.ListRolesOutput](t, h, ada, "iam:ListRoles", &shape.ListRolesInput{})
		p := must[shape.GetPolicyOutput](t, h, h.admin, "iam:GetPolicy", &shape.GetPolicyInput{PolicyArn: arn}).Policy
		if p.DefaultVersionId != "v1" || !p.UpdateDate.Equal(p.CreateDate) {
			t.Errorf("%+v", p)
		}
		made := must[shape.CreatePolicyVersionOutput](t, h, h.admin, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{
			PolicyArn: arn, PolicyDocument: allow(`"Action":"iam:ListUsers","Resource":"*"`), SetAsDefault: new(true)})
		if made.PolicyVersion.VersionId != "v2" {
			t.Errorf("%+v", made.PolicyVersion)
		}
		refused[shape.ListRolesOutput](t, h, ada, "iam:ListRoles", &shape.ListRolesInput{}, "AccessDenied")
	})
}
