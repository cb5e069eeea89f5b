package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/config"
	"bawn.dev/internal/rootkey"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

const (
	oldPassphrase = "the old one, of many words"
	newPassphrase = "the new one, of other words"
)

func says(secret string) func(string) ([]byte, error) {
	return func(string) ([]byte, error) { return []byte(secret), nil }
}

// initialized is a directory with a root of a kind.
func initialized(t *testing.T, kind string) config.Config {
	t.Helper()
	cfg := config.Config{
		Fixed: config.Fixed{AccountID: config.DefaultAccountID, Region: config.DefaultRegion}, Data: t.TempDir(), Listen: "127.0.0.1:0",
		Root: config.Root{Kind: kind, Secret: says(oldPassphrase)}, Secret: says(oldPassphrase),
	}
	if err := Init(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func opened(t *testing.T, cfg config.Config) *Server {
	t.Helper()
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// holds is what the keys of a directory open: what any of its rooms is given.
func holds(t *testing.T, s *Server) string {
	t.Helper()
	keys, err := roomKeys(context.Background(), s.store, s.ring, "kms", "trail", "sts")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range []string{"kms", "trail", "sts"} {
		key := keys[name]
		all = append(all, key[:]...)
	}
	return hex.EncodeToString(append(all, s.workloadCA.cert.Raw...))
}

func copied(t *testing.T, cfg config.Config, secret string) config.Config {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	// Not by cp: a child that has not run its program yet holds the locks of others here.
	if err := filepath.WalkDir(cfg.Data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, cfg.Data))
		switch {
		case e.IsDir():
			return os.MkdirAll(target, info.Mode().Perm())
		case !e.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, info.Mode().Perm())
	}); err != nil {
		t.Fatal(err)
	}
	cfg.Data, cfg.Secret = to, says(secret)
	return cfg
}

