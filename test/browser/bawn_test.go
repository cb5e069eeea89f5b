// Package browser drives the real bawn binary with a real Chromium, as people and
// those who attack them do. It is a module of its own, so that the product never links
// a browser's protocol.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// One server, one browser and one site of an attacker serve all tests: each test has
// people and browser contexts of its own.
var (
	binary   string
	data     string
	site     string // https://localhost:PORT
	issuer   string // of the OpenID provider that the server may ask
	evil     *attacker
	chromium context.Context
	trusting *http.Client // takes the server's certificate
)

// An attacker has an origin of his own on the name of this server, which cookies do
// not tell apart: whatever holds here holds on any other name.
type attacker struct {
	url string
	mu  sync.Mutex
	now string // his page
}

func (a *attacker) serves(page string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = page
	return a.url
}

func (a *attacker) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, a.now)
}

func TestMain(m *testing.M) { os.Exit(all(m)) }

func all(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bawn-browser")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	end, err := start(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer end()
	return m.Run()
}

var serving = regexp.MustCompile(`msg=serving address=\S+:(\d+)`)

// start builds and serves in a process of its own, and opens the browser. The kernel
// ends the server should the test be killed.
func start(dir string) (end func(), err error) {
	binary, data = filepath.Join(dir, "bawn"), filepath.Join(dir, "data")
	build := exec.Command("go", "build", "-o", binary, "./cmd/bawn")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFIPS140=certified")
	for _, cmd := range []*exec.Cmd{build, exec.Command(binary, "init", "--data", data)} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	provider, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host := fmt.Sprintf("localhost:%d", provider.Addr().(*net.TCPAddr).Port)
	issuer = "http://" + host + "/"
	serve := exec.Command(binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--allow-fetch", host)
	serve.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	logs, err := serve.StderrPipe()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends
	if err := serve.Start(); err != nil {
		return nil, err
	}
	said := &bytes.Buffer{}
	lines := bufio.NewScanner(io.TeeReader(logs, said))
	for site == "" && lines.Scan() {
		if m := serving.FindStringSubmatch(lines.Text()); m != nil {
			site = "https://localhost:" + m[1]
		}
	}
	if site == "" {
		return nil, fmt.Errorf("the server ended before it was ready:\n%s", said)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		io.Copy(os.Stderr, logs)
	}()

	pem, err := os.ReadFile(filepath.Join(data, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	trusting = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	openid := zitadel(provider, issuer)

	evil = &attacker{}
	hostile := httptest.NewTLSServer(evil)
	evil.url = strings.Replace(hostile.URL, "127.0.0.1", "localhost", 1)

	close, err := openBrowser(dir)
	return func() {
		if close != nil {
			close()
		}
		hostile.Close()
		openid.Close()
		if err := errors.Join(serve.Process.Signal(syscall.SIGTERM)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		<-drained
		if err := serve.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}, err
}

// openBrowser opens a Chromium that takes the two servers' keys, and no other that it
// could not verify.
func openBrowser(dir string) (func(), error) {
	var keys []string
	for _, url := range []string{site, evil.url} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // to learn the key
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
		keys = append(keys, base64.StdEncoding.EncodeToString(sum[:]))
		conn.Close()
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // tests run as root
		chromedp.UserDataDir(filepath.Join(dir, "chromium")),
		chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(keys, ",")),
		chromedp.Flag("disable-dev-shm-usage", true),
	)...)
	var cancel context.CancelFunc
	chromium, cancel = chromedp.NewContext(allocator)
	return func() { cancel(); stop() }, chromedp.Run(chromium)
}

// python runs a boto3 script. Without an environment of its own it is the
// administrator's.
func python(t *testing.T, env []string, script string, args ...string) string {
	t.Helper()
	out, err := pythonCommand(t, env, script, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func pythonCommand(t *testing.T, env []string, script string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{"-c", prelude + script}, args...)...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "BAWN_URL=" + site, "AWS_CA_BUNDLE=" + filepath.Join(data, "ca.pem"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_DEFAULT_REGION=us-east-1", "PYTHONUNBUFFERED=1",
	}, env...)
	if env == nil {
		cmd.Env = append(cmd.Env, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(data, "aws", "credentials"),
			"AWS_CONFIG_FILE="+filepath.Join(data, "aws", "config"), "AWS_PROFILE=bawn")
	}
	return cmd
}

const prelude = `
import boto3, botocore.config, json, os, sys
URL = os.environ["BAWN_URL"]
def client(service, **kw):
    return boto3.client(service, endpoint_url=URL, config=botocore.config.Config(inject_host_prefix=False), **kw)
`

// person makes a person and answers her one-time password.
func person(t *testing.T, name, display string) string {
	t.Helper()
	python(t, nil, `
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
client("identitystore").create_user(IdentityStoreId=store, UserName=sys.argv[1], DisplayName=sys.argv[2],
    Name={"GivenName": "Ada", "FamilyName": "Lovelace"}, Emails=[{"Value": sys.argv[1] + "@example.org", "Primary": True}])
`, name, display)
	out, err := exec.CommandContext(t.Context(), binary, "people", "set-password", "--data", data, name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
