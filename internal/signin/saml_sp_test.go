package signin

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/saml"
	"bawn.dev/internal/saml/samltest"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A samlRig is a SAML provider and the browser that goes there.
type samlRig struct {
	*frontier
	idp *samltest.Provider
	id  string
}

func newSAMLRig(t *testing.T, edit func(*Provider)) *samlRig {
	t.Helper()
	return samlRigOver(t, newFrontier(t), edit)
}

func samlRigOver(t *testing.T, g *frontier, edit func(*Provider)) *samlRig {
	t.Helper()
	idp, err := samltest.NewECDSA("https://idp.example.com/metadata")
	if err != nil {
		t.Fatal(err)
	}
	p := Provider{ID: "works", Kind: KindSAML, Metadata: idp.Metadata(), Match: "userName"}
	if edit != nil {
		edit(&p)
	}
	g.update(func(tx *store.Tx) error { return g.signin.AddProvider(tx, p, "", g.Now()) })
	return &samlRig{g, idp, "works"}
}

var requestID = regexp.MustCompile(` ID="(_[A-Z0-9]+)"`)

// asked reads what the browser carries to the provider: the request's ID, and the state.
func (r *samlRig) asked(address string) (id, state string) {
	r.t.Helper()
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, "https://idp.example.com/sso/Redirect?") {
		r.t.Fatalf("the browser is sent to %s", address)
	}
	raw, err := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
	if err != nil {
		r.t.Fatal(err)
	}
	request, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	found := requestID.FindStringSubmatch(string(request))
	if err != nil || found == nil || !strings.Contains(string(request), "<saml:Issuer>"+r.origin+"/saml/metadata/works</saml:Issuer>") {
		r.t.Fatalf("%v: %s", err, request)
	}
	if state = u.Query().Get("RelayState"); len(state) > 80 {
		r.t.Errorf("the state is %d long", len(state))
	}
	return found[1], state
}

// response is a good one for somebody.
func (r *samlRig) response(subject, request string) samltest.Response {
	answer := r.idp.Response(subject, r.origin+"/saml/metadata/works", r.origin+"/saml/acs/works", r.Now())
	answer.InResponseTo = request
	return answer
}

// posted is what the provider's page has the browser do, and where that leads. The
// browser keeps its cookies back from the post of another site.
func (s *surfer) posted(provider, response, state string) *page {
	s.g.t.Helper()
	kept := s.cookies
	s.cookies = map[string]string{}
	p := s.do("POST", "/saml/acs/"+provider, url.Values{"SAMLResponse": {response}, "RelayState": {state}})
	if len(s.cookies) != 0 {
		s.g.t.Error("the post of another site sets cookies")
	}
	s.cookies = kept
	if p.status != 303 {
		return p
	}
	return s.get(p.header.Get("Location"))
}

const mfaClass = "https://refeds.org/profile/mfa"

func strongly(r *samltest.Response) {
	r.Edit = func(canonical string) string {
		return strings.Replace(canonical, "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", mfaClass, 1)
	}
}

func TestSignInAtSAMLProvider(t *testing.T) { storetest.Each(t, signInAtSAMLProvider) }

func signInAtSAMLProvider(t *testing.T, open func(testing.TB) *store.Store) {
	r := samlRigOver(t, newFrontierOver(t, open(t), t.TempDir()), func(p *Provider) { p.MFA = []string{mfaClass} })
	ada := r.person("ada")
	s := r.surfer()
	request, state := r.asked(s.leave("", "works", "/start/sessions"))
	answer := r.response("ada", request)
	strongly(&answer)
	p := s.posted("works", r.idp.Encoded(answer), state)
	if who := r.in(p); who != ada || p.next != "/start/sessions" {
		t.Errorf("it is %s, who is led to %q", who, p.next)
	}
	r.out(s.posted("works", r.idp.Encoded(answer), state), "a response twice")

	// Without the class of a second factor she shows one here.
	s = r.surfer()
	request, state = r.asked(s.leave("", "works", ""))
	if p = s.posted("works", r.idp.Encoded(r.response("ada", request)), state); p.status != 200 || p.out.Session != "" || len(p.out.Next) == 0 {
		t.Errorf("%d %s", p.status, p.body)
	}

	meta := s.get("/saml/metadata/works")
	if meta.status != 200 || !strings.Contains(meta.body, `Location="`+r.origin+`/saml/acs/works"`) || !strings.Contains(meta.body, `entityID="`+r.origin+`/saml/metadata/works"`) {
		t.Errorf("%d %s", meta.status, meta.body)
	}
}

