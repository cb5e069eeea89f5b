package ec2

import (
	"encoding/base64"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// filters are what a kind of resource can be filtered by: what a resource has
// under each name. Tags are common to all.
type filters[T object] map[string]func(*network, T) []string

// A listing is how a kind of resource is found, filtered and shown.
type listing[T object, Out any] struct {
	items   func(*network) []T
	filters filters[T]
	show    func(*network, T) Out
}

// An ask is what every Describe operation takes.
type ask struct {
	ids     []string
	filters []ec2.Filter
	max     *int32
	token   string
}

// Limits of a listing.
const (
	maxPage         = 1000
	maxFilters      = 50
	maxFilterValues = 200
)

// list answers the resources of the caller's account that an ask means, in the
// order of their ids, and where the next page begins.
func list[T object, Out any](s *Service, c *api.Call, l listing[T, Out], a ask) ([]Out, string, error) {
	networks, err := s.ofAccount(c.Snapshot, c.Account)
	if err != nil {
		return nil, "", err
	}
	var all []entry[T]
	for _, n := range networks {
		for _, it := range l.items(n) {
			all = append(all, entry[T]{n, it})
		}
	}
	return page(all, l.filters, l.show, a)
}

// A regional is a listing of what belongs to no VPC.
type regional[T object, Out any] struct {
	items   func(q store.Querier, account string) ([]T, error)
	filters map[string]func(T) []string
	show    func(T) Out
}

// listRegional is list for what belongs to no VPC.
func listRegional[T object, Out any](c *api.Call, l regional[T, Out], a ask) ([]Out, string, error) {
	items, err := l.items(c.Snapshot, c.Account)
	if err != nil {
		return nil, "", err
	}
	var all []entry[T]
	for _, it := range items {
		all = append(all, entry[T]{it: it})
	}
	known := filters[T]{}
	for name, of := range l.filters {
		known[name] = func(_ *network, it T) []string { return of(it) }
	}
	return page(all, known, func(_ *network, it T) Out { return l.show(it) }, a)
}

// ofKind reads the resources of one kind that an account has.
func ofKind[T object](q store.Querier, account string) ([]T, error) {
	var none T
	found, err := objects(q, "account = ? AND kind = ?", account, none.kind().name)
	var all []T
	for _, o := range found {
		all = append(all, o.(T)) // by its id it is of the kind
	}
	return all, err
}

// An entry is a resource that may be answered, with the VPC that it is in.
type entry[T object] struct {
	n  *network
	it T
}

// page answers what an ask means of all that there is. That an id names nothing is
// an error.
func page[T object, Out any](there []entry[T], known filters[T], show func(*network, T) Out, a ask) ([]Out, string, error) {
	after, err := base64.RawURLEncoding.DecodeString(a.token)
	if err != nil || len(a.token) > 128 {
		return nil, "", fail("InvalidNextToken", "The token '%.64s' is invalid.", a.token)
	}
	if err := checkFilters(known, a.filters); err != nil {
		return nil, "", err
	}
	var all []entry[T]
	wanted := map[string]bool{}
	for _, id := range a.ids {
		wanted[id] = true
	}
	for _, e := range there {
		id := e.it.head().ID
		if len(a.ids) > 0 && !wanted[id] {
			continue
		}
		delete(wanted, id)
		if matches(e.n, e.it, known, a.filters) {
			all = append(all, e)
		}
	}
	var none T
	for _, id := range a.ids {
		if wanted[id] && !none.kind().names(id) {
			return nil, "", none.kind().malformed(id)
		}
		if wanted[id] {
			return nil, "", none.kind().missing(id)
		}
	}
	slices.SortFunc(all, func(a, b entry[T]) int { return strings.Compare(a.it.head().ID, b.it.head().ID) })
	limit := maxPage
	if a.max != nil {
		if *a.max < 1 {
			return nil, "", invalidValue(*a.max, "maxResults", "It must be at least 1.")
		}
		limit = min(limit, int(*a.max))
	}
	var out []Out
	last := ""
	for _, e := range all {
		if e.it.head().ID <= string(after) {
			continue
		}
		if len(out) == limit {
			return out, base64.RawURLEncoding.EncodeToString([]byte(last)), nil
		}
		out, last = append(out, show(e.n, e.it)), e.it.head().ID
	}
	return out, "", nil
}

func checkFilters[T object](known filters[T], asked []ec2.Filter) error {
	if len(asked) > maxFilters {
		return fail("FilterLimitExceeded", "A request has at most %d filters.", maxFilters)
	}
	for _, f := range asked {
		if known[f.Name] == nil && f.Name != "tag-key" && (!strings.HasPrefix(f.Name, "tag:") || f.Name == "tag:") {
			return fail("InvalidParameterValue", "The filter '%.64s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return fail("InvalidParameterValue", "The filter '%.64s' has no value", f.Name)
		}
		if len(f.Values) > maxFilterValues {
			return fail("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
	}
	return nil
}

// matches says whether every filter has a value that the resource has.
func matches[T object](n *network, it T, known filters[T], asked []ec2.Filter) bool {
	for _, f := range asked {
		var has []string
		switch name, isTag := strings.CutPrefix(f.Name, "tag:"); {
		case isTag:
			if value, ok := it.head().Tags[name]; ok {
				has = []string{value}
			}
		case f.Name == "tag-key":
			for name := range it.head().Tags {
				has = append(has, name)
			}
		default:
			has = known[f.Name](n, it)
		}
		if !slices.ContainsFunc(f.Values, func(pattern string) bool {
			return slices.ContainsFunc(has, func(v string) bool { return like(pattern, v) })
		}) {
			return false
		}
	}
	return true
}

// like matches a filter's value: '*' stands for any text, '?' for one character,
// and a backslash takes that meaning from the next one. It takes at most
// len(pattern) × len(text) steps.
func like(pattern, text string) bool {
	p, t := 0, 0
	star, mark := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
			continue
		case p < len(pattern) && pattern[p] == '?':
			p, t = p+1, t+1
			continue
		case p+1 < len(pattern) && pattern[p] == '\\':
			if pattern[p+1] == text[t] {
				p, t = p+2, t+1
				continue
			}
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, t = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}
