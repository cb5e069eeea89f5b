package server

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/rootkey"
)

// The server's CA is what people's machines trust, so it is constrained to the
// names that this server has. The keys of both CAs are sealed; what they sign lives
// shortly and is made anew at each start.
const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	caFile   = "ca.pem"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte // of the certificate
}

// An identity of a CA: where it lies, and what it may certify.
type caSpec struct {
	name      string // of the key file, and what its sealing is bound to
	common    string
	file      string // of the certificate, below the data directory
	permitted func(*x509.Certificate)
}

func (spec caSpec) keyPath(cfg config.Config) string { return cfg.Path("keys", spec.name+".key") }

// bound is what the sealed key is bound to.
func (spec caSpec) bound() []byte { return []byte(spec.name + " key") }

func serverCASpec(cfg config.Config) caSpec {
	return caSpec{"ca", "Bawn server CA " + cfg.AccountID, caFile, func(c *x509.Certificate) {
		c.PermittedDNSDomains = append([]string{"localhost"}, cfg.Hosts...)
		c.PermittedIPRanges = anyAddress // an address is no name that a CA could steal from another
	}}
}

// The workload CA speaks for AWS's own names, inside workloads only: nothing else
// is given its certificate.
func workloadCASpec(cfg config.Config) caSpec {
	return caSpec{"workload-ca", "Bawn workload CA " + cfg.AccountID, "keys/workload-ca.pem", func(c *x509.Certificate) {
		c.PermittedDNSDomains = []string{"amazonaws.com", "api.aws"}
		c.ExcludedIPRanges = anyAddress // what is not constrained is permitted (RFC 5280, 4.2.1.10)
	}}
}

// openCA opens a CA, or makes it when create is set and it is not there.
func openCA(cfg config.Config, spec caSpec, ring *rootkey.Ring, create bool, now time.Time) (*authority, error) {
	keyPath := spec.keyPath(cfg)
	if create {
		if _, err := os.Stat(keyPath); errors.Is(err, os.ErrNotExist) {
			if err := makeCA(cfg, spec, ring, keyPath, now); err != nil {
				return nil, err
			}
		}
	}
	sealed, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, err
	}
	der, _, err := ring.Open(sealed, spec.bound())
	if err != nil {
		return nil, fmt.Errorf("%s does not open: it is not of one time with keys/root.json. Put back a whole copy of DIR/keys: %w", keyPath, err)
	}
	defer clear(der)
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(cfg.Path(spec.file))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New(spec.file + " holds no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New(spec.file + " is not the certificate of the CA's key")
	}
	return &authority{cert, key, text}, nil
}

func makeCA(cfg config.Config, spec caSpec, ring *rootkey.Ring, keyPath string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:                serial(),
		Subject:                     pkix.Name{CommonName: spec.common},
		NotBefore:                   now.Add(-time.Hour),
		NotAfter:                    now.Add(caLife),
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true,
	}
	spec.permitted(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	defer clear(private)
	sealed, err := ring.Seal(private, spec.bound())
	if err != nil {
		return err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := config.WriteFile(cfg.Path(spec.file), public); err != nil {
		return err
	}
	return config.WriteFile(keyPath, sealed) // last: with it the CA exists
}

var anyAddress = []*net.IPNet{
	{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
	{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
}

// serverCertificate signs the certificate of this start.
func serverCertificate(cfg config.Config, ca *authority, now time.Time) (tls.Certificate, error) {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Bawn"},
		DNSNames:    []string{"localhost", "*.localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, h := range cfg.Hosts {
		template.DNSNames = append(template.DNSNames, h, "*."+h)
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() && !ip.IsUnspecified() {
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	return ca.issue(template, now)
}

// frontCertificate is the certificate of the front listener, made anew before it
// expires.
type frontCertificate struct {
	cfg config.Config
	ca  *authority
	now func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// get implements tls.Config.GetCertificate.
func (f *frontCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != nil && f.now().Before(f.current.Leaf.NotAfter.Add(-leafLife/3)) {
		return f.current, nil
	}
	cert, err := serverCertificate(f.cfg, f.ca, f.now())
	if err != nil {
		return nil, err
	}
	f.current = &cert
	return f.current, nil
}

// issue signs a server certificate with a fresh key.
func (a *authority) issue(template *x509.Certificate, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template.SerialNumber = serial()
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(leafLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), crypto.Signer(a.key))
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n
}
