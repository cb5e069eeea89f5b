package sts_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sts"
)

const (
	issuerName = "token.example.org/tenant"
	issuerARN  = "arn:aws:iam::" + account + ":oidc-provider/" + issuerName
	client     = "bawn-client"
	withToken  = `"sts:AssumeRoleWithWebIdentity"`
)

// register makes the house's issuer a provider of the first account.
func (h *house) register(t testing.TB) { h.registerIn(t, h.admin) }

func (h *house) registerIn(t testing.TB, admin api.Claim) {
	t.Helper()
	must[iamshape.CreateOpenIDConnectProviderOutput](t, h, admin, "iam:CreateOpenIDConnectProvider",
		&iamshape.CreateOpenIDConnectProviderInput{Url: issuerURL, ClientIDList: []string{client}})
}

// trusting makes a role that the issuer's repo/main may have.
func (h *house) trusting(t testing.TB, name string, actions string) string {
	t.Helper()
	return h.role(t, name, trust(`{"Federated":"`+issuerARN+`"}`, actions,
		`{"StringEquals":{"`+issuerName+`:aud":"`+client+`","`+issuerName+`:sub":"repo/main"}}`), document(admin))
}

func (h *house) claims(edit func(map[string]any)) map[string]any {
	c := map[string]any{
		"iss": issuerURL, "aud": client, "sub": "repo/main", "iat": h.Now().Unix(), "exp": h.Now().Add(10 * time.Minute).Unix(), "amr": []string{"mfa", "pwd"},
	}
	if edit != nil {
		edit(c)
	}
	return c
}

