package signin

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	minPassword = 12
	maxPassword = 128
	// minOwn is what must be left of a password without what everybody guesses first,
	// and minDistinct how many different characters.
	minOwn      = 8
	minDistinct = 5
)

// commonText lists what the passwords are made of that leak most often: words, one a
// line.
//
//go:embed supplied/common.txt
var commonText string

// common has longer words first: one may hold another.
var common = slices.SortedStableFunc(strings.FieldsSeq(commonText), func(a, b string) int { return len(b) - len(a) })

// rows are neighbours on keyboards.
var rows = []string{"qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "qsdfghjklm", "zxcvbnm", "yxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn", "1q2w3e4r5t6y7u8i9o0p", "!@#$%^&*()"}

// weak says why a password is not good enough; empty if it is. own are the person's
// names and address. There are no rules of composition: long and not easily guessed
// is all that is asked.
func weak(password string, own ...string) string {
	password = norm.NFC.String(password)
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return fmt.Sprintf("A password has at least %d characters.", minPassword)
	case n > maxPassword:
		return fmt.Sprintf("A password has at most %d characters.", maxPassword)
	}
	left := plain(unrun(period(strings.ToLower(password))))
	for _, text := range own {
		for _, word := range strings.FieldsFunc(plain(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(word) >= 3 {
				left = strings.ReplaceAll(left, word, " ")
			}
		}
	}
	for _, word := range common {
		left = strings.ReplaceAll(left, word, " ")
	}
	distinct := map[rune]bool{}
	n := 0
	for _, r := range left {
		if !unicode.IsSpace(r) {
			distinct[r] = true
			n++
		}
	}
	if n < minOwn || len(distinct) < minDistinct {
		return "This password is too easily guessed: it is made of words, names, years or rows of keys that are tried first. Some unrelated words make a good one."
	}
	return ""
}

// plain undoes the usual disguises.
func plain(s string) string {
	s = strings.ToLower(norm.NFC.String(s))
	return strings.NewReplacer("@", "a", "4", "a", "0", "o", "3", "e", "$", "s", "5", "s", "!", "i", "7", "t").Replace(s)
}

// period is the shortest text of which s is a repetition.
func period(s string) string {
	if i := strings.Index((s + s)[1:], s); i >= 0 {
		return s[:i+1]
	}
	return s
}

// unrun takes out runs of one character, of characters that follow each other, and of
// neighbouring keys, four and more of them.
func unrun(s string) string {
	out, text := []rune{}, []rune(s)
	for i := 0; i < len(text); {
		n := max(steady(text[i:]), neighbours(text[i:]))
		if n < 4 {
			n = 1
			out = append(out, text[i])
		}
		i += n
	}
	return string(out)
}

// steady is how long a run of equal steps of -1, 0 or 1 text begins with.
func steady(text []rune) int {
	if len(text) < 2 {
		return len(text)
	}
	step := text[1] - text[0]
	if step < -1 || step > 1 {
		return 1
	}
	n := 2
	for n < len(text) && text[n]-text[n-1] == step {
		n++
	}
	return n
}

// neighbours is how long a piece of a keyboard's row text begins with, from either
// side.
func neighbours(text []rune) int {
	best := 0
	for _, row := range rows {
		for n := len(text); n > max(best, 3); n-- {
			if piece := string(text[:n]); strings.Contains(row, piece) || strings.Contains(reversed(row), piece) {
				best = n
				break
			}
		}
	}
	return best
}

func reversed(s string) string {
	out := []rune(s)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}
