package server_test

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"bawn.dev/internal/sigv4"
)

// audited are the events that `bawn audit` finds, as "name result".
func (s *site) audited(args ...string) (found []string) {
	s.t.Helper()
	for line := range strings.Lines(s.must("audit", append([]string{"--output", "json"}, args...)...)) {
		var e struct{ EventName, ErrorCode string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		found = append(found, strings.TrimSpace(e.EventName+" "+e.ErrorCode))
	}
	return found
}

func (s *site) finds(want string, args ...string) {
	s.t.Helper()
	if got := strings.Join(s.audited(args...), ", "); got != want {
		s.t.Errorf("audit %v finds %s; want %s", args, got, want)
	}
}

func exited(err error, code int) bool {
	e, ok := errors.AsType[*exec.ExitError](err)
	return ok && e.ExitCode() == code
}

const deleteBoth = `<Delete><Object><Key>a.dcm</Key></Object><Object><Key>b.dcm</Key></Object></Delete>`

// The questions of an auditor, to the real binary: while it serves, and when it does not.
func TestAuditAnswersQuestions(t *testing.T) {
	s := newSite(t)
	s.must("init")
	p, c := s.serve()
	ok(t)(c.object(t.Context(), "PUT", "/scans", nil))
	ok(t)(c.object(t.Context(), "PUT", "/scans/a.dcm", []byte("scan")))
	ok(t)(c.object(t.Context(), "PUT", "/scans/b.dcm", []byte("other")))
	ok(t)(c.object(t.Context(), "GET", "/scans/a.dcm", nil))
	ok(t)(c.do(t.Context(), "s3", "PUT", "/scans/copy-of-a", map[string][]string{"X-Amz-Copy-Source": {"/scans/a.dcm"}}, nil))
	ok(t)(c.do(t.Context(), "s3", "PUT", "/scans/a.dcm", map[string][]string{"X-Amz-Copy-Source": {"/scans/b.dcm"}}, nil))
	// However the source is spelled, S3 copies it, and the audit finds it.
	ok(t)(c.object(t.Context(), "PUT", "/scans/c%20d:e%3Ff", []byte("third")))
	for _, source := range []string{"%2Fscans/c%20d:e%3Ff", "scans/c+d:e?f", "/scans/c%20d%3Ae?f"} {
		ok(t)(c.do(t.Context(), "s3", "PUT", "/scans/copy-of-c", map[string][]string{"X-Amz-Copy-Source": {source}}, nil))
	}
	ok(t)(c.iam(t.Context(), "CreateUser", "UserName", "mallory"))
	var made struct {
		Key struct {
			ID     string `xml:"AccessKeyId"`
			Secret string `xml:"SecretAccessKey"`
		} `xml:"CreateAccessKeyResult>AccessKey"`
	}
	if err := xml.Unmarshal(ok(t)(c.iam(t.Context(), "CreateAccessKey", "UserName", "mallory")).body, &made); err != nil {
		t.Fatal(err)
	}
	mallory := *c
	mallory.who = sigv4.Credential{AccessKeyID: made.Key.ID, Secret: made.Key.Secret}
	for range 3 {
		if a, err := mallory.object(t.Context(), "GET", "/scans/a.dcm", nil); err != nil || a.status != 403 {
			t.Fatalf("%+v, %v", a, err)
		}
	}

	sum := md5.Sum([]byte(deleteBoth))
	if a, err := mallory.do(t.Context(), "s3", "POST", "/scans?delete", map[string][]string{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}}, []byte(deleteBoth)); err != nil || !strings.Contains(string(a.body), "AccessDenied") {
		t.Fatalf("%+v, %v", a, err)
	}

	object := []string{"--resource", "arn:aws:s3:::scans/a.dcm", "--reads"}
	ask := func() {
		t.Helper()
		denied := "GetObject AccessDenied, GetObject AccessDenied, GetObject AccessDenied"
		s.finds(denied+", CopyObject, GetObject", object...)
		s.finds(denied, append(object, "--limit", "3")...)
		s.finds(denied+", CopyObject, GetObject", append(object, "--since", "1h", "--until", time.Now().Format(time.DateOnly))...)
		s.finds("", append(object, "--until", time.Now().AddDate(0, 0, -1).Format(time.DateOnly))...)
		s.finds("", append(object, "--since", time.Now().AddDate(0, 0, 1).Format(time.DateOnly))...)
		s.finds("DeleteObjects, "+denied, "--key", made.Key.ID)
		s.finds("DeleteObjects, "+denied, "--user", "mallory", "--errors")
		s.finds("DeleteObjects", "--event", "DeleteObjects", "--errors")
		s.finds("CopyObject", "--event", "CopyObject", "--limit", "1")
		s.finds("CopyObject, CopyObject, CopyObject", "--resource", "arn:aws:s3:::scans/c d:e?f", "--reads")
		s.finds("CopyObject, CopyObject, CopyObject", "--resource", "e?f", "--reads")

		var causes []struct{ Error, Cause, Action, Who, EventID string }
		text := strings.ReplaceAll(strings.TrimSpace(s.must("audit", "--denied", "--output", "json")), "\n", ",")
		if err := json.Unmarshal([]byte("["+text+"]"), &causes); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if len(causes) != 2 || causes[1].Action != "s3:DeleteObjects" || causes[1].Error != "AccessDenied" || causes[1].Who != "user/mallory" || causes[0].Action != "s3:GetObject" || causes[0].Who != "user/mallory" ||
			causes[0].Cause != "no identity-based policy allows the s3:GetObject action" || !strings.Contains(text, `"count":3`) {
			t.Errorf("denied: %s", text)
		}
		rows, err := csv.NewReader(strings.NewReader(s.must("audit", append(object, "--output", "csv")...))).ReadAll()
		if err != nil || len(rows) != 6 || rows[0][0] != "time" {
			t.Errorf("csv: %v, %v", rows, err)
		}
		lines := strings.Split(strings.TrimSpace(s.must("audit", object...)), "\n")
		if len(lines) != 6 || !strings.HasPrefix(lines[0], "TIME") || !strings.Contains(lines[1], "s3:GetObject") || !strings.Contains(lines[5], "AccessDenied") {
			t.Errorf("table:\n%s", strings.Join(lines, "\n"))
		}
	}
	ask()
	// Every question is on record, with what was asked.
	asked := s.must("audit", "--event", "Audit", "--output", "json", "--limit", "0")
	if !strings.Contains(asked, `"resource":"arn:aws:s3:::scans/a.dcm"`) || !strings.Contains(asked, `"key":"`+made.Key.ID) {
		t.Errorf("questions on record: %s", asked)
	}
	if out := s.must("audit", "--person", "gone"); !strings.Contains(out, "nobody has the name or id gone now") {
		t.Errorf("of a person who is not there: %s", out)
	}
	s.refused("exclude each other", "audit", "--key", "a", "--job", "b")
	s.refused("is no time", "audit", "--since", "yesterday")
	s.refused("not with", "audit", "--follow", "--limit", "1")
	p.stop(syscall.SIGTERM)
	ask()
	if out, err := s.run("audit", "--follow"); !exited(err, 3) {
		t.Errorf("follows nobody: %v\n%s", err, out)
	}
}

