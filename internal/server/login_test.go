package server_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

// session lets a person in whose one-time password an administrator just told her.
func (d door) session(name, password string) string {
	d.t.Helper()
	out := d.password(name, password)
	out = d.call("ContinueSignIn", map[string]string{"Flow": out.Flow, "NewPassword": "seven lamps over Dublin"})
	if out.Totp == nil {
		d.t.Fatalf("%+v", out)
	}
	code, err := totp.GenerateCode(out.Totp.Secret, time.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	if out = d.call("ContinueSignIn", map[string]string{"Flow": out.Flow, "Code": code}); out.Session == "" {
		d.t.Fatalf("%+v", out)
	}
	return out.Session
}

// A scientist signs in with one command, and AWS's tools work by her profile until her
// assignment goes.
func TestBawnLogin(t *testing.T) {
	b := servertest.Start(t)
	binary := build(t)
	var made map[string]string
	if err := json.Unmarshal([]byte(b.Python(t, accessSetup+`
ada = ids.create_user(IdentityStoreId=store, UserName="ada", DisplayName="Ada", Name=dict(GivenName="Ada", FamilyName="L"))["UserId"]
me = sts.get_caller_identity()["Account"]
ps = sso.create_permission_set(InstanceArn=instance, Name="Scientist")["PermissionSet"]["PermissionSetArn"]
sso.attach_managed_policy_to_permission_set(InstanceArn=instance, PermissionSetArn=ps, ManagedPolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
grant = dict(InstanceArn=instance, TargetId=me, TargetType="AWS_ACCOUNT", PermissionSetArn=ps, PrincipalType="USER", PrincipalId=ada)
settled("creation", sso.create_account_assignment(**grant))
print(json.dumps(grant))
`)), &made); err != nil {
		t.Fatal(err)
	}
	var once server.PeopleAnswer
	if err := server.AskRunning(t.Context(), b.Config, "/people", server.PeopleRequest{Do: "set-password", User: "ada", Operator: "root"}, &once); err != nil {
		t.Fatal(err)
	}
	d := door{t, b}
	session := d.session("ada", once.Password)

	home := t.TempDir()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "GODEBUG=" + os.Getenv("GODEBUG")}
	cmd := exec.Command(binary, "login", "--device", "--url", b.URL, "--ca", b.Config.Path("ca.pem"), "--profile", "work")
	cmd.Env, cmd.Stderr = env, os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`^ +([A-Z]{4}-[A-Z]{4})$`)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if m := code.FindStringSubmatch(lines.Text()); m != nil {
			b.Python(t, `
import ssl, urllib.request
headers = {"X-Amz-Target": "BawnSignIn.ApproveDevice", "Content-Type": "application/x-amz-json-1.1"}
r = urllib.request.Request(URL, json.dumps({"Session": sys.argv[1], "UserCode": sys.argv[2]}).encode(), headers)
urllib.request.urlopen(r, context=ssl.create_default_context(cafile=CA))`, session, m[1])
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}

	aws := func(args ...string) (string, error) {
		cmd := exec.Command("aws", append([]string{"--profile", "work"}, args...)...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := aws("sts", "get-caller-identity"); err != nil || !regexp.MustCompile(`assumed-role/AWSReservedSSO_Scientist_[0-9a-f]{16}/ada"`).MatchString(out) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := aws("iam", "list-roles"); err != nil || !strings.Contains(out, "AWSReservedSSO_Scientist_") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := aws("iam", "create-user", "--user-name", "eve"); err == nil || !strings.Contains(out, "AccessDenied") {
		t.Errorf("who may read makes users: %v\n%s", err, out)
	}
	if info, err := os.Stat(filepath.Join(home, ".aws", "bawn", "work.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}

	grant, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	b.Python(t, accessSetup+`
settled("deletion", sso.delete_account_assignment(**json.loads(sys.argv[1])))
`, string(grant))
	if out, err := aws("sts", "get-caller-identity"); err == nil || !strings.Contains(out, "No access") {
		t.Errorf("after the assignment went: %v\n%s", err, out)
	}
	out := exec.Command(binary, "logout", "--profile", "work")
	out.Env = env
	if text, err := out.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if out, err := aws("sts", "get-caller-identity"); err == nil || !strings.Contains(out, "bawn login") {
		t.Errorf("after she signed out: %v\n%s", err, out)
	}
}

// What AWS's command line is told that asks a start URL where it leads.
func TestStartURL(t *testing.T) {
	b := servertest.Start(t)
	resp, err := b.Client(t).Head(b.URL + "/start")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	instance := strings.TrimSpace(b.Python(t, `print(client("sso-admin").list_instances()["Instances"][0]["InstanceArn"].split("/")[1])`))
	if want := "https://identitycenter.amazonaws.com/" + instance; resp.StatusCode != 302 || resp.Header.Get("Location") != want {
		t.Errorf("%s leads to %q, want %q", resp.Status, resp.Header.Get("Location"), want)
	}
	b.Python(t, `
oidc = client("sso-oidc")
c = oidc.register_client(clientName="aws-cli", clientType="public", scopes=["sso:account:access"], issuerUrl=sys.argv[1],
    grantTypes=["authorization_code", "refresh_token"], redirectUris=["http://127.0.0.1/oauth/callback"])
assert c["authorizationEndpoint"].endswith("/authorize") and c["authorizationEndpoint"].startswith("https://"), c
c = oidc.register_client(clientName="aws-cli", clientType="public", scopes=["sso:account:access"])
d = oidc.start_device_authorization(clientId=c["clientId"], clientSecret=c["clientSecret"], startUrl=sys.argv[1])
assert d["verificationUriComplete"].endswith("/device?user_code=" + d["userCode"]), d
`, resp.Header.Get("Location"))
}
