package policy

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A boolMatcher compares Booleans.
type boolMatcher struct{ yes, no bool }

func (m *boolMatcher) add(v string) string {
	b, ok := parseBool(v)
	if !ok {
		return `is no Boolean; write "true" or "false"`
	}
	m.yes, m.no = m.yes || b, m.no || !b
	return ""
}

func (m *boolMatcher) match(_ Context, v string) (matched, known bool) {
	b, ok := parseBool(v)
	return ok && (b && m.yes || !b && m.no), ok
}

func parseBool(s string) (value, ok bool) {
	switch {
	case equalText(s, "true", true):
		return true, true
	case equalText(s, "false", true):
		return false, true
	}
	return false, false
}

// A numberMatcher compares numbers.
type numberMatcher struct {
	order  order
	values []decimal
}

func (m *numberMatcher) add(v string) string {
	d, ok := parseDecimal(v)
	if !ok {
		return "is no number; write digits with an optional sign and fraction"
	}
	m.values = append(m.values, d)
	return ""
}

func (m *numberMatcher) match(_ Context, v string) (matched, known bool) {
	d, ok := parseDecimal(v)
	if !ok {
		return false, false
	}
	for _, want := range m.values {
		if m.order.accepts(d.compare(want)) {
			return true, true
		}
	}
	return false, true
}

// accepts takes the sign of a comparison of the request's value with the
// policy's.
func (o order) accepts(sign int) bool {
	return sign == 0 && o&equal != 0 || sign < 0 && o&less != 0 || sign > 0 && o&greater != 0
}

// A dateMatcher compares points in time.
type dateMatcher struct {
	order  order
	values []time.Time
}

func (m *dateMatcher) add(v string) string {
	t, ok := parseDate(v)
	if !ok {
		return "is no date; write it as 2006-01-02T15:04:05Z, 2006-01-02, or in seconds since 1970"
	}
	m.values = append(m.values, t)
	return ""
}

func (m *dateMatcher) match(_ Context, v string) (matched, known bool) {
	t, ok := parseDate(v)
	if !ok {
		return false, false
	}
	for _, want := range m.values {
		if m.order.accepts(t.Compare(want)) {
			return true, true
		}
	}
	return false, true
}

// parseDate reads the W3C profile of ISO 8601 from the day on, and seconds since
// 1970. Four digits alone are refused: as seconds they would be the first hour of
// 1970, and their author meant a year.
func parseDate(s string) (time.Time, bool) {
	if s != "" && len(s) <= 12 && len(s) != 4 && strings.Trim(s, "0123456789") == "" {
		var sec int64
		for _, c := range []byte(s) {
			sec = sec*10 + int64(c-'0')
		}
		return time.Unix(sec, 0), true
	}
	var layout string
	switch {
	case len(s) == len(time.DateOnly):
		layout = time.DateOnly
	case len(s) > 16 && s[16] == ':':
		layout = time.RFC3339 // takes fractions too
	case len(s) > 16:
		layout = "2006-01-02T15:04Z07:00"
	default:
		return time.Time{}, false
	}
	t, err := time.Parse(layout, s)
	return t, err == nil
}

// A binaryMatcher compares bytes; policies write them in base64.
type binaryMatcher struct{ values []string }

func (m *binaryMatcher) add(v string) string {
	b, err := base64.StdEncoding.Strict().DecodeString(v)
	if err != nil || strings.ContainsAny(v, "\r\n") {
		return "is not base64"
	}
	m.values = append(m.values, string(b))
	return ""
}

func (m *binaryMatcher) match(_ Context, v string) (matched, known bool) {
	return slices.Contains(m.values, v), true
}

// An addressMatcher compares IP addresses with ranges.
type addressMatcher struct{ ranges []netip.Prefix }

func (m *addressMatcher) add(v string) string {
	p, err := netip.ParsePrefix(v)
	if a, e := netip.ParseAddr(v); e == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil || strings.Contains(v, "%"): // zones are of one machine
		return "is neither an address nor a range, such as 203.0.113.0/24 or 2001:db8::/32"
	case p.Addr().Is4In6():
		return "is an IPv4 address written as IPv6; write it as IPv4"
	}
	m.ranges = append(m.ranges, p.Masked())
	return ""
}

// match takes an IPv4 address that a dual-stack socket reports as IPv6 for what
// it is.
func (m *addressMatcher) match(_ Context, v string) (matched, known bool) {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return false, false
	}
	a = a.Unmap().WithZone("")
	for _, r := range m.ranges {
		if r.Contains(a) {
			return true, true
		}
	}
	return false, true
}
