package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func TestSimulatorWithBoto3(t *testing.T) {
	h := newHouse(t)
	h.Python(t, h.admin, simulations)
}

const simulations = `
iam = client("iam")
def doc(*statements): return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
def allow(action, resource="*", **kw): return {"Effect": "Allow", "Action": action, "Resource": resource, **kw}
def deny(action, resource="*", **kw): return {"Effect": "Deny", "Action": action, "Resource": resource, **kw}
def custom(*policies, actions, **kw):
    return iam.simulate_custom_policy(PolicyInputList=list(policies), ActionNames=actions, **kw)["EvaluationResults"]

# The verdict, and the statements that make it.
r = custom(doc(allow("s3:Get*"), deny("s3:GetObject")), doc(allow("s3:PutObject", "arn:aws:s3:::b/*")), actions=["s3:GetObject", "s3:GetBucketAcl", "s3:PutObject"])
assert [x["EvalDecision"] for x in r] == ["explicitDeny", "allowed", "implicitDeny"], r
assert all(x["EvalResourceName"] == "*" and "ResourceSpecificResults" not in x for x in r), r
assert [s["SourcePolicyId"] for s in r[0]["MatchedStatements"]] == ["PolicyInputList.1"], r
assert r[1]["MatchedStatements"][0]["SourcePolicyType"] == "none" and not r[2]["MatchedStatements"], r
text = '{"Version":"2012-10-17",\n  "Statement":[\n  {"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}\n]}'
m = custom(text, actions=["s3:GetObject"])[0]["MatchedStatements"][0]
assert (m["StartPosition"], m["EndPosition"]) == ({"Line": 2, "Column": 16}, {"Line": 3, "Column": 60}), m

# Several resources: a result for each, and what is missing stands with it.
conditional = doc(allow("s3:GetObject", "arn:aws:s3:::a/*", Condition={"StringEquals": {"s3:ExistingObjectTag/Class": "open"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
r = custom(conditional, actions=["s3:GetObject"], ResourceArns=["arn:aws:s3:::a/x", "arn:aws:s3:::b/x"])
assert [(x["EvalResourceName"], x["EvalDecision"], x["ResourceSpecificResults"][0]["EvalResourceDecision"]) for x in r] == [
    ("arn:aws:s3:::a/x", "implicitDeny", "implicitDeny"), ("arn:aws:s3:::b/x", "implicitDeny", "implicitDeny")], r
assert r[0]["ResourceSpecificResults"][0]["MissingContextValues"] == ["s3:ExistingObjectTag/Class", "aws:SourceIp"] and r[0]["MissingContextValues"] == [], r
given = [{"ContextKeyName": "s3:existingobjecttag/Class", "ContextKeyType": "string", "ContextKeyValues": ["open"]},
         {"ContextKeyName": "aws:SourceIp", "ContextKeyType": "ip", "ContextKeyValues": ["10.1.2.3"]}]
r = custom(conditional, actions=["s3:GetObject"], ResourceArns=["arn:aws:s3:::a/x"], ContextEntries=given)
assert r[0]["EvalDecision"] == "allowed" and r[0]["ResourceSpecificResults"][0]["MissingContextValues"] == [], r

# Context entries have types.
for kind, value, ok in [("numeric", "12.5", 1), ("numeric", "x", 0), ("boolean", "true", 1), ("boolean", "yes", 0), ("ip", "10.0.0.1", 1), ("ip", "10.0.0.0/8", 0),
                        ("date", "2026-01-01T00:00:00Z", 1), ("date", "soon", 0), ("binary", "AAEC", 1), ("binary", "!", 0)]:
    kw = dict(PolicyInputList=[doc(allow("*"))], ActionNames=["s3:GetObject"], ContextEntries=[{"ContextKeyName": "test:key", "ContextKeyType": kind, "ContextKeyValues": [value]}])
    iam.simulate_custom_policy(**kw) if ok else refused(iam.simulate_custom_policy, "InvalidInput", **kw)
two = lambda kind: [{"ContextKeyName": "aws:TagKeys", "ContextKeyType": kind, "ContextKeyValues": ["a", "b"]}]
both = doc(allow("iam:TagUser", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}, "Null": {"aws:TagKeys": "false"}}))
assert custom(both, actions=["iam:TagUser"], ContextEntries=two("stringList"))[0]["EvalDecision"] == "allowed"
refused(iam.simulate_custom_policy, "InvalidInput", PolicyInputList=[both], ActionNames=["iam:TagUser"], ContextEntries=two("string"))
refused(iam.simulate_custom_policy, "InvalidInput", PolicyInputList=[both], ActionNames=["iam:TagUser"], ContextEntries=two("stringList") * 2)
kms = doc(allow("kms:Decrypt", Condition={"BinaryEquals": {"kms:RecipientAttestation:ImageSha384": "AAEC"}}))
r = custom(kms, actions=["kms:Decrypt"], ContextEntries=[{"ContextKeyName": "kms:RecipientAttestation:ImageSha384", "ContextKeyType": "binary", "ContextKeyValues": ["AAEC"]}])
assert r[0]["EvalDecision"] == "allowed", r

# Boundaries: one at most.
r = custom(doc(allow("*")), actions=["s3:GetObject", "kms:Decrypt"], PermissionsBoundaryPolicyInputList=[doc(allow("s3:*"))])
assert [(x["EvalDecision"], x["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]) for x in r] == [("allowed", True), ("implicitDeny", False)], r
refused(iam.simulate_custom_policy, "InvalidInput", PolicyInputList=[doc(allow("*"))], ActionNames=["s3:GetObject"], PermissionsBoundaryPolicyInputList=[doc(allow("*"))] * 2)

# Policies of resources, same and cross account.
bucket = lambda who: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": who}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]})
ada, bob = "arn:aws:iam::123456789012:user/Ada", "arn:aws:iam::210987654321:user/bob"
at = dict(actions=["s3:GetObject"], ResourceArns=["arn:aws:s3:::b/x"])
r = custom(doc(allow("kms:*")), ResourcePolicy=bucket(ada), CallerArn=ada, **at)[0]
assert r["EvalDecision"] == "allowed" and r["MatchedStatements"][0]["SourcePolicyType"] == "resource", r
assert "EvalDecisionDetails" not in r, r
r = custom(doc(allow("kms:*")), ResourcePolicy=bucket(ada), CallerArn=ada, ResourceOwner="210987654321", **at)[0]
assert r["EvalDecision"] == "implicitDeny" and r["EvalDecisionDetails"] == {"IAM Policy": "implicitDeny", "Resource Policy": "allowed"}, r
r = custom(doc(allow("s3:*")), ResourcePolicy=bucket(ada), CallerArn=ada, ResourceOwner="arn:aws:iam::210987654321:root", **at)[0]
assert r["EvalDecision"] == "allowed", r
r = custom(doc(allow("s3:*")), ResourcePolicy=bucket(ada), CallerArn=bob, ResourceOwner="123456789012", **at)[0]
assert r["EvalDecision"] == "implicitDeny", r
r = custom(doc(allow("s3:*")), actions=["kms:Decrypt", "s3:ListBucket"], CallerArn=ada, ResourceArns=["arn:aws:kms:us-east-1:210987654321:key/k"])
assert [x["EvalDecisionDetails"]["IAM Policy"] for x in r] == ["implicitDeny", "allowed"] and r[1]["EvalDecision"] == "implicitDeny", r

# What is no request is refused by AWS's error.
for kw in (dict(ActionNames=["s3:Get*"]), dict(ActionNames=["GetObject"]), dict(ActionNames=["s3:GetObjekt"]), dict(ResourceArns=["bucket"]),
           dict(CallerArn="arn:aws:iam::123456789012:role/r"), dict(CallerArn="arn:aws:sts::123456789012:assumed-role/r/s"), dict(CallerArn="Ada"),
           dict(ResourceOwner="me"), dict(ResourcePolicy=bucket("*")), dict(PolicyInputList=["{}"]), dict(PolicyInputList=[bucket("*")]),
           dict(ResourcePolicy=doc(allow("*")), CallerArn=ada), dict(ResourceHandlingOption="EC2-VPC-EBS"),
           dict(ContextEntries=[{"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.0.0.1"]}])):
    refused(iam.simulate_custom_policy, "InvalidInput", **{"PolicyInputList": [doc(allow("*"))], "ActionNames": ["s3:GetObject"], **kw})
e = refused(iam.simulate_custom_policy, "InvalidInput", PolicyInputList=[doc(allow("*")), '{"Version":"2012-10-17",\n"Statement":[{"Effect":"Permit"}]}'], ActionNames=["s3:GetObject"])
assert "PolicyInputList.2" in str(e) and "line 2" in str(e), e

# Pages.
pages = list(iam.get_paginator("simulate_custom_policy").paginate(PolicyInputList=[doc(allow("s3:*"))], ActionNames=["s3:GetObject", "s3:PutObject", "kms:Decrypt"],
    ResourceArns=[f"arn:aws:s3:::b/{i}" for i in range(3)], PaginationConfig={"PageSize": 2}))
seen = [(r["EvalActionName"], r["EvalResourceName"][-1]) for p in pages for r in p["EvaluationResults"]]
assert len(pages) == 5 and seen == [(a, str(i)) for a in ("s3:GetObject", "s3:PutObject", "kms:Decrypt") for i in range(3)], (len(pages), seen)
refused(iam.simulate_custom_policy, "ValidationError", PolicyInputList=[doc(allow("*"))], ActionNames=["s3:GetObject"], Marker="Nw")
# Many policies make short pages, which lead on.
many = [doc(*[allow("s3:GetObject", f"arn:aws:s3:::b/{n}-{i}") for i in range(100)]) for n in range(60)]
first = iam.simulate_custom_policy(PolicyInputList=many, ActionNames=["s3:GetObject"], ResourceArns=[f"arn:aws:s3:::b/59-{i}" for i in range(30)])
assert first["IsTruncated"] and 1 <= len(first["EvaluationResults"]) < 30, len(first["EvaluationResults"])

# A user with its groups, inline and managed policies.
iam.create_user(UserName="Ada", Tags=[{"Key": "Team", "Value": "imaging"}])
iam.create_group(GroupName="staff")
iam.add_user_to_group(GroupName="staff", UserName="Ada")
iam.put_user_policy(UserName="Ada", PolicyName="own", PolicyDocument=doc(allow("s3:GetObject", "arn:aws:s3:::${aws:username}-${aws:PrincipalTag/Team}/*")))
iam.put_group_policy(GroupName="staff", PolicyName="shared", PolicyDocument=doc(allow("kms:Decrypt"), deny("kms:Decrypt", Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "0"}})))
p = iam.create_policy(PolicyName="team", PolicyDocument=doc(allow("sts:AssumeRole")))["Policy"]["Arn"]
iam.attach_user_policy(UserName="Ada", PolicyArn=p)
iam.attach_group_policy(GroupName="staff", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
def principal(source, actions, **kw): return iam.simulate_principal_policy(PolicySourceArn=source, ActionNames=actions, **kw)["EvaluationResults"]
r = principal(ada, ["s3:GetObject", "s3:PutObject", "kms:Decrypt", "sts:AssumeRole", "iam:GetUser"], ResourceArns=["arn:aws:s3:::Ada-imaging/x"])
assert [x["EvalDecision"] for x in r] == ["allowed", "implicitDeny", "allowed", "allowed", "allowed"], r
sources = lambda x: {(m["SourcePolicyId"], m["SourcePolicyType"]) for m in x["MatchedStatements"]}
assert ("own", "user") in sources(r[0]) and sources(r[2]) == {("shared", "group")} and sources(r[3]) == {("team", "user-managed")}, r
assert ("ReadOnlyAccess", "aws-managed") in sources(r[4]), r
assert all(x["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": True} for x in r), r
group = "arn:aws:iam::123456789012:group/staff"
r = principal(group, ["kms:Decrypt", "sts:AssumeRole"], PolicyInputList=[doc(deny("kms:*"))])
assert [x["EvalDecision"] for x in r] == ["explicitDeny", "implicitDeny"] and sources(r[0]) == {("PolicyInputList.1", "none")}, r
# As Bob with Ada's policies: her name and her tags are not his.
r = principal(ada, ["s3:GetObject"], CallerArn="arn:aws:iam::123456789012:user/Bob", ResourceArns=["arn:aws:s3:::Ada-imaging/x", "arn:aws:s3:::Bob-imaging/x"],
    PolicyInputList=[doc(deny("iam:GetUser"))])
assert r[0]["MatchedStatements"] == [] or ("own", "user") not in sources(r[0]), r
refused(iam.simulate_principal_policy, "InvalidInput", PolicySourceArn=group, ActionNames=["s3:GetObject"], ResourcePolicy=bucket("*"))
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
role = iam.create_role(RoleName="train", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
iam.put_role_policy(RoleName="train", PolicyName="r", PolicyDocument=doc(allow("s3:GetObject", Condition={"ArnEquals": {"aws:PrincipalArn": role}, "StringLike": {"aws:userid": "*:job"}})))
r = principal(role, ["s3:GetObject"])
assert r[0]["EvalDecision"] == "implicitDeny" and r[0]["MissingContextValues"] == ["aws:userid"], r
r = principal(role, ["s3:GetObject"], ContextEntries=[{"ContextKeyName": "aws:userid", "ContextKeyType": "string", "ContextKeyValues": ["AROAX:job"]}])
assert r[0]["EvalDecision"] == "allowed" and sources(r[0]) == {("r", "role")}, r

for bad in ("arn:aws:iam::123456789012:policy/team", "arn:aws:sts::123456789012:assumed-role/train/s", "arn:aws:iam::123456789012:root", "arn:aws:s3:::somebucketorother"):
    refused(iam.simulate_principal_policy, "InvalidInput", PolicySourceArn=bad, ActionNames=["s3:GetObject"])
for none in ("arn:aws:iam::123456789012:user/none", "arn:aws:iam::123456789012:user/path/Ada", "arn:aws:iam::210987654321:user/Ada"):
    refused(iam.simulate_principal_policy, "NoSuchEntity", PolicySourceArn=none, ActionNames=["s3:GetObject"])
    refused(iam.get_context_keys_for_principal_policy, "NoSuchEntity", PolicySourceArn=none)

# The keys that a simulation wants, as the policies write them.
assert iam.get_context_keys_for_custom_policy(PolicyInputList=[conditional, both, bucket("*")])["ContextKeyNames"] == ["aws:SourceIp", "aws:TagKeys", "s3:ExistingObjectTag/Class"]
assert iam.get_context_keys_for_principal_policy(PolicySourceArn=ada)["ContextKeyNames"] == ["aws:MultiFactorAuthAge", "aws:PrincipalTag/Team", "aws:username"]
assert iam.get_context_keys_for_principal_policy(PolicySourceArn=group, PolicyInputList=[conditional])["ContextKeyNames"] == ["aws:MultiFactorAuthAge", "aws:SourceIp", "s3:ExistingObjectTag/Class"]
assert iam.get_context_keys_for_principal_policy(PolicySourceArn=role)["ContextKeyNames"] == ["aws:PrincipalArn", "aws:userid"]
refused(iam.get_context_keys_for_custom_policy, "InvalidInput", PolicyInputList=["{"])

# Whose permissions may be looked at is a permission on him; custom policies are anybody's with one on "*".
iam.create_user(UserName="peek")
iam.put_user_policy(UserName="peek", PolicyName="p", PolicyDocument=doc(allow(["iam:SimulatePrincipalPolicy", "iam:GetContextKeysForPrincipalPolicy"], ada), allow("iam:SimulateCustomPolicy")))
k = iam.create_access_key(UserName="peek")["AccessKey"]
peek = client("iam", aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
peek.simulate_principal_policy(PolicySourceArn=ada, ActionNames=["s3:GetObject"])
peek.get_context_keys_for_principal_policy(PolicySourceArn=ada)
for other in (role, group, "arn:aws:iam::123456789012:user/admin", "arn:aws:iam::123456789012:user/none"):
    refused(peek.simulate_principal_policy, "AccessDenied", PolicySourceArn=other, ActionNames=["s3:GetObject"])
    refused(peek.get_context_keys_for_principal_policy, "AccessDenied", PolicySourceArn=other)
peek.simulate_custom_policy(PolicyInputList=[doc(allow("*"))], ActionNames=["s3:GetObject"])
refused(peek.get_context_keys_for_custom_policy, "AccessDenied", PolicyInputList=[doc(allow("*"))])
`

