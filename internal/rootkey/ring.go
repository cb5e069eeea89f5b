package rootkey

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"bawn.dev/internal/config"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/seal"
)

// A Ring holds the store's key, in locked memory, and while it is being replaced the
// one before. The root itself is forgotten once they are unwrapped. It is not safe
// for concurrent changes.
type Ring struct {
	cfg    config.Config
	memory *locked.Arena
	m      manifest
	keys   [][]byte // in the order of the manifest's
}

// Open opens the directory's keys with its root. opens says whether a key opens what
// was sealed before there was a manifest, when the key file itself was the store's
// key: such a directory is brought to the present form.
func Open(cfg config.Config, memory *locked.Arena, opens func(key []byte) bool) (*Ring, error) {
	m, err := readManifest(cfg)
	if errors.Is(err, errNoManifest) {
		return adopt(cfg, memory, opens)
	}
	if err != nil {
		return nil, err
	}
	if len(m.Keys) > 1 || m.Erase != "" { // there is something to finish
		if err := ours(cfg); err != nil {
			return nil, err
		}
	}
	p, err := open(cfg, m.Root)
	if err != nil {
		return nil, err
	}
	r := &Ring{cfg: cfg, memory: memory, m: m}
	for i, wrapped := range m.Keys {
		key, err := p.Unwrap(wrapped, m.Root.bound(i))
		if err != nil {
			return nil, errors.Join(err, p.Close(), r.Close())
		}
		r.keys = append(r.keys, memory.Copy(key[:]))
		key.Zero()
	}
	err = p.Close()
	if err == nil && r.Settled() {
		err = r.Settle()
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// adopt takes over a directory from before there was a manifest.
func adopt(cfg config.Config, memory *locked.Arena, opens func(key []byte) bool) (*Ring, error) {
	key, err := readKey(keyPath(cfg, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoManifest
	}
	if err != nil {
		return nil, err
	}
	p := newFile(key)
	defer p.Close() // and with it the key
	if !opens(key[:]) {
		return nil, errNoManifest
	}
	r := &Ring{cfg: cfg, memory: memory}
	return r, r.change(p, key[:], "")
}

// Create is Open, and where there is nothing yet it makes a root as wanted.
func Create(cfg config.Config, memory *locked.Arena, opens func(key []byte) bool) (*Ring, error) {
	r, err := Open(cfg, memory, opens)
	if !errors.Is(err, errNoManifest) {
		return r, err
	}
	stray, err := idOf(keyPath(cfg, fileName)) // of an init that was interrupted
	if err != nil {
		return nil, err
	}
	p, err := Make(cfg, cfg.Root)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	r = &Ring{cfg: cfg, memory: memory}
	if err := r.change(p, nil, stray); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, r.Settle()
}

// Replace puts a new root in force, with a new store's key under it. The keys before
// stay, under the new root too, until Settle: what they seal has to be sealed anew.
// From here on the old root opens nothing.
func (r *Ring) Replace(p Provider) error {
	erase := ""
	if r.m.Root.Kind == File {
		erase = r.m.Root.ID
	}
	return r.change(p, nil, erase)
}

// change makes a new key the first one, before those that there are and old.
func (r *Ring) change(p Provider, old []byte, erase string) error {
	if len(r.keys) >= maxKeys {
		return errors.New("too many changes of the root were interrupted: start the server once, to finish them")
	}
	fresh := seal.NewKey()
	defer fresh.Zero()
	keys := append([][]byte{fresh[:]}, r.keys...)
	if old != nil {
		keys = append(keys, old)
	}
	m, err := writeManifest(r.cfg, p, keys, erase)
	if err != nil {
		return err
	}
	r.m = m
	r.keys = slices.Insert(r.keys, 0, r.memory.Copy(fresh[:]))
	if old != nil {
		r.keys = append(r.keys, r.memory.Copy(old))
	}
	return nil
}

// Settled says whether everything is sealed under the one key.
func (r *Ring) Settled() bool { return len(r.keys) == 1 }

// Settle forgets every key but the first, since all is sealed under it now, and
// leaves in the directory the key files that the root has, and no other.
func (r *Ring) Settle() error {
	if err := arrange(r.cfg, r.m.Root, r.m.Erase); err != nil {
		return err
	}
	if len(r.m.Keys) == 1 && r.m.Erase == "" {
		return nil
	}
	m := r.m
	m.Keys, m.Erase = m.Keys[:1], ""
	if err := saveManifest(r.cfg, m); err != nil {
		return err
	}
	r.m = m
	for _, k := range r.keys[1:] {
		r.memory.Free(k)
	}
	r.keys = r.keys[:1]
	return nil
}

// Root says which root is in force.
func (r *Ring) Root() Root { return r.m.Root }

// Close forgets the keys.
func (r *Ring) Close() error {
	for _, k := range r.keys {
		r.memory.Free(k)
	}
	r.keys = nil
	return nil
}

// Wrap wraps a key under the store's.
func (r *Ring) Wrap(key *seal.Key, aad []byte) ([]byte, error) {
	return seal.Wrap(r.keys[0], key, aad)
}

// Unwrap answers what Wrap was given, under whichever of the store's keys. It is
// current if that is the one in force.
func (r *Ring) Unwrap(wrapped, aad []byte) (key seal.Key, current bool, err error) {
	for i, k := range r.keys {
		if key, err = seal.Unwrap(k, wrapped, aad); err == nil {
			return key, i == 0, nil
		}
	}
	return seal.Key{}, false, fmt.Errorf("%w: sealed under another key", ErrRefused)
}

// Seal seals a message under the store's key.
func (r *Ring) Seal(plaintext, aad []byte) ([]byte, error) {
	return seal.Seal(r.keys[0], plaintext, aad)
}

// Open answers what Seal was given, as Unwrap does.
func (r *Ring) Open(sealed, aad []byte) (plaintext []byte, current bool, err error) {
	for i, k := range r.keys {
		if plaintext, err = seal.Open(k, sealed, aad); err == nil {
			return plaintext, i == 0, nil
		}
	}
	return nil, false, fmt.Errorf("%w: sealed under another key", ErrRefused)
}
