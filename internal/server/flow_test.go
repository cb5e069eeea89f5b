package server_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

func script(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// boto3, unmodified, over TLS: a person enters, works, is refused, and is recorded.
func TestFrontDoor(t *testing.T) {
	b := servertest.Start(t)
	user := strings.TrimSpace(b.Python(t, script(t, "frontdoor.py"), b.Token(t, "ada@example.org", nil), b.Token(t, "ada@example.org", nil)))

	apitest.NoPlaintext(t, b.Config.Data, "MARKER-plaintext-of-the-data-set")
	if strings.Contains(b.Log.String(), "MARKER") {
		t.Error("plaintext is in the log")
	}
	page, err := b.Audit(context.Background(), server.AuditRequest{Operator: "test", Person: user})
	if err != nil || len(page.Lines) < 5 {
		t.Errorf("%+v on her behalf, %v", page, err)
	}
	report, err := b.Check(context.Background(), server.CheckRequest{Operator: "test"})
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	b.Restart(t)
	report, err = b.Check(context.Background(), server.CheckRequest{Operator: "test"})
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("after a restart: %+v, %v", report, err)
	}
}

// The AWS CLI does a shorter one.
func TestCLI(t *testing.T) {
	b := servertest.Start(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/in", []byte(strings.Repeat("MARKER-cli-plaintext\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.CLI(t, "s3", "mb", "s3://cli-bucket")
	b.CLI(t, "s3", "cp", dir+"/in", "s3://cli-bucket/dir/in")
	if out := b.CLI(t, "s3", "ls", "s3://cli-bucket/dir/"); !strings.Contains(out, "21000 in") {
		t.Errorf("ls shows %q", out)
	}
	b.CLI(t, "s3", "cp", "s3://cli-bucket/dir/in", dir+"/out")
	in, _ := os.ReadFile(dir + "/in")
	out, err := os.ReadFile(dir + "/out")
	if err != nil || string(in) != string(out) {
		t.Errorf("what came back differs: %v", err)
	}
	if out := b.CLI(t, "cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=PutObject", "--query", "Events[0].Username", "--output", "text"); strings.TrimSpace(out) != "admin" {
		t.Errorf("the record names %q", out)
	}
	apitest.NoPlaintext(t, b.Config.Data, "MARKER-cli-plaintext")
}
