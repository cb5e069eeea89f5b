package s3

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

func (b *bench) lockable(t testing.TB, name string) {
	t.Helper()
	yes := true
	apitest.Must[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: name, ObjectLockEnabledForBucket: &yes})
}

func (b *bench) retain(key, version string, mode s3.ObjectLockRetentionMode, d time.Duration, bypass bool) *s3.PutObjectRetentionInput {
	in := &s3.PutObjectRetentionInput{Bucket: "data", Key: key, VersionId: version, BypassGovernanceRetention: &bypass, Retention: &s3.ObjectLockRetention{}}
	if mode != "" {
		in.Retention.Mode, in.Retention.RetainUntilDate = mode, b.Now().Add(d).UTC().Truncate(time.Second)
	}
	return in
}

const (
	governance = s3.ObjectLockRetentionModeGovernance
	compliance = s3.ObjectLockRetentionModeCompliance
)

// gettingRid is every way to make a version of the key "k" go away or lose what it
// holds, as the most capable caller. Some are refused, some just do not touch the
// version.
func gettingRid(t *testing.T, b *bench, version string) {
	t.Helper()
	a := b.admin
	const denied = "AccessDenied"
	refused[s3.DeleteObjectOutput](t, a, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: version}, denied)
	out := apitest.Must[s3.DeleteObjectsOutput](t, a, "s3:DeleteObjects", many("data", s3.ObjectIdentifier{Key: "k", VersionId: version}))
	if got := fatesOf(out); !slices.Equal(got, []string{"k " + version + " AccessDenied"}) {
		t.Errorf("%q", got)
	}
	refused[s3.PutBucketVersioningOutput](t, a, "s3:PutBucketVersioning", &s3.PutBucketVersioningInput{
		Bucket: "data", VersioningConfiguration: &s3.VersioningConfiguration{Status: "Suspended"}}, "InvalidBucketState")
	refused[s3.DeleteBucketOutput](t, a, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "data"}, "BucketNotEmpty")
	refused[s3.PutObjectLockConfigurationOutput](t, a, "s3:PutObjectLockConfiguration", &s3.PutObjectLockConfigurationInput{
		Bucket: "data", ObjectLockConfiguration: &s3.ObjectLockConfiguration{}}, "MalformedXML")
	apitest.Must[s3.PutObjectLockConfigurationOutput](t, a, "s3:PutObjectLockConfiguration", &s3.PutObjectLockConfigurationInput{
		Bucket: "data", ObjectLockConfiguration: &s3.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}})

	b.put(t, "data", "k", "over it")
	apitest.Must[s3.CopyObjectOutput](t, a, "s3:CopyObject", &s3.CopyObjectInput{
		Bucket: "data", Key: "k", CopySource: "data/k?versionId=" + version, MetadataDirective: s3.MetadataDirectiveReplace})
	for range 2 {
		if marker := b.delete(t, "data", "k", ""); marker.DeleteMarker == nil {
			t.Error("there is no marker")
		}
	}
	started := apitest.Must[s3.CreateMultipartUploadOutput](t, a, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{Bucket: "data", Key: "k"})
	apitest.Must[s3.AbortMultipartUploadOutput](t, a, "s3:AbortMultipartUpload", &s3.AbortMultipartUploadInput{Bucket: "data", Key: "k", UploadId: started.UploadId})
	refused[s3.DeleteObjectOutput](t, a, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: version}, denied)
	if body, err := read(t, a, &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: version}); err != nil || body != "kept" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestWhatIsHeldStays(t *testing.T) { onBoth(t, whatIsHeldStays) }

