package lake

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// compared orders two values. Text is compared with a number, a truth or a time as
// what it says, or as text if it says none; parameters of events are often text where
// they mean something else. NULL, lists and objects have no order, and lists and
// objects are equal to the text that shows them.
func compared(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case nil:
		return 0, false
	case string:
		switch b := b.(type) {
		case nil:
			return 0, false
		case string:
			return strings.Compare(a, b), true
		default:
			order, ok = compared(b, a)
			return -order, ok
		}
	case float64:
		if s, ok := b.(string); ok {
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return strings.Compare(shown(a), s), true
			}
			return cmp.Compare(a, f), true
		}
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b), true
		}
	case bool:
		if s, ok := b.(string); ok {
			return strings.Compare(shown(a), strings.ToLower(s)), true
		}
		if b, ok := b.(bool); ok {
			return strings.Compare(shown(a), shown(b)), true // false is before true, as words too
		}
	case time.Time:
		if s, ok := b.(string); ok {
			t, ok := moment(s)
			return a.Compare(t), ok
		}
		if b, ok := b.(time.Time); ok {
			return a.Compare(b), true
		}
	default:
		if s, ok := b.(string); ok {
			return strings.Compare(shown(a), s), true
		}
	}
	return 0, false
}

// stamp is how Trino and events write times; without a zone they are UTC.
var stamp = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?(?: ?UTC|Z)?)?$`)

// moment is the time that a text says.
func moment(s string) (time.Time, bool) {
	if len(s) > 40 {
		return time.Time{}, false
	}
	m := stamp.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, m[1]+"T"+cmp.Or(m[2], "00:00")+cmp.Or(m[3], ":00")+m[4]+"Z")
	return t, err == nil
}

// encoded is a value as JSON.
func encoded(v any) []byte {
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return []byte(strconv.Quote(shown(v))) // an infinite sum, a year that JSON's times do not have
	}
	return raw
}

// shown is a value as a result has it: text as it is, times as Trino writes them, lists
// and objects as JSON, NULL as nothing.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05.000")
	}
	return string(encoded(v))
}

// overhead is about what a value costs beside its text while it is kept.
const overhead = 64

// size is about what it costs to keep a value.
func size(v any) int {
	switch v := v.(type) {
	case nil, bool, float64, time.Time:
		return overhead
	case string:
		return overhead + len(v)
	}
	return overhead + 8*len(encoded(v)) // a map of JSON is much larger than its text
}