func (h *house) token(t testing.TB, edit func(map[string]any)) string {
	t.Helper()
	text, err := h.issuer.Sign(h.claims(edit))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// show asks for a role with a token; more are members and their values.
func (h *house) show(t testing.TB, role, token string, more ...string) answer {
	t.Helper()
	members := map[string]string{"RoleArn": role, "RoleSessionName": "pipeline", "WebIdentityToken": token}
	for i := 0; i < len(more); i += 2 {
		members[more[i]] = more[i+1]
	}
	return h.post(t, "AssumeRoleWithWebIdentity", members)
}

func TestWebIdentity(t *testing.T) {
	h := newHouse(t)
	h.register(t)
	role := h.trusting(t, "deploy", withToken)
	a := h.show(t, role, h.token(t, nil))
	s := h.opened(t, a)
	if a["Arn"] != "arn:aws:sts::"+account+":assumed-role/deploy/pipeline" || a["Provider"] != issuerARN || a["Audience"] != client ||
		a["SubjectFromWebIdentityToken"] != "repo/main" || !strings.HasSuffix(a["AssumedRoleId"], ":pipeline") {
		t.Errorf("%v", a)
	}
	if me := h.whoami(t, s); me.Arn != a["Arn"] || me.UserId != a["AssumedRoleId"] {
		t.Errorf("it is %+v", me)
	}
	must[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers)

	// What the issuer vouched for stays with the session, and ends with it: a role
	// that it assumes next hears nothing of it.
	if sub, _ := s.Vouched.Get(issuerName + ":sub"); s.Provider != issuerARN || len(sub) != 1 || sub[0] != "repo/main" || s.Chained {
		t.Errorf("%+v", s)
	}
	narrow := h.role(t, "narrow", trust(`{"Federated":"`+issuerARN+`"}`, withToken, ""),
		document(`{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::*:user/${`+issuerName+`:sub}"},
			{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"`+issuerName+`:amr":"mfa"}}}`))
	h.user(t, "main")
	byPath := h.opened(t, h.show(t, narrow, h.token(t, func(c map[string]any) { c["sub"] = "main" })))
	must[iamshape.GetUserOutput](t, h, byPath, "iam:GetUser", &iamshape.GetUserInput{UserName: "main"})
	must[iamshape.ListUsersOutput](t, h, byPath, "iam:ListUsers", listUsers)
	refused[iamshape.GetUserOutput](t, h, byPath, "iam:GetUser", &iamshape.GetUserInput{UserName: "admin"}, "AccessDenied")
	next := h.role(t, "next", trust(anyone, assume, ""), document(admin))
	if chained := h.session(t, s, &shape.AssumeRoleInput{RoleArn: next}); chained.Provider != "" || len(chained.Vouched) != 0 || !chained.Chained {
		t.Errorf("the next session is %+v", chained)
	}

	// The record names the bearer, and holds no token.
	found := false
	for _, r := range h.Records(t, account, "AssumeRoleWithWebIdentity") {
		found = found || r.UserIdentity.Type == "WebIdentityUser" && r.UserIdentity.UserName == "repo/main" && r.UserIdentity.IdentityProvider == issuerARN &&
			strings.Contains(string(r.AdditionalEventData), a["AccessKeyId"])
		if strings.Contains(string(r.RequestParameters), "eyJ") {
			t.Errorf("the record holds a token: %s", r.RequestParameters)
		}
	}
	if !found {
		t.Error("no record says who got the session")
	}
}

// A token is worth something only in the roles that trust its issuer for its
// subject, in the accounts that registered the issuer.
func TestWebIdentityElsewhere(t *testing.T) {
	h := newHouse(t)
	h.register(t)
	role := h.trusting(t, "deploy", withToken)
	refusedWith(t, "another subject", h.show(t, role, h.token(t, func(c map[string]any) { c["sub"] = "repo/fork" })), "AccessDenied")
	refusedWith(t, "a role that trusts everybody", h.show(t, h.role(t, "open", trust(anyone, withToken, "")), h.token(t, nil)), "AccessDenied")
	refusedWith(t, "a role for another action", h.show(t, h.role(t, "wrong", trust(`{"Federated":"`+issuerARN+`"}`, `"sts:AssumeRoleWithSAML"`, "")), h.token(t, nil)), "AccessDenied")
	refusedWith(t, "another account's role", h.show(t, h.roleIn(t, h.other, "theirs", trust(`{"Federated":"`+issuerARN+`"}`, withToken, "")), h.token(t, nil)), "InvalidIdentityToken")
	h.registerIn(t, h.other)
	refusedWith(t, "another account's role, by our provider's name", h.show(t, "arn:aws:iam::"+apitest.Other+":role/theirs", h.token(t, nil)), "AccessDenied")
	refusedWith(t, "no account", h.show(t, "arn:aws:iam::999999999999:role/x", h.token(t, nil)), "InvalidIdentityToken")

	// A role that is not there is refused in the words for one that does not trust.
	closed := h.show(t, h.role(t, "closed", trust(`{"AWS":"`+account+`"}`, assume, "")), h.token(t, nil))
	absent := h.show(t, "arn:aws:iam::"+account+":role/absent", h.token(t, nil))
	refusedWith(t, "an absent role", absent, "AccessDenied")
	if strings.ReplaceAll(closed["Message"], "closed", "absent") != absent["Message"] {
		t.Errorf("%q tells more than %q", closed["Message"], absent["Message"])
	}

	// The provider's state counts now, not when the role was made.
	h.opened(t, h.show(t, role, h.token(t, nil)))
	must[iamshape.RemoveClientIDFromOpenIDConnectProviderOutput](t, h, h.admin, "iam:RemoveClientIDFromOpenIDConnectProvider",
		&iamshape.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: issuerARN, ClientID: client})
	refusedWith(t, "a client that is registered no more", h.show(t, role, h.token(t, nil)), "InvalidIdentityToken")
	must[iamshape.DeleteOpenIDConnectProviderOutput](t, h, h.admin, "iam:DeleteOpenIDConnectProvider",
		&iamshape.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: issuerARN})
	refusedWith(t, "a provider that is registered no more", h.show(t, role, h.token(t, nil)), "InvalidIdentityToken")
}

