package image

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Names are what people call images on this host: files in DIR/names that hold a
// digest. A name is no path: what could be one is refused.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?(:[A-Za-z0-9._-]{1,128})?$`)

// Tag gives an image of this host a name. A name that is taken moves.
func (s *Store) Tag(name, digest string) error {
	if !namePattern.MatchString(name) {
		return errors.New("image: a name is of a-z, 0-9, dots, dashes and underscores, with an optional :tag")
	}
	if _, err := s.Get(digest); err != nil {
		return err
	}
	dir := filepath.Join(s.dir, namesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(digest)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), filepath.Join(dir, name))
}

// Resolve finds an image of this host by name or digest, or by both as
// name@digest. A name that nobody gave is ErrNotFound.
func (s *Store) Resolve(ref string) (Image, error) {
	if _, digest, ok := strings.Cut(ref, "@"); ok {
		ref = digest
	}
	if strings.HasPrefix(ref, "sha256:") {
		return s.Get(ref)
	}
	if !namePattern.MatchString(ref) {
		return Image{}, ErrNotFound
	}
	digest, err := os.ReadFile(filepath.Join(s.dir, namesDir, ref))
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, ErrNotFound
	}
	if err != nil {
		return Image{}, err
	}
	return s.Get(string(digest))
}

// Names lists the names on this host with their digests, sorted by name.
func (s *Store) Names() ([][2]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, namesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out [][2]string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		digest, err := os.ReadFile(filepath.Join(s.dir, namesDir, e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, [2]string{e.Name(), string(digest)})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out, nil
}

const namesDir = "names"
