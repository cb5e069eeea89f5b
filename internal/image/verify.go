package image

import (
	"bytes"
	"fmt"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"bawn.dev/internal/spec"
)

// Bounds of the two documents of an image, in bytes and entries.
const (
	maxDocument = 4 << 20
	maxLayers   = 512
)

// manifest is what an image is, after its documents matched their digests. The
// layers are checked against diffs while they are unpacked.
type manifest struct {
	digest string
	config Config
	layers []v1.Layer
	diffs  []v1.Hash
}

// verified reads an image's documents. The libraries that read layouts and
// archives believe what they find: here the content decides.
func verified(img v1.Image) (manifest, error) {
	raw, err := img.RawManifest()
	if err != nil {
		return manifest{}, fmt.Errorf("image: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return manifest{}, fmt.Errorf("image: %w", err)
	}
	doc, err := img.Manifest()
	if err != nil {
		return manifest{}, fmt.Errorf("image: %w", err)
	}
	rawConfig, err := img.RawConfigFile()
	if err != nil {
		return manifest{}, fmt.Errorf("image: %w", err)
	}
	if len(raw) > maxDocument || len(rawConfig) > maxDocument || len(doc.Layers) > maxLayers {
		return manifest{}, fmt.Errorf("%w: the manifest or the configuration is too large", ErrRefused)
	}
	if !matches(raw, digest) || !spec.ValidDigest(digest.String()) {
		return manifest{}, fmt.Errorf("%w: the manifest does not match its digest", ErrRefused)
	}
	if !matches(rawConfig, doc.Config.Digest) {
		return manifest{}, fmt.Errorf("%w: the configuration does not match its digest", ErrRefused)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return manifest{}, fmt.Errorf("image: %w", err)
	}
	if config.OS != "" && config.OS != "linux" || config.Architecture != "" && config.Architecture != runtime.GOARCH {
		return manifest{}, fmt.Errorf("%w: it is for %.40s/%.40s", ErrRefused, config.OS, config.Architecture)
	}
	layers, err := img.Layers()
	if err != nil {
		return manifest{}, fmt.Errorf("image: %w", err)
	}
	if len(layers) != len(config.RootFS.DiffIDs) {
		return manifest{}, fmt.Errorf("%w: it has %d layers and describes %d", ErrRefused, len(layers), len(config.RootFS.DiffIDs))
	}
	return manifest{
		digest: digest.String(),
		layers: layers,
		diffs:  config.RootFS.DiffIDs,
		config: Config{
			Env: config.Config.Env, Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd,
			User: config.Config.User, WorkingDir: config.Config.WorkingDir,
		},
	}, nil
}

func matches(data []byte, want v1.Hash) bool {
	got, _, err := v1.SHA256(bytes.NewReader(data))
	return err == nil && got == want
}

func machine() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }
