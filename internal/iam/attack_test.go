package iam

import (
	"context"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

const (
	admins = "arn:aws:iam::aws:policy/AdministratorAccess"
	reader = "arn:aws:iam::aws:policy/ReadOnlyAccess"
)

// Who may do one thing cannot make it another.
func TestEscalation(t *testing.T) {
	h := newHouse(t)
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "strong", AssumeRolePolicyDocument: trustAccount})
	own := "arn:aws:iam::" + apitest.Account + ":user/${aws:username}"

	attacher := h.user(t, "attacher", allow(`"Action":["iam:AttachUserPolicy","iam:DetachUserPolicy"],"Resource":"*","Condition":{"ArnEquals":{"iam:PolicyARN":"`+reader+`"}}`))
	must[shape.AttachUserPolicyOutput](t, h, attacher, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "attacher", PolicyArn: reader})
	refused[shape.AttachUserPolicyOutput](t, h, attacher, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "attacher", PolicyArn: admins}, "AccessDenied")
	refused[shape.DetachUserPolicyOutput](t, h, attacher, "iam:DetachUserPolicy", &shape.DetachUserPolicyInput{UserName: "admin", PolicyArn: admins}, "AccessDenied")
	refused[shape.AttachRolePolicyOutput](t, h, attacher, "iam:AttachRolePolicy", &shape.AttachRolePolicyInput{RoleName: "strong", PolicyArn: reader}, "AccessDenied")

	self := h.user(t, "self", allow(`"Action":"iam:*AccessKey*","Resource":"`+own+`"`))
	must[shape.CreateAccessKeyOutput](t, h, self, "iam:CreateAccessKey", &shape.CreateAccessKeyInput{})
	refused[shape.CreateAccessKeyOutput](t, h, self, "iam:CreateAccessKey", &shape.CreateAccessKeyInput{UserName: "admin"}, "AccessDenied")
	refused[shape.DeleteAccessKeyOutput](t, h, self, "iam:DeleteAccessKey", &shape.DeleteAccessKeyInput{AccessKeyId: h.admin.AccessKeyID, UserName: "admin"}, "AccessDenied")
	refused[shape.DeleteAccessKeyOutput](t, h, self, "iam:DeleteAccessKey", &shape.DeleteAccessKeyInput{AccessKeyId: h.admin.AccessKeyID}, "NoSuchEntity")
	refused[shape.UpdateAccessKeyOutput](t, h, self, "iam:UpdateAccessKey", &shape.UpdateAccessKeyInput{AccessKeyId: h.admin.AccessKeyID, Status: "Inactive"}, "NoSuchEntity")
	refused[shape.PutUserPolicyOutput](t, h, self, "iam:PutUserPolicy", &shape.PutUserPolicyInput{UserName: "self", PolicyName: "x", PolicyDocument: apitest.Admin}, "AccessDenied")

	maker := h.user(t, "maker", allow(`"Action":"iam:CreateRole","Resource":"arn:aws:iam::*:role/team/*"`))
	must[shape.CreateRoleOutput](t, h, maker, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "ours", Path: "/team/", AssumeRolePolicyDocument: trustAccount})
	refused[shape.CreateRoleOutput](t, h, maker, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "theirs", AssumeRolePolicyDocument: trustAccount}, "AccessDenied")
	refused[shape.CreateRoleOutput](t, h, maker, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "tagged", Path: "/team/", AssumeRolePolicyDocument: trustAccount,
		Tags: []shape.Tag{{Key: "owner", Value: "me"}}}, "AccessDenied") // tags are another permission
	refused[shape.UpdateAssumeRolePolicyOutput](t, h, maker, "iam:UpdateAssumeRolePolicy", &shape.UpdateAssumeRolePolicyInput{RoleName: "strong", PolicyDocument: trustAccount}, "AccessDenied")
	refused[shape.PutRolePolicyOutput](t, h, maker, "iam:PutRolePolicy", &shape.PutRolePolicyInput{RoleName: "ours", PolicyName: "x", PolicyDocument: apitest.Admin}, "AccessDenied")
}

