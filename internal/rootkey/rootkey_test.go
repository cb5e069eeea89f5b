package rootkey_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/config"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/rootkey"
	"bawn.dev/internal/seal"
)

// room is a key under the store's key of testdata.
const room = "01404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6465666768696a6b6c6d6e6fc9c9c49772110ab834c4ffa6361c4509ee122fcc551263a88956c01aa05030e1146cb57901b6f69f2ab618a2b30adc96"

const testPassphrase = "Ünïcode words, several"

func says(secret string) func(string) ([]byte, error) {
	return func(string) ([]byte, error) { return []byte(secret), nil }
}

func never([]byte) bool { return false }

// directory has a manifest and, where there is text for it, a key file.
func directory(t testing.TB, manifest []byte, key string) config.Config {
	t.Helper()
	cfg := config.Config{Data: t.TempDir(), Secret: says(testPassphrase)}
	if err := os.Mkdir(cfg.Path("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Path("keys", "root.json"), manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	if key != "" {
		if err := os.WriteFile(cfg.Path("keys", "root.key"), []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// fileKey is the key file of testdata.
func fileKey() string {
	var key [32]byte
	for i := range key {
		key[i] = byte(200 + i)
	}
	return hex.EncodeToString(key[:]) + "\n"
}

// Manifests that another implementation made open.
func TestVectors(t *testing.T) {
	wrapped, err := hex.DecodeString(room)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ manifest, key string }{{"file.json", fileKey()}, {"passphrase.json", ""}} {
		ring, err := rootkey.Open(directory(t, fixture(t, c.manifest), c.key), locked.New(), never)
		if err != nil {
			t.Fatalf("%s: %v", c.manifest, err)
		}
		key, current, err := ring.Unwrap(wrapped, []byte("room test"))
		if err != nil || !current || key[0] != 32 || key[31] != 63 {
			t.Errorf("%s: %v %v", c.manifest, current, err)
		}
		if _, _, err := ring.Unwrap(wrapped, []byte("room other")); !errors.Is(err, rootkey.ErrRefused) {
			t.Errorf("%s: bound to something else: %v", c.manifest, err)
		}
		if err := ring.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Key files that cannot be trusted are refused, and the message says what to do.
func TestKeyFiles(t *testing.T) {
	other := strings.Repeat("ab", 32)
	for _, c := range []struct{ text, want string }{
		{"", "put back the file"}, {other, "Put back the file with the id"}, {fileKey()[:62], "64 hexadecimal digits"},
		{"zz" + fileKey()[2:], "64 hexadecimal digits"}, {fileKey() + fileKey(), "64 hexadecimal digits"},
	} {
		if _, err := rootkey.Open(directory(t, fixture(t, "file.json"), c.text), locked.New(), never); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	cfg := directory(t, fixture(t, "file.json"), fileKey())
	if err := os.Chmod(cfg.Path("keys", "root.key"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := rootkey.Open(cfg, locked.New(), never); err == nil || !strings.Contains(err.Error(), "can be read by others (mode 0640)") {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(cfg.Path("keys", "root.key"), 0o400); err != nil { // as secrets are mounted, by a link
		t.Fatal(err)
	}
	linked := directory(t, fixture(t, "file.json"), "")
	if err := os.Symlink(cfg.Path("keys", "root.key"), linked.Path("keys", "root.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := rootkey.Open(linked, locked.New(), never); err != nil {
		t.Errorf("by a link: %v", err)
	}
}

// No error tells anything of a passphrase or key.
func TestErrorsHideSecrets(t *testing.T) {
	cfg := directory(t, fixture(t, "passphrase.json"), "")
	cfg.Secret = says("what somebody typed")
	_, err := rootkey.Open(cfg, locked.New(), never)
	if !errors.Is(err, rootkey.ErrRefused) || strings.Contains(err.Error(), "typed") {
		t.Errorf("%v", err)
	}
	p, err := rootkey.Make(cfg, config.Root{Kind: rootkey.Passphrase, Secret: says("what somebody typed")})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v", p, p.Root()); strings.Contains(text, "typed") {
		t.Error(text)
	}
	key := seal.NewKey()
	wrapped, err := p.Wrap(&key, []byte("here"))
	if err != nil || bytes.Contains(wrapped, key[:8]) {
		t.Errorf("%x %v", wrapped, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(wrapped, []byte("here")); err == nil {
		t.Error("a closed root opens")
	}
}

// A broken root opens something else than it wrapped, or nothing.
type broken struct {
	rootkey.Provider
	err error
}

func (b broken) Unwrap([]byte, []byte) (seal.Key, error) { return seal.NewKey(), b.err }

func TestBrokenRootIsNotTaken(t *testing.T) {
	cfg := directory(t, fixture(t, "file.json"), fileKey())
	ring, err := rootkey.Open(cfg, locked.New(), never)
	if err != nil {
		t.Fatal(err)
	}
	p, err := rootkey.Make(cfg, config.Root{Kind: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []broken{{p, nil}, {p, rootkey.ErrRefused}} {
		if err := ring.Replace(b); err == nil {
			t.Error("a broken root is in force")
		}
	}
	again, err := rootkey.Open(cfg, locked.New(), never)
	if err != nil || again.Root().ID != ring.Root().ID {
		t.Errorf("the old root: %v", err)
	}
	if left, err := filepath.Glob(cfg.Path("keys", "root.key.*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// Whatever stands in the manifest, a start answers or refuses.
func FuzzManifest(f *testing.F) {
	f.Add(fixture(f, "file.json"))
	f.Add([]byte(`{"version":1,"root":{"kind":"file","id":""},"keys":[""],"erase":"x"}`))
	f.Add([]byte(`{"version":1,"root":{"kind":"pkcs11","id":"a","module":"x.so","token":"t","key":"k"},"keys":["AA=="]}`))
	f.Add([]byte(`{"version":1,"root":{"kind":"passphrase","id":"a","salt":"AAAA","rounds":1},"keys":["AA=="]}`))
	good := fixture(f, "file.json")
	f.Fuzz(func(t *testing.T, manifest []byte) {
		if bytes.Contains(manifest, []byte("passphrase")) && bytes.Contains(manifest, []byte("00000")) || bytes.Contains(manifest, []byte("/")) {
			t.Skip("costs a derivation, or starts a program")
		}
		ring, err := rootkey.Open(directory(t, manifest, fileKey()), locked.New(), never)
		if err == nil && ring.Root().ID != "" && !bytes.Contains(good, []byte(ring.Root().ID)) {
			t.Errorf("opens: %s", manifest)
		}
	})
}

// A key that waits and that the manifest names already, since the end of a rekey could
// not be told, is not written over by the next.
func TestNextKeyThatIsInForceStays(t *testing.T) {
	cfg := directory(t, fixture(t, "file.json"), "")
	if err := os.WriteFile(cfg.Path("keys", "root.key.new"), []byte(fileKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := rootkey.Make(cfg, config.Root{Kind: rootkey.File}); err == nil {
		p.Close()
		t.Error("another key was made")
	}
	ring, err := rootkey.Open(cfg, locked.New(), never)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	p, err := rootkey.Make(cfg, config.Root{Kind: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// A library that somebody else than root could have put there is not told the PIN.
func TestModulesOfOthersAreNotLoaded(t *testing.T) {
	dir := t.TempDir()
	module := filepath.Join(dir, "module.so")
	if err := os.WriteFile(module, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(module, 0o666); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.so")
	if err := os.Symlink(module, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{module, link} {
		cfg := directory(t, []byte(`{"version":1,"root":{"kind":"pkcs11","id":"x","module":"`+path+`","token":"a","key":"b"},"keys":["AA=="]}`), "")
		asked := false
		cfg.Secret = func(string) ([]byte, error) { asked = true; return []byte("1234"), nil }
		_, err := rootkey.Open(cfg, locked.New(), never)
		if err == nil || !strings.Contains(err.Error(), "others than root can change") || asked {
			t.Errorf("%s: %v; the PIN was asked for: %v", path, err, asked)
		}
	}
}
