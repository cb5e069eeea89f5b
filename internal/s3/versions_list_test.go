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

// fillVersions puts rows of versions without bytes; of some keys the newest is a
// marker. It answers how they are listed.
func (b *bench) fillVersions(t testing.TB, name string, keys []string, versions func(i int) int) (all []string) {
	t.Helper()
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		all = nil
		for i, key := range keys {
			l := &slot{s: b.service, ctx: t.Context(), tx: tx, key: key, bucket: &bucket{name: name, versioning: s3.BucketVersioningStatusEnabled}}
			var lines []string
			n := versions(i)
			for v := range n {
				if v%3 == 2 {
					m, err := l.mark(b.Now())
					if err != nil {
						return err
					}
					lines = append(lines, fmt.Sprintf("%s %s true %t", key, m.version, v == n-1))
					continue
				}
				o := &object{etag: "e", dataKey: []byte{1}, text: "{}", proof: []byte{1}, modified: b.Now()}
				if err := l.put(o, b.Now()); err != nil {
					return err
				}
				lines = append(lines, fmt.Sprintf("%s %s false %t", key, o.version, v == n-1))
			}
			slices.Reverse(lines)
			all = append(all, lines...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestVersionsAreListedInOrder(t *testing.T) { onBoth(t, versionsAreListedInOrder) }

func versionsAreListedInOrder(t *testing.T, b *bench) {
	b.bucket(t, "data")
	r := rand.New(rand.NewPCG(5, 6))
	parts := []string{"a", "b", "/", "//", "ä", "0", "-", "c/"}
	made := map[string]bool{}
	for range 60 {
		key := ""
		for range 1 + r.IntN(4) {
			key += parts[r.IntN(len(parts))]
		}
		made[key] = true
	}
	var keys []string
	for key := range made {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	all := b.fillVersions(t, "data", keys, func(int) int { return 1 + r.IntN(5) })
	for range 60 {
		prefix, delimiter := "", ""
		if r.IntN(2) == 0 {
			key := keys[r.IntN(len(keys))]
			prefix = strings.ToValidUTF8(key[:r.IntN(len(key)+1)], "")
		}
		if r.IntN(2) == 0 {
			delimiter = []string{"/", "a", "//"}[r.IntN(3)]
		}
		limit := int32(1 + r.IntN(20))
		var want []string
		for _, line := range all {
			key, _, _ := strings.Cut(line, " ")
			rest, ok := strings.CutPrefix(key, prefix)
			if !ok {
				continue
			}
			if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
				if line = prefix + rest[:i+len(delimiter)]; slices.Contains(want, line) {
					continue
				}
			}
			want = append(want, line)
		}
		got := b.versionPages(t, s3.ListObjectVersionsInput{Bucket: "data", Prefix: prefix, Delimiter: delimiter, MaxKeys: &limit})
		if delimiter != "" { // a page tells prefixes behind keys
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("prefix %q, delimiter %q, by %d:\n%s\nnot\n%s", prefix, delimiter, limit, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestAPageOfVersionsCostsThePage counts what a listing reads, in a bucket with keys
// of many versions.
func TestAPageOfVersionsCostsThePage(t *testing.T) { onBoth(t, aPageOfVersionsCostsThePage) }

func aPageOfVersionsCostsThePage(t *testing.T, b *bench) {
	b.bucket(t, "data")
	all := b.fillVersions(t, "data", []string{"a", "b/1", "b/2", "c"}, func(i int) int { return []int{3, 1000, 1000, 2}[i] })
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	for _, delimiter := range []string{"", "/"} {
		at, read := versionPlace{"", newest}, 0
		for more := true; more; {
			l := &versionListing{listing: listing{sn: sn, bucket: "data", delimiter: delimiter, limit: 10}}
			if more, err = l.run(at); err != nil {
				t.Fatal(err)
			}
			if l.rows > 50 {
				t.Fatalf("a page of %d cost %d rows of %d", len(l.versions)+len(l.prefixes), l.rows, len(all))
			}
			if at = (versionPlace{l.end.key, l.end.seq}); l.end.version == "" {
				at = versionPlace{string(l.behindMarker(l.end.key)), newest}
			}
			read += len(l.versions)
		}
		if want := map[string]int{"": len(all), "/": 5}[delimiter]; read != want {
			t.Errorf("%d versions, not %d", read, want)
		}
	}
}

// TestAListingGoesOnBehindWhatIsGone deletes each page before it asks for the next, as
// those do who empty a bucket.
func TestAListingGoesOnBehindWhatIsGone(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "null version")
	b.versioning(t, "data", "Enabled")
	for range 6 {
		b.put(t, "data", "k", "x")
	}
	b.put(t, "data", "l", "x")
	in, two := s3.ListObjectVersionsInput{Bucket: "data"}, int32(2)
	in.MaxKeys = &two
	for seen := 0; ; {
		out := apitest.Must[s3.ListObjectVersionsOutput](t, b.admin, "s3:ListObjectVersions", &in)
		for _, v := range out.Versions {
			b.delete(t, "data", v.Key, v.VersionId)
			seen++
		}
		if !*out.IsTruncated {
			if seen != 8 {
				t.Errorf("%d versions were seen", seen)
			}
			break
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
	if got := b.versionPages(t, s3.ListObjectVersionsInput{Bucket: "data"}); len(got) != 0 {
		t.Error(got)
	}
	refused[s3.ListObjectVersionsOutput](t, b.admin, "s3:ListObjectVersions", &s3.ListObjectVersionsInput{Bucket: "data", VersionIdMarker: "null"}, "InvalidArgument")
	refused[s3.ListObjectVersionsOutput](t, b.admin, "s3:ListObjectVersions", &s3.ListObjectVersionsInput{Bucket: "data", KeyMarker: "k", VersionIdMarker: "x"}, "InvalidArgument")
}

func TestTheOlderListing(t *testing.T) { onBoth(t, theOlderListing) }

func theOlderListing(t *testing.T, b *bench) {
	b.bucket(t, "data")
	all := []string{"a", "b/1", "b/2", "c d", "e/1", "f"}
	b.fill(t, "data", all)
	for _, delimiter := range []string{"", "/"} {
		for limit := int32(1); limit < 8; limit++ {
			var keys, prefixes []string
			in := s3.ListObjectsInput{Bucket: "data", Delimiter: delimiter, MaxKeys: &limit}
			for {
				out := apitest.Must[s3.ListObjectsOutput](t, b.admin, "s3:ListObjects", &in)
				for _, o := range out.Contents {
					keys, in.Marker = append(keys, o.Key), o.Key
				}
				for _, p := range out.CommonPrefixes {
					prefixes = append(prefixes, p.Prefix)
				}
				if (out.NextMarker != "") != (*out.IsTruncated && delimiter != "") {
					t.Fatalf("delimiter %q, truncated %t: the next marker is %q", delimiter, *out.IsTruncated, out.NextMarker)
				}
				if !*out.IsTruncated {
					break
				}
				if delimiter != "" {
					in.Marker = out.NextMarker
				}
			}
			wantKeys, wantPrefixes := plainly(all, "", delimiter, "")
			if !slices.Equal(keys, wantKeys) || !slices.Equal(prefixes, wantPrefixes) {
				t.Errorf("by %d: %q %q, not %q %q", limit, keys, prefixes, wantKeys, wantPrefixes)
			}
		}
	}
	out := apitest.Must[s3.ListObjectsOutput](t, b.admin, "s3:ListObjects", &s3.ListObjectsInput{Bucket: "data", Marker: "b/2", EncodingType: s3.EncodingTypeUrl})
	if len(out.Contents) != 3 || out.Contents[0].Key != "c%20d" || out.Marker != "b/2" || out.Contents[0].Owner == nil {
		t.Errorf("%+v", out)
	}
}
