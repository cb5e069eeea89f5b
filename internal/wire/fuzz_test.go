package wire

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bawn.dev/internal/shape"
)

// survive matches and decodes whatever a request is, and checks what must hold for any: an outward error or an input, an error that
// can be written, an input that can be recorded, and the same result the second time.
func survive(t *testing.T, router *Router, make func() *http.Request, scope string) {
	t.Helper()
	run := func() (*Match, any, error) {
		req := make()
		m, err := router.Match(req, scope)
		if err != nil {
			return m, nil, err
		}
		in := m.Operation.NewInput()
		return m, in, m.Decode(req, req.Body, in)
	}
	m, in, err := run()
	_, again, err2 := run()
	if (err == nil) != (err2 == nil) {
		t.Fatalf("one request, two results: %v and %v", err, err2)
	}
	if err != nil {
		e := (*Error)(nil)
		if !errors.As(err, &e) {
			t.Fatalf("not an outward error: %v", err)
		}
		w := httptest.NewRecorder()
		m.EncodeError(w, "r", e)
		if w.Code < 400 {
			t.Fatalf("a refusal with status %d", w.Code)
		}
		return
	}
	one, two := plain(m.op.in, reflect.ValueOf(in).Elem()), plain(m.op.in, reflect.ValueOf(again).Elem())
	if d := cmp.Diff(one, two); d != "" {
		t.Fatalf("one request, two inputs: %s", d)
	}
	if v := m.RequestParameters(in); v != nil && !v.IsValid() {
		t.Errorf("the record is not JSON: %s", v)
	}
}

func FuzzJSON(f *testing.F) {
	router := newRouter(f)
	var targets []string
	for _, s := range router.services {
		if s.Protocol == shape.JSON {
			for _, op := range s.ordered {
				targets = append(targets, s.TargetPrefix+"."+op.Name)
			}
		}
	}
	for i, body := range []string{
		`{}`, `{"KeyId":"k","Plaintext":"aGk=","EncryptionContext":{"a":"b"}}`, `{"KeyId":"k","keyId":"l"}`, `{"Tags":[{"TagKey":"a"}]}`,
		`{"StartTime":1767323045.678,"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"x"}]}`, `[`, "\xff", `{"a":1e999}`,
	} {
		f.Add(uint(i*7), body)
	}
	f.Fuzz(func(t *testing.T, n uint, body string) {
		survive(t, router, func() *http.Request { return targeted(targets[n%uint(len(targets))], body) }, "")
	})
}

func FuzzForm(f *testing.F) {
	router := newRouter(f)
	for _, body := range []string{
		"Action=CreateUser&Version=2010-05-08&UserName=u&Tags.member.1.Key=k&Tags.member.1.Value=v",
		"Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=g&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8",
		"Action=AssumeRole&Version=2011-06-15&ProvidedContexts.member.1.ProviderArn=a", "Action=%zz", "a.b.c=1&a.b=2", "Action=",
	} {
		f.Add(body, "")
	}
	f.Add("", "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Signature=x")
	f.Fuzz(func(t *testing.T, body, query string) {
		u := &url.URL{Path: "/", RawQuery: query}
		survive(t, router, func() *http.Request {
			r := form(body)
			r.URL = u
			return r
		}, "")
	})
}

func FuzzS3(f *testing.F) {
	router := newRouter(f).WithHosts("bawn.example")
	for _, seed := range [][6]string{
		{"PUT", "127.0.0.1", "/b/k", "", "X-Amz-Meta-A", "v"}, {"GET", "b.s3.amazonaws.com", "/k%2F", "x-id=GetObject", "Range", "bytes=0-1"},
		{"PUT", "b.bawn.example", "/", "encryption", "Content-Md5", "x"}, {"GET", "x", "/b", "list-type=2&max-keys=9", "X-Amz-Acl", "private"},
		{"DELETE", "x", "//", "acl;policy", "If-Match", "*"}, {"HEAD", "[::1]:1", "/%ff", "versionId", "X-Amz-Copy-Source", "/a"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], "<ServerSideEncryptionConfiguration/>")
	}
	f.Fuzz(func(t *testing.T, method, host, path, query, header, value, body string) {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return
		}
		survive(t, router, func() *http.Request {
			r := httptest.NewRequest("GET", "/", strings.NewReader(body))
			r.Method, r.Host = method, host
			r.URL = &url.URL{Path: decoded, RawPath: path, RawQuery: query}
			r.Header.Set(header, value)
			return r
		}, "s3")
	})
}

func FuzzXML(f *testing.F) {
	router := newRouter(f)
	for _, body := range []string{
		`<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>`,
		`<ServerSideEncryptionConfiguration xmlns="x"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
		`<!DOCTYPE a>`, `<?xml version="1.0"?><?php x?><a/>`, `<a>&#0;</a>`, `<a`, "",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, target := range []string{"/b?publicAccessBlock", "/b?encryption", "/b"} {
			survive(t, router, func() *http.Request { return request("PUT", target, body) }, "s3")
		}
	})
}

func FuzzToken(f *testing.F) {
	router := newRouter(f)
	f.Add(`{"clientId":"c","grantType":"g","assertion":"a","scope":["s"]}`, "aws_iam=t")
	f.Add(`{}`, "aws_iam=t&aws_iam=f")
	f.Fuzz(func(t *testing.T, body, query string) {
		u := &url.URL{Path: "/token", RawQuery: query}
		survive(t, router, func() *http.Request {
			r := request("POST", "/token", body)
			r.URL = u
			return r
		}, "sso-oauth")
	})
}
