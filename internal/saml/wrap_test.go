package saml_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"bawn.dev/internal/saml"
	"bawn.dev/internal/saml/samltest"
)

// pieces are a response whose assertion is signed, cut where attackers cut.
type pieces struct{ head, assertion, signature, tail string }

func cutUp(document string) pieces {
	start, end := strings.Index(document, "<saml:Assertion"), strings.Index(document, "</saml:Assertion>")+len("</saml:Assertion>")
	p := pieces{head: document[:start], assertion: document[start:end], tail: document[end:]}
	from, to := strings.Index(p.assertion, "<ds:Signature "), strings.Index(p.assertion, "</ds:Signature>")+len("</ds:Signature>")
	p.signature = p.assertion[from:to]
	return p
}

func (p pieces) stripped() string { return strings.Replace(p.assertion, p.signature, "", 1) }

// eve is the assertion with another subject, another ID and no signature.
func (p pieces) eve(id string) string {
	e := strings.Replace(p.stripped(), "ada &lt;&amp; co&gt;", "eve", 1)
	if id != "" {
		at := strings.Index(e, `ID="`) + len(`ID="`)
		e = e[:at] + id + e[at+strings.IndexByte(e[at:], '"'):]
	}
	return e
}

func inside(element, what string) string {
	at := strings.LastIndex(element, "</")
	return element[:at] + what + element[at:]
}

// TestWrapping plays the eight ways to wrap a signature, and their kin. None may
// ever answer eve; most cannot even answer ada.
func TestWrapping(t *testing.T) {
	p := provider(t)
	whole := p.ada()
	whole.SignResponse, whole.SignAssertion = true, false
	byResponse := p.Sign(whole)
	s := cutUp(p.Sign(p.ada()))
	object := func(what string) string { return inside(s.signature, "<ds:Object>"+what+"</ds:Object>") }
	const extensions = "<samlp:Extensions>%</samlp:Extensions>"
	from := strings.Index(byResponse, "<ds:Signature ")
	responseSignature := byResponse[from : strings.Index(byResponse, "</ds:Signature>")+len("</ds:Signature>")]
	bare := strings.Replace(byResponse, responseSignature, "", 1)
	evil := strings.Replace(strings.Replace(bare, "ada &lt;&amp; co&gt;", "eve", 1), whole.ID, "_evil", 1)
	evilSigned := func(signature string) string {
		return strings.Replace(evil, "</saml:Issuer>", "</saml:Issuer>"+signature, 1)
	}
	for name, document := range map[string]string{
		// The response is signed.
		"XSW1": evilSigned(inside(responseSignature, "<ds:Object>"+bare+"</ds:Object>")),
		"XSW2": evilSigned(bare + responseSignature),
		// The assertion is signed.
		"XSW3":                 s.head + s.eve("_evil") + s.assertion + s.tail,
		"XSW4":                 s.head + inside(s.eve("_evil"), s.assertion) + s.tail,
		"XSW5":                 s.head + inside(s.eve("_evil"), s.signature) + s.stripped() + s.tail,
		"XSW6":                 s.head + inside(s.eve("_evil"), object(s.stripped())) + s.tail,
		"XSW7":                 s.head + strings.Replace(extensions, "%", s.assertion, 1) + s.eve("_evil") + s.tail,
		"XSW8":                 s.head + inside(s.eve(""), object(s.stripped())) + s.tail,
		"the same ID":          s.head + s.eve("") + s.assertion + s.tail,
		"the other first":      s.head + s.assertion + s.eve("") + s.tail,
		"in a status detail":   strings.Replace(s.head, "</samlp:Status>", "<samlp:StatusDetail>"+s.assertion+"</samlp:StatusDetail></samlp:Status>", 1) + s.eve("_evil") + s.tail,
		"in an attribute":      s.head + strings.Replace(s.eve("_evil"), "<saml:AttributeValue>", "<saml:AttributeValue>"+s.assertion, 1) + s.tail,
		"a response inside":    s.head + s.eve("_evil") + s.head + s.assertion + s.tail + s.tail,
		"nested in the signed": s.head + inside(s.assertion, s.eve("_evil")) + s.tail,
		"two signatures":       s.head + strings.Replace(s.assertion, s.signature, s.signature+s.signature, 1) + s.tail,
		"the wrong place":      s.head + s.stripped() + s.signature + s.tail,
		"nothing in it":        s.head + strings.Replace(s.eve(""), "</saml:Issuer>", `</saml:Issuer><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"></ds:Signature>`, 1) + s.tail,
		"another namespace":    s.head + strings.Replace(s.assertion, "SAML:2.0:assertion", "SAML:2.0:assertion ", 1) + s.tail,
		"eve as she is":        s.head + s.eve("") + s.tail,
		"eve with it":          s.head + strings.Replace(s.eve(""), "</saml:Issuer>", "</saml:Issuer>"+s.signature, 1) + s.tail,
		"whole eve with it":    strings.Replace(byResponse, "ada &lt;&amp; co&gt;", "eve", 1),
	} {
		if a, err := saml.Verify(p.md, []byte(document), want); err == nil {
			t.Errorf("%s: taken for %s", name, a.Subject)
		} else {
			reason(t, err)
		}
	}
	p.refuses(t, "an object in a good signature", s.head+strings.Replace(s.assertion, s.signature, object("x"), 1)+s.tail, want, saml.Unproven)
	// Control: what was cut up works when it is put together.
	if _, err := saml.Verify(p.md, []byte(s.head+s.assertion+s.tail), want); err != nil {
		t.Error(err)
	}
}

