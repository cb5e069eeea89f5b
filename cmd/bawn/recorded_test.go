package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
)

// What an operator's command leaves in the record, or why it leaves nothing.
type trace struct {
	command string // as it is called
	event   string
	args    string // of a call on the directory of this test, by the names below; fields are apart by spaces
	fails   bool   // with these arguments: what was asked is on record none the less
	host    bool   // the host's journal has it first, and the record when the server hears of the host
	without string // an event: why this test does not call it, or why there is none
}

var traces = []trace{
	{command: "init", event: "Init", without: "the test began with it"},
	{command: "serve", event: "StartServer", without: "the test began with it"},
	{command: "host", event: "StartHost", host: true, without: "it needs a machine of its own: test/job"},

	{command: "audit", event: "Audit"},
	{command: "explain", event: "Explain", args: "--principal arn:aws:iam::123456789012:user/admin --action s3:ListAllMyBuckets --resource *"},
	{command: "network", event: "Network"},
	{command: "reach", event: "Reach", args: "vpc-0123456789abcdef0:10.0.0.1 10.0.0.2 443", fails: true},
	{command: "fsck", event: "Fsck"},
	{command: "rekey", event: "Rekey", args: "--to file"},

	{command: "verify key", event: "RecordKey"},
	{command: "verify export", event: "ExportRecord", args: "COPY"},
	{command: "verify prove", event: "ProveRecord", args: "EVENT"},
	{command: "verify extend", event: "ExtendRecord", args: "COPY/checkpoint"},
	{command: "verify status", event: "RecordMemories"},
	{command: "verify log", without: "it works on a copy, wherever that is"},
	{command: "verify record", without: "it works on a copy, wherever that is"},
	{command: "verify heads", without: "it works on a copy, wherever that is"},
	{command: "verify trail", without: "it works on a copy, wherever that is"},
	{command: "witness init", without: "a witness is elsewhere"},
	{command: "witness serve", without: "a witness is elsewhere"},

	{command: "image list", without: "it tells nothing of anybody"},
	{command: "image path", without: "it tells nothing of anybody"},
	{command: "image import", event: "ImportImage", args: "--name small IMAGE", host: true},
	{command: "image build", event: "BuildImage", host: true, without: "it takes minutes, and ends as import does"},

	{command: "scim create-token", event: "CreateBearerToken"},
	{command: "scim list-tokens", event: "ListBearerTokens"},
	{command: "scim delete-token", event: "DeleteBearerToken", args: "TOKEN"},

	{command: "people set-password", event: "SetPersonPassword", args: "ada"},
	{command: "people unlock", event: "UnlockPerson", args: "ada"},
	{command: "people reset-mfa", event: "ResetPersonMFA", args: "ada"},
	{command: "people end-sessions", event: "EndPersonSessions", args: "ada"},
	{command: "people mfa-policy", event: "MFAPolicy", args: "when-registered"},

	{command: "provider add-oidc", event: "AddIdentityProvider", args: "--issuer https://login.example.org --client-id bawn --secret-file SECRET oidc"},
	{command: "provider add-saml", event: "AddIdentityProvider", without: "it is add-oidc with other settings"},
	{command: "provider list", event: "ListIdentityProviders"},
	{command: "provider remove", event: "RemoveIdentityProvider", args: "oidc"},
	{command: "provider add-client", event: "AddApplication", args: "--redirect-uri https://app.example.org/back app"},
	{command: "provider list-clients", event: "ListApplications"},
	{command: "provider remove-client", event: "RemoveApplication", args: "app"},
	{command: "provider rotate-keys", event: "RotateSigningKeys"},

	{command: "directory add", event: "AddDirectory",
		args: "--url ldaps://127.0.0.1:1 --kind ad --bind-dn cn=bawn --password-file SECRET --user-base dc=example --group-base dc=example corp"},
	{command: "directory list", event: "ListDirectories"},
	{command: "directory test", event: "TestDirectory", args: "corp", fails: true},
	{command: "directory sync", event: "SynchronizeDirectory", args: "corp", fails: true},
	{command: "directory remove", event: "RemoveDirectory", args: "corp"},

	{command: "egress allow", event: "AllowEgress", args: "--group GROUP pypi.org:443"},
	{command: "egress list", event: "ListEgress"},
	{command: "egress revoke", event: "RevokeEgress", args: "RULE"},
	{command: "site allow", event: "AllowSite", args: "--account 123456789012 wiki wiki.example.org:443"},
	{command: "site list", event: "ListSites"},
	{command: "site revoke", event: "RevokeSite", args: "--account 123456789012 wiki"},
	{command: "unlock-bucket", event: "UnlockBucket", args: "locked"},

	{command: "login", without: "what it calls is recorded as every call is"},
	{command: "credentials", without: "what it calls is recorded as every call is"},
	{command: "logout", without: "what it calls is recorded as every call is"},
	{command: "version", without: "it asks nobody"},
}

