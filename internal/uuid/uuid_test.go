package uuid

import (
	"regexp"
	"testing"
	"time"
)

func TestForm(t *testing.T) {
	for version, id := range map[string]string{"4": New(), "7": At(time.Now()), "8": Of("text")} {
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-` + version + `[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
			t.Errorf("version %s: %s", version, id)
		}
	}
	if New() == New() || Of("a") == Of("b") || Of("a") != Of("a") {
		t.Error("random ones repeat, or those of a text do not")
	}
	now := time.Now()
	if first, later := At(now), At(now.Add(time.Millisecond)); first >= later {
		t.Errorf("%s does not sort before %s", first, later)
	}
}
