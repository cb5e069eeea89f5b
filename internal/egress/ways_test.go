package egress_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/egress"
)

// What a rule opens works by each way, and is recorded with person, name, address and bytes.
func TestOpenNames(t *testing.T) {
	r := newRig(t)
	r.website("pypi.example.org", text("a wheel"))
	r.plain("deb.example.org:80", text("a package"))
	r.plain("deb.example.org:8080", text("another package"))
	for _, at := range []string{"pypi.example.org:443", "deb.example.org:80", "deb.example.org:8080"} {
		r.permit(at, nil)
	}
	r.serve()
	for _, way := range []struct {
		client *http.Client
		url    string
		want   string
		kind   egress.Kind
		port   uint16
	}{
		{r.direct(), "https://pypi.example.org/simple", "a wheel", egress.TLS, 443},
		{r.direct(), "http://deb.example.org/pool", "a package", egress.HTTP, 80},
		{r.direct(), "http://DEB.Example.ORG./pool", "a package", egress.HTTP, 80},
		{r.proxied(), "https://pypi.example.org/simple", "a wheel", egress.Explicit, 443},
		{r.proxied(), "http://deb.example.org/pool", "a package", egress.Explicit, 80},
		{r.proxied(), "http://deb.example.org:8080/pool", "another package", egress.Explicit, 8080},
	} {
		status, body := get(t, way.client, way.url)
		if status != http.StatusOK || body != way.want {
			t.Errorf("%s: %d %q", way.url, status, body)
		}
		way.client.CloseIdleConnections()
		c := <-r.closed
		if c.Kind != way.kind || c.Port != way.port || c.Name != strings.ToLower(strings.Trim(hostOf(way.url), ".")) {
			t.Errorf("%s is recorded as %+v", way.url, c)
		}
		if c.Cookie != "ada at 127.0.0.1" || c.Address != netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), way.port) || c.Why != nil {
			t.Errorf("%s is recorded as %+v", way.url, c)
		}
		if c.Sent < 20 || c.Received < int64(len(way.want)) || c.Opened.IsZero() || !c.Source.IsValid() {
			t.Errorf("%s is recorded as %+v", way.url, c)
		}
	}
	if opened, _ := r.count(); opened != 6 || len(r.refused) != 0 {
		t.Errorf("%d were opened, %d refused", opened, len(r.refused))
	}
}

func hostOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, ":")
	return host
}

// What no rule opens is refused in words that a person can act on, without a look outside.
func TestRefusalsSayWhatToDo(t *testing.T) {
	r := newRig(t).serve()
	advice := `ask the operator for "bawn egress allow --group sg-1 evil.example.org:80"`
	for _, c := range []*http.Client{r.direct(), r.proxied()} {
		if status, body := get(t, c, "http://evil.example.org/"); status != http.StatusForbidden || !strings.Contains(body, advice) {
			t.Errorf("%d %s", status, body)
		}
	}
	if _, err := r.proxied().Get("https://evil.example.org/"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("through CONNECT: %v", err)
	}
	if _, err := r.direct().Get("https://evil.example.org/"); err == nil || !strings.Contains(err.Error(), "access denied") {
		t.Errorf("by TLS: %v", err)
	}
	r.untouched("four refusals")
	for range 4 {
		if got := <-r.refused; got.Name != "evil.example.org" || got.Source.Addr().String() != "127.0.0.1" {
			t.Errorf("recorded %+v", got)
		}
	}
}

