package sts

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/saml"
	shape "bawn.dev/internal/shape/sts"
)

// What AWS's own attributes in an assertion are called.
const (
	attributes              = "https://aws.amazon.com/SAML/Attributes/"
	attributeRole           = attributes + "Role"
	attributeSessionName    = attributes + "RoleSessionName"
	attributeDuration       = attributes + "SessionDuration"
	attributeSourceIdentity = attributes + "SourceIdentity"
	attributeTag            = attributes + "PrincipalTag:"
	attributeTransitive     = attributes + "TransitiveTagKeys"
)

// samlAttributes are the attributes that are condition keys (IAM user guide, "Available
// keys for SAML-based AWS STS federation"), by their names in LDAP's and eduPerson's
// schemas.
var samlAttributes = map[string]string{
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.1":                                        "saml:edupersonaffiliation",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.2":                                        "saml:edupersonnickname",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.3":                                        "saml:edupersonorgdn",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.4":                                        "saml:edupersonorgunitdn",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.5":                                        "saml:edupersonprimaryaffiliation",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.6":                                        "saml:edupersonprincipalname",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.7":                                        "saml:edupersonentitlement",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.8":                                        "saml:edupersonprimaryorgunitdn",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.9":                                        "saml:edupersonscopedaffiliation",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.10":                                       "saml:edupersontargetedid",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.11":                                       "saml:edupersonassurance",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.2":                                        "saml:eduorghomepageuri",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.3":                                        "saml:eduorgidentityauthnpolicyuri",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.4":                                        "saml:eduorglegalname",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.5":                                        "saml:eduorgsuperioruri",
	"urn:oid:1.3.6.1.4.1.5923.1.2.1.6":                                        "saml:eduorgwhitepagesuri",
	"urn:oid:2.5.4.3":                                                         "saml:cn",
	"urn:oid:2.5.4.4":                                                         "saml:surname",
	"urn:oid:2.5.4.41":                                                        "saml:name",
	"urn:oid:2.5.4.42":                                                        "saml:givenName",
	"urn:oid:2.5.4.45":                                                        "saml:x500UniqueIdentifier",
	"urn:oid:0.9.2342.19200300.100.1.1":                                       "saml:uid",
	"urn:oid:0.9.2342.19200300.100.1.3":                                       "saml:mail",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name":              "saml:name",
	"http://schemas.xmlsoap.org/claims/CommonName":                            "saml:commonName",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname":         "saml:givenName",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname":           "saml:surname",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress":      "saml:mail",
	"http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid": "saml:primaryGroupSID",
}

// attributes takes the session's name, end, tags and source identity from an
// assertion. What is there twice, or not of its form, refuses it.
func (g *grant) attributes(a *saml.Assertion) error {
	name, err := single(a, attributeSessionName)
	if err != nil {
		return err
	}
	if !nameText(name) {
		return badToken("RoleSessionName is required in AuthnResponse")
	}
	g.name(name)
	var tags []shape.Tag
	for attribute := range a.Attributes {
		if key, ok := strings.CutPrefix(attribute, attributeTag); ok {
			value, err := single(a, attribute)
			if err != nil {
				return err
			}
			tags = append(tags, shape.Tag{Key: key, Value: value})
		}
	}
	slices.SortFunc(tags, func(a, b shape.Tag) int { return cmp.Compare(a.Key, b.Key) })
	if err := g.tag(api.Claim{}, tags, a.Attributes[attributeTransitive]); err != nil {
		return err
	}
	source, err := single(a, attributeSourceIdentity)
	if err != nil {
		return err
	}
	if source != "" && !nameText(source) {
		return badToken("The source identity in the assertion is not valid")
	}
	if err := g.identify("", source); err != nil {
		return err
	}
	g.until = a.SessionNotOnOrAfter
	return nil
}

// bounded is the lesser of what is asked for and the SessionDuration attribute,
// which is about the console only where AWS has one.
func bounded(a *saml.Assertion, asked *int32) (*int32, error) {
	text, err := single(a, attributeDuration)
	if err != nil || text == "" {
		return asked, err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if limit := time.Duration(n) * time.Second; err != nil || limit < minDuration || limit > 12*time.Hour {
		return nil, badToken("The SessionDuration in the assertion is not valid")
	}
	seconds := int32(n)
	if asked == nil && defaultDuration < time.Duration(n)*time.Second || asked != nil && *asked < seconds {
		return asked, nil
	}
	return &seconds, nil
}

// single is the one value of an attribute; empty if it is not there.
func single(a *saml.Assertion, name string) (string, error) {
	switch values := a.Attributes[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", badToken("The attribute " + name + " has several values")
}
