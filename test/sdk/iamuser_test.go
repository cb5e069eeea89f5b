package sdk

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// A user as Terraform keeps one: made, read, changed in place, and destroyed by force
// with all that she has.
func TestIAMUserAsTerraform(t *testing.T) {
	cfg := start(t).admin(t)
	people := iam.NewFromConfig(cfg)
	ada := aws.String("ada")
	raises[gone](t, people.GetUser, iam.GetUserInput{UserName: ada})
	boundary := call(t, people.CreatePolicy, iam.CreatePolicyInput{PolicyName: aws.String("edge"),
		PolicyDocument: statement(`"Effect":"Allow","Action":"iam:Get*","Resource":"*"`)}).Policy.Arn
	made := call(t, people.CreateUser, iam.CreateUserInput{UserName: ada, Path: aws.String("/staff/"), PermissionsBoundary: boundary,
		Tags: []types.Tag{tag("team", "imaging"), tag("cost centre", "a+b/c=d @x")}}).User
	if err := iam.NewUserExistsWaiter(people).Wait(t.Context(), &iam.GetUserInput{UserName: ada}, time.Minute); err != nil {
		t.Fatal(err)
	}
	state := func(path string, edge *string, tags ...string) {
		t.Helper()
		u := call(t, people.GetUser, iam.GetUserInput{UserName: ada}).User
		var got *string
		if u.PermissionsBoundary != nil {
			got = u.PermissionsBoundary.PermissionsBoundaryArn
		}
		if *u.UserId != *made.UserId || *u.Path != path || aws.ToString(got) != aws.ToString(edge) || !u.CreateDate.Equal(*made.CreateDate) {
			t.Errorf("it is %s in %s within %s", *u.UserId, *u.Path, aws.ToString(got))
		}
		same(t, "tags", tagTexts(u.Tags), tags...)
		same(t, "listed tags", tagTexts(call(t, people.ListUserTags, iam.ListUserTagsInput{UserName: ada}).Tags), tags...)
	}
	state("/staff/", boundary, "team=imaging", "cost centre=a+b/c=d @x")
	raises[*types.EntityAlreadyExistsException](t, people.CreateUser, iam.CreateUserInput{UserName: aws.String("ADA")})
	raises[*types.InvalidInputException](t, people.TagUser, iam.TagUserInput{UserName: ada, Tags: []types.Tag{tag("a", "1"), tag("A", "2")}})

	call(t, people.UpdateUser, iam.UpdateUserInput{UserName: ada, NewUserName: aws.String("ada.l"), NewPath: aws.String("/")})
	raises[gone](t, people.GetUser, iam.GetUserInput{UserName: ada})
	ada = aws.String("ada.l")
	call(t, people.UntagUser, iam.UntagUserInput{UserName: ada, TagKeys: []string{"cost centre"}})
	call(t, people.TagUser, iam.TagUserInput{UserName: ada, Tags: []types.Tag{tag("team", "genomics"), tag("empty", "")}})
	call(t, people.DeleteUserPermissionsBoundary, iam.DeleteUserPermissionsBoundaryInput{UserName: ada})
	state("/", nil, "team=genomics", "empty=")

	call(t, people.CreateGroup, iam.CreateGroupInput{GroupName: aws.String("staff")})
	call(t, people.AddUserToGroup, iam.AddUserToGroupInput{GroupName: aws.String("staff"), UserName: ada})
	call(t, people.PutUserPolicy, iam.PutUserPolicyInput{UserName: ada, PolicyName: aws.String("own"),
		PolicyDocument: statement(`"Effect":"Allow","Action":"iam:GetUser","Resource":"*"`)})
	call(t, people.AttachUserPolicy, iam.AttachUserPolicyInput{UserName: ada, PolicyArn: boundary})
	accessKeys(t, cfg, ada)
	devices(t, people, ada)
	destroy(t, people, ada)
	raises[gone](t, people.GetUser, iam.GetUserInput{UserName: ada})
	call(t, people.DeletePolicy, iam.DeletePolicyInput{PolicyArn: boundary})
}

