package scim

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/identitystore"
)

// idForm is how the directory writes its ids. What is of another form is not there,
// and no reason to ask.
var idForm = regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)

// A kind is what the two endpoints of resources do each in its way. All but page
// answer the whole resource; the view says what need not be looked up.
type kind struct {
	*resourceType
	create func(*request, object) (object, error)
	get    func(*request, string, view) (object, error)
	put    func(*request, string, object) (object, error)
	patch  func(*request, string, []change) (object, error)
	remove func(*request, string) error
	// found are the ids of those who can meet a look-up.
	found func(*request, lookup) ([]string, error)
	// page lists resources after a token, at most count, and the token that leads on.
	page func(r *request, after string, count int, v view) (list []object, next string, err error)
}

// route finds what a request asks for and answers it.
func (s *Server) route(w http.ResponseWriter, r *request) {
	status, o, err := s.serve(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	if o != nil && r.Method == http.MethodGet && matches(r.Header.Get("If-None-Match"), o) {
		status, o = http.StatusNotModified, nil
	}
	s.answer(w, status, o)
}

func (s *Server) serve(r *request) (int, object, error) {
	path := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, Prefix), "/"), "/")
	id := ""
	if len(path) == 2 {
		id = path[1]
	}
	if len(path) > 2 {
		return 0, nil, notFound(clip(r.URL.Path))
	}
	switch path[0] {
	case "Users":
		return s.resources(r, s.userKind(), id)
	case "Groups":
		return s.resources(r, s.groupKind(), id)
	case "Me", "Bulk":
		return 0, nil, faultf(http.StatusNotImplemented, "", "%s is not served.", path[0])
	}
	if err := allow(r, http.MethodGet); err != nil {
		return 0, nil, err
	}
	var o object
	var err error
	switch {
	case path[0] == "ServiceProviderConfig" && id == "":
		o = providerConfig(r.base)
	case path[0] == "ResourceTypes":
		o, err = discovered(resourceTypes(r.base), id)
	case path[0] == "Schemas":
		o, err = discovered(schemas(r.base), id)
	default:
		err = notFound(clip(r.URL.Path))
	}
	return http.StatusOK, o, err
}

func allow(r *request, methods ...string) error {
	if slices.Contains(methods, r.Method) {
		return nil
	}
	return faultf(http.StatusMethodNotAllowed, "", "That method is not served here.")
}

// resources serves an endpoint of resources.
func (s *Server) resources(r *request, k kind, id string) (int, object, error) {
	if id == ".search" {
		if err := allow(r, http.MethodPost); err != nil {
			return 0, nil, err
		}
		q, err := r.search(k.resourceType)
		if err != nil {
			return 0, nil, err
		}
		o, err := s.list(r, k, q)
		return http.StatusOK, o, err
	}
	if id == "" {
		return s.collection(r, k)
	}
	if !idForm.MatchString(id) {
		return 0, nil, notFound(clip(id))
	}
	return s.resource(r, k, id)
}

func (s *Server) collection(r *request, k kind) (int, object, error) {
	if err := allow(r, http.MethodGet, http.MethodPost); err != nil {
		return 0, nil, err
	}
	q, err := r.asked(k.resourceType)
	if err != nil {
		return 0, nil, err
	}
	if r.Method == http.MethodGet {
		o, err := s.list(r, k, q)
		return http.StatusOK, o, err
	}
	o, err := r.resource(k.resourceType)
	if err != nil {
		return 0, nil, err
	}
	if o, err = k.create(r, o); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, q.view.of(o), nil
}

func (s *Server) resource(r *request, k kind, id string) (int, object, error) {
	if err := allow(r, http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete); err != nil {
		return 0, nil, err
	}
	q, err := r.asked(k.resourceType)
	if err != nil {
		return 0, nil, err
	}
	if r.Method == http.MethodGet {
		o, err := k.get(r, id, q.view)
		return http.StatusOK, q.view.of(o), err
	}
	defer s.turn(id)()
	if want := r.Header.Get("If-Match"); want != "" {
		o, err := k.get(r, id, view{})
		if err != nil {
			return 0, nil, err
		}
		if !matches(want, o) {
			return 0, nil, faultf(http.StatusPreconditionFailed, "", "The resource is not what If-Match says.")
		}
	}
	var o object
	switch r.Method {
	case http.MethodDelete:
		return http.StatusNoContent, nil, k.remove(r, id)
	case http.MethodPut:
		if o, err = r.resource(k.resourceType); err == nil {
			o, err = k.put(r, id, o)
		}
	default:
		var changes []change
		if changes, err = r.changes(k.resourceType); err == nil {
			o, err = k.patch(r, id, changes)
		}
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, q.view.of(o), nil
}

// resource reads a resource from the body.
func (r *request) resource(t *resourceType) (object, error) {
	raw, err := r.body()
	if err != nil {
		return nil, err
	}
	return normal(t, raw)
}

func (r *request) changes(t *resourceType) ([]change, error) {
	raw, err := r.body()
	if err != nil {
		return nil, err
	}
	return readPatch(t, raw)
}

// matches says whether a condition names the resource as it is.
func matches(condition string, o object) bool {
	meta, _ := o["meta"].(object)
	tag, _ := meta["version"].(string)
	if condition == "" || tag == "" {
		return false
	}
	for one := range strings.SplitSeq(condition, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// ask calls an operation of the directory.
func ask[Out any](r *request, name string, in any) (*Out, error) {
	return api.Invoke[Out](r.ctx, r.call, "identitystore:"+name, in)
}

// issuer is whose names external ids are that come by SCIM.
func (s *Server) issuer() string { return "https://" + Principal + "/" + s.storeID }

// externalID is the name that the identity provider gave.
func (s *Server) externalID(ids []shape.ExternalId) string {
	for _, x := range ids {
		if x.Issuer == s.issuer() {
			return x.Id
		}
	}
	return ""
}

// externalIDs are ids with that of the identity provider exchanged; empty takes it
// away.
func (s *Server) externalIDs(ids []shape.ExternalId, id string) []shape.ExternalId {
	out := slices.DeleteFunc(slices.Clone(ids), func(x shape.ExternalId) bool { return x.Issuer == s.issuer() })
	if id != "" {
		out = append(out, shape.ExternalId{Issuer: s.issuer(), Id: id})
	}
	return out
}
