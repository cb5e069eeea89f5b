package sts_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
)

// aws runs the AWS CLI with profiles alone, as people do.
func (h *house) aws(t testing.TB, profile string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("aws", append([]string{"--profile", profile, "--output", "json"}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.Dir, "AWS_ENDPOINT_URL=" + h.URL, "AWS_DEFAULT_REGION=" + apitest.Region,
		"AWS_CONFIG_FILE=" + filepath.Join(h.Dir, "config"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(h.Dir, "credentials"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *house) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(h.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProfilesWithCLI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Fatal("there is no AWS CLI here: run scripts/clients")
	}
	h := newHouse(t)
	h.register(t)
	keyed := h.role(t, "keyed", trust(`{"AWS":"arn:aws:iam::`+account+`:user/admin"}`, assume, `{"StringEquals":{"sts:ExternalId":"forty-two"}}`), document(admin))
	chained := h.role(t, "chained", trust(`{"AWS":"`+keyed+`"}`, assume, ""), document(admin))
	deploy := h.trusting(t, "deploy", withToken)
	h.write(t, "credentials", "[source]\naws_access_key_id="+h.key.AccessKeyID+"\naws_secret_access_key="+h.key.Secret+"\n")
	token := h.write(t, "token", h.token(t, nil))
	forged := h.write(t, "forged", h.token(t, func(c map[string]any) { c["sub"] = "repo/fork" }))
	h.write(t, "config", strings.Join([]string{
		"[profile keyed]", "role_arn=" + keyed, "source_profile=source", "external_id=forty-two", "role_session_name=me",
		"[profile unkeyed]", "role_arn=" + keyed, "source_profile=source",
		"[profile chained]", "role_arn=" + chained, "source_profile=keyed", "role_session_name=next",
		"[profile web]", "role_arn=" + deploy, "web_identity_token_file=" + token, "role_session_name=pipeline",
		"[profile forged]", "role_arn=" + deploy, "web_identity_token_file=" + forged, "role_session_name=fork", "",
	}, "\n"))
	for profile, want := range map[string]string{"keyed": "keyed/me", "chained": "chained/next", "web": "deploy/pipeline"} {
		out, err := h.aws(t, profile, "sts", "get-caller-identity")
		var me struct{ Arn string }
		if err != nil || json.Unmarshal([]byte(out), &me) != nil || me.Arn != "arn:aws:sts::"+account+":assumed-role/"+want {
			t.Errorf("%s: %v %s", profile, err, out)
		}
	}
	for profile, action := range map[string]string{"unkeyed": "AssumeRole", "forged": "AssumeRoleWithWebIdentity"} {
		if out, err := h.aws(t, profile, "sts", "get-caller-identity"); err == nil || !strings.Contains(out, "AccessDenied") || !strings.Contains(out, action+" ") {
			t.Errorf("%s: %v %s", profile, err, out)
		}
	}
}

// The operations as boto3 knows them, with its exceptions.
func TestOperationsWithBoto3(t *testing.T) {
	h := newHouse(t)
	h.register(t)
	p := h.idp(t, h.admin, "https://idp.example.org/saml")
	deploy := h.trusting(t, "deploy", withToken)
	staff := h.role(t, "staff", trust(`{"Federated":"`+samlARN+`"}`, withSAML, ""), document(admin))
	old := h.token(t, func(c map[string]any) { c["iat"], c["exp"] = 1_700_000_000, 1_700_000_600 })
	given, err := json.Marshal(map[string]string{
		"token": h.token(t, nil), "old": old, "assertion": p.Encoded(h.vouch(p, staff)), "deploy": deploy, "staff": staff, "saml": samlARN,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Python(t, h.key, `
import datetime
GIVEN = json.loads(r'''`+string(given)+`''')
sts = client("sts")
open_sts = boto3.client("sts", endpoint_url=os.environ["BAWN_URL"], config=botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1}))
def using(c, service):
    return client(service, aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"], aws_session_token=c["SessionToken"])
def raises(kind, f, **kw):
    try:
        f(**kw)
    except kind as e:
        return e.response
    raise AssertionError("was not refused")

own = sts.get_session_token(DurationSeconds=900)["Credentials"]
assert using(own, "sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/admin"
refused(using(own, "iam").list_users, "AccessDenied")
refused(using(own, "sts").get_session_token, "AccessDenied")
refused(sts.get_session_token, "AccessDenied", SerialNumber="arn:aws:iam::123456789012:mfa/none", TokenCode="123456")

lent = sts.get_federation_token(Name="bob", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}),
    Tags=[{"Key": "team", "Value": "x"}], DurationSeconds=900)
assert lent["FederatedUser"] == {"FederatedUserId": "123456789012:bob", "Arn": "arn:aws:sts::123456789012:federated-user/bob"}, lent
me = using(lent["Credentials"], "sts").get_caller_identity()
assert (me["UserId"], me["Arn"]) == ("123456789012:bob", "arn:aws:sts::123456789012:federated-user/bob"), me
refused(using(lent["Credentials"], "iam").list_users, "AccessDenied")
raises(sts.exceptions.MalformedPolicyDocumentException, sts.get_federation_token, Name="bob", Policy="{}")
raises(sts.exceptions.PackedPolicyTooLargeException, sts.get_federation_token, Name="bob",
    Tags=[{"Key": f"key-{i}", "Value": "v" * 250} for i in range(50)])

web = open_sts.assume_role_with_web_identity(RoleArn=GIVEN["deploy"], RoleSessionName="pipe", WebIdentityToken=GIVEN["token"], DurationSeconds=900)
assert web["SubjectFromWebIdentityToken"] == "repo/main" and web["Audience"] == "`+client+`" and web["Provider"] == "`+issuerARN+`", web
left = web["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
assert 880 < left.total_seconds() <= 900, left
using(web["Credentials"], "iam").list_users()
x = open_sts.exceptions
raises(x.InvalidIdentityTokenException, open_sts.assume_role_with_web_identity, RoleArn=GIVEN["deploy"], RoleSessionName="pipe", WebIdentityToken="none")
raises(x.ExpiredTokenException, open_sts.assume_role_with_web_identity, RoleArn=GIVEN["deploy"], RoleSessionName="pipe", WebIdentityToken=GIVEN["old"])
refused(open_sts.assume_role_with_web_identity, "AccessDenied", RoleArn=GIVEN["staff"], RoleSessionName="pipe", WebIdentityToken=GIVEN["token"])

saml = open_sts.assume_role_with_saml(RoleArn=GIVEN["staff"], PrincipalArn=GIVEN["saml"], SAMLAssertion=GIVEN["assertion"])
assert saml["Subject"] == "ada" and saml["SubjectType"] == "persistent" and saml["AssumedRoleUser"]["Arn"].endswith("/staff/ada@example.org"), saml
using(saml["Credentials"], "iam").list_users()
raises(x.InvalidIdentityTokenException, open_sts.assume_role_with_saml, RoleArn=GIVEN["staff"], PrincipalArn=GIVEN["saml"], SAMLAssertion="AAAA")

for c in (own, lent["Credentials"], web["Credentials"], saml["Credentials"]):
    assert sts.get_access_key_info(AccessKeyId=c["AccessKeyId"])["Account"] == "123456789012"
raises(sts.exceptions.InvalidAuthorizationMessageException, sts.decode_authorization_message, EncodedMessage="none")
`)
}