// accessKeys of a user count from when they are made until they are turned off.
func accessKeys(t *testing.T, cfg aws.Config, user *string) {
	people := iam.NewFromConfig(cfg)
	first := call(t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: user}).AccessKey
	call(t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: user})
	raises[*types.LimitExceededException](t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: user})
	hers := as(cfg, *first.AccessKeyId, *first.SecretAccessKey, "")
	if u := call(t, iam.NewFromConfig(hers).GetUser, iam.GetUserInput{}).User; *u.UserName != *user {
		t.Errorf("she is %s", *u.UserName)
	}
	if last := call(t, people.GetAccessKeyLastUsed, iam.GetAccessKeyLastUsedInput{AccessKeyId: first.AccessKeyId}); *last.UserName != *user || *last.AccessKeyLastUsed.ServiceName != "iam" {
		t.Errorf("last used by %s for %s", *last.UserName, *last.AccessKeyLastUsed.ServiceName)
	}
	call(t, people.UpdateAccessKey, iam.UpdateAccessKeyInput{UserName: user, AccessKeyId: first.AccessKeyId, Status: types.StatusTypeInactive})
	fails(t, "InvalidClientTokenId", sts.NewFromConfig(hers).GetCallerIdentity, sts.GetCallerIdentityInput{})
	listed := pages(t, iam.NewListAccessKeysPaginator(people, &iam.ListAccessKeysInput{UserName: user, MaxItems: aws.Int32(1)}),
		func(out *iam.ListAccessKeysOutput) []string {
			return each(out.AccessKeyMetadata, func(k types.AccessKeyMetadata) *string { return aws.String(string(k.Status)) })
		})
	same(t, "keys", listed, "Active", "Inactive")
	raises[gone](t, people.DeleteAccessKey, iam.DeleteAccessKeyInput{UserName: user, AccessKeyId: aws.String("AKIAIOSFODNN7EXAMPLE")})
}

// devices: one that a user shows codes of, and one of nobody's.
func devices(t *testing.T, people *iam.Client, user *string) {
	create := iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: aws.String("phone"), Tags: []types.Tag{tag("team", "x")}}
	d := call(t, people.CreateVirtualMFADevice, create).VirtualMFADevice
	raises[*types.EntityAlreadyExistsException](t, people.CreateVirtualMFADevice, create)
	call(t, people.CreateVirtualMFADevice, iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: aws.String("drawer")})
	step := time.Now().Unix() / 30
	enable := iam.EnableMFADeviceInput{UserName: user, SerialNumber: d.SerialNumber,
		AuthenticationCode1: aws.String(code(t, d.Base32StringSeed, step-1)), AuthenticationCode2: aws.String(code(t, d.Base32StringSeed, step-1))}
	raises[*types.InvalidAuthenticationCodeException](t, people.EnableMFADevice, enable)
	enable.AuthenticationCode2 = aws.String(code(t, d.Base32StringSeed, step))
	call(t, people.EnableMFADevice, enable)
	raises[*types.EntityAlreadyExistsException](t, people.EnableMFADevice, enable)
	if got := call(t, people.GetMFADevice, iam.GetMFADeviceInput{SerialNumber: d.SerialNumber, UserName: user}); *got.UserName != *user || got.EnableDate == nil {
		t.Errorf("the device is %s's", *got.UserName)
	}
	raises[*types.DeleteConflictException](t, people.DeleteVirtualMFADevice, iam.DeleteVirtualMFADeviceInput{SerialNumber: d.SerialNumber})
	listed := pages(t, iam.NewListVirtualMFADevicesPaginator(people, &iam.ListVirtualMFADevicesInput{MaxItems: aws.Int32(1)}),
		func(out *iam.ListVirtualMFADevicesOutput) []string {
			if out.VirtualMFADevices[0].Base32StringSeed != nil {
				t.Errorf("the seed is told again")
			}
			return each(out.VirtualMFADevices, func(d types.VirtualMFADevice) *string { return d.SerialNumber })
		})
	if len(listed) != 2 {
		t.Errorf("devices: %v", listed)
	}
}

