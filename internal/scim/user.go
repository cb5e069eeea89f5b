package scim

import (
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	model "bawn.dev/internal/shape"
	shape "bawn.dev/internal/shape/identitystore"
)

// The extensions of a user, as the directory calls them.
const (
	enterprise   = "aws:identitystore:enterprise"
	provisioning = "aws:identitystore:provisioning"
)

func (s *Server) userKind() kind {
	return kind{
		resourceType: users, create: s.createUser, put: s.putUser, patch: s.patchUser, remove: s.removeUser, found: s.findUsers, page: s.pageUsers,
		get: func(r *request, id string, _ view) (object, error) { return s.getUser(r, id) },
	}
}

// user reads a user as the directory has her.
func (s *Server) user(r *request, id string) (*shape.User, error) {
	out, err := ask[shape.DescribeUserOutput](r, "DescribeUser", &shape.DescribeUserInput{IdentityStoreId: s.storeID, UserId: id, Extensions: []string{enterprise}})
	if missing(err) {
		return nil, notFound(id)
	}
	return (*shape.User)(out), err
}

func (s *Server) getUser(r *request, id string) (object, error) {
	u, err := s.user(r, id)
	if err != nil {
		return nil, err
	}
	return s.userObject(r, u)
}

// userObject is a user as SCIM shows her.
func (s *Server) userObject(r *request, u *shape.User) (object, error) {
	o, err := s.said(u)
	if err != nil {
		return nil, err
	}
	return o, r.finish(o, u.UserId, u.CreatedAt, u.UpdatedAt)
}

// finish adds to what is said of a user what the server says.
func (r *request) finish(o object, id string, created, updated time.Time) error {
	o["schemas"] = []any{userURN}
	if o[enterpriseURN] != nil {
		o["schemas"] = []any{userURN, enterpriseURN}
	}
	o["id"] = id
	return r.stamp(o, users, id, created, updated)
}

// said is what an identity provider could have said of a user, in normal form.
func (s *Server) said(u *shape.User) (object, error) {
	o := object{"active": u.UserStatus == shape.UserStatusEnabled}
	v := reflect.ValueOf(u).Elem()
	for i := range userAttributes {
		a := &userAttributes[i]
		if a.name == "active" {
			continue
		}
		if x := spelled(a, member(v, a.name)); x != nil {
			o[a.name] = x
		}
	}
	if id := s.externalID(u.ExternalIds); id != "" {
		o["externalId"] = id
	}
	if doc := u.Extensions[enterprise]; doc != nil {
		var inner object
		if err := json.Unmarshal(doc, &inner); err != nil {
			return nil, err
		}
		o[enterpriseURN] = inner
	}
	return o, nil
}

// member is the field of a structure of the model that an attribute names.
func member(v reflect.Value, name string) reflect.Value {
	return v.FieldByName(strings.ToUpper(name[:1]) + name[1:])
}

// spelled is a value of the model in SCIM's names; nil if it is not set.
func spelled(a *attribute, v reflect.Value) any {
	if !v.IsValid() || v.IsZero() {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return spelled(a, v.Elem())
	case reflect.Slice:
		var all []any
		for i := range v.Len() {
			if x := spelled(a, v.Index(i)); x != nil {
				all = append(all, x)
			}
		}
		return all
	case reflect.Struct:
		o := object{}
		for i := range a.sub {
			field := member(v, a.sub[i].name)
			if field.Kind() == reflect.Pointer && !field.IsNil() { // primary: false is said too
				o[a.sub[i].name] = field.Elem().Bool()
			} else if x := spelled(&a.sub[i], field); x != nil {
				o[a.sub[i].name] = x
			}
		}
		return o
	}
	return v.String()
}

// instant is the form of a time.
const instant = "2006-01-02T15:04:05.000Z07:00"

// stamp adds what the server says of a resource, the entity tag at last.
func (r *request) stamp(o object, t *resourceType, id string, created, updated time.Time) error {
	if updated.IsZero() {
		updated = created
	}
	tag, err := version(o)
	o["meta"] = object{
		"resourceType": t.name, "location": r.base + "/" + t.endpoint + "/" + id, "version": tag,
		"created": created.UTC().Format(instant), "lastModified": updated.UTC().Format(instant),
	}
	return err
}

// document writes a value for the directory.
func document(v any) (model.Document, error) {
	raw, err := json.Marshal(v, json.Deterministic(true))
	return model.Document(raw), err
}

func status(o object) shape.UserStatus {
	if o["active"] == false {
		return shape.UserStatusDisabled
	}
	return shape.UserStatusEnabled
}

