package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// door is the sign-in API of a running Bawn, as anybody can call it.
type door struct {
	t *testing.T
	b *servertest.Bawn
}

type signedIn struct {
	Status                         int    `json:"-"`
	Type                           string `json:"__type"`
	Flow, Failure, Session, UserId string
	Next                           []string
	Totp                           *struct{ Secret string }
}

func (d door) call(op string, in map[string]string) signedIn {
	d.t.Helper()
	in["Binding"] = "a cookie of this browser"
	if op == "DescribeOwn" {
		delete(in, "Binding")
	}
	body, err := json.Marshal(in)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, d.b.URL, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "BawnSignIn."+op)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	resp, err := d.b.Client(d.t).Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	out := signedIn{Status: resp.StatusCode}
	if op == "DescribeOwn" { // whose Current is no secret
		out.UserId = string(raw)
		return out
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		d.t.Fatalf("%s: %s: %v", op, raw, err)
	}
	return out
}

func (d door) password(name, password string) signedIn {
	d.t.Helper()
	return d.call("ContinueSignIn", map[string]string{"Flow": d.call("BeginSignIn", map[string]string{"UserName": name}).Flow, "Password": password})
}

// An administrator lets people in and keeps them out, and each time a record says so.
func TestPeopleCommands(t *testing.T) {
	b := servertest.Start(t)
	ctx, d := context.Background(), door{t, b}
	ada := strings.TrimSpace(b.Python(t, `
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
print(client("identitystore").create_user(IdentityStoreId=store, UserName="ada", DisplayName="Ada", Name=dict(GivenName="Ada", FamilyName="L"))["UserId"])`))
	people := func(req server.PeopleRequest) server.PeopleAnswer {
		t.Helper()
		req.Operator = "root"
		var out server.PeopleAnswer
		if err := server.AskRunning(ctx, b.Config, "/people", req, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	once := people(server.PeopleRequest{Do: "set-password", User: "Ada"})
	if once.UserID != ada || len(once.Password) < 20 {
		t.Fatalf("%+v", once)
	}
	enter := func(password, next string) string {
		t.Helper()
		out := d.password("ada", password)
		if len(out.Next) > 0 && out.Next[0] == "newPassword" {
			out = d.call("ContinueSignIn", map[string]string{"Flow": out.Flow, "NewPassword": next})
		}
		if out.Totp == nil {
			t.Fatalf("%+v", out)
		}
		code, err := totp.GenerateCode(out.Totp.Secret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if out = d.call("ContinueSignIn", map[string]string{"Flow": out.Flow, "Code": code}); out.Session == "" {
			t.Fatalf("%+v", out)
		}
		return out.Session
	}
	const password = "seven lamps over Dublin"
	session := enter(once.Password, password)
	if out := d.call("DescribeOwn", map[string]string{"Session": session}); out.Status != 200 || !strings.Contains(out.UserId, ada) {
		t.Errorf("%+v", out)
	}
	b.Restart(t)
	if out := d.call("DescribeOwn", map[string]string{"Session": session}); out.Status != 200 {
		t.Errorf("after a restart: %+v", out)
	}
	people(server.PeopleRequest{Do: "end-sessions", User: "ada"})
	if out := d.call("DescribeOwn", map[string]string{"Session": session}); out.Status != 401 {
		t.Errorf("signed out: %+v", out)
	}
	if out := d.password("ada", password); len(out.Next) == 0 || out.Next[0] != "totp" {
		t.Errorf("%+v", out)
	}
	for range 5 {
		d.password("ada", "a guess")
	}
	if out := d.password("ada", password); out.Failure != "TRY_LATER" {
		t.Errorf("after guesses: %+v", out)
	}
	people(server.PeopleRequest{Do: "unlock", User: ada})
	people(server.PeopleRequest{Do: "reset-mfa", User: "ada"})
	enter(password, "")
	if out := people(server.PeopleRequest{Do: "mfa-policy"}); out.Policy != "required" {
		t.Errorf("%+v", out)
	}
	people(server.PeopleRequest{Do: "mfa-policy", Policy: "when-registered"})
	if out := people(server.PeopleRequest{Do: "mfa-policy"}); out.Policy != "when-registered" {
		t.Errorf("%+v", out)
	}
	// Who calls herself what another's id is does not stand in for her.
	b.Python(t, `
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
client("identitystore").create_user(IdentityStoreId=store, UserName="`+ada+`", DisplayName="Eve", Name=dict(GivenName="Eve", FamilyName="L"))`)
	for _, bad := range []server.PeopleRequest{{Do: "end-sessions", User: ada}, {Do: "mfa-policy", Policy: "off"}, {Do: "set-password", User: "nobody"}, {Do: "make-admin", User: "ada"}, {Do: "unlock"}} {
		if err := server.AskRunning(ctx, b.Config, "/people", bad, &server.PeopleAnswer{}); err == nil {
			t.Errorf("%+v is done", bad)
		}
	}
	for name, want := range map[string]int{"SetPersonPassword": 1, "EndPersonSessions": 1, "UnlockPerson": 1, "ResetPersonMFA": 1, "MFAPolicy": 3} {
		page, err := b.Trail().Find(ctx, trail.Query{Account: b.Config.AccountID, EventName: name})
		if err != nil || len(page.Entries) != want {
			t.Errorf("%d records of %s, %v", len(page.Entries), name, err)
		}
		for _, e := range page.Entries {
			if u := e.Record.UserIdentity; u.Type != "Operator" || u.UserName != "root" || strings.Contains(string(e.Event), once.Password) {
				t.Errorf("recorded as %s", e.Event)
			}
		}
	}
	for _, secret := range []string{password, once.Password, session} {
		if strings.Contains(b.Log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}
