// Package samltest is a tiny SAML identity provider for tests: metadata, and
// responses that it signs. It authenticates nobody and is no part of Bawn.
//
// It writes its documents in exclusive canonical form to begin with, so it needs
// no XML library, and shares no code with what verifies them.
package samltest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // hashes by name; this one for signatures that must be refused
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// A Provider signs responses.
type Provider struct {
	EntityID    string
	Certificate []byte // DER; its dates are long over
	key         crypto.Signer
}

// New makes a provider with a fresh RSA key.
func New(entityID string) (*Provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return With(entityID, key)
}

// NewECDSA makes a provider with a fresh key on P-256: New, but quick.
func NewECDSA(entityID string) (*Provider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return With(entityID, key)
}

// With makes a provider that signs with a key.
func With(entityID string, key crypto.Signer) (*Provider, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(1.1e9, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return &Provider{EntityID: entityID, Certificate: der, key: key}, err
}

// Metadata is what the provider publishes, with the certificates of others too.
func (p *Provider) Metadata(others ...*Provider) string {
	var keys strings.Builder
	for _, k := range append([]*Provider{p}, others...) {
		keys.WriteString(`<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>` +
			base64.StdEncoding.EncodeToString(k.Certificate) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`)
	}
	const sso = `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-%s" Location="https://idp.example.com/sso/%[1]s"/>`
	return `<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + quoted(p.EntityID) + `">` +
		`<md:IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` + keys.String() +
		`<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>` +
		fmt.Sprintf(sso, "POST") + fmt.Sprintf(sso, "Redirect") + `</md:IDPSSODescriptor></md:EntityDescriptor>`
}

// A Response is what the provider says of somebody, to be changed before Sign.
type Response struct {
	ID, AssertionID, InResponseTo       string
	Subject, SubjectType, NameQualifier string
	Audience, Recipient                 string
	Issued, NotBefore, NotOnOrAfter     time.Time
	SessionNotOnOrAfter                 time.Time // zero: not said
	Attributes                          []Attribute
	Status                              string // the last part of the code's name
	SignResponse, SignAssertion         bool
	Algorithm                           string // "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	Digest                              string // "http://www.w3.org/2001/04/xmlenc#sha256"

	// Edit and Info, if set, change the assertion and the signature's SignedInfo before
	// they are signed. What they answer must be in canonical form.
	Edit, Info func(canonical string) string
}

// An Attribute is one name with its values.
type Attribute struct {
	Name   string
	Values []string
}

// Response is a good one for five minutes, its assertion signed.
func (p *Provider) Response(subject, audience, recipient string, now time.Time, attributes ...Attribute) Response {
	r := Response{
		ID: "_" + rand.Text(), AssertionID: "_" + rand.Text(), Subject: subject, Audience: audience, Recipient: recipient,
		SubjectType: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", Issued: now, NotBefore: now, NotOnOrAfter: now.Add(5 * time.Minute),
		Attributes: attributes, Status: "Success", SignAssertion: true, Algorithm: more + "rsa-sha256", Digest: "http://www.w3.org/2001/04/xmlenc#sha256",
	}
	if _, ok := p.key.(*ecdsa.PrivateKey); ok {
		r.Algorithm = more + "ecdsa-sha256"
	}
	return r
}

const (
	more           = "http://www.w3.org/2001/04/xmldsig-more#"
	xmlnsAssertion = ` xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`
	xmlnsSignature = ` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`
)

// Sign writes a response.
func (p *Provider) Sign(r Response) string {
	assertion := p.assertion(r)
	if r.Edit != nil {
		assertion = r.Edit(assertion)
	}
	if r.SignAssertion {
		assertion = p.Enveloped(assertion, r.AssertionID, r)
	}
	response := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Destination="` + quoted(r.Recipient) + `" ID="` + r.ID + `"` +
		answering(r) + ` IssueInstant="` + instant(r.Issued) + `" Version="2.0"><saml:Issuer` + xmlnsAssertion + `>` + escaped(p.EntityID) + `</saml:Issuer>` +
		`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:` + r.Status + `"></samlp:StatusCode></samlp:Status>` +
		assertion + `</samlp:Response>`
	if r.SignResponse {
		response = p.Enveloped(response, r.ID, r)
	}
	return response
}

// Encoded is Sign as forms and sts carry it.
func (p *Provider) Encoded(r Response) string {
	return base64.StdEncoding.EncodeToString([]byte(p.Sign(r)))
}

func answering(r Response) string {
	if r.InResponseTo == "" {
		return ""
	}
	return ` InResponseTo="` + quoted(r.InResponseTo) + `"`
}

func (p *Provider) assertion(r Response) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	w(`<saml:Assertion%s ID="%s" IssueInstant="%s" Version="2.0">`, xmlnsAssertion, r.AssertionID, instant(r.Issued))
	w(`<saml:Issuer>%s</saml:Issuer>`, escaped(p.EntityID))
	qualifier := ""
	if r.NameQualifier != "" {
		qualifier = ` NameQualifier="` + quoted(r.NameQualifier) + `"`
	}
	w(`<saml:Subject><saml:NameID Format="%s"%s>%s</saml:NameID>`, quoted(r.SubjectType), qualifier, escaped(r.Subject))
	w(`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData%s NotOnOrAfter="%s" Recipient="%s">`+
		`</saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>`, answering(r), instant(r.NotOnOrAfter), quoted(r.Recipient))
	w(`<saml:Conditions NotBefore="%s" NotOnOrAfter="%s"><saml:AudienceRestriction><saml:Audience>%s</saml:Audience></saml:AudienceRestriction></saml:Conditions>`,
		instant(r.NotBefore), instant(r.NotOnOrAfter), escaped(r.Audience))
	session := ""
	if !r.SessionNotOnOrAfter.IsZero() {
		session = ` SessionNotOnOrAfter="` + instant(r.SessionNotOnOrAfter) + `"`
	}
	w(`<saml:AuthnStatement AuthnInstant="%s"%s><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport`+
		`</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`, instant(r.Issued), session)
	if len(r.Attributes) > 0 {
		w(`<saml:AttributeStatement>`)
		for _, a := range r.Attributes {
			w(`<saml:Attribute Name="%s">`, quoted(a.Name))
			for _, v := range a.Values {
				w(`<saml:AttributeValue>%s</saml:AttributeValue>`, escaped(v))
			}
			w(`</saml:Attribute>`)
		}
		w(`</saml:AttributeStatement>`)
	}
	w(`</saml:Assertion>`)
	return b.String()
}

// Enveloped puts a signature after the first Issuer of an element in canonical form.
func (p *Provider) Enveloped(element, id string, r Response) string {
	info := `<ds:SignedInfo` + xmlnsSignature + `><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + r.Algorithm + `"></ds:SignatureMethod>` +
		`<ds:Reference URI="#` + id + `"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>` +
		`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="` + r.Digest + `"></ds:DigestMethod><ds:DigestValue>` +
		base64.StdEncoding.EncodeToString(sum(hashes[r.Digest[strings.IndexByte(r.Digest, '#')+1:]], element)) +
		`</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	if r.Info != nil {
		info = r.Info(info)
	}
	signature := `<ds:Signature` + xmlnsSignature + `>` + strings.Replace(info, xmlnsSignature, "", 1) +
		`<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(p.raw(info, r.Algorithm)) + `</ds:SignatureValue>` +
		`<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(p.Certificate) +
		`</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>`
	const end = `</saml:Issuer>`
	at := strings.Index(element, end) + len(end)
	return element[:at] + signature + element[at:]
}

var hashes = map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

func sum(h crypto.Hash, text string) []byte {
	w := h.New()
	w.Write([]byte(text))
	return w.Sum(nil)
}

// raw signs text. ECDSA's two numbers are of the curve's size, as XML has them.
func (p *Provider) raw(text, algorithm string) []byte {
	h := hashes[algorithm[strings.LastIndexByte(algorithm, '-')+1:]]
	signature, err := p.key.Sign(rand.Reader, sum(h, text), h)
	if err != nil {
		panic(err) // the key is the provider's own
	}
	key, ok := p.key.(*ecdsa.PrivateKey)
	if !ok {
		return signature
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &rs); err != nil {
		panic(err)
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	return append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...)
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(s)
}

func quoted(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;").Replace(s)
}
