package cloudtrail

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/cloudtrail"
	kmsshape "bawn.dev/internal/shape/kms"
	s3shape "bawn.dev/internal/shape/s3"
	"bawn.dev/internal/trail"
)

// What happens while a trail logs lies in its bucket, byte for byte, once; what
// happens while it does not, does not.
func TestDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.act(t, "before")
		b.trail(t, &shape.CreateTrailInput{Name: "all", S3KeyPrefix: "some/where"})
		b.act(t, "one")
		if got := b.keys(t, "logs", ""); got != nil {
			t.Fatalf("delivered before its time: %v", got)
		}
		b.pass(t, DefaultPeriod)
		b.act(t, "two")
		b.pass(t, 2*DefaultPeriod)
		b.act(t, "three")
		b.stopTrail(t, "all")
		b.act(t, "between")
		b.start(t, "all")
		b.act(t, "four")
		b.pass(t, DefaultPeriod)
		if got := b.aliases(t, "logs", ""); got != "four one three two" {
			t.Errorf("delivered: %s", got)
		}
		name := regexp.MustCompile(`^some/where/AWSLogs/123456789012/CloudTrail/us-east-1/\d{4}/\d\d/\d\d/123456789012_CloudTrail_us-east-1_\d{8}T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz$`)
		for _, key := range b.keys(t, "logs", "") {
			if !name.MatchString(key) {
				t.Errorf("a file is called %s", key)
			}
			if _, out := b.get(t, "logs", key); out.ContentType != "application/json" || out.ContentEncoding != "gzip" {
				t.Errorf("%s is %s, %s", key, out.ContentType, out.ContentEncoding)
			}
		}
		names := b.names(t, "logs", "")
		for _, own := range []string{"StartLogging", "StopLogging"} {
			if !slices.Contains(names, own) {
				t.Errorf("%s was not delivered: %v", own, names)
			}
		}
		page, err := b.Trail.Find(context.Background(), trail.Query{Account: apitest.Account, EventName: "CreateAlias"})
		if err != nil {
			t.Fatal(err)
		}
		key := b.keys(t, "logs", "")[0]
		content, _ := b.get(t, "logs", key)
		if !slices.ContainsFunc(page.Entries, func(e trail.Entry) bool { return bytes.Contains(content, e.Event) }) {
			t.Errorf("%s has none of the record's own lines:\n%s", key, content)
		}
		if s := b.status(t, "all"); !*s.IsLogging || s.LatestDeliveryError != "" || s.LatestDeliveryTime.IsZero() {
			t.Errorf("status: %+v", s)
		}
	})
}

