package identity

import (
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// actorPolicy lets principals exchange tokens.
func actorPolicy(principals ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["` + strings.Join(principals, `","`) +
		`"]},"Action":"sso-oauth:CreateTokenWithIAM","Resource":"*"}]}`
}

func putActorPolicy(app, text string) *shape.PutApplicationAuthenticationMethodInput {
	return &shape.PutApplicationAuthenticationMethodInput{ApplicationArn: app, AuthenticationMethodType: shape.AuthenticationMethodTypeIam,
		AuthenticationMethod: &shape.AuthenticationMethod{Iam: &shape.IamAuthenticationMethod{ActorPolicy: []byte(text)}}}
}

// Who takes the name of a deleted role cannot exchange tokens in its place.
func TestActorsWhoseNamesWereUsedAgain(t *testing.T) {
	s, err := New(Config{Account: apitest.Account})
	if err != nil {
		t.Fatal(err)
	}
	apis := s.APIs()
	rig := apitest.New(t, apitest.Options{Migrations: [][]store.Migration{Migrations()}}, slices.Clone(apis)...)
	if err := rig.Store.Update(t.Context(), func(tx *store.Tx) error { return s.Bootstrap(tx, rig.Now()) }); err != nil {
		t.Fatal(err)
	}
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	instance := apitest.Must[shape.ListInstancesOutput](t, admin, "sso:ListInstances", &shape.ListInstancesInput{}).Instances[0].InstanceArn
	app := apitest.Must[shape.CreateApplicationOutput](t, admin, "sso:CreateApplication", &shape.CreateApplicationInput{
		ApplicationProviderArn: customProvider, InstanceArn: instance, Name: "notebooks"}).ApplicationArn

	role, session := rig.Role(t, apitest.Account, "broker"), rig.Role(t, apitest.Other, "guest")
	text := actorPolicy(role.Entity.ARN, session.SessionARN())
	apitest.Must[shape.PutApplicationAuthenticationMethodOutput](t, admin, "sso:PutApplicationAuthenticationMethod", putActorPolicy(app, text))
	shown := func() string {
		t.Helper()
		out := apitest.Must[shape.GetApplicationAuthenticationMethodOutput](t, admin, "sso:GetApplicationAuthenticationMethod",
			&shape.GetApplicationAuthenticationMethodInput{ApplicationArn: app, AuthenticationMethodType: shape.AuthenticationMethodTypeIam})
		return string(out.AuthenticationMethod.Iam.ActorPolicy)
	}
	if got := shown(); got != text {
		t.Errorf("%s\nis not what was put:\n%s", got, text)
	}
	// admits decides as the exchange of tokens does: by the actor policy.
	admits := func(c *apitest.Caller) bool {
		t.Helper()
		sn, err := rig.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		f, err := s.resolveApplication(t.Context(), sn, app)
		if err != nil || f.Policy == nil {
			t.Fatalf("%+v, %v", f, err)
		}
		return policy.Decide(&policy.Input{
			Action: "sso-oauth:CreateTokenWithIAM", Resource: app, ResourceAccount: c.Entity.Account, ResourcePolicy: f.Policy,
			Principal: policy.Principal{Kind: policy.Session, Account: c.Entity.Account, ARN: c.SessionARN(), RoleARN: c.Entity.ARN,
				ID: c.Entity.ID + ":" + c.Claim.SessionName},
		}).Allowed
	}
	if !admits(role) || !admits(session) {
		t.Error("the policy does not admit whom it names")
	}
	rig.Remove(role)
	rig.Remove(session)
	if admits(rig.Role(t, apitest.Account, "broker")) || admits(rig.Role(t, apitest.Other, "guest")) {
		t.Error("a role made again under the name is admitted")
	}
	if got, want := shown(), actorPolicy(role.Entity.ID, session.Entity.ID+":session"); !strings.Contains(got, want[strings.Index(want, `["`):strings.Index(want, `]`)]) {
		t.Errorf("%s does not show the ids", got)
	}
	for _, principal := range []string{"arn:aws:iam::" + apitest.Account + ":role/none", "arn:aws:sts::" + apitest.Account + ":assumed-role/none/session"} {
		_, err := apitest.Call[api.Error](t, admin, "sso:PutApplicationAuthenticationMethod", putActorPolicy(app, actorPolicy(principal)))
		if err == nil || err.Code != "ValidationException" || !strings.Contains(err.Message, "Invalid principal in policy") {
			t.Errorf("%s: %v", principal, err)
		}
	}
}
