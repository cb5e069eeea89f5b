package trail

import (
	"slices"
	"strings"
)

// A term is what a record is looked up by: a letter for the kind, and the value.
// Every record has the empty term.
const (
	byEvent        = "i:"
	byResource     = "r:"
	byResourceType = "t:"
	byKey          = "k:"
	byPerson       = "p:"
	byUsername     = "u:"
	byName         = "n:"
	bySource       = "s:"
	byError        = "e:"
	byReadOnly     = "o:"
)

// terms lists a stored record's terms. One that does not decode, which Append
// never wrote, still has the empty one: it is sealed and seen.
func (r row) terms() []string {
	record, err := UnmarshalEvent(r.event)
	if err != nil {
		return []string{""}
	}
	return record.terms()
}

func (r *Record) terms() []string {
	terms := []string{"", byReadOnly + yesNo(r.ReadOnly)}
	add := func(kind, value string) {
		if value != "" {
			terms = append(terms, kind+value)
		}
	}
	add(byEvent, r.EventID)
	add(byName, r.EventName)
	add(bySource, r.EventSource)
	add(byUsername, r.Username())
	add(byKey, r.UserIdentity.AccessKeyID)
	if p := r.UserIdentity.OnBehalfOf; p != nil {
		add(byPerson, p.UserID)
	}
	if r.ErrorCode != "" {
		terms = append(terms, byError)
	}
	for _, x := range r.Resources {
		add(byResourceType, x.Type)
		add(byResource, x.ARN)
		add(byResource, shortName(x.ARN))
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// shortName is a resource's name within its ARN: people look for "my-bucket".
func shortName(arn string) string {
	return arn[strings.LastIndexAny(arn, ":/")+1:]
}

func yesNo(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// terms lists what a query demands, the most selective first.
func (q Query) terms() []string {
	var terms []string
	add := func(kind, value string) {
		if value != "" {
			terms = append(terms, kind+value)
		}
	}
	add(byEvent, q.EventID)
	add(byResource, q.ResourceName)
	add(byKey, q.AccessKeyID)
	add(byPerson, q.Person)
	add(byUsername, q.Username)
	if q.ErrorsOnly {
		terms = append(terms, byError)
	}
	add(byName, q.EventName)
	add(byResourceType, q.ResourceType)
	add(bySource, q.EventSource)
	if q.ReadOnly != nil {
		add(byReadOnly, yesNo(*q.ReadOnly))
	}
	return append(terms, "")
}
