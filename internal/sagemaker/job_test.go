package sagemaker

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/host"
	iamshape "bawn.dev/internal/shape/iam"
	kmsshape "bawn.dev/internal/shape/kms"
	logshape "bawn.dev/internal/shape/logs"
	s3shape "bawn.dev/internal/shape/s3"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// train reads its data and leaves a model.
func train(p drivertest.Process, volume string) int {
	data, err := os.ReadFile(filepath.Join(volume, "input/data/train/deep/b.csv"))
	if err != nil {
		fmt.Fprintln(p.Stderr, err)
		return 1
	}
	fmt.Fprintf(p.Stdout, "rows: %s\n\nlog-secret-line\n", data)
	if err := os.WriteFile(filepath.Join(volume, "model/model.bin"), []byte("model-secret-bytes"), 0o600); err != nil {
		return 1
	}
	return 0
}

// untilTold ends when it is told to, and leaves a model first.
func untilTold(p drivertest.Process, volume string) int {
	if _, ok := <-p.Signals; !ok {
		return 1
	}
	if err := os.WriteFile(filepath.Join(volume, "model/checkpoint"), []byte("half"), 0o600); err != nil {
		return 1
	}
	return 0
}

func only(p program) map[string]program { return map[string]program{"program": p} }

func TestCompletes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := newHouseOver(t, open(t), t.TempDir(), only(train))
		in := h.request("First-Job")
		in.Tags = []shape.Tag{{Key: "team", Value: "red"}}
		h.finish(h.create(in))
		d := h.ended("First-Job", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
		if d.ModelArtifacts.S3ModelArtifacts != "s3://data/out/First-Job/output/model.tar.gz" {
			t.Errorf("the model is at %s", d.ModelArtifacts.S3ModelArtifacts)
		}
		if d.HyperParameters["depth"] != "hyper-secret-value" || d.Environment["TOKEN"] != "env-secret-value" {
			t.Error("hyperparameters and environment are not those of the request")
		}
		var states []string
		for _, tr := range d.SecondaryStatusTransitions {
			states = append(states, string(tr.Status))
		}
		if want := "Starting Downloading Training Uploading Completed"; strings.Join(states, " ") != want {
			t.Errorf("transitions %v, not %s", states, want)
		}
		if d.TrainingStartTime.IsZero() || d.TrainingEndTime.Before(d.TrainingStartTime) || *d.TrainingTimeInSeconds < 1 {
			t.Errorf("from %v to %v", d.TrainingStartTime, d.TrainingEndTime)
		}
		model, e := h.get("out/First-Job/output/model.tar.gz")
		if e != nil {
			t.Fatal(e)
		}
		if files := unpack(t, model); files["model.bin"] != "model-secret-bytes" {
			t.Errorf("the archive holds %v", files)
		}
		if _, e := h.get("out/First-Job/output/output.tar.gz"); e == nil || e.Code != "NoSuchKey" {
			t.Errorf("output without files: %v", e)
		}
		if lines := h.log(h.job("First-Job")); !slices.Equal(lines, []string{"rows: 4,5,6", " ", "log-secret-line"}) {
			t.Errorf("logged %q", lines)
		}
		if h.machine.starts["First-Job"] != 1 || !h.machine.removed["First-Job"] {
			t.Errorf("started %d times, removed: %v", h.machine.starts["First-Job"], h.machine.removed)
		}
		for _, secret := range []string{"hyper-secret-value", "env-secret-value", "log-secret-line", "model-secret-bytes"} {
			apitest.NoPlaintext(t, h.Dir, secret)
		}
	})
}

func unpack(t testing.TB, archive string) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[head.Name] = string(b)
	}
}

// Everything that a job does is done in its role, on behalf of its person.
func TestRecordsCarryRoleAndPerson(t *testing.T) {
	h := newHouse(t, only(train))
	h.finish(h.create(h.request("recorded")))
	for _, name := range []string{"GetObject", "ListObjectsV2", "PutObject", "GenerateDataKey"} {
		found := false
		for _, r := range h.Records(t, apitest.Account, name) {
			u := r.UserIdentity
			if u.Type != "AssumedRole" || !strings.HasSuffix(u.ARN, ":assumed-role/execution/SageMaker") {
				continue
			}
			found = true
			if u.OnBehalfOf == nil || u.OnBehalfOf.UserID != "ada" {
				t.Errorf("%s was not done on behalf of the person", name)
			}
			if i := u.InScopeOf; i == nil || i.IssuerType != "AWS::SageMaker::TrainingJob" || !strings.HasSuffix(i.CredentialsIssuedTo, ":training-job/recorded") {
				t.Errorf("%s does not name the job: %+v", name, i)
			}
		}
		if !found {
			t.Errorf("no %s was done in the role", name)
		}
	}
	states := h.Records(t, apitest.Account, "TrainingJobStateChange")
	if len(states) < 4 {
		t.Errorf("%d state changes are recorded", len(states))
	}
	for _, r := range append(states, h.Records(t, apitest.Account, "PutLogEvents")...) {
		if r.UserIdentity.OnBehalfOf == nil || r.UserIdentity.OnBehalfOf.UserID != "ada" {
			t.Errorf("%s carries no person", r.EventName)
		}
	}
}

