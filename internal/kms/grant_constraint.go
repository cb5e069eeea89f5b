package kms

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/shape/kms"
)

const (
	maxConstraintPairs = 8
	maxConstraintValue = 384 // characters
)

// The kinds of constraint, as kms:GrantConstraintType has them.
const (
	equalsContext = "EncryptionContextEquals"
	subsetContext = "EncryptionContextSubset"
)

// A constraint says under which encryption contexts a grant allows. Names of pairs have
// no case, values do.
type constraint struct {
	kind  string // empty: under all
	pairs map[string]string
}

// constraintOf judges what CreateGrant asks for. A constraint without pairs is refused:
// whoever wrote it meant something.
func constraintOf(in *kms.GrantConstraints) (constraint, error) {
	var c constraint
	switch {
	case in == nil, in.EncryptionContextEquals == nil && in.EncryptionContextSubset == nil:
		return c, nil
	case in.EncryptionContextEquals != nil && in.EncryptionContextSubset != nil:
		return c, invalid("A grant has EncryptionContextEquals or EncryptionContextSubset, not both.")
	case in.EncryptionContextEquals != nil:
		c = constraint{equalsContext, in.EncryptionContextEquals}
	default:
		c = constraint{subsetContext, in.EncryptionContextSubset}
	}
	if n := len(c.pairs); n < 1 || n > maxConstraintPairs {
		return c, invalid("A grant constraint has 1 to %d encryption context pairs.", maxConstraintPairs)
	}
	size := 0
	for name, value := range c.pairs {
		if utf8.RuneCountInString(value) > maxConstraintValue {
			return c, invalid("A value of a grant constraint has at most %d characters.", maxConstraintValue)
		}
		size += len(name) + len(value)
	}
	if size > maxContext {
		return c, invalid("A grant constraint has at most %d bytes.", maxContext)
	}
	if len(foldNames(c.pairs)) < len(c.pairs) {
		return c, invalid("A grant constraint has two names that differ only in case.")
	}
	return c, nil
}

// admits says whether the constraint holds for a context, or for every context of
// another constraint: pairs, their names folded, which are exact if there can be no
// others.
func (c constraint) admits(pairs map[string]string, exact bool) bool {
	for name, value := range c.pairs {
		if has, ok := pairs[foldName(name)]; !ok || has != value {
			return false
		}
	}
	return c.kind != equalsContext || exact && len(pairs) == len(c.pairs)
}

func (c constraint) shape() *kms.GrantConstraints {
	switch c.kind {
	case equalsContext:
		return &kms.GrantConstraints{EncryptionContextEquals: c.pairs}
	case subsetContext:
		return &kms.GrantConstraints{EncryptionContextSubset: c.pairs}
	}
	return nil
}

// text is the constraint's pairs for the store.
func (c constraint) text() (string, error) {
	if c.kind == "" {
		return "", nil
	}
	text, err := json.Marshal(c.pairs, json.Deterministic(true))
	return string(text), err
}

func readConstraint(kind, text string) (constraint, error) {
	c := constraint{kind: kind}
	if kind == "" {
		return c, nil
	}
	return c, json.Unmarshal([]byte(text), &c.pairs)
}

// hint is of one pair of the constraint: only a context with that pair can meet it. The
// one with the longest value, likely an id, tells the most grants apart.
func (c constraint) hint() string {
	var name, value string
	found := false
	for n, v := range c.pairs {
		n = foldName(n)
		if !found || len(v) > len(value) || len(v) == len(value) && n < name {
			name, value, found = n, v, true
		}
	}
	if !found {
		return ""
	}
	return hintOf(name, value)
}

// hintOf is a pair in a few letters. That two pairs have the same costs time only.
func hintOf(name, value string) string {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint32(nil, uint32(len(name))), name+value...))
	return hex.EncodeToString(sum[:8])
}

// foldNames puts the names of pairs in lower case, as condition keys are folded: of
// ASCII letters only.
func foldNames(pairs map[string]string) map[string]string {
	folded := make(map[string]string, len(pairs))
	for name, value := range pairs {
		folded[foldName(name)] = value
	}
	return folded
}

func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