// A new command cannot be made without a word on what it leaves in the record.
func TestEveryCommandHasItsTrace(t *testing.T) {
	parser, err := kong.New(&cli{}, variables())
	if err != nil {
		t.Fatal(err)
	}
	var commands, known []string
	for _, leaf := range parser.Model.Leaves(false) {
		command, _, _ := strings.Cut(strings.TrimPrefix(leaf.FullPath(), parser.Model.Name+" "), " <")
		commands = append(commands, command)
	}
	for _, c := range traces {
		if c.event == "" && c.without == "" {
			t.Errorf("%s leaves nothing, and nobody says why", c.command)
		}
		known = append(known, c.command)
	}
	slices.Sort(commands)
	slices.Sort(known)
	if !slices.Equal(commands, known) {
		t.Errorf("there are %q\nand traces of %q", commands, known)
	}
}

// Each command leaves its event in the record of a running server, with the name of who
// ran it.
func TestCommandsAreOnRecord(t *testing.T) {
	dir := t.TempDir()
	binary, data := filepath.Join(dir, "bawn"), filepath.Join(dir, "data")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("USER", "grace")
	t.Setenv("SUDO_USER", "")
	bawn := func(args ...string) (string, error) {
		cmd := exec.Command(binary, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := bawn("init", "--data", data); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	url := served(t, binary, data)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	setUp := exec.Command("python3", "-c", `
import boto3, json, sys
client = lambda s: boto3.client(s, endpoint_url=sys.argv[1], verify=sys.argv[2], region_name="us-east-1")
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
client("identitystore").create_user(IdentityStoreId=store, UserName="ada", DisplayName="Ada", Name=dict(GivenName="Ada", FamilyName="L"))
client("s3").create_bucket(Bucket="locked")
client("s3").put_bucket_policy(Bucket="locked", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::locked"}]}), ConfirmRemoveSelfBucketAccess=True)
print(client("ec2").create_security_group(GroupName="g", Description="g", VpcId=client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"])["GroupId"])`,
		url, filepath.Join(data, "ca.pem"))
	setUp.Env = append(os.Environ(), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(data, "aws", "credentials"), "AWS_PROFILE=bawn", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+filepath.Join(data, "aws", "config"))
	group, err := setUp.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	named := map[string]string{
		"COPY": filepath.Join(dir, "copy"), "SECRET": file("secret", "a secret\n"), "IMAGE": filepath.Dir(file("image/etc/hello", "hello")),
		"GROUP": strings.TrimSpace(string(group)),
	}

	for _, c := range traces {
		if c.without != "" {
			continue
		}
		verb := strings.Fields(c.command)
		args := append(verb, "--data", data)
		for _, a := range strings.Fields(c.args) {
			for name, value := range named {
				a = strings.ReplaceAll(a, name, value)
			}
			args = append(args, a)
		}
		out, err := bawn(args...)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v\n%s", c.command, err, out)
		}
		switch c.command { // what later ones need
		case "fsck":
			_, all := eventsOf(t, bawn, data)
			named["EVENT"] = all[0].EventID
		case "scim create-token":
			text, _ := bawn("scim", "list-tokens", "--data", data, "--output", "json")
			named["TOKEN"] = firstID(t, text)
		case "egress allow":
			text, _ := bawn("egress", "list", "--data", data, "--output", "json")
			named["RULE"] = firstID(t, text)
		}
	}

	found, _ := eventsOf(t, bawn, data)
	journal, err := os.ReadFile(filepath.Join(data, "host", "journal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range traces {
		switch {
		case c.event == "" || c.without != "" && c.host:
		case c.host:
			if !strings.Contains(string(journal), `"name":"`+c.event+`"`) || !strings.Contains(string(journal), `"operator":"grace"`) {
				t.Errorf("%s: the host's journal is %s", c.command, journal)
			}
		case !slices.ContainsFunc(found[c.event], func(e recordedEvent) bool {
			u := e.UserIdentity
			return u.Type == "Operator" && u.UserName == "grace" && e.EventType == "BawnAdministration"
		}):
			t.Errorf("%s left no %s by the operator: %+v", c.command, c.event, found[c.event])
		}
	}
}

type recordedEvent struct {
	EventID, EventName, EventType string
	UserIdentity                  struct{ Type, UserName string }
}

func eventsOf(t *testing.T, bawn func(...string) (string, error), data string) (byName map[string][]recordedEvent, all []recordedEvent) {
	t.Helper()
	out, err := bawn("audit", "--data", data, "--limit", "0", "--output", "json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	byName = map[string][]recordedEvent{}
	for line := range strings.Lines(out) {
		var e recordedEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		byName[e.EventName], all = append(byName[e.EventName], e), append(all, e)
	}
	return byName, all
}

// firstID is the id of the first of a list.
func firstID(t *testing.T, text string) string {
	t.Helper()
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) == 0 {
		t.Fatalf("%v: %s", err, text)
	}
	for _, name := range []string{"id", "ID", "tokenId"} {
		if id, ok := list[0][name].(string); ok {
			return id
		}
	}
	t.Fatalf("no id in %s", text)
	return ""
}

// served runs the server until the test ends, and answers its URL.
func served(t *testing.T, binary, data string) (url string) {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
		cmd.Wait()                          //nolint:errcheck // nothing hangs on how
	})
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "msg=serving address="); ok {
			url = "https://" + strings.Fields(address)[0]
			break
		}
	}
	if url == "" {
		t.Fatal("the server did not start")
	}
	go func() {
		for lines.Scan() { // or it could not go on
		}
	}()
	return url
}
