package job

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// audited calls as itself, tries to get out and leaves a model.
const audited = `
import boto3, http.client, json
with open("/opt/ml/input/config/hyperparameters.json") as f:
    nat = json.load(f)["nat"]
print("running as", boto3.client("sts").get_caller_identity()["Arn"], flush=True)
try:
    c = http.client.HTTPConnection(nat, 80, timeout=10)
    c.request("GET", "/", headers={"Host": "elsewhere.example"})
    print("outside:", c.getresponse().status, flush=True)
except OSError as e:
    print("outside:", e, flush=True)
with open("/opt/ml/model/weights", "w") as f:
    f.write("weights")
`

// The questions of an auditor about a real job: what happened in it, who read its data
// and its model, what was done with the key, and what the person did in whatever role.
func TestAuditOfJob(t *testing.T) {
	h := open(t)
	t.Parallel()
	w := h.newWay(t)
	const script = "code/audited.py/audited.py"
	h.put(t, script, audited)
	name := h.start(t, order{program: "audited.py", place: &w.network, hyper: map[string]string{"nat": w.address}})
	done := h.completed(t, name)
	model := strings.TrimPrefix(done.ModelArtifacts.S3ModelArtifacts, "s3://"+bucket+"/")
	h.must(t, "ada", "s3", "get_object", args{"Bucket": bucket, "Key": model}, nil)
	object := func(key string) string { return "arn:aws:s3:::" + bucket + "/" + key }

	// The tests themselves ask for its state, and read its log.
	timeline := slices.DeleteFunc(h.audit(t, "--job", name), func(e event) bool { return strings.HasSuffix(e.UserIdentity.ARN, ":user/admin") })
	inOrder(t, timeline, []string{"CreateTrainingJob", "GetObject", "GetCallerIdentity", "ConnectionRefused", "PutObject", "TrainingJobStateChange"})
	keys := map[string]int{}
	for _, e := range timeline {
		if e.UserIdentity.OnBehalfOf.UserID != h.ada {
			t.Errorf("%s of %s is not on ada's behalf", e.EventName, e.EventSource)
		}
		if e.names(h.key) {
			keys[e.EventName]++
		}
		switch e.EventName {
		case "GetCallerIdentity":
			if e.UserIdentity.ARN != sessionARN("job-execution") || e.VPCEndpointID != w.sts {
				t.Errorf("the job called as %s by %s", e.UserIdentity.ARN, e.VPCEndpointID)
			}
		case "ConnectionRefused":
			if d := e.AdditionalEventData; d["name"] != "elsewhere.example" || d["natGatewayId"] != w.nat {
				t.Errorf("it went outside: %v", d)
			}
		}
	}
	if keys["GenerateDataKey"] == 0 || keys["Decrypt"] == 0 {
		t.Errorf("its use of keys: %v", keys)
	}
	if last := timeline[len(timeline)-1]; last.AdditionalEventData["trainingJobStatus"] != "Completed" {
		t.Errorf("it ends with %+v", last)
	}

	today, yesterday := time.Now().UTC().Format(time.DateOnly), time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	for what, want := range map[string]string{script: sessionARN("job-execution"), model: sessionARN("job-starter")} {
		reads := h.audit(t, "--resource", object(what), "--reads", "--since", yesterday, "--until", today)
		for _, e := range reads {
			if e.EventName == "GetObject" && (e.UserIdentity.ARN != want && !strings.HasPrefix(e.UserIdentity.ARN, strings.TrimSuffix(want, "SageMaker")) || e.UserIdentity.OnBehalfOf.UserID != h.ada) {
				t.Errorf("%s was read by %+v", what, e.UserIdentity)
			}
		}
		if !slices.ContainsFunc(reads, func(e event) bool { return e.EventName == "GetObject" }) {
			t.Errorf("nobody read %s: %d events", what, len(reads))
		}
		if before := h.audit(t, "--resource", object(what), "--reads", "--until", yesterday); len(before) != 0 {
			t.Errorf("yesterday %s was read by %+v", what, before)
		}
	}

	uses := h.audit(t, "--key", h.key)
	for _, operation := range []string{"GenerateDataKey", "Decrypt"} {
		if !slices.ContainsFunc(uses, func(e event) bool { return e.EventName == operation && e.UserIdentity.OnBehalfOf.UserID == h.ada }) {
			t.Errorf("the key's record has no %s for ada", operation)
		}
	}
	roles := map[string]bool{}
	for _, e := range h.audit(t, "--person", "ada") {
		if parts := strings.Split(e.UserIdentity.ARN, "/"); len(parts) > 1 {
			roles[parts[1]] = true
		}
	}
	if !roles["job-starter"] || !roles["job-execution"] {
		t.Errorf("ada acted in the roles %v", roles)
	}
}

// inOrder fails unless these events are there in this order.
func inOrder(t *testing.T, events []event, names []string) {
	t.Helper()
	left, told := names, []string{}
	for _, e := range events {
		told = append(told, fmt.Sprint(e.EventName, " ", e.ErrorCode))
		if len(left) > 0 && e.EventName == left[0] {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("no %s (any more) in:\n%s", left[0], strings.Join(told, "\n"))
	}
}