// A server that dies between any two steps delivers each record once.
func TestDeliveryAfterCrash(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all", EnableLogFileValidation: yes()})
	b.act(t, "one")
	b.Advance(DefaultPeriod)
	ctx := context.Background()
	sn, err := b.Store.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := one(runRows(sn, "1 = 1"))
	sn.Close()
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.service.plan(ctx, b.Store, r) // killed after this
	if err != nil || len(h.logs) != 1 {
		t.Fatal(h, err)
	}
	b.act(t, "two")
	for _, l := range h.logs { // put, and killed before that was noted
		packed, err := zipped(l.content)
		if err != nil {
			t.Fatal(err)
		}
		waiting := b.planned(t)
		if err := b.service.put(ctx, b.service.place(r, waiting[0].object), packed, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.service.Tend(ctx); err != nil {
		t.Fatal(err)
	}
	if got := b.aliases(t, "logs", ""); got != "one two" {
		t.Errorf("delivered: %s", got)
	}
}

func (b *bench) planned(t *testing.T) []*file {
	t.Helper()
	sn, err := b.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	list, err := files(sn, "delivered = 0")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What cannot be delivered is told, kept and delivered when it can be.
func TestFailedDelivery(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all", EnableLogFileValidation: yes()})
	b.act(t, "one")
	b.policy(t, "logs", `,"aws:SourceArn":"arn:aws:cloudtrail:us-east-1:123456789012:trail/other"`)
	ctx := context.Background()
	for range 20 {
		b.Advance(DefaultPeriod)
		if err := b.service.Tend(ctx); err == nil {
			t.Fatal("delivered against the bucket's policy")
		}
	}
	if s := b.status(t, "all"); s.LatestDeliveryError != "AccessDenied" || !s.LatestDeliveryTime.IsZero() || s.LatestDeliveryAttemptTime == "" ||
		s.LatestDeliveryAttemptSucceeded != "" || s.LatestDigestDeliveryError != "AccessDenied" {
		t.Errorf("status: %+v", s)
	}
	b.act(t, "two")
	b.stopTrail(t, "all")
	b.Advance(DefaultPeriod)
	if err := b.service.Tend(ctx); err == nil {
		t.Fatal("delivered against the bucket's policy")
	}
	b.policy(t, "logs", `,"aws:SourceArn":"arn:aws:cloudtrail:us-east-1:123456789012:trail/all"`)
	b.pass(t, 2*DefaultPeriod)
	if got := b.aliases(t, "logs", ""); got != "one two" {
		t.Errorf("delivered: %s", got)
	}
	if s := b.status(t, "all"); *s.IsLogging || s.LatestDeliveryError != "" || s.LatestDigestDeliveryError != "" {
		t.Errorf("status: %+v", s)
	}
}

// What a trail has not delivered when it is told to deliver elsewhere, or is deleted,
// is not lost.
func TestMovedAndDeletedTrail(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all"})
	b.bucket(t, "others", "")
	b.act(t, "one")
	b.policy(t, "logs", `,"aws:SourceArn":"none"`)
	b.Advance(DefaultPeriod)
	if err := b.service.Tend(context.Background()); err == nil {
		t.Fatal("delivered against the bucket's policy")
	}
	apitest.Must[shape.UpdateTrailOutput](t, b.admin, "cloudtrail:UpdateTrail", &shape.UpdateTrailInput{Name: "all", S3BucketName: new("others"), S3KeyPrefix: new("p")})
	b.act(t, "two")
	apitest.Must[shape.DeleteTrailOutput](t, b.admin, "cloudtrail:DeleteTrail", &shape.DeleteTrailInput{Name: "all"})
	b.act(t, "three")
	b.pass(t, DefaultPeriod)
	if got := b.aliases(t, "others", "p/AWSLogs/"); got != "one two" {
		t.Errorf("delivered: %s", got)
	}
	refused[shape.GetTrailStatusOutput](t, b.admin, "cloudtrail:GetTrailStatus", &shape.GetTrailStatusInput{Name: "all"}, "TrailNotFoundException")
	sn, err := b.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	for _, table := range []string{"trails", "runs", "files", "turns", "chains", "tags"} {
		if n, err := count(sn, "SELECT COUNT(*) FROM cloudtrail_"+table); err != nil || n != 0 {
			t.Errorf("%d rows of %s are left: %v", n, table, err)
		}
	}
}

// Logs and digests are sealed under the trail's key, whose policy lets the service
// use it for this trail.
func TestDeliveryUnderKey(t *testing.T) {
	b := newBench(t)
	key := func(condition string) *kmsshape.KeyMetadata {
		return apitest.Must[kmsshape.CreateKeyOutput](t, b.admin, "kms:CreateKey", &kmsshape.CreateKeyInput{Policy: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"kms:DescribeKey","Resource":"*"},
			{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"kms:GenerateDataKey*","Resource":"*","Condition":{"StringEquals":{` + condition + `}}}]}`}).KeyMetadata
	}
	const arn = "arn:aws:cloudtrail:us-east-1:123456789012:trail/all"
	stranger := key(`"aws:SourceArn":"` + arn + `x"`)
	refused[shape.CreateTrailOutput](t, b.admin, "cloudtrail:CreateTrail", &shape.CreateTrailInput{Name: "all", S3BucketName: "logs", KmsKeyId: stranger.KeyId}, "InsufficientEncryptionPolicyException")
	refused[shape.CreateTrailOutput](t, b.admin, "cloudtrail:CreateTrail", &shape.CreateTrailInput{Name: "all", S3BucketName: "logs", KmsKeyId: "alias/none"}, "InsufficientEncryptionPolicyException")
	own := key(`"aws:SourceArn":"` + arn + `","kms:EncryptionContext:aws:cloudtrail:arn":"` + arn + `"`)
	b.trail(t, &shape.CreateTrailInput{Name: "all", KmsKeyId: own.KeyId, EnableLogFileValidation: yes()})
	b.act(t, "one")
	b.pass(t, time.Hour+DefaultPeriod)
	all := b.keys(t, "logs", "")
	if len(all) < 2 {
		t.Fatalf("delivered: %v", all)
	}
	for _, object := range all {
		if _, out := b.get(t, "logs", object); out.ServerSideEncryption != s3shape.ServerSideEncryptionAwsKms || out.SSEKMSKeyId != own.Arn {
			t.Errorf("%s is sealed under %s", object, out.SSEKMSKeyId)
		}
	}
	apitest.Must[kmsshape.DisableKeyOutput](t, b.admin, "kms:DisableKey", &kmsshape.DisableKeyInput{KeyId: own.KeyId})
	b.Advance(DefaultPeriod)
	if err := b.service.Tend(context.Background()); err == nil {
		t.Error("delivered under a key that is off")
	}
	if s := b.status(t, "all"); s.LatestDeliveryError == "" {
		t.Errorf("status: %+v", s)
	}
	// Without the key, what waits is delivered; other changes of a trail do not take it away.
	refused[shape.UpdateTrailOutput](t, b.admin, "cloudtrail:UpdateTrail", &shape.UpdateTrailInput{Name: "all", EnableLogFileValidation: no()}, "KmsException")
	b.act(t, "two")
	out := apitest.Must[shape.UpdateTrailOutput](t, b.admin, "cloudtrail:UpdateTrail", &shape.UpdateTrailInput{Name: "all", KmsKeyId: new("")})
	if got := apitest.Must[shape.GetTrailOutput](t, b.admin, "cloudtrail:GetTrail", &shape.GetTrailInput{Name: "all"}).Trail; out.KmsKeyId != "" || got.KmsKeyId != "" {
		t.Errorf("it has the keys %q and %q", out.KmsKeyId, got.KmsKeyId)
	}
	b.pass(t, DefaultPeriod)
	apitest.Must[kmsshape.EnableKeyOutput](t, b.admin, "kms:EnableKey", &kmsshape.EnableKeyInput{KeyId: own.KeyId}) // for the first
	if got := b.aliases(t, "logs", ""); got != "one two" {
		t.Errorf("delivered: %s", got)
	}
}

// A prefix is taken away by an empty one, and a bucket cannot be.
func TestTrailWithoutPrefix(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all", S3KeyPrefix: "p"})
	b.act(t, "one")
	b.pass(t, DefaultPeriod)
	in := &shape.UpdateTrailInput{Name: "all", S3KeyPrefix: new("")}
	if out := apitest.Must[shape.UpdateTrailOutput](t, b.admin, "cloudtrail:UpdateTrail", in); out.S3KeyPrefix != "" || out.S3BucketName != "logs" {
		t.Errorf("%+v", out)
	}
	b.act(t, "two")
	b.pass(t, DefaultPeriod)
	if before, after := b.aliases(t, "logs", "p/AWSLogs/"), b.aliases(t, "logs", "AWSLogs/"); before != "one" || after != "two" {
		t.Errorf("delivered: %s, then %s", before, after)
	}
	refused[shape.UpdateTrailOutput](t, b.admin, "cloudtrail:UpdateTrail", &shape.UpdateTrailInput{Name: "all", S3BucketName: new("")}, "InvalidS3BucketNameException")
}

// A trail of the organization delivers what happens in each account, each in its place,
// with digests for each.
func TestOrganizationTrail(t *testing.T) {
	b := newBench(t)
	other := b.User(t, apitest.Other, "other", apitest.Admin)
	refused[shape.CreateTrailOutput](t, other, "cloudtrail:CreateTrail", &shape.CreateTrailInput{Name: "own", S3BucketName: "logs", IsOrganizationTrail: yes()}, "NotOrganizationMasterAccountException")
	arn := b.trail(t, &shape.CreateTrailInput{Name: "org", IsOrganizationTrail: yes(), EnableLogFileValidation: yes()})
	b.act(t, "one")
	apitest.Call[kmsshape.CreateAliasOutput](t, other, "kms:CreateAlias", &kmsshape.CreateAliasInput{AliasName: "alias/theirs", TargetKeyId: "00000000-0000-0000-0000-000000000000"})
	b.pass(t, time.Hour+DefaultPeriod)
	for account, want := range map[string]string{apitest.Account: "one", apitest.Other: "theirs"} {
		if got := b.aliases(t, "logs", "AWSLogs/o-testtest12/"+account+"/CloudTrail/"); got != want {
			t.Errorf("%s: %s", account, got)
		}
		digests := b.keys(t, "logs", "AWSLogs/o-testtest12/"+account+"/CloudTrail-Digest/us-east-1/")
		if len(digests) != 1 {
			t.Fatalf("%s: digests %v", account, digests)
		}
		var d digest
		content, _ := b.get(t, "logs", digests[0])
		if err := json.Unmarshal(content, &d); err != nil || d.Account != account || len(d.Files) == 0 {
			t.Errorf("%s: %s", account, content)
		}
	}
	// The members see it, and cannot touch it.
	if out := apitest.Must[shape.DescribeTrailsOutput](t, other, "cloudtrail:DescribeTrails", &shape.DescribeTrailsInput{}); len(out.TrailList) != 1 || out.TrailList[0].TrailARN != arn {
		t.Errorf("a member sees %+v", out.TrailList)
	}
	if out := apitest.Must[shape.DescribeTrailsOutput](t, other, "cloudtrail:DescribeTrails", &shape.DescribeTrailsInput{IncludeShadowTrails: no()}); len(out.TrailList) != 0 {
		t.Errorf("a member has %+v", out.TrailList)
	}
	if out := apitest.Must[shape.GetTrailOutput](t, other, "cloudtrail:GetTrail", &shape.GetTrailInput{Name: arn}); !*out.Trail.IsOrganizationTrail {
		t.Errorf("a member sees %+v", out.Trail)
	}
	refused[shape.StopLoggingOutput](t, other, "cloudtrail:StopLogging", &shape.StopLoggingInput{Name: arn}, "NotOrganizationMasterAccountException")
	refused[shape.DeleteTrailOutput](t, other, "cloudtrail:DeleteTrail", &shape.DeleteTrailInput{Name: arn}, "NotOrganizationMasterAccountException")
	refused[shape.StopLoggingOutput](t, other, "cloudtrail:StopLogging", &shape.StopLoggingInput{Name: "org"}, "TrailNotFoundException")
}
