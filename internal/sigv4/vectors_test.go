package sigv4

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// wire makes a request as net/http's server does: from the bytes of a connection.
func wire(t testing.TB, method, host, target string, headers [][2]string, body []byte) *http.Request {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
	b.Write(body)
	r, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func at(t testing.TB, stamp string) time.Time {
	t.Helper()
	now, err := time.Parse(timeFormat, stamp)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// TestBotocore verifies what botocore signs (testdata/vectors.py), body included.
func TestBotocore(t *testing.T) {
	data, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Service, Region, AccessKeyID, Secret, Token, Time, Method, Host, Target, Body string
		Headers                                                                             [][2]string
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 100 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			body, err := base64.StdEncoding.DecodeString(v.Body)
			if err != nil {
				t.Fatal(err)
			}
			r := wire(t, v.Method, v.Host, v.Target, v.Headers, body)
			s, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if s.AccessKeyID != v.AccessKeyID || s.Region != v.Region || s.Service != v.Service || s.Token != v.Token {
				t.Errorf("parsed %+v", s)
			}
			now, hash := at(t, v.Time).Add(time.Minute-time.Second), ""
			if s.Payload == PayloadComputed {
				if _, hash, err = ReadBody(r, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Verify(r, v.Secret+"x", now, hash); !errorIs(err, Mismatch) {
				t.Errorf("another secret: %v", err)
			}
			if err := s.Verify(r, v.Secret, now, hash); err != nil {
				t.Fatal(err)
			}
			if s.Payload == PayloadComputed {
				return
			}
			key := SigningKey(v.Secret, s.Date, s.Region, s.Service)
			b, err := s.Body(r, key, BodyOptions{MaxBytes: 1 << 20, AllowUnsigned: true})
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := io.ReadAll(b)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(v.Name, "put stream") && (len(decoded) != 9_000 || len(b.Trailer()) != 1) {
				t.Errorf("decoded %d bytes, trailer %v", len(decoded), b.Trailer())
			}
		})
	}
}

// TestDocumented verifies the examples that AWS publishes: the IAM User Guide's, and the Amazon S3 API Reference's
// for the Authorization header and for presigned URLs.
func TestDocumented(t *testing.T) {
	const s3Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	s3Auth := func(headers, signature string) [2]string {
		return [2]string{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
			"SignedHeaders=" + headers + ",Signature=" + signature}
	}
	s3Date := [2]string{"x-amz-date", "20130524T000000Z"}
	empty := [2]string{"x-amz-content-sha256", EmptyHash}
	for _, v := range []struct {
		name, secret, time, method, host, target string
		headers                                  [][2]string
		body                                     string
	}{
		{"IAM ListUsers", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830T123600Z", "GET", "iam.amazonaws.com",
			"/?Action=ListUsers&Version=2010-05-08", [][2]string{
				{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}, {"X-Amz-Date", "20150830T123600Z"},
				{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, " +
					"SignedHeaders=content-type;host;x-amz-date, " +
					"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"}}, ""},
		{"get-vanilla", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830T123600Z", "GET", "example.amazonaws.com", "/",
			[][2]string{{"X-Amz-Date", "20150830T123600Z"},
				{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, " +
					"SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"}}, ""},
		{"S3 GET with Range", s3Secret, "20130524T000000Z", "GET", "examplebucket.s3.amazonaws.com", "/test.txt", [][2]string{
			{"Range", "bytes=0-9"}, empty, s3Date, s3Auth("host;range;x-amz-content-sha256;x-amz-date",
				"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")}, ""},
		{"S3 PUT", s3Secret, "20130524T000000Z", "PUT", "examplebucket.s3.amazonaws.com", "/test$file.text", [][2]string{
			{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, s3Date,
			{"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
			s3Auth("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
				"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")}, "Welcome to Amazon S3."},
		{"S3 GET lifecycle", s3Secret, "20130524T000000Z", "GET", "examplebucket.s3.amazonaws.com", "/?lifecycle", [][2]string{
			empty, s3Date, s3Auth("host;x-amz-content-sha256;x-amz-date",
				"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")}, ""},
		{"S3 list", s3Secret, "20130524T000000Z", "GET", "examplebucket.s3.amazonaws.com", "/?max-keys=2&prefix=J", [][2]string{
			empty, s3Date, s3Auth("host;x-amz-content-sha256;x-amz-date",
				"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")}, ""},
		{"S3 presigned", s3Secret, "20130524T000000Z", "GET", "examplebucket.s3.amazonaws.com",
			"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
				"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
				"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", nil, ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			r := wire(t, v.method, v.host, v.target, v.headers, []byte(v.body))
			s, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			_, hash, err := ReadBody(r, 100)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(r, v.secret, at(t, v.time), hash); err != nil {
				t.Fatal(err)
			}
			s.Region = "us-east-2"
			if err := s.Verify(r, v.secret, at(t, v.time), hash); !errorIs(err, Mismatch) {
				t.Errorf("another region: %v", err)
			}
		})
	}
}

func errorIs(err error, reason Reason) bool {
	e, ok := err.(*Error)
	return ok && e.Reason == reason
}
