package ldap

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	wire "github.com/go-ldap/ldap/v3"
)

// search reads all entries below a base that meet a filter, page by page. A referral
// in their midst is left alone; one in their place is an error, as is a limit of the
// server's: what is not whole is nothing.
func search(l *wire.Conn, base, filter string, attributes []string, each func(*wire.Entry) error) error {
	paging := wire.NewControlPaging(pageSize)
	read := 0
	for range maxEntries {
		res, err := l.Search(wire.NewSearchRequest(base, wire.ScopeWholeSubtree, wire.NeverDerefAliases, 0, 0, false, filter, attributes, []wire.Control{paging}))
		if err != nil {
			return fmt.Errorf("ldap: below %q: %w", base, err)
		}
		if read += len(res.Entries); read > maxEntries {
			return fmt.Errorf("ldap: below %q are more than %d entries", base, maxEntries)
		}
		for _, e := range res.Entries {
			if err := each(e); err != nil {
				return err
			}
		}
		next, ok := wire.FindControl(res.Controls, wire.ControlTypePaging).(*wire.ControlPaging)
		if !ok || len(next.Cookie) == 0 {
			return nil
		}
		paging.SetCookie(next.Cookie)
	}
	return errors.New("ldap: the pages have no end")
}

// all are the values of an attribute. Active Directory answers many in ranges, each
// of which is asked for.
func all(l *wire.Conn, e *wire.Entry, name string) ([]string, error) {
	values := e.GetEqualFoldAttributeValues(name)
	part, next := ranged(e, name)
	for values = append(values, part...); next > 0; {
		res, err := l.Search(wire.NewSearchRequest(e.DN, wire.ScopeBaseObject, wire.NeverDerefAliases, 1, 0, false, "(objectClass=*)",
			[]string{fmt.Sprintf("%s;range=%d-*", name, next)}, nil))
		if err != nil {
			return nil, fmt.Errorf("ldap: %s of %q: %w", name, e.DN, err)
		}
		if len(res.Entries) != 1 {
			return nil, fmt.Errorf("ldap: %q went away", e.DN)
		}
		before := next
		if part, next = ranged(res.Entries[0], name); next != 0 && next <= before || len(part) == 0 {
			return nil, fmt.Errorf("ldap: the ranges of %s of %q do not go on", name, e.DN)
		}
		values = append(values, part...)
	}
	return values, nil
}

// ranged are the values of a range, and where the next begins; 0: it was the last.
func ranged(e *wire.Entry, name string) (values []string, next int) {
	prefix := strings.ToLower(name) + ";range="
	for _, a := range e.Attributes {
		bounds, ok := strings.CutPrefix(strings.ToLower(a.Name), prefix)
		if !ok {
			continue
		}
		_, last, _ := strings.Cut(bounds, "-")
		if n, err := strconv.Atoi(last); err == nil {
			return a.Values, n + 1
		}
		return a.Values, 0
	}
	return nil, 0
}
