// Package saml reads SAML 2.0 identity providers' metadata and verifies the
// responses that they sign.
//
// It trusts the metadata, which somebody with permission uploaded, and the time
// and names that the caller expects. Responses come from anyone. Whoever makes,
// cuts up, doubles, wraps or comments a response can make it be refused, and no
// more: what is read of an assertion is parsed from the very bytes over which a
// key of the metadata signed, never from the document that they came in. Keys and
// certificates inside a response are not looked at, documents with a DTD or
// processing instructions are refused, and so is every algorithm that is not on a
// short list. Who holds a provider's key can vouch for whatever he wants: that is
// what registering the provider means.
//
// The package is pure: no network, no clock, no memory of assertions that were
// shown before. Who wants an assertion to count once keeps its ID until
// NotOnOrAfter and a minute.
package saml

import (
	"fmt"
	"time"
)

const (
	// MaxMetadata is the greatest length of metadata in bytes; AWS counts 10,000,000 characters.
	MaxMetadata = 10_000_000
	// MaxResponse is the greatest length of a response in bytes. What is signed of it
	// has at most 1,000 elements.
	MaxResponse = 512 << 10
	// maxSkew is how far a provider's clock may be from ours.
	maxSkew = time.Minute
	// maxAge is how long after it was issued an assertion is taken, however long it says
	// that it is valid, as AWS does.
	maxAge = 5 * time.Minute

	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"

	success = "urn:oasis:names:tc:SAML:2.0:status:Success"
	bearer  = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

	redirectBinding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
)

// A Reason sorts refusals as callers tell them apart.
type Reason int

// The reasons. Malformed is the zero value.
const (
	Malformed Reason = iota // not of the form that it should have
	Unproven                // not signed by the provider
	Expired                 // its time is over, or has not come
	Misplaced               // meant for another audience, recipient or request, or from another provider
	Declined                // the provider says that it did not sign anybody in
)

// An Error says why metadata or a response is refused. Its text has nothing of the
// response in it but names of elements and algorithms.
type Error struct {
	Reason  Reason
	Message string
}

func (e *Error) Error() string { return "saml: " + e.Message }

func refuse(r Reason, format string, args ...any) error {
	return &Error{r, fmt.Sprintf(format, args...)}
}
