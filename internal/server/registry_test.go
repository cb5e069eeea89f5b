package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/shape"

	"bawn.dev/internal/trail"
)

// These tests run over every operation there is; a new one is in them by being
// registered.

// undeniable and open are the whole lists, with reasons. An operation that joins
// them is a decision, and this test is where it is seen.
var (
	undeniable = slices.Concat(ownSignIn, ownAccess, []string{"sts:GetCallerIdentity"})
	open       = slices.Concat(ownSignIn, ownAccess, []string{"sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"})
	// ownSignIn is how people prove who they are, and what is their own.
	ownSignIn = []string{
		"signin:AcceptAssertion", "signin:AcceptCode", "signin:ApproveDevice", "signin:Authorize", "signin:AuthorizeApplication",
		"signin:BeginFederation", "signin:BeginPasskey", "signin:BeginSignIn", "signin:BeginTOTP", "signin:ChangePassword",
		"signin:ConfirmTOTP", "signin:ContinueSignIn", "signin:CreateApplicationToken", "signin:CreateRecoveryCodes",
		"signin:DeletePasskey", "signin:DeleteTOTP", "signin:DenyDevice", "signin:DescribeAuthorization", "signin:DescribeBearer",
		"signin:DescribeDevice", "signin:DescribeOwn", "signin:EndAllSessions", "signin:EndApplicationSession", "signin:EndSession",
		"signin:FinishFederation", "signin:FinishPasskey", "signin:ListDevices", "signin:ListOwnSessions", "signin:ListSigningKeys",
		"signin:RenameDevice", "signin:RevokeApplicationToken",
	}
	// ownAccess is how programs get what a person approves, and what was assigned to her.
	ownAccess = []string{
		"sso-oauth:CreateToken", "sso-oauth:RegisterClient", "sso-oauth:StartDeviceAuthorization",
		"sso:GetRoleCredentials", "sso:ListAccountRoles", "sso:ListAccounts", "sso:Logout",
	}
	// advisory members are answered as disabled. None of them has to do with
	// security: they are the SageMaker SDK's profiler and debugger.
	advisory = map[string][]string{
		"sagemaker:CreateTrainingJob": {"ProfilerConfig", "ProfilerRuleConfigurations", "DebugHookConfig", "DebugRuleConfigurations"},
	}
)

func TestLiteralLists(t *testing.T) {
	b := servertest.Start(t)
	var gotUndeniable []string
	gotOpen := []string{}
	for _, e := range b.Door().Entries() {
		if e.Undeniable != "" {
			gotUndeniable = append(gotUndeniable, e.Name)
		}
		if e.Open {
			gotOpen = append(gotOpen, e.Name)
		}
		if !slices.Equal(e.Model.Advisory, advisory[e.Name]) {
			t.Errorf("%s takes %v as advice, want %v", e.Name, e.Model.Advisory, advisory[e.Name])
		}
	}
	if !slices.Equal(gotUndeniable, undeniable) {
		t.Errorf("undeniable: %v, want %v", gotUndeniable, undeniable)
	}
	if !slices.Equal(gotOpen, open) {
		t.Errorf("open: %v, want %v", gotOpen, open)
	}
}

// nobody makes a user without any policy and answers her claim.
func nobody(t *testing.T, b *servertest.Bawn) api.Claim {
	t.Helper()
	id := strings.TrimSpace(b.Python(t, `print(client("iam").create_user(UserName="nobody")["User"]["UserId"])`))
	return api.Claim{Kind: api.KindUser, Account: b.Config.AccountID, ID: id, Issued: time.Now()}
}

// Who is allowed nothing is refused by every operation that can refuse, and each
// refusal is one record.
func TestDenyEverything(t *testing.T) {
	b := servertest.Start(t)
	ctx := context.Background()
	claim := nobody(t, b)
	for _, e := range b.Door().Entries() {
		t.Run(e.Name, func(t *testing.T) {
			before := records(t, b, e.Model.Name)
			call, err := b.Door().Begin(ctx, claim, "")
			if err != nil {
				t.Fatal(err)
			}
			in := example(t, e)
			_, err = api.InvokeAny(ctx, call, e.Name, in)
			if e.Undeniable != "" && !e.Open {
				if err != nil {
					t.Errorf("answers %v", err)
				}
				return
			}
			var refusal *api.Error
			if slices.Contains([]string{"signin:BeginSignIn", "signin:ListSigningKeys"}, e.Name) && err == nil { // anybody may; nothing is told to her
			} else if errors.As(err, &refusal) && e.Open { // nobody is, without something to prove it
				if refusal.Status < 400 || refusal.Status > 403 {
					t.Errorf("answers %v", err)
				}
			} else if refusal == nil || refusal.Code != "AccessDenied" {
				t.Errorf("answers %v, not a denial", err)
			}
			if n := records(t, b, e.Model.Name) - before; n != 1 {
				t.Errorf("left %d records, not one", n)
			}
		})
	}
}

