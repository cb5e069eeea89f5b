package identity

import (
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/shape"
	directory "bawn.dev/internal/shape/identitystore"
)

// The attributes that an update may set, by path in lower case, and the members
// that hold them. What is not here (ids, times) nobody sets.
var (
	userAttributes = map[string]string{
		"username": "UserName", "name": "Name", "displayname": "DisplayName", "nickname": "NickName", "profileurl": "ProfileUrl",
		"emails": "Emails", "addresses": "Addresses", "phonenumbers": "PhoneNumbers", "usertype": "UserType", "title": "Title",
		"preferredlanguage": "PreferredLanguage", "locale": "Locale", "timezone": "Timezone", "photos": "Photos", "website": "Website",
		"birthdate": "Birthdate", "roles": "Roles", "userstatus": "UserStatus", "externalids": "ExternalIds",
	}
	groupAttributes = map[string]string{"displayname": "DisplayName", "description": "Description", "externalids": "ExternalIds"}
)

// enterprise is the one extension there is, as AWS names it.
const enterprise = "aws:identitystore:enterprise"

// An employee is what the extension holds (RFC 7643, section 4.3).
type employee struct {
	EmployeeNumber string   `json:"employeeNumber,omitzero"`
	CostCenter     string   `json:"costCenter,omitzero"`
	Organization   string   `json:"organization,omitzero"`
	Division       string   `json:"division,omitzero"`
	Department     string   `json:"department,omitzero"`
	Manager        *manager `json:"manager,omitzero"`
}

type manager struct {
	Value string `json:"value,omitzero"`
	Ref   string `json:"$ref,omitzero"`
}

var employeeAttributes = map[string]string{
	"employeenumber": "EmployeeNumber", "costcenter": "CostCenter", "organization": "Organization", "division": "Division",
	"department": "Department", "manager": "Manager",
}

// setUser does one operation on a user: a value that is absent or null clears the
// attribute.
func setUser(u *directory.User, op directory.AttributeOperation) error {
	rest, extended := strings.CutPrefix(op.AttributePath, enterprise)
	if !extended {
		return set(reflect.ValueOf(u).Elem(), userAttributes, op.AttributePath, op)
	}
	var e employee
	if doc := u.Extensions[enterprise]; doc != nil {
		if err := json.Unmarshal(doc, &e); err != nil {
			return err
		}
	}
	if rest == "" {
		e = employee{}
		if err := assign(reflect.ValueOf(&e).Elem(), op); err != nil {
			return err
		}
	} else if path, ok := strings.CutPrefix(rest, "."); !ok {
		return unknownPath(op)
	} else if err := set(reflect.ValueOf(&e).Elem(), employeeAttributes, path, op); err != nil {
		return err
	}
	return extend(u, e)
}

// setGroup does one operation on a group.
func setGroup(g *directory.Group, op directory.AttributeOperation) error {
	return set(reflect.ValueOf(g).Elem(), groupAttributes, op.AttributePath, op)
}

// set finds the member that a path names, below one that is a structure too, and
// assigns to it.
func set(v reflect.Value, names map[string]string, path string, op directory.AttributeOperation) error {
	first, rest, deeper := strings.Cut(path, ".")
	member, ok := names[strings.ToLower(first)]
	if !ok {
		return unknownPath(op)
	}
	field := v.FieldByName(member)
	if !deeper {
		return assign(field, op)
	}
	if field.Kind() != reflect.Pointer || field.Type().Elem().Kind() != reflect.Struct {
		return unknownPath(op)
	}
	inner := reflect.New(field.Type().Elem()) // the old value may be another's too
	if !field.IsNil() {
		inner.Elem().Set(field.Elem())
	}
	part := inner.Elem().FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, rest) })
	if !part.IsValid() {
		return unknownPath(op)
	}
	if err := assign(part, op); err != nil {
		return err
	}
	field.Set(inner)
	if inner.Elem().IsZero() {
		field.SetZero()
	}
	return nil
}

