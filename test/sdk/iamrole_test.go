package sdk

import (
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// A plan is all that Terraform compares of a role.
type plan struct {
	path, description, boundary, trust string
	seconds                            int32
	tags, inline, attached             map[string]string
}

// planned reads a role as Terraform refreshes it.
func planned(t *testing.T, people *iam.Client, name *string) plan {
	t.Helper()
	r := call(t, people.GetRole, iam.GetRoleInput{RoleName: name}).Role
	p := plan{*r.Path, aws.ToString(r.Description), "", plain(t, r.AssumeRolePolicyDocument), *r.MaxSessionDuration,
		map[string]string{}, map[string]string{}, map[string]string{}}
	if r.PermissionsBoundary != nil {
		p.boundary = *r.PermissionsBoundary.PermissionsBoundaryArn
	}
	for _, tag := range r.Tags {
		p.tags[*tag.Key] = *tag.Value
	}
	for _, policy := range call(t, people.ListRolePolicies, iam.ListRolePoliciesInput{RoleName: name}).PolicyNames {
		p.inline[policy] = plain(t, call(t, people.GetRolePolicy, iam.GetRolePolicyInput{RoleName: name, PolicyName: &policy}).PolicyDocument)
	}
	for _, a := range call(t, people.ListAttachedRolePolicies, iam.ListAttachedRolePoliciesInput{RoleName: name}).AttachedPolicies {
		p.attached[*a.PolicyArn] = *a.PolicyName
	}
	same(t, "listed tags", tagTexts(call(t, people.ListRoleTags, iam.ListRoleTagsInput{RoleName: name}).Tags), tagTexts(r.Tags)...)
	if n := len(call(t, people.ListInstanceProfilesForRole, iam.ListInstanceProfilesForRoleInput{RoleName: name}).InstanceProfiles); n != 0 {
		t.Errorf("%d instance profiles", n)
	}
	return p
}

// Documents with what some decoder or encoder might stumble over: they come back to
// the byte.
const (
	oddTrust = "{\n  \"Version\" : \"2012-10-17\",\r\n\t\"Statement\": [ {\"Sid\": \"\", \"Effect\": \"Allow\", \"Principal\": {\"Service\": \"sagemaker.amazonaws.com\"},\n" +
		`  "Action": "sts:AssumeRole", "Condition": {"StringLike": {"aws:PrincipalTag/a+b": ["100% <&> \"x\" é ÿ + %2B %20", "\u00e9\/"]}}} ] }` + "\n"
	oddPolicy = `{"Statement":{"Resource":["arn:aws:s3:::b/a b+c%20d/${aws:username}/*","*"],"Action":"s3:Get*","Effect":"Allow"},"Id":"é","Version":"2012-10-17"}`
)

// A role as Terraform keeps one: made, read at once, changed in place, compared with
// what was written, and destroyed in the order that AWS asks for.
func TestIAMRoleAsTerraform(t *testing.T) {
	people := iam.NewFromConfig(start(t).admin(t))
	name := aws.String("train")
	raises[gone](t, people.GetRole, iam.GetRoleInput{RoleName: name})
	edge := *call(t, people.CreatePolicy, iam.CreatePolicyInput{PolicyName: aws.String("edge"), PolicyDocument: aws.String(oddPolicy)}).Policy.Arn
	const readOnly = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"

	want := plan{"/ml/", "Trains <models> & \"more\" é", edge, oddTrust, 7200, map[string]string{"team": "imaging", "Cost": "a+b=c@d é"}, map[string]string{}, map[string]string{}}
	create := iam.CreateRoleInput{RoleName: name, Path: &want.path, Description: &want.description, PermissionsBoundary: &edge,
		AssumeRolePolicyDocument: &want.trust, MaxSessionDuration: &want.seconds, Tags: []types.Tag{tag("team", "imaging"), tag("Cost", "a+b=c@d é")}}
	made := call(t, people.CreateRole, create).Role
	if got := plain(t, made.AssumeRolePolicyDocument); got != oddTrust {
		t.Errorf("it was made with %s", got)
	}
	if err := iam.NewRoleExistsWaiter(people).Wait(t.Context(), &iam.GetRoleInput{RoleName: name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	compare := func(when string) {
		t.Helper()
		if got := planned(t, people, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s it is\n%+v, not\n%+v", when, got, want)
		}
	}
	compare("made")
	raises[*types.EntityAlreadyExistsException](t, people.CreateRole, create)

	call(t, people.PutRolePolicy, iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("own"), PolicyDocument: aws.String(oddPolicy)})
	for _, arn := range []string{edge, readOnly, readOnly} {
		call(t, people.AttachRolePolicy, iam.AttachRolePolicyInput{RoleName: name, PolicyArn: &arn})
	}
	want.inline["own"], want.attached[edge], want.attached[readOnly] = oddPolicy, "edge", "AmazonS3ReadOnlyAccess"
	compare("furnished")

	want.description, want.seconds, want.boundary, want.tags = "Trains", 3600, "", map[string]string{"team": "genomics", "new": ""}
	want.trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + *made.Arn + `"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`
	want.inline["own"] = *statement(`"Effect":"Deny","Action":"*","Resource":"*"`)
	call(t, people.UpdateRoleDescription, iam.UpdateRoleDescriptionInput{RoleName: name, Description: &want.description})
	call(t, people.UpdateRole, iam.UpdateRoleInput{RoleName: name, MaxSessionDuration: &want.seconds})
	call(t, people.UpdateAssumeRolePolicy, iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &want.trust})
	call(t, people.DeleteRolePermissionsBoundary, iam.DeleteRolePermissionsBoundaryInput{RoleName: name})
	call(t, people.UntagRole, iam.UntagRoleInput{RoleName: name, TagKeys: []string{"Cost"}})
	call(t, people.TagRole, iam.TagRoleInput{RoleName: name, Tags: []types.Tag{tag("team", "genomics"), tag("new", "")}})
	call(t, people.PutRolePolicy, iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("own"), PolicyDocument: aws.String(want.inline["own"])})
	compare("changed")
	want.description = ""
	call(t, people.UpdateRoleDescription, iam.UpdateRoleDescriptionInput{RoleName: name, Description: &want.description})
	call(t, people.DeleteRolePermissionsBoundary, iam.DeleteRolePermissionsBoundaryInput{RoleName: name}) // there is none, and that is no error
	compare("without a description")

	for _, bad := range []string{"{}", oddPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:role/none"},"Action":"sts:AssumeRole"}]}`} {
		raises[*types.MalformedPolicyDocumentException](t, people.UpdateAssumeRolePolicy, iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &bad})
	}
	raises[*types.MalformedPolicyDocumentException](t, people.PutRolePolicy, iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("own"), PolicyDocument: aws.String(oddTrust)})
	raises[gone](t, people.AttachRolePolicy, iam.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(edge + "s")})
	compare("after what was refused")

	conflict := func() {
		t.Helper()
		raises[*types.DeleteConflictException](t, people.DeleteRole, iam.DeleteRoleInput{RoleName: name})
	}
	conflict()
	for arn := range want.attached {
		call(t, people.DetachRolePolicy, iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
		raises[gone](t, people.DetachRolePolicy, iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
	}
	conflict()
	call(t, people.DeleteRolePolicy, iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("own")})
	raises[gone](t, people.DeleteRolePolicy, iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("own")})
	call(t, people.DeleteRole, iam.DeleteRoleInput{RoleName: name})
	raises[gone](t, people.GetRole, iam.GetRoleInput{RoleName: name})
	raises[gone](t, people.DeleteRole, iam.DeleteRoleInput{RoleName: name})

	again := call(t, people.CreateRole, iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(oddTrust)}).Role
	if *again.RoleId == *made.RoleId {
		t.Errorf("another role has the id of the first")
	}
	want = plan{"/", "", "", oddTrust, 3600, map[string]string{}, map[string]string{}, map[string]string{}}
	compare("made anew")
}

