package sagemaker

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/driver/drivertest"
	iamshape "bawn.dev/internal/shape/iam"
	kmsshape "bawn.dev/internal/shape/kms"
	shape "bawn.dev/internal/shape/sagemaker"
)

// byServiceOnly is what Amazon's documentation gives an execution role for a key.
const byServiceOnly = `{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}},
	{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"*"}`

// grantedKey makes a key which the execution role may use by grants of services only.
func (h *house) grantedKey() *kmsshape.KeyMetadata {
	h.t.Helper()
	h.putPolicy("key", byServiceOnly)
	return h.newKey()
}

// putPolicy gives the execution role a policy.
func (h *house) putPolicy(name, statements string) {
	h.t.Helper()
	call[iamshape.PutRolePolicyOutput](h, h.admin, "iam:PutRolePolicy", &iamshape.PutRolePolicyInput{
		RoleName: "execution", PolicyName: name, PolicyDocument: document(statements),
	})
}

func (h *house) grants(key *kmsshape.KeyMetadata) []kmsshape.GrantListEntry {
	h.t.Helper()
	return call[kmsshape.ListGrantsOutput](h, h.admin, "kms:ListGrants", &kmsshape.ListGrantsInput{KeyId: key.KeyId}).Grants
}

// under is a request whose volume is to lie under a key.
func (h *house) under(name, key string) *shape.CreateTrainingJobInput {
	in := h.request(name)
	in.ResourceConfig.VolumeKmsKeyId = key
	return in
}

func jobContext(name string) map[string]string {
	return map[string]string{"aws:sagemaker:job-arn": "arn:aws:sagemaker:" + apitest.Region + ":" + apitest.Account + ":training-job/" + name}
}

// A role that may only have services make grants runs jobs; each job has one grant, for
// its own volume and as long as that is there.
func TestVolumeByGrant(t *testing.T) {
	h := newHouse(t, only(untilTold))
	key := h.grantedKey()
	call[kmsshape.CreateAliasOutput](h, h.admin, "kms:CreateAlias", &kmsshape.CreateAliasInput{AliasName: "alias/volumes", TargetKeyId: key.KeyId})
	for name, id := range map[string]string{"by-id": key.KeyId, "by-arn": key.Arn, "by-alias": "alias/volumes"} {
		job := h.create(h.under(name, id))
		h.settle(job)
		all := h.grants(key)
		if len(all) != 1 {
			t.Fatalf("%s has %d grants: %s", name, len(all), h.describe(name).FailureReason)
		}
		g := all[0]
		if g.GranteePrincipal != h.role || g.RetiringPrincipal != h.role || g.Name != jobContext(name)["aws:sagemaker:job-arn"] || len(g.Operations) != 2 ||
			!slices.Contains(g.Operations, kmsshape.GrantOperationDecrypt) || !slices.Contains(g.Operations, kmsshape.GrantOperationGenerateDataKey) ||
			g.Constraints == nil || !maps.Equal(g.Constraints.EncryptionContextEquals, jobContext(name)) {
			t.Errorf("%s: %+v", name, g)
		}
		h.stop(name)
		h.finish(job)
		h.ended(name, shape.TrainingJobStatusStopped, shape.SecondaryStatusStopped, "")
		if left := h.grants(key); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
		for _, event := range []string{"CreateGrant", "Decrypt", "RetireGrant"} {
			if !h.recorded(event, g.GrantId) {
				t.Errorf("%s: no %s of the grant is recorded for the person", name, event)
			}
		}
	}
	for _, r := range h.Records(t, apitest.Account, "CreateGrant") {
		if u := r.UserIdentity; !strings.HasSuffix(u.ARN, ":assumed-role/execution/SageMaker") || u.InvokedBy != principal {
			t.Errorf("a grant was made by %s through %q", u.ARN, u.InvokedBy)
		}
	}
}