func TestContract(t *testing.T) {
	got := map[string]string{}
	h := newHouse(t, only(func(p drivertest.Process, volume string) int {
		for _, name := range []string{"hyperparameters", "inputdataconfig", "resourceconfig"} {
			b, err := os.ReadFile(filepath.Join(volume, "input/config/"+name+".json"))
			if err != nil {
				return 1
			}
			got[name] = string(b)
		}
		got["args"] = strings.Join(p.Args, " ")
		for _, name := range []string{"TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION", "TOKEN", "FROM", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
			got[name] = variable(p, name)
		}
		return 0
	}))
	id := h.create(h.request("contract"))
	h.finish(id)
	h.ended("contract", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	for name, want := range map[string]string{
		"args": "train", "TRAINING_JOB_NAME": "contract", "TRAINING_JOB_ARN": h.describe("contract").TrainingJobArn,
		"AWS_REGION": apitest.Region, "TOKEN": "env-secret-value", "FROM": "image", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, not %q", name, got[name], want)
		}
	}
	for name, want := range map[string]string{
		"hyperparameters": `"depth": "hyper-secret-value"`, "inputdataconfig": `"S3DistributionType": "FullyReplicated"`,
		"resourceconfig": `"current_host": "algo-1"`,
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s.json is %s", name, got[name])
		}
	}
	s := h.machine.lastOrder.Spec
	if s.Limits.MilliCPUs != 2000 || s.Limits.MemoryBytes != 8*gib || s.Limits.DiskBytes != gib || s.Limits.MaxRuntimeSeconds != 600 {
		t.Errorf("limits %+v", s.Limits)
	}
	if s.Stop.GraceSeconds != 120 || s.Stop.Signal != 15 || s.User.UID != 1000 || s.WorkingDir != "/work" || s.Network.Mode != "none" {
		t.Errorf("%+v", s)
	}
}

func TestAlgorithmError(t *testing.T) {
	h := newHouse(t, only(func(p drivertest.Process, volume string) int {
		for name, text := range map[string]string{"failure": "the loss is NaN: failure-secret", "data/report.txt": "report"} {
			path := filepath.Join(volume, "output", name)
			if os.MkdirAll(filepath.Dir(path), 0o700) != nil || os.WriteFile(path, []byte(text), 0o600) != nil {
				return 1
			}
		}
		return 7
	}))
	h.finish(h.create(h.request("broken")))
	d := h.ended("broken", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "AlgorithmError: the loss is NaN: failure-secret, exit code: 7")
	if d.ModelArtifacts.S3ModelArtifacts != "" {
		t.Error("a failed job has a model")
	}
	output, e := h.get("out/broken/output/output.tar.gz")
	if e != nil || unpack(t, output)["report.txt"] != "report" {
		t.Errorf("output.tar.gz: %v", e)
	}
	apitest.NoPlaintext(t, h.Dir, "failure-secret")
}

// A program may write anything of any length where its failure is read.
func TestLongFailureText(t *testing.T) {
	h := newHouse(t, only(func(_ drivertest.Process, volume string) int {
		if os.WriteFile(filepath.Join(volume, "output/failure"), []byte(strings.Repeat("ü\xff", 1<<16)), 0o600) != nil {
			return 0
		}
		return 1
	}))
	h.finish(h.create(h.request("long")))
	d := h.ended("long", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, ", exit code: 1")
	if n := len([]rune(d.FailureReason)); n > 1024 {
		t.Errorf("the reason has %d characters", n)
	}
}

func TestOutOfMemory(t *testing.T) {
	h := newHouse(t, only(func(p drivertest.Process, _ string) int {
		p.Allocate(9 * gib)
		return 0
	}))
	h.finish(h.create(h.request("large")))
	h.ended("large", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "ClientError: Please use an instance type with more memory")
}

