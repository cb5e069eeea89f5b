package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/server/servertest"
)

// A desk is where a person types commands of the AWS CLI: with a home directory, the
// profiles that she configured there, and the administrator's.
type desk struct {
	t   *testing.T
	b   *servertest.Bawn
	dir string
}

func newDesk(t *testing.T, b *servertest.Bawn) *desk {
	d := &desk{t, b, t.TempDir()}
	for _, name := range []string{"credentials", "config"} {
		text, err := os.ReadFile(b.Config.Path("aws", name))
		if err != nil {
			t.Fatal(err)
		}
		d.file(name, string(text))
	}
	return d
}

// file writes a file and answers its path.
func (d *desk) file(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// run is a command as somebody: what it prints, its complaints, and how it exits.
// Input is what she types when she is asked.
func (d *desk) run(profile, input string, args ...string) (out, complaint string, exit int) {
	d.t.Helper()
	cmd := exec.Command("aws", args...)
	cmd.Dir, cmd.Stdin = d.dir, strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal, questions are answered by the input
	cmd.Env = append(slices.DeleteFunc(d.b.Env(), func(v string) bool {
		return strings.HasPrefix(v, "AWS_PROFILE=") || strings.HasPrefix(v, "HOME=") || strings.HasPrefix(v, "AWS_SHARED") || strings.HasPrefix(v, "AWS_CONFIG")
	}), "HOME="+d.dir, "AWS_PROFILE="+profile, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(d.dir, "credentials"),
		"AWS_CONFIG_FILE="+filepath.Join(d.dir, "config"), "AWS_ENDPOINT_URL="+d.b.URL, "AWS_DEFAULT_REGION="+d.b.Config.Region,
		"AWS_PAGER=", "PYTHONIOENCODING=utf-8")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(stdout.String()), stderr.String(), cmd.ProcessState.ExitCode()
}

// as runs a command that must succeed.
func (d *desk) as(profile string, args ...string) string {
	d.t.Helper()
	out, complaint, exit := d.run(profile, "", args...)
	if exit != 0 {
		d.t.Fatalf("aws %s exits with %d\n%s%s", strings.Join(args, " "), exit, out, complaint)
	}
	return out
}

// refused runs a command that the service must refuse, and answers the message. The
// CLI's first version exits with 255 then, its second with 254.
func (d *desk) refused(profile, code string, args ...string) string {
	d.t.Helper()
	out, complaint, exit := d.run(profile, "", args...)
	if exit != 254 && exit != 255 || out != "" || !strings.Contains(complaint, "An error occurred ("+code+") when calling the ") {
		d.t.Errorf("aws %s exits with %d, not for %s\n%s%s", strings.Join(args, " "), exit, code, out, complaint)
	}
	return complaint
}

// configure keeps a key under the name of a profile: `aws configure` asks for both
// halves, the region and a format.
func (d *desk) configure(profile string, keys credentials) {
	d.t.Helper()
	if _, complaint, exit := d.run("bawn", keys.AccessKeyID+"\n"+keys.Secret+"\n\njson\n", "configure", "--profile", profile); exit != 0 {
		d.t.Fatalf("aws configure exits with %d: %s", exit, complaint)
	}
	if keys.Token != "" {
		d.as("bawn", "configure", "set", "aws_session_token", keys.Token, "--profile", profile)
	}
}

// profile writes one into the configuration by hand.
func (d *desk) profile(name string, lines ...string) {
	d.t.Helper()
	d.file("config", d.read("config")+"\n[profile "+name+"]\n"+strings.Join(lines, "\n")+"\n")
}

func (d *desk) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// want fails the test unless a command printed this.
func (d *desk) want(what, got, want string) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("%s: %q, not %q", what, got, want)
	}
}

type credentials struct {
	AccessKeyID string `json:"AccessKeyId"`
	Secret      string `json:"SecretAccessKey"`
	Token       string `json:"SessionToken"`
}