// records counts what the record holds of an event name.
func records(t *testing.T, b *servertest.Bawn, name string) int {
	t.Helper()
	page, err := b.Trail().Find(context.Background(), trail.Query{Account: b.Config.AccountID, EventName: name, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Entries)
}

// samples are values of required members that mean something to a resolver, so
// that it comes as far as its demands.
var samples = map[string]string{
	"Bucket": "some-bucket", "KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "AliasName": "alias/some", "TargetKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
	"RoleArn": "arn:aws:iam::123456789012:role/some", "PolicyArn": "arn:aws:iam::123456789012:policy/some", "clientId": "arn:aws:sso::123456789012:application/ssoins-0123456789abcdef/apl-0123456789abcdef",
	"AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
	"PolicyDocument":           `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`,
	"Path":                     "/", "AccountId": "210987654321", "Email": "a@example.org",
	"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Status": "Inactive", "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/some",
}

// fill sets every required member to something.
func fill(v reflect.Value, st *shape.Struct) {
	for i, f := range st.Fields {
		if !f.Required {
			continue
		}
		field := v.Field(i)
		switch field.Kind() {
		case reflect.String:
			value, ok := samples[f.Name]
			if !ok {
				value = "some"
			}
			if len(f.Type.Enum) > 0 && !slices.Contains(f.Type.Enum, value) {
				value = f.Type.Enum[0]
			}
			field.SetString(value)
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
			if f.Type.Struct != nil {
				fill(field.Elem(), f.Type.Struct)
			}
		case reflect.Slice:
			if field.Type().Elem().Kind() == reflect.Uint8 {
				field.SetBytes([]byte("some"))
				continue
			}
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			if f.Type.Elem.Struct != nil && field.Index(0).Kind() == reflect.Struct {
				fill(field.Index(0), f.Type.Elem.Struct)
			} else if field.Index(0).Kind() == reflect.String {
				field.Index(0).SetString("some")
			}
		}
	}
}

// example fills the input of an operation: from testdata/examples.json, where what
// is required does not say enough, and else with what is required.
func example(t *testing.T, e api.Entry) any {
	t.Helper()
	in := e.NewInput()
	raw, err := os.ReadFile("testdata/examples.json")
	if err != nil {
		t.Fatal(err)
	}
	var examples map[string]json.RawMessage
	if err := json.Unmarshal(raw, &examples); err != nil {
		t.Fatal(err)
	}
	if one, ok := examples[e.Name]; ok {
		dec := json.NewDecoder(bytes.NewReader(one))
		dec.DisallowUnknownFields()
		if err := dec.Decode(in); err != nil {
			t.Fatalf("the example of %s: %v", e.Name, err)
		}
		return in
	}
	fill(reflect.ValueOf(in).Elem(), e.Model.Input)
	return in
}

// Every action is in the service authorization reference, so that a policy can
// name it.
func TestActionsAreDeclared(t *testing.T) {
	b := servertest.Start(t)
	known := catalogue.New()
	for _, e := range b.Door().Entries() {
		if len(e.Actions) == 0 {
			t.Errorf("%s demands nothing", e.Name)
		}
		if e.Undeniable != "" && e.Open { // no policy is asked
			continue
		}
		for _, a := range e.Actions {
			if !known.KnownAction(strings.ToLower(a)) {
				t.Errorf("%s demands %q, which does not exist", e.Name, a)
			}
		}
	}
}

// T01 to T03 on the real listener: no route of any service, with any method,
// answers anything but a refusal to whoever shows no credentials. The one exception
// are the keys by which others verify what Bawn signed: they are public.
func TestNoCredentialsNoAnswer(t *testing.T) {
	b := servertest.Start(t)
	client := b.Client(t)
	type route struct {
		method, path, target, body, kind string
		open                             bool
	}
	var routes []route
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECTED"}
	for _, e := range b.Door().Entries() {
		uri := e.Model.URI
		for _, label := range []string{"{Bucket}", "{Key+}"} {
			uri = strings.ReplaceAll(uri, label, "some")
		}
		s := e.Service.Model
		for _, m := range methods {
			switch s.Protocol {
			case shape.JSON:
				routes = append(routes, route{m, "/", s.TargetPrefix + "." + e.Model.Name, "{}", "application/x-amz-json-" + s.JSONVersion, e.Open})
			case shape.Query, shape.EC2:
				routes = append(routes, route{m, "/", "", "Action=" + e.Model.Name + "&Version=" + s.APIVersion, "application/x-www-form-urlencoded", e.Open},
					route{m, "/?Action=" + e.Model.Name + "&Version=" + s.APIVersion, "", "", "", e.Open})
			default:
				routes = append(routes, route{m, uri, "", "", "", e.Open})
			}
		}
	}
	seen := map[string]bool{}
	for _, r := range routes {
		if key := fmt.Sprint(r); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		req, err := http.NewRequest(r.method, b.URL+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		if r.target != "" {
			req.Header.Set("X-Amz-Target", r.target)
		}
		req.Header.Set("Content-Type", r.kind)
		req.Header.Set("Origin", "https://evil.example")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case r.open && resp.StatusCode >= 400 && resp.StatusCode < 500:
		case r.open && r.target == "BawnSignIn.ListSigningKeys" && r.method == http.MethodPost && string(body) == `{"Keys":"{\"keys\":[]}"}`:
		case resp.StatusCode == 401, resp.StatusCode == 403, resp.StatusCode == 503:
		case resp.StatusCode == 400 && strings.Contains(string(body), "MissingAuthenticationToken"):
		case resp.StatusCode == 400 && r.method == http.MethodOptions && strings.Contains(string(body), "Access-Control-Request-Method"): // no preflight
		default:
			t.Errorf("%s %s %s answers %d %s", r.method, r.path, r.target, resp.StatusCode, body)
		}
		if h := resp.Header.Get("Access-Control-Allow-Origin"); h != "" {
			t.Errorf("%s %s allows origin %q", r.method, r.path, h)
		}
	}
}

// stopped is a context that ends once what is there has been read.
func stopped(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	_ = cancel
	return ctx
}
