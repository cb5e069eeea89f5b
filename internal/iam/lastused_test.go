package iam

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestLastUsedWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		out := h.Python(t, h.admin, lastUsed)
		if err := h.iam.notes.write(t.Context(), h.Store); err != nil {
			t.Fatal(err)
		}
		// What was written stays, and the server that has not seen the call tells it too.
		key := strings.TrimSpace(out)
		got := must[shape.GetAccessKeyLastUsedOutput](t, houseAgain(t, h), h.admin, "iam:GetAccessKeyLastUsed", &shape.GetAccessKeyLastUsedInput{AccessKeyId: key})
		if u := got.AccessKeyLastUsed; got.UserName != "ada" || u.ServiceName != "iam" || u.Region != apitest.Region || h.Now().Sub(u.LastUsedDate) > time.Hour {
			t.Errorf("%+v of %s", u, got.UserName)
		}
	})
}

// houseAgain is another server over the same database.
func houseAgain(t *testing.T, h *house) *house {
	t.Helper()
	s, err := New(h.iam.cfg)
	if err != nil {
		t.Fatal(err)
	}
	rig := apitest.Over(t, h.Store, h.Dir, apitest.Options{
		Credentials: map[string]api.Credentials{"AKIA": s}, Principals: s, Used: s.Used,
	}, s.API())
	return &house{Rig: rig, iam: s, admin: h.admin}
}

const lastUsed = `
import datetime
iam = client("iam")
iam.create_user(UserName="ada")
k = iam.create_access_key(UserName="ada")["AccessKey"]
got = iam.get_access_key_last_used(AccessKeyId=k["AccessKeyId"])
assert got["UserName"] == "ada" and got["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}, got
hers = client("iam", aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
wrong = client("iam", aws_access_key_id=k["AccessKeyId"], aws_secret_access_key="x" * 40)

# A signature that is none is no use; a call that is refused is one.
refused(wrong.get_user, "SignatureDoesNotMatch")
assert "LastUsedDate" not in iam.get_access_key_last_used(AccessKeyId=k["AccessKeyId"])["AccessKeyLastUsed"]
refused(hers.get_user, "AccessDenied")
used = iam.get_access_key_last_used(AccessKeyId=k["AccessKeyId"])["AccessKeyLastUsed"]
age = datetime.datetime.now(datetime.timezone.utc) - used["LastUsedDate"]
assert datetime.timedelta(0) <= age < datetime.timedelta(hours=1) and used["ServiceName"] == "iam" and used["Region"] == "us-east-1", used

# Whose key it is hears nobody who may not; a key that is nobody's is one that nobody may ask for.
no = str(refused(hers.get_access_key_last_used, "AccessDenied", AccessKeyId=k["AccessKeyId"]))
assert "user/ada is not authorized" in no and "access key " + k["AccessKeyId"] in no, no
none = str(refused(hers.get_access_key_last_used, "AccessDenied", AccessKeyId="AKIAIOSFODNN7EXAMPLE"))
assert none.replace("AKIAIOSFODNN7EXAMPLE", k["AccessKeyId"]) == no, none
refused(iam.get_access_key_last_used, "AccessDenied", AccessKeyId="AKIAIOSFODNN7EXAMPLE")
refused(iam.get_access_key_last_used, "ValidationError", AccessKeyId="not a key id at all")
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
assert iam.get_role(RoleName="r")["Role"]["RoleLastUsed"] == {}
assert "RoleLastUsed" not in iam.list_roles()["Roles"][0]
print(k["AccessKeyId"])
`

// Whose key of another account it is, is told to nobody.
func TestLastUsedOfAnotherAccount(t *testing.T) {
	h := newHouse(t)
	other := h.bootstrap(t, apitest.Other, "admin")
	refused[shape.GetAccessKeyLastUsedOutput](t, h, other, "iam:GetAccessKeyLastUsed", &shape.GetAccessKeyLastUsedInput{AccessKeyId: h.admin.AccessKeyID}, "AccessDenied")
}

func TestRoleLastUsed(t *testing.T) {
	h := newHouse(t)
	role := must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "r", AssumeRolePolicyDocument: trustAccount}).Role
	session := api.Claim{Kind: api.KindRole, Account: apitest.Account, ID: role.RoleId, AccessKeyID: "ASIAEXAMPLEEXAMPLE01", Expires: h.Now()}
	at := time.Date(2026, 11, 1, 12, 30, 59, 0, time.UTC)
	check := func(h *house, want time.Time) {
		t.Helper()
		got := must[shape.GetRoleOutput](t, h, h.admin, "iam:GetRole", &shape.GetRoleInput{RoleName: "r"}).Role.RoleLastUsed
		if !got.LastUsedDate.Equal(want) || got.Region != apitest.Region {
			t.Errorf("%+v", got)
		}
	}
	h.iam.Used(session, "s3", at)
	check(h, at.Truncate(time.Minute))

	// Until it is written another server knows nothing; and it never goes back.
	again := houseAgain(t, h)
	if got := must[shape.GetRoleOutput](t, again, h.admin, "iam:GetRole", &shape.GetRoleInput{RoleName: "r"}).Role.RoleLastUsed; *got != (shape.RoleLastUsed{}) {
		t.Errorf("%+v", got)
	}
	write(t, h)
	check(again, at.Truncate(time.Minute))
	again.iam.Used(session, "s3", at.Add(-time.Hour))
	write(t, again)
	check(again, at.Truncate(time.Minute))
	check(h, at.Truncate(time.Minute))
	h.iam.Used(session, "s3", at.Add(time.Second))
	check(h, at.Add(time.Second))
}

