package lake

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A function computes of one event's values. None answers more than it is given: what a
// question holds is bounded by the event that it looks at.
type function struct {
	least, most int // how many values it takes
	timed       bool
	of          func(e *env, args []any) any
}

var functions = map[string]function{
	"coalesce": {1, 20, false, func(_ *env, args []any) any {
		for _, v := range args {
			if v != nil {
				return v
			}
		}
		return nil
	}},
	"element_at": {2, 2, false, func(e *env, args []any) any { return e.member(args[0], e.shown(args[1])) }},
	"greatest":   {1, 20, false, func(e *env, args []any) any { return e.extreme(args, 1) }},
	"least":      {1, 20, false, func(e *env, args []any) any { return e.extreme(args, -1) }},
	"length":     {1, 1, false, texts(func(s string, _ []any) any { return float64(utf8.RuneCountInString(s)) })},
	"lower":      {1, 1, false, texts(func(s string, _ []any) any { return strings.ToLower(s) })},
	"substr":     {2, 3, false, texts(substr)},
	"substring":  {2, 3, false, texts(substr)},
	"upper":      {1, 1, false, texts(func(s string, _ []any) any { return strings.ToUpper(s) })},

	"cardinality": {1, 1, false, func(_ *env, args []any) any {
		switch v := args[0].(type) {
		case []any:
			return float64(len(v))
		case map[string]any:
			return float64(len(v))
		}
		return nil
	}},

	"now":        {0, 0, true, func(e *env, _ []any) any { return e.now }},
	"date_add":   {3, 3, true, func(_ *env, args []any) any { return added(args) }},
	"date_trunc": {2, 2, true, func(_ *env, args []any) any { return cut(args) }},
	"from_iso8601_timestamp": {1, 1, true, func(_ *env, args []any) any {
		if t, ok := asTime(args[0]); ok {
			return t
		}
		return nil
	}},
}

// texts is a function whose first value is taken as text.
func texts(of func(s string, args []any) any) func(*env, []any) any {
	return func(e *env, args []any) any {
		if args[0] == nil {
			return nil
		}
		return of(e.shown(args[0]), args)
	}
}

// A call is a function and what it is of.
type call struct {
	name string
	f    function
	on   []node
}

func (n *call) named() string          { return n.name }
func (n *call) parts() []node          { return n.on }
func (n *call) with(parts []node) node { return &call{n.name, n.f, parts} }

func (n *call) value(e *env) any {
	args := make([]any, len(n.on))
	for i, x := range n.on {
		args[i] = x.value(e)
	}
	return n.f.of(e, args)
}

// extreme is the greatest or the least of values; NULL if one is, or has no order.
func (e *env) extreme(args []any, sign int) any {
	best := args[0]
	for _, v := range args {
		order, ok := e.compared(v, best)
		if !ok {
			return nil
		}
		if order*sign > 0 {
			best = v
		}
	}
	return best
}

// substr counts from 1, or from the end if it is less than 0.
func substr(s string, args []any) any {
	from, ok := whole(args[1])
	if !ok {
		return nil
	}
	runes := []rune(s)
	if from < 0 {
		from += len(runes) + 1
	}
	long := len(runes)
	if len(args) == 3 {
		if long, ok = whole(args[2]); !ok {
			return nil
		}
	}
	if from < 1 || from > len(runes) || long < 1 {
		return ""
	}
	begin := from - 1
	return string(runes[begin : begin+min(long, len(runes)-begin)])
}

// most is the greatest whole number that questions compute with.
const most = math.MaxInt32

func whole(v any) (int, bool) {
	f, ok := v.(float64)
	if s, text := v.(string); text {
		n, err := strconv.Atoi(s)
		f, ok = float64(n), err == nil
	}
	if !ok || math.Abs(f) > most || f != math.Trunc(f) {
		return 0, false
	}
	return int(f), true
}

func asTime(v any) (time.Time, bool) {
	if t, ok := v.(time.Time); ok {
		return t, true
	}
	s, ok := v.(string)
	if !ok {
		return time.Time{}, false
	}
	return moment(s)
}

// years bounds what is added to a time: a Duration has 292.
const years = 100

func added(args []any) any {
	n, ok := whole(args[1])
	t, also := asTime(args[2])
	if !ok || !also {
		return nil
	}
	limit := func(perYear int) bool { return n >= -years*perYear && n <= years*perYear }
	switch unit := strings.ToLower(shown(args[0])); {
	case unit == "second":
		return t.Add(time.Duration(n) * time.Second)
	case unit == "minute" && limit(60*24*366):
		return t.Add(time.Duration(n) * time.Minute)
	case unit == "hour" && limit(24*366):
		return t.Add(time.Duration(n) * time.Hour)
	case unit == "day" && limit(366):
		return t.AddDate(0, 0, n)
	case unit == "week" && limit(53):
		return t.AddDate(0, 0, 7*n)
	case unit == "month" && limit(12):
		return t.AddDate(0, n, 0)
	case unit == "year" && limit(1):
		return t.AddDate(n, 0, 0)
	}
	return nil
}

func cut(args []any) any {
	t, ok := asTime(args[1])
	if !ok {
		return nil
	}
	y, m, d := t.UTC().Date()
	switch strings.ToLower(shown(args[0])) {
	case "second":
		return t.Truncate(time.Second)
	case "minute":
		return t.Truncate(time.Minute)
	case "hour":
		return t.Truncate(time.Hour)
	case "day":
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	case "week": // from Monday
		return time.Date(y, m, d-(int(t.UTC().Weekday())+6)%7, 0, 0, 0, 0, time.UTC)
	case "month":
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	case "year":
		return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return nil
}
