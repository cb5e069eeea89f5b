package saml_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/saml"
	"bawn.dev/internal/saml/samltest"
)

const (
	entity    = "https://idp.example.com/metadata?a=1&b=2"
	audience  = "urn:amazon:webservices"
	recipient = "https://bawn.example.com/saml"
	roleName  = "https://aws.amazon.com/SAML/Attributes/Role"
)

var (
	now  = time.Date(2026, time.November, 26, 12, 0, 0, 0, time.UTC)
	want = saml.Expect{Audiences: []string{"urn:other", audience}, Recipients: []string{recipient}, Now: now}
)

type idp struct {
	*samltest.Provider
	md *saml.Metadata
}

func provider(t testing.TB) *idp {
	t.Helper()
	p, err := samltest.NewECDSA(entity)
	if err != nil {
		t.Fatal(err)
	}
	return known(t, p)
}

func known(t testing.TB, p *samltest.Provider, others ...*samltest.Provider) *idp {
	t.Helper()
	md, err := saml.ParseMetadata([]byte(p.Metadata(others...)))
	if err != nil {
		t.Fatal(err)
	}
	return &idp{p, md}
}

func (p *idp) ada() samltest.Response {
	return p.Response("ada <& co>", audience, recipient, now, samltest.Attribute{Name: roleName, Values: []string{"role,provider", "b & \"c\"\r\n\t>"}})
}

func reason(t testing.TB, err error) saml.Reason {
	t.Helper()
	e, ok := errors.AsType[*saml.Error](err)
	if !ok {
		t.Fatalf("%v is no *saml.Error", err)
	}
	return e.Reason
}

// refuses wants a document refused for a reason.
func (p *idp) refuses(t *testing.T, what, document string, want saml.Expect, why saml.Reason) {
	t.Helper()
	a, err := saml.Verify(p.md, []byte(document), want)
	if err == nil {
		t.Errorf("%s: taken for %+v", what, a)
	} else if got := reason(t, err); got != why {
		t.Errorf("%s: reason %d, not %d: %v", what, got, why, err)
	}
}

func TestVerify(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const encrypted, more = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2001/04/xmldsig-more#"
	byRSA, err := samltest.With(entity, rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	by384, err := samltest.With(entity, p384)
	if err != nil {
		t.Fatal(err)
	}
	by521, err := samltest.With(entity, p521)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		by                *samltest.Provider
		algorithm, digest string
	}{
		{byRSA, more + "rsa-sha256", encrypted + "sha256"}, {byRSA, more + "rsa-sha384", more + "sha384"}, {byRSA, more + "rsa-sha512", encrypted + "sha512"},
		{by384, more + "ecdsa-sha256", encrypted + "sha256"}, {by384, more + "ecdsa-sha384", more + "sha384"}, {by521, more + "ecdsa-sha512", encrypted + "sha512"},
	} {
		for _, parts := range []struct{ response, assertion bool }{{false, true}, {true, false}, {true, true}} {
			p := known(t, byRSA, by384, by521) // any of its keys may sign
			r := p.ada()
			r.Algorithm, r.Digest, r.SignResponse, r.SignAssertion = c.algorithm, c.digest, parts.response, parts.assertion
			r.NameQualifier, r.SessionNotOnOrAfter = "q", now.Add(time.Hour)
			a, err := saml.Verify(p.md, []byte(c.by.Sign(r)), want)
			if err != nil {
				t.Errorf("%s %+v: %v", c.algorithm, parts, err)
				continue
			}
			if a.ID != r.AssertionID || a.Issuer != entity || a.Subject != "ada <& co>" || a.SubjectType != r.SubjectType || a.NameQualifier != "q" ||
				a.Audience != audience || a.Recipient != recipient || !a.NotOnOrAfter.Equal(r.NotOnOrAfter) || !a.SessionNotOnOrAfter.Equal(now.Add(time.Hour)) {
				t.Errorf("%s %+v: %+v", c.algorithm, parts, a)
			}
			if got := a.Attributes[roleName]; !slices.Equal(got, []string{"role,provider", "b & \"c\"\r\n\t>"}) {
				t.Errorf("%s %+v: %q", c.algorithm, parts, got)
			}
		}
	}
}