// recorded says whether an event that names the grant carries the person.
func (h *house) recorded(event, grant string) bool {
	for _, r := range h.Records(h.t, apitest.Account, event) {
		text := string(r.AdditionalEventData) + string(r.ResponseElements)
		if u := r.UserIdentity; strings.Contains(text, grant) && u.OnBehalfOf != nil && u.OnBehalfOf.UserID == "ada" {
			return true
		}
	}
	return false
}

// However a job ends, its grant does too: also when nobody may retire it any more.
func TestNoGrantStaysBehind(t *testing.T) {
	fails := only(func(drivertest.Process, string) int { return 1 })
	for name, c := range map[string]struct {
		programs map[string]program
		before   func(*house, *shape.CreateTrainingJobInput)
		during   func(*house, *kmsshape.KeyMetadata)
		status   shape.TrainingJobStatus
	}{
		"completed": {programs: only(train), status: shape.TrainingJobStatusCompleted},
		"failed":    {programs: fails, status: shape.TrainingJobStatusFailed},
		"no-data": {programs: only(train), status: shape.TrainingJobStatusFailed, before: func(_ *house, in *shape.CreateTrainingJobInput) {
			in.InputDataConfig[0].DataSource.S3DataSource.S3Uri = "s3://data/train/none"
		}},
		"no-key": {programs: only(train), status: shape.TrainingJobStatusFailed, before: func(h *house, _ *shape.CreateTrainingJobInput) {
			h.putPolicy("no", `{"Effect":"Deny","Action":["kms:Decrypt","kms:RetireGrant"],"Resource":"*"}`)
		}},
		"retiring-denied": {status: shape.TrainingJobStatusStopped, during: func(h *house, _ *kmsshape.KeyMetadata) {
			h.putPolicy("no", `{"Effect":"Deny","Action":"kms:RetireGrant","Resource":"*"}`)
			h.stop("retiring-denied")
		}},
		"key-disabled": {status: shape.TrainingJobStatusFailed, during: func(h *house, k *kmsshape.KeyMetadata) {
			call[kmsshape.DisableKeyOutput](h, h.admin, "kms:DisableKey", &kmsshape.DisableKeyInput{KeyId: k.KeyId})
		}},
		"key-doomed": {status: shape.TrainingJobStatusFailed, during: func(h *house, k *kmsshape.KeyMetadata) {
			call[kmsshape.ScheduleKeyDeletionOutput](h, h.admin, "kms:ScheduleKeyDeletion", &kmsshape.ScheduleKeyDeletionInput{KeyId: k.KeyId})
		}},
		"untrusted": {status: shape.TrainingJobStatusFailed, during: func(h *house, _ *kmsshape.KeyMetadata) {
			call[iamshape.UpdateAssumeRolePolicyOutput](h, h.admin, "iam:UpdateAssumeRolePolicy", &iamshape.UpdateAssumeRolePolicyInput{
				RoleName: "execution", PolicyDocument: document(`{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`),
			})
		}},
		"role-deleted": {status: shape.TrainingJobStatusFailed, during: func(h *house, _ *kmsshape.KeyMetadata) {
			for _, p := range []string{"p", "key"} {
				call[iamshape.DeleteRolePolicyOutput](h, h.admin, "iam:DeleteRolePolicy", &iamshape.DeleteRolePolicyInput{RoleName: "execution", PolicyName: p})
			}
			call[iamshape.DeleteRoleOutput](h, h.admin, "iam:DeleteRole", &iamshape.DeleteRoleInput{RoleName: "execution"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.during != nil {
				c.programs = only(untilTold)
			}
			h := newHouse(t, c.programs)
			key := h.grantedKey()
			in := h.under(name, key.KeyId)
			if c.before != nil {
				c.before(h, in)
			}
			id := h.create(in)
			if c.during != nil {
				h.settle(id)
				if len(h.grants(key)) != 1 {
					t.Fatalf("it has no grant: %s", h.describe(name).FailureReason)
				}
				c.during(h, key)
			}
			h.finish(id)
			if d := h.describe(name); d.TrainingJobStatus != c.status {
				t.Errorf("it is %s: %s", d.TrainingJobStatus, d.FailureReason)
			}
			if left := h.grants(key); len(left) > 0 {
				t.Errorf("it left %+v", left)
			}
			if n := len(h.Records(t, apitest.Account, "RetireGrant")); n != 1 {
				t.Errorf("the end of the grant has %d records", n)
			}
		})
	}
}

// A kill between a grant and what the job's row says of it leaves no second grant, and
// in the end none.
func TestKilledRoundTheGrant(t *testing.T) {
	for _, stops := range []bool{false, true} {
		h := newHouse(t, only(train))
		key := h.grantedKey()
		id := h.create(h.under("killed", key.KeyId))
		for range 3 { // nobody heard of what was made
			if _, err := h.service.newVolumeKey(t.Context(), h.job("killed")); err != nil {
				t.Fatal(err)
			}
			h.restart(h.machine)
		}
		if n := len(h.grants(key)); n != 1 {
			t.Fatalf("there are %d grants", n)
		}
		if stops {
			h.stop("killed")
		}
		retire, again := h.config.RetireGrants, false
		h.service.RetireGrants = func(ctx context.Context, role api.Claim, name string) error {
			if err := retire(ctx, role, name); err != nil || again {
				return err
			}
			again = true
			return errKilled
		}
		w := &worker{Service: h.service}
		for {
			wait, err := w.step(t.Context(), id)
			if errors.Is(err, errKilled) {
				w = &worker{Service: h.service}
				continue
			}
			h.must(err)
			if wait == finished {
				break
			}
			if wait > 0 {
				h.exit(id)
			}
		}
		if left := h.grants(key); len(left) > 0 || !again {
			t.Errorf("it left %+v", left)
		}
		if n := len(h.Records(t, apitest.Account, "RetireGrant")); n != 1 {
			t.Errorf("the end of the grant has %d records", n)
		}
	}
}

// Who may use the key has no grant; who may neither use it nor have grants made hears
// of CreateGrant, as on AWS. A role that may make data keys only needs the grant.
func TestGrantsWhereTheyAreNeeded(t *testing.T) {
	h := newHouse(t, only(train))
	key := h.newKey()
	h.finish(h.create(h.under("neither", key.KeyId)))
	h.ended("neither", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, `not authorized to perform: kms:CreateGrant on resource: "`+key.Arn+`"`)

	made := func() (n int) {
		for _, r := range h.Records(t, apitest.Account, "CreateGrant") {
			if r.ErrorCode == "" {
				n++
			}
		}
		return n
	}
	h.putPolicy("key", `{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt","kms:CreateGrant"],"Resource":"*"}`)
	h.finish(h.create(h.under("both", key.KeyId)))
	h.ended("both", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	if made() != 0 {
		t.Error("a grant was made that nobody needed")
	}
	h.putPolicy("key", `{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:CreateGrant"],"Resource":"*"}`)
	h.finish(h.create(h.under("half", key.KeyId)))
	h.ended("half", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	if n := made(); n != 1 {
		t.Errorf("%d grants were made", n)
	}
}

// A grant cannot say through which service: who has the role's credentials can use it
// as well. That yields keys of nothing, since what sealed the volume is shown to nobody.
func TestWorkloadAndItsGrant(t *testing.T) {
	h := newHouse(t, only(untilTold))
	key := h.grantedKey()
	one, two := h.create(h.under("one", key.KeyId)), h.create(h.under("two", key.KeyId))
	h.settle(one)
	claim := h.job("one").claim() // as Mint hands it out
	tried := func(action string, in any) string {
		c, err := h.Door.Begin(t.Context(), claim, "")
		h.must(err)
		_, err = api.InvokeAny(t.Context(), c, "kms:"+action, in)
		if e, ok := errors.AsType[*api.Error](err); ok {
			return e.Code
		}
		h.must(err)
		return ""
	}
	sealed, foreign := h.job("one").volumeKey, jobContext("two")
	for what, c := range map[string]struct {
		action string
		in     any
		code   string
	}{
		// What AWS's grants allow as well.
		"a data key of the own context":  {"GenerateDataKey", &kmsshape.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: kmsshape.DataKeySpecAes256, EncryptionContext: jobContext("one")}, ""},
		"the own sealed key, if it knew": {"Decrypt", &kmsshape.DecryptInput{CiphertextBlob: sealed, EncryptionContext: jobContext("one")}, ""},

		"another job's context": {"GenerateDataKey", &kmsshape.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: kmsshape.DataKeySpecAes256, EncryptionContext: foreign}, "AccessDenied"},
		"no context":            {"GenerateDataKey", &kmsshape.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: kmsshape.DataKeySpecAes256}, "AccessDenied"},
		"encrypting":            {"Encrypt", &kmsshape.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionContext: jobContext("one")}, "AccessDenied"},
		"decrypting otherwise":  {"Decrypt", &kmsshape.DecryptInput{CiphertextBlob: sealed, EncryptionContext: foreign}, "AccessDenied"},
		"re-encrypting": {"ReEncrypt", &kmsshape.ReEncryptInput{CiphertextBlob: sealed, DestinationKeyId: key.KeyId,
			SourceEncryptionContext: jobContext("one"), DestinationEncryptionContext: jobContext("one")}, "AccessDenied"},
		"a grant of its own": {"CreateGrant", &kmsshape.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: h.role,
			Operations: []kmsshape.GrantOperation{kmsshape.GrantOperationDecrypt}}, "AccessDenied"},
		"the same grant": {"CreateGrant", &kmsshape.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: h.role, RetiringPrincipal: h.role,
			Name: foreign["aws:sagemaker:job-arn"], Operations: []kmsshape.GrantOperation{kmsshape.GrantOperationDecrypt, kmsshape.GrantOperationGenerateDataKey},
			Constraints: &kmsshape.GrantConstraints{EncryptionContextEquals: foreign}}, "AccessDenied"},
		"looking at grants": {"ListGrants", &kmsshape.ListGrantsInput{KeyId: key.KeyId}, "AccessDenied"},
	} {
		if code := tried(c.action, c.in); code != c.code {
			t.Errorf("%s: %q, not %q", what, code, c.code)
		}
	}
	// The sealed key is in nothing that a call answers, and in no record.
	told := fmt.Sprintf("%+v", h.describe("one"))
	for _, event := range []string{"GenerateDataKey", "Decrypt", "CreateGrant", "TrainingJobStateChange"} {
		for _, r := range h.Records(t, apitest.Account, event) {
			told += string(r.RequestParameters) + string(r.ResponseElements) + string(r.AdditionalEventData)
		}
	}
	if strings.Contains(told, base64.StdEncoding.EncodeToString(sealed)) {
		t.Error("the sealed key is told")
	}
	// To give up its own grant ends its own job, and no other.
	h.settle(two)
	all := h.grants(key)
	own := slices.IndexFunc(all, func(g kmsshape.GrantListEntry) bool { return g.Name == jobContext("one")["aws:sagemaker:job-arn"] })
	if own < 0 || len(all) != 2 {
		t.Fatalf("the grants are %+v", all)
	}
	if code := tried("RetireGrant", &kmsshape.RetireGrantInput{KeyId: key.Arn, GrantId: all[own].GrantId}); code != "" {
		t.Fatalf("retiring its own: %s", code)
	}
	h.finish(one)
	h.ended("one", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "kms:Decrypt")
	if !h.machine.locked["one"] {
		t.Error("the volume was not locked")
	}
	h.settle(two)
	if d := h.describe("two"); d.TrainingJobStatus != shape.TrainingJobStatusInProgress || len(h.grants(key)) != 1 {
		t.Errorf("the other is %s", d.TrainingJobStatus)
	}
	h.stop("two")
	h.finish(two)
}
