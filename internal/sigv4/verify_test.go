package sigv4

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	r, err := http.NewRequest("GET", "https://sts.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Sign(r, testCredential, "sts", "eu-west-1", testNow, EmptyHash); err != nil {
		t.Fatal(err)
	}
	pre, err := http.NewRequest("GET", "https://sts.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if pre.URL, err = Presign(pre, testCredential, "sts", "eu-west-1", testNow, time.Hour, EmptyHash); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r      *http.Request
		after  time.Duration
		reason Reason
	}{
		{r, 0, 0}, {r, MaxSkew, 0}, {r, -MaxSkew, 0}, {r, MaxSkew + time.Second, Skewed}, {r, -MaxSkew - time.Second, Skewed},
		{pre, 0, 0}, {pre, time.Hour, 0}, {pre, -MaxSkew, 0}, {pre, time.Hour + time.Second, Expired}, {pre, -MaxSkew - time.Second, Skewed},
	} {
		s, err := Parse(c.r)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Verify(c.r, testCredential.Secret, testNow.Add(c.after), EmptyHash)
		if c.reason == 0 && err != nil || c.reason != 0 && !errorIs(err, c.reason) {
			t.Errorf("presigned %v, %v after: %v", s.Presigned, c.after, err)
		}
	}
}

// TestEveryByte changes each byte of requests on the wire, head and body. Whatever still verifies must mean the same.
func TestEveryByte(t *testing.T) {
	for _, c := range []struct{ name, service, url string }{
		{"kms", "kms", "https://kms.example.com/a%20b/c?x=1&y=%2F+z"},
		{"s3", "s3", "https://s3.example.com/b/a%20b%2F%2b//../k?x=1&y=%2F+z"},
		{"s3 presigned", "s3", "https://s3.example.com/b/k?versionId=abc"},
	} {
		body := `{"KeyId":"alias/x"}`
		r, err := http.NewRequest("POST", c.url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "TrentService.Decrypt")
		_, hash, err := ReadBody(r, 100)
		if err != nil {
			t.Fatal(err)
		}
		cred := testCredential
		cred.Token = "session/token=="
		if c.name == "s3 presigned" {
			if r.URL, err = Presign(r, cred, c.service, "eu-west-1", testNow, time.Hour, hash); err != nil {
				t.Fatal(err)
			}
		} else if err := Sign(r, cred, c.service, "eu-west-1", testNow, hash); err != nil {
			t.Fatal(err)
		}
		var head bytes.Buffer
		fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.URL.Host)
		if err := r.Header.Write(&head); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&head, "Content-Length: %d\r\n\r\n%s", len(body), body)
		original := head.Bytes()
		want, err := accept(original, testCredential.Secret)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for i := range original {
			for _, flip := range []byte{1, 0x20, 0x80} {
				m := bytes.Clone(original)
				m[i] ^= flip
				got, err := accept(m, testCredential.Secret)
				if err == nil && got != want {
					t.Errorf("%s: byte %d (%q to %q) accepted:\n%s\n%s", c.name, i, original[i], m[i], got, want)
				}
			}
		}
	}
}

// accept reads and verifies a request and tells what a handler would act on.
func accept(raw []byte, secret string) (string, error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return "", err
	}
	body, hash, err := ReadBody(r, 1000)
	if err != nil {
		return "", err
	}
	s, err := Parse(r)
	if err != nil {
		return "", err
	}
	if s.AccessKeyID != testCredential.AccessKeyID {
		return "", fmt.Errorf("no such key") // the caller's part: the key id selects the secret
	}
	if err := s.Verify(r, secret, testNow, hash); err != nil {
		return "", err
	}
	// Escaping is compared as octets: %2b and %2B, but not '/' and %2F, are the same key.
	return fmt.Sprint(r.Method, " ", strings.ToUpper(r.URL.EscapedPath()), r.URL.Path, r.URL.Query(), r.Host, r.Header["X-Amz-Target"],
		r.Header["Content-Type"], s.Token, s.AccessKeyID, s.Service, s.Region, s.Time, s.Expires, string(body)), nil
}