// Comments do not cut a name short, wherever they stand.
func TestComments(t *testing.T) {
	p := provider(t)
	r := p.ada()
	r.Subject = "admin@hospital.example.evil.example"
	s := p.Sign(r)
	for _, document := range []string{
		strings.Replace(s, "hospital.example.evil", "hospital.example<!---->.evil", 1),
		strings.Replace(s, "hospital.example.evil", "hospital.example<![CDATA[]]>.evil", 1),
		strings.Replace(s, "hospital.example.evil", "hospital.example<!-- <x> -->.<!----><![CDATA[evil]]>", 1),
		strings.Replace(s, "role,provider", "role<!-- -->,provider", 1),
		strings.Replace(s, "urn:amazon:webservices", "urn:amazon:<!-- -->webservices", 1),
	} {
		if document == s {
			t.Fatal("nothing was changed")
		}
		a, err := saml.Verify(p.md, []byte(document), want)
		if err != nil {
			t.Error(err)
		} else if a.Subject != r.Subject || a.Attributes[roleName][0] != "role,provider" {
			t.Errorf("taken for %s, %v", a.Subject, a.Attributes)
		}
	}
	for _, document := range []string{
		strings.Replace(s, "hospital.example.evil", "hospital.example<?x?>.evil", 1),
		strings.Replace(s, "hospital.example.evil", "hospital.example<b/>.evil", 1),
		strings.Replace(s, "<samlp:Response", "<!DOCTYPE a><samlp:Response", 1),
		strings.Replace(s, "hospital", "&hospital;", 1),
	} {
		if a, err := saml.Verify(p.md, []byte(document), want); err == nil {
			t.Errorf("taken for %s", a.Subject)
		}
	}
	// A comment that the provider itself is made to sign does not cut either.
	r.Subject = "admin"
	document := p.Sign(r)
	if _, err := saml.Verify(p.md, []byte(strings.Replace(document, ">admin<", ">admin<!-- x --><", 1)), want); err != nil {
		t.Error(err)
	}
}

