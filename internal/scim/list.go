package scim

import (
	"slices"
	"strconv"
	"strings"
)

// maxCount bounds a page, scanPage what is read at a time when everything must be
// looked at, and maxPages how many places in lists are remembered.
const (
	defaultCount = 100
	maxCount     = 200
	scanPage     = 1000
	maxPages     = 1000
)

// A query is what a client wants of a list.
type query struct {
	filter filter // nil: all
	start  int    // from 1
	count  int
	view   view
}

// asked reads a query from the request's parameters.
func (r *request) asked(t *resourceType) (query, error) {
	values := r.URL.Query()
	number := func(name string, otherwise int) (int, error) {
		if !values.Has(name) {
			return otherwise, nil
		}
		n, err := strconv.Atoi(values.Get(name))
		if err != nil {
			return 0, badValue("%s is not a number.", name)
		}
		return n, nil
	}
	start, err := number("startIndex", 1)
	if err != nil {
		return query{}, err
	}
	count, err := number("count", defaultCount)
	if err != nil {
		return query{}, err
	}
	return newQuery(t, values.Get("filter"), start, count, names(values.Get("attributes")), names(values.Get("excludedAttributes")))
}

// search reads a query from the body of a .search.
func (r *request) search(t *resourceType) (query, error) {
	body, err := r.body()
	if err != nil {
		return query{}, err
	}
	start, count, text := 1, defaultCount, ""
	var only, without []string
	for name, v := range body {
		ok := true
		switch n, isNumber := v.(float64); strings.ToLower(name) {
		case "schemas", "sortby", "sortorder": // nothing is sorted, as is announced
		case "filter":
			text, ok = v.(string)
		case "startindex":
			start, ok = int(max(min(n, 1<<30), -1)), isNumber
		case "count":
			count, ok = int(max(min(n, 1<<30), -1)), isNumber
		case "attributes":
			only, ok = strs(v)
		case "excludedattributes":
			without, ok = strs(v)
		default:
			return query{}, badSyntax("A search has no member %q.", clip(name))
		}
		if !ok {
			return query{}, badSyntax("%s has another form.", clip(name))
		}
	}
	return newQuery(t, text, start, count, only, without)
}

func newQuery(t *resourceType, text string, start, count int, only, without []string) (query, error) {
	q := query{start: max(start, 1), count: min(max(count, 0), maxCount)}
	var err error
	if q.view, err = newView(t, only, without); err != nil || text == "" {
		return q, err
	}
	q.filter, err = parseFilter(t, text)
	return q, err
}

func names(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func strs(v any) ([]string, bool) {
	list, ok := v.([]any)
	var all []string
	for _, x := range list {
		s, isText := x.(string)
		ok = ok && isText
		all = append(all, s)
	}
	return all, ok
}

// list answers a query.
func (s *Server) list(r *request, k kind, q query) (object, error) {
	var found []object
	var total int
	var err error
	if q.filter == nil {
		found, total, err = s.all(r, k, q)
	} else if l, ok := indexed(k.resourceType, q.filter); ok {
		found, total, err = s.found(r, k, q, l)
	} else {
		found, total, err = s.scan(r, k, q)
	}
	if err != nil {
		return nil, err
	}
	resources := []any{}
	for _, o := range found {
		resources = append(resources, q.view.of(o))
	}
	return object{"schemas": []any{listURN}, "totalResults": total, "startIndex": q.start, "itemsPerPage": len(resources), "Resources": resources}, nil
}

// A pageKey is a place in the list of all resources, which the holder of a token
// has come to; its value is the token that leads on from there.
type pageKey struct {
	by, kind string
	start    int
}

// all pages through everything. The directory's own pages go on after an id, SCIM's
// begin at a number: who reads on from where a page ended is led there at once, who
// jumps is walked.
func (s *Server) all(r *request, k kind, q query) ([]object, int, error) {
	sn, err := s.Store.Snapshot(r.ctx)
	if err != nil {
		return nil, 0, err
	}
	people, teams, err := s.Directory.Count(sn)
	sn.Close()
	total := people
	if k.resourceType == groups {
		total = teams
	}
	if err != nil || q.count == 0 || q.start > total {
		return nil, total, err
	}
	after, known := s.pages.Get(pageKey{r.by, k.name, q.start}, 0)
	for at := 1; !known && at < q.start; {
		n := min(scanPage, q.start-at)
		list, next, err := k.page(r, after, n, view{narrowed: true})
		if err != nil || next == "" {
			return nil, total, err
		}
		after, at = next, at+len(list)
	}
	list, next, err := k.page(r, after, q.count, q.view)
	if next != "" {
		key := pageKey{r.by, k.name, q.start + len(list)}
		s.pages.Put(key, 1, "") // an older place is forgotten
		s.pages.Put(key, 0, next)
	}
	return list, total, err
}

// found answers a filter of which the directory knows who can meet it.
func (s *Server) found(r *request, k kind, q query, l lookup) ([]object, int, error) {
	ids, err := k.found(r, l)
	if missing(err) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	hint, err := members(q.filter)
	if err != nil && k.resourceType == groups {
		return nil, 0, err
	}
	var pick picker
	for _, id := range ids {
		if !idForm.MatchString(id) {
			continue
		}
		o, err := k.get(r, id, q.view)
		if asFault(err) != nil && asFault(err).status == 404 {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if err := s.pick(r, &pick, k, q, o, hint); err != nil {
			return nil, 0, err
		}
	}
	return pick.list, pick.total, nil
}

// scan looks at everything.
func (s *Server) scan(r *request, k kind, q query) ([]object, int, error) {
	hint, err := members(q.filter)
	if err != nil && k.resourceType == groups {
		return nil, 0, err
	}
	var pick picker
	for after := ""; ; {
		list, next, err := k.page(r, after, scanPage, view{without: []target{{place: place{attribute: find(groupAttributes, "members")}}}})
		if err != nil {
			return nil, 0, err
		}
		for _, o := range list {
			if err := s.pick(r, &pick, k, q, o, hint); err != nil {
				return nil, 0, err
			}
		}
		if next == "" {
			break
		}
		after = next
	}
	if k.resourceType == groups && q.view.wants("members") {
		for i, o := range pick.list {
			if pick.list[i], err = k.get(r, o["id"].(string), q.view); err != nil {
				return nil, 0, err
			}
		}
	}
	return pick.list, pick.total, nil
}

// A picker keeps the page of what meets a filter.
type picker struct {
	list  []object
	total int
	of    map[string][]string // groups of people whom the filter names
}

// pick keeps a resource if the filter holds. Of a group's members it sees those
// whom the filter names.
func (s *Server) pick(r *request, p *picker, k kind, q query, o object, named []string) error {
	seen := o
	if len(named) > 0 {
		if p.of == nil {
			p.of = map[string][]string{}
			for _, id := range named {
				teams, err := s.groupsOf(r, id)
				if err != nil {
					return err
				}
				p.of[id] = teams
			}
		}
		seen = object{}
		for name, v := range o {
			seen[name] = v
		}
		var list []any
		for id, teams := range p.of {
			if slices.Contains(teams, o["id"].(string)) {
				list = append(list, s.memberObject(r, id))
			}
		}
		seen["members"] = list
		if list == nil {
			delete(seen, "members")
		}
	}
	if !q.filter.holds(seen) {
		return nil
	}
	p.total++
	if p.total >= q.start && len(p.list) < q.count {
		p.list = append(p.list, o)
	}
	return nil
}
