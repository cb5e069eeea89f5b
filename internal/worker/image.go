package worker

import (
	"errors"
	"fmt"

	"bawn.dev/internal/host"
	"bawn.dev/internal/image"
)

// Image implements [host.Workloads].
func (w *Worker) Image(ref string) (host.Image, error) {
	img, err := w.images.Resolve(ref)
	if errors.Is(err, image.ErrNotFound) {
		return host.Image{}, fmt.Errorf("%w: no image %.200q on this host, and no registry is configured", host.ErrNotFound, ref)
	}
	if err != nil {
		return host.Image{}, err
	}
	user, err := img.User()
	if err != nil {
		return host.Image{}, err
	}
	return host.Image{Digest: img.Digest, Config: img.Config, User: user}, nil
}

// image returns an image that is here, by its digest.
func (w *Worker) image(digest string) (image.Image, error) {
	img, err := w.images.Get(digest)
	if errors.Is(err, image.ErrNotFound) {
		return img, fmt.Errorf("%w: image %s", host.ErrNotFound, digest)
	}
	return img, err
}
