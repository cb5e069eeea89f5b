package s3

import (
	"context"
	"crypto/rand"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/catalogue"
	kmsservice "bawn.dev/internal/kms"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A bench is a door with object store and key service behind it.
type bench struct {
	*apitest.Rig
	service *Service
	blobs   *blob.Dir
	path    string // of blobs
	admin   *apitest.Caller
}

func newBench(t testing.TB) *bench {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newBenchOver(t, st, dir)
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(*testing.T, *bench)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		test(t, newBenchOver(t, open(t), t.TempDir()))
	})
}

func newBenchOver(t testing.TB, st *store.Store, dir string) *bench {
	t.Helper()
	b := &bench{path: filepath.Join(dir, "blobs")}
	var err error
	if b.blobs, err = blob.OpenDir(b.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.blobs.Close() })
	root := make([]byte, 32)
	rand.Read(root)
	keys, err := kmsservice.New(kmsservice.Config{Region: apitest.Region, Key: root, Catalogue: catalogue.New(),
		Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
			return b.Door.Happened(ctx, e, change)
		}})
	if err != nil {
		t.Fatal(err)
	}
	b.service, err = New(Config{Region: apitest.Region, Blobs: b.blobs, Catalogue: catalogue.New()})
	if err != nil {
		t.Fatal(err)
	}
	b.Rig = apitest.Over(t, st, dir, apitest.Options{Contribute: func(src *authz.Sources) { src.Catalogue = catalogue.New() }, Migrations: [][]store.Migration{kmsservice.Migrations(), Migrations()}}, keys.API(), b.service.API())
	b.admin = b.User(t, apitest.Account, "admin", apitest.Admin)
	return b
}

// refused demands that a call fails with a code.
func refused[Out any](t testing.TB, c *apitest.Caller, action string, in any, code string) *api.Error {
	t.Helper()
	_, err := apitest.Call[Out](t, c, action, in)
	if err == nil {
		t.Fatalf("%s was not refused", action)
	}
	if err.Code != code {
		t.Fatalf("%s: %v, not %s", action, err, code)
	}
	return err
}

func (b *bench) bucket(t testing.TB, name string) {
	t.Helper()
	apitest.Must[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: name})
}

func (b *bench) key(t testing.TB, policy string) *kms.KeyMetadata {
	t.Helper()
	return apitest.Must[kms.CreateKeyOutput](t, b.admin, "kms:CreateKey", &kms.CreateKeyInput{Policy: policy}).KeyMetadata
}

func put(bucket, key, body string) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(body)}
}

func (b *bench) put(t testing.TB, bucket, key, body string) *s3.PutObjectOutput {
	t.Helper()
	return apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put(bucket, key, body))
}

// read reads an object to its end.
func read(t testing.TB, c *apitest.Caller, in *s3.GetObjectInput) (string, error) {
	t.Helper()
	out, refusal := apitest.Call[s3.GetObjectOutput](t, c, "s3:GetObject", in)
	if refusal != nil {
		return "", refusal
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	return string(body), err
}

func (b *bench) get(t testing.TB, bucket, key string) string {
	t.Helper()
	body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// stored is how many blobs there are.
func (b *bench) stored(t testing.TB) (n int) {
	t.Helper()
	for _, err := range b.blobs.Refs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// sql changes the store behind the service's back.
func (b *bench) sql(t testing.TB, statement string, args ...any) {
	t.Helper()
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
