// Package image turns what a customer brings (an OCI image layout, a
// docker-save archive, a directory, or a reference into a configured registry)
// into a read-only root file system, named by its digest, in a directory of
// this host. It also builds the sample image from the distribution's packages.
//
// It trusts nobody who makes images. Everything that an image says is checked
// against its digest before it is believed, and unpacked with bounds, inside an
// os.Root: an attacker who writes an image decides what is in its own root file
// system and can make the import fail, but cannot write outside of it, leave a
// device node, a set-id bit or a file capability behind, fill the disk beyond
// the bounds, or pass one content off as another digest.
package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/spec"
)

// Failures that a caller tells apart with errors.Is.
var (
	ErrNotFound = errors.New("image: not on this host")
	// ErrRefused says that an image holds what no root file system may.
	ErrRefused = errors.New("image: refused")
)

// Image is a root file system on this host.
type Image struct {
	// Digest is that of the image's manifest: "sha256:" and 64 digits.
	Digest string
	// Rootfs is the directory that holds the files.
	Rootfs string
	Config Config
}

// Config is what an image says about how it wants to run. All of it is the
// image maker's choice.
type Config struct {
	Env        []string `json:"env,omitzero"` // NAME=value
	Entrypoint []string `json:"entrypoint,omitzero"`
	Cmd        []string `json:"cmd,omitzero"`
	User       string   `json:"user,omitzero"` // see [Image.User]
	WorkingDir string   `json:"workingDir,omitzero"`
}

// Store is the images of one host: DIR/<64 digits>/{rootfs,config.json}.
type Store struct {
	dir    string
	limits Limits
}

// Open returns the store in dir, and makes dir (mode 0700) when it is missing.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	return &Store{dir: abs, limits: DefaultLimits}, nil
}

// Get returns an image that was imported before, or [ErrNotFound].
func (s *Store) Get(digest string) (Image, error) {
	if !spec.ValidDigest(digest) {
		return Image{}, errors.New("image: the digest is malformed")
	}
	dir := s.path(digest)
	config, err := readConfig(filepath.Join(dir, configName))
	if errors.Is(err, os.ErrNotExist) {
		return Image{}, ErrNotFound
	}
	if err != nil {
		return Image{}, err
	}
	return Image{Digest: digest, Rootfs: filepath.Join(dir, rootfsName), Config: config}, nil
}

// List returns the digests of all images here, sorted.
func (s *Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	var digests []string
	for _, e := range entries {
		digest := "sha256:" + e.Name()
		if !spec.ValidDigest(digest) {
			continue
		}
		if _, err := s.Get(digest); errors.Is(err, ErrNotFound) {
			continue // a removal that was interrupted
		} else if err != nil {
			return nil, err
		}
		digests = append(digests, digest)
	}
	sort.Strings(digests)
	return digests, nil
}

// Import brings an image onto this host; one that is here already costs the
// reading of its manifest. Only a whole image ever appears: it is unpacked
// beside its place and then renamed.
func (s *Store) Import(ctx context.Context, from Source) (Image, error) {
	img, err := from(ctx)
	if err != nil {
		return Image{}, fmt.Errorf("image: %w", err)
	}
	m, err := verified(img)
	if err != nil {
		return Image{}, err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return Image{}, err
	}
	defer lock.Close()
	if have, err := s.Get(m.digest); !errors.Is(err, ErrNotFound) {
		return have, err
	}
	if err := s.sweep(); err != nil {
		return Image{}, err
	}
	if err := s.unpack(ctx, img, m); err != nil {
		return Image{}, err
	}
	return s.Get(m.digest)
}

// Remove deletes an image. One that is not here is no error. No workload may
// be running from it.
func (s *Store) Remove(digest string) error {
	if !spec.ValidDigest(digest) {
		return errors.New("image: the digest is malformed")
	}
	// The configuration goes first: without it the image does not exist.
	if err := os.Remove(filepath.Join(s.path(digest), configName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("image: %w", err)
	}
	if err := os.RemoveAll(s.path(digest)); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return nil
}

// lock lets one import run at a time, over all processes.
func (s *Store) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		f.Close()
		return nil, fmt.Errorf("image: waiting for another import: %w", err)
	}
}

// sweep deletes what an import left that was killed. The lock is held.
func (s *Store) sweep() error {
	stale, err := filepath.Glob(filepath.Join(s.dir, importing+"*"))
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	for _, dir := range stale {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	return nil
}

func (s *Store) path(digest string) string {
	return filepath.Join(s.dir, strings.TrimPrefix(digest, "sha256:"))
}

// Source is where an image comes from; see [Layout], [Archive], [Directory]
// and [Registry].
type Source func(context.Context) (v1.Image, error)
