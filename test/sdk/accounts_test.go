package sdk

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	idtypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// A house is an account with one of everything, and somebody who may do all
// there.
type house struct {
	account          string
	cfg              aws.Config
	name             string // of its user, role, alias suffix and bucket
	userARN, roleARN string
	keyARN           string
	sealed           []byte
}

func furnish(t *testing.T, cfg aws.Config, name string) *house {
	t.Helper()
	h := &house{cfg: cfg, name: name, account: *call(t, sts.NewFromConfig(cfg).GetCallerIdentity, sts.GetCallerIdentityInput{}).Account}
	people, keys, objects := iam.NewFromConfig(cfg), kms.NewFromConfig(cfg), s3.NewFromConfig(cfg)
	h.userARN = *call(t, people.CreateUser, iam.CreateUserInput{UserName: &name}).User.Arn
	h.roleARN = *call(t, people.CreateRole, iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + h.account + `"},"Action":"sts:AssumeRole"}]}`)}).Role.Arn
	h.keyARN = *call(t, keys.CreateKey, kms.CreateKeyInput{}).KeyMetadata.Arn
	call(t, keys.CreateAlias, kms.CreateAliasInput{AliasName: aws.String("alias/" + name), TargetKeyId: &h.keyARN})
	h.sealed = call(t, keys.Encrypt, kms.EncryptInput{KeyId: &h.keyARN, Plaintext: []byte("secret of " + name)}).CiphertextBlob
	call(t, objects.CreateBucket, s3.CreateBucketInput{Bucket: &name})
	call(t, objects.PutObject, s3.PutObjectInput{Bucket: &name, Key: aws.String("k"), Body: strings.NewReader("content of " + name)})
	return h
}

// member makes a second account and enters it by the role that Organizations
// leaves there.
func member(t *testing.T, admin aws.Config) aws.Config {
	t.Helper()
	org := organizations.NewFromConfig(admin)
	status := call(t, org.CreateAccount, organizations.CreateAccountInput{AccountName: aws.String("second"), Email: aws.String("second@example.org")}).CreateAccountStatus
	for status.State == orgtypes.CreateAccountStateInProgress {
		status = call(t, org.DescribeCreateAccountStatus, organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: status.Id}).CreateAccountStatus
	}
	if status.State != orgtypes.CreateAccountStateSucceeded {
		t.Fatalf("the account: %s, %s", status.State, status.FailureReason)
	}
	made := call(t, sts.NewFromConfig(admin).AssumeRole, sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + *status.AccountId + ":role/OrganizationAccountAccessRole"), RoleSessionName: aws.String("admin"),
	})
	cfg := session(admin, made.Credentials)
	if got := *call(t, sts.NewFromConfig(cfg).GetCallerIdentity, sts.GetCallerIdentityInput{}).Account; got != *status.AccountId || got == account {
		t.Fatalf("the session is in %s", got)
	}
	return cfg
}

// Two accounts with one of everything each: who may do all in one can see and
// touch nothing of the other.
func TestTwoAccounts(t *testing.T) {
	admin := start(t).admin(t)
	first := furnish(t, admin, "of-the-first")
	second := furnish(t, member(t, admin), "of-the-second")
	directory(t, first, second)
	for _, pair := range [][2]*house{{first, second}, {second, first}} {
		self, other := pair[0], pair[1]
		t.Run(self.name, func(t *testing.T) {
			for _, attempt := range attempts(self, other) {
				refused(t, attempt.what, attempt.code, attempt.do(t.Context()))
			}
			listings(t, self, other)
			trails(t, self, other)
		})
	}
	for _, h := range []*house{first, second} { // and nothing was harmed
		body := call(t, s3.NewFromConfig(h.cfg).GetObject, s3.GetObjectInput{Bucket: &h.name, Key: aws.String("k")}).Body
		if got := string(must[[]byte](t)(io.ReadAll(body))); got != "content of "+h.name {
			t.Errorf("%s holds %q", h.name, got)
		}
		if got := call(t, kms.NewFromConfig(h.cfg).Decrypt, kms.DecryptInput{CiphertextBlob: h.sealed}).Plaintext; string(got) != "secret of "+h.name {
			t.Errorf("%s's key opens %q", h.name, got)
		}
		call(t, iam.NewFromConfig(h.cfg).GetUser, iam.GetUserInput{UserName: &h.name})
		call(t, iam.NewFromConfig(h.cfg).GetRole, iam.GetRoleInput{RoleName: &h.name})
	}
}

type attempt struct {
	what, code string
	do         func(context.Context) error
}

// try makes an attempt of a method of the SDK.
func try[In, Out, Opt any](what, code string, f func(context.Context, *In, ...func(*Opt)) (*Out, error), in In) attempt {
	return attempt{what, code, func(ctx context.Context) error {
		_, err := f(ctx, &in)
		return err
	}}
}