func TestStop(t *testing.T) {
	h := newHouse(t, only(untilTold))
	id := h.create(h.request("stopped"))
	h.settle(id)
	if d := h.describe("stopped"); d.SecondaryStatus != shape.SecondaryStatusTraining {
		t.Fatalf("it is %s", d.SecondaryStatus)
	}
	h.stop("stopped")
	h.stop("stopped") // again is no error
	h.finish(id)
	d := h.ended("stopped", shape.TrainingJobStatusStopped, shape.SecondaryStatusStopped, "")
	if d.ModelArtifacts.S3ModelArtifacts == "" {
		t.Error("what it had made was not kept")
	}
	_, err := apitest.CallAs[shape.StopTrainingJobOutput](t, h.Rig, h.admin, "", "sagemaker:StopTrainingJob", &shape.StopTrainingJobInput{TrainingJobName: "stopped"})
	if err == nil || err.Code != "ValidationException" {
		t.Errorf("a stopped job was stopped: %v", err)
	}
}

func TestStopBeforeItRuns(t *testing.T) {
	h := newHouse(t, only(train))
	id := h.create(h.request("early"))
	h.stop("early")
	h.finish(id)
	h.ended("early", shape.TrainingJobStatusStopped, shape.SecondaryStatusStopped, "")
	if h.machine.starts["early"] != 0 {
		t.Error("it ran")
	}
}

func TestMaxRuntime(t *testing.T) {
	h := newHouse(t, only(untilTold))
	id := h.create(h.request("slow"))
	h.settle(id)
	h.machine.expire(id)
	h.finish(id)
	d := h.ended("slow", shape.TrainingJobStatusStopped, shape.SecondaryStatusMaxRuntimeExceeded, "")
	if d.ModelArtifacts.S3ModelArtifacts == "" {
		t.Error("what it had made was not kept")
	}
}

// A workload that is gone with its machine is not run again.
func TestMachineRestarts(t *testing.T) {
	h := newHouse(t, only(untilTold))
	id := h.create(h.request("lost"))
	h.settle(id)
	h.machine.restart()
	h.finish(id)
	h.ended("lost", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "InternalServerError")
	if h.machine.starts["lost"] != 1 {
		t.Errorf("it was started %d times", h.machine.starts["lost"])
	}
}

func TestMissingData(t *testing.T) {
	h := newHouse(t, only(train))
	in := h.request("nodata")
	in.InputDataConfig[0].DataSource.S3DataSource.S3Uri = "s3://data/train/none"
	h.finish(h.create(in))
	h.ended("nodata", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "ClientError: Data download failed")
	if h.machine.starts["nodata"] != 0 {
		t.Error("it ran")
	}
}

// The role's permissions decide, not those of the one who made the job.
func TestRoleWithoutPermission(t *testing.T) {
	h := newHouse(t, only(train))
	in := h.request("denied")
	in.RoleArn = h.newRole("poor", trustSageMaker, `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::data"}`)
	h.finish(h.create(in))
	h.ended("denied", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "AccessDenied")

	in = h.request("nowhere")
	in.OutputDataConfig.S3OutputPath = "s3://data/elsewhere"
	h.finish(h.create(in))
	h.ended("nowhere", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "Failed to upload s3://data/elsewhere/nowhere/output/model.tar.gz")
}

// Keys are names, and names of files only if they can be.
func TestKeysThatAreNoFiles(t *testing.T) {
	for i, key := range []string{"train/../escape", "train//double", "train/a/./b", "train/nl\nx", "train/."} {
		h := newHouse(t, only(train))
		h.put(key, "x")
		h.finish(h.create(h.request(fmt.Sprint("key", i))))
		h.ended(fmt.Sprint("key", i), shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "cannot be")
	}
}

func TestPersonRemoved(t *testing.T) {
	h := newHouse(t, only(untilTold))
	id := h.create(h.request("orphan"))
	h.settle(id)
	h.RemovePerson("ada")
	h.admin.Person = nil
	h.finish(id)
	h.ended("orphan", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "person")
	if !h.machine.locked["orphan"] || !h.machine.removed["orphan"] {
		t.Error("it still runs")
	}
}

