package sts

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/sts"
)

const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256
)

// tag puts together the session's tags: those that are asked for, and those that
// the caller's session hands on.
func (g *grant) tag(caller api.Claim, asked []shape.Tag, transitiveKeys []string) error {
	all, folded := map[string]string{}, map[string]string{}
	transitive := slices.Clone(caller.TransitiveTags)
	for _, name := range caller.TransitiveTags {
		all[name], folded[strings.ToLower(name)] = caller.Tags[name], "inherited"
	}
	for _, t := range asked {
		switch f := strings.ToLower(t.Key); {
		case !tagText(t.Key, maxTagKey) || t.Key == "" || !tagText(t.Value, maxTagValue): // a provider's are not checked by the wire
			return invalid("A tag's key has 1 to %d letters, digits, spaces or any of _.:/=+-@, its value up to %d.", maxTagKey, maxTagValue)
		case strings.HasPrefix(f, "aws:"):
			return invalid("Tag keys may not begin with aws:, which is reserved.")
		case folded[f] == "inherited":
			return fail("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		case folded[f] != "":
			return fail("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		default:
			all[t.Key], folded[f] = t.Value, "requested"
		}
	}
	if len(all) > maxTags {
		return invalid("A session may have %d tags.", maxTags)
	}
	for _, name := range transitiveKeys {
		if _, ok := all[name]; !ok {
			return fail("InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.Contains(transitive, name) {
			transitive = append(transitive, name)
		}
	}
	if len(all) == 0 {
		return nil
	}
	g.claim.Tags, g.claim.TransitiveTags = all, transitive
	var names []string
	for name, value := range all {
		g.keys.Set("aws:RequestTag/"+name, value)
		names = append(names, name)
	}
	slices.Sort(names)
	g.keys.Set("aws:TagKeys", names...)
	g.keys.Set("sts:TransitiveTagKeys", transitive...)
	g.actions = append(g.actions, "sts:TagSession")
	return nil
}

func tagText(s string, limit int) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return utf8.RuneCountInString(s) <= limit
}

// nameText says whether a session, or a source identity, may be called s.
func nameText(s string) bool {
	for _, c := range []byte(s) {
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("_+=,.@-", c) >= 0) {
			return false
		}
	}
	return 2 <= len(s) && len(s) <= 64
}
