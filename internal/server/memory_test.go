package server_test

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Material that nobody may use any more is nowhere in the server's memory: root, who
// can read it, finds it while the key is in use and not after that.
func TestMaterialIsNowhereInMemory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("reads another process's memory: run as root")
	}
	s := newSite(t)
	s.must("init")
	p, c := s.serve()
	material := make([]byte, 32)
	rand.Read(material)
	id := importKey(t, c, material)
	var sealed struct{ CiphertextBlob string }
	unmarshal(t, ok(t)(c.kms(t.Context(), "Encrypt", fmt.Sprintf(`{"KeyId":%q,"Plaintext":"eA=="}`, id))).body, &sealed)
	p.stop(syscall.SIGTERM) // what the import itself left behind ends here

	p, c = s.serve()
	for range 50 {
		ok(t)(c.kms(t.Context(), "Decrypt", fmt.Sprintf(`{"CiphertextBlob":%q}`, sealed.CiphertextBlob)))
	}
	if n := count(t, p.cmd.Process.Pid, material); n == 0 {
		t.Error("this test does not see the material")
	} else {
		t.Logf("in use, the material is there %d times", n)
	}
	ok(t)(c.kms(t.Context(), "DisableKey", fmt.Sprintf(`{"KeyId":%q}`, id)))
	if n := count(t, p.cmd.Process.Pid, material); n != 0 {
		t.Errorf("disabled, the material is there %d times", n)
	}
}

// The root is forgotten once it opened the store's key.
func TestRootIsForgotten(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("reads another process's memory: run as root")
	}
	s := newSite(t)
	s.must("init")
	text, err := os.ReadFile(filepath.Join(s.data, "keys", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.TrimSpace(text)
	root := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(root, text); err != nil {
		t.Fatal(err)
	}
	s.forgotten(map[string][]byte{"key": root, "text": text})

	t.Setenv("BAWN_ROOT_SECRET_FILE", secret(t, passphrase))
	s.must("rekey", "--to", "passphrase", "--new-secret-file", secret(t, passphrase))
	var manifest struct {
		Root struct {
			Salt   []byte
			Rounds int
		}
	}
	if text, err = os.ReadFile(filepath.Join(s.data, "keys", "root.json")); err != nil {
		t.Fatal(err)
	}
	unmarshal(t, text, &manifest)
	if root, err = pbkdf2.Key(sha512.New, passphrase, manifest.Root.Salt, manifest.Root.Rounds, 32); err != nil {
		t.Fatal(err)
	}
	s.forgotten(map[string][]byte{"key": root})
}

// forgotten starts the server and looks for secrets in its memory.
func (s *site) forgotten(secrets map[string][]byte) {
	s.t.Helper()
	p, c := s.serve()
	ok(s.t)(c.identity(s.t.Context()))
	for name, what := range secrets {
		if n := count(s.t, p.cmd.Process.Pid, what); n != 0 {
			s.t.Errorf("the root's %s is in memory %d times", name, n)
		}
	}
	p.stop(syscall.SIGTERM)
}

// importKey makes a key of this material.
func importKey(t testing.TB, c *client, material []byte) (id string) {
	t.Helper()
	var key struct{ KeyMetadata struct{ KeyID string } }
	unmarshal(t, ok(t)(c.kms(t.Context(), "CreateKey", `{"Origin":"EXTERNAL"}`)).body, &key)
	id = key.KeyMetadata.KeyID
	var how struct{ PublicKey, ImportToken string }
	unmarshal(t, ok(t)(c.kms(t.Context(), "GetParametersForImport",
		fmt.Sprintf(`{"KeyId":%q,"WrappingAlgorithm":"RSAES_OAEP_SHA_256","WrappingKeySpec":"RSA_2048"}`, id))).body, &how)
	der, err := base64.StdEncoding.DecodeString(how.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), material, nil)
	if err != nil {
		t.Fatal(err)
	}
	ok(t)(c.kms(t.Context(), "ImportKeyMaterial", fmt.Sprintf(`{"KeyId":%q,"ImportToken":%q,"EncryptedKeyMaterial":%q,"ExpirationModel":"KEY_MATERIAL_DOES_NOT_EXPIRE"}`,
		id, how.ImportToken, base64.StdEncoding.EncodeToString(wrapped))))
	return id
}

// count is how often a process holds some bytes.
func count(t testing.TB, pid int, what []byte) (n int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var access string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &access); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(access, "rw") {
			continue
		}
		part := make([]byte, to-from)
		got, _ := memory.ReadAt(part, int64(from)) // what is not mapped ends it
		n += bytes.Count(part[:got], what)
	}
	return n
}