// attempts are self's on what is other's.
func attempts(self, other *house) []attempt {
	people, keys, objects, tokens := iam.NewFromConfig(self.cfg), kms.NewFromConfig(self.cfg), s3.NewFromConfig(self.cfg), sts.NewFromConfig(self.cfg)
	k, b, open := aws.String("k"), &other.name, aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)
	openBucket := aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + self.account + `"},"Action":"s3:*","Resource":"arn:aws:s3:::` + other.name + `/*"}]}`)
	list := []attempt{
		try("read an object", "AccessDenied", objects.GetObject, s3.GetObjectInput{Bucket: b, Key: k}),
		try("look for an object", "AccessDenied", objects.GetObject, s3.GetObjectInput{Bucket: b, Key: aws.String("is-not-there")}),
		try("see an object", "Forbidden", objects.HeadObject, s3.HeadObjectInput{Bucket: b, Key: k}),
		try("write an object", "AccessDenied", objects.PutObject, s3.PutObjectInput{Bucket: b, Key: k, Body: strings.NewReader("x")}),
		try("delete an object", "AccessDenied", objects.DeleteObject, s3.DeleteObjectInput{Bucket: b, Key: k}),
		try("list a bucket", "AccessDenied", objects.ListObjectsV2, s3.ListObjectsV2Input{Bucket: b}),
		try("see a bucket", "Forbidden", objects.HeadBucket, s3.HeadBucketInput{Bucket: b}),
		try("delete a bucket", "AccessDenied", objects.DeleteBucket, s3.DeleteBucketInput{Bucket: b}),
		try("take a bucket", "BucketAlreadyExists", objects.CreateBucket, s3.CreateBucketInput{Bucket: b}),
		try("open a bucket", "AccessDenied", objects.PutBucketPolicy, s3.PutBucketPolicyInput{Bucket: b, Policy: openBucket}),
		try("read a bucket's policy", "AccessDenied", objects.GetBucketPolicy, s3.GetBucketPolicyInput{Bucket: b}),
		try("seal under the other's key", "AccessDenied", objects.PutObject, s3.PutObjectInput{
			Bucket: &self.name, Key: aws.String("foreign-key"), Body: strings.NewReader("x"), ServerSideEncryption: "aws:kms", SSEKMSKeyId: &other.keyARN}),

		try("decrypt", "AccessDeniedException", keys.Decrypt, kms.DecryptInput{CiphertextBlob: other.sealed}),
		try("decrypt by name", "AccessDeniedException", keys.Decrypt, kms.DecryptInput{CiphertextBlob: other.sealed, KeyId: &other.keyARN}),
		try("decrypt with one's own", "IncorrectKeyException", keys.Decrypt, kms.DecryptInput{CiphertextBlob: other.sealed, KeyId: &self.keyARN}),
		try("encrypt", "AccessDeniedException", keys.Encrypt, kms.EncryptInput{KeyId: &other.keyARN, Plaintext: []byte("x")}),
		try("make a data key", "AccessDeniedException", keys.GenerateDataKey, kms.GenerateDataKeyInput{KeyId: &other.keyARN, KeySpec: "AES_256"}),
		try("describe a key", "AccessDeniedException", keys.DescribeKey, kms.DescribeKeyInput{KeyId: &other.keyARN}),
		try("turn a key off", "AccessDeniedException", keys.DisableKey, kms.DisableKeyInput{KeyId: &other.keyARN}),
		try("open a key", "AccessDeniedException", keys.PutKeyPolicy, kms.PutKeyPolicyInput{KeyId: &other.keyARN, PolicyName: aws.String("default"), Policy: open}),
		try("read a key's policy", "AccessDeniedException", keys.GetKeyPolicy, kms.GetKeyPolicyInput{KeyId: &other.keyARN}),

		try("put on a role", "AccessDenied", tokens.AssumeRole, sts.AssumeRoleInput{RoleArn: &other.roleARN, RoleSessionName: aws.String("intruder")}),

		// Names are of one's own account: the other's are not there.
		try("see a user", "NoSuchEntity", people.GetUser, iam.GetUserInput{UserName: b}),
		try("delete a user", "NoSuchEntity", people.DeleteUser, iam.DeleteUserInput{UserName: b}),
		try("make a key for a user", "NoSuchEntity", people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: b}),
		try("see a role", "NoSuchEntity", people.GetRole, iam.GetRoleInput{RoleName: b}),
		try("change who may put on a role", "NoSuchEntity", people.UpdateAssumeRolePolicy, iam.UpdateAssumeRolePolicyInput{RoleName: b, PolicyDocument: openTrust(self)}),
		try("use an alias", "NotFoundException", keys.DescribeKey, kms.DescribeKeyInput{KeyId: aws.String("alias/" + other.name)}),
	}
	return list
}

func openTrust(h *house) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + h.account + `"},"Action":"sts:AssumeRole"}]}`)
}