func TestBodyMustBeTheSignedOne(t *testing.T) {
	newRequest := func(body string) *http.Request {
		r, err := http.NewRequest("PUT", "https://s3.example.com/b/k", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := newRequest("hello")
	_, hash, err := ReadBody(r, 5)
	if err != nil {
		t.Fatal(err)
	}
	for body, reason := range map[string]Reason{"hello": 0, "hellp": BodyMismatch, "hell": BodyMismatch, "": BodyMismatch} {
		r := newRequest(body)
		s := signed(t, r, hash)
		b, err := s.Body(r, nil, BodyOptions{MaxBytes: 5})
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(b)
		if reason == 0 && err != nil || reason != 0 && !errorIs(err, reason) {
			t.Errorf("%q: %v", body, err)
		}
	}
	r = newRequest("hello")
	s := signed(t, r, hash)
	if err := s.Verify(r, testCredential.Secret, testNow, EmptyHash); !errorIs(err, BodyMismatch) {
		t.Errorf("another body's hash: %v", err)
	}
	if _, err := s.Body(r, nil, BodyOptions{MaxBytes: 5}); err == nil {
		t.Error("a body after a failed Verify")
	}
	r = newRequest("hello")
	if _, err := signed(t, r, hash).Body(r, nil, BodyOptions{MaxBytes: 4}); !errorIs(err, BodyTooLarge) {
		t.Errorf("stated length over the limit: %v", err)
	}
	for _, payload := range []string{hash, UnsignedPayload} {
		r = newRequest("hello")
		r.ContentLength = -1
		b, err := signed(t, r, payload).Body(r, nil, BodyOptions{MaxBytes: 4, AllowUnsigned: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); !errorIs(err, BodyTooLarge) || string(got) != "hell" {
			t.Errorf("unstated length over the limit: %q, %v", got, err)
		}
	}
	r = newRequest("hello")
	if _, err := signed(t, r, UnsignedPayload).Body(r, nil, BodyOptions{MaxBytes: 5}); !errorIs(err, PayloadNotAllowed) {
		t.Errorf("unsigned body without leave: %v", err)
	}
	if _, err := new(Signature).Body(r, nil, BodyOptions{MaxBytes: 5}); err == nil {
		t.Error("the zero Signature gives a body")
	}
	if err := new(Signature).Verify(r, testCredential.Secret, testNow, EmptyHash); err == nil {
		t.Error("the zero Signature verifies")
	}
	s = signed(t, r, hash)
	if err := s.Verify(r, "", testNow, ""); err == nil {
		t.Error("verified without a secret")
	}
	for _, key := range [][]byte{nil, {}, make([]byte, 31)} {
		if err := s.VerifyWithKey(r, key, testNow, ""); err == nil {
			t.Errorf("verified with a key of %d bytes", len(key))
		}
	}
}

func TestComputedPayloadNeedsHash(t *testing.T) {
	r, err := http.NewRequest("POST", "https://kms.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Sign(r, testCredential, "kms", "eu-west-1", testNow, EmptyHash); err != nil {
		t.Fatal(err)
	}
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, testCredential.Secret, testNow, ""); err == nil {
		t.Error("verified without the body's hash")
	}
	if err := s.Verify(r, testCredential.Secret, testNow, strings.Repeat("0", 64)); !errorIs(err, Mismatch) {
		t.Errorf("another body: %v", err)
	}
	if err := s.Verify(r, testCredential.Secret, testNow, EmptyHash); err != nil {
		t.Error(err)
	}
}

// TestSecretsDoNotPrint: what is formatted ends up in logs.
func TestSecretsDoNotPrint(t *testing.T) {
	c := Credential{AccessKeyID: "AKIDEXAMPLE", Secret: "hush", Token: "quiet"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if out := fmt.Sprintf(verb, c); strings.Contains(out, "hush") || strings.Contains(out, "quiet") {
			t.Errorf("%s prints %s", verb, out)
		}
	}
}

// TestHeaderKeys: our canonical key is net/http's.
func TestHeaderKeys(t *testing.T) {
	for _, name := range []string{"x-amz-date", "etag", "x-amz-meta-a_b.c", "x--y", "-x", "x-", "a1-2b", strings.Repeat("long-", 40)} {
		r := &http.Request{Header: http.Header{}}
		r.Header.Set(name, "v")
		if got := headerValues(r, name); len(got) != 1 {
			t.Errorf("%s is not found among %v", name, r.Header)
		}
	}
}

func benchmarkRequest(b *testing.B) (*http.Request, string) {
	r := wire(b, "POST", "kms.eu-west-1.example.com", "/", [][2]string{
		{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", "TrentService.Decrypt"},
		{"User-Agent", "aws-cli/2.13"}, {"Accept-Encoding", "identity"}}, nil)
	c := testCredential
	c.Token = strings.Repeat("t", 800)
	if err := Sign(r, c, "kms", "eu-west-1", testNow, EmptyHash); err != nil {
		b.Fatal(err)
	}
	return r, EmptyHash
}

func BenchmarkVerify(b *testing.B) {
	r, hash := benchmarkRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Parse(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Verify(r, testCredential.Secret, testNow, hash); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyWithKey(b *testing.B) {
	r, hash := benchmarkRequest(b)
	key := SigningKey(testCredential.Secret, "20260304", "eu-west-1", "kms")
	b.ReportAllocs()
	for b.Loop() {
		s, err := Parse(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.VerifyWithKey(r, key, testNow, hash); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignedChunks(b *testing.B) {
	const size = 4 << 20
	r, err := http.NewRequest("PUT", "https://s3.example.com/b/k", nil)
	if err != nil {
		b.Fatal(err)
	}
	st := Stream{Payload: PayloadChunks, Size: size}
	if err := SignStream(r, testCredential, "s3", "eu-west-1", testNow, bytes.NewReader(make([]byte, size)), st); err != nil {
		b.Fatal(err)
	}
	encoded, err := io.ReadAll(r.Body)
	if err != nil {
		b.Fatal(err)
	}
	s, err := Parse(r)
	if err != nil {
		b.Fatal(err)
	}
	key := SigningKey(testCredential.Secret, s.Date, s.Region, s.Service)
	if err := s.VerifyWithKey(r, key, testNow, ""); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(bytes.NewReader(encoded))
		body, err := s.Body(r, key, BodyOptions{MaxBytes: size})
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, body); n != size || err != nil {
			b.Fatal(n, err)
		}
	}
}
