package policy

import (
	"encoding/base64"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// tri is a truth value: a missing variable makes some answers unknown.
type tri int

const (
	no tri = iota
	maybe
	yes
)

func truth(b bool) tri {
	if b {
		return yes
	}
	return no
}

// settle makes a truth value of three one of two: in doubt an Allow fails, and a
// Deny takes it for no match.
func settle(is tri, negated, deny bool) bool {
	if is == maybe {
		return deny && negated
	}
	return (is == yes) != negated
}

var variable = regexp.MustCompile(`\$\{([^},]*)(?:, *'([^']*)')?\}`)

// filled replaces variables by marks, and returns what the marks stand for: a
// regular expression each. Unknown says that one has no value.
func (n naive) filled(s, version string) (marked string, stand []string, unknown bool, keys []string) {
	if version != Version2012 || !strings.Contains(s, "${") {
		return s, nil, false, nil
	}
	marked = variable.ReplaceAllStringFunc(s, func(v string) string {
		m := variable.FindStringSubmatch(v)
		with, kind := "", ""
		switch have, _ := n.Context.Get(m[1]); {
		case m[1] == "*" || m[1] == "?" || m[1] == "$":
			with, kind = regexp.QuoteMeta(m[1]), "is "+v
		case len(have) == 1 && utf8.ValidString(have[0]):
			with, kind = regexp.QuoteMeta(have[0]), "has a value"
		case len(have) == 0 && strings.Contains(v, "'"):
			with, kind = regexp.QuoteMeta(m[2]), "has a default"
		default:
			with, kind, unknown = ".*", "has no value", true
		}
		if len(m[1]) > 1 {
			keys = append(keys, m[1])
		}
		n.seen.count("a variable", kind)
		stand = append(stand, with)
		return string(rune(0xE000 + len(stand) - 1))
	})
	return marked, stand, unknown, keys
}

func (n naive) unmark(expression string, stand []string) *regexp.Regexp {
	for i, s := range stand {
		expression = strings.ReplaceAll(expression, string(rune(0xE000+i)), s)
	}
	return n.compile(expression)
}

func (n naive) name(pattern, version, have string) (tri, []string) {
	if pattern == "*" {
		return yes, nil
	}
	marked, stand, unknown, keys := n.filled(pattern, version)
	want, got := strings.SplitN(marked, ":", 6), strings.SplitN(have, ":", 6)
	if len(got) != 6 {
		return no, keys
	}
	for i := range want {
		if !n.unmark(globbed(want[i]), stand).MatchString(got[i]) {
			return no, keys
		}
	}
	if unknown {
		return maybe, keys
	}
	return yes, keys
}

func (n naive) exist(keys ...string) bool {
	for _, k := range keys {
		if n.Catalogue != nil && !n.Catalogue.KnownKey(strings.ToLower(k)) {
			return false
		}
	}
	return true
}

func (n naive) conditions(s map[string]any, version string, deny bool) bool {
	block, _ := s["Condition"].(map[string]any)
	all := true
	for op, keys := range block {
		for key, values := range keys.(map[string]any) {
			met := n.condition(op, key, oneOrMany(values), version, deny)
			n.seen.count(op, either(deny, "in a Deny", "in an Allow"), either(met, "met", "unmet"))
			all = all && met
		}
	}
	return all
}

func (n naive) condition(op, key string, want []string, version string, deny bool) bool {
	if !n.exist(key) {
		n.seen.count("a key that does not exist", either(deny, "in a Deny", "in an Allow"))
		return deny
	}
	have, present := n.Context.Get(key)
	if op == "Null" {
		return slices.Contains(want, strconv.FormatBool(!present))
	}
	textual := strings.Contains(op, "String") || strings.Contains(op, "Arn")
	for _, w := range want {
		if _, _, _, keys := n.filled(w, version); textual && !n.exist(keys...) {
			return deny
		}
	}
	set, base, qualified := strings.Cut(op, ":")
	if !qualified {
		set, base = "", op
	}
	base, optional := strings.CutSuffix(base, "IfExists")
	negated := strings.Contains(base, "Not")
	if !present {
		n.seen.count(op, "without the key")
		return optional || set == "ForAllValues" || set == "" && negated
	}
	count := 0
	for _, h := range have {
		best := no
		for _, w := range want {
			best = max(best, n.compare(strings.Replace(base, "Not", "", 1), h, w, version))
		}
		if best == maybe {
			n.seen.count("a comparison that cannot be told", either(deny, "in a Deny", "in an Allow"))
		}
		if settle(best, negated, deny) {
			count++
		}
	}
	if set == "ForAnyValue" || set == "" && deny {
		return count > 0
	}
	return count == len(have)
}

var naiveNumber = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)

// naiveDate takes seconds since 1970, and what the W3C's note on dates has from
// the day on.
func naiveDate(s string) (t time.Time, ok bool) {
	if regexp.MustCompile(`^([0-9]{1,3}|[0-9]{5,12})$`).MatchString(s) {
		sec, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(sec, 0), err == nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return t, false
}

func (n naive) compare(op, have, want, version string) tri {
	switch op {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike":
		marked, stand, unknown, _ := n.filled(want, version)
		expression := "(?s)^" + regexp.QuoteMeta(marked) + "$"
		if op == "StringLike" {
			expression = globbed(marked)
		}
		if op == "StringEqualsIgnoreCase" {
			expression = "(?i)" + expression
			if unknown {
				return maybe
			}
		}
		is := n.unmark(expression, stand).MatchString(have)
		if is && unknown {
			return maybe
		}
		return truth(is)
	case "ArnEquals", "ArnLike":
		if want != "*" && strings.Count(have, ":") < 5 {
			return maybe
		}
		is, _ := n.name(want, version, have)
		return is
	case "Bool":
		if !strings.EqualFold(have, "true") && !strings.EqualFold(have, "false") {
			return maybe
		}
		return truth(strings.EqualFold(have, want))
	case "BinaryEquals":
		return truth(base64.StdEncoding.EncodeToString([]byte(have)) == want)
	case "IpAddress":
		ip := net.ParseIP(strings.Split(have, "%")[0])
		if ip == nil {
			return maybe
		}
		if !strings.Contains(want, "/") {
			return truth(ip.Equal(net.ParseIP(want)))
		}
		_, block, _ := net.ParseCIDR(want)
		return truth(block.Contains(ip))
	}
	var sign int
	if rest, ok := strings.CutPrefix(op, "Numeric"); ok {
		if !naiveNumber.MatchString(have) {
			return maybe
		}
		a, _ := new(big.Rat).SetString(have)
		b, _ := new(big.Rat).SetString(want)
		sign, op = a.Cmp(b), rest
	} else {
		a, ok := naiveDate(have)
		if !ok {
			return maybe
		}
		b, _ := naiveDate(want)
		sign, op = a.Compare(b), strings.TrimPrefix(op, "Date")
	}
	switch op {
	case "Equals":
		return truth(sign == 0)
	case "LessThan":
		return truth(sign < 0)
	case "LessThanEquals":
		return truth(sign <= 0)
	case "GreaterThan":
		return truth(sign > 0)
	case "GreaterThanEquals":
		return truth(sign >= 0)
	}
	panic("no operator " + op)
}
