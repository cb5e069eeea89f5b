package job

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"bawn.dev/internal/host"
	"bawn.dev/internal/oidctest"
)

// serverUser is who `bawn serve` runs as: an id that is nobody's.
const serverUser = 64680

const imageName = "bawn-sample"

// A house is a data directory with both of Bawn's processes, as `make run` starts
// them, and the identity provider.
type house struct {
	dir, data, url string
	listen         string
	issuerURL      string
	issuerSocket   string
	issuer         *httptest.Server
	tokens         *http.Server
	caller         *caller
	host           *host.Client

	mu             sync.Mutex
	server, worker *process

	resources
}

// build makes everything, and takes it away again when it fails.
func build() (_ *house, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("these tests isolate workloads, which needs root: run them as root")
	}
	h := &house{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.remove())
		}
	}()
	if h.dir, err = os.MkdirTemp("", "bawn-job-"); err != nil {
		return nil, err
	}
	h.data = filepath.Join(h.dir, "data")
	if err := errors.Join(os.Chmod(h.dir, 0o755), os.Mkdir(h.data, 0o700), os.Chown(h.data, 0, serverUser), os.Chmod(h.data, 0o770|os.ModeSticky)); err != nil {
		return nil, err
	}
	if err := h.compile(); err != nil {
		return nil, err
	}
	if h.listen, err = freePort(); err != nil {
		return nil, err
	}
	h.url = "https://" + h.listen
	cmd := exec.Command(h.binary(), "init", "--data", h.data, "--listen", h.listen)
	cmd.SysProcAttr = asServer()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("bawn init: %w: %s", err, out)
	}
	if err := h.importImage(); err != nil {
		return nil, err
	}
	if err := h.openIssuer(); err != nil {
		return nil, err
	}
	h.host = host.NewClient(h.data)
	if err := h.startHost(); err != nil {
		return nil, err
	}
	if err := h.startServer(); err != nil {
		return nil, err
	}
	h.caller, err = newCaller(h)
	return h, err
}

func (h *house) binary() string { return filepath.Join(h.dir, "bawn") }

// repo is a file of the repository.
func (h *house) repo(elem ...string) string {
	root, err := filepath.Abs("../..")
	if err != nil {
		panic(err) // there is no working directory
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

func (h *house) env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1",
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(h.data, "aws", "credentials"), "AWS_CONFIG_FILE=" + filepath.Join(h.data, "aws", "config"),
	}
}

func asServer() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: serverUser, Gid: serverUser}}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (h *house) compile() error {
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", h.binary(), "./cmd/bawn")
	cmd.Dir, cmd.Env = h.repo(), append(os.Environ(), "CGO_ENABLED=0", "GOFIPS140=certified")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building bawn: %w: %s", err, out)
	}
	return nil
}

// layout is the sample image, kept where builds are.
func (h *house) layout() string { return h.repo(".build", "sample-layout") }

// buildImage builds it, from the distribution's packages, in about two minutes.
func (h *house) buildImage() error {
	if out, err := exec.Command(h.binary(), "image", "build", "--data", h.data, "--name", imageName).CombinedOutput(); err != nil {
		return fmt.Errorf("bawn image build: %w: %s", err, out)
	}
	half := h.layout() + ".half"
	return errors.Join(os.RemoveAll(half), os.CopyFS(half, os.DirFS(filepath.Join(h.data, "images", ".layouts", imageName))), os.Rename(half, h.layout()))
}

func (h *house) importImage() error {
	if out, err := exec.Command(h.binary(), "image", "import", "--data", h.data, "--name", imageName, h.layout()).CombinedOutput(); err != nil {
		return fmt.Errorf("bawn image import: %w: %s", err, out)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openIssuer starts the identity provider: discovery on loopback, and tokens for
// whoever can reach a socket, as the sample's does.
func (h *house) openIssuer() error {
	issuer, err := oidctest.New()
	if err != nil {
		return err
	}
	h.issuer = httptest.NewServer(issuer)
	issuer.URL, h.issuerURL = h.issuer.URL, h.issuer.URL
	h.issuerSocket = filepath.Join(h.dir, "issuer.sock")
	l, err := net.Listen("unix", h.issuerSocket)
	if err != nil {
		return err
	}
	h.tokens = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		token, err := issuer.Sign(issuer.Claims(q.Get("aud"), q.Get("sub"), q.Get("email")))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, token)
	})}
	go h.tokens.Serve(l)
	return os.Chmod(h.issuerSocket, 0o600)
}

func (h *house) startHost() error {
	runsc, err := h.runsc()
	if err != nil {
		return err
	}
	p, err := spawn(filepath.Join(h.dir, "host.log"), nil, h.binary(), "host", "--data", h.data, "--user", fmt.Sprint(serverUser),
		"--state-dir", filepath.Join(h.dir, "state"), "--runsc", runsc)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.worker = p
	h.mu.Unlock()
	return p.await(func() bool { _, err := h.host.Capabilities(context.Background()); return err == nil })
}

func (h *house) runsc() (string, error) {
	for _, path := range []string{os.Getenv("RUNSC"), h.repo("bin", "runsc"), h.repo(".build", "runsc")} {
		if path != "" && exists(path) {
			return path, nil
		}
	}
	return "", errors.New("these tests need runsc: `sh internal/driver/oci/build-runsc.sh bin`, or name one in RUNSC")
}

func (h *house) startServer() error {
	p, err := spawn(filepath.Join(h.dir, "serve.log"), asServer(), h.binary(), "serve", "--data", h.data, "--listen", h.listen,
		"--allow-fetch", strings.TrimPrefix(h.issuerURL, "http://"),
		"--allow-egress", "allowed.example:443", "--allow-egress", "allowed.example:80", "--allow-egress", "a.wild.example:443")
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.server = p
	h.mu.Unlock()
	text, err := os.ReadFile(filepath.Join(h.data, "ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	return p.await(func() bool {
		r, err := client.Get(h.url + "/healthz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	})
}

// A process is a child that the kernel ends with this one.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func spawn(log string, attr *syscall.SysProcAttr, name string, arg ...string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &process{cmd: exec.Command(name, arg...), log: log, ended: make(chan struct{})}
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Pdeathsig = syscall.SIGKILL
	p.cmd.SysProcAttr, p.cmd.Stdout, p.cmd.Stderr = attr, f, f
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends: keep it
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait()
		}
	}()
	return p, <-started
}

// await waits until it is ready, or ends.
func (p *process) await(ready func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for hope := time.After(time.Minute); ; {
		select {
		case <-p.ended:
		case <-hope:
		case <-tick.C:
			if ready() {
				return nil
			}
			continue
		}
		text, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s did not become ready: %s", p.cmd, text)
	}
}

// stop sends a signal and waits for the end.
func (p *process) stop(s syscall.Signal) {
	if p == nil {
		return
	}
	p.cmd.Process.Signal(s)
	<-p.ended
}
