package rootkey

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/config"
	"bawn.dev/internal/seal"
)

const (
	manifestName = "keys/root.json"
	// maxKeys bounds how many interrupted changes a directory can be in.
	maxKeys = 8
)

// A manifest says which root is in force and holds the store's keys under it. It is
// replaced whole: at every moment one root opens the directory.
type manifest struct {
	Version int  `json:"version"`
	Root    Root `json:"root"`
	// Keys are the store's keys, wrapped, the one in force first. There are more than
	// one only while what they seal is sealed anew under the first.
	Keys [][]byte `json:"keys"`
	// Erase is the id of the key file that is to be erased.
	Erase string `json:"erase,omitempty"`
}

// bound is what a wrapped store's key is bound to.
func (r Root) bound(index int) []byte {
	return fmt.Appendf(nil, "bawn.dev store key v1 %s %s %d", r.Kind, r.ID, index)
}

func readManifest(cfg config.Config) (manifest, error) {
	raw, err := os.ReadFile(cfg.Path(manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, errNoManifest
	}
	if err != nil {
		return manifest{}, err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m, json.RejectUnknownMembers(true)); err != nil {
		return manifest{}, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Version != 1 || len(m.Keys) == 0 || len(m.Keys) > maxKeys {
		return manifest{}, fmt.Errorf("%s is not of a form that this version of bawn knows", manifestName)
	}
	return m, nil
}

var errNoManifest = errors.New("DIR/" + manifestName + " is not there, which says what opens this directory: put it back from a copy of DIR/keys")

// writeManifest wraps keys under a root and makes that root the one in force. A root
// that does not open what it wrapped is refused: nothing would open again.
func writeManifest(cfg config.Config, p Provider, keys [][]byte, erase string) (manifest, error) {
	m := manifest{Version: 1, Root: p.Root(), Erase: erase}
	for i, k := range keys {
		key := seal.Key(k)
		wrapped, err := p.Wrap(&key, m.Root.bound(i))
		key.Zero()
		if err != nil {
			return manifest{}, err
		}
		again, err := p.Unwrap(wrapped, m.Root.bound(i))
		if err != nil {
			return manifest{}, fmt.Errorf("the new root does not open what it wrapped: %w", err)
		}
		same := subtle.ConstantTimeCompare(again[:], k)
		again.Zero()
		if same != 1 {
			return manifest{}, errors.New("the new root does not open what it wrapped")
		}
		m.Keys = append(m.Keys, wrapped)
	}
	return m, saveManifest(cfg, m)
}

// ours refuses to write where the files would be another user's than the directory:
// the server could not read them.
func ours(cfg config.Config) error {
	info, err := os.Stat(cfg.Path("keys"))
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("DIR/keys belongs to user %d, this process to user %d: run the command as that user", st.Uid, os.Geteuid())
	}
	return nil
}

func saveManifest(cfg config.Config, m manifest) error {
	if err := ours(cfg); err != nil {
		return err
	}
	raw, err := json.Marshal(m, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return config.WriteFile(cfg.Path(manifestName), append(raw, '\n'))
}
