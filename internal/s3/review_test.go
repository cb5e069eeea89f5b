package s3

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// Whether versions of a bucket can be locked, and that it is there at all, is told to
// who may write to it.
func TestLocksAreNoOracle(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.lockable(t, "vault")
	nobody := b.User(t, apitest.Account, "nobody")
	for _, bucket := range []string{"data", "vault", "none"} {
		in := put(bucket, "k", "x")
		in.ObjectLockLegalHoldStatus = s3.ObjectLockLegalHoldStatusOn
		refused[s3.PutObjectOutput](t, nobody, "s3:PutObject", in, "AccessDenied")
		until := b.Now().Add(time.Hour)
		refused[s3.CreateMultipartUploadOutput](t, nobody, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: "k", ObjectLockMode: s3.ObjectLockModeGovernance, ObjectLockRetainUntilDate: until}, "AccessDenied")
	}
	in := put("data", "k", "x")
	in.ObjectLockLegalHoldStatus = s3.ObjectLockLegalHoldStatusOn
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in, "InvalidRequest")
}

// A thousand rules about prefixes of each other have a bucket walked once, not a
// thousand times while others wait.
func TestNestedPrefixesAreWalkedOnce(t *testing.T) {
	var l lifecycle
	for _, prefix := range []string{"logs/a", "logs/", "b", "logs/a/b", "logs/c", "b", "logz"} {
		l = append(l, s3.LifecycleRule{Status: s3.ExpirationStatusEnabled, Prefix: prefix})
	}
	if got := l.prefixes(); !slices.Equal(got, []string{"b", "logs/", "logz"}) {
		t.Errorf("%q", got)
	}
	for n := range 1000 {
		l = append(l, s3.LifecycleRule{Status: s3.ExpirationStatusEnabled, Prefix: "b" + strings.Repeat("x", n)})
	}
	if got := l.prefixes(); len(got) != 3 {
		t.Errorf("%d prefixes", len(got))
	}
}

// Who makes buckets with settings as large as can be does not fill the memory with them.
func TestLargeSettingsAreNotAllKept(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "small")
	rules := &s3.BucketLifecycleConfiguration{}
	for range 30 {
		rules.Rules = append(rules.Rules, s3.LifecycleRule{
			Status: s3.ExpirationStatusEnabled, Filter: &s3.LifecycleRuleFilter{Prefix: strings.Repeat("x", 900)},
			Expiration: &s3.LifecycleExpiration{Days: new(int32(9))},
		})
	}
	for i := range cachedLarge + 5 {
		name := fmt.Sprintf("large-%d", i)
		b.bucket(t, name)
		apitest.Must[s3.PutBucketLifecycleConfigurationOutput](t, b.admin, "s3:PutBucketLifecycleConfiguration",
			&s3.PutBucketLifecycleConfigurationInput{Bucket: name, LifecycleConfiguration: rules})
		for range 2 {
			apitest.Must[s3.HeadBucketOutput](t, b.admin, "s3:HeadBucket", &s3.HeadBucketInput{Bucket: name})
		}
	}
	apitest.Must[s3.HeadBucketOutput](t, b.admin, "s3:HeadBucket", &s3.HeadBucketInput{Bucket: "small"})
	sn, err := b.Door.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	kept, heavy := 0, 0
	for _, name := range b.service.buckets.Keys() {
		version, err := sn.Version(versionKey(name))
		if err != nil {
			t.Fatal(err)
		}
		now, current := b.service.buckets.Get(name, version)
		switch {
		case !current: // as it was before it became large
		case large(name, now):
			heavy++
		default:
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("%d are kept with the small one", kept-1)
	}
	if heavy != cachedLarge {
		t.Errorf("%d large ones are kept, %d may be", heavy, cachedLarge)
	}
	out := apitest.Must[s3.GetBucketLifecycleConfigurationOutput](t, b.admin, "s3:GetBucketLifecycleConfiguration",
		&s3.GetBucketLifecycleConfigurationInput{Bucket: "large-0"})
	if len(out.Rules) != len(rules.Rules) {
		t.Errorf("%d rules", len(out.Rules))
	}
}