// Tags decide: those that a role has, and those that a request brings. A request
// cannot pass its own tags off as the role's.
func TestTagsDecide(t *testing.T) {
	h := newHouse(t)
	team := func(v string) []shape.Tag { return []shape.Tag{{Key: "team", Value: v}} }
	for name, tags := range map[string][]shape.Tag{"red": team("red"), "blue": team("blue")} {
		must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: trustAccount, Tags: tags})
	}
	for key, action := range map[string]string{"iam:ResourceTag/team": "iam:GetRole", "aws:ResourceTag/team": "iam:GetRole"} {
		c := h.user(t, "get-"+strings.Split(key, ":")[0], allow(`"Action":["`+action+`","iam:CreateRole","iam:TagRole"],"Resource":"*","Condition":{"StringEquals":{"`+key+`":"red"}}`))
		must[shape.GetRoleOutput](t, h, c, "iam:GetRole", &shape.GetRoleInput{RoleName: "red"})
		refused[shape.GetRoleOutput](t, h, c, "iam:GetRole", &shape.GetRoleInput{RoleName: "blue"}, "AccessDenied")
		refused[shape.TagRoleOutput](t, h, c, "iam:TagRole", &shape.TagRoleInput{RoleName: "blue", Tags: team("red")}, "AccessDenied")
		refused[shape.CreateRoleOutput](t, h, c, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "new", AssumeRolePolicyDocument: trustAccount, Tags: team("red")}, "AccessDenied")
	}
	c := h.user(t, "tagger", allow(`"Action":["iam:TagRole","iam:UntagRole","iam:CreateRole"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"red"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`))
	must[shape.CreateRoleOutput](t, h, c, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "third", AssumeRolePolicyDocument: trustAccount, Tags: team("red")})
	refused[shape.TagRoleOutput](t, h, c, "iam:TagRole", &shape.TagRoleInput{RoleName: "third", Tags: team("blue")}, "AccessDenied")
	refused[shape.TagRoleOutput](t, h, c, "iam:TagRole", &shape.TagRoleInput{RoleName: "third", Tags: append(team("red"), shape.Tag{Key: "cost", Value: "1"})}, "AccessDenied")
	refused[shape.UntagRoleOutput](t, h, c, "iam:UntagRole", &shape.UntagRoleInput{RoleName: "third", TagKeys: []string{"team"}}, "AccessDenied")
}

// Accounts see and touch nothing of each other.
func TestAccountsAreApart(t *testing.T) {
	h := newHouse(t)
	other := h.bootstrap(t, apitest.Other, "admin")
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "ours", AssumeRolePolicyDocument: trustAccount})
	p := must[shape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: "ours", PolicyDocument: apitest.Admin}).Policy
	refused[shape.GetRoleOutput](t, h, other, "iam:GetRole", &shape.GetRoleInput{RoleName: "ours"}, "NoSuchEntity")
	refused[shape.GetRoleOutput](t, h, h.admin, "iam:GetRole", &shape.GetRoleInput{RoleName: "OURS"}, "NoSuchEntity") // decisions see names as they are
	refused[shape.DeleteRoleOutput](t, h, other, "iam:DeleteRole", &shape.DeleteRoleInput{RoleName: "ours"}, "NoSuchEntity")
	refused[shape.GetPolicyOutput](t, h, other, "iam:GetPolicy", &shape.GetPolicyInput{PolicyArn: p.Arn}, "NoSuchEntity")
	refused[shape.DeletePolicyOutput](t, h, other, "iam:DeletePolicy", &shape.DeletePolicyInput{PolicyArn: p.Arn}, "NoSuchEntity")
	refused[shape.AttachUserPolicyOutput](t, h, other, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "admin", PolicyArn: p.Arn}, "NoSuchEntity")
	refused[shape.DeleteAccessKeyOutput](t, h, other, "iam:DeleteAccessKey", &shape.DeleteAccessKeyInput{AccessKeyId: h.admin.AccessKeyID, UserName: "admin"}, "NoSuchEntity")
	for _, r := range must[shape.ListRolesOutput](t, h, other, "iam:ListRoles", &shape.ListRolesInput{}).Roles {
		t.Errorf("sees %s", r.Arn)
	}
	if users := must[shape.ListUsersOutput](t, h, other, "iam:ListUsers", &shape.ListUsersInput{}).Users; len(users) != 1 {
		t.Errorf("sees %v", users)
	}
	for _, l := range must[shape.ListPoliciesOutput](t, h, other, "iam:ListPolicies", &shape.ListPoliciesInput{Scope: "Local"}).Policies {
		t.Errorf("sees %s", l.Arn)
	}
}

