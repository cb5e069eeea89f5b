package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// raises fails the test unless a call is refused with one of the SDK's own types of
// error.
func raises[E error, In, Out, Opt any](t *testing.T, f func(context.Context, *In, ...func(*Opt)) (*Out, error), in In) {
	t.Helper()
	_, err := f(t.Context(), &in)
	if _, ok := errors.AsType[E](err); !ok {
		t.Errorf("%T: %v, not %T", in, err, *new(E))
	}
}

type gone = *types.NoSuchEntityException

type pager[Out any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*iam.Options)) (*Out, error)
}

// pages are the names on all pages, of which there must be several.
func pages[Out any](t *testing.T, p pager[Out], names func(*Out) []string) []string {
	t.Helper()
	var all []string
	n := 0
	for ; p.HasMorePages(); n++ {
		all = append(all, names(must[*Out](t)(p.NextPage(t.Context())))...)
	}
	if n < 2 {
		t.Errorf("%T has %d pages", p, n)
	}
	return all
}

func each[T any](list []T, name func(T) *string) []string {
	names := []string{}
	for _, item := range list {
		names = append(names, aws.ToString(name(item)))
	}
	return names
}

// same fails the test unless two lists have the same items in whatever order.
func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, not %q", what, got, want)
	}
}

// plain is a policy that an answer carries, by either way of decoding that tools use.
func plain(t *testing.T, document *string) string {
	t.Helper()
	text := must[string](t)(url.QueryUnescape(aws.ToString(document)))
	if path := must[string](t)(url.PathUnescape(aws.ToString(document))); path != text {
		t.Errorf("the policy reads %s or %s", text, path)
	}
	return text
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

func tagTexts(tags []types.Tag) []string {
	return each(tags, func(t types.Tag) *string { return aws.String(*t.Key + "=" + *t.Value) })
}

func statement(rest string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{` + rest + `}]}`)
}

// Groups give what their policies say for as long as somebody is in them.
func TestIAMGroups(t *testing.T) {
	cfg := start(t).admin(t)
	people := iam.NewFromConfig(cfg)
	staff, ada := aws.String("staff"), aws.String("ada")
	group := call(t, people.CreateGroup, iam.CreateGroupInput{GroupName: staff, Path: aws.String("/research/")}).Group
	raises[*types.EntityAlreadyExistsException](t, people.CreateGroup, iam.CreateGroupInput{GroupName: aws.String("Staff")})
	names := []string{*ada}
	call(t, people.CreateUser, iam.CreateUserInput{UserName: ada})
	for i := range 4 {
		name := fmt.Sprintf("user-%d", i)
		names = append(names, name)
		call(t, people.CreateUser, iam.CreateUserInput{UserName: &name, Path: aws.String("/research/")})
		call(t, people.AddUserToGroup, iam.AddUserToGroupInput{GroupName: staff, UserName: &name})
	}
	raises[gone](t, people.AddUserToGroup, iam.AddUserToGroupInput{GroupName: staff, UserName: aws.String("nobody")})
	raises[gone](t, people.AddUserToGroup, iam.AddUserToGroupInput{GroupName: aws.String("nobody"), UserName: ada})

	key := call(t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: ada}).AccessKey
	hers := iam.NewFromConfig(as(cfg, *key.AccessKeyId, *key.SecretAccessKey, ""))
	call(t, people.PutGroupPolicy, iam.PutGroupPolicyInput{GroupName: staff, PolicyName: aws.String("look"),
		PolicyDocument: statement(`"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"`)})
	call(t, people.AttachGroupPolicy, iam.AttachGroupPolicyInput{GroupName: staff, PolicyArn: aws.String("arn:aws:iam::aws:policy/IAMReadOnlyAccess")})
	fails(t, "AccessDenied", hers.ListRoles, iam.ListRolesInput{})
	call(t, people.AddUserToGroup, iam.AddUserToGroupInput{GroupName: staff, UserName: ada})
	call(t, hers.ListUsers, iam.ListUsersInput{})
	call(t, hers.ListRoles, iam.ListRolesInput{})
	call(t, people.RemoveUserFromGroup, iam.RemoveUserFromGroupInput{GroupName: staff, UserName: ada})
	fails(t, "AccessDenied", hers.ListUsers, iam.ListUsersInput{})
	call(t, people.RemoveUserFromGroup, iam.RemoveUserFromGroupInput{GroupName: staff, UserName: ada})
	call(t, people.AddUserToGroup, iam.AddUserToGroupInput{GroupName: staff, UserName: ada})

	user := func(u types.User) *string { return u.UserName }
	same(t, "members", pages(t, iam.NewGetGroupPaginator(people, &iam.GetGroupInput{GroupName: staff, MaxItems: aws.Int32(2)}),
		func(out *iam.GetGroupOutput) []string { return each(out.Users, user) }), names...)
	same(t, "users below a path", pages(t, iam.NewListUsersPaginator(people, &iam.ListUsersInput{PathPrefix: aws.String("/research/"), MaxItems: aws.Int32(3)}),
		func(out *iam.ListUsersOutput) []string { return each(out.Users, user) }), names[1:]...)
	same(t, "her groups", each(call(t, people.ListGroupsForUser, iam.ListGroupsForUserInput{UserName: ada}).Groups,
		func(g types.Group) *string { return g.GroupId }), *group.GroupId)

	call(t, people.UpdateGroup, iam.UpdateGroupInput{GroupName: staff, NewGroupName: aws.String("team"), NewPath: aws.String("/clinic/")})
	raises[gone](t, people.GetGroup, iam.GetGroupInput{GroupName: staff})
	staff = aws.String("team")
	if got := call(t, people.GetGroup, iam.GetGroupInput{GroupName: staff}).Group; *got.GroupId != *group.GroupId || *got.Path != "/clinic/" {
		t.Errorf("renamed, it is %s in %s", *got.GroupId, *got.Path)
	}
	call(t, hers.ListUsers, iam.ListUsersInput{})

	conflict := func() {
		raises[*types.DeleteConflictException](t, people.DeleteGroup, iam.DeleteGroupInput{GroupName: staff})
	}
	conflict()
	for _, name := range names {
		call(t, people.RemoveUserFromGroup, iam.RemoveUserFromGroupInput{GroupName: staff, UserName: &name})
	}
	conflict()
	same(t, "inline", call(t, people.ListGroupPolicies, iam.ListGroupPoliciesInput{GroupName: staff}).PolicyNames, "look")
	call(t, people.DeleteGroupPolicy, iam.DeleteGroupPolicyInput{GroupName: staff, PolicyName: aws.String("look")})
	raises[gone](t, people.GetGroupPolicy, iam.GetGroupPolicyInput{GroupName: staff, PolicyName: aws.String("look")})
	conflict()
	for _, p := range call(t, people.ListAttachedGroupPolicies, iam.ListAttachedGroupPoliciesInput{GroupName: staff}).AttachedPolicies {
		call(t, people.DetachGroupPolicy, iam.DetachGroupPolicyInput{GroupName: staff, PolicyArn: p.PolicyArn})
		raises[gone](t, people.DetachGroupPolicy, iam.DetachGroupPolicyInput{GroupName: staff, PolicyArn: p.PolicyArn})
	}
	call(t, people.DeleteGroup, iam.DeleteGroupInput{GroupName: staff})
	raises[gone](t, people.DeleteGroup, iam.DeleteGroupInput{GroupName: staff})
}
