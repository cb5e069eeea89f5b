package apitest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/trail"
)

// A Caller is a principal with keys.
type Caller struct {
	rig         *Rig
	Entity      *api.Entity
	AccessKeyID string
	Secret      string
	Token       string
	Claim       *api.Claim // of a session; nil for a user
}

// Call makes one call as c, from inside: decisions, record and handler are those
// of any call; signature and wire are left to Python and the AWS CLI below.
func Call[Out any](t testing.TB, c *Caller, action string, in any) (*Out, *api.Error) {
	t.Helper()
	claim := api.Claim{Kind: api.KindUser, Account: c.Entity.Account, ID: c.Entity.ID, AccessKeyID: c.AccessKeyID}
	if c.Claim != nil {
		claim = *c.Claim
	}
	return CallAs[Out](t, c.rig, claim, "", action, in)
}

// CallAs is Call for any claim, forwarded by the service via, if any.
func CallAs[Out any](t testing.TB, r *Rig, claim api.Claim, via, action string, in any) (*Out, *api.Error) {
	t.Helper()
	ctx := context.Background()
	call, err := r.Door.Begin(ctx, claim, via)
	if err != nil {
		return nil, &api.Error{Code: "Unauthenticated", Message: err.Error()}
	}
	out, err := api.Invoke[Out](ctx, call, action, in)
	if err != nil {
		var e *api.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v is not for the world", action, err)
		}
		return nil, e
	}
	return out, nil
}

// Must is Call where a refusal ends the test.
func Must[Out any](t testing.TB, c *Caller, action string, in any) *Out {
	t.Helper()
	out, err := Call[Out](t, c, action, in)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return out
}

// Python runs a script with boto3 against the rig, as c. It must exit with 0;
// what it printed is returned. The script gets `client(service)`.
func (r *Rig) Python(t testing.TB, c *Caller, script string) string {
	t.Helper()
	const prelude = `
import boto3, botocore.config, botocore.exceptions, json, os, sys
def client(service, **kw):
    return boto3.client(service, endpoint_url=os.environ["BAWN_URL"], config=botocore.config.Config(
        retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, inject_host_prefix=False), **kw)
def refused(f, code=None, **kw):
    try:
        f(**kw)
    except botocore.exceptions.ClientError as e:
        got = e.response["Error"]["Code"]
        assert code is None or got == code, f"{got}, not {code}: {e}"
        return e
    raise AssertionError("was not refused")
`
	out, err := r.command(c, "python3", "-c", prelude+script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// CLI runs the AWS CLI against the rig, as c.
func (r *Rig) CLI(t testing.TB, c *Caller, args ...string) (string, error) {
	t.Helper()
	out, err := r.command(c, "aws", append([]string{"--endpoint-url", r.URL}, args...)...).CombinedOutput()
	return string(out), err
}

func (r *Rig) command(c *Caller, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.Dir, "BAWN_URL=" + r.URL,
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.Secret,
		"AWS_DEFAULT_REGION=" + Region, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
	}
	if c.Token != "" {
		cmd.Env = append(cmd.Env, "AWS_SESSION_TOKEN="+c.Token)
	}
	return cmd
}

// Records are the last records of an account, newest first, whose event name is
// name (all, if it is empty).
func (r *Rig) Records(t testing.TB, account, name string) []*trail.Record {
	t.Helper()
	page, err := r.Trail.Find(context.Background(), trail.Query{Account: account, EventName: name, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	var out []*trail.Record
	for _, e := range page.Entries {
		out = append(out, e.Record)
	}
	return out
}
