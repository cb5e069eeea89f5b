package identity

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"bawn.dev/internal/api"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

// attributes are the sources of session tags that AWS documents for its directory,
// by path in lower case. A name and an enterprise extension that are not there are
// empty ones.
var attributes = map[string]func(*directory.User, *employee) string{
	"username":                      func(u *directory.User, _ *employee) string { return u.UserName },
	"name.familyname":               func(u *directory.User, _ *employee) string { return u.Name.FamilyName },
	"name.givenname":                func(u *directory.User, _ *employee) string { return u.Name.GivenName },
	"name.middlename":               func(u *directory.User, _ *employee) string { return u.Name.MiddleName },
	"name.formatted":                func(u *directory.User, _ *employee) string { return u.Name.Formatted },
	"displayname":                   func(u *directory.User, _ *employee) string { return u.DisplayName },
	"nickname":                      func(u *directory.User, _ *employee) string { return u.NickName },
	"profileurl":                    func(u *directory.User, _ *employee) string { return u.ProfileUrl },
	"usertype":                      func(u *directory.User, _ *employee) string { return u.UserType },
	"title":                         func(u *directory.User, _ *employee) string { return u.Title },
	"preferredlanguage":             func(u *directory.User, _ *employee) string { return u.PreferredLanguage },
	"locale":                        func(u *directory.User, _ *employee) string { return u.Locale },
	"timezone":                      func(u *directory.User, _ *employee) string { return u.Timezone },
	"emails[primary eq true].value": func(u *directory.User, _ *employee) string { return mainEmail(u).Value },
	"phonenumbers[primary eq true].value": func(u *directory.User, _ *employee) string {
		return primary(u.PhoneNumbers, func(p directory.PhoneNumber) *bool { return p.Primary }).Value
	},
	"addresses[primary eq true].formatted":     func(u *directory.User, _ *employee) string { return mainAddress(u).Formatted },
	"addresses[primary eq true].streetaddress": func(u *directory.User, _ *employee) string { return mainAddress(u).StreetAddress },
	"addresses[primary eq true].locality":      func(u *directory.User, _ *employee) string { return mainAddress(u).Locality },
	"addresses[primary eq true].region":        func(u *directory.User, _ *employee) string { return mainAddress(u).Region },
	"addresses[primary eq true].postalcode":    func(u *directory.User, _ *employee) string { return mainAddress(u).PostalCode },
	"addresses[primary eq true].country":       func(u *directory.User, _ *employee) string { return mainAddress(u).Country },
	"enterprise.employeenumber":                func(_ *directory.User, e *employee) string { return e.EmployeeNumber },
	"enterprise.costcenter":                    func(_ *directory.User, e *employee) string { return e.CostCenter },
	"enterprise.organization":                  func(_ *directory.User, e *employee) string { return e.Organization },
	"enterprise.division":                      func(_ *directory.User, e *employee) string { return e.Division },
	"enterprise.department":                    func(_ *directory.User, e *employee) string { return e.Department },
	"enterprise.manager.value":                 func(_ *directory.User, e *employee) string { return e.Manager.Value },
}

func mainEmail(u *directory.User) directory.Email {
	return primary(u.Emails, func(e directory.Email) *bool { return e.Primary })
}

func mainAddress(u *directory.User) directory.Address {
	return primary(u.Addresses, func(a directory.Address) *bool { return a.Primary })
}

// primary is the one that is marked so; an only one is, marked or not, and AWS's
// directory has no more.
func primary[T any](list []T, marked func(T) *bool) (none T) {
	for _, one := range list {
		if p := marked(one); p != nil && *p || len(list) == 1 {
			return one
		}
	}
	return none
}

// source is what "${path:…}" takes from a user; nil if that is none of the paths.
func source(text string) func(*directory.User, *employee) string {
	path, ok := strings.CutPrefix(text, "${path:")
	path, closed := strings.CutSuffix(path, "}")
	if !ok || !closed {
		return nil
	}
	return attributes[strings.ToLower(path)]
}

// Attributes are the session tags of a person who enters a role: what the directory
// says of her, as the instance is configured. An attribute that she does not have is
// no tag. One whose value cannot be a tag's keeps her out, by an *api.Error: were it
// left away, what a policy denies by it would be allowed.
func (s *Service) Attributes(sn *store.Snapshot, userID string) (map[string]string, error) {
	c, err := s.configuration(sn)
	if err != nil || c == nil {
		return nil, err
	}
	u, err := user(sn, userID)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, api.ErrGone
	}
	if u.Name == nil {
		u.Name = &directory.Name{}
	}
	e, err := employed(u.Extensions)
	if err != nil {
		return nil, err
	}
	if e.Manager == nil {
		e.Manager = &manager{}
	}
	tags := map[string]string{}
	for _, a := range c.AccessControlAttributes {
		take := source(a.Value.Source[0])
		if take == nil {
			continue
		}
		value := take(u, &e)
		if !taggable(value) {
			return nil, &api.Error{Code: "InvalidRequestException", Status: http.StatusBadRequest, Message: "The value of the attribute " + a.Key + " cannot be a session tag."}
		}
		if value != "" {
			tags[a.Key] = value
		}
	}
	return tags, nil
}

// taggable says whether AWS lets a session tag have a value.
func taggable(value string) bool {
	for _, r := range value {
		if r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return utf8.RuneCountInString(value) <= 256
}
