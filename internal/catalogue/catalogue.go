// Package catalogue knows which actions and condition keys exist: the service
// authorization reference, as far as services are here or will be.
//
// It is data. What it does not know is refused: an unknown action is denied, a
// policy with an unknown condition key is not stored, and one that is met all the
// same never allows.
package catalogue

import (
	_ "embed"
	"strings"
)

//go:generate go run ./generate -source $IAM_DATA

//go:embed catalogue.txt
var text string

// A Catalogue answers policy's questions. Make one with New.
type Catalogue struct {
	actions  map[string]bool // lower case
	keys     map[string]bool
	families []string // beginnings of keys whose rest the request chooses
}

// New reads the catalogue.
func New() *Catalogue {
	c := &Catalogue{actions: map[string]bool{}, keys: map[string]bool{}}
	names, keys, _ := strings.Cut(text, "\n\n")
	for line := range strings.Lines(names) {
		prefix, list, ok := strings.Cut(line, ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for name := range strings.FieldsSeq(list) {
			c.actions[strings.ToLower(prefix+":"+name)] = true
		}
	}
	for line := range strings.Lines(keys) {
		key := strings.ToLower(strings.TrimSpace(line))
		if key == "" || strings.HasPrefix(key, "#") {
			continue
		}
		if family, _, ok := strings.Cut(key, "${"); ok {
			if family != "" {
				c.families = append(c.families, family)
			}
			continue
		}
		c.keys[key] = true
	}
	return c
}

// KnownAction says whether a lower-case "service:action" exists.
func (c *Catalogue) KnownAction(action string) bool { return c.actions[action] }

// KnownKey says whether a lower-case condition key exists, by itself or in a
// family.
func (c *Catalogue) KnownKey(key string) bool {
	if c.keys[key] {
		return true
	}
	for _, f := range c.families {
		if len(key) > len(f) && strings.HasPrefix(key, f) {
			return true
		}
	}
	return false
}