// Lists of a role come in pages, and its quotas are the SDK's errors.
func TestIAMRolePages(t *testing.T) {
	people := iam.NewFromConfig(start(t).admin(t))
	name, document := aws.String("role-0"), statement(`"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`)
	var roles, inline, attached []string
	for _, n := range []string{"0", "1", "2", "3", "4"} {
		call(t, people.CreateRole, iam.CreateRoleInput{RoleName: aws.String("role-" + n), Path: aws.String("/pages/"), AssumeRolePolicyDocument: aws.String(oddTrust)})
		roles = append(roles, "role-"+n)
	}
	for i := range 11 {
		policy := "p" + string(rune('a'+i))
		arn := call(t, people.CreatePolicy, iam.CreatePolicyInput{PolicyName: &policy, PolicyDocument: document}).Policy.Arn
		attach := iam.AttachRolePolicyInput{RoleName: name, PolicyArn: arn}
		if i == 10 {
			raises[*types.LimitExceededException](t, people.AttachRolePolicy, attach)
			break
		}
		call(t, people.AttachRolePolicy, attach)
		call(t, people.PutRolePolicy, iam.PutRolePolicyInput{RoleName: name, PolicyName: &policy, PolicyDocument: document})
		inline, attached = append(inline, policy), append(attached, policy)
	}
	var tags []types.Tag
	for i := range 50 {
		tags = append(tags, tag("k"+string(rune('A'+i%26))+string(rune('0'+i/26)), "v"))
	}
	call(t, people.TagRole, iam.TagRoleInput{RoleName: name, Tags: tags})
	raises[*types.LimitExceededException](t, people.TagRole, iam.TagRoleInput{RoleName: name, Tags: []types.Tag{tag("more", "")}})

	same(t, "roles", pages(t, iam.NewListRolesPaginator(people, &iam.ListRolesInput{PathPrefix: aws.String("/pages/"), MaxItems: aws.Int32(2)}),
		func(out *iam.ListRolesOutput) []string {
			return each(out.Roles, func(r types.Role) *string { return r.RoleName })
		}), roles...)
	same(t, "inline", pages(t, iam.NewListRolePoliciesPaginator(people, &iam.ListRolePoliciesInput{RoleName: name, MaxItems: aws.Int32(3)}),
		func(out *iam.ListRolePoliciesOutput) []string { return out.PolicyNames }), inline...)
	same(t, "attached", pages(t, iam.NewListAttachedRolePoliciesPaginator(people, &iam.ListAttachedRolePoliciesInput{RoleName: name, MaxItems: aws.Int32(5)}),
		func(out *iam.ListAttachedRolePoliciesOutput) []string {
			return each(out.AttachedPolicies, func(a types.AttachedPolicy) *string { return a.PolicyName })
		}), attached...)
	same(t, "tags", pages(t, iam.NewListRoleTagsPaginator(people, &iam.ListRoleTagsInput{RoleName: name, MaxItems: aws.Int32(20)}),
		func(out *iam.ListRoleTagsOutput) []string { return tagTexts(out.Tags) }), tagTexts(tags)...)
}
