package s3

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

func (b *bench) versioning(t testing.TB, bucket string, status s3.BucketVersioningStatus) {
	t.Helper()
	apitest.Must[s3.PutBucketVersioningOutput](t, b.admin, "s3:PutBucketVersioning", &s3.PutBucketVersioningInput{
		Bucket: bucket, VersioningConfiguration: &s3.VersioningConfiguration{Status: status}})
}

func (b *bench) delete(t testing.TB, bucket, key, version string) *s3.DeleteObjectOutput {
	t.Helper()
	return apitest.Must[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: version})
}

// A plain bucket is what a bucket with versions must be, the slow way: of each key its
// versions, the oldest first.
type plainBucket struct {
	status s3.BucketVersioningStatus
	keys   map[string][]plainVersion
}

type plainVersion struct {
	id, body string
	marker   bool
}

func (p *plainBucket) remove(key, id string) {
	p.keys[key] = slices.DeleteFunc(p.keys[key], func(v plainVersion) bool { return v.id == id })
}

func (p *plainBucket) add(key string, v plainVersion) {
	if p.status != s3.BucketVersioningStatusEnabled {
		p.remove(key, "null")
		v.id = "null"
	}
	if v.marker && p.status == "" {
		return
	}
	p.keys[key] = append(p.keys[key], v)
}

// TestVersionsAreWhatTheyWere does whatever may be done to a few keys, in any order,
// and compares all answers with the plain bucket's.
func TestVersionsAreWhatTheyWere(t *testing.T) { onBoth(t, versionsAreWhatTheyWere) }

func versionsAreWhatTheyWere(t *testing.T, b *bench) {
	b.bucket(t, "data")
	r := rand.New(rand.NewPCG(3, 4))
	p := &plainBucket{keys: map[string][]plainVersion{}}
	names := []string{"a", "b/1", "b/2", "c"}
	for step := range 300 {
		key := names[r.IntN(len(names))]
		switch n := r.IntN(20); {
		case n == 0 && step > 30:
			p.status = s3.BucketVersioningStatusEnabled
			b.versioning(t, "data", p.status)
		case n == 1 && step > 30:
			p.status = s3.BucketVersioningStatusSuspended
			b.versioning(t, "data", p.status)
		case n < 10:
			body := fmt.Sprint("content ", step)
			out := b.put(t, "data", key, body)
			if want := map[s3.BucketVersioningStatus]string{"": "", s3.BucketVersioningStatusSuspended: "null", s3.BucketVersioningStatusEnabled: out.VersionId}[p.status]; out.VersionId != want {
				t.Fatalf("a version is %q, not %q", out.VersionId, want)
			}
			p.add(key, plainVersion{id: out.VersionId, body: body})
		case n < 14:
			out := b.delete(t, "data", key, "")
			if (out.DeleteMarker != nil) != (p.status != "") || (out.VersionId == "") != (p.status == "") {
				t.Fatalf("deleted with status %q: %+v", p.status, out)
			}
			p.add(key, plainVersion{id: out.VersionId, marker: true})
		default:
			id := versionID(int64(step)) // there is no such version
			if have := p.keys[key]; len(have) > 0 && r.IntN(8) > 0 {
				id = have[r.IntN(len(have))].id
			}
			was := slices.IndexFunc(p.keys[key], func(v plainVersion) bool { return v.id == id && v.marker })
			if out := b.delete(t, "data", key, id); (out.DeleteMarker != nil) != (was >= 0) || out.VersionId != id {
				t.Fatalf("%+v", out)
			}
			p.remove(key, id)
		}
		if step%10 == 0 {
			p.compare(t, b, r, names)
		}
	}
}

func (p *plainBucket) compare(t *testing.T, b *bench, r *rand.Rand, names []string) {
	t.Helper()
	var all, keys []string
	contents := 0
	for _, key := range names {
		have := p.keys[key]
		for i, v := range slices.Backward(have) {
			all = append(all, fmt.Sprintf("%s %s %t %t", key, v.id, v.marker, i == len(have)-1))
			body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: key, VersionId: v.id})
			if v.marker != (err != nil) || body != v.body {
				t.Fatalf("%s %s: %q, %v; not %+v", key, v.id, body, err, v)
			}
			if !v.marker {
				contents++
			}
		}
		body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: key})
		if n := len(have); n == 0 || have[n-1].marker {
			if err == nil {
				t.Fatalf("%s is deleted, and reads %q", key, body)
			}
			continue
		} else if err != nil || body != have[n-1].body {
			t.Fatalf("%s: %q, %v; not %+v", key, body, err, have[n-1])
		}
		keys = append(keys, key)
	}
	if n := b.stored(t); n != contents {
		t.Fatalf("%d blobs of %d versions", n, contents)
	}
	limit := int32(1 + r.IntN(7))
	if got := b.versionPages(t, s3.ListObjectVersionsInput{Bucket: "data", MaxKeys: &limit}); !slices.Equal(got, all) {
		t.Fatalf("by %d:\n%s\nnot\n%s", limit, strings.Join(got, "\n"), strings.Join(all, "\n"))
	}
	if got, _ := b.pages(t, s3.ListObjectsV2Input{Bucket: "data", MaxKeys: &limit}); !slices.Equal(got, keys) {
		t.Fatalf("%q, not %q", got, keys)
	}
}

