package signin

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// via is a whole sign-in at a provider.
func (s *surfer) via(id string, p *provider, next string) *page {
	s.g.t.Helper()
	return s.get(p.consent(s.leave("", id, next)))
}

// in checks that a page let somebody in, and answers who she is.
func (g *frontier) in(p *page) string {
	g.t.Helper()
	if p.status != 200 || p.out.Session == "" {
		g.t.Fatalf("%d %s", p.status, p.body)
	}
	return g.browser("127.0.0.1").call("DescribeOwn", values{"Session": p.out.Session}).UserId
}

// out checks that nobody was let in.
func (g *frontier) out(p *page, why string) {
	g.t.Helper()
	if p.status < 400 || p.status >= 500 || strings.Contains(p.body, "Session") {
		g.t.Errorf("%s: %d %s", why, p.status, p.body)
	}
}

func TestSignInAtOpenIDProvider(t *testing.T) { storetest.Each(t, signInAtOpenIDProvider) }

func signInAtOpenIDProvider(t *testing.T, open func(testing.TB) *store.Store) {
	g := newFrontierOver(t, open(t), t.TempDir())
	g.addProvider("corp", g.idp, nil)
	ada := g.person("ada")
	s := g.surfer()
	if methods := g.browser("127.0.0.1").begin("nobody").Methods; !slices.Contains(methods, redirect+"corp") {
		t.Errorf("a name is offered %v", methods)
	}
	p := s.via("corp", g.idp, "/start/sessions")
	if who := g.in(p); who != ada || p.next != "/start/sessions" {
		t.Errorf("it is %s, who is led to %q", who, p.next)
	}
	sessions := g.browser("127.0.0.1").call("ListOwnSessions", values{"Session": p.out.Session}).Sessions
	if len(sessions) != 1 || !slices.Equal(sessions[0].Methods, []string{"fed", "mfa"}) {
		t.Errorf("%+v", sessions)
	}
	var entered bool
	for _, r := range g.Records(t, apitest.Account, "FinishFederation") {
		entered = entered || r.UserIdentity.Type == "IdentityCenterUser" && r.UserIdentity.OnBehalfOf.UserID == ada && r.UserIdentity.CredentialID == sessions[0].Id
	}
	if !entered {
		t.Error("no record of who came in")
	}
	// From now on it is the subject that counts, whatever the provider calls her.
	g.idp.claims["preferred_username"] = "countess"
	if who := g.in(g.surfer().via("corp", g.idp, "")); who != ada {
		t.Errorf("her subject is %s", who)
	}
	// Another subject with her old name is not her.
	g.idp.claims["sub"], g.idp.claims["preferred_username"] = "somebody else", "ada"
	g.out(g.surfer().via("corp", g.idp, ""), "a name that was given to another")
	apitest.NoPlaintext(t, g.Dir, g.idp.secret)
}

// Who comes without a second factor shows one here.
func TestProviderWithoutSecondFactor(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, nil)
	g.idp.claims["amr"] = []string{"pwd"}
	ada := g.browser("127.0.0.1").join("ada")
	s := g.surfer()
	p := s.via("corp", g.idp, "")
	if p.status != 200 || p.out.Session != "" || !slices.Contains(p.out.Next, "totp") {
		t.Fatalf("%d %s", p.status, p.body)
	}
	b := g.browser("127.0.0.1")
	g.refusedWith(b.next(p.out.Flow, values{"Code": g.code(ada.secret)}), "AccessDeniedException", "another browser goes on")
	b.binding = s.cookies[bindingCookie]
	if out := b.next(p.out.Flow, values{"Code": g.code(ada.secret)}); out.Session == "" {
		t.Errorf("%+v", out)
	}
}

func TestPeopleAreMade(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, func(p *Provider) { p.Create, p.Match = true, "" })
	g.idp.claims["email"], g.idp.claims["email_verified"] = "ada@example.org", true
	made := g.in(g.surfer().via("corp", g.idp, ""))
	u := apitest.Must[directory.DescribeUserOutput](t, g.admin, "identitystore:DescribeUser", &directory.DescribeUserInput{IdentityStoreId: g.store, UserId: made})
	if u.UserName != "ada" || u.DisplayName != "Ada Lovelace" || u.Name.FamilyName != "Lovelace" || len(u.Emails) != 1 || u.Emails[0].Value != "ada@example.org" {
		t.Errorf("%+v", u)
	}
	if again := g.in(g.surfer().via("corp", g.idp, "")); again != made {
		t.Errorf("she was made twice: %s and %s", made, again)
	}
	// Nobody becomes somebody who is there already, by her name or her address.
	g.idp.claims["sub"] = "another"
	g.out(g.surfer().via("corp", g.idp, ""), "a name that is taken")
	g.idp.claims["preferred_username"] = "eve"
	g.out(g.surfer().via("corp", g.idp, ""), "an address that is taken")
	// Removed, she is made anew, and is another.
	apitest.Must[directory.DeleteUserOutput](t, g.admin, "identitystore:DeleteUser", &directory.DeleteUserInput{IdentityStoreId: g.store, UserId: made})
	g.idp.claims["sub"], g.idp.claims["preferred_username"] = "subject-of-ada", "ada"
	if again := g.in(g.surfer().via("corp", g.idp, "")); again == made {
		t.Error("who was removed is back")
	}
}