func assign(field reflect.Value, op directory.AttributeOperation) error {
	value := reflect.New(field.Type())
	if doc := op.AttributeValue; len(doc) > 0 && string(doc) != "null" {
		err := json.Unmarshal(doc, value.Interface(), json.MatchCaseInsensitiveNames(true), json.RejectUnknownMembers(true))
		if err != nil {
			return invalid("AttributeValue of %s does not have the form of that attribute.", op.AttributePath)
		}
	}
	field.Set(value.Elem())
	if field.Kind() == reflect.Slice && field.Len() == 0 {
		field.SetZero()
	}
	return nil
}

func unknownPath(op directory.AttributeOperation) error {
	return invalid("%s is not an attribute that can be updated.", op.AttributePath)
}

// provisioning is the extension in which a new user's identity provider says what
// it calls her and whether she may enter. It is not stored as such, and not shown.
const provisioning = "aws:identitystore:provisioning"

type provision struct {
	ExternalIds []directory.ExternalId
	UserStatus  directory.UserStatus
}

func provisioned(extensions map[string]shape.Document) (p provision, err error) {
	err = read(extensions, provisioning, &p)
	return p, err
}

func employed(extensions map[string]shape.Document) (e employee, err error) {
	err = read(extensions, enterprise, &e)
	return e, err
}

// read decodes one of a new user's extensions, if it is there.
func read(extensions map[string]shape.Document, name string, into any) error {
	for other := range extensions {
		if other != enterprise && other != provisioning {
			return invalid("%s is the only extension.", enterprise)
		}
	}
	if doc := extensions[name]; doc != nil {
		if json.Unmarshal(doc, into, json.MatchCaseInsensitiveNames(true), json.RejectUnknownMembers(true)) != nil {
			return invalid("The extension %s does not have the form of one.", name)
		}
	}
	return nil
}

// check says what is wrong with a user as she would be stored.
func (s *Service) check(u *directory.User) error {
	if u.UserName == "" || u.DisplayName == "" || u.Name == nil || u.Name.GivenName == "" || u.Name.FamilyName == "" {
		return invalid("UserName, DisplayName, Name.GivenName and Name.FamilyName are required.")
	}
	if err := s.rules.check("User", u, ""); err != nil {
		return err
	}
	switch Fold(u.UserName) {
	case "administrator", "awsadministrators":
		return invalid("The UserName is reserved.")
	}
	for _, e := range u.Emails {
		if e.Value == "" {
			return invalid("An e-mail address needs its Value.")
		}
	}
	if _, err := time.Parse(time.DateOnly, u.Birthdate); u.Birthdate != "" && err != nil {
		return invalid("Birthdate is written YYYY-MM-DD.")
	}
	if u.UserStatus == "" {
		return invalid("UserStatus is ENABLED or DISABLED.")
	}
	primary := 0
	for _, p := range u.Photos {
		if p.Primary != nil && *p.Primary {
			primary++
		}
	}
	if primary > 1 {
		return invalid("One photo can be primary.")
	}
	if err := distinct(u.ExternalIds); err != nil {
		return err
	}
	return s.checkEmployee(u.Extensions[enterprise])
}

func (s *Service) checkEmployee(doc shape.Document) error {
	if doc == nil {
		return nil
	}
	var e employee
	if err := json.Unmarshal(doc, &e); err != nil {
		return err
	}
	texts := []string{e.EmployeeNumber, e.CostCenter, e.Organization, e.Division, e.Department}
	if e.Manager != nil {
		texts = append(texts, e.Manager.Value, e.Manager.Ref)
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		if err := s.rules.text("SensitiveStringType", text, enterprise); err != nil {
			return err
		}
	}
	return nil
}

// distinct refuses two external ids of one issuer: one names the person to it.
func distinct(ids []directory.ExternalId) error {
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id.Issuer] {
			return invalid("An issuer gives one external id.")
		}
		seen[id.Issuer] = true
	}
	return nil
}

// extend stores the extension with a user; an empty one is none.
func extend(u *directory.User, e employee) error {
	u.Extensions = nil
	if e.Manager != nil && *e.Manager == (manager{}) {
		e.Manager = nil
	}
	if e == (employee{}) {
		return nil
	}
	doc, err := json.Marshal(e)
	u.Extensions = map[string]shape.Document{enterprise: doc}
	return err
}