// TestAlgorithms changes what the signature says of itself. Since it covers that,
// some are refused for a wrong value; none may pass.
func TestAlgorithms(t *testing.T) {
	p := provider(t)
	s := p.Sign(p.ada())
	const more, old = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2000/09/xmldsig#"
	for name, pair := range map[string][2]string{
		"SHA-1":               {more + "ecdsa-sha256", old + "rsa-sha1"},
		"ECDSA with SHA-1":    {more + "ecdsa-sha256", more + "ecdsa-sha1"},
		"HMAC":                {more + "ecdsa-sha256", more + "hmac-sha256"},
		"DSA":                 {more + "ecdsa-sha256", old + "dsa-sha1"},
		"none":                {more + "ecdsa-sha256", ""},
		"RSA over ECDSA":      {more + "ecdsa-sha256", more + "rsa-sha256"},
		"digest SHA-1":        {"http://www.w3.org/2001/04/xmlenc#sha256", old + "sha1"},
		"digest MD5":          {"http://www.w3.org/2001/04/xmlenc#sha256", more + "md5"},
		"XSLT":                {`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">`},
		"XPath":               {old + "enveloped-signature", "http://www.w3.org/TR/1999/REC-xpath-19991116"},
		"with comments":       {`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, `<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#WithComments">`},
		"inclusive":           {`Method Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"`, `Method Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"`},
		"no reference":        {"#" + strings.SplitN(strings.SplitN(s, `URI="#`, 2)[1], `"`, 2)[0], ""},
		"outside reference":   {`URI="#`, `URI="https://evil.example.com/#`},
		"HMAC cut to nothing": {`sha256"></ds:SignatureMethod>`, `sha256"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>`},
	} {
		changed := strings.Replace(s, pair[0], pair[1], 1)
		if changed == s {
			t.Fatalf("%s: nothing was changed", name)
		}
		p.refuses(t, name, changed, want, saml.Unproven)
	}
	// An HMAC whose key is the certificate that everybody knows.
	eve, err := samltest.NewECDSA(entity)
	if err != nil {
		t.Fatal(err)
	}
	own := base64.StdEncoding.EncodeToString(p.Certificate)
	hers := base64.StdEncoding.EncodeToString(eve.Certificate)
	forged := eve.Sign(p.ada())
	p.refuses(t, "a key that comes along", forged, want, saml.Unproven)
	p.refuses(t, "the provider's certificate, another's signature", strings.Replace(forged, hers, own, 1), want, saml.Unproven)
	if _, err := saml.Verify(p.md, []byte(strings.Replace(s, own, hers, 1)), want); err != nil {
		t.Error("a certificate that comes along is looked at:", err)
	}
}

// TestSignedAsSaid has the provider itself sign what is not good enough.
func TestSignedAsSaid(t *testing.T) {
	p, err := samltest.New(entity)
	if err != nil {
		t.Fatal(err)
	}
	idp := known(t, p)
	const old, exclusive = "http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2001/10/xml-exc-c14n#"
	swap := func(from, to string) func(*samltest.Response) {
		return func(r *samltest.Response) {
			r.Info = func(info string) string {
				changed := strings.Replace(info, from, to, 1)
				if changed == info {
					t.Fatalf("there is no %s", from)
				}
				return changed
			}
		}
	}
	for name, change := range map[string]func(*samltest.Response){
		"SHA-1":              func(r *samltest.Response) { r.Algorithm = old + "rsa-sha1" },
		"digest SHA-1":       func(r *samltest.Response) { r.Digest = old + "sha1" },
		"no reference":       swap(`URI="#`, `Type="#`),
		"the whole document": func(r *samltest.Response) { swap(`URI="#`+r.AssertionID, `URI="`)(r) },
		"another element":    func(r *samltest.Response) { swap(`URI="#`+r.AssertionID, `URI="#`+r.ID)(r) },
		"two references": func(r *samltest.Response) {
			r.Info = func(info string) string {
				from, to := strings.Index(info, "<ds:Reference"), strings.Index(info, "</ds:SignedInfo>")
				return info[:to] + info[from:]
			}
		},
		"one transform":       swap(`<ds:Transform Algorithm="`+exclusive+`"></ds:Transform>`, ""),
		"no transform":        swap(`<ds:Transform Algorithm="`+old+`enveloped-signature"></ds:Transform>`, ""),
		"XPath besides":       swap(`<ds:Transform Algorithm="`+exclusive, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"></ds:Transform><ds:Transform Algorithm="`+exclusive),
		"XPath in place":      swap(old+"enveloped-signature", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
		"another form":        swap(`Method Algorithm="`+exclusive, `Method Algorithm="http://www.w3.org/2006/12/xml-c14n11`),
		"a form with comment": swap(`Transform Algorithm="`+exclusive, `Transform Algorithm="`+exclusive+"WithComments"),
		"parameters":          swap(`></ds:SignatureMethod>`, `><ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>`),
	} {
		r := idp.ada()
		change(&r)
		idp.refuses(t, name, p.Sign(r), want, map[bool]saml.Reason{true: saml.Malformed, false: saml.Unproven}[name == "two references"])
	}
	r := idp.ada()
	r.Info = func(info string) string { return info }
	if _, err := saml.Verify(idp.md, []byte(p.Sign(r)), want); err != nil {
		t.Error(err)
	}
}

// TestBounds: no document is so dear that its size does not tell.
func TestBounds(t *testing.T) {
	p := provider(t)
	s := cutUp(p.Sign(p.ada()))
	for name, document := range map[string]string{
		"long":            s.head + s.assertion + s.tail + strings.Repeat(" ", saml.MaxResponse),
		"deep":            s.head + strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100) + s.assertion + s.tail,
		"many attributes": strings.Replace(s.head, "<samlp:Response", "<samlp:Response"+many(` xmlns:a%="u"`, 40), 1) + s.assertion + s.tail,
		"many elements":   s.head + inside(s.assertion, strings.Repeat("<a></a>", 2000)) + s.tail,
		"two roots":       s.head + s.assertion + s.tail + s.head + s.assertion + s.tail,
		"text after":      s.head + s.assertion + s.tail + "x",
	} {
		if _, err := saml.Verify(p.md, []byte(document), want); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			reason(t, err)
		}
	}
}

func many(what string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(what, "%", string(rune('a'+i%26))+string(rune('a'+i/26))))
	}
	return b.String()
}
