package s3

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/trail"
)

const day = 24 * time.Hour

// rules puts rules; each that does not say so is enabled and about everything.
func (b *bench) rules(t testing.TB, bucket string, rules ...s3.LifecycleRule) {
	t.Helper()
	for i := range rules {
		if rules[i].Status == "" {
			rules[i].Status = s3.ExpirationStatusEnabled
		}
		if rules[i].Filter == nil {
			rules[i].Filter = &s3.LifecycleRuleFilter{}
		}
	}
	apitest.Must[s3.PutBucketLifecycleConfigurationOutput](t, b.admin, "s3:PutBucketLifecycleConfiguration",
		&s3.PutBucketLifecycleConfigurationInput{Bucket: bucket, LifecycleConfiguration: &s3.BucketLifecycleConfiguration{Rules: rules}})
}

func inDays(n int32) *s3.LifecycleExpiration { return &s3.LifecycleExpiration{Days: &n} }

// later moves the clock and lets the rules be run.
func (b *bench) later(t testing.TB, d time.Duration) {
	t.Helper()
	b.Advance(d)
	if err := b.service.sweep(t.Context(), b.Door); err != nil {
		t.Fatal(err)
	}
}

// all tells what there is of a bucket: keys with a letter for each version, the newest
// first, M for a delete marker.
func (b *bench) all(t testing.TB, bucket string) string {
	t.Helper()
	out := apitest.Must[s3.ListObjectVersionsOutput](t, b.admin, "s3:ListObjectVersions", &s3.ListObjectVersionsInput{Bucket: bucket})
	type entry struct {
		key, kind string
		latest    bool
		at        time.Time
	}
	var entries []entry
	for _, v := range out.Versions {
		entries = append(entries, entry{v.Key, "V", *v.IsLatest, v.LastModified})
	}
	for _, m := range out.DeleteMarkers {
		entries = append(entries, entry{m.Key, "M", *m.IsLatest, m.LastModified})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		if a.key != b.key {
			return strings.Compare(a.key, b.key)
		}
		return b.at.Compare(a.at)
	})
	kinds := map[string]string{}
	var keys []string
	for _, e := range entries {
		if kinds[e.key] == "" {
			keys = append(keys, e.key)
		}
		kinds[e.key] += e.kind
	}
	var s []string
	for _, k := range keys {
		s = append(s, k+"="+kinds[k])
	}
	return strings.Join(s, " ")
}

func (b *bench) keepVersions(t testing.TB, bucket string) {
	t.Helper()
	apitest.Must[s3.PutBucketVersioningOutput](t, b.admin, "s3:PutBucketVersioning",
		&s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &s3.VersioningConfiguration{Status: s3.BucketVersioningStatusEnabled}})
}

func (b *bench) expect(t testing.TB, bucket, want string) {
	t.Helper()
	if got := b.all(t, bucket); got != want {
		t.Errorf("%s holds %q, want %q", bucket, got, want)
	}
}

func TestObjectsExpire(t *testing.T) { onBoth(t, objectsExpire) }

func objectsExpire(t *testing.T, b *bench) {
	b.bucket(t, "data")
	b.bucket(t, "other")
	tagged := put("data", "tag/yes", "x")
	tagged.Tagging = "stage=tmp"
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", tagged)
	for _, key := range []string{"tmp/a", "tmp", "tmp/b", "keep/a", "tag/no", "size/small"} {
		b.put(t, "data", key, "x")
	}
	b.put(t, "data", "size/large", strings.Repeat("x", 100))
	b.put(t, "other", "tmp/a", "x")
	above := int64(50)
	b.rules(t, "data",
		s3.LifecycleRule{ID: "tmp", Filter: &s3.LifecycleRuleFilter{Prefix: "tmp/"}, Expiration: inDays(2)},
		s3.LifecycleRule{ID: "off", Status: s3.ExpirationStatusDisabled, Expiration: inDays(1)},
		s3.LifecycleRule{ID: "tag", Filter: &s3.LifecycleRuleFilter{Tag: &s3.Tag{Key: "stage", Value: "tmp"}}, Expiration: inDays(1)},
		s3.LifecycleRule{ID: "size", Filter: &s3.LifecycleRuleFilter{And: &s3.LifecycleRuleAndOperator{Prefix: "size/", ObjectSizeGreaterThan: &above}}, Expiration: inDays(1)})
	head := apitest.Must[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "tmp/a"})
	promised, err := time.Parse(`expiry-date="Mon, 02 Jan 2006 15:04:05 GMT", rule-id="tmp"`, head.Expiration)
	if err != nil || promised.Before(b.Now().Add(2*day)) || promised.After(b.Now().Add(3*day)) {
		t.Errorf("it is said to expire: %q", head.Expiration)
	}
	b.later(t, 0)
	b.expect(t, "data", "keep/a=V size/large=V size/small=V tag/no=V tag/yes=V tmp=V tmp/a=V tmp/b=V")
	b.later(t, 2*day)
	b.put(t, "data", "tmp/b", "new")
	b.later(t, promised.Sub(b.Now())-time.Minute)
	b.expect(t, "data", "keep/a=V size/small=V tag/no=V tmp=V tmp/a=V tmp/b=V")
	blobs := b.stored(t)
	b.later(t, time.Hour)
	b.expect(t, "data", "keep/a=V size/small=V tag/no=V tmp=V tmp/b=V")
	if got := b.stored(t); got != blobs-1 {
		t.Errorf("%d blobs of %d are left", got, blobs)
	}
	b.expect(t, "other", "tmp/a=V")
	page, err := b.Trail.Find(t.Context(), trail.Query{Account: apitest.Account, EventName: "ExpireObject", Limit: 50})
	if err != nil || len(page.Entries) != 2 {
		t.Fatalf("%d records, %v", len(page.Entries), err)
	}
	newest := page.Entries[0].Record
	if len(newest.Resources) != 1 || newest.Resources[0].ARN != "arn:aws:s3:::data/tmp/a" || !strings.Contains(string(newest.AdditionalEventData), `"ruleId":"tmp"`) {
		t.Errorf("the record: %+v %s", newest.Resources, newest.AdditionalEventData)
	}
}

