package s3

import (
	"fmt"
	"sync"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/shape/s3"
)

// TestVersionsPutAtOnceAreAllKept has many write, delete and hold one key at the same
// time: each that was told of a version finds it.
func TestVersionsPutAtOnceAreAllKept(t *testing.T) { onBoth(t, versionsPutAtOnceAreAllKept) }

func versionsPutAtOnceAreAllKept(t *testing.T, b *bench) {
	b.lockable(t, "data")
	const writers, each = 6, 5
	var group sync.WaitGroup
	var mu sync.Mutex
	kept := map[string]string{}
	for w := range writers {
		group.Go(func() {
			for i := range each {
				body := fmt.Sprint(w, " ", i)
				out, err := apitest.Call[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put("data", "k", body))
				if err != nil {
					if err.Code != "ServiceUnavailable" { // it was told to try again
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				kept[out.VersionId] = body
				mu.Unlock()
				_, err = apitest.Call[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k"})
				if err != nil && err.Code != "ServiceUnavailable" {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if len(kept) == 0 {
		t.Fatal("nothing was written")
	}
	for id, body := range kept {
		if got, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: id}); err != nil || got != body {
			t.Errorf("%s: %q, %v", id, got, err)
		}
	}
	latest := 0
	out := apitest.Must[s3.ListObjectVersionsOutput](t, b.admin, "s3:ListObjectVersions", &s3.ListObjectVersionsInput{Bucket: "data"})
	for _, v := range out.Versions {
		if *v.IsLatest {
			latest++
		}
	}
	for _, m := range out.DeleteMarkers {
		if *m.IsLatest {
			latest++
		}
	}
	if len(out.Versions) != len(kept) || latest != 1 {
		t.Errorf("%d versions are listed of %d, %d of them the latest", len(out.Versions), len(kept), latest)
	}
}

// TestAHoldAndADeletionAtOnce has a hold race a deletion: either it holds what is
// there, or it was too late and says so.
func TestAHoldAndADeletionAtOnce(t *testing.T) { onBoth(t, aHoldAndADeletionAtOnce) }

func aHoldAndADeletionAtOnce(t *testing.T, b *bench) {
	b.lockable(t, "data")
	for range 10 {
		id := b.put(t, "data", "k", "x").VersionId
		var held, deleted *api.Error
		var group sync.WaitGroup
		group.Go(func() {
			_, held = apitest.Call[s3.PutObjectLegalHoldOutput](t, b.admin, "s3:PutObjectLegalHold", &s3.PutObjectLegalHoldInput{
				Bucket: "data", Key: "k", VersionId: id, LegalHold: &s3.ObjectLockLegalHold{Status: "ON"}})
		})
		group.Go(func() {
			_, deleted = apitest.Call[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: id})
		})
		group.Wait()
		_, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: id})
		if held == nil && (deleted == nil || err != nil) || deleted == nil && err == nil {
			t.Errorf("held: %v, deleted: %v, read: %v", held, deleted, err)
		}
	}
}

// TestFsckKnowsVersions compares what fsck takes for referred to with what there is:
// none is missing, so that none is collected.
func TestFsckKnowsVersions(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.versioning(t, "data", "Enabled")
	for range 3 {
		b.put(t, "data", "k", "x")
	}
	b.delete(t, "data", "k", "")
	upload := apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{Bucket: "data", Key: "k"})
	part := &s3.UploadPartInput{Bucket: "data", Key: "k", UploadId: upload.UploadId, PartNumber: 1, Body: put("", "", "part").Body}
	apitest.Must[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", part)
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	named := map[blob.Ref]bool{}
	for h, err := range b.service.References(t.Context(), sn) {
		if err != nil {
			t.Fatal(err)
		}
		named[h.Ref] = true
	}
	for stored, err := range b.blobs.Refs(t.Context()) {
		if err != nil || !named[stored.Ref] {
			t.Errorf("%s, %v: nothing refers to it", stored.Ref, err)
		}
	}
	if len(named) != 4 {
		t.Errorf("%d are referred to", len(named))
	}
}
