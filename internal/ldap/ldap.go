// Package ldap reads people and groups from an organization's LDAP directory, and asks
// it whether a password is a person's.
//
// It trusts the directory that the operator named, by name, port and CA, to say who
// its people are, and nothing else: there is no connection without TLS and a verified
// certificate, so that nobody between here and there reads a password or answers in
// the directory's place. Referrals are not followed, answers are bounded in bytes,
// entries and time, and what an entry says is text that its readers check.
//
// An attacker at the sign-in page gives a password and nothing more: a person is
// looked up by the id that her directory gave her, never by what was typed, and an
// empty password, which directories take for a bind of nobody, is never sent.
package ldap

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	wire "github.com/go-ldap/ldap/v3"
)

// Limits of one conversation.
const (
	maxMessage = 16 << 20
	maxRead    = 1 << 30 // of reading everybody
	maxAsked   = 1 << 20 // of one password
	maxEntries = 100_000
	pageSize   = 500
	answerTime = 30 * time.Second
	// PasswordTime bounds one question about a password.
	PasswordTime = 10 * time.Second
)

func init() {
	ber.MaxPacketLengthBytes = maxMessage
	ber.MaxNestingDepth = 32
}

// Kinds of directories.
const (
	KindAD   = "ad"         // Active Directory
	KindLDAP = "rfc2307bis" // inetOrgPerson, and groups that name their members
)

// A Directory says where a directory is and what in it are people and groups.
type Directory struct {
	// URL is ldaps://host[:port], or ldap://host[:port], where StartTLS is demanded.
	URL string `json:"url"`
	// CA are the certificates, in PEM, that vouch for it; empty: the system's.
	CA          string `json:"ca,omitzero"`
	Kind        string `json:"kind"`
	BindDN      string `json:"bindDN"` // as whom everything is read
	UserBase    string `json:"userBase"`
	UserFilter  string `json:"userFilter"`
	GroupBase   string `json:"groupBase,omitzero"` // empty: no groups
	GroupFilter string `json:"groupFilter,omitzero"`
	// Chain asks Active Directory itself who is in a group, by groups of groups wherever
	// they are: one question a group.
	Chain bool `json:"chain,omitzero"`
	// Attributes are the directory's names for those of defaults.
	Attributes map[string]string `json:"attributes"`
}

// defaults are what the kinds call what is read.
var defaults = map[string]map[string]string{
	KindAD: {
		"id": "objectGUID", "userName": "sAMAccountName", "displayName": "displayName", "givenName": "givenName", "familyName": "sn",
		"email": "mail", "groupName": "sAMAccountName", "member": "member",
	},
	KindLDAP: {
		"id": "entryUUID", "userName": "uid", "displayName": "displayName", "givenName": "givenName", "familyName": "sn",
		"email": "mail", "groupName": "cn", "member": "member",
	},
}

var filters = map[string][2]string{
	KindAD:   {"(&(objectCategory=person)(objectClass=user))", "(objectClass=group)"},
	KindLDAP: {"(objectClass=inetOrgPerson)", "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers))"},
}

var attributeForm = regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9-]{0,63}\z`)

// Complete fills in the kind's defaults and says what is wrong with the rest.
func (d *Directory) Complete() error {
	names, ok := defaults[d.Kind]
	if !ok {
		return fmt.Errorf("ldap: a directory is of kind %s or %s, not %q", KindAD, KindLDAP, d.Kind)
	}
	if d.Chain && d.Kind != KindAD {
		return errors.New("ldap: only Active Directory follows the chain of groups itself")
	}
	all := maps.Clone(names)
	for name, attribute := range d.Attributes {
		if names[name] == "" || !attributeForm.MatchString(attribute) {
			return fmt.Errorf("ldap: %q=%q maps no attribute; there are %q", name, attribute, slices.Sorted(maps.Keys(names)))
		}
		all[name] = attribute
	}
	d.Attributes = all
	if d.UserFilter == "" {
		d.UserFilter = filters[d.Kind][0]
	}
	if d.GroupFilter == "" {
		d.GroupFilter = filters[d.Kind][1]
	}
	if d.BindDN == "" {
		return errors.New("ldap: a directory is read as somebody: give the DN to bind as")
	}
	for _, filter := range []string{d.UserFilter, d.GroupFilter} {
		if _, err := wire.CompileFilter(filter); err != nil {
			return fmt.Errorf("ldap: %q is no filter: %w", filter, err)
		}
	}
	if dn, err := wire.ParseDN(d.UserBase); err != nil || len(dn.RDNs) == 0 {
		return fmt.Errorf("ldap: %q is no DN below which people are", d.UserBase)
	}
	if _, err := wire.ParseDN(d.GroupBase); err != nil {
		return fmt.Errorf("ldap: %q is no DN below which groups are", d.GroupBase)
	}
	if _, err := d.roots(); err != nil {
		return err
	}
	_, _, err := d.address()
	return err
}

// address is host and port, and whether TLS comes by StartTLS.
func (d *Directory) address() (hostPort string, start bool, err error) {
	u, err := url.Parse(d.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return "", false, fmt.Errorf("ldap: %q is not ldaps://host[:port] or ldap://host[:port]", d.URL)
	}
	port := map[string]string{"ldaps": "636", "ldap": "389"}[u.Scheme]
	if port == "" {
		return "", false, fmt.Errorf("ldap: %q is not ldaps://host[:port] or ldap://host[:port]", d.URL)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port), u.Scheme == "ldap", nil
}

func (d *Directory) roots() (*x509.CertPool, error) {
	if d.CA == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(d.CA)) {
		return nil, errors.New("ldap: the CA file holds no certificate")
	}
	return pool, nil
}
