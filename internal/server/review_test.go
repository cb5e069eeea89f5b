package server_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/config"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// Who runs an administration command can say any name; his user id is the kernel's
// word.
func TestOperatorsAreRecordedAsTheKernelKnowsThem(t *testing.T) {
	b := servertest.Start(t)
	ctx := context.Background()
	var page server.AuditPage
	if err := server.AskRunning(ctx, b.Config, "/audit", server.AuditRequest{Operator: "somebody-else"}, &page); err != nil {
		t.Fatal(err)
	}
	found, err := b.Trail().Find(ctx, trail.Query{Account: b.Config.AccountID, EventName: "Audit"})
	if err != nil || len(found.Entries) != 1 {
		t.Fatalf("%d records, %v", len(found.Entries), err)
	}
	if got, want := found.Entries[0].Record.UserIdentity.PrincipalID, fmt.Sprintf("uid-%d", os.Getuid()); got != want {
		t.Errorf("recorded %q, not %q", got, want)
	}
}

// Whoever may put files into the data directory owns what it protects.
func TestDirectoriesThatOthersMayWriteToAreRefused(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	cfg := config.Config{
		Fixed:  config.Fixed{AccountID: config.DefaultAccountID, Region: config.DefaultRegion},
		Data:   filepath.Join(t.TempDir(), "data"),
		Listen: "127.0.0.1:0",
	}
	if err := os.Mkdir(cfg.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cfg.Data, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := server.Init(context.Background(), cfg, log); err == nil {
		t.Fatal("initialized where everybody may write")
	}
	if err := os.Chmod(cfg.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := server.Init(context.Background(), cfg, log); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"keys", "blobs", "aws", "run"} {
		if err := os.Chmod(cfg.Path(dir), 0o720); err != nil {
			t.Fatal(err)
		}
		if s, err := server.Open(context.Background(), cfg, log); err == nil {
			s.Close()
			t.Errorf("opened although others may write to %s", dir)
		}
		if err := os.Chmod(cfg.Path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(cfg.Path("keys"), cfg.Path("elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", cfg.Path("keys")); err != nil {
		t.Fatal(err)
	}
	if s, err := server.Open(context.Background(), cfg, log); err == nil {
		s.Close()
		t.Error("opened although keys is a link")
	}
}

// The workload CA speaks for AWS's names; a certificate of it for an address would
// be one for anything.
func TestWorkloadCACertifiesNoAddress(t *testing.T) {
	b := servertest.Start(t)
	text, err := os.ReadFile(b.Config.Path("keys", "workload-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"192.0.2.1", "2001:db8::1"} {
		excluded := false
		for _, r := range cert.ExcludedIPRanges {
			excluded = excluded || r.Contains(net.ParseIP(addr))
		}
		if !excluded {
			t.Errorf("it may certify %s", addr)
		}
	}
}

// Whoever may store an object can store a page, and send somebody a presigned URL
// of it. In her browser it must be inert.
func TestStoredPagesAreInert(t *testing.T) {
	b := servertest.Start(t)
	url := strings.TrimSpace(b.Python(t, `
s3 = client("s3")
s3.create_bucket(Bucket="pages")
s3.put_object(Bucket="pages", Key="p.html", Body=b"<script>alert(1)</script>", ContentType="text/html")
print(s3.generate_presigned_url("get_object", Params={"Bucket": "pages", "Key": "p.html"}, ExpiresIn=600))
`))
	resp, err := b.Client(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || strings.Contains(csp, "allow-") {
		t.Errorf("its policy is %q", csp)
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Error("a browser may take it for something else")
	}
	// The URL is for reading: nothing else can be done with it.
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPost, http.MethodOptions} {
		req, err := http.NewRequest(method, url, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := b.Client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%s with a URL for GET answers %s", method, resp.Status)
		}
	}
}
