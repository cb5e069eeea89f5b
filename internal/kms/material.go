package kms

import (
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"sync"

	"bawn.dev/internal/locked"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// A materialID names one version of a key's material. Material of a version
// never changes, so it is its own version in the cache.
type materialID struct {
	key     string
	version int64
}

// A material is key material in clear, in locked memory. It leaves the process never,
// and the cache's hand zeroed.
type material struct {
	memory  *locked.Arena
	mu      sync.RWMutex
	clear   []byte
	private crypto.PrivateKey // that clear encodes, once it was needed
	gone    bool
}

var errEvicted = errors.New("kms: material was evicted while it was fetched")

// use hands the material to f, which keeps nothing of it. Whoever forgets the
// material waits for f.
func (m *material) use(f func(k []byte) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.gone {
		return errEvicted
	}
	return f(m.clear)
}

func (m *material) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.memory.Free(m.clear)
	wipe(m.private)
	m.clear, m.private, m.gone = nil, nil, true
}

// bound is what wrapped material is bound to: wrapped material that is moved to
// another key or version does not unwrap.
func bound(arn string, version int64) []byte {
	return binary.BigEndian.AppendUint64([]byte(arn), uint64(version))
}

// wrapping seals material that is no symmetric key. Its domain names spec and usage, so
// that no material passes for that of another kind, and none that signs decrypts.
func wrapping(k *key) seal.Purpose {
	return seal.Purpose("kms material " + string(k.spec) + " " + string(k.usage))
}

// wrap seals material for the store.
func (s *Service) wrap(k *key, version int64, material []byte) ([]byte, error) {
	if k.spec != kms.KeySpecSymmetricDefault {
		return wrapping(k).Seal(s.Key, material, bound(k.arn, version))
	}
	if len(material) != seal.KeySize {
		return nil, errors.New("kms: a symmetric key has 32 bytes")
	}
	key := seal.Key(material)
	defer key.Zero()
	return seal.Wrap(s.Key, &key, bound(k.arn, version))
}

func (s *Service) unwrap(k *key, version int64, wrapped []byte) ([]byte, error) {
	if k.spec != kms.KeySpecSymmetricDefault {
		return wrapping(k).Open(s.Key, wrapped, bound(k.arn, version))
	}
	key, err := seal.Unwrap(s.Key, wrapped, bound(k.arn, version))
	defer key.Zero()
	return slices.Clone(key[:]), err
}

// withMaterial runs f with the material of a key's version. A version that the
// key never had is errCiphertext: only a ciphertext can name one.
func (s *Service) withMaterial(sn *store.Snapshot, k *key, version int64, f func([]byte) error) error {
	return s.held(sn, k, version, func(m *material) error { return m.use(f) })
}

// held runs f with a version's material while it is in the cache: again, when it left
// the cache before f could take it.
func (s *Service) held(sn *store.Snapshot, k *key, version int64, f func(*material) error) error {
	id := materialID{k.id, version}
	for range 3 {
		m, ok := s.materials.Get(id, version)
		if !ok {
			wrapped, err := wrappedMaterial(sn, id)
			if err != nil {
				return err
			}
			if len(wrapped) == 0 {
				return errCiphertext()
			}
			opened, err := s.unwrap(k, version, wrapped)
			if err != nil {
				return errors.New("kms: material of " + k.arn + " does not unwrap: the store or the root key is not what it was")
			}
			m = s.materials.Put(id, version, &material{memory: s.Memory, clear: s.Memory.Copy(opened)})
			clear(opened)
		}
		if err := f(m); err != errEvicted {
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