// listings show self its own and nothing of other's.
func listings(t *testing.T, self, other *house) {
	t.Helper()
	var seen []string
	for _, b := range call(t, s3.NewFromConfig(self.cfg).ListBuckets, s3.ListBucketsInput{}).Buckets {
		seen = append(seen, *b.Name)
	}
	for _, u := range call(t, iam.NewFromConfig(self.cfg).ListUsers, iam.ListUsersInput{}).Users {
		seen = append(seen, *u.Arn)
	}
	for _, r := range call(t, iam.NewFromConfig(self.cfg).ListRoles, iam.ListRolesInput{}).Roles {
		seen = append(seen, *r.Arn)
	}
	for _, k := range call(t, kms.NewFromConfig(self.cfg).ListKeys, kms.ListKeysInput{}).Keys {
		seen = append(seen, *k.KeyArn)
	}
	for _, a := range call(t, kms.NewFromConfig(self.cfg).ListAliases, kms.ListAliasesInput{}).Aliases {
		seen = append(seen, *a.AliasArn)
	}
	for _, own := range []string{self.name, self.userARN, self.roleARN, self.keyARN} {
		if !slices.Contains(seen, own) {
			t.Errorf("%s is not listed in its own account", own)
		}
	}
	for _, s := range seen {
		if strings.Contains(s, other.account) || strings.Contains(s, other.name) {
			t.Errorf("%s is listed in %s", s, self.account)
		}
	}
}

// trails tell each account of itself alone. What self attempted is in its own
// record.
func trails(t *testing.T, self, other *house) {
	t.Helper()
	own, foreign := events(t, self.cfg), events(t, other.cfg)
	if len(own) < 30 || len(foreign) == 0 {
		t.Fatalf("%d and %d events", len(own), len(foreign))
	}
	for id, e := range own {
		if _, ok := foreign[id]; ok {
			t.Errorf("both accounts are shown %s", e)
		}
		if !strings.Contains(e, `"recipientAccountId":"`+self.account+`"`) {
			t.Errorf("%s is shown %s", self.account, e)
		}
	}
}

// events reads the whole trail of an account.
func events(t *testing.T, cfg aws.Config) map[string]string {
	t.Helper()
	out := map[string]string{}
	for p := cloudtrail.NewLookupEventsPaginator(cloudtrail.NewFromConfig(cfg), &cloudtrail.LookupEventsInput{}); p.HasMorePages(); {
		for _, e := range must[*cloudtrail.LookupEventsOutput](t)(p.NextPage(t.Context())).Events {
			out[*e.EventId] = *e.CloudTrailEvent
		}
	}
	return out
}

// directory is the organization's one identity store, which the first account
// holds: the second neither reads nor changes it, nor the organization.
func directory(t *testing.T, first, second *house) {
	t.Helper()
	instance := call(t, ssoadmin.NewFromConfig(first.cfg).ListInstances, ssoadmin.ListInstancesInput{}).Instances[0]
	user := call(t, identitystore.NewFromConfig(first.cfg).CreateUser, identitystore.CreateUserInput{
		IdentityStoreId: instance.IdentityStoreId, UserName: aws.String("ada"), DisplayName: aws.String("Ada"),
		Name: &idtypes.Name{GivenName: aws.String("Ada"), FamilyName: aws.String("L")}})
	store, centre, org := identitystore.NewFromConfig(second.cfg), ssoadmin.NewFromConfig(second.cfg), organizations.NewFromConfig(second.cfg)
	app := aws.String("arn:aws:sso::" + first.account + ":application/ssoins-0123456789abcdef/apl-0123456789abcdef")
	for _, a := range []attempt{
		try("list people", "AccessDeniedException", store.ListUsers, identitystore.ListUsersInput{IdentityStoreId: instance.IdentityStoreId}),
		try("see a person", "AccessDeniedException", store.DescribeUser, identitystore.DescribeUserInput{IdentityStoreId: instance.IdentityStoreId, UserId: user.UserId}),
		try("remove a person", "AccessDeniedException", store.DeleteUser, identitystore.DeleteUserInput{IdentityStoreId: instance.IdentityStoreId, UserId: user.UserId}),
		try("add an application", "AccessDeniedException", centre.CreateApplication, ssoadmin.CreateApplicationInput{
			InstanceArn: instance.InstanceArn, Name: aws.String("x"), ApplicationProviderArn: aws.String("arn:aws:sso::aws:applicationProvider/custom")}),
		try("enter by an application", "AccessDeniedException", ssooidc.NewFromConfig(second.cfg).CreateTokenWithIAM, ssooidc.CreateTokenWithIAMInput{
			ClientId: app, GrantType: aws.String("urn:ietf:params:oauth:grant-type:jwt-bearer"), Assertion: aws.String("x.y.z")}),
		try("list accounts", "AccessDeniedException", org.ListAccounts, organizations.ListAccountsInput{}),
		try("make an account", "AccessDeniedException", org.CreateAccount, organizations.CreateAccountInput{AccountName: aws.String("x"), Email: aws.String("x@example.org")}),
	} {
		refused(t, a.what, a.code, a.do(t.Context()))
	}
}
