package kms

import (
	"context"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/iam"
	"bawn.dev/internal/seal"
	iamshape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// The same with IAM itself: a role with a path and a session of it, whose ARN tells
// no path, are deleted and made again.
func TestNamesOfIAMThatWereUsedAgain(t *testing.T) {
	people, err := iam.New(iam.Config{Key: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	var rig *apitest.Rig
	root := seal.NewKey()
	keys, err := New(Config{Region: apitest.Region, Key: root[:], Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		return rig.Door.Happened(ctx, e, change)
	}})
	if err != nil {
		t.Fatal(err)
	}
	rig = apitest.New(t, apitest.Options{
		Migrations: [][]store.Migration{iam.Migrations(), Migrations()}, Principals: people,
		Credentials: map[string]api.Credentials{"AKIA": people},
	}, people.API(), keys.API())
	var keyID string
	if err := rig.Store.Update(t.Context(), func(tx *store.Tx) (err error) {
		keyID, _, err = people.Bootstrap(tx, apitest.Account, "admin", rig.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	sn, err := rig.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, admin, err := people.Credential(t.Context(), sn, keyID, "", rig.Now())
	sn.Close()
	if err != nil {
		t.Fatal(err)
	}
	encrypts := func(roleID, session string, k *kms.KeyMetadata) bool {
		t.Helper()
		claim := api.Claim{Kind: api.KindRole, Account: apitest.Account, ID: roleID, SessionName: session, Issued: rig.Now()}
		_, err := apitest.CallAs[kms.EncryptOutput](t, rig, claim, "", "kms:Encrypt", encryptWith(k.Arn, nil))
		if err != nil && err.Code != "AccessDenied" {
			t.Fatal(err)
		}
		return err == nil
	}
	role := func() *iamshape.Role {
		t.Helper()
		out, err := apitest.CallAs[iamshape.CreateRoleOutput](t, rig, admin, "", "iam:CreateRole", &iamshape.CreateRoleInput{RoleName: "train", Path: "/service-role/",
			AssumeRolePolicyDocument: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + rootARN + `"},"Action":"sts:AssumeRole"}]}`})
		if err != nil {
			t.Fatal(err)
		}
		return out.Role
	}
	key := func(principal string) (*kms.KeyMetadata, func() string) {
		t.Helper()
		out, err := apitest.CallAs[kms.CreateKeyOutput](t, rig, admin, "", "kms:CreateKey", &kms.CreateKeyInput{
			Policy: document(allow(rootARN, `["kms:PutKeyPolicy","kms:GetKeyPolicy"]`, ""), allow(principal, `"kms:Encrypt"`, ""))})
		if err != nil {
			t.Fatal(err)
		}
		return out.KeyMetadata, func() string {
			t.Helper()
			shown, err := apitest.CallAs[kms.GetKeyPolicyOutput](t, rig, admin, "", "kms:GetKeyPolicy", &kms.GetKeyPolicyInput{KeyId: out.KeyMetadata.KeyId})
			if err != nil {
				t.Fatal(err)
			}
			return shown.Policy
		}
	}

	first := role()
	session := "arn:aws:sts::" + apitest.Account + ":assumed-role/train/job-1"
	ofRole, roleShown := key(first.Arn)
	ofSession, sessionShown := key(session)
	if !encrypts(first.RoleId, "job-1", ofRole) || !encrypts(first.RoleId, "job-2", ofRole) || !encrypts(first.RoleId, "job-1", ofSession) {
		t.Error("the policies do not allow whom they name")
	}
	if encrypts(first.RoleId, "job-2", ofSession) {
		t.Error("another session is taken for the one that is named")
	}
	if got := roleShown() + sessionShown(); !strings.Contains(got, `"`+first.Arn+`"`) || !strings.Contains(got, `"`+session+`"`) {
		t.Errorf("shown: %s", got)
	}
	if _, err := apitest.CallAs[iamshape.DeleteRoleOutput](t, rig, admin, "", "iam:DeleteRole", &iamshape.DeleteRoleInput{RoleName: "train"}); err != nil {
		t.Fatal(err)
	}
	second := role()
	if second.Arn != first.Arn || encrypts(second.RoleId, "job-1", ofRole) || encrypts(second.RoleId, "job-1", ofSession) {
		t.Error("a role made again has what the first had")
	}
	if got := roleShown() + sessionShown(); !strings.Contains(got, `"`+first.RoleId+`"`) || !strings.Contains(got, first.RoleId+":job-1") {
		t.Errorf("shown: %s", got)
	}
}
