package sdk

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// A managed policy as Terraform keeps one: each change is a new default version, and
// the oldest makes room for the sixth.
func TestIAMPolicyAsTerraform(t *testing.T) {
	people := iam.NewFromConfig(start(t).admin(t))
	name := aws.String("reads")
	made := call(t, people.CreatePolicy, iam.CreatePolicyInput{PolicyName: name, Path: aws.String("/data/"), Description: aws.String("Reads é & <all>"),
		PolicyDocument: aws.String(oddPolicy), Tags: []types.Tag{tag("team", "imaging")}}).Policy
	arn := made.Arn
	if err := iam.NewPolicyExistsWaiter(people).Wait(t.Context(), &iam.GetPolicyInput{PolicyArn: arn}, time.Minute); err != nil {
		t.Fatal(err)
	}
	state := func(version, document string, tags ...string) {
		t.Helper()
		p := call(t, people.GetPolicy, iam.GetPolicyInput{PolicyArn: arn}).Policy
		if *p.DefaultVersionId != version || *p.Description != "Reads é & <all>" || *p.Path != "/data/" || *p.PolicyId != *made.PolicyId {
			t.Errorf("it is %s of %s in %s, %q", *p.DefaultVersionId, *p.PolicyId, *p.Path, *p.Description)
		}
		v := call(t, people.GetPolicyVersion, iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: p.DefaultVersionId}).PolicyVersion
		if got := plain(t, v.Document); got != document || !v.IsDefaultVersion {
			t.Errorf("%s says %s", version, got)
		}
		same(t, "tags", tagTexts(p.Tags), tags...)
	}
	state("v1", oddPolicy, "team=imaging")
	raises[*types.EntityAlreadyExistsException](t, people.CreatePolicy, iam.CreatePolicyInput{PolicyName: aws.String("READS"), PolicyDocument: aws.String(oddPolicy)})

	text := func(n int) *string {
		return statement(fmt.Sprintf(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket-%d/*"`, n))
	}
	update := func(n int) iam.CreatePolicyVersionInput {
		return iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: text(n), SetAsDefault: true}
	}
	for n := 2; n <= 5; n++ {
		call(t, people.CreatePolicyVersion, update(n))
		state(fmt.Sprintf("v%d", n), *text(n), "team=imaging")
	}
	raises[*types.LimitExceededException](t, people.CreatePolicyVersion, update(6))
	listed := call(t, people.ListPolicyVersions, iam.ListPolicyVersionsInput{PolicyArn: arn}).Versions
	oldest := listed[0]
	for _, v := range listed {
		if !v.IsDefaultVersion && (oldest.IsDefaultVersion || v.CreateDate.Before(*oldest.CreateDate) || *v.VersionId < *oldest.VersionId) {
			oldest = v
		}
	}
	if *oldest.VersionId != "v1" {
		t.Errorf("the oldest is %s", *oldest.VersionId)
	}
	call(t, people.DeletePolicyVersion, iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: oldest.VersionId})
	call(t, people.CreatePolicyVersion, update(6))
	call(t, people.UntagPolicy, iam.UntagPolicyInput{PolicyArn: arn, TagKeys: []string{"team"}})
	call(t, people.TagPolicy, iam.TagPolicyInput{PolicyArn: arn, Tags: []types.Tag{tag("owner", "ada")}})
	state("v6", *text(6), "owner=ada")
	raises[gone](t, people.GetPolicyVersion, iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
	for _, bad := range []string{"{}", oddTrust, strings.Replace(oddPolicy, "Effect", "effect", 1), `{"Version":"2012-10-17","Statement":[],"Statement":[]}`} {
		raises[*types.MalformedPolicyDocumentException](t, people.CreatePolicyVersion, iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: &bad, SetAsDefault: true})
	}
	call(t, people.SetDefaultPolicyVersion, iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v3")})
	state("v3", *text(3), "owner=ada")
	same(t, "versions", pages(t, iam.NewListPolicyVersionsPaginator(people, &iam.ListPolicyVersionsInput{PolicyArn: arn, MaxItems: aws.Int32(2)}),
		func(out *iam.ListPolicyVersionsOutput) []string {
			return each(out.Versions, func(v types.PolicyVersion) *string { return v.VersionId })
		}), "v2", "v3", "v4", "v5", "v6")
	used(t, people, arn)

	conflict := func(why string) {
		t.Helper()
		_, err := people.DeletePolicy(t.Context(), &iam.DeletePolicyInput{PolicyArn: arn})
		if e, ok := errors.AsType[*types.DeleteConflictException](err); !ok || !strings.Contains(e.ErrorMessage(), why) {
			t.Errorf("deleting is answered %v, not that it has %s", err, why)
		}
	}
	conflict("attached to entities")
	users := call(t, people.ListEntitiesForPolicy, iam.ListEntitiesForPolicyInput{PolicyArn: arn})
	call(t, people.DetachGroupPolicy, iam.DetachGroupPolicyInput{GroupName: users.PolicyGroups[0].GroupName, PolicyArn: arn})
	call(t, people.DetachUserPolicy, iam.DetachUserPolicyInput{UserName: users.PolicyUsers[0].UserName, PolicyArn: arn})
	conflict("attached to entities")
	call(t, people.DeleteRolePermissionsBoundary, iam.DeleteRolePermissionsBoundaryInput{RoleName: users.PolicyRoles[0].RoleName})
	conflict("more than one version")
	raises[*types.DeleteConflictException](t, people.DeletePolicyVersion, iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v3")})
	for _, v := range call(t, people.ListPolicyVersions, iam.ListPolicyVersionsInput{PolicyArn: arn}).Versions {
		if !v.IsDefaultVersion {
			call(t, people.DeletePolicyVersion, iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: v.VersionId})
		}
	}
	call(t, people.DeletePolicy, iam.DeletePolicyInput{PolicyArn: arn})
	raises[gone](t, people.GetPolicy, iam.GetPolicyInput{PolicyArn: arn})
	raises[gone](t, people.ListPolicyVersions, iam.ListPolicyVersionsInput{PolicyArn: arn})
}

// used attaches a policy to one of each kind; a role has it as its boundary.
func used(t *testing.T, people *iam.Client, arn *string) {
	t.Helper()
	call(t, people.CreateUser, iam.CreateUserInput{UserName: aws.String("ada")})
	call(t, people.CreateGroup, iam.CreateGroupInput{GroupName: aws.String("staff")})
	call(t, people.CreateRole, iam.CreateRoleInput{RoleName: aws.String("train"), AssumeRolePolicyDocument: aws.String(oddTrust)})
	call(t, people.AttachUserPolicy, iam.AttachUserPolicyInput{UserName: aws.String("ada"), PolicyArn: arn})
	call(t, people.AttachGroupPolicy, iam.AttachGroupPolicyInput{GroupName: aws.String("staff"), PolicyArn: arn})
	call(t, people.PutRolePermissionsBoundary, iam.PutRolePermissionsBoundaryInput{RoleName: aws.String("train"), PermissionsBoundary: arn})
	same(t, "entities", pages(t, iam.NewListEntitiesForPolicyPaginator(people, &iam.ListEntitiesForPolicyInput{PolicyArn: arn, MaxItems: aws.Int32(1)}),
		func(out *iam.ListEntitiesForPolicyOutput) []string {
			names := each(out.PolicyUsers, func(u types.PolicyUser) *string { return u.UserName })
			names = append(names, each(out.PolicyGroups, func(g types.PolicyGroup) *string { return g.GroupName })...)
			return append(names, each(out.PolicyRoles, func(r types.PolicyRole) *string { return r.RoleName })...)
		}), "ada", "staff", "train")
	p := call(t, people.GetPolicy, iam.GetPolicyInput{PolicyArn: arn}).Policy
	if *p.AttachmentCount != 2 || *p.PermissionsBoundaryUsageCount != 1 {
		t.Errorf("used %d and %d times", *p.AttachmentCount, *p.PermissionsBoundaryUsageCount)
	}
}

// What AWS supplies is listed, read and attached, and nobody changes it.
func TestIAMSuppliedPolicies(t *testing.T) {
	people := iam.NewFromConfig(start(t).admin(t))
	own := call(t, people.CreatePolicy, iam.CreatePolicyInput{PolicyName: aws.String("own"), PolicyDocument: aws.String(oddPolicy)}).Policy.Arn
	list := func(scope types.PolicyScopeType) []string {
		return pages(t, iam.NewListPoliciesPaginator(people, &iam.ListPoliciesInput{Scope: scope, MaxItems: aws.Int32(7)}),
			func(out *iam.ListPoliciesOutput) []string {
				return each(out.Policies, func(p types.Policy) *string { return p.Arn })
			})
	}
	supplied := list(types.PolicyScopeTypeAws)
	same(t, "all policies", list(types.PolicyScopeTypeAll), append(supplied, *own)...)
	for _, arn := range supplied {
		p := call(t, people.GetPolicy, iam.GetPolicyInput{PolicyArn: &arn}).Policy
		document := call(t, people.GetPolicyVersion, iam.GetPolicyVersionInput{PolicyArn: &arn, VersionId: p.DefaultVersionId}).PolicyVersion.Document
		call(t, people.GetContextKeysForCustomPolicy, iam.GetContextKeysForCustomPolicyInput{PolicyInputList: []string{plain(t, document)}})
		fails(t, "AccessDenied", people.DeletePolicy, iam.DeletePolicyInput{PolicyArn: &arn})
	}
	first := &supplied[0]
	fails(t, "AccessDenied", people.CreatePolicyVersion, iam.CreatePolicyVersionInput{PolicyArn: first, PolicyDocument: aws.String(oddPolicy), SetAsDefault: true})
	fails(t, "AccessDenied", people.TagPolicy, iam.TagPolicyInput{PolicyArn: first, Tags: []types.Tag{tag("a", "b")}})
	raises[gone](t, people.GetPolicy, iam.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/NoSuch")})
	raises[*types.InvalidInputException](t, people.GetPolicy, iam.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::" + account + ":role/train")})
}
