package scim

import "strings"

// The schemas that are served.
const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	listURN       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
)

// An attribute is one of a schema (RFC 7643, section 7). What decodes, filters,
// patches and describes resources reads these tables and nothing else.
type attribute struct {
	name     string
	kind     string // "string", "boolean", "complex", "dateTime", "reference"
	multi    bool
	required bool
	exact    bool // compared with case
	fixed    bool // nobody sets it: what a client says of it is left aside
	unique   bool
	sub      []attribute
}

func text(name string) attribute { return attribute{name: name, kind: "string"} }

func texts(names ...string) []attribute {
	var all []attribute
	for _, name := range names {
		all = append(all, text(name))
	}
	return all
}

// valued is a list of values with a type, one of which may be primary.
func valued(name string) attribute {
	return attribute{name: name, kind: "complex", multi: true, sub: append(texts("value", "type"), attribute{name: "primary", kind: "boolean"})}
}

// common is what every resource has beside its schema.
var common = []attribute{
	{name: "id", kind: "string", exact: true, fixed: true, unique: true},
	{name: "externalId", kind: "string", exact: true},
	{name: "meta", kind: "complex", fixed: true, sub: []attribute{
		{name: "resourceType", kind: "string", exact: true, fixed: true}, {name: "created", kind: "dateTime", fixed: true},
		{name: "lastModified", kind: "dateTime", fixed: true}, {name: "location", kind: "reference", exact: true, fixed: true},
		{name: "version", kind: "string", exact: true, fixed: true},
	}},
	{name: "schemas", kind: "reference", multi: true, exact: true, fixed: true},
}

var userAttributes = []attribute{
	{name: "userName", kind: "string", required: true, unique: true},
	{name: "name", kind: "complex", required: true, sub: []attribute{
		text("formatted"), {name: "familyName", kind: "string", required: true}, {name: "givenName", kind: "string", required: true},
		text("middleName"), text("honorificPrefix"), text("honorificSuffix"),
	}},
	{name: "displayName", kind: "string", required: true},
	text("nickName"),
	{name: "profileUrl", kind: "reference", exact: true},
	text("title"), text("userType"), text("preferredLanguage"), text("locale"), text("timezone"),
	{name: "active", kind: "boolean"},
	valued("emails"), valued("phoneNumbers"), valued("roles"),
	{name: "addresses", kind: "complex", multi: true, sub: append(
		texts("formatted", "streetAddress", "locality", "region", "postalCode", "country", "type"), attribute{name: "primary", kind: "boolean"})},
}

var enterpriseAttributes = append(texts("employeeNumber", "costCenter", "organization", "division", "department"),
	attribute{name: "manager", kind: "complex", sub: []attribute{
		{name: "value", kind: "string", exact: true}, {name: "$ref", kind: "reference", exact: true}, {name: "displayName", kind: "string", fixed: true},
	}})

var groupAttributes = []attribute{
	{name: "displayName", kind: "string", required: true, unique: true},
	{name: "members", kind: "complex", multi: true, sub: []attribute{
		{name: "value", kind: "string", exact: true}, {name: "$ref", kind: "reference", exact: true, fixed: true},
		{name: "type", kind: "string", fixed: true}, {name: "display", kind: "string", fixed: true},
	}},
}

// unstored are attributes that identity providers send and that mean nothing here:
// people sign in elsewhere, so a password is neither kept nor compared, and groups
// are told of their members. Nothing else that is unknown is let pass.
var unstored = []attribute{{name: "password", kind: "string", fixed: true}, {name: "groups", kind: "complex", multi: true, fixed: true}}

// A resourceType is what an endpoint serves.
type resourceType struct {
	name, endpoint, urn string
	attributes          []attribute // of the schema, and common ones
	extension           []attribute
}

var (
	users  = &resourceType{"User", "Users", userURN, concat(userAttributes, common, unstored), enterpriseAttributes}
	groups = &resourceType{"Group", "Groups", groupURN, concat(groupAttributes, common), nil}
)

func concat(lists ...[]attribute) []attribute {
	var all []attribute
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// find finds an attribute by its name, of which the case does not matter.
func find(list []attribute, name string) *attribute {
	for i := range list {
		if equal(list[i].name, name) {
			return &list[i]
		}
	}
	return nil
}

// equal compares names of attributes, which are ASCII.
func equal(a, b string) bool { return strings.EqualFold(a, b) && len(a) == len(b) }

func (a *attribute) describe() object {
	o := object{
		"name": a.name, "type": a.kind, "multiValued": a.multi, "required": a.required, "caseExact": a.exact,
		"mutability": "readWrite", "returned": "default", "uniqueness": "none",
	}
	if a.fixed {
		o["mutability"] = "readOnly"
	}
	if a.unique {
		o["uniqueness"] = "server"
	}
	if a.name == "$ref" {
		o["referenceTypes"] = []any{"User"}
	} else if a.kind == "reference" {
		o["referenceTypes"] = []any{"external"}
	}
	if a.sub != nil {
		o["subAttributes"] = describeAll(a.sub)
	}
	return o
}

func describeAll(list []attribute) []any {
	var all []any
	for i := range list {
		all = append(all, list[i].describe())
	}
	return all
}
