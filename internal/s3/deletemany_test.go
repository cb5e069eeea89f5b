package s3

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/trail"
)

func many(bucket string, objects ...s3.ObjectIdentifier) *s3.DeleteObjectsInput {
	return &s3.DeleteObjectsInput{Bucket: bucket, Delete: &s3.Delete{Objects: objects}}
}

// fates are "key version code" of an answer, in order.
func fatesOf(out *s3.DeleteObjectsOutput) (all []string) {
	for _, d := range out.Deleted {
		all = append(all, fmt.Sprintf("%s %s gone", d.Key, d.VersionId))
	}
	for _, e := range out.Errors {
		all = append(all, fmt.Sprintf("%s %s %s", e.Key, e.VersionId, e.Code))
	}
	slices.Sort(all)
	return all
}

func TestManyAreDecidedOneByOne(t *testing.T) { onBoth(t, manyAreDecidedOneByOne) }

func manyAreDecidedOneByOne(t *testing.T, b *bench) {
	b.bucket(t, "data")
	for _, key := range []string{"mine/1", "mine/2", "theirs/1", "plain"} {
		b.put(t, "data", key, key)
	}
	mine := b.User(t, apitest.Account, "mine", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::data/mine/*"}]}`)
	out := apitest.Must[s3.DeleteObjectsOutput](t, mine, "s3:DeleteObjects", many("data",
		s3.ObjectIdentifier{Key: "mine/1"}, s3.ObjectIdentifier{Key: "theirs/1"}, s3.ObjectIdentifier{Key: "mine/none"}, s3.ObjectIdentifier{Key: "mine/../plain"},
		s3.ObjectIdentifier{Key: "mine/2", ETag: "0"}, s3.ObjectIdentifier{Key: "mine/2", VersionId: "null"}, s3.ObjectIdentifier{Key: "mine/2", VersionId: "x"},
		s3.ObjectIdentifier{Key: strings.Repeat("k", 1025)}))
	want := []string{"mine/../plain  gone", "mine/1  gone", "mine/2  PreconditionFailed", "mine/2 null AccessDenied", "mine/2 x InvalidArgument", "mine/none  gone",
		"theirs/1  AccessDenied", strings.Repeat("k", 1025) + "  KeyTooLongError"}
	slices.Sort(want)
	if got := fatesOf(out); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if keys, _ := b.pages(t, s3.ListObjectsV2Input{Bucket: "data"}); !slices.Equal(keys, []string{"mine/2", "plain", "theirs/1"}) {
		t.Errorf("there are %q", keys)
	}

	// Who may delete nothing is refused for each; who may not even that hears nothing of a bucket that is not there.
	nobody := b.User(t, apitest.Account, "nobody")
	out = apitest.Must[s3.DeleteObjectsOutput](t, nobody, "s3:DeleteObjects", many("data", s3.ObjectIdentifier{Key: "plain"}, s3.ObjectIdentifier{Key: "none"}))
	if got := fatesOf(out); !slices.Equal(got, []string{"none  AccessDenied", "plain  AccessDenied"}) {
		t.Errorf("%q", got)
	}
	refused[s3.DeleteObjectsOutput](t, nobody, "s3:DeleteObjects", many("none", s3.ObjectIdentifier{Key: "plain"}), "AccessDenied")
	refused[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("none", s3.ObjectIdentifier{Key: "plain"}), "NoSuchBucket")
	wrong := many("data", s3.ObjectIdentifier{Key: "plain"})
	wrong.ExpectedBucketOwner = apitest.Other
	refused[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", wrong, "AccessDenied")
	stranger := b.User(t, apitest.Other, "stranger", apitest.Admin)
	out = apitest.Must[s3.DeleteObjectsOutput](t, stranger, "s3:DeleteObjects", many("data", s3.ObjectIdentifier{Key: "plain"}))
	if got := fatesOf(out); !slices.Equal(got, []string{"plain  AccessDenied"}) {
		t.Errorf("%q", got)
	}

	// A bucket policy refuses one key.
	apitest.Must[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data",
		Policy: document(`{"Effect":"Deny","Principal":"*","Action":"s3:DeleteObject*","Resource":"arn:aws:s3:::data/plain"}`)})
	out = apitest.Must[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("data",
		s3.ObjectIdentifier{Key: "plain"}, s3.ObjectIdentifier{Key: "plain", VersionId: "null"}, s3.ObjectIdentifier{Key: "mine/2"}))
	if got := fatesOf(out); !slices.Equal(got, []string{"mine/2  gone", "plain  AccessDenied", "plain null AccessDenied"}) {
		t.Errorf("%q", got)
	}
	if got := b.get(t, "data", "plain"); got != "plain" {
		t.Errorf("reads %q", got)
	}
}

func TestManyAreBounded(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	refused[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("data"), "MalformedXML")
	refused[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("data", s3.ObjectIdentifier{Key: ""}), "InvalidArgument")
	objects := make([]s3.ObjectIdentifier, 1001)
	var keys []string
	for i := range objects {
		objects[i].Key = fmt.Sprintf("k%04d", i)
		keys = append(keys, objects[i].Key)
	}
	b.fill(t, "data", keys)
	refused[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("data", objects...), "MalformedXML")
	in, quiet := many("data", objects[:1000]...), true
	in.Delete.Quiet = &quiet
	out := apitest.Must[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", in)
	if len(out.Deleted)+len(out.Errors) != 0 {
		t.Errorf("%d, %d", len(out.Deleted), len(out.Errors))
	}
	if left, _ := b.pages(t, s3.ListObjectsV2Input{Bucket: "data"}); !slices.Equal(left, keys[1000:]) {
		t.Errorf("%q are left", left)
	}
	// The record names each object, also though the answer was quiet.
	records, named := b.Records(t, apitest.Account, "DeleteObjects"), map[string]int{}
	for _, r := range records {
		if r.ErrorCode == "" && r.RequestID == records[0].RequestID {
			for _, resource := range r.Resources {
				named[resource.ARN]++
			}
		}
	}
	for _, key := range keys[:1000] {
		if named[objectARN("data", key)] != 1 {
			t.Fatalf("the record names %s %d times", key, named[objectARN("data", key)])
		}
	}
}

// TestTheLongestDeletion has the most and longest keys that a call can name: what is
// done is done and recorded, to the last.
func TestTheLongestDeletion(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	objects := make([]s3.ObjectIdentifier, 1000)
	for i := range objects {
		objects[i].Key = fmt.Sprintf("%s%04d", strings.Repeat(`"`, 1020), i)
	}
	deleter := b.User(t, apitest.Account, "deleter", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::data/*0"}]}`)
	out := apitest.Must[s3.DeleteObjectsOutput](t, deleter, "s3:DeleteObjects", many("data", objects...))
	if len(out.Deleted) != 100 || len(out.Errors) != 900 {
		t.Errorf("%d, %d", len(out.Deleted), len(out.Errors))
	}
	refused[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("none", objects...), "NoSuchBucket")
	named := map[string]bool{}
	for q := (trail.Query{Account: apitest.Account, EventName: "DeleteObjects"}); ; {
		page, err := b.Trail.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			for _, r := range e.Record.Resources {
				named[r.ARN] = named[r.ARN] || e.Record.ErrorCode == "" && strings.Contains(string(e.Record.AdditionalEventData), r.ARN[len(r.ARN)-4:])
			}
		}
		if q.Token = page.NextToken; q.Token == "" {
			break
		}
	}
	maps.DeleteFunc(named, func(_ string, done bool) bool { return !done })
	if len(named) != 1000 {
		t.Errorf("%d objects are named", len(named))
	}
}

// TestManyVersions deletes versions and markers, as those do who empty a bucket.
func TestManyVersions(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.versioning(t, "data", "Enabled")
	first, second := b.put(t, "data", "k", "first").VersionId, b.put(t, "data", "k", "second").VersionId
	out := apitest.Must[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("data", s3.ObjectIdentifier{Key: "k"}))
	marker := out.Deleted[0].DeleteMarkerVersionId
	if marker == "" || out.Deleted[0].DeleteMarker == nil || out.Deleted[0].VersionId != "" {
		t.Errorf("%+v", out)
	}
	out = apitest.Must[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("data", s3.ObjectIdentifier{Key: "k", VersionId: marker}, s3.ObjectIdentifier{Key: "k", VersionId: second}))
	if d := out.Deleted[0]; d.DeleteMarkerVersionId != marker || d.VersionId != marker || out.Deleted[1].DeleteMarker != nil {
		t.Errorf("%+v", out)
	}
	if got := b.get(t, "data", "k"); got != "first" {
		t.Errorf("reads %q", got)
	}
	apitest.Must[s3.DeleteObjectsOutput](t, b.admin, "s3:DeleteObjects", many("data", s3.ObjectIdentifier{Key: "k", VersionId: first}))
	if n := b.stored(t); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}