// Everything about a token that its bearer could bend.
func TestForgedWebIdentity(t *testing.T) {
	h := newHouse(t)
	h.register(t)
	role := h.trusting(t, "deploy", withToken)
	good := h.token(t, nil)
	public, err := x509.MarshalPKIXPublicKey(h.issuer.Public())
	if err != nil {
		t.Fatal(err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ownRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := func(alg jose.SignatureAlgorithm, key any, embed bool, header map[jose.HeaderKey]any) string {
		opt := &jose.SignerOptions{EmbedJWK: embed}
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
	kid := map[jose.HeaderKey]any{"kid": h.issuer.KeyID}
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	other, _ := json.Marshal(h.claims(func(c map[string]any) { c["sub"] = "repo/other" }))
	for name, token := range map[string]string{
		"none":                       b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
		"none with a signature":      b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2],
		"no signature":               parts[0] + "." + parts[1] + ".",
		"two parts":                  parts[0] + "." + parts[1],
		"five parts":                 good + ".a.b",
		"another payload":            parts[0] + "." + b64(other) + "." + parts[2],
		"the public key as a secret": forged(jose.HS256, public, false, kid),
		"another algorithm":          forged(jose.RS256, ownRSA, false, kid),
		"another's key of that id":   forged(jose.ES256, own, false, kid),
		"a key of the bearer's":      forged(jose.ES256, own, true, nil),
		"a key from elsewhere":       forged(jose.ES256, own, false, map[jose.HeaderKey]any{"jku": "https://token.example.org/tenant/keys", "x5u": "https://evil.example/x"}),
		"a key id that is a path":    forged(jose.ES256, own, false, map[jose.HeaderKey]any{"kid": "../../keys"}),
		"a key id that is empty":     forged(jose.ES256, own, false, map[jose.HeaderKey]any{"kid": ""}),
		"no token":                   "none",
		"the issuer's claims twice":  parts[0] + "." + b64([]byte(`{"iss":"`+issuerURL+`","iss":"`+issuerURL+`"}`)) + "." + parts[2],
	} {
		refusedWith(t, name, h.show(t, role, token), "InvalidIdentityToken")
	}
	minutes := func(n int) int64 { return h.Now().Add(time.Duration(n) * time.Minute).Unix() }
	for name, edit := range map[string]func(map[string]any){
		"an issuer with a slash":          func(c map[string]any) { c["iss"] = issuerURL + "/" },
		"an issuer in capitals":           func(c map[string]any) { c["iss"] = strings.ToUpper(issuerURL) },
		"an issuer's host in capitals":    func(c map[string]any) { c["iss"] = "https://TOKEN.example.org/tenant" },
		"an issuer with a user":           func(c map[string]any) { c["iss"] = "https://a@token.example.org/tenant" },
		"an issuer with a port":           func(c map[string]any) { c["iss"] = "https://token.example.org:443/tenant" },
		"an issuer with a query":          func(c map[string]any) { c["iss"] = issuerURL + "?x" },
		"an issuer by http":               func(c map[string]any) { c["iss"] = "http://token.example.org/tenant" },
		"an issuer without a scheme":      func(c map[string]any) { c["iss"] = issuerName },
		"an issuer above":                 func(c map[string]any) { c["iss"] = "https://token.example.org" },
		"an issuer that is a number":      func(c map[string]any) { c["iss"] = 7 },
		"an endless issuer":               func(c map[string]any) { c["iss"] = "https://" + strings.Repeat("a.", 5000) },
		"no issuer":                       func(c map[string]any) { delete(c, "iss") },
		"another audience":                func(c map[string]any) { c["aud"] = "somebody-else" },
		"no audience":                     func(c map[string]any) { delete(c, "aud") },
		"audiences without an asker":      func(c map[string]any) { c["aud"] = []string{client, "b"} },
		"audiences without ours":          func(c map[string]any) { c["aud"], c["azp"] = []string{"a", "b"}, client },
		"an asker who is not registered":  func(c map[string]any) { c["azp"] = "somebody-else" },
		"an asker who is a list":          func(c map[string]any) { c["azp"] = []string{client} },
		"no subject":                      func(c map[string]any) { delete(c, "sub") },
		"an empty subject":                func(c map[string]any) { c["sub"] = "" },
		"a subject without end":           func(c map[string]any) { c["sub"] = strings.Repeat("a", 256) },
		"a subject that is a list":        func(c map[string]any) { c["sub"] = []string{"repo/main"} },
		"no expiry":                       func(c map[string]any) { delete(c, "exp") },
		"no time of issue":                func(c map[string]any) { delete(c, "iat") },
		"not yet":                         func(c map[string]any) { c["nbf"] = minutes(5) },
		"from the future":                 func(c map[string]any) { c["iat"] = minutes(5) },
		"a source identity that is none":  func(c map[string]any) { c["https://aws.amazon.com/source_identity"] = "two words" },
		"a source identity that is a map": func(c map[string]any) { c["https://aws.amazon.com/source_identity"] = map[string]any{} },
		"tags that are no map":            func(c map[string]any) { c["https://aws.amazon.com/tags"] = []string{"a"} },
		"a tag with two values":           func(c map[string]any) { c["https://aws.amazon.com/tags"] = tagged("team", "a", "b") },
		"a tag without one":               func(c map[string]any) { c["https://aws.amazon.com/tags"] = tagged("team") },
		"a single tag with two values":    func(c map[string]any) { c["https://aws.amazon.com/tags/principal_tags/team"] = []string{"a", "b"} },
		"a single tag that is a number":   func(c map[string]any) { c["https://aws.amazon.com/tags/principal_tags/team"] = 1 },
		"a part that is unknown":          func(c map[string]any) { c["https://aws.amazon.com/tags/tags"] = "a" },
		"something else among the tags":   func(c map[string]any) { c["https://aws.amazon.com/tags"] = map[string]any{"tags": 1} },
	} {
		refusedWith(t, name, h.show(t, role, h.token(t, edit)), "InvalidIdentityToken")
	}
	refusedWith(t, "an old token", h.show(t, role, h.token(t, func(c map[string]any) { c["iat"], c["exp"] = minutes(-20), minutes(-2) })), "ExpiredTokenException")
	refusedWith(t, "a token from before time", h.show(t, role, h.token(t, func(c map[string]any) { c["exp"] = -1e300 })), "ExpiredTokenException")
	refusedWith(t, "an OAuth provider", h.show(t, role, good, "ProviderId", "www.amazon.com"), "ValidationError")
	refusedWith(t, "no role", h.show(t, "arn:aws:iam::"+account+":user/admin", good), "ValidationError")
	h.opened(t, h.show(t, role, good))
	h.opened(t, h.show(t, role, h.token(t, func(c map[string]any) { c["aud"], c["azp"] = []string{"b", client}, client })))
	h.Advance(12 * time.Minute)
	refusedWith(t, "a token that was good", h.show(t, role, good), "ExpiredTokenException")
}

func tagged(key string, values ...string) map[string]any {
	return map[string]any{"principal_tags": map[string]any{key: values}}
}

func TestWebIdentityTagsAndSource(t *testing.T) {
	h := newHouse(t)
	h.register(t)
	plain := h.trusting(t, "plain", withToken)
	role := h.trusting(t, "tagged", `["sts:AssumeRoleWithWebIdentity","sts:TagSession","sts:SetSourceIdentity"]`)
	full := h.token(t, func(c map[string]any) {
		tags := tagged("team", "imaging")
		tags["transitive_tag_keys"] = []string{"team"}
		c["https://aws.amazon.com/tags"], c["https://aws.amazon.com/source_identity"] = tags, "ada"
	})
	refusedWith(t, "tags where none may be", h.show(t, plain, full), "AccessDenied")
	refusedWith(t, "a source identity where none may be", h.show(t, plain, h.token(t, func(c map[string]any) {
		c["https://aws.amazon.com/source_identity"] = "ada"
	})), "AccessDenied")
	s := h.opened(t, h.show(t, role, full))
	if s.Tags["team"] != "imaging" || len(s.TransitiveTags) != 1 || s.SourceIdentity != "ada" {
		t.Errorf("%+v", s)
	}
	next := h.role(t, "next", trust(anyone, `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`, ""), document(admin))
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: next, Tags: []shape.Tag{{Key: "Team", Value: "root"}}}, "InvalidParameterValue")
	h.denied(t, s, &shape.AssumeRoleInput{RoleArn: next, SourceIdentity: "eve"}, "AccessDenied")
	if c := h.session(t, s, &shape.AssumeRoleInput{RoleArn: next}); c.Tags["team"] != "imaging" || c.SourceIdentity != "ada" {
		t.Errorf("%+v", c)
	}
	for name, edit := range map[string]func(map[string]any){
		"a reserved tag":            func(c map[string]any) { c["https://aws.amazon.com/tags"] = tagged("aws:x", "1") },
		"a tag of strange letters":  func(c map[string]any) { c["https://aws.amazon.com/tags"] = tagged("a\x00b", "1") },
		"a tag of too many letters": func(c map[string]any) { c["https://aws.amazon.com/tags"] = tagged(strings.Repeat("k", 129), "1") },
		"a value of too many":       func(c map[string]any) { c["https://aws.amazon.com/tags"] = tagged("k", strings.Repeat("v", 257)) },
		"a tag twice, in other case": func(c map[string]any) {
			x := tagged("k", "1")
			maps.Copy(x["principal_tags"].(map[string]any), map[string]any{"K": []string{"2"}})
			c["https://aws.amazon.com/tags"] = x
		},
	} {
		if a := h.show(t, role, h.token(t, edit)); a["Code"] != "ValidationError" && a["Code"] != "InvalidParameterValue" {
			t.Errorf("%s: %v", name, a)
		}
	}
}

