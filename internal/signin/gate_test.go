package signin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/fetch"
	"bawn.dev/internal/identity"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/sts"
)

// A gate is where programs come in, by HTTP: a directory with one person, who has two
// accounts, and STS behind it.
type gate struct {
	*apitest.Rig
	t      *testing.T
	people *identity.Service
	signin *Service
	sts    *sts.Service
	admin  *apitest.Caller
	store  string // of identities
	ada    string
	access *assigned
	hasty  bool // no time passes between calls
}

// assigned is what the identity centre would say of assignments.
type assigned struct {
	to   map[string][]api.Assignment
	tags map[string]string
}

func (a *assigned) Assignments(_ *store.Snapshot, userID string) ([]api.Assignment, error) {
	return append([]api.Assignment{}, a.to[userID]...), nil
}

func (a *assigned) Attributes(*store.Snapshot, string) (map[string]string, error) { return a.tags, nil }

func (a *assigned) Holds(_ context.Context, _ *store.Snapshot, p *api.Person, role *api.Entity) error {
	for _, one := range a.to[p.UserID] {
		if one.RoleARN == role.ARN {
			return nil
		}
	}
	return api.ErrGone
}

type issuer struct{ *sts.Service }

func (i issuer) Issue(claim api.Claim) (Credentials, error) {
	c, err := i.Service.Issue(claim, sts.SessionPolicies{})
	return Credentials(c), err
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, access: &assigned{to: map[string][]api.Assignment{}, tags: map[string]string{"team": "mars"}}}
	var err error
	if g.people, err = identity.New(identity.Config{Account: apitest.Account}); err != nil {
		t.Fatal(err)
	}
	if g.sts, err = sts.New(sts.Config{Key: seal.NewKey()}); err != nil {
		t.Fatal(err)
	}
	g.signin, err = New(Config{
		Key: seal.NewKey(), Account: apitest.Account, Directory: g.people, Issuers: oidc.New(fetch.New(nil, nil), time.Now), Now: time.Now,
		Origins: func() []string { return []string{g.URL} }, Access: g.access, Sessions: issuer{g.sts},
		Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
			return g.Door.Happened(ctx, e, change)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Rig = apitest.New(t, apitest.Options{
		Migrations:  [][]store.Migration{identity.Migrations(), Migrations()},
		Credentials: map[string]api.Credentials{"ASIA": g.sts},
		Contribute:  func(s *authz.Sources) { s.Directory, s.Assignments = g.people, g.access },
	}, append(g.people.APIs(), g.signin.API(), g.signin.SignInAPI(), g.signin.PortalAPI(), g.sts.API())...)
	g.update(func(tx *store.Tx) error { return g.people.Bootstrap(tx, time.Now()) })
	g.admin = g.User(t, apitest.Account, "admin", apitest.Admin)
	g.store = apitest.Must[ssoadmin.ListInstancesOutput](t, g.admin, "sso:ListInstances", &ssoadmin.ListInstancesInput{}).Instances[0].IdentityStoreId
	g.ada = g.person("ada")
	g.assign(g.ada, apitest.Account, "Scientist", `{"Service":"sso.amazonaws.com"}`)
	g.assign(g.ada, apitest.Other, "Auditor", `{"Service":"sso.amazonaws.com"}`)
	g.assign(g.ada, apitest.Other, "Reader", `{"Service":"sso.amazonaws.com"}`)
	return g
}

func (g *gate) update(change func(*store.Tx) error) {
	g.t.Helper()
	if err := g.Store.Update(context.Background(), change); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gate) person(name string) string {
	g.t.Helper()
	return apitest.Must[directory.CreateUserOutput](g.t, g.admin, "identitystore:CreateUser", &directory.CreateUserInput{
		IdentityStoreId: g.store, UserName: name, DisplayName: name, Name: &directory.Name{GivenName: name, FamilyName: "L"},
	}).UserId
}

// assign makes a role as the identity centre does, that principal may assume.
func (g *gate) assign(userID, account, set, principal string) *api.Entity {
	g.t.Helper()
	c := g.Role(g.t, account, "AWSReservedSSO_"+set+"_0123456789abcdef", apitest.Admin)
	trust, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":`+principal+`,"Action":["sts:AssumeRole","sts:TagSession","sts:SetContext"]}]}`), policy.Trust)
	if err != nil {
		g.t.Fatal(err)
	}
	c.Entity.ARN = "arn:aws:iam::" + account + ":role/aws-reserved/sso.amazonaws.com/" + c.Entity.Name
	c.Entity.Trust = &policy.Doc{Name: "trust", Policy: trust}
	g.access.to[userID] = append(g.access.to[userID], api.Assignment{
		AccountID: account, AccountName: "account " + account, Email: account + "@example.org", PermissionSetName: set,
		PermissionSetARN: "arn:aws:sso:::permissionSet/ssoins-0/ps-" + set, RoleName: c.Entity.Name, RoleARN: c.Entity.ARN, SessionDuration: 2 * time.Hour,
	})
	return c.Entity
}

// signIn is a person at her browser: the sign-in and its secret.
func (g *gate) signIn(userID string) (*Session, string) {
	g.t.Helper()
	in := &Session{UserID: userID, Methods: []string{"pwd", "otp"}, Source: "192.0.2.7", Agent: "browser"}
	var secret string
	g.update(func(tx *store.Tx) (err error) {
		secret, err = begin(tx, in, g.Now())
		return err
	})
	return in, secret
}

// A reply is what came back.
type reply struct {
	status int
	code   string
	body   map[string]any
}

func (r reply) text(name string) string { s, _ := r.body[name].(string); return s }

func (g *gate) send(method, path string, header map[string]string, in values) reply {
	g.t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			g.t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.URL+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("User-Agent", "a program")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	r := reply{status: resp.StatusCode, code: resp.Header.Get("X-Amzn-Errortype")}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &r.body); err != nil {
			g.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
		}
	}
	if !g.hasty {
		g.Advance(time.Second) // nobody is held back for asking often
	}
	return r
}

