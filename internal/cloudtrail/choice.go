package cloudtrail

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	shape "bawn.dev/internal/shape/cloudtrail"
)

// A choice is what a trail selects: by basic selectors or by advanced ones, and with
// the events of global services or without.
type choice struct {
	Global   bool                          `json:"global"`
	Basic    []shape.EventSelector         `json:"basic,omitempty"`
	Advanced []shape.AdvancedEventSelector `json:"advanced,omitempty"`
}

// usual is what a new trail selects: management events.
func usual(global bool) choice {
	all := true
	return choice{Global: global, Basic: []shape.EventSelector{{
		ReadWriteType: shape.ReadWriteTypeAll, IncludeManagementEvents: &all, DataResources: []shape.DataResource{}, ExcludeManagementEventSources: []string{},
	}}}
}

func (k choice) text() string {
	b, err := json.Marshal(k, json.Deterministic(true))
	if err != nil {
		panic(err) // strings and flags only
	}
	return string(b)
}

func parseChoice(text string) (choice, error) {
	var k choice
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return k, fmt.Errorf("cloudtrail: what a trail selects: %w", err)
	}
	for _, a := range k.Advanced {
		for i := range a.FieldSelectors { // what is not given is not shown
			f := &a.FieldSelectors[i]
			for _, values := range []*[]string{&f.Equals, &f.StartsWith, &f.EndsWith, &f.NotEquals, &f.NotStartsWith, &f.NotEndsWith} {
				if len(*values) == 0 {
					*values = nil
				}
			}
		}
	}
	return k, nil
}

func (k choice) custom() bool { return k.text() != usual(k.Global).text() }

// An event is what selectors see of a record.
type event struct {
	Time         string `json:"eventTime"`
	Category     string `json:"eventCategory"`
	Source       string `json:"eventSource"`
	Name         string `json:"eventName"`
	Type         string `json:"eventType"`
	ErrorCode    string `json:"errorCode"`
	EndpointID   string `json:"vpcEndpointId"`
	ReadOnly     bool   `json:"readOnly"`
	UserIdentity struct {
		Type      string `json:"type"`
		ARN       string `json:"arn"`
		InvokedBy string `json:"invokedBy"`
	} `json:"userIdentity"`
	Resources []eventResource `json:"resources"`
}

type eventResource struct {
	ARN  string `json:"ARN"`
	Type string `json:"type"`
}

// global are the services that AWS has once for all regions.
var global = []string{"iam.amazonaws.com", "sts.amazonaws.com", "organizations.amazonaws.com"}

// takes says whether a trail delivers an event.
func (k choice) takes(e *event) bool {
	if !k.Global && slices.Contains(global, e.Source) {
		return false
	}
	return slices.ContainsFunc(k.Basic, func(b shape.EventSelector) bool { return basic(b, e) }) ||
		slices.ContainsFunc(k.Advanced, func(a shape.AdvancedEventSelector) bool { return advanced(a, e) })
}

func basic(b shape.EventSelector, e *event) bool {
	switch {
	case b.ReadWriteType == shape.ReadWriteTypeReadOnly && !e.ReadOnly, b.ReadWriteType == shape.ReadWriteTypeWriteOnly && e.ReadOnly:
		return false
	case e.Category == "Management":
		return *b.IncludeManagementEvents && !slices.Contains(b.ExcludeManagementEventSources, e.Source)
	case e.Category != "Data":
		return false
	}
	for _, d := range b.DataResources {
		for _, r := range e.Resources {
			if strings.HasPrefix(r.ARN, "arn:aws:s3:::") && slices.ContainsFunc(d.Values, func(v string) bool { return strings.HasPrefix(r.ARN, v) }) {
				return true
			}
		}
	}
	return false
}

// advanced says whether each field of a selector has what is asked of it.
func advanced(a shape.AdvancedEventSelector, e *event) bool {
	for _, f := range a.FieldSelectors {
		if strings.HasPrefix(f.Field, "resources.") {
			continue
		}
		if !holds(f, fields[f.Field](e)) {
			return false
		}
	}
	return resources(a, e)
}

// resources says whether one of an event's resources has all that is asked of them.
func resources(a shape.AdvancedEventSelector, e *event) bool {
	fits := func(typ, arn string) bool {
		for _, f := range a.FieldSelectors {
			if f.Field == "resources.type" && !holds(f, typ) || f.Field == "resources.ARN" && !holds(f, arn) {
				return false
			}
		}
		return true
	}
	if len(e.Resources) == 0 {
		return fits("", "")
	}
	for _, r := range e.Resources {
		if fits(r.Type, r.ARN) {
			return true
		}
	}
	return false
}

var fields = map[string]func(*event) string{
	"eventCategory":    func(e *event) string { return e.Category },
	"eventSource":      func(e *event) string { return e.Source },
	"eventName":        func(e *event) string { return e.Name },
	"eventType":        func(e *event) string { return e.Type },
	"errorCode":        func(e *event) string { return e.ErrorCode },
	"vpcEndpointId":    func(e *event) string { return e.EndpointID },
	"readOnly":         func(e *event) string { return strconv.FormatBool(e.ReadOnly) },
	"userIdentity.arn": func(e *event) string { return e.UserIdentity.ARN },
	"resources.type":   nil,
	"resources.ARN":    nil,
}

// holds says whether a value has what a field selector asks: for each operator that
// is given, one of its values, or none of them where it negates.
func holds(f shape.AdvancedFieldSelector, value string) bool {
	equal := func(s string) bool { return value == s }
	begins := func(s string) bool { return strings.HasPrefix(value, s) }
	ends := func(s string) bool { return strings.HasSuffix(value, s) }
	for _, one := range []struct {
		values []string
		is     func(string) bool
		not    bool
	}{
		{f.Equals, equal, false}, {f.StartsWith, begins, false}, {f.EndsWith, ends, false},
		{f.NotEquals, equal, true}, {f.NotStartsWith, begins, true}, {f.NotEndsWith, ends, true},
	} {
		if len(one.values) > 0 && slices.ContainsFunc(one.values, one.is) == one.not {
			return false
		}
	}
	return true
}
