package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/blob"
	"bawn.dev/internal/config"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

const marker = "PLAINTEXT-MARKER"

// marked is content in which every 16 bytes are the marker.
func marked(size int) []byte { return bytes.Repeat([]byte(marker), size/len(marker)+1)[:size] }

// elsewhere is an object store that keeps blobs, and how to look into it.
type elsewhere struct {
	url  string
	peer *client
}

// startElsewhere is a second Bawn, or versitygw if VERSITYGW names its binary. The
// credentials for it are in the environment from now on.
func startElsewhere(t *testing.T, kind string) *elsewhere {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	var c *client
	if kind == "bawn" {
		s := servertest.Start(t)
		c = newClient(t, s.Config.Data, s.URL)
		t.Setenv("AWS_CA_BUNDLE", s.Config.Path("ca.pem"))
	} else {
		c = startVersity(t)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", c.who.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", c.who.Secret)
	ok(t)(c.object(t.Context(), http.MethodPut, "/sealed", nil))
	return &elsewhere{"s3://sealed/of/bawn?endpoint=" + c.url, c}
}

func (e *elsewhere) blobs(t *testing.T) []string {
	t.Helper()
	return names(t, ok(t)(e.peer.object(t.Context(), http.MethodGet, "/sealed?list-type=2&prefix=of%2Fbawn%2Fblobs%2F", nil)).body, "Key")
}

func (e *elsewhere) get(t *testing.T, key string) []byte {
	t.Helper()
	return ok(t)(e.peer.object(t.Context(), http.MethodGet, "/sealed/"+key, nil)).body
}

func eachElsewhere(t *testing.T, test func(t *testing.T, e *elsewhere)) {
	for _, kind := range []string{"bawn", "versitygw"} {
		t.Run(kind, func(t *testing.T) {
			if kind == "versitygw" && os.Getenv("VERSITYGW") == "" {
				t.Skip("VERSITYGW does not name its binary")
			}
			test(t, startElsewhere(t, kind))
		})
	}
}

// A bucket elsewhere keeps every byte, and sees none of them, nor a name.
func TestBlobsElsewhere(t *testing.T) {
	eachElsewhere(t, func(t *testing.T, e *elsewhere) {
		s := servertest.Start(t)
		s.Config.Blobs = e.url
		s.Restart(t)
		c := newClient(t, s.Config.Data, s.URL)
		ok(t)(c.object(t.Context(), http.MethodPut, "/data", nil))
		sizes := []int{0, 1, 4096, 600 << 10, 12<<20 + 5}
		path := func(size int) string { return fmt.Sprintf("/data/%s/%d", marker, size) }
		for _, size := range sizes {
			ok(t)(c.object(t.Context(), http.MethodPut, path(size), marked(size)))
		}
		s.Restart(t)
		c = newClient(t, s.Config.Data, s.URL)
		for _, size := range sizes {
			if got := ok(t)(c.object(t.Context(), http.MethodGet, path(size), nil)); !bytes.Equal(got.body, marked(size)) {
				t.Errorf("%d bytes come back as %d", size, len(got.body))
			}
		}
		for _, from := range []int{0, 16, 5<<20 - 3, 7<<20 + 1, 12 << 20} {
			part := ok(t)(c.do(t.Context(), "s3", http.MethodGet, path(sizes[4]), http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+99_999)}}, nil))
			if want := marked(sizes[4])[from:]; !bytes.Equal(part.body, want[:min(len(want), 100_000)]) {
				t.Errorf("from %d on, %d bytes come back", from, len(part.body))
			}
		}

		blobs := e.blobs(t)
		if len(blobs) != len(sizes) {
			t.Errorf("%d blobs of %d objects", len(blobs), len(sizes))
		}
		for _, name := range blobs {
			if strings.Contains(name, marker[:9]) || bytes.Contains(e.get(t, name), []byte(marker[:9])) {
				t.Errorf("%s shows what it holds", name)
			}
		}
		if n := filesIn(t, s.Config.Path("blobs")); n != 0 {
			t.Errorf("%d files with blobs are here too", n)
		}

		// Overwritten and deleted, nothing stays; who reads already reads to the end.
		reading := begin(t, c, path(sizes[4]))
		ok(t)(c.object(t.Context(), http.MethodPut, path(4096), marked(100)))
		ok(t)(c.object(t.Context(), http.MethodDelete, path(sizes[4]), nil))
		if got, err := io.ReadAll(reading); err != nil || !bytes.Equal(got, marked(sizes[4])) {
			t.Errorf("a download in progress: %d bytes, %v", len(got), err)
		}
		reading.Close()
		report, err := s.Check(t.Context(), server.CheckRequest{Operator: "tester"})
		if err != nil || len(report.Problems) != 0 {
			t.Errorf("%+v, %v", report, err)
		}
		if now := e.blobs(t); len(now) > len(sizes) { // the download's may be there a moment longer
			t.Errorf("%d blobs are left", len(now))
		}
	})
}

