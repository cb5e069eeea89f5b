package signin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/fetch"
	"bawn.dev/internal/identity"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/oidctest"
	"bawn.dev/internal/seal"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/signin"
	"bawn.dev/internal/store"
)

// A house is an identity centre with one person, an application that she may use,
// and an issuer that the application trusts.
type house struct {
	rig    *apitest.Rig
	people *identity.Service
	signin *signin.Service
	issuer *oidctest.Issuer
	key    *ecdsa.PrivateKey // an attacker's
	admin  *apitest.Caller
	app    string
	store  string
	user   string
}

const audience = "workbench"

func enter(t testing.TB) *house {
	t.Helper()
	h := &house{}
	var err error
	if h.issuer, err = oidctest.New(); err != nil {
		t.Fatal(err)
	}
	idp := httptest.NewServer(h.issuer)
	t.Cleanup(idp.Close)
	h.issuer.URL = idp.URL
	if h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	people, err := identity.New(identity.Config{Account: apitest.Account})
	if err != nil {
		t.Fatal(err)
	}
	h.signin, err = signin.New(signin.Config{
		Key: seal.NewKey(), Account: apitest.Account, Directory: people,
		Issuers: oidc.New(fetch.New([]string{strings.TrimPrefix(idp.URL, "http://")}, nil), time.Now), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.people = people
	h.rig = apitest.New(t, apitest.Options{Migrations: [][]store.Migration{identity.Migrations(), signin.Migrations()}}, append(people.APIs(), h.signin.API())...)
	if err := h.rig.Store.Update(context.Background(), func(tx *store.Tx) error { return people.Bootstrap(tx, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	h.admin = h.rig.User(t, apitest.Account, "admin", apitest.Admin)
	instance := apitest.Must[ssoadmin.ListInstancesOutput](t, h.admin, "sso:ListInstances", &ssoadmin.ListInstancesInput{}).Instances[0]
	h.store = instance.IdentityStoreId
	h.user = h.person(t, "ada", "ada@example.org")
	issuer := apitest.Must[ssoadmin.CreateTrustedTokenIssuerOutput](t, h.admin, "sso:CreateTrustedTokenIssuer", &ssoadmin.CreateTrustedTokenIssuerInput{
		InstanceArn: instance.InstanceArn, Name: "idp", TrustedTokenIssuerType: ssoadmin.TrustedTokenIssuerTypeOidcJwt,
		TrustedTokenIssuerConfiguration: &ssoadmin.TrustedTokenIssuerConfiguration{OidcJwtConfiguration: &ssoadmin.OidcJwtConfiguration{
			IssuerUrl: idp.URL, ClaimAttributePath: "email", IdentityStoreAttributePath: "emails.value", JwksRetrievalOption: ssoadmin.JwksRetrievalOptionOpenIdDiscovery,
		}},
	}).TrustedTokenIssuerArn
	h.app = apitest.Must[ssoadmin.CreateApplicationOutput](t, h.admin, "sso:CreateApplication", &ssoadmin.CreateApplicationInput{
		InstanceArn: instance.InstanceArn, Name: "workbench", ApplicationProviderArn: "arn:aws:sso::aws:applicationProvider/custom",
	}).ApplicationArn
	apitest.Must[ssoadmin.PutApplicationGrantOutput](t, h.admin, "sso:PutApplicationGrant", &ssoadmin.PutApplicationGrantInput{
		ApplicationArn: h.app, GrantType: ssoadmin.GrantTypeUrnIetfParamsOauthGrantTypeJwtBearer,
		Grant: &ssoadmin.Grant{JwtBearer: &ssoadmin.JwtBearerGrant{AuthorizedTokenIssuers: []ssoadmin.AuthorizedTokenIssuer{
			{TrustedTokenIssuerArn: issuer, AuthorizedAudiences: []string{audience}},
		}}},
	})
	apitest.Must[ssoadmin.PutApplicationAuthenticationMethodOutput](t, h.admin, "sso:PutApplicationAuthenticationMethod", &ssoadmin.PutApplicationAuthenticationMethodInput{
		ApplicationArn: h.app, AuthenticationMethodType: ssoadmin.AuthenticationMethodTypeIam,
		AuthenticationMethod: &ssoadmin.AuthenticationMethod{Iam: &ssoadmin.IamAuthenticationMethod{ActorPolicy: []byte(fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sso-oauth:CreateTokenWithIAM","Resource":"*"}]}`, h.admin.Entity.ARN))}},
	})
	apitest.Must[ssoadmin.CreateApplicationAssignmentOutput](t, h.admin, "sso:CreateApplicationAssignment", &ssoadmin.CreateApplicationAssignmentInput{
		ApplicationArn: h.app, PrincipalId: h.user, PrincipalType: ssoadmin.PrincipalTypeUser,
	})
	return h
}

func (h *house) person(t testing.TB, name, email string) string {
	t.Helper()
	return apitest.Must[directory.CreateUserOutput](t, h.admin, "identitystore:CreateUser", &directory.CreateUserInput{
		IdentityStoreId: h.store, UserName: name, DisplayName: name, Name: &directory.Name{GivenName: name, FamilyName: "E"},
		Emails: []directory.Email{{Value: email}},
	}).UserId
}

func (h *house) exchange(t testing.TB, token string) (*ssooidc.CreateTokenWithIAMOutput, *api.Error) {
	t.Helper()
	return apitest.Call[ssooidc.CreateTokenWithIAMOutput](t, h.admin, "sso-oauth:CreateTokenWithIAM", &ssooidc.CreateTokenWithIAMInput{
		ClientId: h.app, GrantType: "urn:ietf:params:oauth:grant-type:jwt-bearer", Assertion: token,
	})
}

func (h *house) claims(edit func(map[string]any)) map[string]any {
	c := h.issuer.Claims(audience, "subject", "ada@example.org")
	if edit != nil {
		edit(c)
	}
	return c
}

func (h *house) token(t testing.TB, edit func(map[string]any)) string {
	t.Helper()
	token, err := h.issuer.Sign(h.claims(edit))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forged signs claims with a key and headers of the attacker's choice.
func (h *house) forged(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any) string {
	t.Helper()
	opt := &jose.SignerOptions{EmbedJWK: header == nil}
	for k, v := range header {
		opt = opt.WithHeader(k, v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opt)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(h.claims(nil))
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAGoodTokenIsTakenOnce(t *testing.T) {
	h := enter(t)
	token := h.token(t, nil)
	out, refusal := h.exchange(t, token)
	if refusal != nil {
		t.Fatal(refusal)
	}
	person, err := h.signin.Open(context.Background(), nil, out.AwsAdditionalDetails.IdentityContext, time.Now())
	if err != nil || person.UserID != h.user || person.ApplicationARN != h.app {
		t.Fatalf("%+v, %v", person, err)
	}
	if _, refusal := h.exchange(t, token); refusal == nil || refusal.Code != "InvalidGrantException" {
		t.Errorf("a token was taken twice: %v", refusal)
	}
	// What is for one thing is not good for another.
	for name, text := range map[string]string{"access token": out.AccessToken, "id token": out.IdToken, "nothing": "", "the token itself": token} {
		if _, err := h.signin.Open(context.Background(), nil, text, time.Now()); err == nil {
			t.Errorf("%s opens as a context", name)
		}
	}
	if _, err := h.signin.Open(context.Background(), nil, out.AwsAdditionalDetails.IdentityContext, time.Now().Add(2*time.Hour)); err == nil {
		t.Error("a context outlives its hour")
	}
	for i := range out.AwsAdditionalDetails.IdentityContext {
		b := []byte(out.AwsAdditionalDetails.IdentityContext)
		b[i] ^= 1
		if got, err := h.signin.Open(context.Background(), nil, string(b), time.Now()); err == nil && got.UserID != h.user {
			t.Fatalf("a changed context opens at %d", i)
		}
	}
}

// Everything about a token that its bearer could bend.
func TestForgedTokens(t *testing.T) {
	h := enter(t)
	public, err := x509.MarshalPKIXPublicKey(h.issuer.Public())
	if err != nil {
		t.Fatal(err)
	}
	good := h.token(t, nil)
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	none := b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	other, _ := json.Marshal(func() map[string]any {
		c := maps.Clone(h.claims(nil))
		c["email"] = "root@example.org"
		return c
	}())
	for name, token := range map[string]string{
		"none":                     none,
		"none with a signature":    none + parts[2],
		"payload exchanged":        parts[0] + "." + b64(other) + "." + parts[2],
		"no signature":             parts[0] + "." + parts[1] + ".",
		"two parts":                parts[0] + "." + parts[1],
		"the public key as secret": h.forged(t, jose.HS256, public, map[jose.HeaderKey]any{"kid": h.issuer.KeyID}),
		"a key of the bearer's":    h.forged(t, jose.ES256, h.key, nil),
		"another's key of that id": h.forged(t, jose.ES256, h.key, map[jose.HeaderKey]any{"kid": h.issuer.KeyID}),
		"a key from elsewhere":     h.forged(t, jose.ES256, h.key, map[jose.HeaderKey]any{"jku": "https://evil.example/keys"}),
		"empty":                    "",
		"huge":                     strings.Repeat("a", 1<<20),
	} {
		if _, refusal := h.exchange(t, token); refusal == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, edit := range map[string]func(map[string]any){
		"another issuer":         func(c map[string]any) { c["iss"] = "https://accounts.example" },
		"an issuer with a slash": func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" },
		"another audience":       func(c map[string]any) { c["aud"] = "somebody-else" },
		"audiences without ours": func(c map[string]any) { c["aud"] = []string{"a", "b"} },
		"no audience":            func(c map[string]any) { delete(c, "aud") },
		"no subject":             func(c map[string]any) { delete(c, "sub") },
		"no id":                  func(c map[string]any) { delete(c, "jti") },
		"an empty id":            func(c map[string]any) { c["jti"] = "" },
		"no expiry":              func(c map[string]any) { delete(c, "exp") },
		"expired":                func(c map[string]any) { c["exp"] = time.Now().Add(-2 * time.Minute).Unix() },
		"not yet":                func(c map[string]any) { c["nbf"] = time.Now().Add(5 * time.Minute).Unix() },
		"from the future":        func(c map[string]any) { c["iat"] = time.Now().Add(5 * time.Minute).Unix() },
		"for ever":               func(c map[string]any) { c["exp"] = 1e300 },
		"for a year":             func(c map[string]any) { c["exp"] = time.Now().Add(365 * 24 * time.Hour).Unix() },
		"no e-mail":              func(c map[string]any) { delete(c, "email") },
		"an unverified e-mail":   func(c map[string]any) { c["email_verified"] = false },
		"an e-mail of nobody":    func(c map[string]any) { c["email"] = "nobody@example.org" },
		"e-mails":                func(c map[string]any) { c["email"] = []string{"ada@example.org"} },
		"a pattern":              func(c map[string]any) { c["email"] = "%@example.org" },
		"a number as issuer":     func(c map[string]any) { c["iss"] = 7 },
	} {
		if _, refusal := h.exchange(t, h.token(t, edit)); refusal == nil {
			t.Errorf("a token with %s was taken", name)
		}
	}
	if _, refusal := h.exchange(t, good); refusal != nil {
		t.Errorf("and a good one is refused: %v", refusal)
	}
}

// A token that somebody kept does not bring a person in again who was signed out since
// it was issued, or taken out and let in again. A newer one does.
func TestKeptTokens(t *testing.T) {
	h := enter(t)
	kept := func(ago time.Duration) string {
		return h.token(t, func(c map[string]any) { c["iat"] = time.Now().Add(-ago).Unix() })
	}
	if _, refusal := h.exchange(t, kept(30*time.Minute)); refusal != nil {
		t.Fatalf("an older token of one who stays: %v", refusal)
	}
	status := func(s string) {
		apitest.Must[directory.UpdateUserOutput](t, h.admin, "identitystore:UpdateUser", &directory.UpdateUserInput{
			IdentityStoreId: h.store, UserId: h.user, Operations: []directory.AttributeOperation{{AttributePath: "userStatus", AttributeValue: []byte(s)}},
		})
	}
	for why, end := range map[string]func(){
		"signed out everywhere": func() {
			if err := h.rig.Store.Update(t.Context(), func(tx *store.Tx) error { return h.people.SignOut(tx, h.user, time.Now()) }); err != nil {
				t.Fatal(err)
			}
		},
		"disabled and enabled": func() { status(`"DISABLED"`); status(`"ENABLED"`) },
	} {
		before := kept(2 * time.Minute)
		end()
		if _, refusal := h.exchange(t, before); refusal == nil || refusal.Code != "InvalidGrantException" {
			t.Errorf("%s: a token of before answers %v", why, refusal)
		}
		if _, refusal := h.exchange(t, kept(0)); refusal != nil {
			t.Errorf("%s: a new token answers %v", why, refusal)
		}
	}
}

// Two people with one attribute are nobody, and who is not assigned stays out.
func TestWhoIsMeant(t *testing.T) {
	h := enter(t)
	eve := h.person(t, "eve", "eve@example.org")
	asEve := func(c map[string]any) { c["email"] = "eve@example.org" }
	if _, refusal := h.exchange(t, h.token(t, asEve)); refusal == nil || refusal.Code != "AccessDeniedException" {
		t.Errorf("who is not assigned: %v", refusal)
	}
	apitest.Must[ssoadmin.CreateApplicationAssignmentOutput](t, h.admin, "sso:CreateApplicationAssignment", &ssoadmin.CreateApplicationAssignmentInput{
		ApplicationArn: h.app, PrincipalId: eve, PrincipalType: ssoadmin.PrincipalTypeUser,
	})
	if _, refusal := h.exchange(t, h.token(t, asEve)); refusal != nil {
		t.Errorf("who is assigned: %v", refusal)
	}
	// No two may have one address today; a directory from before may hold them.
	twin := h.person(t, "eve2", "eve2@example.org")
	if err := h.rig.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE identity_users SET email = 'eve@example.org' WHERE id = ?`, twin)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, refusal := h.exchange(t, h.token(t, asEve)); refusal == nil {
		t.Error("one of two people was picked")
	}
	stranger := h.rig.User(t, apitest.Account, "stranger", apitest.Admin)
	_, refusal := apitest.Call[ssooidc.CreateTokenWithIAMOutput](t, stranger, "sso-oauth:CreateTokenWithIAM", &ssooidc.CreateTokenWithIAMInput{
		ClientId: h.app, GrantType: "urn:ietf:params:oauth:grant-type:jwt-bearer", Assertion: h.token(t, nil),
	})
	if refusal == nil || refusal.Code != "AccessDenied" {
		t.Errorf("who is no actor of the application: %v", refusal)
	}
}
