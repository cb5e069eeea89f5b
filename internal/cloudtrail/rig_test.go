package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/kms"
	"bawn.dev/internal/s3"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/cloudtrail"
	kmsshape "bawn.dev/internal/shape/kms"
	s3shape "bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

// A bench is a door with the service behind it, and keys and buckets to deliver to.
type bench struct {
	*apitest.Rig
	service *Service
	admin   *apitest.Caller
}

// past is how far the clock of a bench is behind at first, so that hours can go by
// until clients, who go by the machine's, come.
const past = 9 * time.Hour

func onBoth(t *testing.T, test func(*testing.T, *bench)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		test(t, newBenchOver(t, open(t), t.TempDir()))
	})
}

func newBench(t testing.TB) *bench {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newBenchOver(t, st, dir)
}

// lazily is the record of a rig that is made after the service.
type lazily struct{ b *bench }

func (l lazily) Find(ctx context.Context, q trail.Query) (trail.Page, error) {
	return l.b.Trail.Find(ctx, q)
}

func (l lazily) After(ctx context.Context, from int64, limit int) ([]trail.Line, error) {
	return l.b.Trail.After(ctx, from, limit)
}

func (l lazily) Search(ctx context.Context, s trail.Search) (trail.Found, error) {
	return l.b.Trail.Search(ctx, s)
}
func (l lazily) Last(q store.Querier) (int64, error) { return l.b.Trail.Last(q) }

func newBenchOver(t testing.TB, st *store.Store, dir string) *bench {
	t.Helper()
	b := &bench{}
	root := seal.NewKey()
	now := func() time.Time { return b.Now() }
	blobs, err := blob.OpenDir(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	keys, err := kms.New(kms.Config{Region: apitest.Region, Key: root[:], Now: now, Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		return b.Door.Happened(ctx, e, change)
	}})
	if err != nil {
		t.Fatal(err)
	}
	buckets, err := s3.New(s3.Config{Blobs: blobs, Region: apitest.Region})
	if err != nil {
		t.Fatal(err)
	}
	b.service, err = New(Config{
		Region: apitest.Region, Records: lazily{b}, Key: seal.NewKey(), Now: now, Door: func() *api.Door { return b.Door },
		Accounts: func(store.Querier) ([]string, error) { return []string{apitest.Account, apitest.Other}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Rig = apitest.Over(t, st, dir, apitest.Options{Migrations: [][]store.Migration{kms.Migrations(), s3.Migrations(), Migrations()}},
		keys.API(), buckets.API(), b.service.API())
	b.Stop()
	b.Advance(-past)
	b.admin = b.User(t, apitest.Account, "admin", apitest.Admin)
	b.bucket(t, "logs", "")
	return b
}

// bucket makes a bucket that lets trails deliver, as AWS's documentation has it.
func (b *bench) bucket(t testing.TB, name, condition string) {
	t.Helper()
	apitest.Must[s3shape.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3shape.CreateBucketInput{Bucket: name})
	b.policy(t, name, condition)
}

func (b *bench) policy(t testing.TB, name, condition string) {
	t.Helper()
	apitest.Must[s3shape.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3shape.PutBucketPolicyInput{Bucket: name, Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::` + name + `/*",
		 "Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control"` + condition + `}}}]}`})
}

func yes() *bool { v := true; return &v }
func no() *bool  { v := false; return &v }

// trail makes a trail that logs to the bucket "logs".
func (b *bench) trail(t testing.TB, in *shape.CreateTrailInput) string {
	t.Helper()
	if in.S3BucketName == "" {
		in.S3BucketName = "logs"
	}
	arn := apitest.Must[shape.CreateTrailOutput](t, b.admin, "cloudtrail:CreateTrail", in).TrailARN
	b.start(t, in.Name)
	return arn
}

func (b *bench) start(t testing.TB, name string) {
	t.Helper()
	apitest.Must[shape.StartLoggingOutput](t, b.admin, "cloudtrail:StartLogging", &shape.StartLoggingInput{Name: name})
}

func (b *bench) stopTrail(t testing.TB, name string) {
	t.Helper()
	apitest.Must[shape.StopLoggingOutput](t, b.admin, "cloudtrail:StopLogging", &shape.StopLoggingInput{Name: name})
}

func (b *bench) status(t testing.TB, name string) *shape.GetTrailStatusOutput {
	t.Helper()
	return apitest.Must[shape.GetTrailStatusOutput](t, b.admin, "cloudtrail:GetTrailStatus", &shape.GetTrailStatusInput{Name: name})
}

// pass lets time go by, and all that becomes due in it be done.
func (b *bench) pass(t testing.TB, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= DefaultPeriod {
		b.Advance(min(d, DefaultPeriod))
		if err := b.service.Tend(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// act makes a call that is recorded under its name.
func (b *bench) act(t testing.TB, alias string) {
	t.Helper()
	apitest.Call[kmsshape.CreateAliasOutput](t, b.admin, "kms:CreateAlias", &kmsshape.CreateAliasInput{
		AliasName: "alias/" + alias, TargetKeyId: "00000000-0000-0000-0000-000000000000",
	})
}

// keys lists the objects of a bucket below a prefix.
func (b *bench) keys(t testing.TB, bucket, prefix string) []string {
	t.Helper()
	var keys []string
	in := &s3shape.ListObjectsV2Input{Bucket: bucket, Prefix: prefix}
	for {
		out := apitest.Must[s3shape.ListObjectsV2Output](t, b.admin, "s3:ListObjectsV2", in)
		for _, o := range out.Contents {
			if strings.HasSuffix(o.Key, ".gz") {
				keys = append(keys, o.Key)
			}
		}
		if out.NextContinuationToken == "" {
			return keys
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}

func (b *bench) get(t testing.TB, bucket, key string) (content []byte, out *s3shape.GetObjectOutput) {
	t.Helper()
	out = apitest.Must[s3shape.GetObjectOutput](t, b.admin, "s3:GetObject", &s3shape.GetObjectInput{Bucket: bucket, Key: key})
	defer out.Body.Close()
	packed, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if content, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return content, out
}

// records reads all that was delivered below a prefix, in the order of the files.
func (b *bench) records(t testing.TB, bucket, prefix string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, key := range b.keys(t, bucket, prefix) {
		if strings.Contains(key, "CloudTrail-Digest") {
			continue
		}
		var log struct{ Records []map[string]any }
		content, _ := b.get(t, bucket, key)
		if err := json.Unmarshal(content, &log); err != nil {
			t.Fatal(err)
		}
		all = append(all, log.Records...)
	}
	return all
}

// aliases are the names with which act was called, of what was delivered, sorted.
func (b *bench) aliases(t testing.TB, bucket, prefix string) string {
	t.Helper()
	var names []string
	for _, r := range b.records(t, bucket, prefix) {
		if p, ok := r["requestParameters"].(map[string]any); ok && r["eventName"] == "CreateAlias" {
			names = append(names, strings.TrimPrefix(p["aliasName"].(string), "alias/"))
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// names are the names of events that were delivered.
func (b *bench) names(t testing.TB, bucket, prefix string) []string {
	t.Helper()
	var names []string
	for _, r := range b.records(t, bucket, prefix) {
		names = append(names, r["eventName"].(string))
	}
	return names
}

// refused demands that a call fails with a code.
func refused[Out any](t testing.TB, c *apitest.Caller, action string, in any, code string) {
	t.Helper()
	if _, err := apitest.Call[Out](t, c, action, in); err == nil || err.Code != code {
		t.Errorf("%s: %v, not %s", action, err, code)
	}
}
