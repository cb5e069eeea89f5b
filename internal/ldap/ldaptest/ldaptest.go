// Package ldaptest starts directories of its own for tests, on loopback and in a
// temporary directory, and removes them afterwards. It trusts the machine's slapd and Samba. It
// is never part of the product.
package ldaptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "github.com/go-ldap/ldap/v3"
)

// What every directory has.
const (
	Base     = "dc=example,dc=test"
	People   = "ou=people," + Base
	Groups   = "ou=groups," + Base
	Reader   = "cn=bawn," + Base // who may read all, and change nothing
	Password = "reads everything"
	Root     = "cn=root," + Base
)

// A Slapd is a running OpenLDAP server.
type Slapd struct {
	t     testing.TB
	Plain string // ldap://localhost:port
	TLS   string // ldaps://localhost:port; empty without TLS
	CA    string // PEM
	dir   string
	cmd   *exec.Cmd
	root  *wire.Conn
}

const conf = `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile %[1]s/pid
argsfile %[1]s/args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
%[2]s
database mdb
suffix "dc=example,dc=test"
rootdn "cn=root,dc=example,dc=test"
rootpw root
directory %[1]s/db
maxsize 1073741824
dbnosync
index objectClass,entryUUID eq
limits dn.exact="cn=bawn,dc=example,dc=test" size.soft=600 size.hard=600 size.pr=600 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=bawn,dc=example,dc=test" read by anonymous auth by * none
overlay ppolicy
database monitor
access to * by dn.exact="cn=root,dc=example,dc=test" read by * none
`

// Start starts a server with a certificate for localhost, or without TLS.
func Start(t testing.TB, withTLS bool) *Slapd {
	t.Helper()
	binary := "/usr/sbin/slapd"
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("the Debian package slapd is needed: %v", err)
	}
	dir, err := os.MkdirTemp("", "slapd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Slapd{t: t, dir: dir}
	plain, secure := port(t), port(t)
	s.Plain = "ldap://localhost:" + plain
	listen, lines := "ldap://127.0.0.1:"+plain+"/", ""
	if withTLS {
		s.TLS = "ldaps://localhost:" + secure
		listen += " ldaps://127.0.0.1:" + secure + "/"
		ca, cert, key := Certificates(t)
		s.CA = string(ca)
		s.file("ca.pem", ca)
		s.file("cert.pem", cert)
		s.file("key.pem", key)
		lines = fmt.Sprintf("TLSCACertificateFile %[1]s/ca.pem\nTLSCertificateFile %[1]s/cert.pem\nTLSCertificateKeyFile %[1]s/key.pem\n", dir)
	}
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.file("slapd.conf", fmt.Appendf(nil, conf, dir, lines))
	s.load(`dn: ` + Base + "\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n" +
		"dn: " + People + "\nobjectClass: organizationalUnit\nou: people\n\n" + "dn: " + Groups + "\nobjectClass: organizationalUnit\nou: groups\n\n" +
		"dn: " + Reader + "\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: bawn\nuserPassword: " + Password + "\n")
	s.run(listen, plain)
	return s
}

func (s *Slapd) file(name string, content []byte) {
	if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// load adds entries to a server that does not run yet.
func (s *Slapd) load(ldif string) {
	cmd := exec.Command("/usr/sbin/slapadd", "-q", "-f", filepath.Join(s.dir, "slapd.conf"))
	cmd.Stdin = strings.NewReader(ldif)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("slapadd: %v\n%s", err, out)
	}
}

func (s *Slapd) run(listen, plain string) {
	s.t.Helper()
	var log bytes.Buffer
	s.cmd = exec.Command("/usr/sbin/slapd", "-f", filepath.Join(s.dir, "slapd.conf"), "-h", listen, "-d", "0")
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, &log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	s.t.Cleanup(func() {
		if s.root != nil {
			s.root.Close()
		}
		_ = s.cmd.Process.Kill()
		<-done
	})
	for {
		select {
		case <-done:
			s.t.Fatalf("slapd ended before it was ready\n%s", &log)
		case <-time.After(10 * time.Millisecond):
		}
		l, err := wire.DialURL("ldap://127.0.0.1:" + plain)
		if err != nil {
			continue
		}
		if err := l.Bind(Root, "root"); err != nil {
			s.t.Fatal(err)
		}
		s.root = l
		return
	}
}

func tlsConfig(ca string) (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("the CA is none")
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}, nil
}

func port(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Certificates are a CA's, and one of localhost with its key, in PEM.
func Certificates(t testing.TB) (ca, cert, key []byte) {
	t.Helper()
	create := func(of, by *x509.Certificate, public, private *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, of, by, public.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	made := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	root, own := made(), made()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: from, NotAfter: until,
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return create(authority, authority, root, root), create(server, authority, own, root), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
