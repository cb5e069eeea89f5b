package keys

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// A job is what testdata/encryption.mjs does.
type job struct {
	Encrypt   *string           `json:"encrypt,omitempty"`
	Messages  int               `json:"messages,omitempty"` // under one data key
	Decrypt   string            `json:"decrypt,omitempty"`
	Generator string            `json:"generator,omitempty"`
	Keys      []string          `json:"keys,omitempty"`
	Discover  []string          `json:"discover,omitempty"` // accounts
	Tokens    []string          `json:"tokens,omitempty"`   // of grants
	Context   map[string]string `json:"context,omitempty"`
}

type done struct {
	Messages  []string
	Plaintext string
	Keys      []string
}

func (j job) text(t *testing.T) string { return string(must[[]byte](t)(json.Marshal(j))) }

// node installs the Encryption SDK, at the versions of testdata, and answers where.
func node(t *testing.T, c *caller) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "encryption.mjs"} {
		if err := os.WriteFile(filepath.Join(dir, name), must[[]byte](t)(os.ReadFile(filepath.Join("testdata", name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	npm := &caller{c.bawn, os.Environ()} // with whatever registry and cache this machine has
	if _, complaint, err := npm.try("", dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		t.Fatalf("npm ci: %v\n%s\nThis test needs Node.js 18 or later with npm, and the packages of test/keys/testdata/package-lock.json from an npm registry: "+
			"set the registry with `npm config set registry URL`, or fill npm's cache where there is one and set npm_config_offline=true.", err, complaint)
	}
	return dir
}

func (c *caller) encryption(dir string, j job) done {
	c.t.Helper()
	var out done
	if err := json.Unmarshal([]byte(c.run(j.text(c.t), dir, "node", "encryption.mjs")), &out); err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *caller) noEncryption(dir string, j job, because ...string) {
	c.t.Helper()
	c.no(because, j.text(c.t), dir, "node", "encryption.mjs")
}

// What people write with the AWS Encryption SDK, and what must not open it.
func TestEncryptionSDK(t *testing.T) {
	b := start(t)
	admin := b.admin()
	cfg := admin.config()
	dir := node(t, admin)
	client, people := kms.NewFromConfig(cfg), iam.NewFromConfig(cfg)
	var arns []string
	for range 3 {
		arns = append(arns, *call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.Arn)
	}
	first, second, third := arns[0], arns[1], arns[2]
	ada, adaID := b.person(cfg, "ada", fmt.Sprintf(`{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Encrypt","kms:Decrypt"],"Resource":[%q,%q],
		"Condition":{"StringEquals":{"kms:EncryptionContext:trial":"T-17"}}}`, first, second))
	reader := b.user(cfg, "reader", fmt.Sprintf(`{"Effect":"Allow","Action":"kms:Decrypt","Resource":%q}`, second))

	reader = reader.narrow()

	const secret = "patient 4711 has a sailor's blood pressure"
	purpose := map[string]string{"trial": "T-17", "site": "Dún Laoghaire"}
	made := ada.encryption(dir, job{Encrypt: aws.String(secret), Generator: first, Keys: []string{second}, Context: purpose}).Messages[0]
	for what, way := range map[string]job{
		"the generator":       {Generator: first},
		"the additional key":  {Keys: []string{second}},
		"both":                {Keys: []string{second, first}},
		"whatever it names":   {Discover: []string{account}},
		"another key as well": {Keys: []string{third, second}},
	} {
		way.Decrypt, way.Context = made, purpose
		got := ada.encryption(dir, way)
		if got.Plaintext != secret || !slices.Equal(got.Keys, []string{first, second}) {
			t.Errorf("with %s: %q under %q", what, got.Plaintext, got.Keys)
		}
	}
	if got := reader.encryption(dir, job{Decrypt: made, Discover: []string{account}}); got.Plaintext != secret {
		t.Errorf("who may use one of two keys reads %q", got.Plaintext)
	}

	// One data key for several messages is one call.
	many := ada.encryption(dir, job{Encrypt: aws.String("one of many"), Messages: 4, Generator: second, Context: purpose}).Messages
	if got := ada.encryption(dir, job{Decrypt: many[3], Generator: second}).Plaintext; got != "one of many" {
		t.Errorf("the last of several: %q", got)
	}

	var generated []string
	for _, e := range b.record(cfg, "GenerateDataKey") {
		generated = append(generated, e.RequestParameters["keyId"].(string))
		if !e.about(generated[len(generated)-1]) || e.UserIdentity.OnBehalfOf.UserID != adaID || e.context("site") != purpose["site"] || e.context("trial") != "T-17" {
			t.Errorf("of a data key for ada, for her trial, the record has:\n%s", e.raw)
		}
	}
	if !slices.Equal(generated, []string{second, first}) {
		t.Errorf("data keys were made under %q", generated)
	}
	decrypted := b.record(cfg, "Decrypt")
	if len(decrypted) < 7 {
		t.Errorf("%d uses are in the record", len(decrypted))
	}
	for _, e := range decrypted {
		hers := e.UserIdentity.OnBehalfOf.UserID == adaID || strings.HasSuffix(e.UserIdentity.Arn, ":user/reader")
		if !e.about(first) && !e.about(second) && !e.about(third) || !hers || e.context("trial") != "T-17" {
			t.Errorf("of a use the record has:\n%s", e.raw)
		}
	}
	b.silent(cfg, secret)
	for _, arn := range []string{first, second} {
		if said := b.bawn("audit", "--person", "ada", "--resource", arn); !strings.Contains(said, "Decrypt") || !strings.Contains(said, "GenerateDataKey") {
			t.Errorf("of what ada did with %s, `bawn audit` says:\n%s", arn, said)
		}
	}

	// Who has a grant and nothing else; and messages from before a rotation.
	guest := b.user(cfg, "guest", "")
	grant := call(t, client.CreateGrant, kms.CreateGrantInput{KeyId: &second, GranteePrincipal: aws.String("arn:aws:iam::" + account + ":user/guest"),
		Operations: []types.GrantOperation{types.GrantOperationDecrypt}, Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"trial": "T-17"}}})
	call(t, client.RotateKeyOnDemand, kms.RotateKeyOnDemandInput{KeyId: &first})
	call(t, client.RotateKeyOnDemand, kms.RotateKeyOnDemandInput{KeyId: &second})
	if got := guest.encryption(dir, job{Decrypt: made, Keys: []string{second}, Tokens: []string{*grant.GrantToken}}).Plaintext; got != secret {
		t.Errorf("by a grant it is %q", got)
	}
	newer := ada.encryption(dir, job{Encrypt: aws.String(secret), Generator: second, Context: map[string]string{"trial": "T-17"}}).Messages[0]
	if got := guest.encryption(dir, job{Decrypt: newer, Discover: []string{account}}).Plaintext; got != secret {
		t.Errorf("from after the rotation it is %q", got)
	}
	call(t, client.RevokeGrant, kms.RevokeGrantInput{KeyId: &second, GrantId: grant.GrantId})
	guest.noEncryption(dir, job{Decrypt: made, Keys: []string{second}, Tokens: []string{*grant.GrantToken}}, "InvalidGrantTokenException")
	guest.noEncryption(dir, job{Decrypt: made, Keys: []string{second}}, "AccessDenied")

	refuse := job{Decrypt: made, Discover: []string{account}}
	ada.noEncryption(dir, job{Decrypt: made, Keys: []string{third}})
	ada.noEncryption(dir, job{Decrypt: made, Discover: []string{"210987654321"}})
	ada.noEncryption(dir, job{Encrypt: aws.String(secret), Generator: first, Context: map[string]string{"trial": "T-18"}}, "AccessDenied")
	ada.noEncryption(dir, job{Encrypt: aws.String(secret), Generator: third, Context: purpose}, "AccessDenied")
	raw := must[[]byte](t)(base64.StdEncoding.DecodeString(made))
	at := strings.Index(string(raw), "T-17")
	raw[at+3]++ // trial T-18
	ada.noEncryption(dir, job{Decrypt: base64.StdEncoding.EncodeToString(raw), Discover: []string{account}}, "AccessDenied")
	reader.noEncryption(dir, job{Decrypt: base64.StdEncoding.EncodeToString(raw), Discover: []string{account}}, "InvalidCiphertextException")

	call(t, client.DisableKey, kms.DisableKeyInput{KeyId: &second})
	reader.noEncryption(dir, refuse, "DisabledException")
	if got := ada.encryption(dir, refuse).Plaintext; got != secret {
		t.Errorf("with one key of two disabled: %q", got)
	}
	call(t, client.DisableKey, kms.DisableKeyInput{KeyId: &first})
	ada.noEncryption(dir, refuse, "DisabledException")
	call(t, client.EnableKey, kms.EnableKeyInput{KeyId: &second})
	if got := reader.encryption(dir, refuse).Plaintext; got != secret {
		t.Errorf("enabled again: %q", got)
	}
	call(t, people.DeleteUserPolicy, iam.DeleteUserPolicyInput{UserName: aws.String("reader"), PolicyName: aws.String("p")})
	reader.noEncryption(dir, refuse, "AccessDenied")
}
