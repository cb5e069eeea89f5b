package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	rootfsName = "rootfs"
	configName = "config.json"
	importing  = ".import-"
)

// Limits bounds one image, all layers together.
type Limits struct {
	Bytes   int64 // of file content, unpacked
	Entries int   // files, directories and links
	Path    int   // bytes of one path or link target
}

// DefaultLimits leaves room for the largest published training images (about
// 20 GiB and 400,000 files).
var DefaultLimits = Limits{Bytes: 64 << 30, Entries: 2 << 20, Path: 4096}

func (s *Store) unpack(ctx context.Context, img v1.Image, m manifest) (err error) {
	tmp, err := os.MkdirTemp(s.dir, importing)
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.Mkdir(filepath.Join(tmp, rootfsName), 0o755); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	root, err := os.OpenRoot(filepath.Join(tmp, rootfsName))
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	defer root.Close()
	u := unpacker{root: root, left: s.limits}
	for i, layer := range m.layers {
		if err := u.layer(ctx, layer, m.diffs[i]); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	data, err := json.Marshal(m.config, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if err := os.WriteFile(filepath.Join(tmp, configName), data, 0o600); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	// A place without a configuration is a removal that was interrupted.
	if err := os.RemoveAll(s.path(m.digest)); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if err := os.Rename(tmp, s.path(m.digest)); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return nil
}

func readConfig(file string) (Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Config{}, err
	}
	var c Config
	if err := json.Unmarshal(data, &c, json.RejectUnknownMembers(true)); err != nil {
		return Config{}, fmt.Errorf("image: %s: %w", file, err)
	}
	return c, nil
}

// unpacker applies layers, one on the other, as the OCI image specification
// (layer.md) describes it.
type unpacker struct {
	root *os.Root
	left Limits
	// fresh holds the paths that the current layer wrote, which its opaque
	// whiteouts do not hide.
	fresh map[string]bool
}

func (u *unpacker) layer(ctx context.Context, layer v1.Layer, want v1.Hash) error {
	stream, err := layer.Uncompressed()
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	defer stream.Close()
	return u.apply(ctx, stream, want)
}

func (u *unpacker) apply(ctx context.Context, stream io.Reader, want v1.Hash) error {
	sum := sha256.New()
	in := io.TeeReader(stream, sum)
	u.fresh = make(map[string]bool)
	entries := tar.NewReader(in)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.entry(h, entries); err != nil {
			return err
		}
	}
	return finish(in, sum, want)
}

// maxPadding bounds what may follow the last entry of a layer, in bytes.
const maxPadding = 16 << 20

func finish(in io.Reader, sum hash.Hash, want v1.Hash) error {
	n, err := io.Copy(io.Discard, io.LimitReader(in, maxPadding))
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if n == maxPadding || want.Algorithm != "sha256" || hex.EncodeToString(sum.Sum(nil)) != want.Hex {
		return fmt.Errorf("%w: the content does not match its digest", ErrRefused)
	}
	return nil
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if u.left.Entries--; u.left.Entries < 0 {
		return fmt.Errorf("%w: too many files", ErrRefused)
	}
	if len(h.Name) > u.left.Path || len(h.Linkname) > u.left.Path {
		return fmt.Errorf("%w: a path is too long", ErrRefused)
	}
	p, ok := clean(h.Name)
	if !ok {
		return fmt.Errorf("%w: %.200q leads outside", ErrRefused, h.Name)
	}
	if p == "." {
		return nil
	}
	dir, base := path.Split(p)
	dir = path.Clean(dir)
	if base == opaque {
		return u.hideChildren(dir)
	}
	if hidden, ok := strings.CutPrefix(base, whiteout); ok {
		return refusal(p, u.root.RemoveAll(path.Join(dir, hidden)))
	}
	if err := u.root.MkdirAll(dir, 0o755); err != nil {
		return refusal(p, err)
	}
	old, err := u.root.Lstat(p)
	if err == nil && !(old.IsDir() && h.Typeflag == tar.TypeDir) {
		if err := u.root.RemoveAll(p); err != nil {
			return refusal(p, err)
		}
	}
	u.fresh[p] = true
	return refusal(p, u.write(p, h, content))
}

func (u *unpacker) write(p string, h *tar.Header, content io.Reader) error {
	// Set-id bits would mean nothing to a sandbox without new privileges, and
	// file capabilities (an extended attribute) are never applied; neither is
	// left lying about on a host.
	mode := os.FileMode(h.Mode & 0o777)
	switch h.Typeflag {
	case tar.TypeDir:
		if err := u.root.MkdirAll(p, 0o755); err != nil {
			return err
		}
		if h.Mode&0o1000 != 0 {
			mode |= os.ModeSticky
		}
	case tar.TypeReg:
		if err := u.file(p, h.Size, content); err != nil {
			return err
		}
	case tar.TypeSymlink:
		// Any target may be stored: it is resolved inside the sandbox, and
		// here by os.Root, which does not leave the root.
		if err := u.root.Symlink(h.Linkname, p); err != nil {
			return err
		}
		return u.own(p, h)
	case tar.TypeLink:
		target, ok := clean(h.Linkname)
		if !ok {
			return errors.New("a hard link leads outside")
		}
		return u.root.Link(target, p)
	default:
		return fmt.Errorf("entries of type %q (devices, pipes) are not allowed", h.Typeflag)
	}
	if err := u.own(p, h); err != nil {
		return err
	}
	if err := u.root.Chmod(p, mode); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeReg {
		return u.root.Chtimes(p, time.Time{}, h.ModTime)
	}
	return nil
}

func (u *unpacker) file(p string, size int64, content io.Reader) error {
	if u.left.Bytes -= size; u.left.Bytes < 0 {
		return errors.New("the files are too large together")
	}
	f, err := u.root.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, content, size)
	return errors.Join(err, f.Close())
}

func (u *unpacker) own(p string, h *tar.Header) error {
	const max = 1<<31 - 1
	if h.Uid < 0 || h.Gid < 0 || h.Uid > max || h.Gid > max {
		return errors.New("the owner is out of range")
	}
	if os.Geteuid() != 0 {
		return nil // only root may give files away; tests of parsing run without
	}
	return u.root.Lchown(p, h.Uid, h.Gid)
}

func (u *unpacker) hideChildren(dir string) error {
	d, err := u.root.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refusal(dir, err)
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return refusal(dir, err)
	}
	for _, name := range names {
		child := path.Join(dir, name)
		if u.fresh[child] {
			continue
		}
		if err := refusal(child, u.root.RemoveAll(child)); err != nil {
			return err
		}
	}
	return nil
}

// clean turns a name in a tar file into one for os.Root. An absolute name is
// one below the root, as tar has it; one that climbs is refused, not repaired.
func clean(name string) (string, bool) {
	if strings.ContainsRune(name, 0) {
		return "", false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", false
		}
	}
	return path.Clean("./" + strings.TrimLeft(name, "/")), true
}

func refusal(p string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %.200q: %w", ErrRefused, p, err)
}
