package job

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// untilTold is a program that leaves when it is asked to.
var untilTold = []string{"sh", "-c", `trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.1; done`}

func TestEnds(t *testing.T) {
	h := open(t)
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *house){
		"failure": failureSaid, "stopped": stopTold, "out of time": outOfTime, "out of memory": outOfMemory, "key off": keyOff, "key doomed": keyDoomed, "grant revoked": grantRevoked,
		"person gone": personGone, "untrusting role": untrustingRole, "no such image": noSuchImage, "other account": otherAccount,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h)
		})
	}
}

// expect fails unless the job ended so, for a reason with all of these words.
func expect(t *testing.T, s *status, status, secondary string, words ...string) {
	t.Helper()
	if s.TrainingJobStatus != status || s.SecondaryStatus != secondary {
		t.Errorf("it is %s, %s: %s", s.TrainingJobStatus, s.SecondaryStatus, s.FailureReason)
	}
	for _, w := range words {
		if !strings.Contains(s.FailureReason, w) {
			t.Errorf("the reason %q does not say %q", s.FailureReason, w)
		}
	}
}

func failureSaid(t *testing.T, h *house) {
	name := h.start(t, order{command: []string{"sh", "-c", `echo "the data is bad" >/opt/ml/output/failure; exit 3`}})
	s := h.end(t, name)
	expect(t, s, "Failed", "Failed", "AlgorithmError", "the data is bad", "exit code: 3")
	if s.ModelArtifacts.S3ModelArtifacts != "" {
		t.Error("a failed job has a model")
	}
}

func stopTold(t *testing.T, h *house) {
	name := h.start(t, order{command: untilTold})
	h.says(t, name, "ready")
	h.must(t, "ada", "sagemaker", "stop_training_job", args{"TrainingJobName": name}, nil)
	expect(t, h.end(t, name), "Stopped", "Stopped")
	if lines := h.lines(t, name); !slices.Contains(lines, "got TERM") {
		t.Errorf("it was not asked: %q", lines)
	}
}

func outOfTime(t *testing.T, h *house) {
	name := h.start(t, order{command: untilTold, seconds: 2})
	expect(t, h.end(t, name), "Stopped", "MaxRuntimeExceeded")
	if lines := h.lines(t, name); !slices.Contains(lines, "got TERM") {
		t.Errorf("it was not asked: %q", lines)
	}
}

func outOfMemory(t *testing.T, h *house) {
	name := h.start(t, order{command: []string{"python3", "-c", "b=[b'x'*(1<<26) for _ in iter(int,1)]"}, instance: "ml.t3.medium"})
	expect(t, h.end(t, name), "Failed", "Failed", "memory")
}

// sealedFile is a file of a job's that root can read on the host while the volume
// is open, and nobody once it is locked.
func (h *house) sealedFile(t *testing.T, name string) (path string, open bool) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(h.data, "host", "volumes", "*", "sealed", "model", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, " "), len(found) > 0
}

func keyOff(t *testing.T, h *house)    { keyLost(t, h, "disable_key", "disabled") }
func keyDoomed(t *testing.T, h *house) { keyLost(t, h, "schedule_key_deletion", "pending deletion") }

func keyLost(t *testing.T, h *house, operation, why string) {
	key := h.newKey(t)
	file := "of-" + operation
	name := h.start(t, order{key: key, command: []string{"sh", "-c", "echo secret >/opt/ml/model/" + file + "; echo ready; while :; do sleep 0.1; done"}})
	h.says(t, name, "ready")
	if _, open := h.sealedFile(t, file); !open {
		t.Fatal("the volume is not where this test looks")
	}
	h.must(t, "admin", "kms", operation, args{"KeyId": key}, nil)
	expect(t, h.end(t, name), "Failed", "Failed", key, why)
	// It was locked before anybody was told.
	if path, open := h.sealedFile(t, file); open {
		t.Errorf("%s can still be read", path)
	}
}

func grantRevoked(t *testing.T, h *house) {
	key := h.newKey(t)
	name := h.start(t, order{key: key, role: h.granted, command: []string{"sh", "-c", "echo secret >/opt/ml/model/of-grant; echo ready; while :; do sleep 0.1; done"}})
	h.says(t, name, "ready")
	all := h.grants(t, key)
	if _, open := h.sealedFile(t, "of-grant"); !open || len(all) != 1 {
		t.Fatalf("the volume is not where this test looks, or there are other grants than one: %v", all)
	}
	h.must(t, "admin", "kms", "revoke_grant", args{"KeyId": key, "GrantId": all[0]}, nil)
	expect(t, h.end(t, name), "Failed", "Failed", key, "kms:Decrypt")
	if path, open := h.sealedFile(t, "of-grant"); open {
		t.Errorf("%s can still be read", path)
	}
}

