package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/shape/iam"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/shape/ssooidc"
)

// printed renders an answer as one reads it on the wire.
func printed(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", w.Code)
	var lines []string
	for name, values := range w.Header() {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	sort.Strings(lines)
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	b.WriteString("\n")
	if w.Body.Len() > 0 {
		b.WriteString(w.Body.String() + "\n")
	}
	return b.String()
}

func ptr[T any](v T) *T { return &v }

// TestAnswersOnTheWire compares answers and errors of each protocol with testdata/answers.txtar, byte for byte.
func TestAnswersOnTheWire(t *testing.T) {
	router := newRouter(t)
	made := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	denied := &Error{Code: CodeAccessDenied, Message: "User: arn:aws:iam::123456789012:user/u is not authorized"}
	archive, err := os.ReadFile("testdata/answers.txtar")
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]string{}
	for _, part := range strings.Split("\n"+strings.TrimSuffix(string(archive), "\n"), "\n-- ")[1:] {
		name, text, _ := strings.Cut(part, " --\n")
		golden[name] = text + "\n"
	}
	get := request("GET", "/b/k", "")
	for name, c := range map[string]struct {
		req   *http.Request
		scope string
		out   any
	}{
		"json": {kmsCall("DescribeKey", ""), "kms", &kms.DescribeKeyOutput{KeyMetadata: &kms.KeyMetadata{
			KeyId: "k", Arn: "arn", CreationDate: made, Enabled: ptr(false), Description: "a \"quoted\" <text>\n",
		}}},
		"json empty page":   {kmsCall("ListKeys", ""), "kms", &kms.ListKeysOutput{}},
		"json nothing":      {kmsCall("EnableKey", ""), "kms", &kms.EnableKeyOutput{}},
		"json error":        {kmsCall("EnableKey", ""), "kms", denied},
		"json model error":  {targeted("SWBExternalService.DescribeApplication", ""), "sso", Errorf("ResourceNotFoundException", "no such application")},
		"query":             {iamForm("CreateUser"), "iam", &iam.CreateUserOutput{User: &iam.User{UserName: "u&v", Arn: "arn", CreateDate: made, Path: "/", UserId: "AIDA"}}},
		"query empty list":  {iamForm("ListAccessKeys"), "iam", &iam.ListAccessKeysOutput{IsTruncated: ptr(false)}},
		"query nothing":     {iamForm("DeleteUser"), "iam", &iam.DeleteUserOutput{}},
		"query error":       {iamForm("DeleteUser"), "iam", Errorf("NoSuchEntity", "The user with name u cannot be found.")},
		"query our fault":   {iamForm("DeleteUser"), "iam", &Error{Code: CodeInternalFailure, Message: "try again", Server: true}},
		"ec2":               {form("Version=2016-11-15&Action=CreateVpc"), "ec2", &ec2.CreateVpcOutput{Vpc: &ec2.Vpc{VpcId: "vpc-1", CidrBlock: "10.0.0.0/16", IsDefault: ptr(false), Tags: []ec2.Tag{{Key: "k", Value: "v"}}}}},
		"ec2 nothing":       {form("Version=2016-11-15&Action=DeleteVpc"), "ec2", &ec2.DeleteVpcOutput{}},
		"ec2 error":         {form("Version=2016-11-15&Action=CreateVpc"), "ec2", denied},
		"rest-json":         {request("POST", "/token?aws_iam=t", ""), "sso-oauth", &ssooidc.CreateTokenWithIAMOutput{TokenType: "Bearer", AccessToken: "t", ExpiresIn: ptr(int32(3600)), Scope: []string{"aws"}}},
		"rest-json error":   {request("POST", "/token?aws_iam=t", ""), "sso-oauth", Errorf("InvalidGrantException", "the assertion has expired")},
		"s3 list":           {request("GET", "/b?list-type=2", ""), "s3", &s3.ListObjectsV2Output{Name: "b", KeyCount: ptr(int32(1)), IsTruncated: ptr(false), Contents: []s3.Object{{Key: "a/b", ETag: `"e"`, LastModified: made, Size: ptr(int64(3))}}, CommonPrefixes: []s3.CommonPrefix{{Prefix: "p/"}}}},
		"s3 buckets":        {request("GET", "/", ""), "s3", &s3.ListBucketsOutput{}},
		"s3 location":       {request("GET", "/b?location", ""), "s3", &s3.GetBucketLocationOutput{LocationConstraint: "eu-west-1"}},
		"s3 policy":         {request("GET", "/b?policy", ""), "s3", &s3.GetBucketPolicyOutput{Policy: `{"Version":"2012-10-17"}`}},
		"s3 nothing":        {request("DELETE", "/b/k", ""), "s3", &s3.DeleteObjectOutput{}},
		"s3 object's range": {get, "s3", &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader("234")), ContentLength: ptr(int64(3)), ContentRange: "bytes 2-4/9", ContentType: "text/csv", LastModified: made, Metadata: map[string]string{"who": "me"}}},
		"s3 head":           {request("HEAD", "/b/k", ""), "s3", &s3.HeadObjectOutput{ContentLength: ptr(int64(9)), ETag: `"e"`}},
		"s3 error":          {get, "s3", Errorf("NoSuchKey", "The specified key does not exist.").WithStatus(404).With("Key", "k<")},
		"s3 head error":     {request("HEAD", "/b/k", ""), "s3", Errorf("NoSuchKey", "The specified key does not exist.").WithStatus(404)},
		"s3 not modified":   {get, "s3", &Error{Code: "NotModified", Status: 304, Header: map[string]string{"Etag": `"e"`}}},
	} {
		m, err := router.Match(c.req, c.scope)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w := httptest.NewRecorder()
		if e, ok := c.out.(*Error); ok {
			m.EncodeError(w, "req-1", e)
		} else if err := m.Encode(w, "req-1", c.out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(golden[name], printed(w)); d != "" {
			t.Errorf("%s (-golden +got):\n%s", name, d)
		}
		delete(golden, name)
	}
	for name := range golden {
		t.Errorf("%s is in the archive and was not made", name)
	}
}