// Uploads, answers of unknown length and unusual headers arrive as they were sent.
func TestBodiesPass(t *testing.T) {
	r := newRig(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	echo := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Seen", q.Method+" "+q.RequestURI+" "+q.Host+q.Header.Get("X-Forwarded-For")+q.Header.Get("Via"))
		all, _ := io.ReadAll(q.Body)
		w.Write(all)
	})
	r.website("up.example.org", echo)
	r.plain("up.example.org:80", echo)
	r.permit("up.example.org:443", nil)
	r.permit("up.example.org:80", nil)
	r.serve()
	for _, c := range []*http.Client{r.direct(), r.proxied()} {
		for _, url := range []string{"https://up.example.org/a%2Fb?x=1;y=2&&%zz", "http://up.example.org/a%2Fb?x=1;y=2&&%zz"} {
			q, err := http.NewRequest(http.MethodPost, url, struct{ io.Reader }{bytes.NewReader(big)})
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Expect", "100-continue")
			resp, err := c.Do(q)
			if err != nil {
				t.Fatal(url, err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(body, big) {
				t.Errorf("%s: %d bytes, %v", url, len(body), err)
			}
			if got := resp.Header.Get("Seen"); got != "POST /a%2Fb?x=1;y=2&&%zz up.example.org" {
				t.Errorf("%s arrived as %q", url, got)
			}
		}
	}
}

// An end that has said all may still listen, both ways.
func TestHalfClose(t *testing.T) {
	r := newRig(t)
	r.raw("db.example.org:5432", func(c net.Conn) {
		all, _ := io.ReadAll(c)
		c.Write(bytes.ToUpper(all))
	})
	r.permit("db.example.org:5432", nil)
	r.serve()
	c := r.tunnel("db.example.org:5432")
	io.WriteString(c, "select")
	c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "SELECT" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if end := <-r.closed; end.Sent != 6 || end.Received != 6 || end.Why != nil {
		t.Errorf("recorded %+v", end)
	}
}

// tunnel opens one by CONNECT.
func (r *rig) tunnel(at string) *net.TCPConn {
	r.t.Helper()
	c := r.connectTo(egress.Explicit)
	io.WriteString(c, "CONNECT "+at+" HTTP/1.1\r\nHost: "+at+"\r\n\r\n")
	head := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
	if _, err := io.ReadFull(c, head); err != nil || !strings.HasPrefix(string(head), "HTTP/1.1 200 ") {
		r.t.Fatalf("CONNECT %s: %q, %v", at, head, err)
	}
	return c
}

// The relay of an endpoint service: the same gates and records, and bytes as they are.
func TestRelay(t *testing.T) {
	r := newRig(t)
	r.raw("com.amazonaws.vpce.local.vpce-svc-1:5432", func(c net.Conn) {
		io.WriteString(c, "hello first;") // protocols in which the server begins work too
		io.Copy(c, c)
	})
	r.permit("com.amazonaws.vpce.local.vpce-svc-1:5432", nil)
	for _, name := range []string{"com.amazonaws.vpce.local.vpce-svc-1", "com.amazonaws.vpce.local.vpce-svc-2"} {
		l := listen(t)
		r.addrs[egress.Kind(name)] = l.Addr().String()
		r.ends(func() error { return r.Relay(l, name, 5432) })
	}
	if got := r.say("com.amazonaws.vpce.local.vpce-svc-1", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"); got != "hello first;PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" {
		t.Errorf("got %q", got)
	}
	if end := <-r.closed; end.Kind != egress.Relay || end.Sent != 34 || end.Received != 46 || end.Source.Addr().String() != "127.0.0.1" {
		t.Errorf("recorded %+v", end)
	}
	if got := r.say("com.amazonaws.vpce.local.vpce-svc-2", "hello"); got != "" {
		t.Errorf("a service that is not allowed answered %q", got)
	}
	if got := <-r.refused; got.Kind != egress.Relay {
		t.Errorf("recorded %+v", got)
	}
}

// Programs that others wrote: curl and Python's requests and urllib, each both ways.
func TestOtherClients(t *testing.T) {
	r := newRig(t)
	r.website("pypi.example.org", text("a wheel"))
	r.plain("deb.example.org:80", text("a package"))
	r.permit("pypi.example.org:443", nil)
	r.permit("deb.example.org:80", nil)
	r.serve()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := "http://" + r.addrs[egress.Explicit]
	fetch := `import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end="")`
	requests := `import sys, requests; print(requests.get(sys.argv[1]).text, end="")`
	for url, want := range map[string]string{"https://pypi.example.org/": "a wheel", "http://deb.example.org/": "a package"} {
		for _, command := range [][]string{
			{"curl", "-sS", "--cacert", ca, "--proxy", proxy, url},
			{"curl", "-sS", "--cacert", ca, "--noproxy", "*", "--connect-to", "pypi.example.org:443:" + r.addrs[egress.TLS],
				"--connect-to", "deb.example.org:80:" + r.addrs[egress.HTTP], url},
			{"python3", "-c", fetch, url},
			{"python3", "-c", requests, url},
		} {
			path, err := exec.LookPath(command[0])
			if err != nil {
				t.Logf("no %s here", command[0])
				continue
			}
			if command[0] == "python3" && exec.Command(path, "-c", "import requests").Run() != nil && command[2] == requests {
				t.Log("no requests here")
				continue
			}
			cmd := exec.CommandContext(context.Background(), path, command[1:]...)
			cmd.Env = append(os.Environ(), "http_proxy="+proxy, "https_proxy="+proxy, "no_proxy=", "NO_PROXY=",
				"HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "SSL_CERT_FILE="+ca, "REQUESTS_CA_BUNDLE="+ca)
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("%q: %q, %v", command, out, err)
			}
		}
	}
}