// Every change of permissions holds on the next call.
func TestChangesHoldAtOnce(t *testing.T) {
	h := newHouse(t)
	c := h.user(t, "ada", "")
	list := &shape.ListUsersInput{}
	for range 2 {
		refused[shape.ListUsersOutput](t, h, c, "iam:ListUsers", list, "AccessDenied")
		must[shape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", &shape.PutUserPolicyInput{UserName: "ada", PolicyName: "p", PolicyDocument: apitest.Admin})
		must[shape.ListUsersOutput](t, h, c, "iam:ListUsers", list)
		must[shape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", &shape.PutUserPolicyInput{UserName: "ada", PolicyName: "p",
			PolicyDocument: strings.Replace(apitest.Admin, "Allow", "Deny", 1)})
		refused[shape.ListUsersOutput](t, h, c, "iam:ListUsers", list, "AccessDenied")
		must[shape.AttachUserPolicyOutput](t, h, h.admin, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "ada", PolicyArn: admins})
		refused[shape.ListUsersOutput](t, h, c, "iam:ListUsers", list, "AccessDenied")
		must[shape.DeleteUserPolicyOutput](t, h, h.admin, "iam:DeleteUserPolicy", &shape.DeleteUserPolicyInput{UserName: "ada", PolicyName: "p"})
		must[shape.ListUsersOutput](t, h, c, "iam:ListUsers", list)
		must[shape.DetachUserPolicyOutput](t, h, h.admin, "iam:DetachUserPolicy", &shape.DetachUserPolicyInput{UserName: "ada", PolicyArn: admins})
	}
}

