// Package keys has other people's clients of KMS work with the real bawn binary: the
// AWS SDK for Go, boto3 and the AWS CLI, the AWS Encryption SDK for JavaScript, sops,
// Tink and OpenSSL. It is a module of its own, so that the product never links any of
// them.
package keys

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
)

const account = "123456789012"

// tools is where the programs are that TestMain built.
var tools string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	var err error
	if tools, err = os.MkdirTemp("", "bawn-keys"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(tools)
	if err := compile(filepath.Join("..", ".."), "./cmd/bawn"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// compile puts the program of a package, as the module in dir knows it, among the tools.
func compile(dir, program string) error {
	cmd := exec.Command("go", "build", "-o", tools+"/", program)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFIPS140=certified")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", program, err, out)
	}
	return nil
}

// sops is compiled once, for the tests that need it: it takes a minute or two.
var sops = sync.OnceValue(func() error { return compile("sops", "github.com/getsops/sops/v3/cmd/sops") })

// A bawn is a running server.
type bawn struct {
	t    *testing.T
	data string
	url  string
	log  string // the file
}

var serving = regexp.MustCompile(`msg=serving address=\S+:(\d+)`)

// start serves a fresh data directory, in a process of its own, until the test ends.
// The kernel ends the process should the test be killed.
func start(t *testing.T) *bawn {
	t.Helper()
	b := &bawn{t: t, data: filepath.Join(t.TempDir(), "data")}
	b.bawn("init")
	cmd := exec.Command(filepath.Join(tools, "bawn"), "serve", "--data", b.data, "--listen", "127.0.0.1:0")
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
	b.log = filepath.Join(t.TempDir(), "log")
	said := must[*os.File](t)(os.Create(b.log))
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(io.TeeReader(logs, said))
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
		said.Close()
		if t.Failed() {
			t.Logf("the server said:\n%s", must[[]byte](t)(os.ReadFile(b.log)))
		}
	})
	port := <-ready
	if port == "" {
		t.Fatal("the server ended before it was ready")
	}
	b.url = "https://localhost:" + port
	return b
}

// bawn is an administration command.
func (b *bawn) bawn(args ...string) string {
	b.t.Helper()
	out, err := exec.Command(filepath.Join(tools, "bawn"), append(args, "--data", b.data)...).Output()
	if err != nil {
		b.t.Fatalf("bawn %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// A caller is who runs the clients, and how they find the server: by the environment
// alone, as docs/clients.md says.
type caller struct {
	*bawn
	env []string
}

// as is a caller with credentials.
func (b *bawn) as(id, secret, token string) *caller {
	ca := filepath.Join(b.data, "ca.pem")
	env := []string{
		"PATH=" + tools + ":" + os.Getenv("PATH"), "HOME=" + b.t.TempDir(),
		"AWS_ENDPOINT_URL=" + b.url, "AWS_CA_BUNDLE=" + ca, "NODE_EXTRA_CA_CERTS=" + ca, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret,
	}
	if token != "" {
		env = append(env, "AWS_SESSION_TOKEN="+token)
	}
	return &caller{b, env}
}

// narrow is the caller whose other services are at AWS.
func (c *caller) narrow() *caller {
	env := slices.Clone(c.env)
	for i, pair := range env {
		if url, ok := strings.CutPrefix(pair, "AWS_ENDPOINT_URL="); ok {
			env[i] = "AWS_ENDPOINT_URL_KMS=" + url
			env = append(env, "AWS_ENDPOINT_URL_STS="+url)
		}
	}
	return &caller{c.bawn, env}
}

// admin is the first administrator, by the profile that `bawn init` wrote.
func (b *bawn) admin() *caller {
	b.t.Helper()
	cfg, err := config.LoadDefaultConfig(b.t.Context(), config.WithSharedConfigProfile("bawn"), config.WithSharedConfigFiles(nil),
		config.WithSharedCredentialsFiles([]string{filepath.Join(b.data, "aws", "credentials")}))
	if err != nil {
		b.t.Fatal(err)
	}
	keys := must[aws.Credentials](b.t)(cfg.Credentials.Retrieve(b.t.Context()))
	return b.as(keys.AccessKeyID, keys.SecretAccessKey, "")
}

func (c *caller) get(name string) string {
	for _, pair := range c.env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// config is the AWS SDK for Go's.
func (c *caller) config() aws.Config {
	c.t.Helper()
	ca := must[[]byte](c.t)(os.ReadFile(c.get("AWS_CA_BUNDLE")))
	return must[aws.Config](c.t)(config.LoadDefaultConfig(c.t.Context(), config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil),
		config.WithRegion("us-east-1"), config.WithBaseEndpoint(c.url), config.WithCustomCABundle(bytes.NewReader(ca)), config.WithRetryMaxAttempts(1),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.get("AWS_ACCESS_KEY_ID"), c.get("AWS_SECRET_ACCESS_KEY"), c.get("AWS_SESSION_TOKEN")))))
}

// try runs a program as the caller.
func (c *caller) try(stdin, dir, name string, args ...string) (out, complaint string, err error) {
	c.t.Helper()
	for _, at := range filepath.SplitList(c.get("PATH")) {
		if path := filepath.Join(at, name); filepath.Base(name) == name {
			if _, err := os.Stat(path); err == nil {
				name = path
			}
		}
	}
	cmd := exec.CommandContext(c.t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, c.env, strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// run is try for what must go well.
func (c *caller) run(stdin, dir, name string, args ...string) string {
	c.t.Helper()
	out, complaint, err := c.try(stdin, dir, name, args...)
	if err != nil {
		c.t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, complaint)
	}
	return out
}

// no is try for what must be refused, for a reason that contains each of these texts.
func (c *caller) no(because []string, stdin, dir, name string, args ...string) {
	c.t.Helper()
	out, complaint, err := c.try(stdin, dir, name, args...)
	if err == nil {
		c.t.Errorf("%s %q was not refused:\n%s", name, args, out)
	}
	for _, text := range because {
		if !strings.Contains(out+complaint, text) {
			c.t.Errorf("%s %q does not say %q:\n%s%s", name, args, text, out, complaint)
		}
	}
}

// must ends the test when a call fails.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// call makes "f(ctx, &in)" short: the SDK's methods take options that no test here gives.
func call[In, Out, Opt any](t *testing.T, f func(context.Context, *In, ...func(*Opt)) (*Out, error), in In) *Out {
	t.Helper()
	return must[*Out](t)(f(t.Context(), &in))
}

// fails is call for what must be refused with a code.
func fails[In, Out, Opt any](t *testing.T, code string, f func(context.Context, *In, ...func(*Opt)) (*Out, error), in In) {
	t.Helper()
	_, err := f(t.Context(), &in)
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != code {
		t.Errorf("%T: %v, not %s", in, err, code)
	}
}

// raises is fails for an error that the SDK has a type for.
func raises[E error, In, Out, Opt any](t *testing.T, f func(context.Context, *In, ...func(*Opt)) (*Out, error), in In) {
	t.Helper()
	_, err := f(t.Context(), &in)
	if _, ok := errors.AsType[E](err); !ok {
		t.Errorf("%T: %v, not %T", in, err, *new(E))
	}
}
