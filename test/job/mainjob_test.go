package job

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sample runs the sample as `make run` does.
func (h *house) sample(t *testing.T, data string) string {
	t.Helper()
	cmd := exec.Command(python(), h.repo("sample", "sample.py"), h.data, h.url, h.issuerURL, h.issuerSocket, imageName, data)
	cmd.Env = h.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the sample: %v\n%s", err, out)
	}
	return string(out)
}

// has fails unless a text has all of these in this order.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, p := range parts {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			t.Fatalf("no %q (any more) in:\n%s", p, text)
		}
		rest = after
	}
}

// The main job, twice: a person trains a model on real data, is refused what is
// not hers, and all of it is on the record.
func TestMainJob(t *testing.T) {
	h := open(t)
	t.Parallel()
	out, err := exec.Command(h.binary(), "image", "path", "--data", h.data, imageName, "usr/lib/python3/dist-packages/sklearn/datasets/data/breast_cancer.csv").Output()
	if err != nil {
		t.Fatal(err)
	}
	data := strings.TrimSpace(string(out))
	for range 2 {
		has(t, h.sample(t, data), "ada is", "sealed under it by default", "no way out",
			"started cancer-", "[Training]", "rows=569 features=30 test_accuracy=0.9", "running as "+sessionARN("sample-execution"),
			"outside 203.0.113.10:443: refused (", "[Completed]", "fetched s3://bawn-sample/", "TEST ACCURACY 0.9",
			"mallory, in the same role, reads ada's model:", "AccessDenied",
			"ada asks for a key to the data without S3:", "AccessDenied",
			"ada makes herself an administrator:", "AccessDenied",
			"ada reads her model after the key was disabled:", "is disabled",
			"203.0.113.10", "443 6", "REJECT")
	}
	h.fsck(t)
	t.Run("record", func(t *testing.T) { ownCalls(t, h) })

	f, err := os.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := csv.NewReader(f)
	table.FieldsPerRecord = -1 // its first line is of another kind
	rows, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	h.noPlaintext(t, strings.Join(rows[100], ","), "rows=569 features=30", "running as "+sessionARN("sample-execution"))
}

// ownCalls are all that the job did itself: each on her behalf, and through one of
// its network's endpoints.
func ownCalls(t *testing.T, h *house) {
	seen := map[string]int{}
	for _, e := range h.audit(t) {
		if e.UserIdentity.ARN != sessionARN("sample-execution") {
			continue
		}
		if e.UserIdentity.OnBehalfOf.UserID != h.ada {
			t.Errorf("%s of %s is not on her behalf", e.EventName, e.EventSource)
		}
		if e.UserIdentity.InvokedBy != "" || e.EventType != "AwsApiCall" {
			continue // done for it
		}
		if e.VPCEndpointID == "" {
			t.Errorf("%s of %s did not come through an endpoint", e.EventName, e.EventSource)
		}
		seen[e.EventName]++
	}
	if seen["GetCallerIdentity"] != 2 || seen["PutObject"] != 2 {
		t.Errorf("its own calls are %v", seen)
	}
}

// Markers in everything that a job is given and makes, looked for while it runs and
// after it.
func TestNoPlaintext(t *testing.T) {
	h := open(t)
	t.Parallel()
	markers := []string{"MARKER-data-set-row-7c1", "MARKER-hyperparameter-9e2", "MARKER-environment-4d3", "MARKER-printed-line-5b4", "MARKER-in-the-model-8a5", "MARKER-output-data-6f6", "MARKER-failure-text-3d7"}
	h.put(t, "code/marked.py/rows.csv", strings.Repeat(markers[0]+",1,2,3\n", 1000))
	name := h.start(t, order{program: "marked.py", hyper: map[string]string{"secret": markers[1]}, env: map[string]string{"SECRET": markers[2]}})
	h.says(t, name, "ready")
	if path, open := h.sealedFile(t, "w"); !open || !strings.Contains(read(t, path), markers[4]) {
		t.Fatalf("the volume is not where this test looks: %q", path)
	}
	h.noPlaintext(t, markers...)
	h.must(t, "ada", "sagemaker", "stop_training_job", args{"TrainingJobName": name}, nil)
	expect(t, h.end(t, name), "Stopped", "Stopped")
	if lines := strings.Join(h.lines(t, name), "\n"); !strings.Contains(lines, markers[3]) {
		t.Errorf("it said %q", lines)
	}
	h.noPlaintext(t, markers...)
	for _, file := range []string{"serve.log", "host.log"} {
		if strings.Contains(read(t, filepath.Join(h.dir, file)), "MARKER") {
			t.Errorf("plaintext is in %s", file)
		}
	}
	eventually(t, "the volume is gone", func() bool { _, open := h.sealedFile(t, "w"); return !open })
}
