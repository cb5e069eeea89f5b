package signin

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/ssoadmin"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

// A hall is an application of the identity centre that people are sent from, and back
// to.
type hall struct {
	*gate
	arn string
}

const home = "https://hall.example/back?from=bawn"

// hall makes an application with grants and scopes, which ada may use.
func (g *gate) hall(name string, scopes []string, grants ...ssoadmin.GrantType) *hall {
	g.t.Helper()
	instance := apitest.Must[ssoadmin.ListInstancesOutput](g.t, g.admin, "sso:ListInstances", &ssoadmin.ListInstancesInput{}).Instances[0].InstanceArn
	h := &hall{g, apitest.Must[ssoadmin.CreateApplicationOutput](g.t, g.admin, "sso:CreateApplication", &ssoadmin.CreateApplicationInput{
		InstanceArn: instance, Name: name, ApplicationProviderArn: "arn:aws:sso::aws:applicationProvider/custom",
	}).ApplicationArn}
	for _, kind := range grants {
		grant := &ssoadmin.Grant{}
		switch kind {
		case ssoadmin.GrantTypeAuthorizationCode:
			grant.AuthorizationCode = &ssoadmin.AuthorizationCodeGrant{RedirectUris: []string{home}}
		case ssoadmin.GrantTypeRefreshToken:
			grant.RefreshToken = &ssoadmin.RefreshTokenGrant{}
		case ssoadmin.GrantTypeUrnIetfParamsOauthGrantTypeTokenExchange:
			grant.TokenExchange = &ssoadmin.TokenExchangeGrant{}
		}
		apitest.Must[ssoadmin.PutApplicationGrantOutput](g.t, g.admin, "sso:PutApplicationGrant", &ssoadmin.PutApplicationGrantInput{
			ApplicationArn: h.arn, GrantType: kind, Grant: grant,
		})
	}
	for _, scope := range scopes {
		apitest.Must[ssoadmin.PutApplicationAccessScopeOutput](g.t, g.admin, "sso:PutApplicationAccessScope", &ssoadmin.PutApplicationAccessScopeInput{
			ApplicationArn: h.arn, Scope: scope,
		})
	}
	apitest.Must[ssoadmin.PutApplicationAuthenticationMethodOutput](g.t, g.admin, "sso:PutApplicationAuthenticationMethod", &ssoadmin.PutApplicationAuthenticationMethodInput{
		ApplicationArn: h.arn, AuthenticationMethodType: ssoadmin.AuthenticationMethodTypeIam,
		AuthenticationMethod: &ssoadmin.AuthenticationMethod{Iam: &ssoadmin.IamAuthenticationMethod{ActorPolicy: []byte(fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sso-oauth:CreateTokenWithIAM","Resource":"*"}]}`, g.admin.Entity.ARN))}},
	})
	h.welcome(g.ada)
	return h
}

func (h *hall) welcome(userID string) {
	h.t.Helper()
	apitest.Must[ssoadmin.CreateApplicationAssignmentOutput](h.t, h.admin, "sso:CreateApplicationAssignment", &ssoadmin.CreateApplicationAssignmentInput{
		ApplicationArn: h.arn, PrincipalId: userID, PrincipalType: ssoadmin.PrincipalTypeUser,
	})
}

func (h *hall) ask(in shape.CreateTokenWithIAMInput) (*shape.CreateTokenWithIAMOutput, *api.Error) {
	h.t.Helper()
	in.ClientId = h.arn
	return apitest.Call[shape.CreateTokenWithIAMOutput](h.t, h.admin, "sso-oauth:CreateTokenWithIAM", &in)
}

// must is who stands behind what is answered.
func (h *hall) must(in shape.CreateTokenWithIAMInput) (*shape.CreateTokenWithIAMOutput, *api.Person) {
	h.t.Helper()
	out, refusal := h.ask(in)
	if refusal != nil {
		h.t.Fatal(refusal)
	}
	p, err := h.signin.Open(h.t.Context(), nil, out.AwsAdditionalDetails.IdentityContext, h.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	return out, p
}

func (h *hall) refused(why, code string, in shape.CreateTokenWithIAMInput) {
	h.t.Helper()
	if _, refusal := h.ask(in); refusal == nil || refusal.Code != code {
		h.t.Errorf("%s: %v, want %s", why, refusal, code)
	}
}

func (h *hall) consent(secret string, change values) values {
	return (&program{h.gate, h.arn, ""}).consent(secret, values{"RedirectUri": home}.with(change))
}

func (v values) with(change values) values {
	for name, value := range change {
		v[name] = value
	}
	return v
}

// code is what her browser brings back to the application.
func (h *hall) code(secret string, change values) string {
	h.t.Helper()
	to := h.page("Authorize", h.consent(secret, change)).must(h.t).text("RedirectTo")
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, home+"&") || u.Query().Get("from") != "bawn" || u.Query().Get("state") != "a state" {
		h.t.Fatalf("the browser is sent to %q: %v", to, err)
	}
	return u.Query().Get("code")
}

func shown(code string) shape.CreateTokenWithIAMInput {
	return shape.CreateTokenWithIAMInput{GrantType: codeGrant, Code: code, CodeVerifier: verifier, RedirectUri: home}
}

func again(refresh string) shape.CreateTokenWithIAMInput {
	return shape.CreateTokenWithIAMInput{GrantType: refreshGrant, RefreshToken: refresh}
}

func subject(access string) shape.CreateTokenWithIAMInput {
	return shape.CreateTokenWithIAMInput{GrantType: tokenExchange, SubjectToken: access, SubjectTokenType: accessType}
}

const (
	codes    = ssoadmin.GrantTypeAuthorizationCode
	renewals = ssoadmin.GrantTypeRefreshToken
	trades   = ssoadmin.GrantTypeUrnIetfParamsOauthGrantTypeTokenExchange
)

// An application gets a code by the person's browser, once, and goes on with it until
// she signs out.
func TestApplicationCodes(t *testing.T) {
	g := newGate(t)
	h, other := g.hall("hall", []string{"s3:read"}, codes, renewals), g.hall("other", nil, codes, renewals)
	session, ada := g.signIn(g.ada)
	if asks := g.page("DescribeAuthorization", h.consent(ada, nil)).must(t); asks.text("ClientName") != "hall" {
		t.Errorf("%v", asks.body)
	}
	code := h.code(ada, nil)
	other.refused("another application", "InvalidGrantException", shown(code))
	g.forCodes().redeem(code, values{"redirectUri": home}).refused(t, "a client of the portal", "InvalidGrantException")
	for why, change := range map[string]func(*shape.CreateTokenWithIAMInput){
		"another verifier": func(in *shape.CreateTokenWithIAMInput) { in.CodeVerifier += "x" },
		"another redirect": func(in *shape.CreateTokenWithIAMInput) { in.RedirectUri = "https://hall.example/back" },
		"another code":     func(in *shape.CreateTokenWithIAMInput) { in.Code = newSecret() },
	} {
		in := shown(code)
		change(&in)
		h.refused(why, "InvalidGrantException", in)
	}
	h.refused("no verifier", "InvalidRequestException", shape.CreateTokenWithIAMInput{GrantType: codeGrant, Code: code, RedirectUri: home})
	in := shown(code)
	in.RefreshToken = "x"
	h.refused("a member of another grant", "InvalidRequestException", in)

	out, p := h.must(shown(code))
	if p.UserID != g.ada || p.ApplicationARN != h.arn || !p.SignedIn.Equal(session.Created.Truncate(time.Microsecond)) || out.RefreshToken == "" {
		t.Errorf("%+v, %+v", p, out)
	}
	next, q := h.must(again(out.RefreshToken))
	if q.CredentialID != p.CredentialID || !q.SignedIn.Equal(p.SignedIn) {
		t.Errorf("a refreshed context is another's: %+v, %+v", p, q)
	}
	other.refused("the refresh token of another application", "InvalidGrantException", again(next.RefreshToken))
	h.refused("an access token as refresh token", "InvalidGrantException", again(next.AccessToken))
	for _, secret := range []string{code, out.AccessToken, next.RefreshToken} {
		apitest.NoPlaintext(t, g.Dir, secret)
	}
	if g.page("EndSession", values{"Session": ada, "Id": session.ID}).must(t); true {
		h.refused("after she signed out", "InvalidGrantException", again(next.RefreshToken))
	}
}

// What is good once ends everything when it is shown twice.
func TestApplicationsShowTwice(t *testing.T) {
	g := newGate(t)
	h := g.hall("hall", nil, codes, renewals)
	_, ada := g.signIn(g.ada)
	code := h.code(ada, nil)
	out, _ := h.must(shown(code))
	h.refused("the code again", "InvalidGrantException", shown(code))
	h.refused("what it gave", "InvalidGrantException", again(out.RefreshToken))

	first, _ := h.must(shown(h.code(ada, nil)))
	second, _ := h.must(again(first.RefreshToken))
	h.refused("the last one, at once", "InvalidGrantException", again(first.RefreshToken))
	third, _ := h.must(again(second.RefreshToken)) // two programs shared a cache: no harm
	g.Advance(refreshRace)
	h.refused("an old one", "InvalidGrantException", again(second.RefreshToken))
	h.refused("the newest, after that", "InvalidGrantException", again(third.RefreshToken))
	if got := g.Records(t, apitest.Account, "RefreshTokenReused"); len(got) != 1 || got[0].UserIdentity.OnBehalfOf.UserID != g.ada {
		t.Errorf("%d records", len(got))
	}
}

// The browser is sent back where the application's administrator said.
func TestApplicationsSendBackHome(t *testing.T) {
	g := newGate(t)
	h := g.hall("hall", []string{"s3:read"}, codes)
	_, ada := g.signIn(g.ada)
	for _, to := range []string{"https://hall.example/back", home + "x", "https://evil.example/back?from=bawn", "http://127.0.0.1/oauth/callback", "javascript:alert(1)"} {
		g.page("Authorize", h.consent(ada, values{"RedirectUri": to})).refused(t, to, "ValidationException")
	}
	g.page("Authorize", h.consent(ada, values{"Scopes": []string{"s3:write"}})).refused(t, "a scope that it does not have", "ValidationException")
	g.page("Authorize", h.consent(ada, values{"ClientId": h.arn + "x"})).refused(t, "no application", "ValidationException")
	eve := g.person("eve")
	_, hers := g.signIn(eve)
	g.page("Authorize", h.consent(hers, nil)).refused(t, "who is not assigned", "ValidationException")

	out, _ := h.must(shown(h.code(ada, values{"Scopes": []string{"openid", "sts:identity_context"}})))
	if slices.Contains(out.Scope, "s3:read") || out.RefreshToken != "" {
		t.Errorf("%+v", out)
	}
	in := shown(h.code(ada, values{"Scopes": []string{"openid", "sts:identity_context"}}))
	in.Scope = []string{"openid", "s3:read"}
	h.refused("a scope that she did not consent to", "InvalidScopeException", in)
}

// An application exchanges what another has of a person for its own, and gains
// nothing else by it.
func TestTokenExchange(t *testing.T) {
	g := newGate(t)
	front := g.hall("front", []string{"s3:read"}, codes, renewals)
	back := g.hall("back", []string{"s3:read", "s3:write"}, trades, renewals)
	plain := g.hall("plain", nil, codes)
	session, ada := g.signIn(g.ada)
	in := shown(front.code(ada, values{"Scopes": []string{"openid", "sts:identity_context", "s3:read"}}))
	in.Scope = []string{"openid", "sts:identity_context", "s3:read"}
	out, p := front.must(in)

	got, q := back.must(subject(out.AccessToken))
	if q.UserID != g.ada || q.ApplicationARN != back.arn || q.CredentialID == p.CredentialID || !q.SignedIn.Equal(p.SignedIn) {
		t.Errorf("%+v", q)
	}
	ask := subject(out.AccessToken)
	ask.Scope = []string{"s3:read", "sts:identity_context"}
	back.must(ask)
	ask.Scope = []string{"s3:write"}
	back.refused("a scope that the subject token lacks", "InvalidScopeException", ask)
	plain.refused("without the grant", "UnauthorizedClientException", subject(out.AccessToken))
	for why, token := range map[string]string{
		"an id token": out.IdToken, "a refresh token": out.RefreshToken, "a context": out.AwsAdditionalDetails.IdentityContext, "a sign-in": ada,
		"a program's": g.forCodes().loginToken(t, ada),
	} {
		back.refused(why, "InvalidGrantException", subject(token))
	}
	ask = subject(out.AccessToken)
	ask.SubjectTokenType = refreshType
	back.refused("another type", "InvalidRequestException", ask)
	ask = subject(out.AccessToken)
	ask.RequestedTokenType = refreshType
	if r, _ := back.must(ask); r.IssuedTokenType != refreshType || r.RefreshToken == "" {
		t.Errorf("%+v", r)
	}

	// It lasts no longer than what it was made from, however often it is exchanged.
	eve := g.person("eve")
	_, hers := g.signIn(eve)
	front.welcome(eve)
	other, _ := front.must(shown(front.code(hers, nil)))
	back.refused("a person who is not assigned here", "AccessDeniedException", subject(other.AccessToken))
	g.Advance(tokenLife)
	back.refused("an expired one", "ExpiredTokenException", subject(out.AccessToken))
	next, _ := back.must(again(got.RefreshToken))
	g.page("EndSession", values{"Session": ada, "Id": session.ID}).must(t)
	back.refused("after she signed out", "InvalidGrantException", again(next.RefreshToken))
	back.refused("the access token, after she signed out", "InvalidGrantException", subject(next.AccessToken))
}

// loginToken is an access token of the portal's.
func (p *program) loginToken(t *testing.T, secret string) string {
	t.Helper()
	return p.redeem(p.code(secret), nil).must(t).text("accessToken")
}

// A background session outlives the sign-in, up to a limit, and ends with the person.
func TestBackgroundSessions(t *testing.T) {
	g := newGate(t)
	h := g.hall("hall", nil, codes, renewals)
	apitest.Must[ssoadmin.PutApplicationSessionConfigurationOutput](t, g.admin, "sso:PutApplicationSessionConfiguration", &ssoadmin.PutApplicationSessionConfigurationInput{
		ApplicationArn: h.arn, UserBackgroundSessionApplicationStatus: ssoadmin.UserBackgroundSessionApplicationStatusEnabled,
	})
	session, ada := g.signIn(g.ada)
	out, _ := h.must(shown(h.code(ada, nil)))
	g.page("EndSession", values{"Session": ada, "Id": session.ID}).must(t)
	out, _ = h.must(again(out.RefreshToken))
	g.Advance(backgroundLife - time.Hour/2)
	out, _ = h.must(again(out.RefreshToken))
	if *out.ExpiresIn > int32(time.Hour/2/time.Second) {
		t.Errorf("it lasts for %d seconds more", *out.ExpiresIn)
	}
	g.Advance(time.Hour / 2)
	h.refused("after its time", "InvalidGrantException", again(out.RefreshToken))

	for why, end := range map[string]func(){
		"signed out everywhere": func() { g.update(func(tx *store.Tx) error { return g.signin.EndSessions(tx, g.ada) }) },
		"taken from her": func() {
			apitest.Must[ssoadmin.DeleteApplicationAssignmentOutput](t, g.admin, "sso:DeleteApplicationAssignment", &ssoadmin.DeleteApplicationAssignmentInput{
				ApplicationArn: h.arn, PrincipalId: g.ada, PrincipalType: ssoadmin.PrincipalTypeUser})
		},
		"removed": func() {
			apitest.Must[directory.DeleteUserOutput](t, g.admin, "identitystore:DeleteUser", &directory.DeleteUserInput{IdentityStoreId: g.store, UserId: g.ada})
		},
	} {
		_, ada := g.signIn(g.ada)
		out, _ := h.must(shown(h.code(ada, nil)))
		end()
		if _, refusal := h.ask(again(out.RefreshToken)); refusal == nil {
			t.Errorf("%s, and it goes on", why)
		}
		if why == "removed" {
			g.ada = g.person("ada-again")
		}
		if why != "signed out everywhere" {
			h.welcome(g.ada)
		}
	}
}

// A disabled application ends what it got of people, and what was made of that.
func TestDisabledApplications(t *testing.T) {
	g := newGate(t)
	h := g.hall("hall", nil, codes, renewals)
	_, ada := g.signIn(g.ada)
	out, p := h.must(shown(h.code(ada, nil)))
	present := func() error {
		sn, err := g.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		return g.people.Present(t.Context(), sn, p)
	}
	if err := present(); err != nil {
		t.Fatal(err)
	}
	turn := func(status ssoadmin.ApplicationStatus) {
		apitest.Must[ssoadmin.UpdateApplicationOutput](t, g.admin, "sso:UpdateApplication", &ssoadmin.UpdateApplicationInput{ApplicationArn: h.arn, Status: status})
	}
	turn(ssoadmin.ApplicationStatusDisabled)
	if err := present(); !errors.Is(err, api.ErrGone) {
		t.Errorf("sessions that it made go on: %v", err)
	}
	h.refused("its refresh token", "UnauthorizedClientException", again(out.RefreshToken))
	g.page("Authorize", h.consent(ada, nil)).refused(t, "a new code", "ValidationException")
	turn(ssoadmin.ApplicationStatusEnabled)
	h.must(again(out.RefreshToken))
}

// Who learned a password and had an application let in by it loses that too when she
// changes it. What she has by the browser in which she does, and by another's proof of
// her, goes on.
func TestChangedPasswordEndsApplications(t *testing.T) {
	g := newGate(t)
	h, night, back := g.hall("hall", nil, codes, renewals), g.hall("night", nil, codes, renewals), g.hall("back", nil, trades, renewals)
	apitest.Must[ssoadmin.PutApplicationSessionConfigurationOutput](t, g.admin, "sso:PutApplicationSessionConfiguration", &ssoadmin.PutApplicationSessionConfigurationInput{
		ApplicationArn: night.arn, UserBackgroundSessionApplicationStatus: ssoadmin.UserBackgroundSessionApplicationStatusEnabled,
	})
	p, err := g.signin.hasher.keep(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	g.update(func(tx *store.Tx) error { return g.signin.setPassword(tx, g.ada, p, g.Now()) })
	_, hers := g.signIn(g.ada)
	_, thief := g.signIn(g.ada)
	mine, _ := h.must(shown(h.code(hers, nil)))
	his, _ := h.must(shown(h.code(thief, nil)))
	asleep, _ := night.must(shown(night.code(thief, nil)))
	traded, _ := back.must(subject(asleep.AccessToken))
	program := g.forCodes()
	logged := program.redeem(program.code(thief), nil).must(t)
	vouched := &lineage{id: "vouched", userID: g.ada, application: h.arn, actor: "arn:aws:sso::x:trustedTokenIssuer/y", scopes: defaultScopes,
		signedIn: g.Now(), until: g.Now().Add(time.Hour)}
	g.update(func(tx *store.Tx) error { return vouched.insert(tx, g.Now()) })
	elsewhere, err := g.signin.sealed(lineSealing, lineRenewal{vouched.id, 1})
	if err != nil {
		t.Fatal(err)
	}

	g.page("ChangePassword", values{"Session": hers, "OldPassword": goodPassword, "NewPassword": "nine bridges of Cork city"}).must(t)
	h.refused("by another browser", "InvalidGrantException", again(his.RefreshToken))
	night.refused("in the background", "InvalidGrantException", again(asleep.RefreshToken))
	back.refused("exchanged", "InvalidGrantException", again(traded.RefreshToken))
	program.refresh(logged.text("refreshToken")).refused(t, "a program", "InvalidGrantException")
	g.alive("a program", logged.text("accessToken"), false)
	h.must(again(mine.RefreshToken))
	h.must(again(elsewhere))
}
