package sigv4

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	goodScope = "AKIDEXAMPLE/20260304/eu-west-1/kms/aws4_request"
	goodDate  = "20260304T050607Z"
)

// authorization builds a header value with valid parts, any of which the caller replaces.
func authorization(credential, headers, signature string) string {
	return "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + headers + ", Signature=" + signature
}

func TestParseHeaderRefuses(t *testing.T) {
	good := authorization(goodScope, "host;x-amz-date", EmptyHash)
	s3 := authorization("AKIDEXAMPLE/20260304/eu-west-1/s3/aws4_request", "host;x-amz-content-sha256;x-amz-date", EmptyHash)
	for _, c := range []struct {
		name    string
		target  string
		headers http.Header
		reason  Reason // 0: accepted
	}{
		{"good", "/", http.Header{"Authorization": {good}}, 0},
		{"no blanks", "/", http.Header{"Authorization": {strings.ReplaceAll(good, ", ", ",")}}, 0},
		{"none", "/", nil, Unsigned},
		{"bearer", "/", http.Header{"Authorization": {"Bearer x"}}, Unsigned},
		{"two headers", "/", http.Header{"Authorization": {good, good}}, Ambiguous},
		{"bearer beside", "/", http.Header{"Authorization": {good, "Bearer x"}}, Ambiguous},
		{"header and query", "/?X-Amz-Signature=x", http.Header{"Authorization": {good}}, Ambiguous},
		{"bearer and query", "/?X-Amz-Algorithm=x", http.Header{"Authorization": {"Bearer x"}}, Ambiguous},
		{"header and encoded query name", "/?X%2DAmz-Credential=x", http.Header{"Authorization": {good}}, Ambiguous},
		{"version 2", "/", http.Header{"Authorization": {"AWS AKIDEXAMPLE:c2ln"}}, Unsupported},
		{"sha-1", "/", http.Header{"Authorization": {strings.Replace(good, "SHA256", "SHA1", 1)}}, Unsupported},
		{"ecdsa", "/", http.Header{"Authorization": {strings.Replace(good, "AWS4-HMAC", "AWS4-ECDSA-P256", 1)}}, Unsupported},
		{"lower case scheme", "/", http.Header{"Authorization": {strings.ToLower(good)}}, Unsupported},
		{"scheme alone", "/", http.Header{"Authorization": {Algorithm}}, MalformedHeader},
		{"unknown part", "/", http.Header{"Authorization": {good + ", X=1"}}, MalformedHeader},
		{"part twice", "/", http.Header{"Authorization": {good + ", Signature=" + EmptyHash}}, MalformedHeader},
		{"trailing comma", "/", http.Header{"Authorization": {good + ","}}, MalformedHeader},
		{"too long", "/", http.Header{"Authorization": {good + strings.Repeat(" ", maxAuthorization)}}, MalformedHeader},
		{"no signature", "/", http.Header{"Authorization": {authorization(goodScope, "host;x-amz-date", "")}}, MalformedHeader},
		{"short signature", "/", http.Header{"Authorization": {authorization(goodScope, "host;x-amz-date", EmptyHash[1:])}}, MalformedHeader},
		{"upper-case signature", "/", http.Header{"Authorization": {authorization(goodScope, "host;x-amz-date", strings.ToUpper(EmptyHash))}}, MalformedHeader},
		{"four parts", "/", http.Header{"Authorization": {authorization("A/20260304/eu-west-1/aws4_request", "host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"six parts", "/", http.Header{"Authorization": {authorization("A/"+goodScope, "host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"other end", "/", http.Header{"Authorization": {authorization(strings.Replace(goodScope, "aws4", "aws3", 1), "host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"other day", "/", http.Header{"Authorization": {authorization(strings.Replace(goodScope, "0304", "0305", 1), "host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"empty key id", "/", http.Header{"Authorization": {authorization(goodScope[len("AKIDEXAMPLE"):], "host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"long key id", "/", http.Header{"Authorization": {authorization(strings.Repeat("A", 200)+goodScope, "host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"odd region", "/", http.Header{"Authorization": {authorization(strings.Replace(goodScope, "eu-west-1", "eu%2f", 1), "host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"unsorted headers", "/", http.Header{"Authorization": {authorization(goodScope, "x-amz-date;host", EmptyHash)}}, MalformedHeader},
		{"header twice", "/", http.Header{"Authorization": {authorization(goodScope, "host;host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"upper-case header", "/", http.Header{"Authorization": {authorization(goodScope, "Host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"empty header name", "/", http.Header{"Authorization": {authorization(goodScope, ";host;x-amz-date", EmptyHash)}}, MalformedHeader},
		{"host not signed", "/", http.Header{"Authorization": {authorization(goodScope, "x-amz-date", EmptyHash)}}, HeaderNotSigned},
		{"date not signed", "/", http.Header{"Authorization": {authorization(goodScope, "host", EmptyHash)}}, HeaderNotSigned},
		{"absent header signed", "/", http.Header{"Authorization": {authorization(goodScope, "host;x-amz-date;x-amz-foo", EmptyHash)}}, HeaderNotSigned},
		{"x-amz header not signed", "/", http.Header{"Authorization": {good}, "X-Amz-Target": {"TrentService.Decrypt"}}, HeaderNotSigned},
		{"token not signed", "/", http.Header{"Authorization": {good}, "X-Amz-Security-Token": {"t"}}, HeaderNotSigned},
		{"trace id need not be signed", "/", http.Header{"Authorization": {good}, "X-Amzn-Trace-Id": {"x"}}, 0},
		{"date missing", "/", http.Header{"Authorization": {good}, "X-Amz-Date": nil}, MalformedHeader},
		{"date twice", "/", http.Header{"Authorization": {good}, "X-Amz-Date": {goodDate, goodDate}}, MalformedHeader},
		{"date with fraction", "/", http.Header{"Authorization": {good}, "X-Amz-Date": {"20260304T050607.5Z"}}, MalformedHeader},
		{"date of another form", "/", http.Header{"Authorization": {good}, "X-Amz-Date": {"2026-03-04T05:06:07Z"}}, MalformedHeader},
		{"no such date", "/", http.Header{"Authorization": {good}, "X-Amz-Date": {"20260304T256607Z"}}, MalformedHeader},
		{"S3 without content hash", "/", http.Header{"Authorization": {strings.Replace(s3, "x-amz-content-sha256;", "", 1)}}, PayloadNotAllowed},
		{"S3 with another hash", "/", http.Header{"Authorization": {s3}, "X-Amz-Content-Sha256": {"required"}}, PayloadNotAllowed},
		{"S3 with an upper-case hash", "/", http.Header{"Authorization": {s3}, "X-Amz-Content-Sha256": {strings.ToUpper(EmptyHash)}}, PayloadNotAllowed},
		{"S3 with two hashes", "/", http.Header{"Authorization": {s3}, "X-Amz-Content-Sha256": {EmptyHash, UnsignedPayload}}, MalformedHeader},
		{"S3 with ECDSA chunks", "/", http.Header{"Authorization": {s3}, "X-Amz-Content-Sha256": {"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}}, PayloadNotAllowed},
		{"S3 unsigned", "/", http.Header{"Authorization": {s3}, "X-Amz-Content-Sha256": {UnsignedPayload}}, 0},
		{"unsigned for another service", "/", http.Header{"Authorization": {strings.Replace(s3, "/s3/", "/kms/", 1)}, "X-Amz-Content-Sha256": {UnsignedPayload}}, PayloadNotAllowed},
		{"chunks for another service", "/", http.Header{"Authorization": {strings.Replace(s3, "/s3/", "/kms/", 1)}, "X-Amz-Content-Sha256": {payloadNames[PayloadChunks]}}, PayloadNotAllowed},
		{"broken query", "/?a=%zz", http.Header{"Authorization": {good}}, MalformedRequest},
		{"cut query encoding", "/?a=%2", http.Header{"Authorization": {good}}, MalformedRequest},
		{"too many parameters", "/?" + strings.Repeat("a&", maxParams), http.Header{"Authorization": {good}}, MalformedRequest},
		{"overlong target", "/" + strings.Repeat("a", maxTarget), http.Header{"Authorization": {good}}, MalformedRequest},
		{"asterisk", "*", http.Header{"Authorization": {good}}, MalformedRequest},
	} {
		r := &http.Request{Method: "GET", Host: "kms.example.com", RequestURI: c.target, Header: http.Header{"X-Amz-Date": {goodDate}}}
		for name, values := range c.headers {
			r.Header[name] = values
		}
		s, err := Parse(r)
		if c.reason == 0 && err != nil || c.reason != 0 && !errorIs(err, c.reason) {
			t.Errorf("%s: %v", c.name, err)
		}
		if (s == nil) != (err != nil) {
			t.Errorf("%s: signature %v with error %v", c.name, s, err)
		}
		if errors.Is(err, ErrUnsigned) != (c.reason == Unsigned) {
			t.Errorf("%s: ErrUnsigned is confused with %v", c.name, err)
		}
	}
}

func TestParseQueryRefuses(t *testing.T) {
	r, err := http.NewRequest("GET", "https://s3.example.com/b/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := Presign(r, testCredential, "s3", "eu-west-1", testNow, time.Hour, UnsignedPayload)
	if err != nil {
		t.Fatal(err)
	}
	good := u.RequestURI()
	for _, c := range []struct {
		name, target string
		reason       Reason
	}{
		{"good", good, 0},
		{"duplicate signature", good + "&X-Amz-Signature=" + EmptyHash, MalformedQuery},
		{"duplicate expiry", good + "&X-Amz-Expires=604800", MalformedQuery},
		{"encoded duplicate", good + "&X-Amz-%45xpires=604800", MalformedQuery},
		{"another case", good + "&x-amz-expires=604800", MalformedQuery},
		{"signature in another case", strings.Replace(good, "X-Amz-Signature", "x-amz-signature", 1), MalformedQuery},
		{"sha-1", strings.Replace(good, "SHA256", "SHA1", 1), Unsupported},
		{"expires too late", strings.Replace(good, "Expires=3600", "Expires=604801", 1), MalformedQuery},
		{"expires at once", strings.Replace(good, "Expires=3600", "Expires=0", 1), MalformedQuery},
		{"negative expiry", strings.Replace(good, "Expires=3600", "Expires=-1", 1), MalformedQuery},
		{"signed expiry", strings.Replace(good, "Expires=3600", "Expires=%2B60", 1), MalformedQuery},
		{"host not signed", strings.Replace(good, "SignedHeaders=host", "SignedHeaders=range", 1), HeaderNotSigned},
		{"chunks", good + "&X-Amz-Content-Sha256=" + payloadNames[PayloadChunks], PayloadNotAllowed},
	} {
		r := &http.Request{Method: "GET", Host: "s3.example.com", RequestURI: c.target, Header: http.Header{}}
		if c.name == "host not signed" {
			r.Header.Set("Range", "bytes=0-1")
		}
		if _, err := Parse(r); c.reason == 0 && err != nil || c.reason != 0 && !errorIs(err, c.reason) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, name := range []string{paramAlgorithm, paramCredential, paramDate, paramExpires, paramSignedHeaders, paramSignature} {
		q := u.Query()
		q.Del(name)
		r := &http.Request{Method: "GET", Host: "s3.example.com", RequestURI: u.Path + "?" + q.Encode(), Header: http.Header{}}
		if _, err := Parse(r); !errorIs(err, MalformedQuery) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	// A header that a presigned request does not cover must not change what the request does.
	r = &http.Request{Method: "PUT", Host: "s3.example.com", RequestURI: good, Header: http.Header{"X-Amz-Acl": {"public-read"}}}
	if _, err := Parse(r); !errorIs(err, HeaderNotSigned) {
		t.Errorf("x-amz-acl added: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/?a=b", authorization(goodScope, "host;x-amz-date", EmptyHash), goodDate, "")
	f.Add("/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260304%2Feu-west-1%2Fs3%2Faws4_request"+
		"&X-Amz-Date=20260304T050607Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+EmptyHash, "", "", "")
	f.Add("http://h/a/../%2e%2E//b?%zz&&=;", authorization(goodScope, "host", "x"), goodDate, UnsignedPayload)
	f.Fuzz(func(t *testing.T, target, auth, date, hash string) {
		r := &http.Request{Method: "GET", Host: "h", RequestURI: target, Header: http.Header{}}
		for name, value := range map[string]string{"Authorization": auth, "X-Amz-Date": date, "X-Amz-Content-Sha256": hash} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		s, err := Parse(r)
		if err != nil {
			if _, ok := err.(*Error); !ok || s != nil {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if s.AccessKeyID == "" || s.Region == "" || s.Service == "" || s.Payload == 0 || !slices.IsSorted(s.SignedHeaders) ||
			!s.covers("host") || s.Presigned == (auth != "") || s.Time.Format(timeFormat)[:8] != s.Date || s.Expires > MaxExpires {
			t.Fatalf("accepted %+v", s)
		}
		if err := s.Verify(r, "not the secret", s.Time, EmptyHash); err == nil {
			t.Fatal("verified")
		}
	})
}

// FuzzQuery compares the query's reading with the standard library's: what is signed is what a handler sees.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"a=1&b=2", "a=%20+%2B", "a&b=", "&&", "=x", "a=b=c", "%zz", "%"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := parseQuery(raw)
		want, wantErr := url.ParseQuery(raw)
		if wantErr != nil {
			return // it refuses ';' too
		}
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		got := url.Values{}
		for _, p := range params {
			got.Add(p.name, p.value)
		}
		if got.Encode() != want.Encode() {
			t.Fatalf("%q: read %v, a handler sees %v", raw, got, want)
		}
	})
}
