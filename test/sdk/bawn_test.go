// Package sdk drives the real bawn binary with the AWS SDK for Go, as its users
// do: over TLS, with the profile that `bawn init` wrote, and nothing that a test
// made up. It is a module of its own, so that the product never links a client.
package sdk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
)

// binary is the server under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bawn-sdk")
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
	data string
	addr string // HOST:PORT
}

var serving = regexp.MustCompile(`msg=serving address=(\S+)`)

// start initializes a data directory and serves it in a process of its own until
// the test ends. The kernel ends the process should the test be killed.
func start(t *testing.T) *bawn {
	t.Helper()
	b := &bawn{data: filepath.Join(t.TempDir(), "data")}
	if out, err := exec.Command(binary, "init", "--data", b.data).CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "serve", "--data", b.data, "--listen", "127.0.0.1:0")
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
	var said strings.Builder
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
	b.addr = <-ready
	if b.addr == "" {
		t.Fatal("the server ended before it was ready")
	}
	return b
}

// admin is the first administrator's configuration: the profile as it was
// written, but for the port, which the test lets the kernel choose. This SDK, alone
// of the AWS clients, looks for the CA in the environment only.
func (b *bawn) admin(t *testing.T) aws.Config {
	t.Helper()
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(b.data, "ca.pem"))
	cfg, err := config.LoadDefaultConfig(t.Context(),
		config.WithSharedCredentialsFiles([]string{filepath.Join(b.data, "aws", "credentials")}),
		config.WithSharedConfigFiles([]string{filepath.Join(b.data, "aws", "config")}),
		config.WithSharedConfigProfile("bawn"),
		config.WithBaseEndpoint("https://"+b.addr),
		config.WithRetryMaxAttempts(1),
	)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// as is cfg with other credentials.
func as(cfg aws.Config, id, secret, token string) aws.Config {
	cfg = cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
	return cfg
}

// session is cfg with the credentials of a session.
func session(cfg aws.Config, c *ststypes.Credentials) aws.Config {
	return as(cfg, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
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

// refused fails the test unless err is an answer of the service with this code.
func refused(t *testing.T, what, code string, err error) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("%s: %v, not %s", what, err, code)
	}
}

// call makes "f(ctx, &in)" short: the SDK's methods take options that no test
// here gives.
func call[In, Out, Opt any](t *testing.T, f func(context.Context, *In, ...func(*Opt)) (*Out, error), in In) *Out {
	t.Helper()
	return must[*Out](t)(f(t.Context(), &in))
}

// fails is call for what must be refused.
func fails[In, Out, Opt any](t *testing.T, code string, f func(context.Context, *In, ...func(*Opt)) (*Out, error), in In) {
	t.Helper()
	_, err := f(t.Context(), &in)
	refused(t, fmt.Sprintf("%T", in), code, err)
}
