package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	softHSM    = "/usr/lib/softhsm/libsofthsm2.so"
	tokenLabel = "bawn test"
	tokenPIN   = "271828"
)

// softToken makes a token in a directory and answers SoftHSM's configuration for it.
func softToken(t testing.TB, label string) (conf string) {
	t.Helper()
	dir := t.TempDir()
	conf = filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "314159", "--pin", tokenPIN)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("SoftHSM, of the Debian package softhsm2: %v\n%s", err, out)
	}
	return conf
}

// buildHelper puts bawn-pkcs11 beside the binary.
func (s *site) buildHelper() {
	s.t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(filepath.Dir(s.binary), "bawn-pkcs11"), ".")
	cmd.Dir = "../../pkcs11"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
}

// The root is on a token: at init, and by rekey while clients decrypt, from a file
// to the token, to a passphrase, to the token and back. Without the token, with
// another one, or with a wrong PIN nothing opens.
func TestTokenRoot(t *testing.T) {
	s := newSite(t)
	conf := softToken(t, tokenLabel)
	t.Setenv("SOFTHSM2_CONF", conf)
	onToken := []string{"--pkcs11-module", softHSM, "--pkcs11-token", tokenLabel}
	pin, words := secret(t, tokenPIN), secret(t, passphrase)

	s.refused("bawn-pkcs11", "init", append([]string{"--root", "pkcs11", "--root-secret-file", pin}, onToken...)...)
	s.buildHelper()
	s.refused("the PIN is wrong", "init", append([]string{"--root", "pkcs11", "--root-secret-file", secret(t, "000000")}, onToken...)...)
	s.must("init", append([]string{"--root", "pkcs11", "--root-secret-file", pin}, onToken...)...)
	if _, err := os.Stat(filepath.Join(s.data, "keys", "root.key")); !os.IsNotExist(err) {
		t.Errorf("a key file beside the token: %v", err)
	}
	t.Setenv("BAWN_ROOT_SECRET_FILE", pin)
	s.must("rekey", "--to", "file")

	// While the server runs.
	p, c := s.serve()
	d := newDecryptor(t, c)
	stop, answered := d.asking(t, c)
	for _, step := range [][]string{
		append([]string{"--to", "pkcs11", "--new-secret-file", pin}, onToken...),
		{"--to", "passphrase", "--new-secret-file", words},
		append([]string{"--to", "pkcs11", "--new-secret-file", pin}, onToken...),
		{"--to", "file"},
		append([]string{"--to", "pkcs11", "--new-secret-file", pin}, onToken...),
	} {
		before := answered.Load()
		s.must("rekey", step...)
		if answered.Load() == before {
			t.Errorf("nobody was answered during rekey %v", step)
		}
	}
	// A token that refuses leaves the root as it is.
	s.refused("the PIN is wrong", "rekey", append([]string{"--to", "pkcs11", "--new-secret-file", secret(t, "999999")}, onToken...)...)
	s.refused("it is not there", "rekey", "--to", "pkcs11", "--new-secret-file", pin, "--pkcs11-module", softHSM, "--pkcs11-token", "another")
	s.refused("cannot be loaded", "rekey", "--to", "pkcs11", "--new-secret-file", pin, "--pkcs11-module", "/nonexistent.so", "--pkcs11-token", tokenLabel)
	if err := d.ask(t.Context(), c); err != nil {
		t.Error(err)
	}
	if n := stop(); n < 10 {
		t.Errorf("only %d answers", n)
	}
	if record := s.must("audit", "--event", "Rekey", "--output", "json"); strings.Count(record, `"Rekey"`) != 6 || strings.Contains(record, tokenPIN) {
		t.Errorf("the record: %s", record)
	}
	p.stop(syscall.SIGTERM)

	// After a start.
	serve := []string{"--listen", "127.0.0.1:0", "--root-secret-file"}
	s.refused("the PIN is wrong", "serve", append(serve, secret(t, "000000"))...)
	t.Setenv("SOFTHSM2_CONF", softToken(t, "elsewhere"))
	s.refused("it is not there", "serve", append(serve, pin)...)
	t.Setenv("SOFTHSM2_CONF", softToken(t, tokenLabel)) // of the same label, without the key
	s.refused("it holds 0 keys", "serve", append(serve, pin)...)
	t.Setenv("SOFTHSM2_CONF", conf)
	p, c = s.serve()
	if err := d.ask(t.Context(), c); err != nil {
		t.Error(err)
	}
	p.stop(syscall.SIGTERM)

	// What the manifest holds opens only as it was written.
	manifest := filepath.Join(s.data, "keys", "root.json")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	flipped := strings.Replace(string(text), `"id": "`, `"id": "f`, 1)
	if err := os.WriteFile(manifest, []byte(flipped), 0o600); err != nil {
		t.Fatal(err)
	}
	s.refused("its key does not open this", "serve", append(serve, pin)...)
	if err := os.WriteFile(manifest, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("rekey", "--to", "file")
	os.Unsetenv("BAWN_ROOT_SECRET_FILE")
	if out := s.must("fsck"); !strings.Contains(out, " 0 problems") {
		t.Error(out)
	}
}
