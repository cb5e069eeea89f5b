package ldap

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	wire "github.com/go-ldap/ldap/v3"
)

// maxValue bounds one value of a person or group, in bytes.
const maxValue = 1024

// A Person is one as her directory says.
type Person struct {
	ID     string // which the directory gave and never changes
	DN     string // as DNs are compared here
	Active bool   // she may sign in

	UserName, DisplayName, GivenName, FamilyName, Email string

	// Problem says why nothing of the line above can be taken; empty: it can.
	Problem string
}

// A Group is one as its directory says.
type Group struct {
	ID      string
	DN      string
	Name    string
	Members []string // DNs of people and groups
	Problem string
}

// Contents are the people and groups of a directory, whole or not at all.
type Contents struct {
	People []Person
	Groups []Group
}

// Read reads all people and groups. password is that of BindDN.
func (d *Directory) Read(ctx context.Context, password string) (*Contents, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := d.open(ctx, password, maxRead)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	c := &Contents{}
	seen := map[string]bool{}
	once := func(id string) error {
		if seen[id] {
			return fmt.Errorf("ldap: two entries have the id %q", id)
		}
		seen[id] = true
		return nil
	}
	err = search(l, d.UserBase, d.UserFilter, d.ofPeople(), func(e *wire.Entry) error {
		p, err := d.person(e)
		c.People = append(c.People, p)
		return errors.Join(err, once(p.ID))
	})
	if err != nil || d.GroupBase == "" {
		return c, err
	}
	clear(seen)
	attributes := []string{d.Attributes["id"], d.Attributes["groupName"], d.Attributes["member"], uniqueMember}
	var entries []*wire.Entry
	err = search(l, d.GroupBase, d.GroupFilter, attributes, func(e *wire.Entry) error { entries = append(entries, e); return nil })
	for _, e := range entries {
		if err != nil {
			break
		}
		var g Group
		g, err = d.group(l, e)
		c.Groups = append(c.Groups, g)
		err = errors.Join(err, once(g.ID))
	}
	return c, err
}

// What says that a person may not sign in, beside userAccountControl.
const (
	accountControl = "userAccountControl"
	accountExpires = "accountExpires"
	lockedTime     = "pwdAccountLockedTime"
	accountLock    = "nsAccountLock"
	uniqueMember   = "uniqueMember"

	accountDisabled = 0x2
	// lockedForGood is the lock that no waiting ends. Others come from wrong guesses: who
	// makes those must not end a person's sessions.
	lockedForGood = "000001010000Z"
)

func (d *Directory) ofPeople() []string {
	a := d.Attributes
	return []string{a["id"], a["userName"], a["displayName"], a["givenName"], a["familyName"], a["email"], "cn",
		accountControl, accountExpires, lockedTime, accountLock}
}

func (d *Directory) person(e *wire.Entry) (Person, error) {
	p := Person{DN: Canonical(e.DN)}
	var err error
	if p.ID, err = d.id(e); err != nil {
		return p, err
	}
	if d.Kind == KindAD && e.GetEqualFoldAttributeValue(accountControl) == "" {
		// Every account has it: who reads may not see it, and would find everybody gone.
		return p, fmt.Errorf("ldap: %q does not show its %s", e.DN, accountControl)
	}
	p.Active = d.active(e, time.Now())
	if p.DN == "" {
		p.Problem = "its DN cannot be read"
	}
	take := func(name string, otherwise ...string) string {
		for _, attribute := range append([]string{d.Attributes[name]}, otherwise...) {
			if v := e.GetEqualFoldAttributeValue(attribute); v != "" {
				if !text(v) {
					p.Problem = attribute + " is too long or not text"
				}
				return v
			}
		}
		return ""
	}
	p.UserName, p.Email = take("userName"), take("email")
	p.FamilyName = take("familyName", "cn")
	p.DisplayName = take("displayName", "cn")
	p.GivenName = take("givenName", d.Attributes["displayName"], "cn")
	if p.UserName == "" {
		p.Problem = "it has no " + d.Attributes["userName"]
	}
	return p, nil
}

// active says whether a person may sign in. Where Active Directory does not show, she
// may not.
func (d *Directory) active(e *wire.Entry, now time.Time) bool {
	if d.Kind == KindAD {
		flags, err := strconv.ParseInt(e.GetEqualFoldAttributeValue(accountControl), 10, 64)
		if err != nil || flags&accountDisabled != 0 {
			return false
		}
		// In units of 100 ns since 1601; 0 and the largest are never.
		if n, err := strconv.ParseInt(e.GetEqualFoldAttributeValue(accountExpires), 10, 64); err == nil && n > 0 && n/1e7-11_644_473_600 < now.Unix() {
			return false
		}
	}
	return e.GetEqualFoldAttributeValue(lockedTime) != lockedForGood && !strings.EqualFold(e.GetEqualFoldAttributeValue(accountLock), "true")
}

func (d *Directory) group(l *wire.Conn, e *wire.Entry) (Group, error) {
	g := Group{DN: Canonical(e.DN), Name: e.GetEqualFoldAttributeValue(d.Attributes["groupName"])}
	var err error
	if g.ID, err = d.id(e); err != nil {
		return g, err
	}
	if g.Name == "" || !text(g.Name) {
		g.Problem = "its name is missing, too long or not text"
	}
	if d.Chain {
		g.Members, err = d.chained(l, e.DN)
		return g, err
	}
	members, err := all(l, e, d.Attributes["member"])
	for _, m := range append(members, e.GetEqualFoldAttributeValues(uniqueMember)...) {
		if dn := Canonical(m); dn != "" {
			g.Members = append(g.Members, dn)
		}
	}
	return g, err
}

// chained are the people of a group and of the groups in it.
func (d *Directory) chained(l *wire.Conn, group string) (people []string, err error) {
	filter := "(&" + d.UserFilter + "(memberOf:1.2.840.113556.1.4.1941:=" + wire.EscapeFilter(group) + "))"
	err = search(l, d.UserBase, filter, []string{"1.1"}, func(e *wire.Entry) error {
		people = append(people, Canonical(e.DN))
		return nil
	})
	return people, err
}

// Canonical is a DN in the form in which DNs are compared; empty if it is none.
func Canonical(dn string) string {
	parsed, err := wire.ParseDN(dn)
	if err != nil {
		return ""
	}
	return strings.ToLower(parsed.String())
}

// text says whether a value can be shown.
func text(v string) bool {
	return len(v) <= maxValue && utf8.ValidString(v) && !strings.ContainsFunc(v, unicode.IsControl)
}