// What a provider writes around and between its elements does not matter.
func TestForms(t *testing.T) {
	p := provider(t)
	document := p.Sign(p.ada())
	for name, changed := range map[string]string{
		"declaration":       `<?xml version="1.0" encoding="utf-8"?>` + "\n<!-- c -->\n" + document + "\n",
		"other quotes":      strings.Replace(document, `Version="2.0"`, `Version='2.0'`, -1),
		"empty element":     strings.Replace(document, `></samlp:StatusCode>`, `/>`, 1),
		"base64 over lines": strings.Replace(document, `<ds:SignatureValue>`, "<ds:SignatureValue>\n  ", 1),
		"a namespace more":  strings.Replace(document, `<samlp:Response `, `<samlp:Response xmlns:xs="http://www.w3.org/2001/XMLSchema" `, 1),
		"namespaces above":  strings.Replace(document, `<samlp:Response `, `<samlp:Response xmlns:ds="http://www.w3.org/2000/09/xmldsig#" `, 1),
		"other attributes":  strings.Replace(document, ` IssueInstant=`, ` Consent="x" IssueInstant=`, 1),
	} {
		if _, err := saml.Verify(p.md, []byte(changed), want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimes(t *testing.T) {
	p := provider(t)
	at := func(d time.Duration) saml.Expect {
		e := want
		e.Now = now.Add(d)
		return e
	}
	document := p.Sign(p.ada())
	for _, d := range []time.Duration{-time.Minute, 0, 6*time.Minute - time.Millisecond} {
		if _, err := saml.Verify(p.md, []byte(document), at(d)); err != nil {
			t.Errorf("after %s: %v", d, err)
		}
	}
	for _, d := range []time.Duration{-61 * time.Second, 6 * time.Minute, time.Hour} {
		p.refuses(t, d.String(), document, at(d), saml.Expired)
	}
	r := p.ada()
	r.SessionNotOnOrAfter = now.Add(-time.Minute)
	p.refuses(t, "a session that is over", p.Sign(r), want, saml.Expired)
	old, err := saml.ParseMetadata([]byte(strings.Replace(p.Metadata(), "<md:EntityDescriptor", `<md:EntityDescriptor validUntil="2026-11-26T12:00:00Z"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	(&idp{p.Provider, old}).refuses(t, "metadata that is over", document, want, saml.Expired)
}

func TestNames(t *testing.T) {
	p := provider(t)
	change := func(f func(*samltest.Response)) string {
		r := p.ada()
		f(&r)
		return p.Sign(r)
	}
	p.refuses(t, "audience", change(func(r *samltest.Response) { r.Audience = "urn:amazon:webservices:x" }), want, saml.Misplaced)
	p.refuses(t, "no audience", change(func(r *samltest.Response) { r.Audience = "" }), want, saml.Misplaced)
	p.refuses(t, "recipient", change(func(r *samltest.Response) { r.Recipient = recipient + "/" }), want, saml.Misplaced)
	p.refuses(t, "status", change(func(r *samltest.Response) { r.Status = "AuthnFailed" }), want, saml.Declined)
	p.refuses(t, "no subject", change(func(r *samltest.Response) { r.Subject = " " }), want, saml.Malformed)
	p.refuses(t, "nothing signed", change(func(r *samltest.Response) { r.SignAssertion = false }), want, saml.Unproven)
	asked := want
	asked.Request = "_request"
	p.refuses(t, "no answer", change(func(*samltest.Response) {}), asked, saml.Misplaced)
	p.refuses(t, "another answer", change(func(r *samltest.Response) { r.InResponseTo = "_other" }), asked, saml.Misplaced)
	answer := change(func(r *samltest.Response) { r.InResponseTo = "_request" })
	if _, err := saml.Verify(p.md, []byte(answer), asked); err != nil {
		t.Error(err)
	}
	p.refuses(t, "an answer around another", strings.Replace(answer, ` InResponseTo="_request"`, "", 1), asked, saml.Misplaced)
	p.refuses(t, "an old assertion in an answer", change(func(r *samltest.Response) {
		r.InResponseTo = "_request"
		r.Edit = func(assertion string) string { return strings.Replace(assertion, "_request", "_earlier", 1) }
	}), asked, saml.Misplaced)
	other, err := samltest.NewECDSA("https://other.example.com")
	if err != nil {
		t.Fatal(err)
	}
	o := known(t, other)
	p.refuses(t, "another's key", o.Sign(p.ada()), want, saml.Unproven)
	shared := known(t, p.Provider, other)
	shared.refuses(t, "another issuer with a key of the metadata", o.Sign(o.ada()), want, saml.Misplaced)
}

// TestAssertions has the provider sign assertions that lack something, or say too
// much.
func TestAssertions(t *testing.T) {
	p := provider(t)
	edited := func(pairs ...string) string {
		r := p.ada()
		r.Edit = func(assertion string) string {
			changed := strings.NewReplacer(pairs...).Replace(assertion)
			if changed == assertion {
				t.Fatalf("there is no %s", pairs[0])
			}
			return changed
		}
		return p.Sign(r)
	}
	const restriction = "<saml:AudienceRestriction><saml:Audience>urn:amazon:webservices</saml:Audience></saml:AudienceRestriction>"
	const confirmation = `Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"`
	until := ` NotOnOrAfter="2026-11-26T12:05:00.000Z"`
	for name, c := range map[string]struct {
		document string
		why      saml.Reason
	}{
		"no restriction":          {edited(restriction, ""), saml.Misplaced},
		"two, one of them other":  {edited(restriction, restriction+strings.Replace(restriction, "amazon", "other", 1)), saml.Misplaced},
		"the other first":         {edited(restriction, strings.Replace(restriction, "amazon", "other", 1)+restriction), saml.Misplaced},
		"a condition more":        {edited(restriction, restriction+"<saml:Condition></saml:Condition>"), saml.Malformed},
		"no conditions":           {edited("saml:Conditions", "saml:Advice"), saml.Malformed},
		"holder of key":           {edited(confirmation, strings.Replace(confirmation, "bearer", "holder-of-key", 1)), saml.Misplaced},
		"no end":                  {edited(until+` Recipient`, ` Recipient`), saml.Malformed},
		"no recipient":            {edited(` Recipient="`+recipient+`"`, ""), saml.Misplaced},
		"another version":         {edited(`Version="2.0"`, `Version="1.1"`), saml.Malformed},
		"issued tomorrow":         {edited(`IssueInstant="2026-11-26`, `IssueInstant="2026-11-27`), saml.Expired},
		"issued nobody knows":     {edited(`IssueInstant="2026-11-26T12:00:00.000Z"`, `IssueInstant="now"`), saml.Malformed},
		"a time without zone":     {edited(`NotBefore="2026-11-26T12:00:00.000Z"`, `NotBefore="2026-11-26T12:00:00"`), saml.Malformed},
		"another issuer":          {edited("<saml:Issuer>https://idp", "<saml:Issuer>https://other"), saml.Misplaced},
		"two subjects":            {edited("<saml:Conditions", "<saml:Subject><saml:NameID>eve</saml:NameID></saml:Subject><saml:Conditions"), saml.Malformed},
		"two names":               {edited("<saml:SubjectConfirmation ", "<saml:NameID>eve</saml:NameID><saml:SubjectConfirmation "), saml.Malformed},
		"an attribute of no name": {edited(`Name="`+roleName+`"`, `FriendlyName="`+roleName+`"`), saml.Malformed},
		"encrypted":               {edited("saml:AttributeStatement", "saml:EncryptedAttribute"), saml.Malformed},
		"one ID twice":            {edited("<saml:Subject>", `<saml:Subject ID="x"><saml:Advice ID="x"></saml:Advice>`), saml.Malformed},
	} {
		p.refuses(t, name, c.document, want, c.why)
	}
	r := p.ada()
	r.SignResponse, r.SignAssertion = true, false
	r.Edit = func(assertion string) string {
		return strings.Replace(assertion, "<saml:Issuer>"+strings.ReplaceAll(entity, "&", "&amp;")+"</saml:Issuer>", "", 1)
	}
	p.refuses(t, "no issuer", p.Sign(r), want, saml.Malformed)
	// One confirmation that fits is enough; values that are no text are left out.
	document := edited("<saml:SubjectConfirmation ", `<saml:SubjectConfirmation Method="urn:x"></saml:SubjectConfirmation><saml:SubjectConfirmation `,
		"<saml:AttributeValue>role,provider", "<saml:AttributeValue><saml:NameID>n</saml:NameID></saml:AttributeValue><saml:AttributeValue>role,provider")
	if a, err := saml.Verify(p.md, []byte(document), want); err != nil || len(a.Attributes[roleName]) != 2 {
		t.Errorf("%+v %v", a, err)
	}
	// What surrounds a signed assertion can only refuse it.
	document = p.Sign(p.ada())
	for name, c := range map[string]struct {
		from, to string
		why      saml.Reason
	}{
		"destination": {`Destination="` + recipient, `Destination="https://other.example`, saml.Misplaced},
		"status":      {"status:Success", "status:Requester", saml.Declined},
		"no status":   {"samlp:Status>", "samlp:Extensions>", saml.Malformed},
		"issuer":      {"https://idp", "https://other", saml.Misplaced},
		"version":     {`Version="2.0"`, `Version="2.1"`, saml.Malformed},
	} {
		p.refuses(t, name, strings.Replace(strings.Replace(document, c.from, c.to, 1), "/"+c.from, "/"+c.to, 1), want, c.why)
	}
}

func TestMetadata(t *testing.T) {
	p := provider(t)
	good := p.Metadata()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil { // the module may refuse to make one
		small, err := samltest.With(entity, weak)
		if err == nil {
			good := small.Metadata()
			if _, err := saml.ParseMetadata([]byte(good)); err == nil {
				t.Error("a key of 1024 bits was taken")
			}
		}
	}
	for name, bad := range map[string]string{
		"nothing":        "",
		"text":           "hello",
		"two roots":      good[strings.Index(good, "<md:"):] + good[strings.Index(good, "<md:"):],
		"DTD":            strings.Replace(good, "<md:Entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><md:Entity`, 1),
		"entity":         strings.Replace(good, `<md:NameIDFormat>`, `<md:NameIDFormat>&e;`, 1),
		"other root":     strings.ReplaceAll(good, "EntityDescriptor", "EntitiesDescriptor"),
		"other space":    strings.Replace(good, "SAML:2.0:metadata", "SAML:1.0:metadata", 1),
		"no name":        strings.Replace(good, "entityID=", "entityid=", 1),
		"prefixed name":  strings.Replace(good, "entityID=", "md:entityID=", 1),
		"a name twice":   strings.Replace(good, "entityID=", `entityID="https://evil" entityID=`, 1),
		"a service":      strings.ReplaceAll(good, "IDPSSODescriptor", "SPSSODescriptor"),
		"SAML 1":         strings.Replace(good, "SAML:2.0:protocol", "SAML:1.1:protocol", 1),
		"no keys":        strings.Replace(good, `use="signing"`, `use="encryption"`, 1),
		"no certificate": strings.ReplaceAll(good, "X509Certificate", "X509CRL"),
		"bad date":       strings.Replace(good, "entityID=", `validUntil="tomorrow" entityID=`, 1),
		"other encoding": strings.Replace(good, `encoding="UTF-8"`, `encoding="UTF-16"`, 1),
		"not UTF-8":      strings.Replace(good, "idp.example", "idp\xff.example", 1),
		"instruction":    strings.Replace(good, "<md:NameIDFormat>", "<?php x?><md:NameIDFormat>", 1),
		"deep":           strings.Replace(good, "<md:NameIDFormat>", "<md:NameIDFormat>"+strings.Repeat("<a>", 40)+strings.Repeat("</a>", 40), 1),
		"long":           good + strings.Repeat(" ", saml.MaxMetadata),
	} {
		if md, err := saml.ParseMetadata([]byte(bad)); err == nil {
			t.Errorf("%s: taken as %+v", name, md)
		} else {
			reason(t, err)
		}
	}
}
