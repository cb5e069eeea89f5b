package rootkey

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/config"
	"bawn.dev/internal/seal"
)

// A token is spoken to by another program, bawn-pkcs11, since the libraries of
// tokens are C: they do not run inside this process.
const (
	helperName = "bawn-pkcs11"
	// helperLine bounds a message in either direction.
	helperLine = 16 << 10
	// helperTime bounds one answer: a token behind a network may be slow, one that is
	// gone must not hold a start for ever.
	helperTime = time.Minute
)

type helperRequest struct {
	Do     string `json:"do"` // open, make, wrap, unwrap
	Module string `json:"module,omitempty"`
	Token  string `json:"token,omitempty"`
	PIN    []byte `json:"pin,omitempty"`
	Key    string `json:"key,omitempty"`
	Data   []byte `json:"data,omitempty"`
	AAD    []byte `json:"aad,omitempty"`
}

type helperAnswer struct {
	Data  []byte `json:"data,omitempty"`
	Error string `json:"error,omitempty"`
}

type token struct {
	root Root
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func makeToken(want config.Root) (Provider, error) {
	if want.Module == "" || want.Token == "" {
		return nil, errors.New("a root on a token needs the PKCS#11 module and the token's label")
	}
	id := newID()
	t, err := startToken(Root{Kind: PKCS11, ID: id, Module: want.Module, Token: want.Token, Key: "bawn-root-" + id}, want.Secret)
	if err != nil {
		return nil, err
	}
	if _, err := t.ask(helperRequest{Do: "make", Key: t.root.Key}); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func openToken(r Root, secret func(string) ([]byte, error)) (Provider, error) {
	t, err := startToken(r, secret)
	if err != nil {
		return nil, err // and no typed nil
	}
	return t, nil
}

// startToken starts the helper and logs in.
func startToken(r Root, secret func(string) ([]byte, error)) (_ *token, err error) {
	module, err := installed(r.Module)
	if err != nil {
		return nil, err
	}
	path, err := helper()
	if err != nil {
		return nil, err
	}
	pin, err := ask(secret, fmt.Sprintf("the PIN of the token %q", r.Token))
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	t := &token{root: r, cmd: exec.Command(path)}
	t.cmd.Stderr = os.Stderr
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewReaderSize(out, helperLine)
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if _, err = t.ask(helperRequest{Do: "open", Module: module, Token: r.Token, PIN: pin}); err != nil {
		return nil, err
	}
	return t, nil
}

// installed answers where a module really is, if nobody but root can put another there.
// It is told the PIN, and who could write DIR/keys chose its name.
func installed(module string) (string, error) {
	if !filepath.IsAbs(module) {
		return "", fmt.Errorf("the PKCS#11 module %q is not an absolute path", module)
	}
	real, err := filepath.EvalSymlinks(module)
	if err != nil {
		return "", fmt.Errorf("the PKCS#11 module %s cannot be loaded: %w", module, err)
	}
	for path := real; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0
		if !ok || st.Uid != 0 || info.Mode().Perm()&0o022 != 0 && !sticky {
			return "", fmt.Errorf("the PKCS#11 module %s is not loaded: others than root can change %s", module, path)
		}
		if path == filepath.Dir(path) {
			return real, nil
		}
	}
}

// helper finds the program: beside this one, or on the PATH.
func helper() (string, error) {
	if self, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), helperName)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(helperName)
	if err != nil {
		return "", fmt.Errorf("a root on a token needs the program %s beside bawn or on the PATH: `make pkcs11` builds it", helperName)
	}
	return filepath.Abs(path)
}

// ask sends one request and waits for its answer.
func (t *token) ask(req helperRequest) ([]byte, error) {
	line, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	defer clear(line)
	late := time.AfterFunc(helperTime, func() { t.cmd.Process.Kill() })
	defer late.Stop()
	if _, err := t.in.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("%s ended: %w", helperName, err)
	}
	reply, err := t.out.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("%s ended without an answer: %w", helperName, err)
	}
	defer clear(reply)
	var answer helperAnswer
	if err := json.Unmarshal(reply, &answer, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s: %w", helperName, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("the token %q: %s", t.root.Token, strings.ToValidUTF8(answer.Error, "?"))
	}
	return answer.Data, nil
}

// Root implements Provider.
func (t *token) Root() Root { return t.root }

// Wrap implements Provider.
func (t *token) Wrap(key *seal.Key, aad []byte) ([]byte, error) {
	return t.ask(helperRequest{Do: "wrap", Key: t.root.Key, Data: key[:], AAD: aad})
}

// Unwrap implements Provider.
func (t *token) Unwrap(wrapped, aad []byte) (seal.Key, error) {
	data, err := t.ask(helperRequest{Do: "unwrap", Key: t.root.Key, Data: wrapped, AAD: aad})
	defer clear(data)
	if err != nil {
		return seal.Key{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if len(data) != seal.KeySize {
		return seal.Key{}, fmt.Errorf("%w: what the token unwrapped is not a key", ErrRefused)
	}
	return seal.Key(data), nil
}

// Close implements Provider: the helper logs out and ends.
func (t *token) Close() error {
	late := time.AfterFunc(helperTime, func() { t.cmd.Process.Kill() })
	defer late.Stop()
	return errors.Join(t.in.Close(), t.cmd.Wait())
}