func TestRoleRemoved(t *testing.T) {
	h := newHouse(t, only(untilTold))
	id := h.create(h.request("roleless"))
	h.settle(id)
	call[iamshape.DeleteRolePolicyOutput](h, h.admin, "iam:DeleteRolePolicy", &iamshape.DeleteRolePolicyInput{RoleName: "execution", PolicyName: "p"})
	call[iamshape.DeleteRoleOutput](h, h.admin, "iam:DeleteRole", &iamshape.DeleteRoleInput{RoleName: "execution"})
	h.newRole("execution", trustSageMaker, `{"Effect":"Allow","Action":"*","Resource":"*"}`) // of the same name, and another role
	h.finish(id)
	h.ended("roleless", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "no longer there")
}

func TestTrustWithdrawn(t *testing.T) {
	h := newHouse(t, only(untilTold))
	id := h.create(h.request("untrusted"))
	h.settle(id)
	call[iamshape.UpdateAssumeRolePolicyOutput](h, h.admin, "iam:UpdateAssumeRolePolicy", &iamshape.UpdateAssumeRolePolicyInput{
		RoleName: "execution", PolicyDocument: document(`{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`),
	})
	h.finish(id)
	h.ended("untrusted", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "does not allow principal")
}

func TestKeyDisabled(t *testing.T) {
	h := newHouse(t, only(untilTold))
	key := h.newKey()
	h.grantKey(key.Arn)
	in := h.request("sealed")
	in.ResourceConfig.VolumeKmsKeyId = key.KeyId
	id := h.create(in)
	h.settle(id)
	call[kmsshape.DisableKeyOutput](h, h.admin, "kms:DisableKey", &kmsshape.DisableKeyInput{KeyId: key.KeyId})
	h.finish(id)
	h.ended("sealed", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "DisabledException")
	if !h.machine.locked["sealed"] {
		t.Error("the volume was not locked")
	}
}

// A key that is turned off while data is brought, or taken, breaks that off.
func TestKeyDisabledWhileBytesFlow(t *testing.T) {
	for _, name := range []string{"staging", "uploading"} {
		h := newHouse(t, only(train))
		key := h.newKey()
		h.grantKey(key.Arn)
		in := h.request(name)
		in.ResourceConfig.VolumeKmsKeyId = key.KeyId
		id := h.create(in)
		h.service.Machines = &slow{h.machine, name == "staging", func() {
			call[kmsshape.DisableKeyOutput](h, h.admin, "kms:DisableKey", &kmsshape.DisableKeyInput{KeyId: key.KeyId})
		}}
		h.finish(id)
		h.ended(name, shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "DisabledException")
		if !h.machine.locked[name] || !h.machine.removed[name] {
			t.Errorf("%s: the volume was not locked", name)
		}
	}
}

// slow is a machine whose files never come to their end.
type slow struct {
	Machines
	put    bool
	begins func()
}

func (s *slow) Put(ctx context.Context, id, path string, r io.Reader) error {
	if !s.put || !strings.Contains(path, "/data/") {
		return s.Machines.Put(ctx, id, path, r)
	}
	s.begins()
	<-ctx.Done()
	return ctx.Err()
}

func (s *slow) Archive(ctx context.Context, id, dir string) (io.ReadCloser, error) {
	if dir != volumeModel {
		return s.Machines.Archive(ctx, id, dir)
	}
	s.begins()
	return io.NopCloser(until{ctx}), nil
}

type until struct{ context.Context }

func (u until) Read([]byte) (int, error) {
	<-u.Done()
	return 0, u.Err()
}

// grantKey lets the execution role use a key through the service.
func (h *house) grantKey(arn string) {
	h.t.Helper()
	call[iamshape.PutRolePolicyOutput](h, h.admin, "iam:PutRolePolicy", &iamshape.PutRolePolicyInput{RoleName: "execution", PolicyName: "key",
		PolicyDocument: document(`{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"` + arn + `"}`)})
}

