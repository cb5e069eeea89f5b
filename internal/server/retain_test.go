package server_test

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/store/pgtest"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/verify"
)

// copyRecord brings a copy of the record up to date.
func copyRecord(t *testing.T, b *servertest.Bawn, dir string) (*verify.Report, *verify.Mirror) {
	t.Helper()
	key := b.Trail().Public()
	m, err := verify.OpenMirror(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	from, to := io.Pipe()
	go func() { to.CloseWithError(b.ExportRecord(t.Context(), server.ExportRequest{From: m.Size()}, to)) }()
	if gone, err := m.Receive(from); err != nil || gone != 0 {
		t.Fatalf("%d records are gone, %v", gone, err)
	}
	from.Close()
	r := verify.Log{Files: os.DirFS(dir), Key: key}.Whole()
	if len(r.Problems) > 0 {
		t.Errorf("the copy has problems: %q", r.Problems)
	}
	return r, m
}

// pass has the record bear out that so long passed, by a tick in each of many parts of it.
func pass(t *testing.T, b *servertest.Bawn, until time.Time, long time.Duration) {
	t.Helper()
	if err := b.Trail().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	for at := until.Add(-long); at.Before(until); at = at.Add(long / 24) {
		tick := &trail.Record{EventTime: at, EventSource: "bawn", EventName: "Tick", Account: b.Config.AccountID}
		if err := b.Trail().Write(t.Context(), tick); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Trail().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const day = 24 * time.Hour

func checked(t *testing.T, b *servertest.Bawn) *server.Report {
	t.Helper()
	r, err := b.Check(t.Context(), server.CheckRequest{})
	if err != nil || len(r.Problems) > 0 {
		t.Errorf("fsck: %+v, %v", r, err)
	}
	return r
}

// A server that keeps records for so long lets older ones go, says so, and proves what is
// left and what others kept.
func TestRetention(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return pgtest.Start(t).Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			b := servertest.StartOn(t, database(t))
			b.Config.Retain = 30
			b.Restart(t)
			b.Python(t, `client("iam").create_user(UserName="early")`)
			if gone, err := b.PruneAt(t.Context(), time.Now()); gone != 0 || err != nil {
				t.Errorf("%d pruned of today, %v", gone, err)
			}
			whole := t.TempDir()
			all, _ := copyRecord(t, b, whole)
			head, err := b.Trail().Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}

			later := time.Now().AddDate(0, 0, 32)
			pass(t, b, later, 31*day)
			gone, err := b.PruneAt(t.Context(), later)
			if err != nil || gone < all.Checked-5 {
				t.Fatalf("%d of %d pruned, %v", gone, all.Checked, err)
			}
			if err := b.Trail().Verify(t.Context(), head); err != nil {
				t.Error(err)
			}
			if r := checked(t, b); len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "records were pruned, the newest of them of") {
				t.Errorf("fsck notes %q", r.Notes)
			}
			b.Python(t, `
t = client("cloudtrail")
assert not t.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}])["Events"]
said, = t.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "PruneRecord"}])["Events"]
said = json.loads(said["CloudTrailEvent"])
assert said["eventSource"] == "bawn" and said["eventType"] == "BawnAdministration" and said["userIdentity"]["type"] == "Operator", said
assert said["requestParameters"]["leaves"] == int(sys.argv[1]) and said["requestParameters"]["retainDays"] == 30, said
client("iam").create_user(UserName="late")
assert len(t.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}])["Events"]) == 1
`, strconv.FormatInt(gone, 10))
			// Who asks for what is gone hears that it is; who does not, does not.
			page, err := b.Audit(t.Context(), server.AuditRequest{Name: "CreateUser"})
			if err != nil || len(page.Lines) != 1 || page.Pruned.IsZero() {
				t.Errorf("%+v, %v", page, err)
			}
			page, err = b.Audit(t.Context(), server.AuditRequest{Since: page.Pruned.Add(time.Second)})
			if err != nil || !page.Pruned.IsZero() {
				t.Errorf("%+v, %v", page, err)
			}

			// The copy keeps what it has; a new one says what it has not.
			if r, m := copyRecord(t, b, whole); len(r.Notes) != 0 || r.Checked != r.Size || m.Pruned() != 0 {
				t.Errorf("%+v", r)
			}
			if r, m := copyRecord(t, b, t.TempDir()); len(r.Notes) != 1 || r.Checked != r.Size-gone || m.Pruned() != gone {
				t.Errorf("%+v", r)
			}
			b.Restart(t)
			checked(t, b)
		})
	}
}

// What a trail has not delivered yet stays.
func TestRetentionWaitsForTrails(t *testing.T) {
	b := servertest.Start(t)
	b.Config.Retain, b.Config.TrailPeriod = 1, time.Hour
	b.Restart(t)
	b.Python(t, `
client("s3").create_bucket(Bucket="logs")
client("s3").put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": ["s3:GetBucketAcl", "s3:PutObject"], "Resource": ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"]}]}))
client("cloudtrail").create_trail(Name="all", S3BucketName="logs")
client("iam").create_user(UserName="before")
`)
	if err := b.Trail().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Python(t, `
client("cloudtrail").start_logging(Name="all")
client("iam").create_user(UserName="after")
`)
	for range 3 { // that is not the last
		checked(t, b)
	}
	pass(t, b, time.Now().AddDate(0, 0, 9), 2*day)
	if gone, err := b.PruneAt(t.Context(), time.Now().AddDate(0, 0, 9)); err != nil || gone == 0 {
		t.Errorf("%d pruned, %v", gone, err)
	}
	page, err := b.Audit(t.Context(), server.AuditRequest{Name: "CreateUser"})
	if err != nil || len(page.Lines) != 1 {
		t.Errorf("%d left, %v", len(page.Lines), err)
	}
	b.Python(t, `client("cloudtrail").delete_trail(Name="all")`)
	checked(t, b)
}

// A clock that jumps ahead, for a moment or until somebody looks, makes little of the
// record old, in this run of the server or in the next.
func TestRetentionOfAClockThatJumps(t *testing.T) {
	b := servertest.Start(t)
	b.Config.Retain = 30
	b.Restart(t)
	now := time.Now().Add(60 * day)
	for d := 1; d <= 60; d++ { // a batch each
		pass(t, b, time.Now().Add(time.Duration(d)*day), 2*time.Hour)
	}
	if gone, err := b.PruneAt(t.Context(), now); err != nil || gone < 28*24 {
		t.Fatalf("%d pruned, %v", gone, err)
	}
	wrong := now.AddDate(10, 0, 0)
	var all int64
	for range 3 {
		gone, err := b.PruneAt(t.Context(), wrong)
		if all += gone; err != nil || all > 4*24 {
			t.Errorf("%d pruned of 30 days, %v", all, err)
		}
		b.Restart(t)
	}
	for d := range 2 { // which people work in, and the server is started
		pass(t, b, wrong.Add(time.Duration(d)*day), day)
	}
	gone, err := b.PruneAt(t.Context(), wrong.Add(day))
	if all += gone; err != nil || all > 7*24 {
		t.Errorf("%d pruned of 30 days, %v", all, err)
	}
	if gone, err := b.PruneAt(t.Context(), now); err != nil || gone != 0 {
		t.Errorf("%d pruned when the clock is right again, %v", gone, err)
	}
	if n := strings.Count(b.Log.String(), "old by the clock are kept"); n != 4 {
		t.Errorf("it is told %d times:\n%s", n, b.Log)
	}
	checked(t, b)
}