// destroy takes away what a user has, in the order in which AWS finds it, and asks for
// every kind of credential that she could have.
func destroy(t *testing.T, people *iam.Client, user *string) {
	conflict := func(why string) {
		t.Helper()
		_, err := people.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: user})
		if e, ok := errors.AsType[*types.DeleteConflictException](err); !ok || !strings.Contains(e.ErrorMessage(), why) {
			t.Errorf("deleting is answered %v, not that one must %s", err, why)
		}
	}
	conflict("remove users from group")
	for _, g := range call(t, people.ListGroupsForUser, iam.ListGroupsForUserInput{UserName: user}).Groups {
		call(t, people.RemoveUserFromGroup, iam.RemoveUserFromGroupInput{GroupName: g.GroupName, UserName: user})
	}
	conflict("detach all policies")
	for _, p := range call(t, people.ListAttachedUserPolicies, iam.ListAttachedUserPoliciesInput{UserName: user}).AttachedPolicies {
		call(t, people.DetachUserPolicy, iam.DetachUserPolicyInput{UserName: user, PolicyArn: p.PolicyArn})
	}
	conflict("delete policies")
	for _, name := range call(t, people.ListUserPolicies, iam.ListUserPoliciesInput{UserName: user}).PolicyNames {
		call(t, people.DeleteUserPolicy, iam.DeleteUserPolicyInput{UserName: user, PolicyName: &name})
	}
	conflict("delete access keys")
	for _, k := range call(t, people.ListAccessKeys, iam.ListAccessKeysInput{UserName: user}).AccessKeyMetadata {
		call(t, people.DeleteAccessKey, iam.DeleteAccessKeyInput{UserName: user, AccessKeyId: k.AccessKeyId})
	}
	conflict("delete MFA device")
	for _, d := range call(t, people.ListVirtualMFADevices, iam.ListVirtualMFADevicesInput{AssignmentStatus: types.AssignmentStatusTypeAssigned}).VirtualMFADevices {
		if *d.User.UserName == *user {
			call(t, people.DeactivateMFADevice, iam.DeactivateMFADeviceInput{UserName: user, SerialNumber: d.SerialNumber})
			call(t, people.DeleteVirtualMFADevice, iam.DeleteVirtualMFADeviceInput{SerialNumber: d.SerialNumber})
			raises[gone](t, people.DeleteVirtualMFADevice, iam.DeleteVirtualMFADeviceInput{SerialNumber: d.SerialNumber})
		}
	}
	if left := call(t, people.ListMFADevices, iam.ListMFADevicesInput{UserName: user}).MFADevices; len(left) != 0 {
		t.Errorf("devices are left: %v", left)
	}
	raises[gone](t, people.GetLoginProfile, iam.GetLoginProfileInput{UserName: user})
	raises[gone](t, people.DeleteLoginProfile, iam.DeleteLoginProfileInput{UserName: user}) // Terraform deletes without a look
	none := len(call(t, people.ListSSHPublicKeys, iam.ListSSHPublicKeysInput{UserName: user}).SSHPublicKeys) +
		len(call(t, people.ListSigningCertificates, iam.ListSigningCertificatesInput{UserName: user}).Certificates) +
		len(call(t, people.ListServiceSpecificCredentials, iam.ListServiceSpecificCredentialsInput{UserName: user}).ServiceSpecificCredentials)
	if none != 0 {
		t.Errorf("%d credentials of kinds that are not here", none)
	}
	call(t, people.DeleteUser, iam.DeleteUserInput{UserName: user})
}
