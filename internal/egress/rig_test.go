package egress_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bawn.dev/internal/egress"
)

// A rig is a NAT gateway on loopback before a small internet, whose names lead to servers of the test.
type rig struct {
	*egress.Proxy
	t     testing.TB
	addrs map[egress.Kind]string
	roots *x509.CertPool
	ca    *x509.Certificate
	key   *ecdsa.PrivateKey

	mu      sync.Mutex
	hosts   map[string]string         // "name:port" to an address on loopback
	rules   map[string]*egress.Budget // by "name:port"; nil is without bound
	asked   []string
	dialled []string
	broken  error // of the record
	unsure  error // of the decision
	opened  []egress.Connection
	closed  chan egress.Connection
	refused chan refusal
}

type refusal struct {
	egress.Connection
	why error
}

var discard = slog.New(slog.DiscardHandler)

func newRig(t testing.TB) *rig {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	r := &rig{
		t: t, addrs: map[egress.Kind]string{}, hosts: map[string]string{}, rules: map[string]*egress.Budget{},
		closed: make(chan egress.Connection, 10_000), refused: make(chan refusal, 10_000),
	}
	p, err := egress.New(egress.Config{
		Allow: r.allow, Dial: r.dial, Opened: r.open, Log: discard,
		Closed:  func(c egress.Connection) { r.closed <- c },
		Refused: func(c egress.Connection, why error) { r.refused <- refusal{c, why} },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Proxy = p
	r.authority()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		goleak.VerifyNone(t, ignore)
	})
	t.Cleanup(p.Close)
	return r
}

// serve opens the sockets. It comes after what a test changes.
func (r *rig) serve() *rig {
	for _, kind := range []egress.Kind{egress.HTTP, egress.TLS, egress.Explicit} {
		l := listen(r.t)
		r.addrs[kind] = l.Addr().String()
		r.ends(func() error { return r.Serve(l, kind) })
	}
	return r
}

// ends runs a server that must end because the proxy was closed.
func (r *rig) ends(serve func() error) {
	done := make(chan error, 1)
	go func() { done <- serve() }()
	r.t.Cleanup(func() {
		r.Close()
		if err := <-done; !errors.Is(err, egress.ErrClosed) {
			r.t.Errorf("a server ended with %v", err)
		}
	})
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *rig) allow(_ context.Context, source netip.Addr, name string, port uint16) (egress.Grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := fmt.Sprintf("%s:%d", name, port)
	r.asked = append(r.asked, at)
	if r.unsure != nil {
		return egress.Grant{}, r.unsure
	}
	budget, ok := r.rules[at]
	if !ok || !source.IsLoopback() {
		return egress.Grant{}, &egress.Denied{Groups: []string{"sg-1"}}
	}
	return egress.Grant{Budget: budget, Cookie: "ada at " + source.String()}, nil
}

func (r *rig) dial(ctx context.Context, name string, port uint16) (net.Conn, netip.Addr, error) {
	at := fmt.Sprintf("%s:%d", name, port)
	r.mu.Lock()
	r.dialled = append(r.dialled, at)
	addr, ok := r.hosts[at]
	r.mu.Unlock()
	if !ok {
		return nil, netip.Addr{}, errors.New("no such host")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	return c, netip.MustParseAddr("203.0.113.7"), err
}

func (r *rig) open(_ context.Context, c egress.Connection) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		r.opened = append(r.opened, c)
	}
	return r.broken
}

func (r *rig) permit(at string, budget *egress.Budget) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules[at] = budget
}

func (r *rig) forbid(at string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rules, at)
}

// count is how many connections were opened, and how many dialled.
func (r *rig) count() (opened, dialled int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.opened), len(r.dialled)
}

// untouched fails if anything left.
func (r *rig) untouched(what string) {
	r.t.Helper()
	if opened, dialled := r.count(); opened+dialled != 0 {
		r.t.Errorf("%s: %d connections were opened, %d dialled", what, opened, dialled)
	}
}

func (r *rig) authority() {
	r.key = newKey(r.t)
	r.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a CA of the internet"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, r.ca, r.ca, &r.key.PublicKey, r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.ca, err = x509.ParseCertificate(der); err != nil {
		r.t.Fatal(err)
	}
	r.roots = x509.NewCertPool()
	r.roots.AddCert(r.ca)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate is one of the internet's authority.
func (r *rig) certificate(names ...string) tls.Certificate {
	key := newKey(r.t)
	cert := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: r.ca.NotBefore, NotAfter: r.ca.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, cert, r.ca, &key.PublicKey, r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// website is an HTTPS server of the internet under a name, which the rules know nothing about yet.
func (r *rig) website(name string, h http.Handler) {
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{r.certificate(name)}}
	srv.StartTLS()
	r.t.Cleanup(srv.Close)
	r.hosts[name+":443"] = srv.Listener.Addr().String()
}

// plain is an HTTP server of the internet.
func (r *rig) plain(at string, h http.Handler) {
	srv := httptest.NewServer(h)
	r.t.Cleanup(srv.Close)
	r.hosts[at] = srv.Listener.Addr().String()
}

// raw is a host of the internet that speaks as f does.
func (r *rig) raw(at string, f func(net.Conn)) {
	l := listen(r.t)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	r.t.Cleanup(func() {
		l.Close()
		r.Close() // hosts of the internet end when the gateway hangs up
		all.Wait()
	})
	r.hosts[at] = l.Addr().String()
}

// direct is a client whose names all lead to the gateway, as the VPC's name server has it.
func (r *rig) direct() *http.Client {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		kind := egress.HTTP
		if _, port, _ := net.SplitHostPort(addr); port == "443" {
			kind = egress.TLS
		}
		var d net.Dialer
		return d.DialContext(ctx, network, r.addrs[kind])
	}
	return r.client(&http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: r.roots}})
}

// proxied is a client that knows of the proxy.
func (r *rig) proxied() *http.Client {
	u := &url.URL{Scheme: "http", Host: r.addrs[egress.Explicit]}
	return r.client(&http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{RootCAs: r.roots}})
}

func (r *rig) client(tr *http.Transport) *http.Client {
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// connectTo opens a connection to one of the gateway's sockets.
func (r *rig) connectTo(kind egress.Kind) *net.TCPConn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addrs[kind])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// lastly is a request that ends a connection: a client of HTTP that closes its half has gone away.
const lastly = "GET / HTTP/1.1\r\nHost: last\r\n\r\n"

// say sends bytes to a socket and returns all that comes back until it hangs up.
func (r *rig) say(kind egress.Kind, text string) string {
	r.t.Helper()
	c := r.connectTo(kind)
	defer c.Close()
	go func() {
		if kind == egress.HTTP || kind == egress.Explicit {
			io.WriteString(c, text+lastly)
			return
		}
		io.WriteString(c, text)
		c.CloseWrite()
	}()
	var got bytes.Buffer
	io.Copy(&got, c) // a reset is an end too
	return got.String()
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
}

func get(t testing.TB, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return resp.StatusCode, string(body)
}
