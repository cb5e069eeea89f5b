package cloudtrail

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/cloudtrail"
	s3shape "bawn.dev/internal/shape/s3"
)

// validate runs the AWS CLI's validate-logs over all that a bench delivered.
func (b *bench) validate(t testing.TB, arn string, more ...string) (string, error) {
	t.Helper()
	now := time.Now().UTC()
	args := append([]string{"cloudtrail", "validate-logs", "--verbose", "--trail-arn", arn,
		"--start-time", now.Add(-past - time.Hour).Format(time.RFC3339), "--end-time", now.Format(time.RFC3339)}, more...)
	cmd := exec.Command("aws", args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.Dir, "AWS_ENDPOINT_URL=" + b.URL, "AWS_ACCESS_KEY_ID=" + b.admin.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + b.admin.Secret, "AWS_DEFAULT_REGION=" + apitest.Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// toThePresent lets time go by until the machine's clock shows the same, for clients
// sign by that.
func (b *bench) toThePresent(t testing.TB) {
	t.Helper()
	b.pass(t, time.Since(b.Now()))
}

// history is a trail of several hours: some with calls, some without, stopped once and
// delivered to two buckets.
func (b *bench) history(t testing.TB) (arn string) {
	t.Helper()
	arn = b.trail(t, &shape.CreateTrailInput{Name: "all", EnableLogFileValidation: yes()})
	b.act(t, "one")
	b.pass(t, time.Hour)
	b.act(t, "two")
	b.pass(t, 2*time.Hour+DefaultPeriod) // the second of them without a log
	b.act(t, "three")
	b.pass(t, DefaultPeriod)
	b.act(t, "four")
	b.pass(t, time.Hour)
	b.act(t, "five")
	b.pass(t, DefaultPeriod)
	return arn
}

func TestValidateLogs(t *testing.T) {
	b := newBench(t)
	arn := b.history(t)
	b.bucket(t, "others", "")
	apitest.Must[shape.UpdateTrailOutput](t, b.admin, "cloudtrail:UpdateTrail", &shape.UpdateTrailInput{Name: "all", S3BucketName: new("others")})
	b.act(t, "six")
	b.pass(t, time.Hour)
	b.stopTrail(t, "all")
	b.act(t, "unheard")
	b.pass(t, 30*time.Minute)
	b.start(t, "all")
	b.act(t, "seven")
	b.toThePresent(t)
	if got := b.aliases(t, "logs", "") + " " + b.aliases(t, "others", ""); got != "five four one three two seven six" {
		t.Errorf("delivered: %s", got)
	}
	out, err := b.validate(t, arn)
	if err != nil || !strings.Contains(out, "No log files were delivered by CloudTrail between") || strings.Contains(out, "INVALID") {
		t.Fatalf("%v\n%s", err, out)
	}
	digests := len(slices.DeleteFunc(append(b.keys(t, "logs", ""), b.keys(t, "others", "")...), func(k string) bool { return !strings.Contains(k, "Digest") }))
	valid := strings.Count(out, "\tvalid") - strings.Count(out, "Log file\t")
	if digests < 8 || valid != digests {
		t.Errorf("%d digests, %d of them found valid:\n%s", digests, valid, out)
	}
	// Every log that was digested is found: those of the last hour are not yet.
	if logs := strings.Count(out, "Log file\t"); logs < 6 {
		t.Errorf("%d logs were validated:\n%s", logs, out)
	}
}

// digested reads the digests of a bench, oldest first.
func (b *bench) digested(t testing.TB) (keys []string, all []digest) {
	t.Helper()
	keys = b.keys(t, "logs", "AWSLogs/"+apitest.Account+"/CloudTrail-Digest/")
	for _, k := range keys {
		var d digest
		content, _ := b.get(t, "logs", k)
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return keys, all
}

func (b *bench) copied(t testing.TB, from, to string) {
	t.Helper()
	apitest.Must[s3shape.CopyObjectOutput](t, b.admin, "s3:CopyObject", &s3shape.CopyObjectInput{Bucket: "logs", Key: to, CopySource: "logs/" + from})
}

func (b *bench) removed(t testing.TB, key string) {
	t.Helper()
	apitest.Must[s3shape.DeleteObjectOutput](t, b.admin, "s3:DeleteObject", &s3shape.DeleteObjectInput{Bucket: "logs", Key: key})
}

// changed rewrites an object as who controls the bucket can, its metadata kept.
func (b *bench) changed(t testing.TB, key string, edit func([]byte) []byte) {
	t.Helper()
	content, old := b.get(t, "logs", key)
	edited := edit(bytes.Clone(content))
	if bytes.Equal(edited, content) {
		t.Fatalf("the edit of %s changes nothing", key)
	}
	packed, err := zipped(edited)
	if err != nil {
		t.Fatal(err)
	}
	apitest.Must[s3shape.PutObjectOutput](t, b.admin, "s3:PutObject", &s3shape.PutObjectInput{Bucket: "logs", Key: key, Body: bytes.NewReader(packed), Metadata: old.Metadata})
}

// Whoever can write the bucket cannot hide that he did.
func TestValidateLogsFindsForgery(t *testing.T) {
	b := newBench(t)
	arn := b.history(t)
	b.toThePresent(t)
	keys, digests := b.digested(t)
	var logs []digestFile // of one account, oldest first
	crowded := -1
	for i, d := range digests {
		logs = append(logs, d.Files...)
		if len(d.Files) > 1 {
			crowded = i
		}
	}
	if len(digests) < 5 || len(logs) < 5 || crowded < 0 {
		t.Fatalf("%d digests of %d logs", len(digests), len(logs))
	}
	if out, err := b.validate(t, arn); err != nil {
		t.Fatalf("before: %v\n%s", err, out)
	}
	log, digest := "", keys[1]
	for _, l := range logs {
		if content, _ := b.get(t, "logs", l.Object); bytes.Contains(content, []byte("alias/two")) {
			log = l.Object
		}
	}
	other := logs[len(logs)-1].Object
	for _, c := range []struct {
		name, want string
		forge      func(t *testing.T)
		touched    []string
	}{
		{"changed log", "INVALID: hash value doesn't match", func(t *testing.T) {
			b.changed(t, log, func(c []byte) []byte { return bytes.Replace(c, []byte("alias/two"), []byte("alias/owt"), 1) })
		}, []string{log}},
		{"deleted log", "INVALID: not found", func(t *testing.T) { b.removed(t, log) }, []string{log}},
		{"moved log", "INVALID: not found", func(t *testing.T) {
			b.copied(t, log, strings.Replace(log, "_CloudTrail_", "_CloudTrail_x", 1))
			b.removed(t, log)
		}, []string{log}},
		{"reordered logs", "INVALID: hash value doesn't match", func(t *testing.T) {
			b.copied(t, log, "aside")
			b.copied(t, other, log)
			b.copied(t, "aside", other)
		}, []string{log, other}},
		{"reordered records", "INVALID: hash value doesn't match", func(t *testing.T) {
			b.changed(t, logs[0].Object, func(c []byte) []byte {
				var l struct{ Records []json.RawMessage }
				if err := json.Unmarshal(c, &l); err != nil || len(l.Records) < 2 {
					t.Fatal(err, len(l.Records))
				}
				slices.Reverse(l.Records)
				out, err := json.Marshal(l)
				if err != nil {
					t.Fatal(err)
				}
				return out
			})
		}, []string{logs[0].Object}},
		{"changed digest", "INVALID: signature verification failed", func(t *testing.T) {
			b.changed(t, digest, func(c []byte) []byte { return bytes.Replace(c, []byte(digests[1].Start), []byte(digests[0].Start), 1) })
		}, []string{digest}},
		{"digest without a log", "INVALID: signature verification failed", func(t *testing.T) {
			b.changed(t, digest, func(c []byte) []byte {
				begin := bytes.Index(c, []byte(`"logFiles":[`))
				return append(c[:begin:begin], `"logFiles":[]}`...)
			})
		}, []string{digest}},
		{"deleted digest", "INVALID: not found", func(t *testing.T) { b.removed(t, digest) }, []string{digest}},
		{"two digests exchanged", "INVALID", func(t *testing.T) {
			b.copied(t, digest, "aside")
			b.copied(t, keys[2], digest)
			b.copied(t, "aside", keys[2])
		}, []string{digest, keys[2]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, k := range c.touched {
				b.copied(t, k, "kept/"+string(rune('0'+i)))
			}
			c.forge(t)
			out, err := b.validate(t, arn)
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%v\n%s", err, out)
			}
			for i, k := range c.touched {
				b.copied(t, "kept/"+string(rune('0'+i)), k)
			}
		})
	}
	if out, err := b.validate(t, arn); err != nil || strings.Contains(out, "INVALID") {
		t.Errorf("put back: %v\n%s", err, out)
	}
}

// Digests are AWS's: chained, hourly, also of hours without a log, with a beginning.
func TestDigests(t *testing.T) {
	b := newBench(t)
	b.history(t)
	keys, digests := b.digested(t)
	if len(digests) != 4 {
		t.Fatalf("digests: %v", keys)
	}
	empty := 0
	for i, d := range digests {
		if d.Bucket != "logs" || d.Object != keys[i] || d.Account != apitest.Account || d.Algorithm != "SHA256withRSA" || len(d.Fingerprint) != 32 {
			t.Errorf("%+v", d)
		}
		if len(d.Files) == 0 {
			empty++
			if d.Newest != nil || d.Oldest != nil {
				t.Errorf("an empty digest has times: %+v", d)
			}
		}
		begin, err := time.Parse(time.RFC3339, d.Start)
		if err != nil {
			t.Fatal(err)
		}
		end, err := time.Parse(time.RFC3339, d.End)
		if err != nil || end.Sub(begin) != time.Hour {
			t.Errorf("from %s to %s", d.Start, d.End)
		}
		if i == 0 {
			if d.PreviousBucket != nil || d.PreviousObject != nil || d.PreviousHash != nil || d.PreviousHashAlgorithm != nil || d.PreviousSignature != nil {
				t.Errorf("the first has one before it: %+v", d)
			}
			continue
		}
		_, before := b.get(t, "logs", keys[i-1])
		if d.Start != digests[i-1].End || *d.PreviousObject != keys[i-1] || *d.PreviousSignature != before.Metadata["signature"] {
			t.Errorf("%+v does not follow on %s", d, keys[i-1])
		}
	}
	if empty == 0 {
		t.Error("no hour without a log has a digest")
	}
	if s := b.status(t, "all"); s.LatestDigestDeliveryTime.IsZero() || s.LatestDigestDeliveryError != "" {
		t.Errorf("status: %+v", s)
	}
}

// A digest that is made again after a crash is the same.
func TestDigestAfterCrash(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all", EnableLogFileValidation: yes()})
	b.act(t, "one")
	b.pass(t, 50*time.Minute)
	ctx := t.Context()
	sn, err := b.Store.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := one(runRows(sn, "1 = 1"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chains(sn, r.id)
	sn.Close()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	b.Advance(time.Hour)
	end := moment(all[0].since).Add(time.Hour).UnixMicro()
	first := *all[0]
	if err := b.service.seal(ctx, b.Store, r, &first, end); err != nil {
		t.Fatal(err)
	}
	keys, _ := b.digested(t)
	content, _ := b.get(t, "logs", keys[0])
	if again, err := b.service.signer(ctx, end); err != nil || !bytes.Contains(content, []byte(again.fingerprint)) {
		t.Errorf("another key for the same time: %v", err)
	}
	b.pass(t, DefaultPeriod)
	if keys, digests := b.digested(t); len(keys) != 1 || len(digests[0].Files) == 0 {
		t.Errorf("digests: %v", keys)
	}
}

// Keys are replaced every year, and the old ones stay listed for their time.
func TestPublicKeys(t *testing.T) {
	b := newBench(t)
	b.trail(t, &shape.CreateTrailInput{Name: "all", EnableLogFileValidation: yes()})
	began := b.Now()
	b.pass(t, time.Hour)
	b.stopTrail(t, "all")
	b.pass(t, DefaultPeriod)
	b.Advance(363 * 24 * time.Hour)
	b.start(t, "all")
	b.pass(t, time.Hour)
	list := func(start, end time.Time) []shape.PublicKey {
		t.Helper()
		return apitest.Must[shape.ListPublicKeysOutput](t, b.admin, "cloudtrail:ListPublicKeys", &shape.ListPublicKeysInput{StartTime: start, EndTime: end}).PublicKeyList
	}
	if keys := list(began, b.Now()); len(keys) != 1 {
		t.Errorf("%d keys in a year", len(keys))
	}
	b.pass(t, 2*24*time.Hour)
	keys := list(began, b.Now())
	if len(keys) != 2 || keys[0].Fingerprint == keys[1].Fingerprint || !keys[0].ValidityEndTime.Equal(keys[0].ValidityStartTime.Add(validity)) {
		t.Fatalf("keys: %+v", keys)
	}
	if now := list(time.Time{}, time.Time{}); len(now) != 1 || now[0].Fingerprint != keys[1].Fingerprint {
		t.Errorf("now: %+v", now)
	}
	for _, k := range keys {
		if bytes.Contains(k.Value, []byte("PRIVATE")) || len(k.Value) > 300 {
			t.Errorf("a public key of %d bytes", len(k.Value))
		}
	}
	refused[shape.ListPublicKeysOutput](t, b.admin, "cloudtrail:ListPublicKeys", &shape.ListPublicKeysInput{StartTime: b.Now(), EndTime: began}, "InvalidTimeRangeException")
	refused[shape.ListPublicKeysOutput](t, b.admin, "cloudtrail:ListPublicKeys", &shape.ListPublicKeysInput{NextToken: "x"}, "InvalidTokenException")
}
