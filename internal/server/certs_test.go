package server

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/rootkey"
)

func authorities(t *testing.T) (front, workload *authority, cfg config.Config, ring *rootkey.Ring) {
	t.Helper()
	cfg = config.Config{Fixed: config.Fixed{AccountID: "123456789012", Region: "us-east-1", Hosts: []string{"bawn.hospital.example"}}, Data: t.TempDir(), Listen: "127.0.0.1:0"}
	if err := makeDataDirs(cfg); err != nil {
		t.Fatal(err)
	}
	ring = newRing(t, cfg)
	front, err := openCA(cfg, serverCASpec(cfg), ring, true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	workload, err = openCA(cfg, workloadCASpec(cfg), ring, true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return front, workload, cfg, ring
}

func newRing(t *testing.T, cfg config.Config) *rootkey.Ring {
	t.Helper()
	ring, err := rootkey.Create(cfg, locked.New(), func([]byte) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func verifies(a *authority, cert tls.Certificate, name string) error {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return err
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
	return err
}

// What people's machines trust can speak for this server's names and no others,
// even in the hands of whoever steals its key.
func TestServerCAIsConstrained(t *testing.T) {
	front, workload, cfg, ring := authorities(t)
	cert, err := serverCertificate(cfg, front, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "bawn.hospital.example", "bucket.bawn.hospital.example"} {
		if err := verifies(front, cert, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"bank.example", "s3.us-east-1.amazonaws.com", "evilbawn.hospital.example.org"} {
		stolen, err := front.issue(&x509.Certificate{DNSNames: []string{name}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if verifies(front, stolen, name) == nil {
			t.Errorf("the server's CA can speak for %s", name)
		}
	}
	stolen, err := workload.issue(&x509.Certificate{DNSNames: []string{"bank.example"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if verifies(workload, stolen, "bank.example") == nil {
		t.Error("the workload CA can speak for bank.example")
	}
	_, _, _, other := authorities(t)
	if _, err := openCA(cfg, serverCASpec(cfg), other, false, time.Now()); err == nil {
		t.Error("another directory's keys open the CA")
	}
	if _, err := openCA(cfg, serverCASpec(cfg), ring, false, time.Now()); err != nil {
		t.Errorf("the CA does not open again: %v", err)
	}
}

// An endpoint answers for the names that SDKs use there and for nothing else.
func TestEndpointNames(t *testing.T) {
	_, workload, _, _ := authorities(t)
	c := &certificates{ca: workload, now: time.Now}
	for _, name := range []string{"s3.us-east-1.amazonaws.com", "S3.US-EAST-1.amazonaws.com", "bucket.s3.us-east-1.amazonaws.com", "sts.amazonaws.com", "kms.us-east-1.api.aws", "api.sagemaker.us-east-1.amazonaws.com"} {
		cert, err := c.get(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := verifies(workload, *cert, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "amazonaws.com", "bank.example", "s3.amazonaws.com.evil.example", "evilamazonaws.com", "a.b.c.d.e.amazonaws.com", "127.0.0.1", "*.amazonaws.com"} {
		if _, err := c.get(&tls.ClientHelloInfo{ServerName: name}); err == nil {
			t.Errorf("%q was certified", name)
		}
	}
	for i := range 500 {
		if _, err := c.get(&tls.ClientHelloInfo{ServerName: "x.y" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".amazonaws.com"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.issued) > maxNames {
		t.Errorf("%d certificates are kept", len(c.issued))
	}
}

// A server that runs for longer than a certificate lives goes on being trusted.
func TestFrontCertificateIsRenewed(t *testing.T) {
	front, _, cfg, _ := authorities(t)
	now := time.Now()
	f := &frontCertificate{cfg: cfg, ca: front, now: func() time.Time { return now }}
	first, err := f.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	if again, err := f.get(nil); err != nil || again != first {
		t.Errorf("a fresh certificate was not kept: %v", err)
	}
	now = now.Add(leafLife - 25*time.Hour)
	renewed, err := f.get(nil)
	if err != nil || renewed == first || !renewed.Leaf.NotAfter.After(now.Add(leafLife/2)) {
		t.Errorf("a certificate near its end was not renewed: %v", err)
	}
}