// Who follows hears of each act once, in order, across a kill of the server.
func TestAuditFollowsAcrossARestart(t *testing.T) {
	s := newSite(t)
	s.must("init")
	p, c := s.serve()
	follower := exec.CommandContext(t.Context(), s.binary, "audit", "--data", s.data, "--follow", "--event", "CreateBucket", "--output", "json")
	out, err := follower.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Start(); err != nil {
		t.Fatal(err)
	}
	told := make(chan string)
	go func() {
		defer close(told)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			told <- lines.Text()
		}
	}()
	hears := func(bucket string) {
		t.Helper()
		select {
		case line := <-told:
			if !strings.Contains(line, `"`+bucket+`"`) {
				t.Errorf("heard %s, not of %s", line, bucket)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("heard nothing of %s", bucket)
		}
	}
	for len(s.audited("--event", "FollowAudit")) == 0 { // it has begun
	}
	ok(t)(c.object(t.Context(), "PUT", "/first", nil))
	hears("first")
	ok(t)(c.object(t.Context(), "PUT", "/second", nil))
	ok(t)(c.object(t.Context(), "HEAD", "/second", nil))
	p.stop(syscall.SIGKILL)
	p, c = s.serve()
	ok(t)(c.object(t.Context(), "PUT", "/third", nil))
	hears("second")
	hears("third")
	p.stop(syscall.SIGTERM) // which waits for nobody who follows
	_, c = s.serve()
	ok(t)(c.object(t.Context(), "PUT", "/fourth", nil))
	hears("fourth")
	if err := follower.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if line, more := <-told; more {
		t.Errorf("heard %s", line)
	}
	if err := follower.Wait(); err != nil {
		t.Errorf("when interrupted: %v", err)
	}
}
