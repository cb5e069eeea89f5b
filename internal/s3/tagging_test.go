package s3

import (
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

// Whoever may read what is released loses an object with the tag, at once, and can
// neither give it the tag nor take another's away.
func TestTagsDecide(t *testing.T) { onBoth(t, tagsDecide) }

func tagsDecide(t *testing.T, b *bench) {
	b.bucket(t, "data")
	b.put(t, "data", "k", "content")
	reader := b.User(t, apitest.Account, "reader",
		document(`{"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectAttributes"],"Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/state":"released"}}}`,
			`{"Effect":"Allow","Action":"s3:GetObjectTagging","Resource":"*"}`,
			`{"Effect":"Allow","Action":["s3:PutObjectTagging","s3:DeleteObjectTagging"],"Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/owner":"reader"}}}`,
			`{"Effect":"Deny","Action":"s3:PutObjectTagging","Resource":"*","Condition":{"StringEquals":{"s3:RequestObjectTag/state":"released"}}}`,
			`{"Effect":"Deny","Action":"s3:PutObjectTagging","Resource":"*","Condition":{"ForAnyValue:StringNotEquals":{"s3:RequestObjectTagKeys":["owner","state"]}}}`,
			`{"Effect":"Allow","Action":["kms:Decrypt","s3:ListBucket"],"Resource":"*"}`))
	get := &s3.GetObjectInput{Bucket: "data", Key: "k"}
	no := func() {
		t.Helper()
		refused[s3.GetObjectOutput](t, reader, "s3:GetObject", get, "AccessDenied")
		refused[s3.HeadObjectOutput](t, reader, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k"}, "AccessDenied")
		refused[s3.GetObjectAttributesOutput](t, reader, "s3:GetObjectAttributes",
			&s3.GetObjectAttributesInput{Bucket: "data", Key: "k", ObjectAttributes: []s3.ObjectAttributes{"ObjectSize"}}, "AccessDenied")
	}
	set := func(c *apitest.Caller, pairs ...string) {
		t.Helper()
		apitest.Must[s3.PutObjectTaggingOutput](t, c, "s3:PutObjectTagging", tagging("data", "k", pairs...))
	}
	no()
	refused[s3.PutObjectTaggingOutput](t, reader, "s3:PutObjectTagging", tagging("data", "k", "state", "released"), "AccessDenied")
	set(b.admin, "state", "released")
	if body, err := read(t, reader, get); err != nil || body != "content" {
		t.Errorf("%q, %v", body, err)
	}
	set(b.admin, "STATE", "released") // tags have case, the names of condition keys have none
	if _, err := read(t, reader, get); err != nil {
		t.Error(err)
	}
	set(b.admin, "state", "draft", "owner", "reader")
	no()
	set(reader, "state", "final", "owner", "reader")
	refused[s3.PutObjectTaggingOutput](t, reader, "s3:PutObjectTagging", tagging("data", "k", "state", "released", "owner", "reader"), "AccessDenied")
	refused[s3.PutObjectTaggingOutput](t, reader, "s3:PutObjectTagging", tagging("data", "k", "State", "released", "owner", "reader"), "AccessDenied")
	refused[s3.PutObjectTaggingOutput](t, reader, "s3:PutObjectTagging", tagging("data", "k", "colour", "red", "owner", "reader"), "AccessDenied")
	refused[s3.PutObjectTaggingOutput](t, reader, "s3:PutObjectTagging", tagging("data", "k", "state", "a", "State", "b"), "InvalidTag")
	apitest.Must[s3.DeleteObjectTaggingOutput](t, reader, "s3:DeleteObjectTagging", &s3.DeleteObjectTaggingInput{Bucket: "data", Key: "k"})
	refused[s3.DeleteObjectTaggingOutput](t, reader, "s3:DeleteObjectTagging", &s3.DeleteObjectTaggingInput{Bucket: "data", Key: "k"}, "AccessDenied")
}

// Tags are of a version: an action of its own changes those of an older one, and a new
// version has none of them.
func TestTagsOfVersions(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.keepVersions(t, "data")
	first := b.put(t, "data", "k", "1")
	second := b.put(t, "data", "k", "2")
	in := tagging("data", "k", "n", "1")
	in.VersionId = first.VersionId
	plain := b.User(t, apitest.Account, "plain", document(`{"Effect":"Allow","Action":["s3:PutObjectTagging","s3:GetObjectTagging","s3:DeleteObjectTagging"],"Resource":"*"}`))
	older := b.User(t, apitest.Account, "older", document(
		`{"Effect":"Allow","Action":["s3:PutObjectVersionTagging","s3:GetObjectVersionTagging"],"Resource":"*","Condition":{"StringEquals":{"s3:VersionId":"`+first.VersionId+`"}}}`))
	refused[s3.PutObjectTaggingOutput](t, plain, "s3:PutObjectTagging", in, "AccessDenied")
	if out := apitest.Must[s3.PutObjectTaggingOutput](t, older, "s3:PutObjectTagging", in); out.VersionId != first.VersionId {
		t.Errorf("version %q", out.VersionId)
	}
	refused[s3.PutObjectTaggingOutput](t, older, "s3:PutObjectTagging", tagging("data", "k", "n", "2"), "AccessDenied")
	apitest.Must[s3.PutObjectTaggingOutput](t, plain, "s3:PutObjectTagging", tagging("data", "k", "n", "2"))
	tags := func(version string) string {
		t.Helper()
		out := apitest.Must[s3.GetObjectTaggingOutput](t, b.admin, "s3:GetObjectTagging", &s3.GetObjectTaggingInput{Bucket: "data", Key: "k", VersionId: version})
		var s []string
		for _, tag := range out.TagSet {
			s = append(s, tag.Key+"="+tag.Value)
		}
		return strings.Join(s, " ")
	}
	if got := tags(first.VersionId) + ", " + tags(second.VersionId) + ", " + tags(""); got != "n=1, n=2, n=2" {
		t.Error(got)
	}
	b.put(t, "data", "k", "3")
	if got := tags(""); got != "" {
		t.Errorf("a new version has %q", got)
	}
	refused[s3.GetObjectTaggingOutput](t, b.admin, "s3:GetObjectTagging", &s3.GetObjectTaggingInput{Bucket: "data", Key: "k", VersionId: "none"}, "InvalidArgument")
}

// Of two who may change an object only while it is free, one gets it.
func TestTagsAreDecidedOnWhatTheyReplace(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "x")
	apitest.Must[s3.PutObjectTaggingOutput](t, b.admin, "s3:PutObjectTagging", tagging("data", "k", "taken", "no"))
	policy := document(`{"Effect":"Allow","Action":"s3:PutObjectTagging","Resource":"*","Condition":{"StringEquals":{"s3:ExistingObjectTag/taken":"no"}}}`)
	const several = 8
	var all sync.WaitGroup
	got := make(chan string, several)
	for i := range several {
		c := b.User(t, apitest.Account, string(rune('a'+i)), policy)
		all.Go(func() {
			if _, err := apitest.Call[s3.PutObjectTaggingOutput](t, c, "s3:PutObjectTagging", tagging("data", "k", "taken", c.Entity.Name)); err == nil {
				got <- c.Entity.Name
			} else if err.Code != "AccessDenied" && err.Code != "ServiceUnavailable" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(got)
	if len(got) != 1 {
		t.Fatalf("%d got it", len(got))
	}
	winner := <-got
	out := apitest.Must[s3.GetObjectTaggingOutput](t, b.admin, "s3:GetObjectTagging", &s3.GetObjectTaggingInput{Bucket: "data", Key: "k"})
	if out.TagSet[0].Value != winner {
		t.Errorf("%v, not %s", out.TagSet, winner)
	}
}

// The number of tags is for who may read them.
func TestCountedTags(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	in := put("data", "k", "x")
	in.Tagging = "a=1&b=2"
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in)
	blind := b.User(t, apitest.Account, "blind", apitest.Admin, document(`{"Effect":"Deny","Action":"s3:GetObjectTagging","Resource":"*"}`))
	for c, want := range map[*apitest.Caller]int32{b.admin: 2, blind: 0} {
		out := apitest.Must[s3.HeadObjectOutput](t, c, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k"})
		got := int32(0)
		if out.TagCount != nil {
			got = *out.TagCount
		}
		if got != want {
			t.Errorf("%s sees %d tags", c.Entity.Name, got)
		}
	}
}

// Checksums tell of the content: who may not open the key learns none.
func TestAttributesAskForTheKey(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "x")
	keyless := b.User(t, apitest.Account, "keyless", apitest.Admin, document(`{"Effect":"Deny","Action":"kms:*","Resource":"*"}`))
	ask := func(a ...s3.ObjectAttributes) *s3.GetObjectAttributesInput {
		return &s3.GetObjectAttributesInput{Bucket: "data", Key: "k", ObjectAttributes: a}
	}
	apitest.Must[s3.GetObjectAttributesOutput](t, keyless, "s3:GetObjectAttributes", ask("ETag", "ObjectSize", "StorageClass"))
	refused[s3.GetObjectAttributesOutput](t, keyless, "s3:GetObjectAttributes", ask("ETag", "Checksum"), "AccessDenied")
	for _, lacks := range []string{"s3:GetObject", "s3:GetObjectAttributes"} {
		c := b.User(t, apitest.Account, "no-"+lacks[3:], apitest.Admin, document(`{"Effect":"Deny","Action":"`+lacks+`","Resource":"*"}`))
		refused[s3.GetObjectAttributesOutput](t, c, "s3:GetObjectAttributes", ask("ETag"), "AccessDenied")
	}
}
