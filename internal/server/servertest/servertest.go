// Package servertest runs a whole Bawn in a test: a fresh data directory, the real
// listeners over TLS, and real clients against it.
package servertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"

	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/config"
	"bawn.dev/internal/oidctest"
	"bawn.dev/internal/server"
)

// A Bawn is a running server and its identity provider.
type Bawn struct {
	*server.Server
	Config config.Config
	URL    string
	Issuer *oidctest.Issuer
	Log    *Buffer
	stop   func()
}

// Start initializes a data directory and serves it until the test ends.
func Start(t testing.TB) *Bawn {
	t.Helper()
	return StartOn(t, "")
}

// StartOn is Start with the database at a postgres:// URL; empty is the embedded
// one.
func StartOn(t testing.TB, databaseURL string) *Bawn {
	t.Helper()
	issuer, err := oidctest.New()
	if err != nil {
		t.Fatal(err)
	}
	idp := httptest.NewServer(issuer)
	t.Cleanup(idp.Close)
	issuer.URL = idp.URL
	b := &Bawn{Issuer: issuer, Log: &Buffer{}, Config: config.Config{
		Fixed:      config.Fixed{AccountID: config.DefaultAccountID, Region: config.DefaultRegion},
		Data:       t.TempDir(),
		Listen:     "127.0.0.1:0",
		Database:   databaseURL,
		AllowFetch: []string{strings.TrimPrefix(idp.URL, "http://")},
	}}
	if err := server.Init(context.Background(), b.Config, b.logger()); err != nil {
		t.Fatal(err)
	}
	b.Restart(t)
	t.Cleanup(func() { b.Stop() })
	return b
}

func (b *Bawn) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b.Log, nil)) }

// Restart stops the server, if it runs, and starts it on the same directory.
func (b *Bawn) Restart(t testing.TB) {
	t.Helper()
	b.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.Open(ctx, b.Config, b.logger())
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- s.Serve(ctx, func(addr string) { ready <- addr }) }()
	select {
	case addr := <-ready:
		b.Server, b.URL = s, "https://"+addr
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		s.Close()
	}
}

// Stop ends the server. It may be called again.
func (b *Bawn) Stop() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// Env is the environment of a client with the administrator's profile.
func (b *Bawn) Env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.Config.Data, "BAWN_URL=" + b.URL, "AWS_CA_BUNDLE=" + b.Config.Path("ca.pem"),
		"AWS_SHARED_CREDENTIALS_FILE=" + b.Config.Path("aws", "credentials"), "AWS_CONFIG_FILE=" + b.Config.Path("aws", "config"),
		"AWS_PROFILE=bawn", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "BAWN_ISSUER=" + b.Issuer.URL,
	}
}

// Python runs a boto3 script with the administrator's profile. Arguments follow
// in sys.argv.
func (b *Bawn) Python(t testing.TB, script string, args ...string) string {
	t.Helper()
	return b.run(t, exec.Command("python3", append([]string{"-c", prelude + script}, args...)...))
}

// CLI runs the AWS CLI with the administrator's profile.
func (b *Bawn) CLI(t testing.TB, args ...string) string {
	t.Helper()
	return b.run(t, exec.Command("aws", append([]string{"--endpoint-url", b.URL, "--ca-bundle", b.Config.Path("ca.pem")}, args...)...))
}

func (b *Bawn) run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	cmd.Env = b.Env()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s\nserver's log:\n%s", err, out, &stderr, b.Log)
	}
	return string(out)
}

// Token is a token of a person, with claims changed by edit.
func (b *Bawn) Token(t testing.TB, email string, edit func(map[string]any)) string {
	t.Helper()
	claims := b.Issuer.Claims("bawn-sample", "subject-of-"+email, email)
	if edit != nil {
		edit(claims)
	}
	token, err := b.Issuer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const prelude = `
import boto3, botocore.config, botocore.exceptions, json, os, sys
URL, CA = os.environ["BAWN_URL"], os.environ["AWS_CA_BUNDLE"]
def client(service, keys=None, **kw):
    if keys:
        kw.update(aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys.get("SessionToken"))
    config = botocore.config.Config(retries={"total_max_attempts": 1}, inject_host_prefix=False)
    return boto3.client(service, endpoint_url=URL, verify=CA, region_name="us-east-1", config=config, **kw)
def refused(f, code=None, **kw):
    try:
        f(**kw)
    except botocore.exceptions.ClientError as e:
        got = e.response["Error"]["Code"]
        assert code is None or got == code, f"{got}, not {code}: {e}"
        return str(e)
    raise AssertionError("was not refused")
`

// A Buffer is a log that can be read while it is written.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Client is an HTTP client that trusts the server's CA and follows no redirects.
func (b *Bawn) Client(t testing.TB) *http.Client {
	t.Helper()
	text, err := os.ReadFile(b.Config.Path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("ca.pem holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
