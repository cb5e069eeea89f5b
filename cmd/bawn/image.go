package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bawn.dev/internal/image"
)

// imageCmd manages the images of this host. It works on the data directory as
// root, as `bawn host` does.
type imageCmd struct {
	List   imageListCmd   `cmd:"" help:"List the images of this host."`
	Import imageImportCmd `cmd:"" help:"Bring an image onto this host: an OCI layout, a docker-save archive, or a directory."`
	Build  imageBuildCmd  `cmd:"" help:"Build the sample image of the distribution's packages and import it."`
	Path   imagePathCmd   `cmd:"" help:"Show where a file of an image lies on this host."`
}

func images(data string) (*image.Store, error) {
	return image.Open(filepath.Join(data, "images"))
}

type imageListCmd struct {
	Data   string `required:"" type:"path" help:"Data directory."`
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

func (c *imageListCmd) Run() error {
	s, err := images(c.Data)
	if err != nil {
		return err
	}
	names, err := s.Names()
	if err != nil {
		return err
	}
	if c.Output == "json" {
		list := []map[string]string{}
		for _, n := range names {
			list = append(list, map[string]string{"name": n[0], "digest": n[1]})
		}
		return json.NewEncoder(os.Stdout).Encode(list)
	}
	for _, n := range names {
		fmt.Printf("%s\t%s\n", n[0], n[1])
	}
	return nil
}

type imageImportCmd struct {
	Data string `required:"" type:"path" help:"Data directory."`
	Name string `required:"" help:"Name that TrainingImage will use."`
	Path string `arg:"" type:"path" help:"OCI layout, archive or directory."`
}

func (c *imageImportCmd) Run(ctx context.Context) error {
	from, err := image.Find(c.Path)
	if err != nil {
		return err
	}
	return adopt(ctx, c.Data, "ImportImage", c.Path, c.Name, from)
}

type imageBuildCmd struct {
	Data string `required:"" type:"path" help:"Data directory."`
	Name string `default:"bawn-sample" help:"Name that TrainingImage will use."`
}

func (c *imageBuildCmd) Run(ctx context.Context) error {
	layout := filepath.Join(c.Data, "images", ".layouts", c.Name)
	if err := os.MkdirAll(filepath.Dir(layout), 0o700); err != nil {
		return err
	}
	if _, err := image.Build(ctx, layout, os.Stderr, image.SamplePackages[:]...); err != nil {
		return err
	}
	return adopt(ctx, c.Data, "BuildImage", "the distribution's packages", c.Name, image.Layout(layout))
}

// adopt imports an image and names it, once that is written down.
func adopt(ctx context.Context, data, event, source, name string, from image.Source) error {
	s, err := images(data)
	if err != nil {
		return err
	}
	img, err := s.Import(ctx, from)
	if err != nil {
		return err
	}
	if err := tellHost(data, event, map[string]string{"name": name, "digest": img.Digest, "source": source}); err != nil {
		return err
	}
	if err := s.Tag(name, img.Digest); err != nil {
		return err
	}
	fmt.Printf("%s\t%s\n", name, img.Digest)
	return nil
}

type imagePathCmd struct {
	Data string `required:"" type:"path" help:"Data directory."`
	Name string `arg:"" help:"Name or digest of the image."`
	File string `arg:"" help:"Path inside the image."`
}

func (c *imagePathCmd) Run() error {
	s, err := images(c.Data)
	if err != nil {
		return err
	}
	img, err := s.Resolve(c.Name)
	if err != nil {
		return err
	}
	if !fs.ValidPath(c.File) {
		return fmt.Errorf("%q is no path inside an image", c.File)
	}
	fmt.Println(filepath.Join(img.Rootfs, filepath.FromSlash(c.File)))
	return nil
}
