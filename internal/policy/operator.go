package policy

import (
	"fmt"
	"strings"
)

// family is what an operator compares.
type family uint8

const (
	exactStrings family = iota + 1
	foldedStrings
	likeStrings
	numbers
	dates
	bools
	binaries
	addresses
	arns
	null
)

// order is which outcomes of a comparison satisfy an operator.
type order uint8

const (
	equal order = 1 << iota
	less
	greater
)

// quantifier is the set operator before an operator's name.
type quantifier uint8

const (
	single quantifier = iota
	forAll
	forAny
)

// An operator is a condition operator, taken apart.
type operator struct {
	quantifier quantifier
	family     family
	order      order // numbers and dates
	negated    bool
	ifExists   bool
}

// parseOperator reads a name such as ForAnyValue:StringNotLikeIfExists. The
// second result says what is wrong, and is empty where nothing is.
func parseOperator(name string) (op operator, problem string) {
	base, ok := strings.CutPrefix(name, "ForAllValues:")
	if ok {
		op.quantifier = forAll
	} else if base, ok = strings.CutPrefix(name, "ForAnyValue:"); ok {
		op.quantifier = forAny
	}
	base, op.ifExists = strings.CutSuffix(base, "IfExists")
	op.family, op.order, op.negated = operatorNamed(base)
	switch {
	case op.family == 0:
		return op, fmt.Sprintf("%q is no condition operator%s", name, similarOperator(base))
	case op.family == null && (op.ifExists || op.quantifier != single):
		return op, fmt.Sprintf("%q: Null takes neither IfExists nor a set operator, for it asks whether the key exists", name)
	}
	return op, ""
}

func operatorNamed(s string) (f family, o order, negated bool) {
	switch s {
	case "StringEquals":
		return exactStrings, equal, false
	case "StringNotEquals":
		return exactStrings, equal, true
	case "StringEqualsIgnoreCase":
		return foldedStrings, equal, false
	case "StringNotEqualsIgnoreCase":
		return foldedStrings, equal, true
	case "StringLike":
		return likeStrings, equal, false
	case "StringNotLike":
		return likeStrings, equal, true
	case "Bool":
		return bools, equal, false
	case "BinaryEquals":
		return binaries, equal, false
	case "IpAddress":
		return addresses, equal, false
	case "NotIpAddress":
		return addresses, equal, true
	case "ArnEquals", "ArnLike":
		return arns, equal, false
	case "ArnNotEquals", "ArnNotLike":
		return arns, equal, true
	case "Null":
		return null, equal, false
	}
	if rest, ok := strings.CutPrefix(s, "Numeric"); ok {
		f, s = numbers, rest
	} else if rest, ok := strings.CutPrefix(s, "Date"); ok {
		f, s = dates, rest
	}
	if f != 0 {
		switch s {
		case "Equals":
			return f, equal, false
		case "NotEquals":
			return f, equal, true
		case "LessThan":
			return f, less, false
		case "LessThanEquals":
			return f, less | equal, false
		case "GreaterThan":
			return f, greater, false
		case "GreaterThanEquals":
			return f, greater | equal, false
		}
	}
	return 0, 0, false
}

// similarOperator helps with names that differ in case only.
func similarOperator(base string) string {
	for _, known := range []string{
		"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
		"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null",
	} {
		if strings.EqualFold(known, base) {
			return fmt.Sprintf("; write %q", known)
		}
	}
	return "; the operators are those of AWS's condition operators page, in that case"
}
