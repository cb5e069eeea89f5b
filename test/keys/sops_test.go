package keys

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// ports are the two items of the list.
var ports = regexp.MustCompile(`(?m)^( +- ENC\S+\n)( +- ENC\S+\n)`)

// Files that sops encrypts under keys that a role may use, for those who may assume it.
func TestSops(t *testing.T) {
	if err := sops(); err != nil {
		t.Fatal(err)
	}
	b := start(t)
	cfg := b.admin().config()
	client, people := kms.NewFromConfig(cfg), iam.NewFromConfig(cfg)
	first := *call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.Arn
	second := *call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.Arn
	ada, eve := b.user(cfg, "ada", "").narrow(), b.user(cfg, "eve", "")
	role := *call(t, people.CreateRole, iam.CreateRoleInput{RoleName: aws.String("deploy"),
		AssumeRolePolicyDocument: policy(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/ada"},"Action":"sts:AssumeRole"}`)}).Role.Arn
	call(t, people.PutRolePolicy, iam.PutRolePolicyInput{RoleName: aws.String("deploy"), PolicyName: aws.String("p"), PolicyDocument: policy(fmt.Sprintf(
		`{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":[%q,%q],"Condition":{"StringEquals":{"kms:EncryptionContext:stage":"prod"}}}`, first, second))})

	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		return string(must[[]byte](t)(os.ReadFile(at(name))))
	}
	rules := func(arns ...string) {
		t.Helper()
		text := "creation_rules:\n  - key_groups:\n      - kms:\n"
		for _, arn := range arns {
			text += "          - {arn: '" + arn + "', role: '" + role + "', context: {stage: prod, app: ward}}\n"
		}
		write(".sops.yaml", text)
	}

	const secret = "seven lamps"
	rules(first)
	for name, text := range map[string]string{
		"a.yaml": "database:\n    password: " + secret + "\n    ports:\n        - 5432\n        - 5433\n",
		"a.json": "{\n\t\"database\": {\n\t\t\"password\": \"" + secret + "\"\n\t}\n}",
		"a.env":  "PASSWORD=" + secret + "\nUSER=ada\n",
	} {
		write(name, text)
		ada.run("", dir, "sops", "encrypt", "--in-place", name)
		if sealed := read(name); strings.Contains(sealed, secret) || !strings.Contains(sealed, first) {
			t.Errorf("encrypted, %s is\n%s", name, sealed)
		}
		if got := ada.run("", dir, "sops", "decrypt", name); strings.TrimSpace(got) != strings.TrimSpace(text) {
			t.Errorf("%s decrypts to\n%s", name, got)
		}
		eve.no([]string{"AccessDenied"}, "", dir, "sops", "decrypt", name)
	}

	original := read("a.yaml")
	blob := regexp.MustCompile(`enc: (\S{40})(\S)`)
	swap := func(s string) string { // a few bits of the sealed data key
		m := blob.FindStringSubmatchIndex(s)
		other := "A"
		if s[m[4]:m[5]] == other {
			other = "B"
		}
		return s[:m[4]] + other + s[m[5]:]
	}
	for what, way := range map[string]struct {
		change  func(string) string
		because string
	}{
		"its data key":    {swap, "InvalidCiphertextException"},
		"its context":     {func(s string) string { return strings.Replace(s, "app: ward", "app: lab", 1) }, "InvalidCiphertextException"},
		"a wider context": {func(s string) string { return strings.Replace(s, "stage: prod", "stage: test", 1) }, "AccessDenied"},
		"its key":         {func(s string) string { return strings.Replace(s, first, second, 1) }, "IncorrectKeyException"},
		"a name":          {func(s string) string { return strings.Replace(s, "password:", "username:", 1) }, "message authentication failed"},
		"a list's order":  {func(s string) string { return ports.ReplaceAllString(s, "$2$1") }, "MAC mismatch"},
	} {
		changed := way.change(original)
		if changed == original {
			t.Fatalf("%s: nothing was changed in\n%s", what, original)
		}
		write("changed.yaml", changed)
		ada.no([]string{way.because}, "", dir, "sops", "decrypt", "changed.yaml")
	}

	// A new data key, and then another key of KMS as well, which is enough to read.
	ada.run("", dir, "sops", "rotate", "--in-place", "a.yaml")
	key := regexp.MustCompile(`enc: \S+`)
	if rotated := read("a.yaml"); key.FindString(rotated) == key.FindString(original) {
		t.Error("rotated, the file has its data key still")
	}
	rules(first, second)
	ada.run("", dir, "sops", "updatekeys", "--yes", "a.yaml")
	call(t, client.DisableKey, kms.DisableKeyInput{KeyId: &first})
	if got := ada.run("", dir, "sops", "decrypt", "--extract", `["database"]["password"]`, "a.yaml"); got != secret {
		t.Errorf("under the second key it is %q", got)
	}
	ada.no([]string{"DisabledException"}, "", dir, "sops", "decrypt", "a.env")
	call(t, people.DeleteRolePolicy, iam.DeleteRolePolicyInput{RoleName: aws.String("deploy"), PolicyName: aws.String("p")})
	ada.no([]string{"AccessDenied"}, "", dir, "sops", "decrypt", "a.yaml")

	for _, e := range b.record(cfg, "Encrypt") {
		if !strings.Contains(e.UserIdentity.Arn, ":assumed-role/deploy/sops@") || !e.about(first) && !e.about(second) || e.context("stage") != "prod" || e.context("app") != "ward" {
			t.Errorf("of a use by sops the record has:\n%s", e.raw)
		}
	}
}