// page is what one of the portal's pages calls.
func (g *gate) page(op string, in values) reply {
	g.t.Helper()
	return g.send(http.MethodPost, "/", map[string]string{"X-Amz-Target": "BawnSignIn." + op, "Content-Type": "application/x-amz-json-1.1"}, in)
}

// portal calls the sso API.
func (g *gate) portal(token, method, path string) reply {
	g.t.Helper()
	return g.send(method, path, map[string]string{"x-amz-sso_bearer_token": token}, nil)
}

func (g *gate) accounts(token string) reply {
	return g.portal(token, http.MethodGet, "/assignment/accounts")
}

func (g *gate) credentials(token, account, role string) reply {
	return g.portal(token, http.MethodGet, "/federation/credentials?account_id="+account+"&role_name="+url.QueryEscape(role))
}

// must ends the test unless the answer is a success, refused if it is one.
func (r reply) must(t *testing.T) reply {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%d %s %v", r.status, r.code, r.body)
	}
	return r
}

func (r reply) refused(t *testing.T, why, code string) {
	t.Helper()
	if r.status < 400 || r.code != code {
		t.Errorf("%s: %d %s %v, want %s", why, r.status, r.code, r.body, code)
	}
}

// A program is a registered client.
type program struct {
	*gate
	id, secret string
}

const callback = "http://127.0.0.1/oauth/callback"

// register is how the AWS command line registers, with changes.
func (g *gate) register(change values) *program {
	g.t.Helper()
	in := values{"clientName": "aws-cli", "clientType": "public", "scopes": []string{accountScope}}
	for name, value := range change {
		in[name] = value
	}
	r := g.send(http.MethodPost, "/client/register", nil, in).must(g.t)
	return &program{g, r.text("clientId"), r.text("clientSecret")}
}

// forCodes registers for the code grant.
func (g *gate) forCodes() *program {
	g.t.Helper()
	return g.register(values{"grantTypes": []string{codeGrant, refreshGrant}, "redirectUris": []string{callback}, "issuerUrl": g.URL + "/start"})
}

func (p *program) device() reply {
	p.t.Helper()
	return p.send(http.MethodPost, "/device_authorization", nil, values{"clientId": p.id, "clientSecret": p.secret, "startUrl": p.URL + "/start/#/"}).must(p.t)
}

func (p *program) token(in values) reply {
	p.t.Helper()
	all := values{"clientId": p.id, "clientSecret": p.secret}
	for name, value := range in {
		all[name] = value
	}
	return p.send(http.MethodPost, "/token", nil, all)
}

func (p *program) poll(device reply) reply {
	p.t.Helper()
	return p.token(values{"grantType": deviceGrant, "deviceCode": device.text("deviceCode")})
}

// login is a whole device flow that the person behind a secret approves.
func (p *program) login(secret string) reply {
	p.t.Helper()
	d := p.device()
	p.page("ApproveDevice", values{"Session": secret, "UserCode": d.text("userCode")}).must(p.t)
	return p.poll(d).must(p.t)
}

const verifier = "a-verifier-of-forty-three-characters-or-more-0123456789"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return b64.EncodeToString(sum[:])
}

// consent is what a browser is sent to /authorize with.
func (p *program) consent(secret string, change values) values {
	in := values{"Session": secret, "ClientId": p.id, "RedirectUri": "http://127.0.0.1:43210/oauth/callback", "ResponseType": "code",
		"CodeChallenge": challengeOf(verifier), "CodeChallengeMethod": "S256", "State": "a state"}
	for name, value := range change {
		in[name] = value
	}
	return in
}

// code is what a browser brings back.
func (p *program) code(secret string) string {
	p.t.Helper()
	to := p.page("Authorize", p.consent(secret, nil)).must(p.t).text("RedirectTo")
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, "http://127.0.0.1:43210/oauth/callback?") || u.Query().Get("state") != "a state" {
		p.t.Fatalf("the browser is sent to %q: %v", to, err)
	}
	return u.Query().Get("code")
}

func (p *program) redeem(code string, change values) reply {
	p.t.Helper()
	in := values{"grantType": codeGrant, "code": code, "codeVerifier": verifier, "redirectUri": "http://127.0.0.1:43210/oauth/callback"}
	for name, value := range change {
		in[name] = value
	}
	return p.token(in)
}

func (p *program) refresh(token string) reply {
	p.t.Helper()
	return p.token(values{"grantType": refreshGrant, "refreshToken": token})
}

// alive says whether a token still opens the portal, and fails if it should not.
func (g *gate) alive(why, token string, want bool) {
	g.t.Helper()
	r := g.accounts(token)
	if want {
		r.must(g.t)
	} else if r.status != http.StatusUnauthorized || r.code != "UnauthorizedException" {
		g.t.Errorf("%s: the token answers %d %s %v", why, r.status, r.code, fmt.Sprint(r.body))
	}
}
