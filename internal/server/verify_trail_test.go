package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/config"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

// A bucket is a copy of what a trail wrote in some hours, with the public keys and the
// newest digest's signature, as an auditor makes it with AWS's own tools.
type bucket struct {
	t             *testing.T
	binary        string
	dir, keys     string
	logs, digests []string // oldest first
}

// deliveredHours is a whole server whose clock was moved through some hours of calls, up
// to the machine's time, by which clients sign.
func deliveredHours(t *testing.T, hours int) *bucket {
	t.Helper()
	b := &bucket{t: t, binary: build(t), dir: filepath.Join(t.TempDir(), "bucket")}
	cfg := config.Config{
		Fixed: config.Fixed{AccountID: config.DefaultAccountID, Region: config.DefaultRegion}, Data: t.TempDir(), Listen: "127.0.0.1:0",
	}
	said := &servertest.Buffer{}
	log := slog.New(slog.NewTextHandler(said, nil))
	ctx, stop := context.WithCancel(context.Background())
	if err := server.Init(ctx, cfg, log); err != nil {
		t.Fatal(err)
	}
	var behind atomic.Int64
	behind.Store(int64(time.Duration(hours) * time.Hour))
	now := func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
	s, err := server.OpenAt(ctx, cfg, log, now)
	if err != nil {
		t.Fatal(err)
	}

	front := httptest.NewServer(s.Door().Handler(api.Origin{}))
	c := newClient(t, cfg.Data, front.URL)
	c.now = now
	ok(t)(c.object(ctx, http.MethodPut, "/trails", nil))
	ok(t)(c.object(ctx, http.MethodPut, "/trails?policy", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
		"Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":["s3:GetBucketAcl","s3:PutObject"],"Resource":["arn:aws:s3:::trails","arn:aws:s3:::trails/*"]}]}`)))
	for _, call := range [][2]string{
		{"CreateTrail", `{"Name":"all","S3BucketName":"trails","EnableLogFileValidation":true}`}, {"StartLogging", `{"Name":"all"}`},
	} {
		ok(t)(c.do(ctx, "cloudtrail", http.MethodPost, "/", http.Header{"Content-Type": {"application/x-amz-json-1.1"},
			"X-Amz-Target": {"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101." + call[0]}}, []byte(call[1])))
	}
	const period = 5 * time.Minute
	for i := 0; behind.Load() > 0; i++ {
		if i%6 == 1 {
			ok(t)(c.iam(ctx, "CreateUser", "UserName", fmt.Sprintf("user-%d", i)))
		}
		behind.Add(-int64(min(period, time.Duration(behind.Load()))))
		if err := s.Deliver(ctx); err != nil {
			t.Fatal(err)
		}
	}
	front.Close()

	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- s.Serve(ctx, func(addr string) { ready <- addr }) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("%v\n%s", err, said)
		}
		s.Close()
	}()
	running := &servertest.Bawn{Server: s, Config: cfg, URL: "https://" + <-ready, Log: said}
	aws := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("aws", args...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + cfg.Data, "AWS_ENDPOINT_URL=" + running.URL, "AWS_CA_BUNDLE=" + cfg.Path("ca.pem"), "AWS_PROFILE=bawn",
			"AWS_SHARED_CREDENTIALS_FILE=" + cfg.Path("aws", "credentials"), "AWS_CONFIG_FILE=" + cfg.Path("aws", "config"),
			"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("aws %s: %v\n%s\nserver's log:\n%s", args, err, out, said)
		}
		return string(out)
	}
	begin, end := time.Now().Add(-time.Duration(hours+1)*time.Hour).UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339)
	if out := aws("cloudtrail", "validate-logs", "--trail-arn", "arn:aws:cloudtrail:us-east-1:123456789012:trail/all", "--start-time", begin, "--end-time", end); strings.Contains(out, "INVALID") {
		t.Errorf("the AWS CLI finds\n%s", out)
	}
	aws("s3", "sync", "--only-show-errors", "s3://trails", b.dir)
	b.keys = b.write("../keys.json", aws("cloudtrail", "list-public-keys", "--start-time", begin, "--end-time", end))
	for _, path := range b.files() {
		if strings.Contains(path, "/CloudTrail-Digest/") {
			b.digests = append(b.digests, path)
		} else {
			b.logs = append(b.logs, path)
		}
	}
	newest := b.digests[len(b.digests)-1]
	b.write(newest+".signature", aws("s3api", "head-object", "--bucket", "trails", "--key", newest, "--query", "Metadata.signature", "--output", "text"))
	return b
}

// files are those below AWSLogs, in the order of their names.
func (b *bucket) files() (all []string) {
	b.t.Helper()
	err := filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".json.gz") {
			name, _ := filepath.Rel(b.dir, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *bucket) write(name, text string) (path string) {
	b.t.Helper()
	path = filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *bucket) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *bucket) move(from, to string) {
	b.t.Helper()
	if err := os.Rename(filepath.Join(b.dir, from), filepath.Join(b.dir, to)); err != nil {
		b.t.Fatal(err)
	}
}

// verify runs the command and answers its problems.
func (b *bucket) verify() (problems []string, said string) {
	out, _ := exec.Command(b.binary, "verify", "trail", b.dir, "--keys", b.keys).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if p, found := strings.CutPrefix(line, "problem: "); found {
			problems = append(problems, strings.TrimSpace(p))
		}
	}
	return problems, string(out)
}

// What CloudTrail wrote into a bucket is verified offline, and what somebody did to it
// since is named with its place.
func TestVerifyTrailOfARealBucket(t *testing.T) {
	b := deliveredHours(t, 5)
	problems, said := b.verify()
	m := regexp.MustCompile(`(?m)^trail: (\d+) hold, 0 problems$`).FindStringSubmatch(said)
	if len(problems) > 0 || m == nil || len(b.digests) < 4 || len(b.logs) < 6 {
		t.Fatalf("of %d digests and %d logs:\n%s", len(b.digests), len(b.logs), said)
	}

	log, other, digest, after := b.logs[2], b.logs[3], b.digests[1], b.digests[2]
	moved := strings.Replace(log, "_CloudTrail_us-east-1_", "_CloudTrail_us-east-1_2", 1)
	exchange := func(one, two string) {
		b.move(one, "aside")
		b.move(two, one)
		b.move("aside", two)
	}
	for _, c := range []struct {
		name  string
		forge func()
		want  []string // each problem begins with one, and each is found
	}{
		{"a log changed", func() { b.write(log, b.read(other)) }, []string{log + ": the log file was changed"}},
		{"a byte of a log", func() { b.write(log, b.read(log)[:40]+"x"+b.read(log)[41:]) }, []string{log + ": the log file was changed"}},
		{"something after a log", func() { b.write(log, b.read(log)+b.read(other)) }, []string{log + ": the log file was changed"}},
		{"a log deleted", func() { b.move(log, "gone") }, []string{log + ": the log file is missing"}},
		{"a log moved", func() { b.move(log, moved) }, []string{log + ": the log file is missing"}},
		{"logs exchanged", func() { exchange(log, other) }, []string{log + ": the log file was changed", other + ": the log file was changed"}},
		{"a log inserted", func() { b.write(strings.Replace(log, ".json.gz", "x.json.gz", 1), b.read(log)) },
			[]string{strings.Replace(log, ".json.gz", "x.json.gz", 1) + ": the log file was inserted"}},
		{"a digest changed", func() { b.write(digest, b.read(b.digests[0])) }, []string{digest + ": the digest was moved: it was written as " + b.digests[0]}},
		{"a digest deleted", func() { b.move(digest, "gone") }, []string{digest + ": the digest is missing"}},
		{"the first digest deleted", func() { b.move(b.digests[0], "gone") }, []string{b.digests[0] + ": the digest is missing"}},
		{"digests exchanged", func() { exchange(digest, after) },
			[]string{digest + ": the digest was moved: it was written as " + after, after + ": the digest was moved: it was written as " + digest}},
		{"another signature of the newest", func() {
			name := b.digests[len(b.digests)-1] + ".signature"
			b.write(name, strings.Repeat("0", len(strings.TrimSpace(b.read(name)))))
		}, []string{b.digests[len(b.digests)-1] + ": the digest was changed: its signature does not hold"}},
		{"all that is newest cut off", func() { b.move(b.digests[len(b.digests)-1], "gone") }, []string{b.digests[len(b.digests)-2] + ": its signature is not here"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := b.dir
			b.dir = filepath.Join(t.TempDir(), "bucket")
			defer func() { b.dir = whole }()
			if out, err := exec.Command("cp", "-a", whole, b.dir).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			c.forge()
			problems, said := b.verify()
			for _, want := range c.want {
				if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, want) }) {
					t.Errorf("nobody says %q:\n%s", want, said)
				}
			}
			for _, p := range problems {
				if !slices.ContainsFunc(c.want, func(want string) bool { return strings.HasPrefix(p, want[:strings.Index(want, ": ")]) }) {
					t.Errorf("of what nobody touched: %s", p)
				}
			}
		})
	}
}