func write(t *testing.T, h *house) {
	t.Helper()
	if err := h.iam.notes.write(t.Context(), h.Store); err != nil {
		t.Fatal(err)
	}
}

// stored is how many last uses the table holds.
func stored(t *testing.T, h *house) int {
	t.Helper()
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	n, err := count(sn, `SELECT COUNT(*) FROM iam_last_used`)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Keys and roles that are gone leave nothing behind, whether they go before their use
// is written or after.
func TestLastUsesOfTheDead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		for _, before := range []bool{true, false} {
			c := h.user(t, "ada", "")
			claim := h.claim(t, c)
			claim.AccessKeyID = c.AccessKeyID
			r := must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "r", AssumeRolePolicyDocument: trustAccount}).Role
			h.iam.Used(claim, "s3", h.Now())
			h.iam.Used(api.Claim{Kind: api.KindRole, ID: r.RoleId}, "s3", h.Now())
			if before {
				write(t, h)
				if n := stored(t, h); n != 2 {
					t.Errorf("%d uses", n)
				}
			}
			must[shape.DeleteAccessKeyOutput](t, h, h.admin, "iam:DeleteAccessKey", &shape.DeleteAccessKeyInput{UserName: "ada", AccessKeyId: c.AccessKeyID})
			must[shape.DeleteUserOutput](t, h, h.admin, "iam:DeleteUser", &shape.DeleteUserInput{UserName: "ada"})
			must[shape.DeleteRoleOutput](t, h, h.admin, "iam:DeleteRole", &shape.DeleteRoleInput{RoleName: "r"})
			write(t, h)
			if n := stored(t, h); n != 0 {
				t.Errorf("%d uses of the dead", n)
			}
		}
	})
}

// Only what is new is written, only who keeps a key or bears a role is noted, and
// however many there are memory holds no more than its bound.
func TestNotesAreBounded(t *testing.T) {
	h := newHouse(t)
	at := h.Now()
	n := h.iam.notes
	for _, c := range []api.Claim{
		{Kind: api.KindUser, ID: "AIDAX", AccessKeyID: "ASIAX", Expires: at}, {Kind: api.KindFederated, ID: "AIDAX", AccessKeyID: "ASIAX"},
		{Kind: api.KindService, ID: "kms.amazonaws.com"}, {Kind: api.KindWebIdentity, ID: "sub"},
	} {
		h.iam.Used(c, "s3", at)
	}
	if len(n.new) != 0 {
		t.Errorf("%v", n.new)
	}
	claim := h.claim(t, h.admin)
	claim.AccessKeyID = h.admin.AccessKeyID
	h.iam.Used(claim, "s3", at)
	write(t, h)
	h.iam.Used(claim, "s3", at)
	if len(n.new) != 0 || len(n.written) != 1 {
		t.Errorf("%v %v", n.new, n.written)
	}
	h.iam.Used(claim, "kms", at)
	h.iam.Used(claim, "s3", at) // the last one counts, written or not
	if u := n.latest(claim.AccessKeyID); u.service != "s3" {
		t.Errorf("%+v", u)
	}
	for i := range 2 * maxUses {
		h.iam.Used(api.Claim{Kind: api.KindRole, ID: fmt.Sprintf("AROA%017d", i)}, "s3", at)
	}
	if len(n.new) != maxUses {
		t.Errorf("%d in memory", len(n.new))
	}
	write(t, h)
	if len(n.new) != 0 || len(n.written) > maxUses || stored(t, h) != 1 {
		t.Errorf("%d new, %d written, %d stored", len(n.new), len(n.written), stored(t, h))
	}
}

// What was noted is written when the server stops.
func TestRunWritesAtTheEnd(t *testing.T) {
	h := newHouse(t)
	claim := h.claim(t, h.admin)
	claim.AccessKeyID = h.admin.AccessKeyID
	h.iam.Used(claim, "s3", h.Now())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := h.iam.Run(ctx, h.Store); err != nil {
		t.Fatal(err)
	}
	if n := stored(t, h); n != 1 {
		t.Errorf("%d uses", n)
	}
}
