package policy

import (
	"cmp"
	"strings"
)

// A decimal is a number as text, so that comparing is exact at any size and
// costs no allocation: floating point would hold 9007199254740993 for equal to
// 9007199254740992.
type decimal struct {
	negative bool
	whole    string // without leading zeros
	fraction string // without trailing zeros
}

// parseDecimal reads an optional sign, digits, and an optional point with digits;
// no exponent, at most 64 characters.
func parseDecimal(s string) (decimal, bool) {
	if len(s) > 64 {
		return decimal{}, false
	}
	var d decimal
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		d.negative, s = true, rest
	} else {
		s = strings.TrimPrefix(s, "+")
	}
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || point && fraction == "" || !digits(whole) || !digits(fraction) {
		return decimal{}, false
	}
	d.whole = strings.TrimLeft(whole, "0")
	d.fraction = strings.TrimRight(fraction, "0")
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// compare is negative, zero or positive as d is less than, equal to or greater
// than other.
func (d decimal) compare(other decimal) int {
	if d.negative != other.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	sign := cmp.Or(
		cmp.Compare(len(d.whole), len(other.whole)),
		strings.Compare(d.whole, other.whole),
		strings.Compare(d.fraction, other.fraction),
	)
	if d.negative {
		return -sign
	}
	return sign
}
