package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Layout is the OCI image layout in dir. An index of several images is
// searched for the one that this machine runs (linux, its architecture).
func Layout(dir string) Source {
	return func(context.Context) (v1.Image, error) {
		index, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			return nil, err
		}
		return choose(index, 0)
	}
}

// Archive is a file as `docker save` writes it, holding one image.
func Archive(file string) Source {
	return func(context.Context) (v1.Image, error) {
		return tarball.ImageFromPath(file, nil)
	}
}

// Registry is an image in a registry, named by digest or tag. Both the
// transport, which is the caller's guarded dialer, and the credentials are
// stated; nothing is taken from the environment or from anybody's home.
func Registry(ref string, transport http.RoundTripper, auth authn.Authenticator) Source {
	return func(ctx context.Context) (v1.Image, error) {
		if transport == nil || auth == nil {
			return nil, errors.New("no registry is configured")
		}
		parsed, err := name.ParseReference(ref, name.StrictValidation)
		if err != nil {
			return nil, err
		}
		return remote.Image(parsed, remote.WithContext(ctx), remote.WithTransport(transport),
			remote.WithAuth(auth), remote.WithPlatform(machine()))
	}
}

// Find guesses the kind of source from what lies at path: a layout (a
// directory with an index.json and an oci-layout), any other directory, or an
// archive.
func Find(path string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	if !info.IsDir() {
		return Archive(path), nil
	}
	if _, err := os.Stat(filepath.Join(path, "oci-layout")); err == nil {
		return Layout(path), nil
	}
	return Directory(path), nil
}

// maxDepth bounds indexes of indexes.
const maxDepth = 4

func choose(index v1.ImageIndex, depth int) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, errors.New("indexes are nested too deeply")
	}
	want := machine()
	for _, d := range manifest.Manifests {
		switch {
		case d.MediaType.IsIndex():
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			if err := named(inner, d.Digest); err != nil {
				return nil, err
			}
			if img, err := choose(inner, depth+1); err == nil {
				return img, nil
			}
		case d.MediaType.IsImage() && (d.Platform == nil || d.Platform.Satisfies(want)):
			img, err := index.Image(d.Digest)
			if err != nil {
				return nil, err
			}
			return img, named(img, d.Digest)
		}
	}
	return nil, fmt.Errorf("no image for %s", want.String())
}

// named checks that a document is the one that an index names: the library
// finds it by that name and does not look again.
func named(doc interface{ Digest() (v1.Hash, error) }, want v1.Hash) error {
	got, err := doc.Digest()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%w: a manifest does not match its digest", ErrRefused)
	}
	return nil
}
