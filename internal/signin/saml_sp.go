package signin

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/saml"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

const (
	// samlUntil is how long the word of a provider waits for the browser that brought it.
	samlUntil = 5 * time.Minute
	// samlKept is longer than any assertion is taken for after it was issued. One may
	// hold several ends, the later of which count when the first is over.
	samlKept = 15 * time.Minute
)

func samlEntity(origin, provider string) string   { return origin + "/saml/metadata/" + provider }
func samlReceiver(origin, provider string) string { return origin + "/saml/acs/" + provider }

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// SAMLMetadata describes Bawn, at one of its addresses, to a provider. It says nothing
// of whether there is one.
func SAMLMetadata(origin, provider string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + xmlText(samlEntity(origin, provider)) + `">` +
		`<md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
		`<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>` +
		`<md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>` +
		`<md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</md:NameIDFormat>` +
		`<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + xmlText(samlReceiver(origin, provider)) +
		`" index="0" isDefault="true"/></md:SPSSODescriptor></md:EntityDescriptor>` + "\n"
}

// askSAML is the address at which a provider is asked who somebody is.
func askSAML(p *Provider, j *journey, state string, now time.Time) (string, error) {
	md, err := saml.ParseMetadata([]byte(p.Metadata))
	if err != nil {
		return "", err
	}
	request := `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="` + j.Request +
		`" Version="2.0" IssueInstant="` + now.UTC().Format("2006-01-02T15:04:05Z") + `" Destination="` + xmlText(md.SignOn) +
		`" ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" AssertionConsumerServiceURL="` + xmlText(samlReceiver(j.Origin, p.ID)) + `">` +
		`<saml:Issuer>` + xmlText(samlEntity(j.Origin, p.ID)) + `</saml:Issuer><samlp:NameIDPolicy AllowCreate="true"/></samlp:AuthnRequest>`
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.DefaultCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write([]byte(request)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	sep := "?"
	if strings.Contains(md.SignOn, "?") {
		sep = "&"
	}
	q := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(deflated.Bytes())}, "RelayState": {state}}
	return md.SignOn + sep + q.Encode(), nil
}

// An assertion is a SAML provider's answer, believed. From here on its journey has
// another name, which the browser alone hears that brought it: whoever began a journey
// knows the first, and may have led another's browser to the provider with it.
type assertion struct {
	j     *journey
	from  journey // as it was named before
	state string
	id    string // used once
}

// asserted believes a response that a provider's page had a browser post. The browser
// proves nothing by bringing it: which one may go on with it is seen when it comes
// back with its cookie.
func (s *Service) asserted(_ context.Context, c *api.Call, in *shape.AcceptAssertionInput) (*assertion, []api.Demand, error) {
	p, _, err := s.provider(c.Snapshot, in.Provider)
	if err != nil {
		return nil, nil, err
	}
	if p == nil || p.Kind != KindSAML {
		return nil, nil, over()
	}
	c.Note("provider", p.ID)
	var j *journey
	if in.RelayState != "" {
		if j, err = s.journey(c.Snapshot, in.RelayState, c.Now); err != nil {
			return nil, nil, err
		}
	}
	var from journey
	var state string
	switch {
	case j == nil && p.IdPInitiated:
		j, state = newJourney()
		j.Provider, j.Request, j.Expires = p.ID, "", c.Now.Add(samlUntil)
	case j == nil, j.Provider != p.ID, j.Who != nil:
		return nil, nil, over()
	}
	a, err := s.readAssertion(p, j, in.Response, c.Now)
	if err != nil {
		return nil, nil, err
	}
	if a.SubjectType == "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" {
		return nil, nil, fail("AccessDeniedException", "The provider names you anew each time. It must be told to give a lasting name.")
	}
	values := map[string]string{"NameID": a.Subject}
	for name, list := range a.Attributes {
		if len(list) == 1 { // of several, none is hers more than another
			values[name] = list[0]
		}
	}
	subject, err := qualified(a, p.Issuer)
	if err != nil {
		return nil, nil, err
	}
	if j.Who, err = believed(p, subject, values, p.strong(a.Contexts)); err != nil {
		return nil, nil, err
	}
	if state == "" {
		from, state = *j, newSecret()
		j.id = digest(state)
	}
	return &assertion{j: j, from: from, state: state, id: p.Issuer + " " + a.ID}, nil, nil
}

// qualified is a name with whose it is, if that is not the provider: no two have one
// text.
func qualified(a *saml.Assertion, provider string) (string, error) {
	switch {
	case strings.ContainsAny(a.NameQualifier, " \t\n\r"):
		return "", fail("AccessDeniedException", "The provider qualifies your name by something that is no name.")
	case a.NameQualifier != "" && a.NameQualifier != provider:
		return a.NameQualifier + " " + a.Subject, nil
	case strings.Contains(a.Subject, " "):
		return " " + a.Subject, nil
	}
	return a.Subject, nil
}

// readAssertion verifies a response to a journey's request.
func (s *Service) readAssertion(p *Provider, j *journey, response string, now time.Time) (*saml.Assertion, error) {
	document, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(response), ""))
	if err != nil {
		return nil, fail("ValidationException", "The response is not base64.")
	}
	md, err := saml.ParseMetadata([]byte(p.Metadata))
	if err != nil {
		return nil, err
	}
	origins := s.Origins()
	if j.Origin != "" {
		origins = []string{j.Origin}
	}
	want := saml.Expect{Now: now, Request: j.Request}
	for _, origin := range slices.Compact(origins) {
		want.Audiences = append(want.Audiences, samlEntity(origin, p.ID))
		want.Recipients = append(want.Recipients, samlReceiver(origin, p.ID))
	}
	a, err := saml.Verify(md, document, want)
	if e, ok := errors.AsType[*saml.Error](err); ok {
		return nil, fail("AccessDeniedException", "The provider's answer is refused: %s.", e.Message)
	}
	return a, err
}

// acceptAssertion keeps what was believed until the browser comes back. An assertion
// counts once, whatever came of it.
func (s *Service) acceptAssertion(_ context.Context, c *api.Call, _ *shape.AcceptAssertionInput, a *assertion) (api.Commit[shape.AcceptAssertionOutput], error) {
	return func(tx *store.Tx) (*shape.AcceptAssertionOutput, error) {
		if err := spend(tx, "saml", a.id, c.Now.Add(samlKept), c.Now); err != nil {
			return nil, err
		}
		return &shape.AcceptAssertionOutput{State: a.state}, errors.Join(endJourney(tx, &a.from), s.saveJourney(tx, a.j, c.Now))
	}, nil
}
