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
	if one, other := New(), New(); one == other {
		t.Error("random ones repeat")
	}
	if first, again := Of("a"), Of("a"); first != again || first == Of("b") {
		t.Error("a text does not always give the same, or two give one")
	}
	now := time.Now()
	if first, later := At(now), At(now.Add(time.Millisecond)); first >= later {
		t.Errorf("%s does not sort before %s", first, later)
	}
}
