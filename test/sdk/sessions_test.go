package sdk

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	bytes "encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// code is what a device shows in a step of thirty seconds.
func code(t *testing.T, seed []byte, step int64) string {
	t.Helper()
	key := must[[]byte](t)(base32.StdEncoding.DecodeString(string(seed)))
	mac := hmac.New(sha1.New, key)
	bytes.Write(mac, bytes.BigEndian, step)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", bytes.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

type given string

func (g given) GetIdentityToken() ([]byte, error) { return []byte(g), nil }

// The SDK's own providers of credentials, and the errors that it has types for.
func TestSessions(t *testing.T) {
	b := start(t)
	cfg := b.admin(t)
	people, tokens := iam.NewFromConfig(cfg), sts.NewFromConfig(cfg)
	me := call(t, tokens.GetCallerIdentity, sts.GetCallerIdentityInput{})
	call(t, people.CreateUser, iam.CreateUserInput{UserName: aws.String("ada")})
	call(t, people.PutUserPolicy, iam.PutUserPolicyInput{UserName: aws.String("ada"), PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:ListUsers","sts:GetFederationToken"],"Resource":"*"}]}`)})
	key := call(t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: aws.String("ada")}).AccessKey
	ada := as(cfg, *key.AccessKeyId, *key.SecretAccessKey, "")
	role := *call(t, people.CreateRole, iam.CreateRoleInput{RoleName: aws.String("guarded"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + *me.Account + `:user/ada"},"Action":["sts:AssumeRole","sts:TagSession"],
		"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"StringEquals":{"sts:ExternalId":"42"},"StringLike":{"aws:RequestTag/team":"*"}}}]}`)}).Role.Arn

	device := call(t, people.CreateVirtualMFADevice, iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: aws.String("ada")}).VirtualMFADevice
	step := time.Now().Unix() / 30
	call(t, people.EnableMFADevice, iam.EnableMFADeviceInput{UserName: aws.String("ada"), SerialNumber: device.SerialNumber,
		AuthenticationCode1: aws.String(code(t, device.Base32StringSeed, step-1)), AuthenticationCode2: aws.String(code(t, device.Base32StringSeed, step))})
	fresh := code(t, device.Base32StringSeed, step+1)
	assume := func(external string, code func() (string, error)) (aws.Config, error) {
		assumed := cfg.Copy()
		assumed.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(ada), role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.ExternalID = "look", &external
			o.Tags = []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("x")}}
			if code != nil {
				o.SerialNumber, o.TokenProvider = device.SerialNumber, code
			}
		}))
		_, err := assumed.Credentials.Retrieve(t.Context())
		return assumed, err
	}
	_, err := assume("42", nil)
	refused(t, "without a code", "AccessDenied", err)
	_, err = assume("43", func() (string, error) { return fresh, nil })
	refused(t, "another external id", "AccessDenied", err)
	assumed, err := assume("42", func() (string, error) { return fresh, nil })
	if err != nil {
		t.Fatal(err)
	}
	if who := call(t, sts.NewFromConfig(assumed).GetCallerIdentity, sts.GetCallerIdentityInput{}); *who.Arn != "arn:aws:sts::"+*me.Account+":assumed-role/guarded/look" {
		t.Errorf("it is %s", *who.Arn)
	}
	_, err = assume("42", func() (string, error) { return fresh, nil })
	refused(t, "a code that was used", "AccessDenied", err)

	own := session(cfg, call(t, sts.NewFromConfig(ada).GetSessionToken, sts.GetSessionTokenInput{}).Credentials)
	fails(t, "AccessDenied", iam.NewFromConfig(own).ListUsers, iam.ListUsersInput{})
	lent := call(t, sts.NewFromConfig(ada).GetFederationToken, sts.GetFederationTokenInput{Name: aws.String("bob")})
	if who := call(t, sts.NewFromConfig(session(cfg, lent.Credentials)).GetCallerIdentity, sts.GetCallerIdentityInput{}); *who.Arn != *lent.FederatedUser.Arn {
		t.Errorf("he is %s", *who.Arn)
	}
	if of := call(t, tokens.GetAccessKeyInfo, sts.GetAccessKeyInfoInput{AccessKeyId: lent.Credentials.AccessKeyId}); *of.Account != *me.Account {
		t.Errorf("his key is of %s", *of.Account)
	}

	_, err = tokens.DecodeAuthorizationMessage(t.Context(), &sts.DecodeAuthorizationMessageInput{EncodedMessage: aws.String("none")})
	if _, ok := errors.AsType[*ststypes.InvalidAuthorizationMessageException](err); !ok {
		t.Errorf("a message that is none: %v", err)
	}
	jwt := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://token.example.org"}`)) + ".AAAA"
	_, err = stscreds.NewWebIdentityRoleProvider(tokens, role, given(jwt)).Retrieve(t.Context())
	if _, ok := errors.AsType[*ststypes.InvalidIdentityTokenException](err); !ok {
		t.Errorf("a token of an issuer that nobody registered: %v", err)
	}
}