// The simulator says of a request what the request itself is told: of a user with a
// group, of a role, with a boundary and without.
func TestSimulatorAgreesWithRealCalls(t *testing.T) {
	h := newHouse(t)
	const arn = "arn:aws:iam::" + apitest.Account + ":"
	tags := []shape.Tag{{Key: "Team", Value: "imaging"}}
	must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: "target", Tags: tags})
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "target", AssumeRolePolicyDocument: trustAccount})
	ada := h.user(t, "Ada", "")
	must[shape.TagUserOutput](t, h, h.admin, "iam:TagUser", &shape.TagUserInput{UserName: "Ada", Tags: tags})
	must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"})
	must[shape.AddUserToGroupOutput](t, h, h.admin, "iam:AddUserToGroup", &shape.AddUserToGroupInput{GroupName: "g", UserName: "Ada"})
	made := must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "A", AssumeRolePolicyDocument: trustAccount, Tags: tags})
	role := api.Claim{Kind: api.KindRole, Account: apitest.Account, ID: made.Role.RoleId, SessionName: "s", Issued: h.Now(), Expires: h.Now().Add(time.Hour)}
	callers := map[string]api.Claim{arn + "user/Ada": h.claim(t, ada), arn + "role/A": role}
	random := rand.New(rand.NewPCG(3, 1))
	verdicts := map[string]int{}
	for i := range 40 {
		put := func(in any, action string) { mustAny(t, h, action, in) }
		put(&shape.PutUserPolicyInput{UserName: "Ada", PolicyName: "p", PolicyDocument: randomPolicy(random)}, "iam:PutUserPolicy")
		put(&shape.PutGroupPolicyInput{GroupName: "g", PolicyName: "p", PolicyDocument: randomPolicy(random)}, "iam:PutGroupPolicy")
		put(&shape.PutRolePolicyInput{RoleName: "A", PolicyName: "p", PolicyDocument: randomPolicy(random)}, "iam:PutRolePolicy")
		if i%2 == 1 {
			name := fmt.Sprintf("bound%d", i)
			put(&shape.CreatePolicyInput{PolicyName: name, PolicyDocument: randomPolicy(random)}, "iam:CreatePolicy")
			put(&shape.PutUserPermissionsBoundaryInput{UserName: "Ada", PermissionsBoundary: arn + "policy/" + name}, "iam:PutUserPermissionsBoundary")
			put(&shape.PutRolePermissionsBoundaryInput{RoleName: "A", PermissionsBoundary: arn + "policy/" + name}, "iam:PutRolePermissionsBoundary")
		} else if i > 0 {
			put(&shape.DeleteUserPermissionsBoundaryInput{UserName: "Ada"}, "iam:DeleteUserPermissionsBoundary")
			put(&shape.DeleteRolePermissionsBoundaryInput{RoleName: "A"}, "iam:DeleteRolePermissionsBoundary")
		}
		for source, claim := range callers {
			for _, one := range []struct {
				action, resource string
				in               any
				tagged           bool
			}{
				{"iam:GetUser", arn + "user/target", &shape.GetUserInput{UserName: "target"}, true},
				{"iam:ListAccessKeys", arn + "user/Ada", &shape.ListAccessKeysInput{UserName: "Ada"}, true},
				{"iam:GetRole", arn + "role/target", &shape.GetRoleInput{RoleName: "target"}, false},
			} {
				in := &shape.SimulatePrincipalPolicyInput{PolicySourceArn: source, ActionNames: []string{one.action}, ResourceArns: []string{one.resource}}
				if one.tagged {
					for _, key := range []string{"aws:ResourceTag/Team", "iam:ResourceTag/Team"} {
						in.ContextEntries = append(in.ContextEntries, shape.ContextEntry{ContextKeyName: key, ContextKeyType: "string", ContextKeyValues: []string{"imaging"}})
					}
				}
				said := must[shape.SimulatePrincipalPolicyOutput](t, h, h.admin, "iam:SimulatePrincipalPolicy", in).EvaluationResults[0]
				told, bounded := outcome(t, h, claim, one.action, one.in)
				verdicts[source[len(arn):len(arn)+4]+string(told)]++
				if said.EvalDecision != told {
					t.Fatalf("round %d: %s for %s is %s and the simulator says %+v", i, one.action, source, told, said)
				}
				if bounded {
					verdicts["boundary"]++
					if d := said.PermissionsBoundaryDecisionDetail; d == nil || *d.AllowedByPermissionsBoundary {
						t.Errorf("round %d: %s for %s: the boundary does not allow, and %+v", i, one.action, source, said)
					}
				}
			}
		}
	}
	for _, v := range []string{"userallowed", "userexplicitDeny", "userimplicitDeny", "roleallowed", "roleexplicitDeny", "roleimplicitDeny", "boundary"} {
		if verdicts[v] < 5 {
			t.Errorf("only %d times %s: %v", verdicts[v], v, verdicts)
		}
	}
}