// versionPages lists all versions, page by page, as "key id marker latest", and common
// prefixes.
func (b *bench) versionPages(t testing.TB, in s3.ListObjectVersionsInput) (all []string) {
	t.Helper()
	for range 10000 {
		out := apitest.Must[s3.ListObjectVersionsOutput](t, b.admin, "s3:ListObjectVersions", &in)
		var page []string
		versions, markers := out.Versions, out.DeleteMarkers
		for len(versions)+len(markers) > 0 {
			if len(markers) == 0 || len(versions) > 0 && b.older(t, versions[0].Key, markers[0].Key, versions[0].VersionId, markers[0].VersionId) {
				page = append(page, fmt.Sprintf("%s %s false %t", versions[0].Key, versions[0].VersionId, *versions[0].IsLatest))
				versions = versions[1:]
			} else {
				page = append(page, fmt.Sprintf("%s %s true %t", markers[0].Key, markers[0].VersionId, *markers[0].IsLatest))
				markers = markers[1:]
			}
		}
		for _, p := range out.CommonPrefixes {
			page = append(page, p.Prefix)
		}
		all = append(all, page...)
		if !*out.IsTruncated {
			return all
		}
		if len(page) != int(*out.MaxKeys) {
			t.Fatalf("a page that is not the last holds %d of %d", len(page), *out.MaxKeys)
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
	t.Fatal("the listing does not end")
	return nil
}

// older says whether a version comes before a marker in a listing, which tells them
// apart in two lists.
func (b *bench) older(t testing.TB, key, other, id, otherID string) bool {
	t.Helper()
	if key != other {
		return key < other
	}
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	v, err1 := versionRow(sn, "data", key, id)
	w, err2 := versionRow(sn, "data", key, otherID)
	if err1 != nil || err2 != nil || v == nil || w == nil {
		t.Fatal(err1, err2)
	}
	return v.seq > w.seq
}

func TestWhatIsDeletedSaysSo(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "before")
	b.versioning(t, "data", "Enabled")
	second := b.put(t, "data", "k", "second").VersionId
	marker := b.delete(t, "data", "k", "").VersionId
	e := refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "NoSuchKey")
	if e.Status != 404 || e.Header["x-amz-delete-marker"] != "true" || e.Header["x-amz-version-id"] != marker {
		t.Errorf("%d %v", e.Status, e.Header)
	}
	e = refused[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k", VersionId: marker}, "MethodNotAllowed")
	if e.Status != 405 || e.Header["x-amz-delete-marker"] != "true" || e.Header["Allow"] != "DELETE" {
		t.Errorf("%d %v", e.Status, e.Header)
	}
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: versionID(1)}, "NoSuchVersion")
	for _, id := range []string{"x", strings.Repeat("a", 33), "../../../../../../../../../../aa", "NULL"} {
		refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: id}, "InvalidArgument")
		refused[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: id}, "InvalidArgument")
	}
	for id, want := range map[string]string{"null": "before", second: "second"} {
		out := apitest.Must[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: id})
		out.Body.Close()
		if body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: id}); err != nil || body != want || out.VersionId != id {
			t.Errorf("%s: %q, %v, %s", id, body, err, out.VersionId)
		}
	}
	refused[s3.DeleteBucketOutput](t, b.admin, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "data"}, "BucketNotEmpty")
	b.delete(t, "data", "k", marker)
	if got := b.get(t, "data", "k"); got != "second" {
		t.Errorf("without its marker it reads %q", got)
	}
	etag := apitest.Must[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k"}).ETag
	refused[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: "null", IfMatch: etag}, "PreconditionFailed")
	b.delete(t, "data", "k", "null")
	b.delete(t, "data", "k", second)
	apitest.Must[s3.DeleteBucketOutput](t, b.admin, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "data"})
	if n := b.stored(t); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

// TestVersionsAreDecidedByThemselves has policies about versions: who may read or
// delete what a key stands for may not do so with each version.
func TestVersionsAreDecidedByThemselves(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.versioning(t, "data", "Enabled")
	first := b.put(t, "data", "k", "first").VersionId
	second := b.put(t, "data", "k", "second").VersionId
	allow := func(actions, condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"` + condition + `}]}`
	}
	plain := b.User(t, apitest.Account, "plain", allow(`"s3:GetObject","s3:DeleteObject","s3:ListBucket"`, ""))
	refused[s3.GetObjectOutput](t, plain, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: first}, "AccessDenied")
	refused[s3.GetObjectOutput](t, plain, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: second}, "AccessDenied")
	refused[s3.GetObjectOutput](t, plain, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: versionID(1)}, "AccessDenied")
	refused[s3.DeleteObjectOutput](t, plain, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: first}, "AccessDenied")
	refused[s3.ListObjectVersionsOutput](t, plain, "s3:ListObjectVersions", &s3.ListObjectVersionsInput{Bucket: "data"}, "AccessDenied")
	refused[s3.PutBucketVersioningOutput](t, plain, "s3:PutBucketVersioning", &s3.PutBucketVersioningInput{
		Bucket: "data", VersioningConfiguration: &s3.VersioningConfiguration{Status: "Suspended"}}, "AccessDenied")

	one := b.User(t, apitest.Account, "one", allow(`"s3:GetObjectVersion","s3:DeleteObjectVersion"`, `,"Condition":{"StringEquals":{"s3:VersionId":"`+first+`"}}`))
	if body, err := read(t, one, &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: first}); err != nil || body != "first" {
		t.Errorf("%q, %v", body, err)
	}
	refused[s3.GetObjectOutput](t, one, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: second}, "AccessDenied")
	refused[s3.GetObjectOutput](t, one, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k"}, "AccessDenied")
	refused[s3.DeleteObjectOutput](t, one, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: second}, "AccessDenied")
	refused[s3.DeleteObjectOutput](t, one, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k"}, "AccessDenied")
	apitest.Must[s3.DeleteObjectOutput](t, one, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: first})
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: first}, "NoSuchVersion")
}