func personGone(t *testing.T, h *house) {
	var eve args
	h.do(t, "hire", args{"name": "eve"}, &eve)
	h.do(t, "enter", args{"who": "eve", "person": "eve", "role": h.starter}, nil)
	name := h.start(t, order{who: "eve", command: []string{"sh", "-c", "echo secret >/opt/ml/model/of-eve; echo ready; while :; do sleep 0.1; done"}})
	h.says(t, name, "ready")
	h.must(t, "admin", "identitystore", "delete_user", eve, nil)
	expect(t, h.end(t, name), "Failed", "Failed", "person", "no longer")
	if path, open := h.sealedFile(t, "of-eve"); open {
		t.Errorf("%s can still be read", path)
	}
	if r := h.call(t, "eve", "sts", "get_caller_identity", args{}, nil); r == nil {
		t.Error("her own session goes on")
	}
}

func untrustingRole(t *testing.T, h *house) {
	role := h.newRole(t, "job-untrusting", trusting("ec2.amazonaws.com"), allow("s3:*", "*"))
	name, r := h.try(t, order{command: untilTold, role: role})
	if r == nil || r.Code != "ValidationException" || !strings.Contains(r.Message, "Could not assume role "+role) {
		t.Errorf("got %v", r)
	}
	if r := h.call(t, "admin", "sagemaker", "describe_training_job", args{"TrainingJobName": name}, nil); r == nil {
		t.Error("it was made all the same")
	}
}

func noSuchImage(t *testing.T, h *house) {
	for _, image := range []string{"no-such-image", "registry.example.org/team/image:1", "../" + imageName} {
		if _, r := h.try(t, order{command: untilTold, image: image}); r == nil || r.Code != "ValidationException" || !strings.Contains(r.Message, image) {
			t.Errorf("%s: %v", image, r)
		}
	}
}

func otherAccount(t *testing.T, h *house) {
	var made struct {
		CreateAccountStatus struct{ Id, AccountId, State, FailureReason string }
	}
	h.must(t, "admin", "organizations", "create_account", args{"AccountName": "second", "Email": "second@example.org"}, &made)
	eventually(t, "the account is made", func() bool {
		h.must(t, "admin", "organizations", "describe_create_account_status", args{"CreateAccountRequestId": made.CreateAccountStatus.Id}, &made)
		return made.CreateAccountStatus.State != "IN_PROGRESS"
	})
	other := made.CreateAccountStatus.AccountId
	h.do(t, "assume", args{"who": "second", "role": "arn:aws:iam::" + other + ":role/OrganizationAccountAccessRole"}, nil)
	name := h.start(t, order{command: untilTold})
	h.says(t, name, "ready")
	for _, operation := range []string{"describe_training_job", "stop_training_job"} {
		if r := h.call(t, "second", "sagemaker", operation, args{"TrainingJobName": name}, nil); r == nil || !strings.Contains(r.Message, "not found") {
			t.Errorf("%s from another account: %v", operation, r)
		}
	}
	var list struct{ TrainingJobSummaries []args }
	h.must(t, "second", "sagemaker", "list_training_jobs", args{}, &list)
	if len(list.TrainingJobSummaries) != 0 {
		t.Errorf("it sees %v", list)
	}
	var groups struct{ LogGroups []args }
	h.must(t, "second", "logs", "describe_log_groups", args{}, &groups)
	if len(groups.LogGroups) != 0 {
		t.Errorf("it sees %v", groups)
	}
	in := h.request("job-of-the-second", order{command: untilTold})
	for what, change := range map[string]args{
		"role":    {"RoleArn": h.role},
		"network": {"RoleArn": h.newRoleOf(t, "second"), "VpcConfig": args{"Subnets": []string{h.first.subnet}, "SecurityGroupIds": []string{h.first.jobs}}},
	} {
		asked := args{}
		for k, v := range in {
			asked[k] = v
		}
		for k, v := range change {
			asked[k] = v
		}
		if r := h.call(t, "second", "sagemaker", "create_training_job", asked, nil); r == nil {
			t.Errorf("it uses the %s of the first account", what)
		}
	}
	if s := h.describe(t, name); s.TrainingJobStatus != "InProgress" {
		t.Errorf("the job is %s", s.TrainingJobStatus)
	}
	h.must(t, "ada", "sagemaker", "stop_training_job", args{"TrainingJobName": name}, nil)
	expect(t, h.end(t, name), "Stopped", "Stopped")
}

// newRoleOf makes a role for jobs in somebody else's account.
func (h *house) newRoleOf(t testing.TB, who string) string {
	t.Helper()
	var made struct{ Role struct{ Arn string } }
	h.must(t, who, "iam", "create_role", args{"RoleName": "job-execution", "AssumeRolePolicyDocument": trusting("sagemaker.amazonaws.com")}, &made)
	return made.Role.Arn
}
