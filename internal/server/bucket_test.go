package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// A policy that denies everyone binds also the administrator; the operator alone can
// take it away, which is recorded where the bucket is.
func TestABucketIsUnlocked(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, `
s3 = client("s3")
s3.create_bucket(Bucket="locked")
s3.put_object(Bucket="locked", Key="k", Body=b"x")
s3.put_bucket_policy(Bucket="locked", ConfirmRemoveSelfBucketAccess=True, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::locked", "arn:aws:s3:::locked/*"]}]}))
refused(s3.get_object, "AccessDenied", Bucket="locked", Key="k")
refused(s3.delete_bucket_policy, "AccessDenied", Bucket="locked")
refused(s3.put_bucket_policy, "AccessDenied", Bucket="locked", Policy="{}")
`)
	var out server.Unlocked
	if err := server.AskRunning(t.Context(), b.Config, "/unlock-bucket", server.UnlockRequest{Operator: "op", Bucket: "locked"}, &out); err != nil {
		t.Fatal(err)
	}
	if out.Account != b.Config.AccountID || !strings.Contains(string(out.Policy), `"Deny"`) {
		t.Errorf("%+v", out)
	}
	b.Python(t, `
assert client("s3").get_object(Bucket="locked", Key="k")["Body"].read() == b"x"`)
	page, err := b.Trail().Find(t.Context(), trail.Query{Account: b.Config.AccountID, EventName: "UnlockBucket", Limit: 5})
	if err != nil || len(page.Entries) != 1 {
		t.Fatalf("%d records, %v", len(page.Entries), err)
	}
	if r := page.Entries[0].Record; r.UserIdentity.UserName != "op" || !strings.Contains(string(r.AdditionalEventData), "Deny") {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"locked", "none"} { // it has no policy any more; there is none
		if err := server.AskRunning(t.Context(), b.Config, "/unlock-bucket", server.UnlockRequest{Operator: "op", Bucket: name}, &out); err == nil {
			t.Errorf("%s was unlocked", name)
		}
	}
}

// What a bucket's rules let pages of other sites see are S3's answers. A bucket may be
// called as a page or an API is: those keep to themselves.
func TestRulesOfBucketsAreNoneOfPages(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, `
s3 = client("s3")
for name in ["start", "federation", "device", "saml", "healthz", "token"]:
    s3.create_bucket(Bucket=name)
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET", "PUT", "POST", "DELETE", "HEAD"], "AllowedOrigins": ["https://evil.net", "*"], "AllowedHeaders": ["*"]}]})
`)
	c := b.Client(t)
	for _, ask := range []struct{ method, path string }{
		{http.MethodGet, "/start"}, {http.MethodGet, "/start/"}, {http.MethodOptions, "/start"}, {http.MethodPost, "/start/sign-in"},
		{http.MethodGet, "/device"}, {http.MethodOptions, "/device"}, {http.MethodGet, "/saml/metadata/x"}, {http.MethodOptions, "/saml/acs/x"},
		{http.MethodGet, "/healthz"}, {http.MethodGet, "/federation/credentials?role_name=r&account_id=123456789012"}, {http.MethodPost, "/token"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), ask.method, b.URL+ask.path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://evil.net")
		r.Header.Set("Access-Control-Request-Method", "GET")
		got, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, got.Body)
		got.Body.Close()
		if got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: %d %v", ask.method, ask.path, got.StatusCode, got.Header)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, b.URL+"/token/object", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://evil.net")
	r.Header.Set("Access-Control-Request-Method", "GET")
	got, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	got.Body.Close()
	if got.StatusCode != 200 || got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("an object of a bucket: %d %v", got.StatusCode, got.Header)
	}
}
