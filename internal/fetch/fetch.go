// Package fetch is the one way in which the server itself asks something of
// another host: an identity provider's keys, a directory, a registry.
//
// A caller of the API may choose the name, so the name is hostile: it is resolved
// once, the address that was judged is the address that is dialled, and private,
// link-local, loopback and otherwise special addresses are refused, unless the
// operator's configuration names that host and port. Redirects are not followed,
// answers are bounded, and nothing of the answer reaches an error.
package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Limits of one fetch.
const (
	MaxBody = 1 << 20
	Timeout = 10 * time.Second
)

// ErrRefused says that the address is not one that the server may ask.
var ErrRefused = errors.New("this address is not open to the server: name host and port with --allow-fetch if it must be")

// A Client fetches. Its zero value fetches from public addresses only.
type Client struct {
	allow []string
	http  *http.Client
}

// New makes a client that may also ask the listed "host:port" pairs, wherever they
// point, and there without TLS too.
func New(allow []string, roots *tls.Config) *Client {
	c := &Client{allow: allow}
	c.http = &http.Client{
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               nil, // an environment variable must not lead round the check
			DialContext:         c.Dial,
			TLSClientConfig:     roots,
			TLSHandshakeTimeout: Timeout,
			DisableKeepAlives:   true,
			ForceAttemptHTTP2:   true,

			MaxResponseHeaderBytes: 64 << 10,
		},
	}
	return c
}

// Get reads a document, of at most MaxBody bytes, that is answered with 200.
func (c *Client) Get(ctx context.Context, rawURL string) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, rawURL, nil, nil)
}

// GetAs is Get with a bearer token.
func (c *Client) GetAs(ctx context.Context, rawURL, token string) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, rawURL, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, nil)
}

// Post is Get of what a form is answered with. An empty user sends no credentials.
func (c *Client) Post(ctx context.Context, rawURL, user, password string, form url.Values) ([]byte, error) {
	return c.ask(ctx, http.MethodPost, rawURL, func(r *http.Request) {
		if user != "" {
			r.SetBasicAuth(url.QueryEscape(user), url.QueryEscape(password)) // RFC 6749, 2.3.1
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
	}, form)
}

func (c *Client) ask(ctx context.Context, method, rawURL string, edit func(*http.Request), form url.Values) ([]byte, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%q is not a URL to fetch", rawURL)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && slices.Contains(c.allow, u.Host)) {
		return nil, fmt.Errorf("%s: only https is fetched", u.Redacted())
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if edit != nil {
		edit(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", u.Redacted(), resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%s answered more than %d bytes", u.Redacted(), MaxBody)
	}
	return body, nil
}

// Dial connects to a host and port, as all that is fetched does: it resolves once, judges
// every address, and dials the first.
func (c *Client) Dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	if !slices.Contains(c.allow, hostPort) {
		own, err := ownAddresses()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			if !admitted(a, own) {
				return nil, fmt.Errorf("%s: %w", hostPort, ErrRefused)
			}
		}
	}
	dialer := net.Dialer{Timeout: Timeout}
	return dialer.DialContext(ctx, network, net.JoinHostPort(addrs[0].Unmap().String(), port))
}

// Elsewhere connects to a host that the operator named, which may be private, but
// never to this machine: neither to loopback and link-local addresses nor to one of
// its own, whatever its name has come to mean.
func Elsewhere(ctx context.Context, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return nil, err
	}
	own, err := ownAddresses()
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	a := addrs[0].Unmap()
	if !a.IsGlobalUnicast() || a.IsLoopback() || a.IsLinkLocalUnicast() || slices.Contains(own, a) {
		return nil, fmt.Errorf("%s is this machine, or no host's: %w", hostPort, ErrRefused)
	}
	dialer := net.Dialer{Timeout: Timeout}
	return dialer.DialContext(ctx, "tcp4", net.JoinHostPort(a.String(), port))
}

// admitted says whether the server may ask an address that nobody named to it.
func admitted(a netip.Addr, own []netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return public(a) && !slices.Contains(own, a)
}

// ownAddresses are this machine's: what listens on a public one is still inside.
func ownAddresses() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap().WithZone(""))
		}
	}
	return own, nil
}

// special are the ranges that are not the public internet, beyond those that
// netip names: RFC 6890 and its successors.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"), // IPv4 inside IPv6, and site-local: old forms that systems still route
}

func public(a netip.Addr) bool {
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}