func whatIsHeldStays(t *testing.T, b *bench) {
	b.lockable(t, "data")
	a, yes := b.admin, true
	kept := b.put(t, "data", "k", "kept").VersionId

	// A hold, which has no end and nothing bypasses.
	hold := func(status s3.ObjectLockLegalHoldStatus) {
		apitest.Must[s3.PutObjectLegalHoldOutput](t, a, "s3:PutObjectLegalHold", &s3.PutObjectLegalHoldInput{
			Bucket: "data", Key: "k", VersionId: kept, LegalHold: &s3.ObjectLockLegalHold{Status: status}})
	}
	bypassed := &s3.DeleteObjectInput{Bucket: "data", Key: "k", VersionId: kept, BypassGovernanceRetention: &yes}
	hold("ON")
	gettingRid(t, b, kept)
	refused[s3.DeleteObjectOutput](t, a, "s3:DeleteObject", bypassed, "AccessDenied")
	// Taking a retention off does not take the hold off.
	apitest.Must[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", b.retain("k", kept, governance, time.Hour, false))
	apitest.Must[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", b.retain("k", kept, "", 0, true))
	refused[s3.DeleteObjectOutput](t, a, "s3:DeleteObject", bypassed, "AccessDenied")
	hold("OFF")

	// Governance: whoever may bypass it says so.
	apitest.Must[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", b.retain("k", kept, governance, time.Hour, false))
	gettingRid(t, b, kept)
	for _, worse := range []*s3.PutObjectRetentionInput{
		b.retain("k", kept, governance, time.Minute, false), b.retain("k", kept, "", 0, false), b.retain("k", kept, compliance, 2*time.Hour, false),
	} {
		refused[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", worse, "AccessDenied")
	}
	apitest.Must[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", b.retain("k", kept, governance, 2*time.Hour, false))
	keeper := b.User(t, apitest.Account, "keeper", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Delete*","s3:Put*","s3:Get*","s3:List*"],"Resource":"*"}]}`)
	refused[s3.DeleteObjectOutput](t, keeper, "s3:DeleteObject", bypassed, "AccessDenied")
	refused[s3.PutObjectRetentionOutput](t, keeper, "s3:PutObjectRetention", b.retain("k", kept, "", 0, true), "AccessDenied")
	bypassing := many("data", s3.ObjectIdentifier{Key: "k", VersionId: kept})
	bypassing.BypassGovernanceRetention = &yes
	if got := fatesOf(apitest.Must[s3.DeleteObjectsOutput](t, keeper, "s3:DeleteObjects", bypassing)); !slices.Equal(got, []string{"k " + kept + " AccessDenied"}) {
		t.Errorf("%q", got)
	}
	apitest.Must[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", b.retain("k", kept, governance, time.Hour, true))

	// Compliance: nobody, for as long as it lasts.
	apitest.Must[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", b.retain("k", kept, compliance, time.Hour, true))
	gettingRid(t, b, kept)
	refused[s3.DeleteObjectOutput](t, a, "s3:DeleteObject", bypassed, "AccessDenied")
	if got := fatesOf(apitest.Must[s3.DeleteObjectsOutput](t, a, "s3:DeleteObjects", bypassing)); !slices.Equal(got, []string{"k " + kept + " AccessDenied"}) {
		t.Errorf("%q", got)
	}
	for _, bypass := range []bool{false, true} {
		for _, worse := range []*s3.PutObjectRetentionInput{
			b.retain("k", kept, compliance, time.Minute, bypass), b.retain("k", kept, "", 0, bypass), b.retain("k", kept, governance, 2*time.Hour, bypass),
		} {
			refused[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", worse, "AccessDenied")
		}
	}
	apitest.Must[s3.PutObjectRetentionOutput](t, a, "s3:PutObjectRetention", b.retain("k", kept, compliance, 2*time.Hour, false))
	b.Advance(90 * time.Minute)
	refused[s3.DeleteObjectOutput](t, a, "s3:DeleteObject", bypassed, "AccessDenied")
	b.Advance(time.Hour)
	b.delete(t, "data", "k", kept)
	refused[s3.GetObjectOutput](t, a, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: kept}, "NoSuchVersion")
}

// TestTheNullVersionIsHeldToo locks what was there before the bucket kept versions.
func TestTheNullVersionIsHeldToo(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "kept")
	locking := &s3.PutObjectLockConfigurationInput{Bucket: "data", ObjectLockConfiguration: &s3.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}}
	refused[s3.PutObjectLockConfigurationOutput](t, b.admin, "s3:PutObjectLockConfiguration", locking, "InvalidBucketState")
	b.versioning(t, "data", "Suspended")
	refused[s3.PutObjectLockConfigurationOutput](t, b.admin, "s3:PutObjectLockConfiguration", locking, "InvalidBucketState")
	b.versioning(t, "data", "Enabled")
	refused[s3.PutObjectRetentionOutput](t, b.admin, "s3:PutObjectRetention", b.retain("k", "null", compliance, time.Hour, false), "InvalidRequest")
	apitest.Must[s3.PutObjectLockConfigurationOutput](t, b.admin, "s3:PutObjectLockConfiguration", locking)
	apitest.Must[s3.PutObjectRetentionOutput](t, b.admin, "s3:PutObjectRetention", b.retain("k", "null", compliance, time.Hour, false))
	gettingRid(t, b, "null")
	// Though versioning cannot be suspended, what would overwrite it does not either.
	b.sql(t, "UPDATE s3_buckets SET versioning = 'Suspended'")
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put("data", "k", "over"), "AccessDenied")
	refused[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: "k"}, "AccessDenied")
	if body, err := read(t, b.admin, &s3.GetObjectInput{Bucket: "data", Key: "k", VersionId: "null"}); err != nil || body != "kept" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestUploadsAreLocked(t *testing.T) {
	b := newBench(t)
	b.lockable(t, "data")
	b.bucket(t, "plain")
	until := b.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	in := func(bucket string) *s3.PutObjectInput {
		in := put(bucket, "k", "x")
		in.ChecksumAlgorithm, in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = "CRC32", "COMPLIANCE", until, "ON"
		return in
	}
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in("plain"), "InvalidRequest")
	unchecked, past, half := in("data"), in("data"), in("data")
	unchecked.ChecksumAlgorithm = ""
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", unchecked, "InvalidRequest")
	past.ObjectLockRetainUntilDate = b.Now().Add(-time.Hour)
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", past, "InvalidArgument")
	far := in("data")
	far.ObjectLockRetainUntilDate = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", far, "InvalidArgument")
	half.ObjectLockMode = ""
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", half, "InvalidArgument")

	writer := b.User(t, apitest.Account, "writer", strings.Replace(apitest.Admin, `"*"`, `["kms:*","s3:PutObject","s3:GetObject"]`, 1))
	refused[s3.PutObjectOutput](t, writer, "s3:PutObject", in("data"), "AccessDenied")
	id := apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in("data")).VersionId
	head := apitest.Must[s3.HeadObjectOutput](t, b.admin, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k"})
	if head.ObjectLockMode != "COMPLIANCE" || !head.ObjectLockRetainUntilDate.Equal(until) || head.ObjectLockLegalHoldStatus != "ON" {
		t.Errorf("%+v", head)
	}
	// Who may only read hears nothing of it.
	head = apitest.Must[s3.HeadObjectOutput](t, writer, "s3:HeadObject", &s3.HeadObjectInput{Bucket: "data", Key: "k"})
	if head.ObjectLockMode != "" || !head.ObjectLockRetainUntilDate.IsZero() || head.ObjectLockLegalHoldStatus != "" {
		t.Errorf("%+v", head)
	}
	refused[s3.GetObjectRetentionOutput](t, writer, "s3:GetObjectRetention", &s3.GetObjectRetentionInput{Bucket: "data", Key: "k"}, "AccessDenied")
	got := apitest.Must[s3.GetObjectRetentionOutput](t, b.admin, "s3:GetObjectRetention", &s3.GetObjectRetentionInput{Bucket: "data", Key: "k", VersionId: id})
	if got.Retention.Mode != compliance || !got.Retention.RetainUntilDate.Equal(until) {
		t.Errorf("%+v", got.Retention)
	}
	beyond := b.retain("k", "", compliance, time.Hour, false)
	beyond.Retention.RetainUntilDate = far.ObjectLockRetainUntilDate
	refused[s3.PutObjectRetentionOutput](t, b.admin, "s3:PutObjectRetention", beyond, "InvalidArgument")
	b.put(t, "data", "free", "x")
	refused[s3.GetObjectRetentionOutput](t, b.admin, "s3:GetObjectRetention", &s3.GetObjectRetentionInput{Bucket: "data", Key: "free"}, "NoSuchObjectLockConfiguration")
	refused[s3.GetObjectLegalHoldOutput](t, b.admin, "s3:GetObjectLegalHold", &s3.GetObjectLegalHoldInput{Bucket: "data", Key: "free"}, "NoSuchObjectLockConfiguration")
}

func TestDefaultRetention(t *testing.T) {
	b := newBench(t)
	b.lockable(t, "data")
	day, zero, year, far := int32(1), int32(0), int32(1), int32(101)
	set := func(d *s3.DefaultRetention) *s3.PutObjectLockConfigurationInput {
		return &s3.PutObjectLockConfigurationInput{Bucket: "data", ObjectLockConfiguration: &s3.ObjectLockConfiguration{
			ObjectLockEnabled: "Enabled", Rule: &s3.ObjectLockRule{DefaultRetention: d}}}
	}
	for code, bad := range map[string][]*s3.DefaultRetention{
		"MalformedXML":    {nil, {}, {Mode: governance}, {Days: &day}, {Mode: governance, Days: &day, Years: &year}},
		"InvalidArgument": {{Mode: governance, Days: &zero}, {Mode: governance, Years: &far}},
	} {
		for _, d := range bad {
			refused[s3.PutObjectLockConfigurationOutput](t, b.admin, "s3:PutObjectLockConfiguration", set(d), code)
		}
	}
	apitest.Must[s3.PutObjectLockConfigurationOutput](t, b.admin, "s3:PutObjectLockConfiguration", set(&s3.DefaultRetention{Mode: compliance, Days: &day}))
	got := apitest.Must[s3.GetObjectLockConfigurationOutput](t, b.admin, "s3:GetObjectLockConfiguration", &s3.GetObjectLockConfigurationInput{Bucket: "data"}).ObjectLockConfiguration
	if d := got.Rule.DefaultRetention; d.Mode != compliance || *d.Days != 1 || d.Years != nil {
		t.Errorf("%+v", d)
	}
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put("data", "k", "kept"), "InvalidRequest") // without a checksum
	in := put("data", "k", "kept")
	in.ChecksumAlgorithm = "SHA256"
	id := apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in).VersionId
	copied := apitest.Must[s3.CopyObjectOutput](t, b.admin, "s3:CopyObject", &s3.CopyObjectInput{Bucket: "data", Key: "copy", CopySource: "data/k"}).VersionId
	apitest.Must[s3.PutObjectLockConfigurationOutput](t, b.admin, "s3:PutObjectLockConfiguration", &s3.PutObjectLockConfigurationInput{
		Bucket: "data", ObjectLockConfiguration: &s3.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}})
	for key, version := range map[string]string{"k": id, "copy": copied} {
		refused[s3.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3.DeleteObjectInput{Bucket: "data", Key: key, VersionId: version}, "AccessDenied")
	}
	b.Advance(25 * time.Hour)
	b.delete(t, "data", "k", id)
	b.bucket(t, "plain")
	refused[s3.GetObjectLockConfigurationOutput](t, b.admin, "s3:GetObjectLockConfiguration", &s3.GetObjectLockConfigurationInput{Bucket: "plain"}, "ObjectLockConfigurationNotFoundError")
}

// TestPoliciesBoundRetention has the condition keys of locks.
func TestPoliciesBoundRetention(t *testing.T) {
	b := newBench(t)
	b.lockable(t, "data")
	b.put(t, "data", "k", "x")
	statement := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["s3:PutObjectRetention","s3:PutObjectLegalHold"],"Resource":"*","Condition":{` + condition + `}}]}`
	}
	short := b.User(t, apitest.Account, "short", statement(`"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":"10"}`))
	refused[s3.PutObjectRetentionOutput](t, short, "s3:PutObjectRetention", b.retain("k", "", governance, 20*24*time.Hour, false), "AccessDenied")
	apitest.Must[s3.PutObjectRetentionOutput](t, short, "s3:PutObjectRetention", b.retain("k", "", governance, 24*time.Hour, false))
	mode := b.User(t, apitest.Account, "mode", statement(`"StringEquals":{"s3:object-lock-mode":"COMPLIANCE"}`))
	refused[s3.PutObjectRetentionOutput](t, mode, "s3:PutObjectRetention", b.retain("k", "", compliance, 48*time.Hour, true), "AccessDenied")
	held := b.User(t, apitest.Account, "held", statement(`"StringEquals":{"s3:object-lock-legal-hold":"OFF"}`))
	status := func(s s3.ObjectLockLegalHoldStatus) *s3.PutObjectLegalHoldInput {
		return &s3.PutObjectLegalHoldInput{Bucket: "data", Key: "k", LegalHold: &s3.ObjectLockLegalHold{Status: s}}
	}
	apitest.Must[s3.PutObjectLegalHoldOutput](t, held, "s3:PutObjectLegalHold", status("ON"))
	refused[s3.PutObjectLegalHoldOutput](t, held, "s3:PutObjectLegalHold", status("OFF"), "AccessDenied")
	for _, want := range []s3.ObjectLockLegalHoldStatus{"ON", "OFF"} {
		apitest.Must[s3.PutObjectLegalHoldOutput](t, b.admin, "s3:PutObjectLegalHold", status(want))
		got := apitest.Must[s3.GetObjectLegalHoldOutput](t, b.admin, "s3:GetObjectLegalHold", &s3.GetObjectLegalHoldInput{Bucket: "data", Key: "k"})
		if got.LegalHold.Status != want {
			t.Errorf("%s, not %s", got.LegalHold.Status, want)
		}
	}
}