func TestAddressesMustBeVerified(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, func(p *Provider) { p.Match = "email" })
	ada := g.person("ada")
	g.idp.claims["preferred_username"] = "whoever"
	for _, verified := range []any{nil, false, "true"} {
		g.idp.claims["email"], g.idp.claims["email_verified"] = "ada@example.org", verified
		g.out(g.surfer().via("corp", g.idp, ""), "an address that nobody verified")
	}
	g.idp.claims["email_verified"] = true
	if who := g.in(g.surfer().via("corp", g.idp, "")); who != ada {
		t.Errorf("it is %s", who)
	}
}

// Nor does an address that nobody verified find or name a person where it stands for
// her user name.
func TestAddressesAsNames(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, func(p *Provider) { p.Attributes, p.Create = map[string]string{"userName": "email"}, true })
	ada := g.person("ada@example.org")
	for _, verified := range []any{nil, false, "true"} {
		g.idp.claims["email"], g.idp.claims["email_verified"] = "ada@example.org", verified
		g.out(g.surfer().via("corp", g.idp, ""), "an address that nobody verified")
	}
	g.idp.claims["email"] = "eve@example.org"
	g.out(g.surfer().via("corp", g.idp, ""), "somebody new by an address that nobody verified")
	g.idp.info = map[string]any{"sub": "subject-of-ada", "email": "ada@example.org", "email_verified": true}
	g.out(g.surfer().via("corp", g.idp, ""), "another address that is verified")
	g.idp.claims["email"], g.idp.claims["email_verified"] = "ada@example.org", true
	if who := g.in(g.surfer().via("corp", g.idp, "")); who != ada {
		t.Errorf("it is %s", who)
	}
}

// A provider may tell beside its token what people are called. It must be of the same
// person, and nothing that the token says is changed by it.
func TestProviderTellsMore(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, func(p *Provider) { p.Match = "email" })
	ada := g.person("ada")
	delete(g.idp.claims, "preferred_username")
	g.idp.info = map[string]any{"sub": "subject-of-eve", "email": "ada@example.org", "email_verified": true}
	g.out(g.surfer().via("corp", g.idp, ""), "of another subject")
	g.idp.info["sub"] = "subject-of-ada"
	g.idp.claims["email"] = "eve@example.org"
	g.out(g.surfer().via("corp", g.idp, ""), "another address than the token's")
	g.idp.info["email"] = "eve@example.org"
	delete(g.idp.info, "email_verified")
	delete(g.idp.claims, "email")
	g.out(g.surfer().via("corp", g.idp, ""), "an address that nobody verified")
	g.idp.info["email"], g.idp.info["email_verified"] = "ada@example.org", true
	if who := g.in(g.surfer().via("corp", g.idp, "")); who != ada {
		t.Errorf("it is %s", who)
	}
}

// A person who signs in by one provider is not another's by a name that both have.
func TestProvidersKeepTheirPeople(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, nil)
	g.addProvider("labs", g.other, func(p *Provider) { p.Create = true })
	ada := g.person("ada")
	g.other.claims["sub"] = "a namesake"
	if who := g.in(g.surfer().via("corp", g.idp, "")); who != ada {
		t.Fatalf("it is %s", who)
	}
	g.out(g.surfer().via("labs", g.other, ""), "her name at another provider")
	// Nor is one whom a provider made.
	g.other.claims["sub"], g.other.claims["preferred_username"] = "eve there", "eve"
	eve := g.in(g.surfer().via("labs", g.other, ""))
	g.idp.claims["sub"], g.idp.claims["preferred_username"] = "eve here", "eve"
	g.out(g.surfer().via("corp", g.idp, ""), "the name of a person whom another provider made")
	if who := g.in(g.surfer().via("labs", g.other, "")); who != eve {
		t.Errorf("she is %s at her own", who)
	}
	// Unless the operator says that both speak of the same people; or hers is gone.
	both := Provider{ID: "corp", Kind: KindOIDC, Issuer: g.idp.URL, ClientID: g.idp.client, Match: "userName", MatchLinked: true}
	g.update(func(tx *store.Tx) error { return g.signin.ReplaceProvider(tx, both, g.idp.secret) })
	if who := g.in(g.surfer().via("corp", g.idp, "")); who != eve {
		t.Errorf("it is %s", who)
	}
	g.update(func(tx *store.Tx) error { return g.signin.RemoveProvider(tx, "corp") })
	g.other.claims["sub"], g.other.claims["preferred_username"] = "a namesake", "ada"
	if who := g.in(g.surfer().via("labs", g.other, "")); who != ada {
		t.Errorf("it is %s", who)
	}
}

