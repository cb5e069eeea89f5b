package s3

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// fill puts rows of objects without bytes: listings look at nothing else.
func (b *bench) fill(t testing.TB, bucket string, keys []string) {
	t.Helper()
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		for _, key := range keys {
			if err := insertObject(tx, bucket, key, &object{version: nullVersion, etag: "e", dataKey: []byte{1}, text: "{}", proof: []byte{1}, modified: b.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pages lists everything, page by page, objects and common prefixes in the order
// of their pages.
func (b *bench) pages(t *testing.T, in s3.ListObjectsV2Input) (keys, prefixes []string) {
	t.Helper()
	for range 10000 {
		out := apitest.Must[s3.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", &in)
		if int(*out.KeyCount) != len(out.Contents)+len(out.CommonPrefixes) || *out.KeyCount > *out.MaxKeys {
			t.Fatalf("%d keys, %d prefixes, count %d of %d", len(out.Contents), len(out.CommonPrefixes), *out.KeyCount, *out.MaxKeys)
		}
		for _, o := range out.Contents {
			keys = append(keys, o.Key)
		}
		for _, p := range out.CommonPrefixes {
			prefixes = append(prefixes, p.Prefix)
		}
		if !*out.IsTruncated {
			return keys, prefixes
		}
		if *out.KeyCount != *out.MaxKeys {
			t.Fatalf("a page that is not the last holds %d of %d", *out.KeyCount, *out.MaxKeys)
		}
		in.ContinuationToken = out.NextContinuationToken
	}
	t.Fatal("the listing does not end")
	return nil, nil
}

// plainly is what a listing must be, the slow way.
func plainly(all []string, prefix, delimiter, after string) (keys, prefixes []string) {
	for _, key := range all {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key <= after {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			if common := prefix + rest[:i+len(delimiter)]; !slices.Contains(prefixes, common) {
				prefixes = append(prefixes, common)
			}
			continue
		}
		keys = append(keys, key)
	}
	return keys, prefixes
}

func TestListingIsWhatItSays(t *testing.T) { onBoth(t, listingIsWhatItSays) }

func listingIsWhatItSays(t *testing.T, b *bench) {
	b.bucket(t, "data")
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "b", "/", "//", "ä", "\U0010ffff", "0", "-", "c/", "\x00", " "}
	made := map[string]bool{}
	for range 400 {
		key := ""
		for range 1 + r.IntN(5) {
			key += parts[r.IntN(len(parts))]
		}
		made[key] = true
	}
	var all []string
	for key := range made {
		all = append(all, key)
	}
	slices.Sort(all)
	b.fill(t, "data", all)
	for range 150 {
		prefix, delimiter, after := "", "", ""
		if r.IntN(2) == 0 {
			prefix = all[r.IntN(len(all))]
			prefix = strings.ToValidUTF8(prefix[:r.IntN(len(prefix)+1)], "")
		}
		if r.IntN(3) > 0 {
			delimiter = []string{"/", "a", "//", "ä"}[r.IntN(4)]
		}
		if r.IntN(3) == 0 {
			after = all[r.IntN(len(all))]
		}
		limit := int32(1 + r.IntN(30))
		keys, prefixes := b.pages(t, s3.ListObjectsV2Input{Bucket: "data", Prefix: prefix, Delimiter: delimiter, StartAfter: after, MaxKeys: &limit})
		wantKeys, wantPrefixes := plainly(all, prefix, delimiter, after)
		if !slices.Equal(keys, wantKeys) || !slices.Equal(prefixes, wantPrefixes) {
			t.Fatalf("prefix %q, delimiter %q, after %q, by %d:\n%q %q\nnot\n%q %q", prefix, delimiter, after, limit, keys, prefixes, wantKeys, wantPrefixes)
		}
	}
}

func TestListingArguments(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.fill(t, "data", []string{"a b", "c&d/e"})
	none, negative, many := int32(0), int32(-1), int32(5000)
	out := apitest.Must[s3.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "data", MaxKeys: &none})
	if *out.KeyCount != 0 || *out.IsTruncated {
		t.Errorf("%+v", out)
	}
	out = apitest.Must[s3.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "data", MaxKeys: &many, EncodingType: s3.EncodingTypeUrl, Delimiter: "/"})
	if *out.MaxKeys != 1000 || out.Contents[0].Key != "a%20b" || out.CommonPrefixes[0].Prefix != "c%26d/" {
		t.Errorf("%+v", out)
	}
	refused[s3.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "data", MaxKeys: &negative}, "InvalidArgument")
	refused[s3.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "data", ContinuationToken: "!"}, "InvalidArgument")
}

// TestATokenLeadsNowhereElse takes the token of one listing to another prefix.
func TestATokenLeadsNowhereElse(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.fill(t, "data", []string{"a/1", "a/2", "b/1", "b/2"})
	one := int32(1)
	out := apitest.Must[s3.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", &s3.ListObjectsV2Input{Bucket: "data", Prefix: "a/", MaxKeys: &one})
	keys, _ := b.pages(t, s3.ListObjectsV2Input{Bucket: "data", Prefix: "b/", ContinuationToken: out.NextContinuationToken})
	if fmt.Sprint(keys) != "[b/1 b/2]" {
		t.Error(keys)
	}
}

// TestAPageCostsThePage counts what a listing reads: many keys below one common
// prefix are skipped, not walked.
func TestAPageCostsThePage(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	var keys []string
	for p := range 20 {
		for i := range 500 {
			keys = append(keys, fmt.Sprintf("p%02d/%04d", p, i))
		}
	}
	b.fill(t, "data", keys)
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	l := &listing{sn: sn, bucket: "data", delimiter: "/", limit: 1000}
	if _, err := l.run([]byte{}); err != nil {
		t.Fatal(err)
	}
	if len(l.prefixes) != 20 || l.rows > 20*8+8 {
		t.Errorf("%d prefixes cost %d rows of %d", len(l.prefixes), l.rows, len(keys))
	}
}
