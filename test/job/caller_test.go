package job

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// args are the arguments of a call, as boto3 names them.
type args = map[string]any

// A refusal is an answer of the server's that is an error.
type refusal struct{ Code, Message string }

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// unreachable says that there was no answer: the server is being restarted.
const unreachable = "Unreachable"

// A caller is a Python process in which the distribution's boto3, unmodified,
// makes every call of these tests, over TLS.
type caller struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// python is the distribution's, if it has boto3.
func python() string {
	const distribution = "/usr/bin/python3"
	if exec.Command(distribution, "-c", "import boto3").Run() == nil {
		return distribution
	}
	return "python3"
}

func newCaller(h *house) (*caller, error) {
	c := &caller{cmd: exec.Command(python(), "testdata/caller.py", h.repo("sample", "sample.py"), h.data, h.url, h.issuerURL, h.issuerSocket)}
	c.cmd.Env, c.cmd.Stderr = h.env(), os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

func (c *caller) close() error {
	c.in.Close() // it ends with its input
	return c.cmd.Wait()
}

func (c *caller) ask(t testing.TB, request args, out any) *refusal {
	t.Helper()
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintf(c.in, "%s\n", line); err != nil {
		t.Fatal(err)
	}
	answer, err := c.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the caller is gone: %v", err)
	}
	var said struct {
		OK      json.RawMessage
		Refused *refusal
		Broken  string
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	switch {
	case said.Broken != "":
		t.Fatalf("%s\nasked: %s", said.Broken, line)
	case said.Refused != nil:
		return said.Refused
	case out != nil:
		if err := json.Unmarshal(said.OK, out); err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
	}
	return nil
}

// call makes one call as somebody: "admin", or whom enter, assume or use named.
func (h *house) call(t testing.TB, who, service, operation string, in args, out any) *refusal {
	t.Helper()
	return h.caller.ask(t, args{"who": who, "service": service, "operation": operation, "args": in}, out)
}

// must is call where a refusal ends the test.
func (h *house) must(t testing.TB, who, service, operation string, in args, out any) {
	t.Helper()
	if r := h.call(t, who, service, operation, in, out); r != nil {
		t.Fatalf("%s, as %s: %v", operation, who, r)
	}
}

// do is one of the caller's own verbs.
func (h *house) do(t testing.TB, verb string, in args, out any) {
	t.Helper()
	if r := h.caller.ask(t, args{"do": verb, "args": in}, out); r != nil {
		t.Fatalf("%s: %v", verb, r)
	}
}
