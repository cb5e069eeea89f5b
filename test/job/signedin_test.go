package job

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// A signedIn is what the sign-in API answers, and the portal's for credentials.
type signedIn struct {
	Flow, Session, UserId, Failure string
	RecoveryCodes                  []string
	Totp                           *struct{ Secret string }
	RoleCredentials                args
}

// page is a call of the portal's pages: its status and what it answers.
func (h *house) page(t testing.TB, operation string, in args) (int, *signedIn) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "BawnSignIn."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	return h.answered(t, r)
}

func (h *house) answered(t testing.TB, r *http.Request) (int, *signedIn) {
	t.Helper()
	resp, err := h.client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := &signedIn{}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out
}

// prove goes on with a sign-in, or begins one where in says of whom.
func (h *house) prove(t testing.TB, flow string, in args) *signedIn {
	t.Helper()
	const binding = "a cookie of the browser"
	if name, begins := in["UserName"]; begins {
		_, begun := h.page(t, "BeginSignIn", args{"UserName": name, "Binding": binding})
		delete(in, "UserName")
		flow = begun.Flow
	}
	in["Flow"], in["Binding"] = flow, binding
	_, out := h.page(t, "ContinueSignIn", in)
	if out.Failure != "" {
		t.Fatalf("%v: %+v", in, out)
	}
	return out
}

const (
	goodPassword   = "seven lamps over Dublin"
	betterPassword = "nine bridges of Cork city"
)

// portal lets somebody new in by the portal, with a permission set by which she starts
// jobs, and answers her id, her sign-in and her recovery codes.
func (h *house) portal(t testing.TB, name, set string) (args, *signedIn) {
	t.Helper()
	var list struct {
		Instances []struct{ IdentityStoreId, InstanceArn string }
	}
	h.must(t, "admin", "sso-admin", "list_instances", args{}, &list)
	centre := list.Instances[0]
	var user args
	h.must(t, "admin", "identitystore", "create_user", args{"IdentityStoreId": centre.IdentityStoreId, "UserName": name, "DisplayName": name,
		"Name": args{"GivenName": name, "FamilyName": "Example"}}, &user)
	var assigned struct {
		AccountAssignmentCreationStatus struct{ RequestId, Status string }
	}
	h.must(t, "admin", "sso-admin", "create_account_assignment", args{"InstanceArn": centre.InstanceArn, "PermissionSetArn": set, "TargetId": account,
		"TargetType": "AWS_ACCOUNT", "PrincipalType": "USER", "PrincipalId": user["UserId"]}, &assigned)
	eventually(t, name+" is assigned", func() bool {
		h.must(t, "admin", "sso-admin", "describe_account_assignment_creation_status", args{"InstanceArn": centre.InstanceArn,
			"AccountAssignmentCreationRequestId": assigned.AccountAssignmentCreationStatus.RequestId}, &assigned)
		return assigned.AccountAssignmentCreationStatus.Status == "SUCCEEDED"
	})
	once := h.oneTime(t, name)
	out := h.prove(t, "", args{"UserName": name, "Password": once})
	out = h.prove(t, out.Flow, args{"NewPassword": goodPassword})
	code, err := totp.GenerateCode(out.Totp.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	out = h.prove(t, out.Flow, args{"Code": code})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/federation/credentials?account_id="+account+"&role_name=JobStarter", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-amz-sso_bearer_token", out.Session)
	status, fetched := h.answered(t, r)
	if status != http.StatusOK {
		t.Fatalf("%d %+v", status, fetched)
	}
	keys := fetched.RoleCredentials
	h.do(t, "use", args{"who": name, "credentials": args{
		"AccessKeyId": keys["accessKeyId"], "SecretAccessKey": keys["secretAccessKey"], "SessionToken": keys["sessionToken"]}}, nil)
	return args{"IdentityStoreId": centre.IdentityStoreId, "UserId": user["UserId"]}, out
}

// oneTime is what an administrator tells somebody.
func (h *house) oneTime(t testing.TB, name string) string {
	t.Helper()
	return strings.TrimSpace(h.bawn(t, "people", "set-password", name))
}

// What a person has running goes on when she changes her password and signs out; it
// ends when an administrator ends what is done on her behalf.
func TestJobsOutliveTheLogin(t *testing.T) {
	h := open(t)
	var list struct {
		Instances []struct{ InstanceArn string }
	}
	h.must(t, "admin", "sso-admin", "list_instances", args{}, &list)
	var set struct {
		PermissionSet struct{ PermissionSetArn string }
	}
	h.must(t, "admin", "sso-admin", "create_permission_set", args{"InstanceArn": list.Instances[0].InstanceArn, "Name": "JobStarter"}, &set)
	h.must(t, "admin", "sso-admin", "put_inline_policy_to_permission_set", args{"InstanceArn": list.Instances[0].InstanceArn,
		"PermissionSetArn": set.PermissionSet.PermissionSetArn, "InlinePolicy": document(allow([]string{"sagemaker:*", "iam:PassRole", "s3:*", "kms:*", "logs:*"}, "*"))}, nil)
	_, first := h.portal(t, "ida", set.PermissionSet.PermissionSetArn)
	other, _ := h.portal(t, "eva", set.PermissionSet.PermissionSetArn)
	hers, others := h.start(t, order{who: "ida", command: untilTold}), h.start(t, order{who: "eva", command: untilTold})
	h.says(t, hers, "ready")
	h.says(t, others, "ready")

	again := h.prove(t, "", args{"UserName": "ida", "Password": goodPassword})
	again = h.prove(t, again.Flow, args{"RecoveryCode": first.RecoveryCodes[0]})
	if status, out := h.page(t, "ChangePassword", args{"Session": again.Session, "OldPassword": goodPassword, "NewPassword": betterPassword}); status != 200 || out.Failure != "" {
		t.Fatalf("%d %+v", status, out)
	}
	if status, _ := h.page(t, "DescribeOwn", args{"Session": first.Session}); status != http.StatusUnauthorized {
		t.Errorf("where she was signed in before answers %d", status)
	}
	if status, _ := h.page(t, "EndAllSessions", args{"Session": again.Session}); status != 200 {
		t.Fatal(status)
	}
	if status, _ := h.page(t, "DescribeOwn", args{"Session": again.Session}); status != http.StatusUnauthorized {
		t.Errorf("signed out, it answers %d", status)
	}
	// Whoever is to end jobs has been there when another's has ended.
	h.must(t, "admin", "identitystore", "delete_user", other, nil)
	expect(t, h.end(t, others), "Failed", "Failed", "person", "no longer")
	if s := h.describe(t, hers); s.TrainingJobStatus != "InProgress" {
		t.Fatalf("her job is %s: %s", s.TrainingJobStatus, s.FailureReason)
	}
	h.must(t, "ida", "sagemaker", "describe_training_job", args{"TrainingJobName": hers}, nil) // by the role session of before
	h.bawn(t, "people", "end-sessions", "ida")
	expect(t, h.end(t, hers), "Failed", "Failed", "person", "no longer")
	if r := h.call(t, "ida", "sts", "get_caller_identity", args{}, nil); r == nil {
		t.Error("her role session goes on")
	}
}