// parsed reads an answer in JSON.
func parsed[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

const whoAmI = "--query=Arn"

// A day of an engineer who keeps an account by hand.
func TestAccessWithCLI(t *testing.T) {
	b := servertest.Start(t)
	d := newDesk(t, b)
	iam := func(args ...string) string {
		t.Helper()
		return d.as("bawn", append([]string{"iam"}, append(args, "--output", "text")...)...)
	}
	prefix := "arn:aws:iam::" + b.Config.AccountID + ":"

	// A user gets her rights from a group, and a key to use them with.
	ada := iam("create-user", "--user-name", "ada", "--path", "/staff/", "--tags", "Key=team,Value=imaging", "--query", "User.Arn")
	d.want("ada", ada, prefix+"user/staff/ada")
	iam("create-group", "--group-name", "readers")
	iam("add-user-to-group", "--group-name", "readers", "--user-name", "ada")
	iam("attach-group-policy", "--group-name", "readers", "--policy-arn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess")
	d.configure("ada", parsed[credentials](t, d.as("bawn", "iam", "create-access-key", "--user-name", "ada", "--query", "AccessKey")))
	d.want("ada is", d.as("ada", "sts", "get-caller-identity", whoAmI, "--output", "text"), ada)
	d.want("her name", d.as("ada", "iam", "get-user", "--query", "User.UserName", "--output", "text"), "ada")

	// What goes wrong is said in AWS's words, with the CLI's exit codes.
	said := d.refused("ada", "AccessDenied", "iam", "create-user", "--user-name", "eve")
	for _, words := range []string{"User: " + ada + " is not authorized to perform: iam:CreateUser on resource: ", prefix + "user/eve",
		"because no identity-based policy allows the iam:CreateUser action"} {
		if !strings.Contains(said, words) {
			t.Errorf("she hears %s", said)
		}
	}
	said = d.refused("bawn", "NoSuchEntity", "iam", "get-user", "--user-name", "eve")
	if !strings.Contains(said, "The user with name eve cannot be found.") {
		t.Errorf("of nobody: %s", said)
	}
	d.refused("bawn", "EntityAlreadyExists", "iam", "create-user", "--user-name", "Ada")
	d.refused("bawn", "DeleteConflict", "iam", "delete-user", "--user-name", "ada")
	d.refused("bawn", "ValidationError", "iam", "create-user", "--user-name", "not a name")
	d.refused("bawn", "MalformedPolicyDocument", "iam", "put-user-policy", "--user-name", "ada", "--policy-name", "p", "--policy-document", "file://"+d.file("broken.json", `{"Version":`))
	if _, _, exit := d.run("bawn", "", "iam", "create-user"); exit != 2 && exit != 252 { // the CLI's own
		t.Errorf("a command without a name exits with %d", exit)
	}
	if _, complaint, exit := d.run("nobody", "", "sts", "get-caller-identity"); exit != 255 && exit != 253 || !strings.Contains(complaint, "nobody") {
		t.Errorf("an unknown profile exits with %d: %s", exit, complaint)
	}

	// A role with its trust in a file, and a policy that is changed by version.
	trust := d.file("trust.json", `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "`+ada+`"}, "Action": "sts:AssumeRole"}]}`)
	role := iam("create-role", "--role-name", "train", "--assume-role-policy-document", "file://"+trust, "--max-session-duration", "7200", "--description", "Trains models", "--query", "Role.Arn")
	document := d.file("policy.json", `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}`)
	policy := iam("create-policy", "--policy-name", "buckets", "--policy-document", "file://"+document, "--query", "Policy.Arn")
	iam("attach-role-policy", "--role-name", "train", "--policy-arn", policy)
	iam("wait", "role-exists", "--role-name", "train")
	iam("wait", "policy-exists", "--policy-arn", policy)
	d.want("the trust", d.as("bawn", "iam", "get-role", "--role-name", "train", "--query", "Role.AssumeRolePolicyDocument.Statement[0].Principal.AWS", "--output", "text"), ada)
	d.want("attached", iam("list-attached-role-policies", "--role-name", "train", "--query", "AttachedPolicies[].PolicyName"), "buckets")
	d.want("simulated", iam("simulate-principal-policy", "--policy-source-arn", role, "--action-names", "s3:ListAllMyBuckets", "s3:CreateBucket",
		"--query", "EvaluationResults[].[EvalActionName,EvalDecision]"), "s3:ListAllMyBuckets\tallowed\ns3:CreateBucket\timplicitDeny")
	d.profile("train", "role_arn = "+role, "source_profile = ada", "role_session_name = evening")
	d.want("a session is", d.as("train", "sts", "get-caller-identity", whoAmI, "--output", "text"), "arn:aws:sts::"+b.Config.AccountID+":assumed-role/train/evening")
	d.as("train", "s3", "ls")
	denied := d.file("denied.json", `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}`)
	d.want("the new version", iam("create-policy-version", "--policy-arn", policy, "--policy-document", "file://"+denied, "--set-as-default", "--query", "PolicyVersion.VersionId"), "v2")
	if said := d.refused("train", "AccessDenied", "s3api", "list-buckets"); !strings.Contains(said, "with an explicit deny in an identity-based policy") {
		t.Errorf("the session hears %s", said)
	}

	// The CLI joins the pages of what describes the account.
	d.want("the users", iam("get-account-authorization-details", "--page-size", "1", "--query", "UserDetailList[?UserName=='ada'].GroupList[]"), "readers")
	d.want("the roles", iam("get-account-authorization-details", "--filter", "Role", "--page-size", "1", "--query", "RoleDetailList[?RoleName=='train'].AttachedManagedPolicies[].PolicyName"), "buckets")
	d.want("the summary", iam("get-account-summary", "--query", "SummaryMap.AccessKeysPerUserQuota"), "2")
}

// Each kind of credential as a person comes by it, and what the CLI says of it.
func TestCredentialsWithCLI(t *testing.T) {
	b := servertest.Start(t)
	d := newDesk(t, b)
	admin := func(args ...string) string {
		t.Helper()
		return d.as("bawn", append(args, "--output", "text")...)
	}
	who := func(profile string) string {
		t.Helper()
		return d.as(profile, "sts", "get-caller-identity", whoAmI, "--output", "text")
	}
	account := b.Config.AccountID
	ada := admin("iam", "create-user", "--user-name", "ada", "--query", "User.Arn")
	admin("iam", "put-user-policy", "--user-name", "ada", "--policy-name", "own", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:GetFederationToken","sts:AssumeRole"],"Resource":"*"}]}`)
	d.configure("ada", parsed[credentials](t, d.as("bawn", "iam", "create-access-key", "--user-name", "ada", "--query", "AccessKey")))

	// Her device: the seed goes into a file that nobody needs to see.
	phone := admin("iam", "create-virtual-mfa-device", "--virtual-mfa-device-name", "ada", "--outfile", filepath.Join(d.dir, "seed"), "--bootstrap-method", "Base32StringSeed",
		"--query", "VirtualMFADevice.SerialNumber")
	now := time.Now()
	code := func(ahead int) string {
		t.Helper()
		text, err := totp.GenerateCode(strings.TrimSpace(d.read("seed")), now.Add(time.Duration(ahead)*30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	d.refused("bawn", "InvalidAuthenticationCode", "iam", "enable-mfa-device", "--user-name", "ada", "--serial-number", phone, "--authentication-code1", code(-1), "--authentication-code2", code(-1))
	admin("iam", "enable-mfa-device", "--user-name", "ada", "--serial-number", phone, "--authentication-code1", code(-1), "--authentication-code2", code(0))
	d.want("her devices", admin("iam", "list-mfa-devices", "--user-name", "ada", "--query", "MFADevices[].SerialNumber"), phone)

	// A profile that asks her for a code, once for as long as the session lives.
	careful := admin("iam", "create-role", "--role-name", "careful", "--query", "Role.Arn", "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+ada+`"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)
	d.profile("careful", "role_arn = "+careful, "source_profile = ada", "role_session_name = evening", "mfa_serial = "+phone)
	d.refused("ada", "AccessDenied", "sts", "assume-role", "--role-arn", careful, "--role-session-name", "evening")
	if said := d.refused("ada", "AccessDenied", "sts", "assume-role", "--role-arn", careful, "--role-session-name", "evening", "--serial-number", phone, "--token-code", code(0)); !strings.Contains(said, "invalid MFA one time pass code") {
		t.Errorf("a code that was shown before: %s", said)
	}
	evening := "arn:aws:sts::" + account + ":assumed-role/careful/evening"
	out, complaint, exit := d.run("careful", code(1)+"\n", "sts", "get-caller-identity", whoAmI, "--output", "text")
	if exit != 0 || !strings.HasSuffix(out, evening) {
		t.Fatalf("with a code it exits with %d: %s%s", exit, out, complaint)
	}
	d.want("the next time nobody asks", who("careful"), evening)

	// The other kinds.
	d.configure("session", parsed[credentials](t, d.as("ada", "sts", "get-session-token", "--query", "Credentials")))
	d.want("her session is", who("session"), ada)
	d.refused("session", "AccessDenied", "iam", "list-users")
	d.configure("lent", parsed[credentials](t, d.as("ada", "sts", "get-federation-token", "--name", "bob", "--duration-seconds", "900", "--query", "Credentials")))
	d.want("he is", who("lent"), "arn:aws:sts::"+account+":federated-user/bob")
	d.want("the administrator is", who("bawn"), "arn:aws:iam::"+account+":user/admin")
	key := d.as("bawn", "configure", "get", "aws_access_key_id", "--profile", "lent")
	d.want("his key is of", admin("sts", "get-access-key-info", "--access-key-id", key, "--query", "Account"), account)

	// A refusal that the administrator decodes.
	said := d.refused("ada", "UnauthorizedOperation", "ec2", "create-vpc", "--cidr-block", "10.0.0.0/16")
	_, sealed, _ := strings.Cut(said, "Encoded authorization failure message: ")
	decoded := parsed[struct {
		Allowed bool
		Context struct{ Action string }
	}](t, admin("sts", "decode-authorization-message", "--encoded-message", strings.TrimSpace(sealed), "--query", "DecodedMessage"))
	if decoded.Allowed || decoded.Context.Action != "ec2:CreateVpc" {
		t.Errorf("decoded, it says %+v", decoded)
	}
	d.refused("bawn", "InvalidAuthorizationMessageException", "sts", "decode-authorization-message", "--encoded-message", "none")

	// A key that is turned off ends all that came of it.
	id := d.as("bawn", "configure", "get", "aws_access_key_id", "--profile", "ada")
	admin("iam", "update-access-key", "--user-name", "ada", "--access-key-id", id, "--status", "Inactive")
	for _, profile := range []string{"ada", "session", "lent"} {
		d.refused(profile, "InvalidClientTokenId", "sts", "get-caller-identity")
	}
}