// Whoever owns the bucket elsewhere can exchange and destroy what is there: nobody
// takes that for what was stored, and fsck tells of what is gone.
func TestBlobsElsewhereAttacked(t *testing.T) {
	eachElsewhere(t, func(t *testing.T, e *elsewhere) {
		s := servertest.Start(t)
		s.Config.Blobs = e.url
		s.Restart(t)
		c := newClient(t, s.Config.Data, s.URL)
		ok(t)(c.object(t.Context(), http.MethodPut, "/data", nil))
		ok(t)(c.object(t.Context(), http.MethodPut, "/data/a", marked(5000)))
		ok(t)(c.object(t.Context(), http.MethodPut, "/data/b", bytes.ToLower(marked(5000))))
		blobs := e.blobs(t)
		a, b := e.get(t, blobs[0]), e.get(t, blobs[1])
		put := func(name string, content []byte) {
			t.Helper()
			ok(t)(e.peer.object(t.Context(), http.MethodPut, "/sealed/"+name, content))
		}
		for what, attack := range map[string][2][]byte{
			"swapped": {b, a}, "flipped": {append(bytes.Clone(a[:100]), append([]byte{a[100] ^ 1}, a[101:]...)...), append([]byte{b[0] ^ 1}, b[1:]...)},
			"cut": {a[:4000], b[:10]}, "longer": {append(bytes.Clone(a), 0), append(bytes.Clone(b), b...)}, "emptied": {nil, nil},
		} {
			put(blobs[0], attack[0])
			put(blobs[1], attack[1])
			for _, path := range []string{"/data/a", "/data/b"} {
				if got, err := c.object(t.Context(), http.MethodGet, path, nil); err == nil && got.status/100 == 2 && what != "longer" {
					t.Errorf("%s, %s is answered with %d bytes", what, path, len(got.body))
				} else if err == nil && got.status/100 == 2 && !bytes.EqualFold(got.body, marked(5000)) { // what was added is not read
					t.Errorf("%s, %s is answered with other bytes", what, path)
				}
			}
		}
		put(blobs[0], a)
		put(blobs[1], b)
		ok(t)(c.object(t.Context(), http.MethodGet, "/data/a", nil))
		ok(t)(e.peer.object(t.Context(), http.MethodDelete, "/sealed/"+blobs[1], nil))
		report, err := s.Check(t.Context(), server.CheckRequest{Operator: "tester"})
		if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0], strings.TrimPrefix(blobs[1], "of/bawn/blobs/")) {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// A prefix belongs to one data directory: another one's fsck would collect what it
// does not know.
func TestBlobsElsewhereAreOnes(t *testing.T) {
	e := startElsewhere(t, "bawn")
	first, second := servertest.Start(t), servertest.Start(t)
	first.Config.Blobs = e.url
	first.Restart(t)
	cfg := second.Config
	second.Stop()
	open := func(url string) error {
		cfg.Blobs = url
		s, err := server.Open(context.Background(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err == nil {
			s.Close()
		}
		return err
	}
	if err := open(e.url); !errors.Is(err, blob.ErrOwned) {
		t.Errorf("the second directory: %v", err)
	}
	if err := open(strings.Replace(e.url, "/of/bawn", "/of/another", 1)); err != nil {
		t.Errorf("below another prefix: %v", err)
	}
	if err := open("s3://sealed?endpoint=http://192.0.2.1"); err == nil {
		t.Error("without TLS")
	}
}

// begin starts a download and reads its first bytes.
func begin(t *testing.T, c *client, path string) io.ReadCloser {
	t.Helper()
	r := c.request(t, http.MethodGet, path, nil)
	resp, err := c.http.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	first := make([]byte, 16)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), resp.Body), resp.Body}
}

func filesIn(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// startVersity runs versitygw over a directory, and answers a client of its root.
func startVersity(t testing.TB) *client {
	t.Helper()
	address, dir := freeAddress(t), t.TempDir()
	p := spawn(t, os.Getenv("VERSITYGW"), "--access", "versity", "--secret", "versity-secret", "--port", address, "--region", config.DefaultRegion,
		"--quiet", "posix", dir)
	c := &client{url: "http://" + address, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	c.who.AccessKeyID, c.who.Secret = "versity", "versity-secret"
	t.Cleanup(c.http.CloseIdleConnections)
	for !answers(address) {
		if p.over() {
			t.Fatalf("versitygw ended: %v\n%s", p.result, p.said)
		}
	}
	return c
}
