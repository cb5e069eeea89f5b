// Package login is the person's half of signing in on a command line: it gets tokens
// for her by her browser or by a code that she types elsewhere, keeps them in a file of
// hers, writes a profile that AWS's SDKs read, and makes their credentials.
//
// It trusts the server whose address and CA she gave, and whoever may write her home
// directory. Another user of the same computer can connect to the listener on loopback
// that waits for the browser: without the state he is turned away, and a code that he
// took is worth nothing without the verifier, which never leaves the process. What the
// server answers is bounded, and what of it is shown or opened is checked: it chooses
// neither a program nor an address to open.
package login

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	clientName  = "bawn"
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	scope       = "sso:account:access"
	callback    = "/oauth/callback"

	maxAnswer = 1 << 20
	patience  = 30 * time.Second
)

// ErrOver says that the person must sign in again.
var ErrOver = errors.New("the sign-in is over")

// A Refusal is what the server answered instead.
type Refusal struct {
	Status        int
	Code, Message string
}

// Error says code and message.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// A Server is a Bawn as a person's program meets it.
type Server struct {
	URL    string
	client *http.Client
}

// Dial prepares to talk to a server; nothing is sent yet. ca is a file with the
// certificates to trust; empty for the machine's. Plain HTTP is for loopback.
func Dial(address, ca string) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("%q is no address like https://bawn.example.org:4680", address)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback())) {
		return nil, errors.New("the address must begin with https://")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", ca)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &Server{URL: u.Scheme + "://" + u.Host, client: &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// call makes one call. token goes into the portal's header; in and out are JSON, and
// may be nil.
func (s *Server) call(ctx context.Context, method, path, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", clientName)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("x-amz-sso_bearer_token", token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var told struct{ Message string }
		_ = json.Unmarshal(raw, &told) // whatever else it is, it is a refusal
		code := resp.Header.Get("X-Amzn-Errortype")
		if code == "" {
			code = resp.Status
		}
		return &Refusal{resp.StatusCode, code, told.Message}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// is says whether an error is a refusal of one of these codes.
func is(err error, codes ...string) bool {
	r, ok := errors.AsType[*Refusal](err)
	for _, code := range codes {
		if ok && r.Code == code {
			return true
		}
	}
	return false
}
