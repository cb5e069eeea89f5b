package s3

import (
	"net/http"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/trail"
)

// preflight asks as a browser does.
func (b *bench) preflight(t *testing.T, path, origin, method, headers string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, b.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host, rest, virtual := strings.Cut(path, ".s3.amazonaws.com/"); virtual {
		r.Host, r.URL.Path = host[1:]+".s3.amazonaws.com", "/"+rest
	}
	for name, value := range map[string]string{"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	got.Body.Close()
	return got
}

func (b *bench) allowPages(t *testing.T, bucket string, rules ...s3.CORSRule) {
	t.Helper()
	apitest.Must[s3.PutBucketCorsOutput](t, b.admin, "s3:PutBucketCors", &s3.PutBucketCorsInput{Bucket: bucket, CORSConfiguration: &s3.CORSConfiguration{CORSRules: rules}})
}

func TestPagesOfOtherSites(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.bucket(t, "closed")
	b.put(t, "data", "k", "content")
	age := int32(60)
	b.allowPages(t, "data",
		s3.CORSRule{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"https://*.example.org"}, AllowedHeaders: []string{"x-amz-*", "Authorization"},
			ExposeHeaders: []string{"ETag", "x-amz-request-id"}, MaxAgeSeconds: &age},
		s3.CORSRule{AllowedMethods: []string{"HEAD"}, AllowedOrigins: []string{"*"}})

	got := b.preflight(t, "/data/k", "https://app.example.org", "GET", "X-Amz-Date, authorization")
	want := map[string]string{
		"Access-Control-Allow-Origin": "https://app.example.org", "Access-Control-Allow-Methods": "GET", "Access-Control-Max-Age": "60",
		"Access-Control-Allow-Headers": "x-amz-date, authorization", "Access-Control-Expose-Headers": "ETag, x-amz-request-id",
		"Access-Control-Allow-Credentials": "",
	}
	for name, value := range want {
		if got.StatusCode != 200 || got.Header.Get(name) != value {
			t.Errorf("%d, %s: %q, want %q", got.StatusCode, name, got.Header.Get(name), value)
		}
	}
	if !strings.Contains(got.Header.Get("Vary"), "Origin") {
		t.Errorf("Vary: %q", got.Header.Get("Vary"))
	}
	if got := b.preflight(t, "/data/k", "https://anywhere.net", "HEAD", ""); got.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("any origin: %v", got.Header)
	}

	if got := b.preflight(t, "/data.s3.amazonaws.com/k", "https://app.example.org", "GET", ""); got.Header.Get("Access-Control-Allow-Origin") != "https://app.example.org" {
		t.Errorf("by host: %d %v", got.StatusCode, got.Header)
	}

	// Whoever is refused learns nothing: there are no rules, no rule fits, there is no bucket.
	var refusals []string
	for name, ask := range map[string][4]string{
		"another origin":     {"/data/k", "https://example.org.evil.net", "GET", ""},
		"no dot":             {"/data/k", "https://evil-example.org", "GET", ""},
		"another scheme":     {"/data/k", "http://app.example.org", "GET", ""},
		"another method":     {"/data/k", "https://app.example.org", "PUT", ""},
		"another header":     {"/data/k", "https://app.example.org", "GET", "x-amz-date, cookie"},
		"headers for any":    {"/data/k", "https://anywhere.net", "HEAD", "x-amz-date"},
		"no rules, by host":  {"/closed.s3.amazonaws.com/k", "https://app.example.org", "GET", ""},
		"no rules":           {"/closed/k", "https://app.example.org", "GET", ""},
		"no bucket":          {"/none-such/k", "https://app.example.org", "GET", ""},
		"a name that is not": {"/No%00Bucket/k", "https://app.example.org", "GET", ""},
	} {
		got := b.preflight(t, ask[0], ask[1], ask[2], ask[3])
		if got.StatusCode != 403 || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", name, got.StatusCode, got.Header)
		}
		refusals = append(refusals, name)
	}
	for _, ask := range [][3]string{{"", "GET"}, {"https://app.example.org", ""}} {
		if got := b.preflight(t, "/data/k", ask[0], ask[1], ""); got.StatusCode != 400 {
			t.Errorf("%q: %d", ask, got.StatusCode)
		}
	}
	page, err := b.Trail.Find(t.Context(), trail.Query{Account: apitest.Account, EventName: "PreflightRequest", Limit: 50})
	if err != nil || len(page.Entries) != len(refusals)+2 {
		t.Errorf("%d records of refused preflights, %v", len(page.Entries), err)
	}
}

// That a page may ask proves nobody: the answer is a refusal, which the page may read.
func TestAPageStillSigns(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "content")
	b.allowPages(t, "data", s3.CORSRule{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}})
	b.Python(t, b.admin, `
import urllib.request, urllib.error
s3 = client("s3")
v4 = boto3.client("s3", endpoint_url=os.environ["BAWN_URL"], config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}))
url = v4.generate_presigned_url("get_object", Params={"Bucket": "data", "Key": "k"})
def ask(url, origin):
    try:
        r = urllib.request.urlopen(urllib.request.Request(url, headers={"Origin": origin} if origin else {}))
    except urllib.error.HTTPError as e:
        r = e
    return r.status, r.headers.get("Access-Control-Allow-Origin"), r.read()
assert ask(url, "https://x.org") == (200, "*", b"content")
assert ask(url, None) == (200, None, b"content")
status, origin, body = ask(url.split("?")[0], "https://x.org")
assert status == 403 and origin == "*" and b"content" not in body, (status, origin, body)
s3.delete_bucket_cors(Bucket="data")
assert ask(url, "https://x.org") == (200, None, b"content")
`)
}

// Who floods the door with preflights is told to wait, and nobody else is.
func TestPreflightsAreBounded(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "content")
	b.allowPages(t, "data", s3.CORSRule{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}})
	b.Stop()
	asked := 0
	for ; asked < 3000; asked++ {
		if b.preflight(t, "/data/k", "https://app.example.org", "GET", "").StatusCode == http.StatusServiceUnavailable {
			break
		}
	}
	if asked < 100 || asked == 3000 {
		t.Errorf("told to wait after %d preflights", asked)
	}
	if got := b.get(t, "data", "k"); got != "content" {
		t.Errorf("the owner reads %q", got)
	}
}
