package kms

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"

	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

// A materialID names one version of a key's material. Material of a version
// never changes, so it is its own version in the cache.
type materialID struct {
	key     string
	version int64
}

// A material is key material in clear. It leaves the process never, and the
// cache's hand zeroed.
type material struct {
	mu    sync.RWMutex
	clear seal.Key
	gone  bool
}

var errEvicted = errors.New("kms: material was evicted while it was fetched")

// use hands a copy of the material to f and zeroes the copy afterwards.
func (m *material) use(f func(k []byte) error) error {
	m.mu.RLock()
	k, gone := m.clear, m.gone
	m.mu.RUnlock()
	defer k.Zero()
	if gone {
		return errEvicted
	}
	return f(k[:])
}

func (m *material) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear.Zero()
	m.gone = true
}

// bound is what wrapped material is bound to: wrapped material that is moved to
// another key or version does not unwrap.
func bound(arn string, version int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(arn), uint64(version))
}

// wrapNew makes material for a version of a key, wrapped for the store.
func (s *Service) wrapNew(arn string, version int64) ([]byte, error) {
	k := seal.NewKey()
	defer k.Zero()
	return seal.Wrap(s.Key, &k, bound(arn, version))
}

// withMaterial runs f with the material of a key's version. A version that the
// key never had is errCiphertext: only a ciphertext can name one.
func (s *Service) withMaterial(sn *store.Snapshot, k *key, version int64, f func([]byte) error) error {
	id := materialID{k.id, version}
	for range 3 {
		m, ok := s.materials.Get(id, version)
		if !ok {
			wrapped, err := wrappedMaterial(sn, id)
			if err != nil {
				return err
			}
			if wrapped == nil {
				return errCiphertext()
			}
			clear, err := seal.Unwrap(s.Key, wrapped, bound(k.arn, version))
			if err != nil {
				return errors.New("kms: material of " + k.arn + " does not unwrap: the store or the root key is not what it was")
			}
			m = s.materials.Put(id, version, &material{clear: clear})
			clear.Zero()
		}
		if err := m.use(f); err != errEvicted {
			return err
		}
	}
	return errEvicted
}

// materialName is the KeyMaterialId of AWS: it names a version and tells nothing
// of it.
func (k *key) materialName(version int64) string {
	sum := sha256.Sum256(append([]byte("kms key material "), bound(k.arn, version)...))
	return hex.EncodeToString(sum[:])
}