// Duration and session policies are a role's as with AssumeRole.
func TestWebIdentityLimits(t *testing.T) {
	h := newHouse(t)
	h.register(t)
	role := h.trusting(t, "deploy", withToken)
	refusedWith(t, "too long", h.show(t, role, h.token(t, nil), "DurationSeconds", "3601"), "ValidationError")
	s := h.opened(t, h.show(t, role, h.token(t, nil), "DurationSeconds", "900", "Policy", narrow))
	if left := s.Expires.Sub(s.Issued); left > 15*time.Minute {
		t.Errorf("it lasts %v", left)
	}
	refused[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers, "AccessDenied")
	refusedWith(t, "a policy that is none", h.show(t, role, h.token(t, nil), "Policy", "{}"), "MalformedPolicyDocument")
	refusedWith(t, "a policy that is not there", h.show(t, role, h.token(t, nil), "PolicyArns.member.1.arn", "arn:aws:iam::"+account+":policy/none"), "ValidationError")
	refusedWith(t, "a token without end", h.show(t, role, strings.Repeat("a", 20001)), "ValidationError")
}

// An issuer that does not answer is told apart from a token that is not good, since
// clients try again; what the network said is not told.
func TestIssuerThatIsDown(t *testing.T) {
	h := newHouse(t)
	const down = "https://down.example.org"
	must[iamshape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider",
		&iamshape.CreateOpenIDConnectProviderInput{Url: down, ClientIDList: []string{client}})
	role := h.role(t, "r", trust(`{"Federated":"arn:aws:iam::`+account+`:oidc-provider/down.example.org"}`, withToken, ""))
	for range 2 { // asked, and not asked again so soon
		a := h.show(t, role, h.token(t, func(c map[string]any) { c["iss"] = down }))
		refusedWith(t, "an issuer that is down", a, "IDPCommunicationError")
		if strings.Contains(a["Message"], "route") {
			t.Errorf("it tells of the network: %s", a["Message"])
		}
	}
}