// A rekey that ends after any of its steps, as a killed process ends, leaves a
// directory that one root opens and the other does not; once opened, it is whole.
func TestRekeyEndsAnywhere(t *testing.T) {
	for _, kinds := range [][2]string{
		{rootkey.File, rootkey.File}, {rootkey.File, rootkey.Passphrase}, {rootkey.Passphrase, rootkey.File},
	} {
		t.Run(kinds[0]+" to "+kinds[1], func(t *testing.T) {
			t.Parallel()
			cfg := initialized(t, kinds[0])
			old := copied(t, cfg, oldPassphrase)
			s := opened(t, cfg)
			want := holds(t, s)
			next, err := rootkey.Make(cfg, config.Root{Kind: kinds[1], Secret: says(newPassphrase)})
			if err != nil {
				t.Fatal(err)
			}
			const replaced = 2 // steps, after which the new root is in force
			steps := s.rekeySteps(t.Context(), "ann", &RekeyAnswer{From: nameOf(s.ring.Root()), To: nameOf(next.Root())}, next)
			for done := range len(steps) + 1 {
				right, wrong := oldPassphrase, newPassphrase
				if done >= replaced {
					right, wrong = newPassphrase, oldPassphrase
				}
				ended := copied(t, cfg, right)
				if done >= replaced && kinds[0] == rootkey.File {
					refusesOldFile(t, ended, old)
				}
				in := s.ring.Root()
				if in.Kind == rootkey.Passphrase {
					if _, err := Open(t.Context(), copied(t, ended, wrong), s.log); err == nil || !strings.Contains(err.Error(), "passphrase is wrong") {
						t.Errorf("after %d steps the other passphrase: %v", done, err)
					}
				}
				again := opened(t, ended)
				if holds(t, again) != want {
					t.Errorf("after %d steps the keys are others", done)
				}
				if again.ring.Root().ID != in.ID || !again.ring.Settled() {
					t.Errorf("after %d steps it opens with %+v", done, again.ring.Root())
				}
				again.Close()
				leftovers(t, ended)
				if s := opened(t, ended); holds(t, s) != want {
					t.Errorf("after %d steps and a start the keys are others", done)
				}
				if done < len(steps) {
					if err := steps[done](); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// refusesOldFile puts the key file from before into a copy of a directory.
func refusesOldFile(t *testing.T, cfg, old config.Config) {
	t.Helper()
	cfg = copied(t, cfg, newPassphrase)
	text, err := os.ReadFile(old.Path("keys", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)) // what was left to do is done
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := config.WriteFile(cfg.Path("keys", "root.key"), text); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "root.key is not the root") {
		t.Errorf("with the old key file: %v", err)
	}
}

// leftovers looks for key files that no root has, and for what no store's key opens.
func leftovers(t *testing.T, cfg config.Config) {
	t.Helper()
	entries, err := os.ReadDir(cfg.Path("keys"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(cfg.Path("keys", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(manifest, []byte(`"erase"`)) {
		t.Errorf("something is still to be erased: %s", manifest)
	}
	for _, e := range entries {
		known := []string{"ca.key", "workload-ca.key", "workload-ca.pem", "root.json"}
		if bytes.Contains(manifest, []byte(`"kind": "file"`)) {
			known = append(known, "root.key")
		}
		if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+e.Name()+" ") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// DIR/keys from before a rekey, put back whole, opens nothing of what is there now.
func TestOldKeysOpenNothing(t *testing.T) {
	cfg := initialized(t, rootkey.File)
	old := copied(t, cfg, "")
	s := opened(t, cfg)
	if _, err := s.Rekey(t.Context(), RekeyRequest{Operator: "ann", To: rootkey.File}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, name := range []string{"root.key", "root.json"} {
		text, err := os.ReadFile(old.Path("keys", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := config.WriteFile(cfg.Path("keys", name), text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), cfg, s.log); err == nil || !strings.Contains(err.Error(), "not of one time") {
		t.Errorf("the old root and its manifest: %v", err)
	}
	if err := os.RemoveAll(cfg.Path("keys")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", old.Path("keys"), cfg.Path("keys")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if _, err := Open(t.Context(), cfg, s.log); err == nil || !strings.Contains(err.Error(), "Put back the copy of DIR/keys") {
		t.Errorf("all of DIR/keys from before: %v", err)
	}
}

// A rekey that cannot be recorded does not happen.
func TestRekeyNeedsItsRecord(t *testing.T) {
	cfg := initialized(t, rootkey.File)
	s := opened(t, cfg)
	before, err := os.ReadFile(cfg.Path("keys", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.store.Close()
	if _, err := s.Rekey(t.Context(), RekeyRequest{Operator: "ann", To: rootkey.File}); err == nil {
		t.Error("rekeyed without a record")
	}
	if after, err := os.ReadFile(cfg.Path("keys", "root.json")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the root was exchanged: %v", err)
	}
	s.Close()
	opened(t, cfg)
	leftovers(t, cfg)
}

// What is refused leaves the root as it was.
func TestRekeyRefuses(t *testing.T) {
	cfg := initialized(t, rootkey.File)
	s := opened(t, cfg)
	for _, c := range []struct {
		in   RekeyRequest
		want string
	}{
		{RekeyRequest{To: "cloud"}, "no root of the kind"},
		{RekeyRequest{To: rootkey.Passphrase}, "passphrase is needed"},
		{RekeyRequest{To: rootkey.Passphrase, Secret: []byte("fourteen bytes")}, "15 to"},
		{RekeyRequest{To: rootkey.PKCS11, Secret: []byte("1234")}, "needs the PKCS#11 module"},
		{RekeyRequest{To: rootkey.PKCS11, Module: "../evil.so", Token: "a", Secret: []byte("1234")}, "absolute"},
		{RekeyRequest{To: rootkey.File, Module: "/usr/lib/softhsm/libsofthsm2.so"}, "are for a root on a token"},
	} {
		id := s.ring.Root().ID
		if _, err := s.Rekey(t.Context(), c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.in.To, err)
		}
		if s.ring.Root().ID != id {
			t.Error("the root changed")
		}
	}
}

// Where another copy of the server has replaced the root, a rekey here would leave a
// DIR/keys that opens nothing: it is refused, and nothing is changed.
func TestRekeyAfterAnotherCopys(t *testing.T) {
	cfg := initialized(t, rootkey.File)
	s := opened(t, cfg)
	before, err := os.ReadFile(cfg.Path("keys", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	other := seal.NewKey()
	if err := s.store.Update(t.Context(), func(tx *store.Tx) error {
		room := seal.NewKey()
		wrapped, err := seal.Wrap(other[:], &room, boundRoom("kms"))
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE server_keys SET wrapped = ? WHERE purpose = 'kms'`, wrapped)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rekey(t.Context(), RekeyRequest{To: rootkey.Passphrase, Secret: []byte(newPassphrase)}); err == nil || !strings.Contains(err.Error(), "another copy") {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(cfg.Path("keys", "root.json")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the manifest was changed (%v)", err)
	}
}

// A changed manifest opens nothing, and says which file it is.
func TestChangedManifest(t *testing.T) {
	cfg := initialized(t, rootkey.Passphrase)
	path := cfg.Path("keys", "root.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{`"rounds": 600000`, `"rounds": 1`, "no version of bawn made"},
		{`"rounds": 600000`, `"rounds": 2000000000`, "no version of bawn made"},
		{`"rounds": 600000`, `"rounds": 600001`, "passphrase is wrong"},
		{`"kind": "passphrase"`, `"kind": "none"`, "does not know"},
		{`"kind": "passphrase"`, `"kind": "file"`, "root.key is not there"},
		{`"version": 1`, `"version": 2`, "root.json is not of a form"},
		{`"version": 1`, `"version": 1, "skip": true`, "root.json"},
		{`"id": "`, `"id": "0`, "passphrase is wrong"},
	} {
		changed := strings.Replace(string(text), c[0], c[1], 1)
		if changed == string(text) {
			t.Fatalf("%s is not in %s", c[0], text)
		}
		if err := config.WriteFile(path, []byte(changed)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v", c[1], err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "root.json is not there") {
		t.Errorf("without: %v", err)
	}
}

// A directory from before the store had a key of its own, in which the key file
// sealed everything itself, opens, and that file's key seals nothing more of it but
// the store's.
func TestOlderDirectory(t *testing.T) {
	cfg := initialized(t, rootkey.File)
	s := opened(t, cfg)
	want := holds(t, s)
	text, err := os.ReadFile(cfg.Path("keys", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	var root seal.Key
	if _, err := hex.Decode(root[:], bytes.TrimSpace(text)); err != nil {
		t.Fatal(err)
	}
	if err := makeOlder(s, root); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for range 2 { // it is taken over, and opens again
		s = opened(t, cfg)
		if holds(t, s) != want || !s.ring.Settled() {
			t.Error("the keys are others")
		}
		s.Close()
	}
	leftovers(t, cfg)
	sealed, err := os.ReadFile(cfg.Path("keys", "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(root[:], sealed, serverCASpec(cfg).bound()); err == nil {
		t.Error("the file's key still seals the CA")
	}
	// Another directory's key file opens nothing and writes nothing.
	if err := errors.Join(os.Remove(cfg.Path("keys", "root.json")), config.WriteFile(cfg.Path("keys", "root.key"), fmt.Appendf(nil, "%x\n", make([]byte, 32)))); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, s.log); err == nil {
		t.Error("a strange key file opens the directory")
	}
	if _, err := os.Stat(cfg.Path("keys", "root.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a strange key file was taken over")
	}
}

// makeOlder seals everything under the root itself, as it once was.
func makeOlder(s *Server, root seal.Key) error {
	for _, spec := range []caSpec{serverCASpec(s.cfg), workloadCASpec(s.cfg)} {
		sealed, err := os.ReadFile(spec.keyPath(s.cfg))
		if err != nil {
			return err
		}
		der, _, err := s.ring.Open(sealed, spec.bound())
		if err != nil {
			return err
		}
		if sealed, err = seal.Seal(root[:], der, spec.bound()); err != nil {
			return err
		}
		if err := config.WriteFile(spec.keyPath(s.cfg), sealed); err != nil {
			return err
		}
	}
	keys, err := roomKeys(context.Background(), s.store, s.ring, "trail", "iam", "identity", "sts", "signin", "kms", "sagemaker", "cloudtrail")
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(s.cfg.Path("keys", "root.json")), s.store.Update(context.Background(), func(tx *store.Tx) error {
		for purpose, key := range keys {
			wrapped, err := seal.Wrap(root[:], &key, boundRoom(purpose))
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE server_keys SET wrapped = ? WHERE purpose = ?`, wrapped, purpose); err != nil {
				return err
			}
		}
		return nil
	}))
}
