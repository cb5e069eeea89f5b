package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// SamplePackages is what the sample image is made of, on Debian and Ubuntu.
var SamplePackages = [...]string{"python3", "python3-sklearn", "python3-pandas", "python3-boto3", "ca-certificates"}

// packagesKey is the annotation in which an image says what it was built of.
const packagesKey = "dev.bawn.image.packages"

// Build makes an image of the distribution's packages, as an OCI layout in
// dir, and returns its digest. It uses mmdebstrap and the distribution's own
// package sources as this machine has them; nothing of the image runs as
// anything but an unprivileged user later, but its packages' scripts run as
// root now, in a chroot: they are trusted as this machine's own packages are.
//
// What a workload does not need (documentation, translations, headers,
// compilers, static libraries, test suites) is left out. The sample's packages
// take two to three minutes on two idle cores and leave 140 MB in dir, 500 MB
// more once imported. A layout that was built of the same packages is kept as
// it is. Lines about the progress go to progress, which may be nil.
func Build(ctx context.Context, dir string, progress io.Writer, packages ...string) (digest string, err error) {
	if progress == nil {
		progress = io.Discard
	}
	if len(packages) == 0 {
		packages = SamplePackages[:]
	}
	for _, p := range packages {
		if !validPackage(p) {
			return "", fmt.Errorf("image: %.100q is no package name", p)
		}
	}
	what := strings.Join(slices.Sorted(slices.Values(packages)), " ")
	if digest, ok := built(dir, what); ok {
		fmt.Fprintf(progress, "image %s of %s is there\n", digest, what)
		return digest, nil
	}
	parent, err := filepath.Abs(filepath.Dir(dir))
	if err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, ".build-")
	if err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	layer := filepath.Join(tmp, "layer.tar.zst")
	fmt.Fprintf(progress, "installing %s into a new root file system (about two minutes)\n", what)
	start := time.Now()
	if err := bootstrap(ctx, layer, tmp, packages); err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "installed in %v; writing the image\n", time.Since(start).Round(time.Second))
	made := filepath.Join(tmp, "layout")
	if digest, err = writeLayout(made, layer, what); err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	// What lies there was built of something else, or not to its end.
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	if err := os.Rename(made, dir); err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	fmt.Fprintf(progress, "image %s is built\n", digest)
	return digest, nil
}

func built(dir, what string) (string, bool) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return "", false
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations[packagesKey] != what {
		return "", false
	}
	return manifest.Manifests[0].Digest.String(), true
}

// bootstrap writes a root file system with packages to layer.
func bootstrap(ctx context.Context, layer, tmp string, packages []string) (err error) {
	tool, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return errors.New("image: building an image needs mmdebstrap (apt-get install mmdebstrap)")
	}
	suite, sources, err := distribution()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(layer, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	compressed, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "--quiet", "--variant=minbase", "--format=tar",
		"--include="+strings.Join(packages, ","), suite, "-", sources)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "LC_ALL=C")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it unmounts and cleans up
	cmd.WaitDelay = 30 * time.Second
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	terr := trim(compressed, out)
	if terr != nil {
		cancel()
	}
	if err := cmd.Wait(); err != nil && terr == nil {
		text := strings.TrimSpace(said.String())
		return fmt.Errorf("image: mmdebstrap: %w: %s", err, text[max(0, len(text)-1000):])
	}
	return errors.Join(terr, compressed.Close())
}

// distribution says which release this machine runs and where it gets its
// packages.
func distribution() (suite, sources string, err error) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return "", "", fmt.Errorf("image: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "VERSION_CODENAME="); ok {
			suite = strings.Trim(value, `"`)
		}
	}
	if err := lines.Err(); err != nil {
		return "", "", fmt.Errorf("image: %w", err)
	}
	for _, file := range []string{"debian.sources", "ubuntu.sources", "../sources.list"} {
		file = filepath.Join("/etc/apt/sources.list.d", file)
		if info, err := os.Stat(file); err == nil && info.Size() > 0 && validPackage(suite) {
			return suite, file, nil
		}
	}
	return "", "", errors.New("image: building needs a Debian or Ubuntu machine with its own package sources")
}

// writeLayout makes an image of one layer.
func writeLayout(dir, file, what string) (string, error) {
	layer, err := tarball.LayerFromFile(file, tarball.WithMediaType(types.OCILayerZStd))
	if err != nil {
		return "", err
	}
	img, err := assemble(layer, v1.Config{
		User:       "nonroot",
		WorkingDir: "/",
		Env:        []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		Cmd:        []string{"/usr/bin/python3"},
	})
	if err != nil {
		return "", err
	}
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", err
	}
	if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{packagesKey: what})); err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	return digest.String(), nil
}

// trim copies a root file system without what a workload does not need, and
// adds the user that it runs as.
func trim(w io.Writer, r io.Reader) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	dropped := make(map[string]bool)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("image: %w", err)
		}
		name, _ := clean(h.Name)
		target, _ := clean(h.Linkname)
		if needless(name, h.Typeflag) || h.Typeflag == tar.TypeLink && dropped[target] {
			dropped[name] = true
			continue
		}
		h.PAXRecords = nil // extended attributes, which no image keeps
		var content io.Reader = in
		if line := account[name]; line != "" {
			h.Size += int64(len(line))
			content = io.MultiReader(in, strings.NewReader(line))
		}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("image: %w", err)
		}
		if _, err := io.Copy(out, content); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return nil
}

// account holds what is appended to files of the root file system: without an
// entry, libraries that ask for the user's name or home fail.
var account = map[string]string{
	"etc/passwd": fmt.Sprintf("nonroot:x:%d:%d:nonroot:/tmp:/usr/sbin/nologin\n", Nonroot, Nonroot),
	"etc/group":  fmt.Sprintf("nonroot:x:%d:\n", Nonroot),
}
