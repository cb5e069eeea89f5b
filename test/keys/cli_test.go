package keys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What shell scripts do with `aws kms`, files and base64, and an envelope with openssl.
func TestCLI(t *testing.T) {
	c := start(t).admin()
	dir := t.TempDir()
	sh := func(script string) string {
		t.Helper()
		return strings.TrimSpace(c.run("set -eu\n"+script, dir, "bash"))
	}
	no := func(because, script string) {
		t.Helper()
		c.no([]string{because}, "set -eu\n"+script, dir, "bash")
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), []byte("line one\nline two\x00\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	arn := sh(`aws kms create-key --description scripts --tags TagKey=team,TagValue=red --query KeyMetadata.Arn --output text`)
	sh(`aws kms create-alias --alias-name alias/scripts --target-key-id ` + arn)
	sh(`aws kms encrypt --key-id alias/scripts --plaintext fileb://plain --encryption-context stage=prod,app=ward --query CiphertextBlob --output text | base64 -d > sealed`)
	sh(`aws kms decrypt --ciphertext-blob fileb://sealed --encryption-context app=ward,stage=prod --query Plaintext --output text | base64 -d | cmp - plain`)
	no("InvalidCiphertextException", `aws kms decrypt --ciphertext-blob fileb://sealed --encryption-context app=ward`)
	no("InvalidCiphertextException", `head -c 60 sealed > cut; aws kms decrypt --ciphertext-blob fileb://cut --encryption-context app=ward,stage=prod`)
	no("ValidationException", `head -c 4097 /dev/zero > long; aws kms encrypt --key-id alias/scripts --plaintext fileb://long`)

	sh(`aws kms generate-data-key --key-id alias/scripts --key-spec AES_256 > answer
python3 -c 'import base64, json
answer = json.load(open("answer"))
for name in "Plaintext", "CiphertextBlob":
    open(name, "wb").write(base64.b64decode(answer[name]))'
openssl enc -aes-256-ctr -pbkdf2 -pass file:Plaintext -in plain -out envelope
rm Plaintext answer
aws kms decrypt --ciphertext-blob fileb://CiphertextBlob --query Plaintext --output text | base64 -d > Plaintext
openssl enc -d -aes-256-ctr -pbkdf2 -pass file:Plaintext -in envelope | cmp - plain`)

	grant := sh(`aws kms create-grant --key-id ` + arn + ` --grantee-principal arn:aws:iam::` + account + `:user/admin --operations Decrypt --constraints EncryptionContextSubset={stage=prod} --query GrantId --output text`)
	if got := sh(`aws kms list-grants --key-id ` + arn + ` --query Grants[].GrantId --output text`); got != grant {
		t.Errorf("grants are %q, not %q", got, grant)
	}
	sh(`aws kms revoke-grant --key-id ` + arn + ` --grant-id ` + grant)
	no("NotFoundException", `aws kms revoke-grant --key-id `+arn+` --grant-id `+grant)
	if got := sh(`aws kms get-key-policy --key-id ` + arn + ` --query Policy --output text | python3 -c 'import json, sys; print(json.load(sys.stdin)["Statement"][0]["Action"])'`); !strings.HasSuffix(got, "kms:*") {
		t.Errorf("its policy: %s", got)
	}
	sh(`aws kms disable-key --key-id ` + arn)
	no("DisabledException", `aws kms decrypt --ciphertext-blob fileb://sealed --encryption-context app=ward,stage=prod`)
	sh(`aws kms schedule-key-deletion --key-id ` + arn + ` --pending-window-in-days 7`)
	no("KMSInvalidStateException", `aws kms enable-key --key-id `+arn)
}
