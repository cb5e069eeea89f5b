package rootkey

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bawn.dev/internal/config"
	"bawn.dev/internal/seal"
)

const (
	fileName = "root.key"
	// nextName is where the key of a new root waits until the manifest names it.
	nextName = "root.key.new"
)

type file struct {
	root Root
	kek  *seal.Key // by pointer everywhere: a copy could not be overwritten
}

func keyPath(cfg config.Config, name string) string { return cfg.Path("keys", name) }

// makeFile makes a key and puts it, durably, where it waits. The one that waits there may
// be in force, if the last rekey could not tell how it ended: it is not written over.
func makeFile(cfg config.Config) (Provider, error) {
	m, err := readManifest(cfg)
	if err != nil && !errors.Is(err, errNoManifest) {
		return nil, err
	}
	waiting, err := idOf(keyPath(cfg, nextName))
	if err != nil {
		return nil, err
	}
	if waiting != "" && waiting == m.Root.ID {
		return nil, fmt.Errorf("the root key is still in %s: start the server anew, which moves it into its place", keyPath(cfg, nextName))
	}
	key := seal.NewKey()
	text := append(hex.AppendEncode(nil, key[:]), '\n')
	defer clear(text)
	if err := config.WriteFile(keyPath(cfg, nextName), text); err != nil {
		return nil, err
	}
	return newFile(&key), nil
}

// newFile takes the key over.
func newFile(key *seal.Key) *file { return &file{Root{Kind: File, ID: fingerprint(key)}, key} }

// fingerprint tells one key from another, and nothing else of it.
func fingerprint(key *seal.Key) string {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("bawn.dev root key id v1"))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// erased is the id of what an erasure leaves that is interrupted.
var erased = fingerprint(&seal.Key{})

// openFile finds the key that the manifest names: in its place, or where it waited
// when the last rekey was interrupted.
func openFile(cfg config.Config, r Root) (Provider, error) {
	var found []string
	for _, name := range []string{fileName, nextName} {
		key, err := readKey(keyPath(cfg, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p := newFile(key)
		if p.root.ID == r.ID {
			return p, nil
		}
		p.Close()
		found = append(found, keyPath(cfg, name))
	}
	path := keyPath(cfg, fileName)
	if len(found) == 0 {
		return nil, fmt.Errorf("the root key %s is not there: put back the file that bawn made (its id is %s)", path, r.ID)
	}
	return nil, fmt.Errorf("%w: %s is not the root key of this directory (an old one, from before `bawn rekey`, or another directory's). "+
		"Put back the file with the id %s", ErrRefused, path, r.ID)
}

// readKey reads a key file that nobody else can read.
func readKey(path string) (*seal.Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the root key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the root key %s can be read by others (mode %04o): chmod 600 it, and consider whether it was", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	trimmed := bytes.TrimSpace(text)
	key := new(seal.Key)
	if len(trimmed) != hex.EncodedLen(seal.KeySize) {
		return nil, fmt.Errorf("the root key %s is not 64 hexadecimal digits", path)
	}
	if _, err := hex.Decode(key[:], trimmed); err != nil {
		return nil, fmt.Errorf("the root key %s is not 64 hexadecimal digits", path)
	}
	return key, nil
}

// Root implements Provider.
func (f *file) Root() Root { return f.root }

// Wrap implements Provider.
func (f *file) Wrap(key *seal.Key, aad []byte) ([]byte, error) {
	return seal.Wrap(f.kek[:], key, aad)
}

// Unwrap implements Provider.
func (f *file) Unwrap(wrapped, aad []byte) (seal.Key, error) {
	key, err := seal.Unwrap(f.kek[:], wrapped, aad)
	if errors.Is(err, seal.ErrOpen) {
		return seal.Key{}, fmt.Errorf("%w: %s was changed", ErrRefused, manifestName)
	}
	return key, err
}

// Close implements Provider.
func (f *file) Close() error {
	f.kek.Zero()
	return nil
}

// arrange leaves in the directory the key files that the root in force has, and no
// other: the new one moves into its place, an old one is overwritten and removed. An
// old one is erased only if its id is erase; any other was put there by somebody.
func arrange(cfg config.Config, r Root, erase string) error {
	path, next := keyPath(cfg, fileName), keyPath(cfg, nextName)
	unfinished, err := filepath.Glob(keyPath(cfg, ".root.*")) // names that config.WriteFile begins with
	if err != nil {
		return err
	}
	for _, name := range unfinished {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	current, err := idOf(path)
	if err != nil {
		return err
	}
	waiting, err := idOf(next)
	if err != nil {
		return err
	}
	if current != "" && (current == erase || current == erased) {
		if err := erasure(path); err != nil {
			return err
		}
		current = ""
	}
	if waiting != "" && waiting == r.ID {
		if current != "" {
			return fmt.Errorf("%s is in the way of the root key, which waits in %s: take it away", path, next)
		}
		if err := os.Rename(next, path); err != nil {
			return err
		}
	} else if waiting != "" { // of a rekey that did not happen
		if err := erasure(next); err != nil {
			return err
		}
	} else if current != "" && current != r.ID {
		return fmt.Errorf("%s is not the root of this directory any more: the root is %s. Remove the file: it opens nothing here", path, describe(r))
	}
	return syncDir(filepath.Dir(path))
}

// idOf is the fingerprint of a key file, or "" without one.
func idOf(path string) (string, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer key.Zero()
	return fingerprint(key), nil
}

// erasure overwrites a key file in place, durably, with the key that is no key, and
// removes it. Interrupted, it can be done again.
func erasure(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strings.Repeat("0", hex.EncodedLen(seal.KeySize))+"\n"), 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Remove(path)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// describe names a root for people.
func describe(r Root) string {
	switch r.Kind {
	case Passphrase:
		return "a passphrase"
	case PKCS11:
		return fmt.Sprintf("the key %s on the token %q", r.Key, r.Token)
	}
	return "the key file with the id " + r.ID
}
