package wire

import (
	"net/http"
	"strings"
	"testing"

	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/sts"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkDecode(b *testing.B) {
	router := newRouter(b)
	for name, c := range map[string]struct {
		make  func() *http.Request
		body  string
		scope string
	}{
		"json": {func() *http.Request { return kmsCall("Encrypt", "") },
			`{"KeyId":"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab","Plaintext":"aGVsbG8gd29ybGQ=","EncryptionContext":{"tenant":"a"}}`, "kms"},
		"query": {func() *http.Request { return form("Action=GetCallerIdentity&Version=2011-06-15") }, "Action=GetCallerIdentity&Version=2011-06-15", "sts"},
		"s3": {func() *http.Request {
			return request("PUT", "/bucket/some/key", "", "X-Amz-Meta-A", "v", "Content-Type", "text/csv")
		}, "", "s3"},
	} {
		b.Run(name, func(b *testing.B) {
			req := c.make()
			m, err := router.Match(req, c.scope)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Decode(req, strings.NewReader(c.body), m.Operation.NewInput()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	router := newRouter(b)
	for name, c := range map[string]struct {
		req   *http.Request
		scope string
	}{
		"json": {kmsCall("Encrypt", ""), "kms"}, "s3": {request("GET", "/bucket/some/key", ""), "s3"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := router.Match(c.req, c.scope); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	router := newRouter(b)
	for name, c := range map[string]struct {
		req   *http.Request
		scope string
		out   any
	}{
		"json":  {kmsCall("Encrypt", ""), "kms", &kms.EncryptOutput{KeyId: "arn:aws:kms:us-east-1:123456789012:key/k", CiphertextBlob: make([]byte, 200)}},
		"query": {form("Action=GetCallerIdentity&Version=2011-06-15"), "sts", &sts.GetCallerIdentityOutput{Account: "123456789012", Arn: "arn:aws:iam::123456789012:user/u", UserId: "AIDAEXAMPLE"}},
	} {
		b.Run(name, func(b *testing.B) {
			m, err := router.Match(c.req, c.scope)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Encode(&discard{http.Header{}}, "request-id", c.out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewRouter(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newRouter(b)
	}
}