// brokenBody fails after its first bytes and remembers being closed.
type brokenBody struct {
	io.Reader
	closed bool
}

func (b *brokenBody) Close() error { b.closed = true; return nil }

func TestStreamThatBreaksIsAnErrorAndClosed(t *testing.T) {
	router := newRouter(t)
	m, err := router.Match(request("GET", "/b/k", ""), "s3")
	if err != nil {
		t.Fatal(err)
	}
	body := &brokenBody{Reader: io.MultiReader(strings.NewReader("begin"), &failing{})}
	err = m.Encode(httptest.NewRecorder(), "r", &s3.GetObjectOutput{Body: body})
	if err == nil || !body.closed {
		t.Errorf("error %v, closed %t", err, body.closed)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestNothingIsWrittenOfAnAnswerThatCannotBe(t *testing.T) {
	router := newRouter(t)
	m, err := router.Match(kmsCall("DescribeKey", ""), "kms")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := m.Encode(w, "r", &kms.DescribeKeyOutput{KeyMetadata: &kms.KeyMetadata{KeyId: "\xff"}}); err == nil {
		t.Error("text that is not UTF-8 was written")
	}
	if err := m.Encode(w, "r", &kms.EncryptOutput{}); err == nil {
		t.Error("another operation's output was written")
	}
	if w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("written: %v %s", w.Header(), w.Body)
	}
}

// TestErrorTextCannotBreakOut of its element or string.
func TestErrorTextCannotBreakOut(t *testing.T) {
	router := newRouter(t)
	evil := "</Message><Code>Fine</Code>\x00\xff\",\"__type\":\"Fine\""
	for scope, req := range map[string]*http.Request{"kms": kmsCall("EnableKey", ""), "iam": iamForm("GetUser"), "s3": request("GET", "/b/k", "")} {
		m, err := router.Match(req, scope)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		m.EncodeError(w, "r", Errorf("AccessDenied", "%s", evil).With("Key", evil))
		if bytes.Contains(w.Body.Bytes(), []byte("<Code>Fine")) || bytes.Contains(w.Body.Bytes(), []byte(`"__type":"Fine"`)) {
			t.Errorf("%s: %s", scope, w.Body)
		}
	}
}