// mustAny is an administrator's call whose answer does not matter.
func mustAny(t *testing.T, h *house, action string, in any) {
	t.Helper()
	if err := invoke(t, h, h.claim(t, h.admin), action, in); err != nil {
		t.Fatalf("%s: %v", action, err)
	}
}

func invoke(t *testing.T, h *house, claim api.Claim, action string, in any) error {
	t.Helper()
	c, err := h.Door.Begin(t.Context(), claim, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = api.InvokeAny(t.Context(), c, action, in)
	return err
}

// outcome is what a real call is told, and whether it is a boundary that fails to
// allow it.
func outcome(t *testing.T, h *house, claim api.Claim, action string, in any) (v shape.PolicyEvaluationDecisionType, bounded bool) {
	t.Helper()
	err := invoke(t, h, claim, action, in)
	switch {
	case err == nil:
		return shape.PolicyEvaluationDecisionTypeAllowed, false
	case strings.Contains(err.Error(), "explicit deny"):
		return shape.PolicyEvaluationDecisionTypeExplicitDeny, false
	case strings.Contains(err.Error(), "because no"):
		return shape.PolicyEvaluationDecisionTypeImplicitDeny, strings.Contains(err.Error(), "no permissions boundary allows")
	}
	t.Fatalf("%s: %v", action, err)
	return "", false
}

func randomPolicy(r *rand.Rand) string {
	pick := func(of ...any) any { return of[r.IntN(len(of))] }
	var statements []any
	for range 1 + r.IntN(3) {
		st := map[string]any{
			"Effect":   pick("Allow", "Allow", "Deny"),
			"Action":   pick("iam:Get*", "iam:GetUser", "iam:*", "iam:ListAccessKeys", []string{"iam:GetRole", "s3:GetObject"}),
			"Resource": pick("*", "*", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/target", "arn:aws:iam::*:role/*"),
		}
		if r.IntN(2) == 0 {
			st["Condition"] = pick(
				map[string]any{"StringEquals": map[string]any{"aws:PrincipalTag/Team": "${aws:ResourceTag/Team}"}},
				map[string]any{"StringNotEquals": map[string]any{"iam:ResourceTag/Team": "imaging"}},
				map[string]any{"Bool": map[string]any{"aws:SecureTransport": "true"}},
				map[string]any{"BoolIfExists": map[string]any{"aws:MultiFactorAuthPresent": "true"}},
				map[string]any{"ArnLike": map[string]any{"aws:PrincipalArn": "arn:aws:iam::*:user/A*"}},
				map[string]any{"DateGreaterThan": map[string]any{"aws:CurrentTime": "2026-01-01T00:00:00Z"}},
				map[string]any{"StringEquals": map[string]any{"aws:ResourceAccount": "${aws:PrincipalAccount}", "aws:PrincipalOrgID": "o-testtest12"}},
			)
		}
		statements = append(statements, st)
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// controlled is an organization whose account may do less than everything.
type controlled struct {
	authz.Organization
	scps [][]policy.Doc
}

func (c controlled) Account(ctx context.Context, sn *store.Snapshot, id string) (*api.Account, error) {
	a, err := c.Organization.Account(ctx, sn, id)
	if err == nil {
		copied := *a
		copied.Management, copied.SCPs, a = false, c.scps, &copied
	}
	return a, err
}

// The organization's policies apply to what is simulated of the account's own users
// and groups; what they say stays with the organization.
func TestSimulatorTellsThatTheOrganizationForbidsAndNotHow(t *testing.T) {
	parsed, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Sid":"Secret","Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-secret"}}}]}`), policy.SCP)
	if err != nil {
		t.Fatal(err)
	}
	st, dir := apitest.NewStore(t)
	s, err := New(Config{Key: seal.NewKey(), Catalogue: catalogue.New()})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{iam: s, Rig: apitest.Over(t, st, dir, apitest.Options{
		Migrations: [][]store.Migration{Migrations()}, Credentials: map[string]api.Credentials{"AKIA": s}, Principals: s,
		Contribute: func(sources *authz.Sources) {
			sources.Organization = controlled{sources.Organization, [][]policy.Doc{{{Name: "p-secret", Policy: parsed}}}}
		},
	}, s.API())}
	h.admin = h.bootstrap(t, apitest.Account, "admin")
	ada := "arn:aws:iam::" + apitest.Account + ":user/Ada"
	h.user(t, "Ada", allow(`"Action":["kms:*","s3:*"],"Resource":"*"`))
	must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"})
	for name, out := range map[string]*shape.SimulatePrincipalPolicyOutput{
		"user": must[shape.SimulatePrincipalPolicyOutput](t, h, h.admin, "iam:SimulatePrincipalPolicy", &shape.SimulatePrincipalPolicyInput{
			PolicySourceArn: ada, ActionNames: []string{"s3:GetObject", "kms:Decrypt"}}),
		"as another": must[shape.SimulatePrincipalPolicyOutput](t, h, h.admin, "iam:SimulatePrincipalPolicy", &shape.SimulatePrincipalPolicyInput{
			PolicySourceArn: ada, CallerArn: ada + "2", ActionNames: []string{"s3:GetObject", "kms:Decrypt"}}),
		"group": must[shape.SimulatePrincipalPolicyOutput](t, h, h.admin, "iam:SimulatePrincipalPolicy", &shape.SimulatePrincipalPolicyInput{
			PolicySourceArn: "arn:aws:iam::" + apitest.Account + ":group/g", PolicyInputList: []string{apitest.Admin}, ActionNames: []string{"s3:GetObject", "kms:Decrypt"}}),
	} {
		free, bound := out.EvaluationResults[0], out.EvaluationResults[1]
		if free.EvalDecision != "allowed" || !*free.OrganizationsDecisionDetail.AllowedByOrganizations {
			t.Errorf("%s: %+v", name, free)
		}
		if bound.EvalDecision != "explicitDeny" || *bound.OrganizationsDecisionDetail.AllowedByOrganizations || len(bound.MatchedStatements) > 0 {
			t.Errorf("%s: %+v", name, bound)
		}
		if told := fmt.Sprintf("%+v", out.EvaluationResults); strings.Contains(strings.ToLower(told), "secret") || strings.Contains(told, "aws:SourceVpce") {
			t.Errorf("%s: tells what the organization says: %s", name, told)
		}
	}
	// Who may simulate custom policies, and nothing else, learns nothing of the organization.
	custom := must[shape.SimulateCustomPolicyOutput](t, h, h.admin, "iam:SimulateCustomPolicy", &shape.SimulateCustomPolicyInput{
		PolicyInputList: []string{apitest.Admin}, ActionNames: []string{"kms:Decrypt"}}).EvaluationResults[0]
	if custom.EvalDecision != "allowed" || custom.OrganizationsDecisionDetail != nil {
		t.Errorf("%+v", custom)
	}
}

func TestContextValuesAreReadAsRequestsBringThem(t *testing.T) {
	if v, ok := contextValue("binary", "AAEC"); !ok || v != "\x00\x01\x02" {
		t.Errorf("%q %v", v, ok)
	}
	for _, bad := range [][2]string{{"ip", "fe80::1%eth0/64"}, {"binary", "AAE"}, {"numeric", "1e3"}, {"boolean", ""}, {"none", "x"}, {"", "x"}} {
		if v, ok := contextValue(bad[0], bad[1]); ok {
			t.Errorf("%s %q is read as %q", bad[0], bad[1], v)
		}
	}
}
