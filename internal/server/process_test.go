package server_test

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"testing"
)

// build makes the real binary.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bawn")
	if out, err := exec.Command("go", "build", "-o", path, "bawn.dev/cmd/bawn").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// A process is a child that the kernel ends with this one.
type process struct {
	cmd    *exec.Cmd
	said   *bytes.Buffer // on stderr; readable once it ended
	ready  chan string   // the address that it serves; closed when it will serve none
	end    chan syscall.Signal
	ended  chan struct{}
	result error
}

var servingLine = regexp.MustCompile(`msg=serving address=(\S+)`)

// spawn starts a child. It is killed when the test ends, if it still runs.
func spawn(t testing.TB, binary string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), said: &bytes.Buffer{}, ready: make(chan string, 1), end: make(chan syscall.Signal), ended: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	logs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends: keep it
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err != nil {
			close(p.ready)
			return
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			defer close(p.ready)
			lines := bufio.NewScanner(io.TeeReader(logs, p.said))
			for lines.Scan() {
				if m := servingLine.FindStringSubmatch(lines.Text()); m != nil {
					p.ready <- m[1]
				}
			}
		}()
		for {
			select {
			case s := <-p.end:
				p.cmd.Process.Signal(s)
			case <-drained:
				p.result = p.cmd.Wait()
				return
			}
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p
}

// serving waits until clients can connect, and answers the URL for them.
func (p *process) serving(t testing.TB) (url string) {
	t.Helper()
	addr := <-p.ready
	if addr == "" {
		<-p.ended
		t.Fatalf("the server ended before it was ready: %v\n%s", p.result, p.said)
	}
	return "https://" + addr
}

// stop sends a signal and waits for the end. It may be called again.
func (p *process) stop(s syscall.Signal) {
	select {
	case p.end <- s:
	case <-p.ended:
	}
	<-p.ended
}

// over says whether it ended by itself.
func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
