package wire

import (
	"testing"

	"bawn.dev/internal/shape"
)

// A time is within the years that can be written down again, in UTC too.
func TestTimesAtTheEdges(t *testing.T) {
	for text, taken := range map[string]bool{
		"9999-12-31T23:00:00Z": true, "9999-12-31T23:00:00-01:00": false, "9999-12-31T22:00:00-01:00": true,
		"0001-01-01T01:00:00+01:00": true, "0001-01-01T00:00:00+01:00": false, "0000-12-31T23:00:00-01:00": true,
	} {
		if got, err := parseTime(text, shape.ISO8601); (err == nil) != taken {
			t.Errorf("%s is %s: %v", text, got, err)
		}
	}
}
