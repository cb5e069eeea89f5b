package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/api/apitest"
)

// A site is a data directory with the programs that work on it.
type site struct {
	t      testing.TB
	binary string
	data   string
}

func newSite(t testing.TB) *site {
	return &site{t, build(t), filepath.Join(t.TempDir(), "data")}
}

// run runs a command on the directory. It must not ask anybody.
func (s *site) run(command string, args ...string) (out string, err error) {
	cmd := exec.Command(s.binary, append([]string{command, "--data", s.data}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func (s *site) must(command string, args ...string) string {
	s.t.Helper()
	out, err := s.run(command, args...)
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", command, args, err, out)
	}
	return out
}

// refused runs a command that must fail and say why.
func (s *site) refused(why, command string, args ...string) {
	s.t.Helper()
	out, err := s.run(command, args...)
	if err == nil || !strings.Contains(out, why) {
		s.t.Errorf("%s %v: %v, without %q\n%s", command, args, err, why, out)
	}
}

func (s *site) serve() (*process, *client) {
	s.t.Helper()
	p := spawn(s.t, s.binary, "serve", "--data", s.data, "--listen", "127.0.0.1:0")
	return p, newClient(s.t, s.data, p.serving(s.t))
}

// secret is a file that only we can read.
func secret(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A decryptor holds a ciphertext and asks for what is in it.
type decryptor struct {
	blob, plain string
}

func newDecryptor(t testing.TB, c *client) *decryptor {
	t.Helper()
	var key struct{ KeyMetadata struct{ KeyID string } }
	unmarshal(t, ok(t)(c.kms(t.Context(), "CreateKey", `{}`)).body, &key)
	var made struct{ CiphertextBlob, Plaintext string }
	unmarshal(t, ok(t)(c.kms(t.Context(), "GenerateDataKey", fmt.Sprintf(`{"KeyId":%q,"KeySpec":"AES_256"}`, key.KeyMetadata.KeyID))).body, &made)
	return &decryptor{made.CiphertextBlob, made.Plaintext}
}

func unmarshal(t testing.TB, text []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func (d *decryptor) ask(ctx context.Context, c *client) error {
	a, err := c.kms(ctx, "Decrypt", fmt.Sprintf(`{"CiphertextBlob":%q}`, d.blob))
	if err != nil {
		return err
	}
	if a.status != 200 || !bytes.Contains(a.body, []byte(d.plain)) {
		return fmt.Errorf("%d %s", a.status, a.body)
	}
	return nil
}

// asking asks until stopped, and then says how often it was answered.
func (d *decryptor) asking(t testing.TB, c *client) (stop func() int64, answered *atomic.Int64) {
	answered = &atomic.Int64{}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for ctx.Err() == nil {
				if err := d.ask(ctx, c); err != nil && ctx.Err() == nil {
					t.Errorf("while the root is exchanged: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	return func() int64 { cancel(); done.Wait(); return answered.Load() }, answered
}

const passphrase = "one passphrase of several words"

// The root goes from a file to a passphrase and back while clients decrypt.
// Whoever holds the old one opens nothing.
func TestRekeyWhileServing(t *testing.T) {
	s := newSite(t)
	s.must("init")
	p, c := s.serve()
	d := newDecryptor(t, c)
	stop, answered := d.asking(t, c)
	old, err := os.ReadFile(filepath.Join(s.data, "keys", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	right, wrong := secret(t, passphrase), secret(t, passphrase+"s")
	between := answered.Load()
	var told struct{ From, To struct{ Kind, ID string } }
	unmarshal(t, []byte(s.must("rekey", "--to", "passphrase", "--new-secret-file", right, "--output", "json")), &told)
	if told.From.Kind != "file" || told.To.Kind != "passphrase" || told.From.ID == told.To.ID {
		t.Errorf("%+v", told)
	}
	if answered.Load() == between {
		t.Error("nobody was answered while the root was exchanged")
	}
	stop()
	if _, err := os.Stat(filepath.Join(s.data, "keys", "root.key")); !os.IsNotExist(err) {
		t.Errorf("the old key file: %v", err)
	}
	record := s.must("audit", "--event", "Rekey", "--output", "json")
	if !strings.Contains(record, told.From.ID) || !strings.Contains(record, told.To.ID) || strings.Contains(record, passphrase) {
		t.Errorf("the record: %s", record)
	}
	p.stop(syscall.SIGTERM)
	if log := p.said.String(); strings.Contains(log, passphrase) {
		t.Errorf("the log: %s", log)
	}
	for _, secret := range []string{passphrase, strings.TrimSpace(string(old))} {
		apitest.NoPlaintext(t, s.data, secret)
	}

	s.refused("the passphrase is needed", "serve", "--listen", "127.0.0.1:0")
	s.refused("the passphrase is wrong", "serve", "--listen", "127.0.0.1:0", "--root-secret-file", wrong)
	s.refused("the passphrase is wrong", "rekey", "--to", "file", "--root-secret-file", wrong)
	if err := os.Chmod(wrong, 0o644); err != nil {
		t.Fatal(err)
	}
	s.refused("can be read by others", "serve", "--listen", "127.0.0.1:0", "--root-secret-file", wrong)
	if err := os.WriteFile(filepath.Join(s.data, "keys", "root.key"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	s.refused("Remove the file: it opens nothing here", "serve", "--listen", "127.0.0.1:0", "--root-secret-file", right)
	if err := os.Remove(filepath.Join(s.data, "keys", "root.key")); err != nil {
		t.Fatal(err)
	}

	// systemd's way, and a rekey that nobody serves meanwhile.
	credentials := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	if err := os.WriteFile(filepath.Join(credentials, "bawn-root-secret"), []byte(passphrase), 0o400); err != nil {
		t.Fatal(err)
	}
	p, c = s.serve()
	if err := d.ask(t.Context(), c); err != nil {
		t.Error(err)
	}
	p.stop(syscall.SIGTERM)
	s.must("rekey", "--to", "file")
	os.Unsetenv("CREDENTIALS_DIRECTORY")
	p, c = s.serve()
	if err := d.ask(t.Context(), c); err != nil {
		t.Error(err)
	}
	p.stop(syscall.SIGTERM)
	if out := s.must("fsck"); !strings.Contains(out, " 0 problems") {
		t.Error(out)
	}
}

// A passphrase comes from a file descriptor, and is never taken from an argument.
func TestInitWithPassphrase(t *testing.T) {
	s := newSite(t)
	s.refused("15 to", "init", "--root", "passphrase", "--root-secret-file", secret(t, "too short"))
	s.refused("is needed", "init", "--root", "passphrase")
	s.refused("unknown flag", "init", "--root", "passphrase", "--passphrase", passphrase)
	f, err := os.Open(secret(t, passphrase))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(s.binary, "init", "--data", s.data, "--root", "passphrase", "--root-secret-fd", "3")
	cmd.ExtraFiles = []*os.File{f}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("BAWN_ROOT_SECRET_FILE", secret(t, passphrase))
	if out := s.must("fsck"); !strings.Contains(out, " 0 problems") {
		t.Error(out)
	}
	if _, err := os.Stat(filepath.Join(s.data, "keys", "root.key")); !os.IsNotExist(err) {
		t.Errorf("a key file beside the passphrase: %v", err)
	}
}

// The process is killed at each thing that it does in DIR/keys. What is there then
// opens, and what was sealed before opens at the end.
func TestKilledRekey(t *testing.T) {
	s := newSite(t)
	s.must("init")
	p, c := s.serve()
	d := newDecryptor(t, c)
	p.stop(syscall.SIGTERM)
	t.Setenv("BAWN_ROOT_SECRET_FILE", secret(t, passphrase))
	new := secret(t, passphrase)
	for _, to := range []string{"file", "passphrase"} {
		killed := 0
		for {
			if !s.killedAt(killed+1, to, new) {
				break
			}
			killed++
			if out := s.must("fsck"); !strings.Contains(out, " 0 problems") {
				t.Errorf("killed at event %d: %s", killed, out)
			}
			if to == "passphrase" { // begin with the file again
				s.must("rekey", "--to", "file")
			}
		}
		t.Logf("to %s: killed at %d events", to, killed)
		if killed < 8 {
			t.Errorf("rekey to %s did only %d things", to, killed)
		}
	}
	_, c = s.serve()
	if err := d.ask(t.Context(), c); err != nil {
		t.Error(err)
	}
}

// killedAt runs a rekey and kills it at the nth event in DIR/keys. False: it ended
// before.
func (s *site) killedAt(n int, to, secret string) bool {
	s.t.Helper()
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		s.t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, filepath.Join(s.data, "keys"), unix.IN_CREATE|unix.IN_MODIFY|unix.IN_MOVED_TO|unix.IN_DELETE); err != nil {
		s.t.Fatal(err)
	}
	p := spawn(s.t, s.binary, "rekey", "--data", s.data, "--to", to, "--new-secret-file", secret)
	buf := make([]byte, 64<<10)
	for !p.over() {
		size, err := unix.Read(watch, buf)
		if err == unix.EAGAIN {
			unix.Poll([]unix.PollFd{{Fd: int32(watch), Events: unix.POLLIN}}, 10)
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		for at := 0; at < size; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent + int(event.Len)
			if n--; n == 0 {
				p.cmd.Process.Signal(syscall.SIGKILL)
			}
		}
	}
	if n > 0 && p.result != nil {
		s.t.Fatalf("rekey: %v\n%s", p.result, p.said)
	}
	return n <= 0
}

// Root does not leave the server's user files that he cannot read.
func TestRekeyByAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs a second user: run as root")
	}
	s := newSite(t)
	s.must("init")
	before, err := os.ReadFile(filepath.Join(s.data, "keys", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(s.data, "keys"), 61234, 61234); err != nil {
		t.Fatal(err)
	}
	s.refused("DIR/keys belongs to user 61234", "rekey", "--to", "file")
	if after, err := os.ReadFile(filepath.Join(s.data, "keys", "root.json")); err != nil || !bytes.Equal(after, before) {
		t.Errorf("it was done all the same: %v", err)
	}
}

// At a terminal a passphrase is asked for, twice when it is new, and never shown.
func TestPassphraseAtTheTerminal(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		command, typed []string
		says           string
	}{
		{[]string{"init", "--root", "passphrase"}, []string{passphrase, passphrase + "s"}, "two different ones"},
		{[]string{"init", "--root", "passphrase"}, []string{passphrase, passphrase}, "initialized"},
		{[]string{"fsck"}, []string{passphrase + "s"}, "the passphrase is wrong"},
		{[]string{"fsck"}, []string{passphrase}, " 0 problems"},
	} {
		out := s.typing(c.command, c.typed)
		if !strings.Contains(out, c.says) || !strings.Contains(out, "passphrase") {
			t.Errorf("%v: without %q\n%s", c.command, c.says, out)
		}
		if strings.Contains(out, passphrase) {
			t.Errorf("%v shows what was typed:\n%s", c.command, out)
		}
	}
}

// typing runs a command at a terminal of its own, types a line at each of its
// questions, and answers all that the terminal showed.
func (s *site) typing(command, lines []string) string {
	s.t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer terminal.Close()
	if err := unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		s.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	if err != nil {
		s.t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(s.binary, append([]string{command[0], "--data", s.data}, command[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	side.Close()
	var shown strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := terminal.Read(buf) // an error when the other side is closed
		shown.Write(buf[:n])
		if len(lines) > 0 && strings.HasSuffix(shown.String(), ": ") {
			fmt.Fprintln(terminal, lines[0])
			lines = lines[1:]
		}
		if err != nil {
			cmd.Wait()
			return shown.String()
		}
	}
}
