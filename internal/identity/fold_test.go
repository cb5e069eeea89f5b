package identity

import "testing"

// An issuer where strangers choose their names must not be brought to speak for
// another by a letter that merely has an ASCII letter for its lower case.
func TestForeignLettersDoNotPassForASCII(t *testing.T) {
	for _, stranger := range []string{"\u212aim@example.com", "k\u0130m@example.com"} {
		if Fold(stranger) == "kim@example.com" {
			t.Errorf("%q passes for kim@example.com", stranger)
		}
	}
	for _, same := range [][2]string{{"Kim@Example.COM", "kim@example.com"}, {"ÉMILE", "émile"}, {"ΣΊΣΥΦΟΣ", "σίσυφοσ"}} {
		if Fold(same[0]) != same[1] {
			t.Errorf("%q is not %q but %q", same[0], same[1], Fold(same[0]))
		}
	}
	for r := rune(0x80); r < 0x30000; r++ {
		for _, folded := range Fold(string(r)) {
			if folded < 0x80 {
				t.Errorf("%U becomes %U", r, folded)
			}
		}
	}
}
