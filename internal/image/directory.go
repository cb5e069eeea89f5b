package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Directory is a root file system that lies in dir, as an image of one layer
// without a configuration. Its digest depends on names, modes, owners, times
// and content, and on nothing else.
func Directory(dir string) Source {
	return func(context.Context) (v1.Image, error) {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			r, w := io.Pipe()
			go func() { w.CloseWithError(archive(w, dir)) }()
			return r, nil
		})
		if err != nil {
			return nil, err
		}
		return assemble(layer, v1.Config{})
	}
}

// assemble makes an image of one layer for this machine.
func assemble(layer v1.Layer, config v1.Config) (v1.Image, error) {
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = machine().OS, machine().Architecture
	file.Config = config
	return mutate.ConfigFile(img, file)
}

// archive writes dir as a tar stream in lexical order.
func archive(w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	out := tar.NewWriter(w)
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil || name == "." {
			return err
		}
		return add(out, root, name, d)
	})
	return errors.Join(err, out.Close())
}

func add(out *tar.Writer, root *os.Root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = root.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	h.Name, h.Uname, h.Gname = name, "", ""
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}