func TestVersionsExpire(t *testing.T) { onBoth(t, versionsExpire) }

func versionsExpire(t *testing.T, b *bench) {
	b.bucket(t, "data")
	b.keepVersions(t, "data")
	five, two, one, yes := int32(5), int32(2), int32(1), true
	b.rules(t, "data",
		s3.LifecycleRule{ID: "old", Filter: &s3.LifecycleRuleFilter{Prefix: "a"}, NoncurrentVersionExpiration: &s3.NoncurrentVersionExpiration{NoncurrentDays: &five}},
		s3.LifecycleRule{ID: "few", Filter: &s3.LifecycleRuleFilter{Prefix: "b"}, NoncurrentVersionExpiration: &s3.NoncurrentVersionExpiration{NoncurrentDays: &one, NewerNoncurrentVersions: &two}},
		s3.LifecycleRule{ID: "gone", Filter: &s3.LifecycleRuleFilter{Prefix: "a"}, Expiration: &s3.LifecycleExpiration{ExpiredObjectDeleteMarker: &yes}},
		s3.LifecycleRule{ID: "c", Filter: &s3.LifecycleRuleFilter{Prefix: "c"}, Expiration: inDays(3)})
	b.put(t, "data", "a", "1")
	b.put(t, "data", "c", "1")
	b.later(t, 10*day) // a's first version is 10 days old, but the newest; c is hidden by a marker
	b.expect(t, "data", "a=V c=MV")
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "c"}, "NoSuchKey")
	b.put(t, "data", "a", "2")
	for i := range 5 {
		b.put(t, "data", "b", fmt.Sprint(i))
	}
	b.later(t, 4*day)
	b.expect(t, "data", "a=VV b=VVV c=MV")
	b.later(t, 2*day)
	b.expect(t, "data", "a=V b=VVV c=MV")
	if got := b.get(t, "data", "a") + b.get(t, "data", "b"); got != "24" {
		t.Errorf("the newest are %q", got)
	}
	apitest.Must[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "a"})
	b.later(t, day)
	b.expect(t, "data", "a=MV b=VVV c=MV")
	b.later(t, 6*day) // the version goes, and then the marker behind which nothing is left
	b.later(t, 0)
	b.expect(t, "data", "b=VVV c=MV")
}

const md5OfOne = "xMpCOKC5I4INzFCab3WEmw==" // of "1"; what is held must come with a sum

// What is held stays, whatever rules say, until it is held no more.
func TestRulesSpareWhatIsHeld(t *testing.T) {
	b := newBench(t)
	yes, one := true, int32(1)
	apitest.Must[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: "data", ObjectLockEnabledForBucket: &yes})
	held, kept := put("data", "hold", "1"), put("data", "kept", "1")
	held.ContentMD5, kept.ContentMD5 = md5OfOne, md5OfOne
	held.ObjectLockLegalHoldStatus = s3.ObjectLockLegalHoldStatusOn
	kept.ObjectLockMode, kept.ObjectLockRetainUntilDate = s3.ObjectLockModeCompliance, b.Now().Add(20*day)
	first := apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", held)
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", kept)
	b.put(t, "data", "free", "1")
	b.rules(t, "data", s3.LifecycleRule{ID: "all", Expiration: inDays(1), NoncurrentVersionExpiration: &s3.NoncurrentVersionExpiration{NoncurrentDays: &one}})
	b.later(t, 3*day)
	b.expect(t, "data", "free=MV hold=MV kept=MV")
	b.later(t, 3*day)
	b.expect(t, "data", "free=M hold=MV kept=MV")
	b.later(t, 20*day)
	b.expect(t, "data", "hold=MV kept=M")
	apitest.Must[s3.PutObjectLegalHoldOutput](t, b.admin, "s3:PutObjectLegalHold", &s3.PutObjectLegalHoldInput{
		Bucket: "data", Key: "hold", VersionId: first.VersionId, LegalHold: &s3.ObjectLockLegalHold{Status: s3.ObjectLockLegalHoldStatusOff}})
	b.later(t, 0)
	b.later(t, 0)
	b.later(t, 0)
	b.expect(t, "data", "")
}

