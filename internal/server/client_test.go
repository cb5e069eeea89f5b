package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/sigv4"
)

// A client signs requests and speaks TLS, and does nothing else: what it answers
// is what the server sent.
type client struct {
	http *http.Client
	url  string
	who  sigv4.Credential
	now  func() time.Time
}

// newClient is the first administrator's, with connections of its own.
func newClient(t testing.TB, data, url string) *client {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(data, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	profile, err := os.ReadFile(filepath.Join(data, "aws", "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	c := &client{url: url, now: time.Now, http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64}}}
	for line := range strings.Lines(string(profile)) {
		name, value, _ := strings.Cut(line, "=")
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.who.AccessKeyID = value
		case "aws_secret_access_key":
			c.who.Secret = value
		}
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// An answer was read to its end: the server stands by it.
type answer struct {
	status int
	id     string // of the request
	etag   string
	body   []byte
}

// do sends one request. An error says that there was no whole answer: what was
// asked for may have happened or not.
func (c *client) do(ctx context.Context, service, method, path string, header http.Header, body []byte) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if err := c.sign(r, service, body); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	id := resp.Header.Get("X-Amz-Request-Id")
	if id == "" {
		id = resp.Header.Get("X-Amzn-Requestid")
	}
	return &answer{resp.StatusCode, id, resp.Header.Get("ETag"), text}, nil
}

func (c *client) sign(r *http.Request, service string, body []byte) error {
	sum := sha256.Sum256(body)
	return sigv4.Sign(r, c.who, service, config.DefaultRegion, c.now(), hex.EncodeToString(sum[:]))
}

// request is a signed one for an object.
func (c *client) request(t testing.TB, method, path string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.url+path, bytes.NewReader(body))
	if err == nil {
		err = c.sign(r, "s3", body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (c *client) object(ctx context.Context, method, path string, body []byte) (*answer, error) {
	return c.do(ctx, "s3", method, path, nil, body)
}

var form = http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}

func (c *client) query(ctx context.Context, service, version, action string, pairs ...string) (*answer, error) {
	v := url.Values{"Action": {action}, "Version": {version}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return c.do(ctx, service, http.MethodPost, "/", form, []byte(v.Encode()))
}

func (c *client) iam(ctx context.Context, action string, pairs ...string) (*answer, error) {
	return c.query(ctx, "iam", "2010-05-08", action, pairs...)
}

func (c *client) identity(ctx context.Context) (*answer, error) {
	return c.query(ctx, "sts", "2011-06-15", "GetCallerIdentity")
}

func (c *client) kms(ctx context.Context, operation, body string) (*answer, error) {
	return c.do(ctx, "kms", http.MethodPost, "/", http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService." + operation},
	}, []byte(body))
}

// ok answers a function that ends the test unless its call succeeded.
func ok(t testing.TB) func(*answer, error) *answer {
	return func(a *answer, err error) *answer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if a.status/100 != 2 {
			t.Fatalf("answers %d %s", a.status, a.body)
		}
		return a
	}
}

// names are the contents of the elements of an XML answer that are called so.
func names(t testing.TB, document []byte, element string) []string {
	t.Helper()
	var out []string
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == element {
			var text string
			if err := d.DecodeElement(&text, &start); err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
	}
}