// Who keeps an upload open for weeks does not make what it then hides older: a bucket's
// days of grace begin when it is hidden.
func TestOldUploadsHideNothingEarlier(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.keepVersions(t, "data")
	writer := b.User(t, apitest.Account, "writer", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::data/*"}}`)
	begin := func(key string) string {
		return apitest.Must[s3.CreateMultipartUploadOutput](t, writer, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{Bucket: "data", Key: key}).UploadId
	}
	k, twice := begin("k"), begin("twice")
	for _, key := range []string{"k", "twice"} {
		b.put(t, "data", key, "precious")
	}
	b.Advance(20 * day)
	b.complete(t, "data", "k", k, b.part(t, "data", "k", k, 1, "over it"))
	b.complete(t, "data", "twice", twice, b.part(t, "data", "twice", twice, 1, "over it"))
	b.put(t, "data", "twice", "and over that")
	days := int32(10)
	b.rules(t, "data", s3.LifecycleRule{NoncurrentVersionExpiration: &s3.NoncurrentVersionExpiration{NoncurrentDays: &days}})
	b.later(t, 2*day)
	b.expect(t, "data", "k=VV twice=VVV")
	b.later(t, 10*day)
	b.expect(t, "data", "k=V twice=V")
}

// Nor does who sends one very slowly.
func TestSlowUploadsHideNothingEarlier(t *testing.T) {
	b := newBench(t)
	b.lockable(t, "data")
	b.put(t, "data", "k", "precious")
	days := int32(10)
	b.rules(t, "data", s3.LifecycleRule{NoncurrentVersionExpiration: &s3.NoncurrentVersionExpiration{NoncurrentDays: &days}})
	apitest.Must[s3.PutObjectLockConfigurationOutput](t, b.admin, "s3:PutObjectLockConfiguration", &s3.PutObjectLockConfigurationInput{
		Bucket: "data", ObjectLockConfiguration: &s3.ObjectLockConfiguration{ObjectLockEnabled: "Enabled",
			Rule: &s3.ObjectLockRule{DefaultRetention: &s3.DefaultRetention{Mode: compliance, Days: new(int32(5))}}}})
	in := put("data", "k", "")
	in.ChecksumAlgorithm, in.ChecksumCRC32 = s3.ChecksumAlgorithmCrc32, "dhe+rw=="
	in.Body = &meanwhile{strings.NewReader("over it"), func() { b.Advance(20 * day) }}
	slow := apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in)
	b.later(t, day)
	b.expect(t, "data", "k=VV")
	refused[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: slow.VersionId}, "AccessDenied")
}

// An account has as many buckets as AWS's may have.
func TestLimitOfBuckets(t *testing.T) {
	b := newBench(t)
	if err := b.Door.Store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range maxBuckets - 1 {
			if _, err := tx.Exec("INSERT INTO s3_buckets (name, id, account, created, policy, kms_key, block) VALUES (?, '', ?, 0, '', '', 0)",
				fmt.Sprintf("bucket-%d", i), apitest.Account); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.bucket(t, "the-last-one")
	refused[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: "one-more"}, "TooManyBuckets")
	refused[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: "the-last-one"}, "BucketAlreadyOwnedByYou")
	apitest.Must[s3.DeleteBucketOutput](t, b.admin, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "the-last-one"})
	b.bucket(t, "one-more")
}

func TestHeadersFitWhateverTheirCase(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		fits          bool
	}{
		{"*", "x", true}, {"*", "", true}, {"X-Amz-*", "x-amz-meta-a", true}, {"X-Amz-*", "x-amz-", true}, {"X-Amz-*", "x-amz", false},
		{"a*A", "a", false}, {"a*A", "Aa", true}, {"*-Type", "content-type", true}, {"*-Type", "type", false},
		{"Content-Type", "content-TYPE", true}, {"Content-Type", "content-type2", false}, {"", "", true}, {"", "x", false},
	} {
		if got := fitsHeader(c.pattern, c.name); got != c.fits || got != fits(strings.ToLower(c.pattern), strings.ToLower(c.name)) {
			t.Errorf("%q of %q: %v", c.pattern, c.name, got)
		}
	}
	rule := s3.CORSRule{AllowedHeaders: append(slices.Repeat([]string{"A*"}, 1000), "X-*")}
	names := slices.Repeat([]string{"X-a"}, 50)
	if n := testing.AllocsPerRun(5, func() { allowsHeaders(&rule, names) }); n > 50 {
		t.Errorf("%v allocations", n)
	}
}

// A page of uploads costs what it shows, however many lie below its common prefixes.
func TestUploadsBelowPrefixesAreSkipped(t *testing.T) {
	b := newBench(t)
	if err := b.Door.Store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range 30 * 100 {
			err := insertUpload(tx, "data", fmt.Sprintf("%02d/%03d", i/100, i%100), &begun{id: fmt.Sprintf("%06d", i), object: object{dataKey: []byte{}}})
			if err != nil {
				return err
			}
		}
		return insertUpload(tx, "data", "zz", &begun{id: "last", object: object{dataKey: []byte{}}})
	}); err != nil {
		t.Fatal(err)
	}
	sn, err := b.Door.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	for _, limit := range []int{1000, 31, 30, 7} {
		l := &uploadListing{listing: listing{sn: sn, bucket: "data", delimiter: "/", limit: limit}}
		more, err := l.run(uploadPosition{key: []byte{}})
		if err != nil || more != (limit < 31) || len(l.prefixes) != min(30, limit) || len(l.uploads) != min(31, limit)-min(30, limit) {
			t.Errorf("of %d: %d prefixes, %d uploads, more: %v, %v", limit, len(l.prefixes), len(l.uploads), more, err)
		}
		if most := (limit + 1) * 8; l.rows > min(most, 31*8) {
			t.Errorf("of %d: %d rows were read", limit, l.rows)
		}
	}
	all := &uploadListing{listing: listing{sn: sn, bucket: "data", delimiter: "|", limit: 1000}}
	if more, err := all.run(uploadPosition{key: []byte{}}); !more || err != nil || len(all.uploads) != 1000 {
		t.Errorf("%d uploads, %v", len(all.uploads), err)
	}
}
