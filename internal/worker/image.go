package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/host"
	"bawn.dev/internal/image"
	"bawn.dev/internal/spec"
)

// namesFile, in the directory of images, says which digest a name stands for.
const namesFile = "names.json"

// maxRef bounds a name, in bytes, as spec does.
const maxRef = 512

// Image implements [host.Workloads]. A name without a tag is one with ":latest".
func (w *Worker) Image(ref string) (host.Image, error) {
	digest, err := resolve(w.config.Images, ref)
	if err != nil {
		return host.Image{}, err
	}
	img, err := w.image(digest)
	if err != nil {
		return host.Image{}, err
	}
	user, err := img.User()
	if err != nil {
		return host.Image{}, err
	}
	return host.Image{Digest: digest, Config: img.Config, User: user}, nil
}

// NameImage makes ref stand for an image in the directory of images, from now on.
// One caller at a time.
func NameImage(dir, ref, digest string) error {
	if !validRef(ref) || strings.Contains(ref, "@") || spec.ValidDigest(ref) {
		return fmt.Errorf("%w: %.80q is not a name for an image", host.ErrInvalid, ref)
	}
	store, err := image.Open(dir)
	if err != nil {
		return err
	}
	if _, err := store.Get(digest); err != nil {
		return err
	}
	names, err := readNames(dir)
	if err != nil {
		return err
	}
	names[tagged(ref)] = digest
	data, err := json.Marshal(names, json.Deterministic(true))
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, namesFile), data)
}

func resolve(dir, ref string) (string, error) {
	if !validRef(ref) {
		return "", fmt.Errorf("%w: a malformed image name", host.ErrInvalid)
	}
	if _, digest, ok := strings.Cut(ref, "@"); ok {
		ref = digest
	}
	if spec.ValidDigest(ref) {
		return ref, nil
	}
	names, err := readNames(dir)
	if err != nil {
		return "", err
	}
	digest, ok := names[tagged(ref)]
	if !ok {
		return "", fmt.Errorf("%w: no image %q on this host, and no registry is configured", host.ErrNotFound, ref)
	}
	return digest, nil
}

// tagged completes a name. A colon before the last slash belongs to a port.
func tagged(ref string) string {
	if strings.Contains(ref[strings.LastIndexByte(ref, '/')+1:], ":") {
		return ref
	}
	return ref + ":latest"
}

func validRef(ref string) bool {
	for _, c := range []byte(ref) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return ref != "" && len(ref) <= maxRef
}

func readNames(dir string) (map[string]string, error) {
	names := map[string]string{}
	data, err := os.ReadFile(filepath.Join(dir, namesFile))
	if errors.Is(err, os.ErrNotExist) {
		return names, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &names)
	}
	if err != nil {
		return nil, fmt.Errorf("worker: %s: %w", namesFile, err)
	}
	return names, nil
}