func TestSAMLResponsesAreRefused(t *testing.T) {
	r := newSAMLRig(t, func(p *Provider) { p.MFA = []string{mfaClass} })
	r.person("ada")
	r.person("eve")
	evil, err := samltest.NewECDSA("https://idp.example.com/metadata") // the name, and another key
	if err != nil {
		t.Fatal(err)
	}
	for why, make := range map[string]func(request string) string{
		"of another request": func(string) string { return r.idp.Encoded(r.response("ada", "_"+rand.Text())) },
		"of no request":      func(string) string { return r.idp.Encoded(r.response("ada", "")) },
		"for another audience": func(request string) string {
			a := r.response("ada", request)
			a.Audience = "urn:amazon:webservices"
			return r.idp.Encoded(a)
		},
		"for another receiver": func(request string) string {
			a := r.response("ada", request)
			a.Recipient = r.origin + "/saml/acs/partner"
			return r.idp.Encoded(a)
		},
		"expired": func(request string) string {
			a := r.response("ada", request)
			a.Issued, a.NotBefore, a.NotOnOrAfter = a.Issued.Add(-time.Hour), a.NotBefore.Add(-time.Hour), a.NotOnOrAfter.Add(-time.Hour)
			return r.idp.Encoded(a)
		},
		"signed by another": func(request string) string { return evil.Encoded(r.response("ada", request)) },
		"unsigned": func(request string) string {
			a := r.response("ada", request)
			a.SignAssertion = false
			return r.idp.Encoded(a)
		},
		"a name that changes": func(request string) string {
			a := r.response("ada", request)
			a.SubjectType = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
			return r.idp.Encoded(a)
		},
		"a comment that cuts the name": func(request string) string {
			a := r.response("ada.evil", request)
			return base64.StdEncoding.EncodeToString([]byte(strings.Replace(r.idp.Sign(a), "ada.evil", "ada<!-- -->.evil", 1)))
		},
		"another name than was signed": func(request string) string {
			return base64.StdEncoding.EncodeToString([]byte(strings.Replace(r.idp.Sign(r.response("eve", request)), ">eve<", ">ada<", 1)))
		},
		"wrapped": func(request string) string { // eve's is signed and hidden, ada's stands in its place
			signed := r.idp.Sign(r.response("eve", request))
			a, b := strings.Index(signed, "<saml:Assertion"), strings.Index(signed, "</samlp:Response>")
			forged := strings.Replace(r.unsigned("ada", request), "</saml:Assertion>", "<samlp:Extensions>"+signed[a:b]+"</samlp:Extensions></saml:Assertion>", 1)
			return base64.StdEncoding.EncodeToString([]byte(signed[:a] + forged + signed[b:]))
		},
		"an entity from a file": func(request string) string {
			signed := r.idp.Sign(r.response("ada", request))
			return base64.StdEncoding.EncodeToString([]byte(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>` + strings.Replace(signed, ">ada<", ">&e;<", 1)))
		},
		"declined": func(request string) string {
			a := r.response("ada", request)
			a.Status = "Responder"
			return r.idp.Encoded(a)
		},
		"no base64": func(string) string { return "<Response/>" },
	} {
		s := r.surfer()
		request, state := r.asked(s.leave("", "works", ""))
		p := s.posted("works", make(request), state)
		r.out(p, why)
	}
}

// unsigned is an assertion that nobody signed.
func (r *samlRig) unsigned(subject, request string) string {
	a := r.response(subject, request)
	a.SignAssertion = false
	text := r.idp.Sign(a)
	return text[strings.Index(text, "<saml:Assertion"):strings.Index(text, "</samlp:Response>")]
}

// Whose browser brings a response, and where it was begun.
func TestSAMLStaysInItsBrowser(t *testing.T) {
	r := newSAMLRig(t, func(p *Provider) { p.MFA = []string{mfaClass} })
	r.person("eve")
	attacker, victim := r.surfer(), r.surfer()
	request, state := r.asked(attacker.leave("", "works", ""))
	answer := r.response("eve", request)
	strongly(&answer)
	r.out(victim.posted("works", r.idp.Encoded(answer), state), "an attacker's sign-in in a victim's browser")
	if victim.cookies[sessionCookie] != "" {
		t.Error("the victim is signed in as the attacker")
	}
	// It was believed, but who began it and led the victim to her provider with it, who
	// is signed in there, is not let in as the victim.
	r.out(attacker.get("/saml/continue?"+url.Values{"state": {state}}.Encode()), "a victim's sign-in in an attacker's browser")
	if attacker.cookies[sessionCookie] != "" {
		t.Error("the attacker is signed in as the victim")
	}

	unasked := r.response("eve", "")
	strongly(&unasked)
	r.out(victim.posted("works", r.idp.Encoded(unasked), ""), "who begins at the provider")
	r.out(victim.posted("works", r.idp.Encoded(unasked), rand.Text()+rand.Text()), "with a state that is none")
	r.out(victim.posted("nowhere", r.idp.Encoded(unasked), ""), "a provider that is none")
}

func TestBegunAtTheProvider(t *testing.T) {
	r := newSAMLRig(t, func(p *Provider) { p.MFA, p.IdPInitiated = []string{mfaClass}, true })
	eve := r.person("eve")
	answer := r.response("eve", "")
	strongly(&answer)
	encoded := r.idp.Encoded(answer)
	p := r.surfer().posted("works", encoded, "https://somewhere.example")
	if who := r.in(p); who != eve || p.next != "" {
		t.Errorf("it is %s, who is led to %q", who, p.next)
	}
	r.out(r.surfer().posted("works", encoded, ""), "a response twice")

	// Nor when the first of its confirmations is over, and another is not.
	answer = r.response("eve", "")
	answer.Edit = func(canonical string) string {
		whole := regexp.MustCompile(`(?s)<saml:SubjectConfirmation .*</saml:SubjectConfirmation>`).FindString(canonical)
		end := regexp.MustCompile(`NotOnOrAfter="[^"]*"`)
		soon := end.ReplaceAllString(whole, `NotOnOrAfter="`+r.Now().Add(time.Minute).UTC().Format("2006-01-02T15:04:05Z")+`"`)
		return strings.Replace(strings.Replace(canonical, whole, soon+whole, 1), "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", mfaClass, 1)
	}
	encoded = r.idp.Encoded(answer)
	if who := r.in(r.surfer().posted("works", encoded, "")); who != eve {
		t.Errorf("it is %s", who)
	}
	r.Advance(3 * time.Minute)
	r.in(r.surfer().posted("works", r.idp.Encoded(func() samltest.Response { a := r.response("eve", ""); strongly(&a); return a }()), "")) // which sweeps
	r.out(r.surfer().posted("works", encoded, ""), "a response twice, by its second confirmation")
}

// A name is not taken for another by how it is written down: what a person may be called
// is also what a name with its qualifier looks like.
func TestQualifiedNames(t *testing.T) {
	const provider = "https://idp.example.com/metadata"
	seen := map[string]string{}
	for _, qualifier := range []string{"", "q", "q a", "https://other.example.com"} {
		for _, name := range []string{"b", "a b", "q a b", " a b", "q  b", "https://other.example.com b"} {
			a := &saml.Assertion{NameQualifier: qualifier, Subject: name}
			subject, err := qualified(a, provider)
			if err != nil {
				if !strings.Contains(qualifier, " ") {
					t.Errorf("%q of %q: %v", name, qualifier, err)
				}
				continue
			}
			own := qualifier + "\x00" + name
			if other, taken := seen[subject]; taken {
				t.Errorf("%q and %q are one subject", own, other)
			}
			seen[subject] = own
		}
	}
	hers, err := qualified(&saml.Assertion{NameQualifier: provider, Subject: "ada"}, provider)
	if err != nil || hers != "ada" {
		t.Errorf("by her provider's qualifier she is %q: %v", hers, err)
	}
}