// The output lies under the key that was asked for, and the volume's key under its
// own encryption context.
func TestKeys(t *testing.T) {
	h := newHouse(t, only(train))
	key := h.newKey()
	h.grantKey(key.Arn)
	in := h.request("keys")
	in.ResourceConfig.VolumeKmsKeyId, in.OutputDataConfig.KmsKeyId = key.Arn, key.KeyId
	h.finish(h.create(in))
	h.ended("keys", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	head := call[s3shape.HeadObjectOutput](h, h.admin, "s3:HeadObject", &s3shape.HeadObjectInput{Bucket: "data", Key: "out/keys/output/model.tar.gz"})
	if head.SSEKMSKeyId != key.Arn {
		t.Errorf("the model lies under %s", head.SSEKMSKeyId)
	}
	sealed := h.job("keys").volumeKey
	_, err := apitest.CallAs[kmsshape.DecryptOutput](t, h.Rig, h.admin, "", "kms:Decrypt", &kmsshape.DecryptInput{
		CiphertextBlob: sealed, EncryptionContext: map[string]string{"aws:sagemaker:job-arn": h.describe("keys").TrainingJobArn + "x"},
	})
	if err == nil || err.Code != "InvalidCiphertextException" {
		t.Errorf("another job's context opens the key: %v", err)
	}
}

func TestWhatTheMachineLacks(t *testing.T) {
	h := newHouse(t, only(train))
	id := h.create(h.request("before"))
	h.machine.can = host.Capabilities{Sandbox: []string{"There is no runsc."}}
	refused(h, h.admin, h.request("after"), "ValidationException", "There is no runsc.")
	h.finish(id)
	h.ended("before", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "There is no runsc.")
	h.service.Machines = nil
	refused(h, h.admin, h.request("none"), "ValidationException", "`bawn host` does not run")
}

// Every line arrives, once and in order, however many there are.
func TestManyLines(t *testing.T) {
	const n = 2*maxLines + 500
	h := newHouse(t, only(func(p drivertest.Process, _ string) int {
		for i := range n {
			fmt.Fprintf(p.Stdout, "line %d\n", i)
		}
		return 0
	}))
	h.finish(h.create(h.request("talkative")))
	lines := h.log(h.job("talkative"))
	if len(lines) != n || lines[n-1] != fmt.Sprint("line ", n-1) {
		t.Fatalf("%d lines of %d arrived", len(lines), n)
	}
}

// Lines that the log service may not seal are given up at the end, with a record; the
// job is not lost with them.
func TestLogRefused(t *testing.T) {
	h := newHouse(t, only(train))
	key := call[kmsshape.CreateKeyOutput](h, h.admin, "kms:CreateKey", &kmsshape.CreateKeyInput{Policy: document(
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + apitest.Account + `:root"},"Action":"kms:*","Resource":"*"},
		 {"Effect":"Allow","Principal":{"Service":"logs.` + apitest.Region + `.amazonaws.com"},"Action":"kms:*","Resource":"*"}`)}).KeyMetadata
	call[logshape.CreateLogGroupOutput](h, h.admin, "logs:CreateLogGroup", &logshape.CreateLogGroupInput{LogGroupName: logGroup, KmsKeyId: key.Arn})
	call[kmsshape.DisableKeyOutput](h, h.admin, "kms:DisableKey", &kmsshape.DisableKeyInput{KeyId: key.KeyId})
	h.finish(h.create(h.request("silenced")))
	h.ended("silenced", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	if len(h.Records(t, apitest.Account, "TrainingJobLogUndelivered")) != 1 {
		t.Error("that lines were given up is not recorded")
	}
}

// What S3 asks of KMS for a job says for whom: the job's session, the service that
// asked, the job and its person.
func TestKeysAskedForByAnotherServiceAreTheJobs(t *testing.T) {
	h := newHouse(t, only(train))
	h.finish(h.create(h.request("keyed")))
	asked := map[string]int{}
	for _, name := range []string{"GenerateDataKey", "Decrypt"} {
		for _, r := range h.Records(t, apitest.Account, name) {
			u := r.UserIdentity
			if u.Type != "AssumedRole" {
				continue
			}
			asked[u.InvokedBy]++
			if !strings.HasSuffix(u.ARN, ":assumed-role/execution/SageMaker") || u.OnBehalfOf == nil || u.OnBehalfOf.UserID != "ada" ||
				u.InScopeOf == nil || !strings.HasSuffix(u.InScopeOf.CredentialsIssuedTo, ":training-job/keyed") || u.SessionContext == nil {
				t.Errorf("%s for %s is by %+v", name, u.InvokedBy, u)
			}
			if u.InvokedBy == "s3.amazonaws.com" && (r.ParentRequestID == "" || r.SourceIP != "s3.amazonaws.com" || r.UserAgent != "s3.amazonaws.com") {
				t.Errorf("%s of S3 came from %s by %s, for request %q", name, r.SourceIP, r.UserAgent, r.ParentRequestID)
			}
		}
	}
	if asked["s3.amazonaws.com"] == 0 || asked["sagemaker.amazonaws.com"] == 0 {
		t.Errorf("asked by %v", asked)
	}
}