// The secret is told once: neither record nor database holds it, and a sealed
// secret that is moved to another key or user does not open.
func TestSecretsAreSealed(t *testing.T) {
	h := newHouse(t)
	c, d := h.user(t, "ada", apitest.Admin), h.user(t, "eve", apitest.Admin)
	apitest.NoPlaintext(t, h.Dir, c.Secret)
	for _, r := range h.Records(t, apitest.Account, "CreateAccessKey") {
		if strings.Contains(string(r.ResponseElements), c.Secret) || !strings.Contains(string(r.ResponseElements), "AKIA") {
			t.Errorf("%s", r.ResponseElements)
		}
	}
	err := h.Store.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE iam_access_keys SET sealed = (SELECT sealed FROM iam_access_keys WHERE id = ?) WHERE id = ?`, d.AccessKeyID, c.AccessKeyID); err != nil {
			return err
		}
		return tx.Touch(accessKeyKey(c.AccessKeyID))
	})
	if err != nil {
		t.Fatal(err)
	}
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if secret, _, err := h.iam.Credential(t.Context(), sn, c.AccessKeyID, "", h.Now()); err == nil || secret != "" {
		t.Error("an exchanged secret opened")
	}
}

// A misspelt condition must not become a weaker policy: it is not stored. What we
// supply ourselves holds to that.
func TestUnknownNamesInPolicies(t *testing.T) {
	h := newHouse(t)
	user := func(document, code string) {
		t.Helper()
		in := &shape.PutUserPolicyInput{UserName: "admin", PolicyName: "x", PolicyDocument: document}
		if code == "" {
			must[shape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", in)
		} else {
			refused[shape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", in, code)
		}
	}
	user(allow(`"Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgId":"x"}}`), "")
	user(allow(`"Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipleOrgID":"x"}}`), "MalformedPolicyDocument")
	user(allow(`"Action":"s3:*","Resource":"arn:aws:s3:::${aws:usrname}/*"`), "MalformedPolicyDocument")
	user(allow(`"Action":"cloudwatch:PutMetricData","Resource":"*"`), "")
	refused[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "r",
		AssumeRolePolicyDocument: strings.Replace(trustAccount, "sts:AssumeRole", "sts:AsumeRole", 1)}, "MalformedPolicyDocument")
	for _, m := range h.iam.supplied {
		if found := policy.Validate(m.doc.Policy, catalogue.New()); len(found) > 0 {
			t.Errorf("%s: %v", m.name, found)
		}
		if _, err := h.iam.read(m.document, policy.Identity, maxManagedDocument); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// A name in a trust policy that lost its bearer is shown as the id it meant.
func TestTrustShowsTheDead(t *testing.T) {
	h := newHouse(t)
	u := must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: "ada"}).User
	trust := strings.Replace(trustAccount, `"arn:aws:iam::`+apitest.Account+`:root"`, `["`+u.Arn+`","`+apitest.Account+`"]`, 1)
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "r", AssumeRolePolicyDocument: trust})
	get := func() string {
		return must[shape.GetRoleOutput](t, h, h.admin, "iam:GetRole", &shape.GetRoleInput{RoleName: "r"}).Role.AssumeRolePolicyDocument
	}
	if get() != answered(trust) {
		t.Errorf("%s", get())
	}
	must[shape.DeleteUserOutput](t, h, h.admin, "iam:DeleteUser", &shape.DeleteUserInput{UserName: "ada"})
	must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: "ada"})
	if got := get(); strings.Contains(got, "ada") || !strings.Contains(got, u.UserId) || !strings.Contains(got, apitest.Account) {
		t.Errorf("%s", got)
	}
}

func TestResolver(t *testing.T) {
	h := newHouse(t)
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "r", Path: "/p/", AssumeRolePolicyDocument: trustAccount,
		Tags: []shape.Tag{{Key: "k", Value: "v"}}})
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	at := "arn:aws:iam::" + apitest.Account
	f, err := h.iam.resolve(t.Context(), sn, at+":role/p/r")
	if err != nil || f.Missing != nil || f.Tags["k"] != "v" || f.Account != apitest.Account || f.Policy != nil {
		t.Fatalf("%+v %v", f, err)
	}
	if e, ok := f.Detail.(*api.Entity); !ok || e.Trust == nil || e.Trust.Policy.Kind() != policy.Trust || e.MaxSession == 0 {
		t.Errorf("%+v", f.Detail)
	}
	for _, name := range []string{at + ":role/r", at + ":role/p/R", at + ":user/p/r", "arn:aws:iam::" + apitest.Other + ":role/p/r", at + ":policy/none"} {
		if f, err := h.iam.resolve(t.Context(), sn, name); err != nil || f == nil || f.Missing == nil || f.Missing.Code != "NoSuchEntity" {
			t.Errorf("%s: %+v %v", name, f, err)
		}
	}
	strange := "/x:policy/*/${aws:username}/" // characters that a path may have mean nothing
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "s", Path: strange, AssumeRolePolicyDocument: trustAccount})
	later, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if f, err := h.iam.resolve(t.Context(), later, at+":role"+strange+"s"); err != nil || f.Missing != nil || f.Detail == nil {
		t.Errorf("%+v %v", f, err)
	}
	// By what its sessions tell.
	if f, err := h.iam.resolve(t.Context(), later, at+":assumed-role/r"); err != nil || f.Missing != nil || f.ARN != at+":role/p/r" || f.Detail == nil {
		t.Errorf("%+v %v", f, err)
	}
	for _, name := range []string{at + ":assumed-role/R", at + ":assumed-role/none", "arn:aws:iam::" + apitest.Other + ":assumed-role/r"} {
		if f, err := h.iam.resolve(t.Context(), later, name); err != nil || f.Missing == nil || f.Detail != nil {
			t.Errorf("%s: %+v %v", name, f, err)
		}
	}
	for _, name := range []string{at + ":root", at + ":group/x", "arn:aws:sts::" + apitest.Account + ":assumed-role/r/s"} {
		if f, err := h.iam.resolve(t.Context(), sn, name); f != nil || err != nil {
			t.Errorf("%s: %+v %v", name, f, err)
		}
	}
}

func TestNewRefusesAZeroKey(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("secrets would be sealed with nothing")
	}
	if _, err := New(Config{Key: seal.NewKey()}); err != nil {
		t.Error(err)
	}
}

// BenchmarkPrincipal is what every call of a user with ten policies costs, the
// snapshot left out.
func BenchmarkPrincipal(b *testing.B) {
	h := newHouse(b)
	c := h.user(b, "ada", apitest.Admin)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		p := must[shape.CreatePolicyOutput](b, h, h.admin, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: name, PolicyDocument: apitest.Admin}).Policy
		must[shape.AttachUserPolicyOutput](b, h, h.admin, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "ada", PolicyArn: p.Arn})
	}
	claim := h.claim(b, c)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		sn, err := h.Store.Snapshot(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := sn.Version("bench"); err != nil { // begins the read transaction
			b.Fatal(err)
		}
		b.StartTimer()
		e, err := h.iam.Principal(b.Context(), sn, claim.ID)
		if err != nil || len(e.Policies) != 10 {
			b.Fatal(err)
		}
		b.StopTimer()
		sn.Close()
		b.StartTimer()
	}
}

func BenchmarkCredential(b *testing.B) {
	h := newHouse(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		sn, err := h.Store.Snapshot(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, _, err := h.iam.Credential(b.Context(), sn, h.admin.AccessKeyID, "", h.Now()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		sn.Close()
		b.StartTimer()
	}
}

// A path may hold colons: what names no role but reads as if it told a session is
// nobody.
func TestPathsDoNotPassForSessions(t *testing.T) {
	h := newHouse(t)
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "strong", AssumeRolePolicyDocument: trustAccount})
	posing := "arn:aws:iam::" + apitest.Account + ":role/harmless:assumed-role/strong"
	refused[shape.UpdateAssumeRolePolicyOutput](t, h, h.admin, "iam:UpdateAssumeRolePolicy", &shape.UpdateAssumeRolePolicyInput{
		RoleName: "strong", PolicyDocument: strings.ReplaceAll(trustAccount, "arn:aws:iam::"+apitest.Account+":root", posing)}, "MalformedPolicyDocument")
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if f, err := h.iam.resolve(t.Context(), sn, posing); err != nil || f.Missing == nil {
		t.Errorf("%+v, %v", f, err)
	}
}

// Comparing many wildcards with many long values would take hours: nobody may ask
// for it in one call.
func TestSimulationsAreBounded(t *testing.T) {
	h := newHouse(t)
	pattern := "*" + strings.Repeat("a", 2000) + "b"
	one := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:UserAgent":["` +
		strings.Join([]string{pattern, pattern, pattern, pattern}, `","`) + `"]}}}]}`
	in := &shape.SimulateCustomPolicyInput{ActionNames: []string{"s3:GetObject"}}
	for range 40 {
		in.PolicyInputList = append(in.PolicyInputList, one)
	}
	entry := shape.ContextEntry{ContextKeyName: "aws:UserAgent", ContextKeyType: "stringList"}
	for range 10 {
		entry.ContextKeyValues = append(entry.ContextKeyValues, strings.Repeat("a", 2000))
	}
	in.ContextEntries = []shape.ContextEntry{entry}
	refused[shape.SimulateCustomPolicyOutput](t, h, h.admin, "iam:SimulateCustomPolicy", in, "InvalidInput")

	in.PolicyInputList, in.ContextEntries[0].ContextKeyValues = in.PolicyInputList[:1], []string{strings.Repeat("a", 40_000)}
	refused[shape.SimulateCustomPolicyOutput](t, h, h.admin, "iam:SimulateCustomPolicy", in, "InvalidInput")

	// Fewer at a time are judged, in more pages.
	in.ContextEntries[0].ContextKeyValues = entry.ContextKeyValues[:1]
	in.ContextEntries[0].ContextKeyValues[0] = strings.Repeat("a", 2000)
	for range 9 {
		in.PolicyInputList = append(in.PolicyInputList, one)
	}
	for range 9 {
		in.ActionNames = append(in.ActionNames, in.ActionNames...)
	}
	out := must[shape.SimulateCustomPolicyOutput](t, h, h.admin, "iam:SimulateCustomPolicy", in)
	if n := len(out.EvaluationResults); n == 0 || n >= 100 || !*out.IsTruncated {
		t.Errorf("%d results", n)
	}
}
