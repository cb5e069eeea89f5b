// Package catalogue knows which actions, resource types and condition keys exist:
// the service authorization reference, as far as services are here or will be.
//
// It is data. What it does not know is refused: an unknown action is denied, a
// policy with an unknown condition key is not stored, and one that is met all the
// same never allows. An attacker can ask it for any name, and learns what AWS's
// public reference says.
package catalogue

import (
	_ "embed"
	"strings"
)

//go:generate go run ./generate -source $IAM_DATA

//go:embed catalogue.txt
var text string

// longest is more than any action's name has.
const longest = 128

// A Catalogue answers policy's questions. Make one with New.
type Catalogue struct {
	actions  map[string]string // as AWS writes them, by name in lower case
	keys     map[string]string
	families []family
	claims   map[string]bool
}

// A family is the beginning of keys whose rest the request chooses.
type family struct{ folded, written string }

// New reads the catalogue.
func New() *Catalogue {
	c := &Catalogue{actions: map[string]string{}, keys: map[string]string{}, claims: map[string]bool{}}
	names, keys, _ := strings.Cut(text, "\n\n")
	for line := range strings.Lines(names) {
		prefix, list, ok := strings.Cut(line, ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for name := range strings.FieldsSeq(list) {
			c.actions[strings.ToLower(prefix+":"+name)] = prefix + ":" + name
		}
	}
	for line := range strings.Lines(keys) {
		key := strings.TrimSpace(line)
		if key == "" || strings.HasPrefix(key, "#") {
			continue
		}
		folded := strings.ToLower(key)
		if claim, ok := strings.CutPrefix(folded, "${provider}:"); ok {
			c.claims[claim] = true
		} else if beginning, _, ok := strings.Cut(key, "${"); ok {
			c.families = append(c.families, family{strings.ToLower(beginning), beginning})
		} else {
			c.keys[folded] = key
		}
	}
	return c
}

// KnownAction says whether a "service:action" exists, in any case.
func (c *Catalogue) KnownAction(action string) bool {
	_, ok := c.action(action)
	return ok
}

// action finds an action as AWS writes it, and allocates nothing.
func (c *Catalogue) action(name string) (canonical string, ok bool) {
	var buf [longest]byte
	if len(name) > len(buf) {
		return "", false
	}
	for i := range len(name) {
		buf[i] = lower(name[i])
	}
	canonical, ok = c.actions[string(buf[:len(name)])]
	return canonical, ok
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// KnownKey says whether a lower-case condition key exists, by itself, in a
// family, or as a claim that AWS takes from identity providers.
func (c *Catalogue) KnownKey(key string) bool {
	if _, ok := c.keys[key]; ok {
		return true
	}
	for _, f := range c.families {
		if len(key) > len(f.folded) && strings.HasPrefix(key, f.folded) {
			return true
		}
	}
	return c.claims[claim(key)]
}

// claim is the name of a claim in the key of an identity provider,
// host[/path]:claim; empty if the key is of no provider. A host has a dot, a
// service's prefix has none.
func claim(key string) string {
	provider, name, _ := strings.Cut(key, ":")
	host, _, _ := strings.Cut(provider, "/")
	if dot := strings.IndexByte(host, '.'); dot <= 0 || dot == len(host)-1 {
		return ""
	}
	return name
}
