package keys

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// member makes a second account and enters it by the role that Organizations leaves
// there.
func (b *bawn) member(cfg aws.Config) (*caller, string) {
	b.t.Helper()
	org := organizations.NewFromConfig(cfg)
	status := call(b.t, org.CreateAccount, organizations.CreateAccountInput{AccountName: aws.String("second"), Email: aws.String("second@example.org")}).CreateAccountStatus
	for status.State == orgtypes.CreateAccountStateInProgress {
		status = call(b.t, org.DescribeCreateAccountStatus, organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: status.Id}).CreateAccountStatus
	}
	if status.State != orgtypes.CreateAccountStateSucceeded {
		b.t.Fatalf("the account: %s, %s", status.State, status.FailureReason)
	}
	made := call(b.t, sts.NewFromConfig(cfg).AssumeRole, sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + *status.AccountId + ":role/OrganizationAccountAccessRole"), RoleSessionName: aws.String("admin"),
	}).Credentials
	return b.as(*made.AccessKeyId, *made.SecretAccessKey, *made.SessionToken), *status.AccountId
}

// A key of one account is used in another when both say so, and whoever owns it sees
// the use.
func TestAcrossAccounts(t *testing.T) {
	b := start(t)
	owner := b.admin().config()
	theirs, second := b.member(owner)
	client := kms.NewFromConfig(owner)
	made := call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata
	call(t, client.CreateAlias, kms.CreateAliasInput{AliasName: aws.String("alias/shared"), TargetKeyId: made.KeyId})
	alias := aws.String("arn:aws:kms:us-east-1:" + account + ":alias/shared")
	bob := kms.NewFromConfig(b.user(theirs.config(), "bob", fmt.Sprintf(`{"Effect":"Allow","Action":"kms:*","Resource":%q}`, *made.Arn)).config())
	eve := kms.NewFromConfig(b.user(theirs.config(), "eve", "").config())
	use := func(id *string) kms.EncryptInput { return kms.EncryptInput{KeyId: id, Plaintext: []byte("shared")} }
	const denied = "AccessDeniedException"

	fails(t, denied, bob.Encrypt, use(made.Arn))
	call(t, client.PutKeyPolicy, kms.PutKeyPolicyInput{KeyId: made.KeyId, Policy: policy(
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + second + `:root"},"Action":["kms:Encrypt","kms:Decrypt","kms:DisableKey"],"Resource":"*"}`)})
	sealed := call(t, bob.Encrypt, use(made.Arn)).CiphertextBlob
	call(t, bob.Encrypt, use(alias))
	if got := call(t, bob.Decrypt, kms.DecryptInput{CiphertextBlob: sealed}); string(got.Plaintext) != "shared" || *got.KeyId != *made.Arn {
		t.Errorf("bob reads %q under %s", got.Plaintext, *got.KeyId)
	}
	if got := call(t, client.Decrypt, kms.DecryptInput{CiphertextBlob: sealed}).Plaintext; string(got) != "shared" {
		t.Errorf("the owner reads %q", got)
	}
	fails(t, denied, eve.Encrypt, use(made.Arn))
	fails(t, denied, eve.Decrypt, kms.DecryptInput{CiphertextBlob: sealed})
	fails(t, denied, bob.GenerateDataKey, kms.GenerateDataKeyInput{KeyId: made.Arn, KeySpec: types.DataKeySpecAes256}) // the key's policy leaves it out
	for _, bare := range []*string{made.KeyId, aws.String("alias/shared")} {                                           // a key of her own account, which there is not
		fails(t, denied, eve.Encrypt, use(bare))
	}
	fails(t, denied, bob.DisableKey, kms.DisableKeyInput{KeyId: made.Arn}) // never from another account
	call(t, client.Encrypt, use(made.KeyId))

	for whose, cfg := range map[string]aws.Config{"the owner": owner, "bob's account": theirs.config()} {
		uses := 0
		for _, e := range b.record(cfg, "Encrypt") {
			if e.UserIdentity.AccountID == second && e.ErrorCode == "" && e.about(*made.Arn) {
				uses++
			}
		}
		if uses != 2 {
			t.Errorf("%s sees %d uses by bob", whose, uses)
		}
	}
	call(t, client.PutKeyPolicy, kms.PutKeyPolicyInput{KeyId: made.KeyId, Policy: policy(
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"}`)})
	fails(t, denied, bob.Decrypt, kms.DecryptInput{CiphertextBlob: sealed})
}
