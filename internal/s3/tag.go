package s3

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"bawn.dev/internal/shape/s3"
)

// check applies S3's rules for tags.
func (t tagSet) check(most int) error {
	if len(t) > most {
		return fail(400, "BadRequest", "Object tags cannot be greater than "+strconv.Itoa(most))
	}
	folded := map[string]bool{}
	for name, value := range t {
		switch {
		case name == "" || utf8.RuneCountInString(name) > maxTagKey || !taggable(name):
			return fail(400, "InvalidTag", "The TagKey you have provided is invalid")
		case strings.HasPrefix(strings.ToLower(name), "aws:"):
			return fail(400, "InvalidTag", "System tags cannot be added/updated by requester")
		case utf8.RuneCountInString(value) > maxTagValue || !taggable(value):
			return fail(400, "InvalidTag", "The TagValue you have provided is invalid")
		case folded[strings.ToLower(name)]:
			// Condition keys have no case: of two such tags a policy would see either one.
			return fail(400, "InvalidTag", "Cannot provide multiple Tags with the same key")
		}
		folded[strings.ToLower(name)] = true
	}
	return nil
}

func taggable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) && !strings.ContainsRune("+-=._:/@", r) {
			return false
		}
	}
	return true
}

// tagsOf reads tags as documents carry them.
func tagsOf(list []s3.Tag, most int) (tagSet, error) {
	tags := tagSet{}
	for _, t := range list {
		if _, double := tags[t.Key]; double {
			return nil, fail(400, "InvalidTag", "Cannot provide multiple Tags with the same key")
		}
		tags[t.Key] = t.Value
	}
	return tags, tags.check(most)
}
