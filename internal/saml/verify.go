package saml

import (
	"slices"
	"time"

	"github.com/beevik/etree"
)

// Expect is what a response must fit.
type Expect struct {
	Audiences  []string // one of them must be among the assertion's
	Recipients []string // it must have been sent to one of them
	Now        time.Time
	// Request is the ID of the request that it must answer. Empty: any, or none,
	// as when people begin at their provider.
	Request string
}

// An Assertion is what an identity provider vouches for.
type Assertion struct {
	ID     string
	Issuer string
	// Subject is the NameID; SubjectType its Format, and NameQualifier, if it has one.
	Subject, SubjectType, NameQualifier string

	Audience  string // the one of Expect.Audiences that it names
	Recipient string // the one of Expect.Recipients that it was sent to

	// Contexts say how the provider knows the subject: the classes of its statements.
	Contexts []string

	// Attributes by Name, their values in order. Values that are not plain text are
	// left out.
	Attributes map[string][]string

	NotOnOrAfter        time.Time // it counts until then
	SessionNotOnOrAfter time.Time // sessions made of it should end then; zero: it does not say
}

const unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"

// Verify reads a response of at most MaxResponse bytes. The response, or the one
// assertion in it, must be signed by a key of the metadata; if both are, both must
// be right. Encrypted assertions are refused. Errors are *Error.
func Verify(md *Metadata, document []byte, want Expect) (*Assertion, error) {
	if !md.ValidUntil.IsZero() && !want.Now.Before(md.ValidUntil) {
		return nil, refuse(Expired, "the provider's metadata is no longer valid")
	}
	root, err := parse(document, MaxResponse)
	if err != nil {
		return nil, err
	}
	if !is(root, nsProtocol, "Response") {
		return nil, refuse(Malformed, "the document is no Response")
	}
	response, assertion, err := proven(md, root)
	if err != nil {
		return nil, err
	}
	if err := checkResponse(md, response, want); err != nil {
		return nil, err
	}
	if assertion == nil {
		return nil, refuse(Malformed, "the Response has no Assertion")
	}
	return read(md, assertion, want)
}

// proven answers the response and its assertion as they were signed. An assertion
// is nil or signed, by itself or with its response; a response may be neither.
func proven(md *Metadata, root *etree.Element) (response, assertion *etree.Element, err error) {
	outer, err := only(root, nsAssertion, "Assertion")
	if err != nil {
		return nil, nil, err
	}
	if err := checkShape(root, outer); err != nil {
		return nil, nil, err
	}
	response = root
	if len(children(root, nsSignature, "Signature")) > 0 {
		if response, err = opened(root, md.keys); err != nil {
			return nil, nil, err
		}
		if assertion, err = only(response, nsAssertion, "Assertion"); err != nil {
			return nil, nil, err
		}
	}
	if outer != nil && len(children(outer, nsSignature, "Signature")) > 0 {
		// In its own place: the response's canonical form may lack prefixes that this
		// signature covers.
		if assertion, err = opened(outer, md.keys); err != nil {
			return nil, nil, err
		}
	}
	if outer != nil && assertion == nil {
		return nil, nil, refuse(Unproven, "neither the Response nor the Assertion is signed")
	}
	return response, assertion, nil
}

// checkShape refuses documents with an ID twice, or with an assertion or a signature
// in a place where none belongs. The signature does not need it; who reads the
// document with other eyes may.
func checkShape(root, assertion *etree.Element) error {
	ids := map[string]bool{}
	var walk func(e *etree.Element) error
	walk = func(e *etree.Element) error {
		for _, a := range e.Attr {
			if a.Key != "ID" && a.Key != "Id" && a.Key != "id" {
				continue
			}
			if ids[a.Value] {
				return refuse(Malformed, "two elements have one ID")
			}
			ids[a.Value] = true
		}
		switch {
		case is(e, nsAssertion, "EncryptedAssertion"), is(e, nsAssertion, "EncryptedID"), is(e, nsAssertion, "EncryptedAttribute"):
			return refuse(Malformed, "encrypted assertions are not served")
		case is(e, nsProtocol, "Response") && e != root, is(e, nsAssertion, "Assertion") && e != assertion,
			is(e, nsSignature, "Signature") && e.Parent() != root && e.Parent() != assertion:
			return refuse(Malformed, "there is a %s where none belongs", e.Tag)
		}
		for _, c := range e.ChildElements() {
			if err := walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(root)
}

// checkResponse looks at what surrounds the assertion. Where only that is signed,
// whoever carries the response can change this; it can make a response be refused
// and never be believed.
func checkResponse(md *Metadata, e *etree.Element, want Expect) error {
	if attr(e, "Version") != "2.0" {
		return refuse(Malformed, "the Response is not of version 2.0")
	}
	if err := checkIssuer(md, e, false); err != nil {
		return err
	}
	if to := attr(e, "Destination"); to != "" && !slices.Contains(want.Recipients, to) {
		return refuse(Misplaced, "the Response is meant for another destination")
	}
	if want.Request != "" && attr(e, "InResponseTo") != want.Request {
		return refuse(Misplaced, "the Response answers another request")
	}
	status, err := needed(e, nsProtocol, "Status")
	if err != nil {
		return err
	}
	code, err := needed(status, nsProtocol, "StatusCode")
	if err != nil {
		return err
	}
	if attr(code, "Value") != success {
		return refuse(Declined, "the provider did not sign anybody in")
	}
	return nil
}

func checkIssuer(md *Metadata, e *etree.Element, must bool) error {
	issuer, err := only(e, nsAssertion, "Issuer")
	if err != nil || issuer == nil && !must {
		return err
	}
	if issuer == nil {
		return refuse(Malformed, "%s has no Issuer", e.Tag)
	}
	if name, ok := text(issuer); !ok || name != md.EntityID {
		return refuse(Misplaced, "the %s is of another issuer", e.Tag)
	}
	return nil
}