func TestDisabledAtHome(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, nil)
	ada := g.person("ada")
	p := g.surfer().via("corp", g.idp, "")
	g.in(p)
	disabled := directory.AttributeOperation{AttributePath: "userStatus", AttributeValue: []byte(`"DISABLED"`)}
	apitest.Must[directory.UpdateUserOutput](t, g.admin, "identitystore:UpdateUser", &directory.UpdateUserInput{
		IdentityStoreId: g.store, UserId: ada, Operations: []directory.AttributeOperation{disabled},
	})
	g.refusedWith(g.browser("127.0.0.1").call("DescribeOwn", values{"Session": p.out.Session}), "UnauthorizedException", "a session of one who was disabled")
	g.out(g.surfer().via("corp", g.idp, ""), "one who was disabled")
}

// With the provider end the sign-ins that it vouched for, and one of its name that
// comes after it has other people.
func TestProviderRemoved(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, func(p *Provider) { p.Create, p.Match = true, "" })
	p := g.surfer().via("corp", g.idp, "")
	asleep := &lineage{id: "asleep", userID: g.in(p), application: "arn:aws:sso::x:application/y", signedIn: g.Now(), until: g.Now().Add(time.Hour)}
	g.update(func(tx *store.Tx) error { return asleep.insert(tx, g.Now()) })
	g.update(func(tx *store.Tx) error { return g.signin.RemoveProvider(tx, "corp") })
	var left int
	g.update(func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM signin_lineages`).Scan(&left) })
	if left > 0 {
		t.Error("what an application has in the background by a provider that was removed goes on")
	}
	g.refusedWith(g.browser("127.0.0.1").call("DescribeOwn", values{"Session": p.out.Session}), "UnauthorizedException", "a session from a provider that was removed")
	g.addProvider("corp", g.other, func(p *Provider) { p.Create, p.Match = true, "" })
	g.out(g.surfer().via("corp", g.other, ""), "the same subject and name at another provider")
}

// A provider's secret and people change, its issuer does not.
func TestProviderReplaced(t *testing.T) {
	g := newFrontier(t)
	g.addProvider("corp", g.idp, nil)
	ada := g.person("ada")
	p := g.surfer().via("corp", g.idp, "")
	g.in(p)
	g.idp.secret = rand.Text()
	g.out(g.surfer().via("corp", g.idp, ""), "with the old secret")
	changed := Provider{ID: "corp", Kind: KindOIDC, Issuer: g.idp.URL, ClientID: g.idp.client}
	g.update(func(tx *store.Tx) error { return g.signin.ReplaceProvider(tx, changed, g.idp.secret) })
	if who := g.in(g.surfer().via("corp", g.idp, "")); who != ada { // whom nothing matches any more, and who is known
		t.Errorf("it is %s", who)
	}
	if out := g.browser("127.0.0.1").call("DescribeOwn", values{"Session": p.out.Session}); out.UserId != ada {
		t.Errorf("%+v", out)
	}
	for why, other := range map[string]Provider{
		"another issuer": {ID: "corp", Kind: KindOIDC, Issuer: g.other.URL, ClientID: "bawn"}, "none": {ID: "nowhere", Kind: KindOIDC, Issuer: g.idp.URL, ClientID: "bawn"},
	} {
		if err := g.Store.Update(t.Context(), func(tx *store.Tx) error { return g.signin.ReplaceProvider(tx, other, "secret") }); err == nil {
			t.Errorf("%s: it is replaced", why)
		}
	}
}

func TestProvidersAreChecked(t *testing.T) {
	g := newFrontier(t)
	good := func() Provider {
		return Provider{ID: "corp", Kind: KindOIDC, Issuer: "https://login.example.org", ClientID: "bawn"}
	}
	for why, edit := range map[string]func(*Provider){
		"name": func(p *Provider) { p.ID = "a/b" }, "kind": func(p *Provider) { p.Kind = "ldap" }, "issuer": func(p *Provider) { p.Issuer = "ftp://x" },
		"issuer with a query": func(p *Provider) { p.Issuer += "?a=b" }, "match": func(p *Provider) { p.Match = "nickName" },
		"attribute": func(p *Provider) { p.Attributes = map[string]string{"groups": "x"} }, "client": func(p *Provider) { p.ClientID = "" },
		"metadata": func(p *Provider) { p.Kind, p.Metadata = KindSAML, "<x/>" },
	} {
		p := good()
		edit(&p)
		if err := g.Store.Update(t.Context(), func(tx *store.Tx) error { return g.signin.AddProvider(tx, p, "secret", g.Now()) }); err == nil {
			t.Errorf("%s: it is added", why)
		}
	}
	g.update(func(tx *store.Tx) error { return g.signin.AddProvider(tx, good(), "secret", g.Now()) })
	if err := g.Store.Update(t.Context(), func(tx *store.Tx) error { return g.signin.AddProvider(tx, good(), "secret", g.Now()) }); err == nil {
		t.Error("it is added twice")
	}
	if len(ServicePolicy()) != 1 {
		t.Error("the service may do nothing")
	}
}

// with changes one parameter of an address.
func with(address, name, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		return err.Error()
	}
	q := u.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
