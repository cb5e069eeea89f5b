package saml

import (
	"slices"
	"time"

	"github.com/beevik/etree"
)

// read takes a signed assertion apart.
func read(md *Metadata, e *etree.Element, want Expect) (*Assertion, error) {
	a := &Assertion{ID: attr(e, "ID"), Issuer: md.EntityID, Attributes: map[string][]string{}}
	if attr(e, "Version") != "2.0" || a.ID == "" {
		return nil, refuse(Malformed, "the Assertion is not of version 2.0 or has no ID")
	}
	if err := checkIssuer(md, e, true); err != nil {
		return nil, err
	}
	issued, err := moment(e, "IssueInstant")
	if err != nil {
		return nil, err
	}
	if issued.IsZero() {
		return nil, refuse(Malformed, "the Assertion does not say when it was issued")
	}
	if issued.After(want.Now.Add(maxSkew)) {
		return nil, refuse(Expired, "the Assertion was issued in the future")
	}
	if want.Now.Sub(issued) > maxAge+maxSkew {
		return nil, refuse(Expired, "the Assertion was issued more than five minutes ago")
	}
	for _, part := range []func(*etree.Element, Expect) error{a.readConditions, a.readSubject, a.readStatements} {
		if err := part(e, want); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// inTime checks NotBefore and NotOnOrAfter of an element and answers the latter.
func inTime(e *etree.Element, now time.Time) (time.Time, error) {
	from, err := moment(e, "NotBefore")
	if err != nil {
		return time.Time{}, err
	}
	until, err := moment(e, "NotOnOrAfter")
	if err != nil {
		return time.Time{}, err
	}
	if !from.IsZero() && now.Add(maxSkew).Before(from) {
		return time.Time{}, refuse(Expired, "the Assertion's %s are not valid yet", e.Tag)
	}
	if !until.IsZero() && !now.Add(-maxSkew).Before(until) {
		return time.Time{}, refuse(Expired, "the Assertion's %s are no longer valid", e.Tag)
	}
	return until, nil
}

// readConditions takes each condition to be necessary, and refuses unknown ones.
func (a *Assertion) readConditions(e *etree.Element, want Expect) error {
	conditions, err := needed(e, nsAssertion, "Conditions")
	if err != nil {
		return err
	}
	if a.NotOnOrAfter, err = inTime(conditions, want.Now); err != nil {
		return err
	}
	restricted := false
	for _, c := range conditions.ChildElements() {
		switch {
		case is(c, nsAssertion, "AudienceRestriction"):
			restricted = true
			if a.Audience = named(c, want.Audiences); a.Audience == "" {
				return refuse(Misplaced, "the Assertion is meant for another audience")
			}
		case is(c, nsAssertion, "OneTimeUse"), is(c, nsAssertion, "ProxyRestriction"):
		default:
			return refuse(Malformed, "the Assertion has a condition that is unknown")
		}
	}
	if !restricted {
		return refuse(Misplaced, "the Assertion does not say for which audience it is meant")
	}
	return nil
}

func named(restriction *etree.Element, audiences []string) string {
	for _, c := range children(restriction, nsAssertion, "Audience") {
		if name, ok := text(c); ok && name != "" && slices.Contains(audiences, name) {
			return name
		}
	}
	return ""
}

// readSubject wants a name and a confirmation that whoever brings the assertion to
// one of the recipients in time is its subject.
func (a *Assertion) readSubject(e *etree.Element, want Expect) error {
	subject, err := needed(e, nsAssertion, "Subject")
	if err != nil {
		return err
	}
	name, err := needed(subject, nsAssertion, "NameID")
	if err != nil {
		return err
	}
	var ok bool
	if a.Subject, ok = text(name); !ok || a.Subject == "" {
		return refuse(Malformed, "the NameID is empty")
	}
	a.SubjectType, a.NameQualifier = attr(name, "Format"), attr(name, "NameQualifier")
	if a.SubjectType == "" {
		a.SubjectType = unspecified
	}
	refused := refuse(Misplaced, "the Assertion has no confirmation that its bearer is its subject")
	for _, c := range children(subject, nsAssertion, "SubjectConfirmation") {
		if attr(c, "Method") != bearer {
			continue
		}
		recipient, until, err := confirmed(c, want)
		if err != nil {
			refused = err
			continue
		}
		a.Recipient = recipient
		if a.NotOnOrAfter.IsZero() || until.Before(a.NotOnOrAfter) {
			a.NotOnOrAfter = until
		}
		return nil
	}
	return refused
}

func confirmed(confirmation *etree.Element, want Expect) (recipient string, until time.Time, err error) {
	data, err := needed(confirmation, nsAssertion, "SubjectConfirmationData")
	if err != nil {
		return "", until, err
	}
	recipient = attr(data, "Recipient")
	if recipient == "" || !slices.Contains(want.Recipients, recipient) {
		return "", until, refuse(Misplaced, "the Assertion is meant for another recipient")
	}
	if want.Request != "" && attr(data, "InResponseTo") != want.Request {
		return "", until, refuse(Misplaced, "the Assertion answers another request")
	}
	if until, err = inTime(data, want.Now); err == nil && until.IsZero() {
		err = refuse(Malformed, "the Assertion's confirmation has no end")
	}
	return recipient, until, err
}

func (a *Assertion) readStatements(e *etree.Element, want Expect) error {
	for _, s := range children(e, nsAssertion, "AuthnStatement") {
		for _, c := range children(s, nsAssertion, "AuthnContext") {
			for _, class := range children(c, nsAssertion, "AuthnContextClassRef") {
				if name, ok := text(class); ok && name != "" {
					a.Contexts = append(a.Contexts, name)
				}
			}
		}
		until, err := moment(s, "SessionNotOnOrAfter")
		if err != nil {
			return err
		}
		if until.IsZero() {
			continue
		}
		if !want.Now.Add(-maxSkew).Before(until) {
			return refuse(Expired, "the session at the provider is over")
		}
		if a.SessionNotOnOrAfter.IsZero() || until.Before(a.SessionNotOnOrAfter) {
			a.SessionNotOnOrAfter = until
		}
	}
	for _, s := range children(e, nsAssertion, "AttributeStatement") {
		for _, c := range children(s, nsAssertion, "Attribute") {
			name := attr(c, "Name")
			if name == "" {
				return refuse(Malformed, "an Attribute has no Name")
			}
			for _, v := range children(c, nsAssertion, "AttributeValue") {
				if value, ok := text(v); ok {
					a.Attributes[name] = append(a.Attributes[name], value)
				}
			}
		}
	}
	return nil
}