func TestUploadsAreAborted(t *testing.T) { onBoth(t, uploadsAreAborted) }

func uploadsAreAborted(t *testing.T, b *bench) {
	b.bucket(t, "data")
	three := int32(3)
	b.rules(t, "data", s3.LifecycleRule{ID: "stale", Filter: &s3.LifecycleRuleFilter{Prefix: "x/"}, AbortIncompleteMultipartUpload: &s3.AbortIncompleteMultipartUpload{DaysAfterInitiation: &three}})
	begin := func(key string) *s3.CreateMultipartUploadOutput {
		up := apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{Bucket: "data", Key: key})
		apitest.Must[s3.UploadPartOutput](t, b.admin, "s3:UploadPart", &s3.UploadPartInput{Bucket: "data", Key: key, UploadId: up.UploadId, PartNumber: 1, Body: strings.NewReader("part")})
		return up
	}
	stale := begin("x/1")
	if stale.AbortRuleId != "stale" || stale.AbortDate.Before(b.Now().Add(3*day)) {
		t.Errorf("it is said to end: %v %q", stale.AbortDate, stale.AbortRuleId)
	}
	shown := apitest.Must[s3.ListPartsOutput](t, b.admin, "s3:ListParts", &s3.ListPartsInput{Bucket: "data", Key: "x/1", UploadId: stale.UploadId})
	if !shown.AbortDate.Equal(stale.AbortDate) || shown.AbortRuleId != "stale" {
		t.Errorf("its parts say %v %q", shown.AbortDate, shown.AbortRuleId)
	}
	begin("y/1")
	b.later(t, 2*day)
	begin("x/2")
	if n := b.stored(t); n != 3 {
		t.Fatalf("%d parts", n)
	}
	b.later(t, 2*day)
	out := apitest.Must[s3.ListMultipartUploadsOutput](t, b.admin, "s3:ListMultipartUploads", &s3.ListMultipartUploadsInput{Bucket: "data"})
	var keys []string
	for _, u := range out.Uploads {
		keys = append(keys, u.Key)
	}
	if fmt.Sprint(keys) != "[x/2 y/1]" || b.stored(t) != 2 {
		t.Errorf("%v are under way, with %d parts", keys, b.stored(t))
	}
}

// More than one page, and than one batch.
func TestManyExpire(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.keepVersions(t, "data")
	b.put(t, "data", "k", "x")
	const many = 2*page + batch/2
	b.sql(t, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO s3_versions (bucket, key, marker, `+objectColumns+`) SELECT bucket, key, FALSE, 'v' || i, i, etag, size, i, '', upload, kms_key, data_key, algorithm, details, proof, tags, lock
		FROM s3_objects, n WHERE bucket = 'data'`, many)
	b.sql(t, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO s3_objects (bucket, key, `+objectColumns+`) SELECT bucket, CAST('m' || i AS BLOB), version, seq, etag, size, modified, '', upload, kms_key, data_key, algorithm, details, proof, tags, lock
		FROM s3_objects, n WHERE bucket = 'data'`, many)
	count := func(table string) (n int) {
		t.Helper()
		sn, err := b.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		if err := sn.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	two, five := int32(2), int32(5)
	b.rules(t, "data",
		s3.LifecycleRule{ID: "m", Filter: &s3.LifecycleRuleFilter{Prefix: "m"}, Expiration: inDays(1)},
		s3.LifecycleRule{ID: "k", Filter: &s3.LifecycleRuleFilter{Prefix: "k"}, NoncurrentVersionExpiration: &s3.NoncurrentVersionExpiration{NoncurrentDays: &two, NewerNoncurrentVersions: &five}})
	b.later(t, 3*day)
	if n := count("s3_objects"); n != 1 {
		t.Errorf("%d objects are left", n)
	}
	if n := count("s3_versions WHERE NOT marker AND key = CAST('k' AS BLOB)"); n != 5 {
		t.Errorf("%d old versions of k are left", n)
	}
}

// Rules that were taken back end nothing more, and a bucket of the same name has none
// of them.
func TestRulesTakenBack(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "x")
	b.rules(t, "data", s3.LifecycleRule{ID: "all", Expiration: inDays(1)})
	b.Advance(3 * day)
	apitest.Must[s3.DeleteBucketLifecycleOutput](t, b.admin, "s3:DeleteBucketLifecycle", &s3.DeleteBucketLifecycleInput{Bucket: "data"})
	b.later(t, 0)
	b.expect(t, "data", "k=V")
}
