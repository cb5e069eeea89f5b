package server

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"
)

// awsName is a name that an endpoint inside a VPC may be asked for: AWS's own, with
// at most four labels before the domain.
var awsName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.){1,4}(amazonaws\.com|api\.aws)$`)

// maxNames bounds the certificates that are kept; a workload chooses what names it
// asks for.
const maxNames = 64

// certificates issues, by the name that a client asks for, what makes unmodified
// SDKs inside a VPC trust an endpoint there.
type certificates struct {
	ca  *authority
	now func() time.Time

	mu     sync.Mutex
	issued map[string]*tls.Certificate // by parent domain
}

// get implements tls.Config.GetCertificate.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if !awsName.MatchString(name) {
		return nil, errors.New("this endpoint answers for AWS's names only")
	}
	_, parent, _ := strings.Cut(name, ".")
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.issued[parent]; have != nil && c.now().Before(have.Leaf.NotAfter.Add(-24*time.Hour)) {
		return have, nil
	}
	cert, err := c.ca.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "Bawn endpoint"}, DNSNames: []string{"*." + parent}}, c.now())
	if err != nil {
		return nil, err
	}
	if len(c.issued) >= maxNames || c.issued == nil {
		c.issued = map[string]*tls.Certificate{}
	}
	c.issued[parent] = &cert
	return &cert, nil
}

func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}
