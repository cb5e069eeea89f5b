// Package federation has people sign in to the real bawn binary at identity providers
// that others wrote, and to an application, with clients that others wrote, through
// Bawn. It is a module of its own, so that the product never links any of them.
package federation

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bawn-federation")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "bawn")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/bawn")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFIPS140=certified")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building bawn: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A bawn is a running server.
type bawn struct {
	t    *testing.T
	data string
	site string // https://localhost:PORT
}

var serving = regexp.MustCompile(`msg=serving address=\S+:(\d+)`)

// start serves a fresh data directory, in a process of its own, until the test ends.
// The kernel ends the process should the test be killed.
func start(t *testing.T, allow ...string) *bawn {
	t.Helper()
	b := &bawn{t: t, data: filepath.Join(t.TempDir(), "data")}
	b.run("", "init")
	b.run("", "people", "mfa-policy", "when-registered")
	args := []string{"serve", "--data", b.data, "--listen", "127.0.0.1:0"}
	for _, host := range allow {
		args = append(args, "--allow-fetch", host)
	}
	cmd := exec.Command(binary, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	started, stop, stopped := make(chan error), make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends: keep it
		err := cmd.Start()
		started <- err
		if err == nil {
			<-stop
			stopped <- errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	ready, drained := make(chan string, 1), make(chan struct{})
	var said bytes.Buffer
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(io.TeeReader(logs, &said))
		for lines.Scan() {
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
		close(ready)
	}()
	t.Cleanup(func() {
		close(stop)
		<-drained
		if err := <-stopped; err != nil {
			t.Errorf("serve: %v", err)
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", &said)
		}
	})
	port := <-ready
	if port == "" {
		t.Fatal("the server ended before it was ready")
	}
	b.site = "https://localhost:" + port
	return b
}

// run is an administration command.
func (b *bawn) run(stdin string, args ...string) string {
	b.t.Helper()
	cmd := exec.Command(binary, append(args, "--data", b.data)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("bawn %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// client trusts the server's CA and follows nothing by itself.
func (b *bawn) client() *http.Client {
	b.t.Helper()
	pem, err := os.ReadFile(filepath.Join(b.data, "ca.pem"))
	if err != nil {
		b.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	b.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A surfer is a browser that follows redirects and fills in forms.
type surfer struct {
	*bawn
	http *http.Client
	at   *url.URL
	page string
}

func (b *bawn) surfer() *surfer {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	c := b.client()
	c.Jar = jar
	return &surfer{bawn: b, http: c}
}

func (s *surfer) took(resp *http.Response, err error) *surfer {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.at, s.page = resp.Request.URL, string(raw)
	return s
}

func (s *surfer) get(address string) *surfer {
	s.t.Helper()
	return s.took(s.http.Get(address))
}

var (
	forms   = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	fields  = regexp.MustCompile(`<(?:input|button)[^>]*>`)
	named   = regexp.MustCompile(` name="([^"]*)"`)
	valued  = regexp.MustCompile(` value="([^"]*)"`)
	refresh = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`)
)

// submit fills in the first form that has a field, and sends it.
func (s *surfer) submit(field string, values map[string]string) *surfer {
	s.t.Helper()
	for _, form := range forms.FindAllStringSubmatch(s.page, -1) {
		data, found := url.Values{}, false
		for _, tag := range fields.FindAllString(form[2], -1) {
			name, value := named.FindStringSubmatch(tag), valued.FindStringSubmatch(tag)
			if name == nil {
				continue
			}
			found = found || name[1] == field
			if value != nil {
				data.Add(name[1], html.UnescapeString(value[1]))
			}
		}
		if !found {
			continue
		}
		for name, value := range values {
			data.Set(name, value)
		}
		to, err := s.at.Parse(html.UnescapeString(form[1]))
		if err != nil {
			s.t.Fatal(err)
		}
		return s.took(s.http.PostForm(to.String(), data))
	}
	s.t.Fatalf("no form has %s at %s:\n%s", field, s.at, s.page)
	return s
}

// away goes from the first page of signing in to a provider.
func (s *surfer) away(provider, next string) *surfer {
	s.t.Helper()
	s.get(s.site+"/start/signin?"+url.Values{"next": {next}}.Encode()).submit("username", map[string]string{"username": "somebody"})
	return s.submit("provider", map[string]string{"provider": provider}).onward()
}

// onward goes where the page sends the browser.
func (s *surfer) onward() *surfer {
	s.t.Helper()
	to := refresh.FindStringSubmatch(s.page)
	if to == nil {
		s.t.Fatalf("the browser is not sent on:\n%s", s.page)
	}
	next, err := s.at.Parse(html.UnescapeString(to[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.get(next.String())
}

// sees checks what the page says.
func (s *surfer) sees(address, text string) {
	s.t.Helper()
	if !strings.HasPrefix(s.at.String(), address) || !strings.Contains(s.page, text) {
		s.t.Fatalf("at %s, without %q:\n%s", s.at, text, s.page)
	}
}
