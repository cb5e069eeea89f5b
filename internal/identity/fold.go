package identity

import (
	"strings"
	"unicode"
)

// Fold is the form in which names and addresses are compared: in lower case, but
// for the few letters beyond ASCII whose lower case is an ASCII letter. Those stay,
// or an issuer where strangers choose their names could be brought to speak for
// "kim" by one who signed up with a Kelvin sign for the k.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if low := unicode.ToLower(r); r <= unicode.MaxASCII || low > unicode.MaxASCII {
			return low
		}
		return r
	}, s)
}
