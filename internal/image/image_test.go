package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"bawn.dev/internal/spec"
)

type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, content}
}

func dir(name string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}

func link(kind byte, name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: kind, Linkname: target, Mode: 0o777}, ""}
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		h.Size = int64(len(e.content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// imageOf makes an image of layers.
func imageOf(t testing.TB, config v1.Config, layers ...[]byte) v1.Image {
	t.Helper()
	var img v1.Image = empty.Image
	for _, data := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	img, err := mutate.Config(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func from(img v1.Image) Source {
	return func(context.Context) (v1.Image, error) { return img, nil }
}

func store(t testing.TB) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists what a root file system holds.
func files(t testing.TB, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && p != root {
			rel, rerr := filepath.Rel(root, p)
			all, err = append(all, rel), rerr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImport(t *testing.T) {
	s := store(t)
	img := imageOf(t, v1.Config{Env: []string{"A=b"}, Entrypoint: []string{"/bin/train"}, Cmd: []string{"x"}, User: "user", WorkingDir: "/opt"},
		tarOf(t, dir("etc"), file("etc/passwd", "user:x:1000:1001::/:\n"), link(tar.TypeSymlink, "lib", "usr/lib"), link(tar.TypeLink, "etc/same", "etc/passwd")))
	got, err := s.Import(t.Context(), from(img))
	if err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.String() || got.Config.User != "user" || got.Config.WorkingDir != "/opt" ||
		!slices.Equal(got.Config.Env, []string{"A=b"}) || !slices.Equal(got.Config.Entrypoint, []string{"/bin/train"}) {
		t.Errorf("got %+v", got)
	}
	if got := files(t, got.Rootfs); !slices.Equal(got, []string{"etc", "etc/passwd", "etc/same", "lib"}) {
		t.Errorf("it holds %q", got)
	}
	if u, err := got.User(); err != nil || u != (spec.User{UID: 1000, GID: 1001}) {
		t.Errorf("it runs as %+v, %v", u, err)
	}
	again, err := s.Import(t.Context(), from(img))
	if err != nil || again.Rootfs != got.Rootfs {
		t.Errorf("the second import: %+v, %v", again, err)
	}
	if list, err := s.List(); err != nil || !slices.Equal(list, []string{got.Digest}) {
		t.Errorf("List: %q, %v", list, err)
	}
	for range 2 {
		if err := s.Remove(got.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(got.Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Remove: %v", err)
	}
}

// A process that is killed leaves its half of an image; the next import
// deletes it, and an interrupted removal is no image.
func TestImportAfterCrash(t *testing.T) {
	s := store(t)
	img := imageOf(t, v1.Config{}, tarOf(t, file("hello", "world")))
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(s.dir, importing+"half", rootfsName)
	removed := filepath.Join(s.path(digest.String()), rootfsName, "old")
	if err := errors.Join(os.MkdirAll(half, 0o700), os.MkdirAll(removed, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(digest.String()); !errors.Is(err, ErrNotFound) {
		t.Errorf("half an image: %v", err)
	}
	got, err := s.Import(t.Context(), from(img))
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, got.Rootfs); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("it holds %q", got)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half is still there: %v", err)
	}
}

func TestSources(t *testing.T) {
	img := imageOf(t, v1.Config{User: "7"}, tarOf(t, file("hello", "world")))
	dir := t.TempDir()
	ociDir, archive, plain := filepath.Join(dir, "oci"), filepath.Join(dir, "saved.tar"), filepath.Join(dir, "plain")
	path, err := layout.Write(ociDir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(archive, nil, img); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(plain, 0o755), os.WriteFile(filepath.Join(plain, "hello"), []byte("world"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{ociDir, archive, plain} {
		source, err := Find(where)
		if err != nil {
			t.Fatal(err)
		}
		got, err := store(t).Import(t.Context(), source)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		data, err := os.ReadFile(filepath.Join(got.Rootfs, "hello"))
		if err != nil || string(data) != "world" {
			t.Errorf("%s: %q, %v", where, data, err)
		}
		if where != plain && got.Config.User != "7" {
			t.Errorf("%s: its user is %q", where, got.Config.User)
		}
	}
	if _, err := store(t).Import(t.Context(), Registry("registry.example.com/x:1", nil, nil)); err == nil {
		t.Error("a registry that nobody configured was asked")
	}
}

func TestRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "http://") + "/team/train:1"
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img := imageOf(t, v1.Config{}, tarOf(t, file("hello", "world")))
	if err := remote.Write(parsed, img); err != nil {
		t.Fatal(err)
	}
	got, err := store(t).Import(t.Context(), Registry(ref, http.DefaultTransport, authn.Anonymous))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := img.Digest(); err != nil || got.Digest != want.String() {
		t.Errorf("got %s, want %s, %v", got.Digest, want, err)
	}
}

func TestWhiteouts(t *testing.T) {
	img := imageOf(t, v1.Config{},
		tarOf(t, file("gone", ""), dir("d"), file("d/old", ""), dir("d/olddir"), file("d/olddir/x", ""), file("kept", ""), dir("becomes-file"), file("becomes-file/x", "")),
		// The new file stands before the whiteout that hides its siblings.
		tarOf(t, file(".wh.gone", ""), dir("d"), file("d/new", ""), file("d/.wh..wh..opq", ""), file("becomes-file", "now")),
	)
	got, err := store(t).Import(t.Context(), from(img))
	if err != nil {
		t.Fatal(err)
	}
	if got := files(t, got.Rootfs); !slices.Equal(got, []string{"becomes-file", "d", "d/new", "kept"}) {
		t.Errorf("it holds %q", got)
	}
}

func TestPowersAreStripped(t *testing.T) {
	suid := file("suid", "x")
	suid.Mode = 0o6755
	suid.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\xff\xff\xff\xff"}
	tmp := dir("tmp")
	tmp.Mode = 0o1777
	got, err := store(t).Import(t.Context(), from(imageOf(t, v1.Config{}, tarOf(t, suid, tmp))))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(got.Rootfs, "suid"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(got.Rootfs, "tmp")); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("the directory's mode is %v, %v", info.Mode(), err)
	}
}

// T05 of the threat list, and its relatives.
func TestAttackUnpacking(t *testing.T) {
	outside := t.TempDir()
	device := func(kind byte) entry {
		return entry{tar.Header{Name: "dev-sda", Typeflag: kind, Devmajor: 8, Mode: 0o666}, ""}
	}
	owned := file("x", "")
	owned.Uid = 1 << 40
	tests := map[string][]entry{
		"climbing":                {file("../evil", "x")},
		"climbing in the middle":  {file("a/../../evil", "x")},
		"climbing below the root": {file("/../evil", "x")},
		"through a symlink":       {link(tar.TypeSymlink, "out", outside), file("out/evil", "x")},
		"through a relative one":  {link(tar.TypeSymlink, "out", "../../../../../../../.."+outside), file("out/evil", "x")},
		"through two":             {link(tar.TypeSymlink, "a", "b"), link(tar.TypeSymlink, "b", outside), file("a/evil", "x")},
		"a directory over a link": {link(tar.TypeSymlink, "out", outside), dir("out/evil")},
		"hard link out":           {link(tar.TypeLink, "x", "../../../../etc/passwd")},
		"hard link through link":  {link(tar.TypeSymlink, "out", "/etc"), link(tar.TypeLink, "x", "out/passwd")},
		"whiteout outside":        {file("../.wh.keep", "")},
		"whiteout through a link": {link(tar.TypeSymlink, "out", outside), file("out/.wh.keep", "")},
		"opaque through a link":   {link(tar.TypeSymlink, "out", outside), file("out/.wh..wh..opq", "")},
		"whiteout of the parent":  {dir("d"), file("d/.wh...", "")},
		"block device":            {device(tar.TypeBlock)},
		"character device":        {device(tar.TypeChar)},
		"named pipe":              {device(tar.TypeFifo)},
		"owner out of range":      {owned},
	}
	for name, entries := range tests {
		if err := os.WriteFile(filepath.Join(outside, "keep"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := store(t)
		if _, err := s.Import(t.Context(), from(imageOf(t, v1.Config{}, tarOf(t, entries...)))); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := files(t, outside); !slices.Equal(got, []string{"keep"}) {
			t.Errorf("%s: outside there is %q", name, got)
		}
		if got := files(t, filepath.Dir(s.dir)); !slices.Equal(got, []string{"images", "images/.lock"}) {
			t.Errorf("%s: it left %q", name, got)
		}
	}
}

func TestAttackBounds(t *testing.T) {
	big := tarOf(t, file("a", strings.Repeat("x", 600)), file("b", strings.Repeat("x", 600)))
	many := tarOf(t, file("a", ""), file("b", ""), file("c", ""))
	long := tarOf(t, file(strings.Repeat("d/", 40)+"x", ""))
	for name, data := range map[string][]byte{"bytes": big, "entries": many, "path": long} {
		s := store(t)
		s.limits = Limits{Bytes: 1000, Entries: 2, Path: 50}
		if _, err := s.Import(t.Context(), from(imageOf(t, v1.Config{}, data))); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// T07: what a digest names cannot be replaced by something else.
func TestAttackSwap(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "oci")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	good := imageOf(t, v1.Config{}, tarOf(t, file("train.py", "honest")))
	if err := path.AppendImage(good); err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
	if err != nil || len(blobs) != 3 {
		t.Fatalf("%q, %v", blobs, err)
	}
	bad := imageOf(t, v1.Config{User: "0"}, tarOf(t, file("train.py", "evil!!")))
	badLayers, err := bad.Layers()
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := badLayers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	evilLayer, err := io.ReadAll(compressed)
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		honest, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		evil := evilLayer
		if honest[0] == '{' {
			evil = bytes.Replace(honest, []byte("linux"), []byte("linuy"), 1)
			evil = append(bytes.TrimSpace(evil), ' ')
		}
		if err := os.WriteFile(blob, evil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store(t).Import(t.Context(), Layout(dir)); err == nil {
			t.Errorf("%s was replaced unnoticed", filepath.Base(blob))
		}
		if err := os.WriteFile(blob, honest, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store(t).Import(t.Context(), Layout(dir)); err != nil {
		t.Errorf("the honest image: %v", err)
	}
}

func TestUser(t *testing.T) {
	root := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(root, "etc"), 0o755),
		os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/:\nalice:x:1000:1001::/:\ntoor:x:0:0::/:\nodd:x:nan:1::/:\nbig:x:99999999999:1::/:\n"), 0o644),
		os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\nstaff:x:50:\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		user     string
		uid, gid uint32
	}{
		{"", Nonroot, Nonroot}, {"root", Nonroot, Nonroot}, {"0", Nonroot, Nonroot}, {"0:0", Nonroot, Nonroot},
		{"root:staff", Nonroot, 50}, {"toor", Nonroot, Nonroot}, {"alice", 1000, 1001}, {"1000", 1000, 1001},
		{"alice:staff", 1000, 50}, {"alice:root", 1000, Nonroot}, {"1234", 1234, Nonroot}, {"1234:5", 1234, 5}, {"00", Nonroot, Nonroot},
	}
	for _, tt := range tests {
		got, err := Image{Rootfs: root, Config: Config{User: tt.user}}.User()
		if err != nil || got != (spec.User{UID: tt.uid, GID: tt.gid}) {
			t.Errorf("%q: got %+v, %v", tt.user, got, err)
		}
	}
	for _, user := range []string{"mallory", "alice:nobody", "odd", "big", "-1", "4294967296", "a b"} {
		if got, err := (Image{Rootfs: root, Config: Config{User: user}}).User(); err == nil {
			t.Errorf("%q became %+v", user, got)
		}
	}
	if err := os.Remove(filepath.Join(root, "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(root, "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	if got, err := (Image{Rootfs: root, Config: Config{User: "daemon"}}).User(); err == nil {
		t.Errorf("the host's accounts were read: %+v", got)
	}
}

func TestTrim(t *testing.T) {
	in := tarOf(t, dir("./"), dir("./usr"), dir("./usr/share/doc"), file("./usr/share/doc/x", "prose"), file("./usr/bin/python3", "py"),
		file("./usr/bin/x86_64-linux-gnu-gcc-12", "cc"), link(tar.TypeLink, "./usr/bin/gcc-alias", "./usr/bin/x86_64-linux-gnu-gcc-12"),
		file("./etc/passwd", "root:x:0:0::/:\n"), file("./usr/lib/python3/dist-packages/a/tests/t.py", ""), file("./usr/lib/python3/dist-packages/a/b.py", "b"),
		entry{tar.Header{Name: "./dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, ""})
	var out bytes.Buffer
	if err := trim(&out, bytes.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	got, err := store(t).Import(t.Context(), from(imageOf(t, v1.Config{User: "nonroot"}, out.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"etc", "etc/passwd", "usr", "usr/bin", "usr/bin/python3", "usr/lib", "usr/lib/python3", "usr/lib/python3/dist-packages",
		"usr/lib/python3/dist-packages/a", "usr/lib/python3/dist-packages/a/b.py", "usr/share", "usr/share/doc"}
	if have := files(t, got.Rootfs); !slices.Equal(have, want) {
		t.Errorf("got %q", have)
	}
	if u, err := got.User(); err != nil || u.UID != Nonroot {
		t.Errorf("it runs as %+v, %v", u, err)
	}
}

func TestBuildKeepsWhatIsThere(t *testing.T) {
	layer := filepath.Join(t.TempDir(), "layer")
	var compressed bytes.Buffer
	z, err := zstd.NewWriter(&compressed)
	if err != nil {
		t.Fatal(err)
	}
	if err := trim(z, bytes.NewReader(tarOf(t, file("./etc/passwd", "root:x:0:0::/:\n")))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), os.WriteFile(layer, compressed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	want, err := writeLayout(dir, layer, "alpha beta")
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if got, err := Build(t.Context(), dir, &said, "beta", "alpha"); err != nil || got != want || !strings.Contains(said.String(), want) {
		t.Errorf("got %q, %v, and it said %q", got, err, said.String())
	}
	got, err := store(t).Import(t.Context(), Layout(dir))
	if err != nil || got.Digest != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	if u, err := got.User(); err != nil || u != (spec.User{UID: Nonroot, GID: Nonroot}) {
		t.Errorf("it runs as %+v, %v", u, err)
	}
}

func TestBuildRefusesOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	for _, p := range []string{"--setup-hook=x", "a,b", "a b", "", "A", "../x", "a;b"} {
		if _, err := Build(t.Context(), dir, nil, p); err == nil || !strings.Contains(err.Error(), "package name") {
			t.Errorf("%q: got %v", p, err)
		}
	}
}

func BenchmarkImport(b *testing.B) {
	b.ReportAllocs()
	var entries []entry
	for i := range 1000 {
		entries = append(entries, file("d/"+strconv.Itoa(i), strings.Repeat("x", 4096)))
	}
	img := imageOf(b, v1.Config{}, tarOf(b, entries...))
	s := store(b)
	for b.Loop() {
		got, err := s.Import(b.Context(), from(img))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Remove(got.Digest); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, dir("a"), file("a/b", "c"), link(tar.TypeSymlink, "l", "a"), file("l/d", "e")))
	f.Add(tarOf(f, link(tar.TypeSymlink, "l", "/"), file("l/tmp/x", "e"), file("../x", "")))
	f.Add(tarOf(f, file("d/.wh..wh..opq", ""), link(tar.TypeLink, "h", "d")))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		if err := os.Mkdir(filepath.Join(outer, "root"), 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(filepath.Join(outer, "root"))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		sum, _, err := v1.SHA256(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		u := unpacker{root: root, left: Limits{Bytes: 1 << 20, Entries: 100, Path: 200}}
		err = u.apply(t.Context(), bytes.NewReader(data), sum)
		if err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("got %v", err)
		}
		entries, err := os.ReadDir(outer)
		if err != nil || len(entries) != 1 {
			t.Errorf("outside there is %v, %v", entries, err)
		}
		err = filepath.WalkDir(outer, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Type()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSetuid) != 0 {
				t.Errorf("%s is a %v", p, d.Type())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A name leads to an image of this host or nowhere; it is never a path.
func TestNames(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "hello"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := s.Import(context.Background(), Directory(root))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Tag("sample:1", img.Digest); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"sample:1", img.Digest, "sample:1@" + img.Digest} {
		if got, err := s.Resolve(ref); err != nil || got.Digest != img.Digest {
			t.Errorf("%s: %v, %v", ref, got.Digest, err)
		}
	}
	missing := "sha256:" + strings.Repeat("0", 64)
	for _, ref := range []string{"", "other", "sample", "../sample:1", "/etc/passwd", "names/sample:1", "sample:1@" + missing, "sample:1\x00", missing, "SHA256:" + img.Digest[7:]} {
		if _, err := s.Resolve(ref); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v, want not found", ref, err)
		}
	}
	if err := s.Tag("sample:2", missing); !errors.Is(err, ErrNotFound) {
		t.Errorf("a name for nothing: %v", err)
	}
	if err := s.Tag("../x", img.Digest); err == nil {
		t.Error("a path became a name")
	}
	if names, err := s.Names(); err != nil || len(names) != 1 || names[0] != [2]string{"sample:1", img.Digest} {
		t.Errorf("%v, %v", names, err)
	}
}