func (s *Server) createUser(r *request, o object) (object, error) {
	plain := object{}
	for i := range userAttributes {
		if name := userAttributes[i].name; name != "active" && o[name] != nil {
			plain[name] = o[name]
		}
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	in := &shape.CreateUserInput{}
	if err := json.Unmarshal(raw, in, json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, err
	}
	in.IdentityStoreId, in.Extensions = s.storeID, map[string]model.Document{}
	external, _ := o["externalId"].(string)
	said := object{"userStatus": string(status(o))}
	if ids := s.externalIDs(nil, external); ids != nil {
		said["externalIds"] = ids
	}
	if in.Extensions[provisioning], err = document(said); err != nil {
		return nil, err
	}
	if inner := o[enterpriseURN]; inner != nil {
		if in.Extensions[enterprise], err = document(inner); err != nil {
			return nil, err
		}
	}
	out, err := ask[shape.CreateUserOutput](r, "CreateUser", in)
	if err != nil {
		return nil, err
	}
	// What was made is what was sent: asking for it would double the record.
	if o["active"] == nil {
		o["active"] = true
	}
	created, err := s.created(r, out.UserId)
	if err != nil {
		return nil, err
	}
	return o, r.finish(o, out.UserId, created, created)
}

func (s *Server) created(r *request, id string) (time.Time, error) {
	sn, err := s.Store.Snapshot(r.ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer sn.Close()
	return s.Directory.Created(sn, id)
}

// putUser sets a user to what is given. What is left out is taken away, but for
// active: nobody is let in again by silence.
func (s *Server) putUser(r *request, id string, o object) (object, error) {
	u, err := s.user(r, id)
	if err != nil {
		return nil, err
	}
	if o["active"] == nil {
		o["active"] = u.UserStatus == shape.UserStatusEnabled
	}
	return s.changeUser(r, u, o)
}

func (s *Server) patchUser(r *request, id string, changes []change) (object, error) {
	u, err := s.user(r, id)
	if err != nil {
		return nil, err
	}
	o, err := s.said(u)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := c.apply(o); err != nil {
			return nil, err
		}
	}
	if o["active"] == nil {
		return nil, immutable("active")
	}
	return s.changeUser(r, u, o)
}

// changeUser makes a user what o says, by an update of what differs.
func (s *Server) changeUser(r *request, u *shape.User, o object) (object, error) {
	was, err := s.said(u)
	if err != nil {
		return nil, err
	}
	var ops []shape.AttributeOperation
	set := func(path string, v any) {
		doc, e := document(v)
		err = errorOf(err, e)
		ops = append(ops, shape.AttributeOperation{AttributePath: path, AttributeValue: doc})
	}
	for i := range userAttributes {
		if name := userAttributes[i].name; name != "active" && !reflect.DeepEqual(was[name], o[name]) {
			set(name, o[name])
		}
	}
	if was["active"] != o["active"] {
		set("userStatus", string(status(o)))
	}
	if was["externalId"] != o["externalId"] {
		external, _ := o["externalId"].(string)
		set("externalIds", s.externalIDs(u.ExternalIds, external))
	}
	if !reflect.DeepEqual(was[enterpriseURN], o[enterpriseURN]) {
		set(enterprise, o[enterpriseURN])
	}
	if err != nil {
		return nil, err
	}
	if len(ops) > 0 {
		_, err := ask[shape.UpdateUserOutput](r, "UpdateUser", &shape.UpdateUserInput{IdentityStoreId: s.storeID, UserId: u.UserId, Operations: ops})
		if missing(err) {
			return nil, notFound(u.UserId)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.getUser(r, u.UserId)
}

func errorOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func (s *Server) removeUser(r *request, id string) error {
	_, err := ask[shape.DeleteUserOutput](r, "DeleteUser", &shape.DeleteUserInput{IdentityStoreId: s.storeID, UserId: id})
	if missing(err) {
		return notFound(id)
	}
	return err
}

// findUsers answers a look-up by what is unique of users.
func (s *Server) findUsers(r *request, l lookup) ([]string, error) {
	if l.attribute == "id" {
		return []string{l.value}, nil
	}
	by, err := s.alternate(l, map[string]string{"userName": "userName", "emails": "emails.value"})
	if err != nil || by == nil {
		return nil, err
	}
	out, err := ask[shape.GetUserIdOutput](r, "GetUserId", &shape.GetUserIdInput{IdentityStoreId: s.storeID, AlternateIdentifier: by})
	if err != nil {
		return nil, err
	}
	return []string{out.UserId}, nil
}

// alternate is a look-up in the directory's words; nil where nothing can meet it.
func (s *Server) alternate(l lookup, paths map[string]string) (*shape.AlternateIdentifier, error) {
	if l.value == "" {
		return nil, nil
	}
	if l.attribute == "externalId" {
		return &shape.AlternateIdentifier{ExternalId: &shape.ExternalId{Issuer: s.issuer(), Id: l.value}}, nil
	}
	doc, err := document(l.value)
	return &shape.AlternateIdentifier{UniqueAttribute: &shape.UniqueAttribute{AttributePath: paths[l.attribute], AttributeValue: doc}}, err
}

func (s *Server) pageUsers(r *request, after string, count int, _ view) ([]object, string, error) {
	size := int32(count)
	out, err := ask[shape.ListUsersOutput](r, "ListUsers", &shape.ListUsersInput{
		IdentityStoreId: s.storeID, Extensions: []string{enterprise}, MaxResults: &size, NextToken: after})
	if err != nil {
		return nil, "", err
	}
	var list []object
	for i := range out.Users {
		o, err := s.userObject(r, &out.Users[i])
		if err != nil {
			return nil, "", err
		}
		list = append(list, o)
	}
	return list, out.NextToken, nil
}
