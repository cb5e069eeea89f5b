package lake

// maxSteps bounds the steps that a question takes on one event. Patterns and texts that
// are made for it cost the product of their lengths, and a condition on the elements of
// a list, which may show all of the event each time, that of theirs.
const maxSteps = 5_000_000

// shown is a value as text, for a step a byte; nothing once the steps are used up.
func (e *env) shown(v any) string {
	if e.steps > maxSteps {
		return ""
	}
	s := shown(v)
	e.steps += len(s)
	return s
}

// compared is that of what an event has: lists and objects are shown to be compared.
func (e *env) compared(a, b any) (order int, ok bool) {
	e.steps++
	if _, text := b.(string); text && compound(a) {
		a = e.shown(a)
	} else if _, text := a.(string); text && compound(b) {
		b = e.shown(b)
	}
	return compared(a, b)
}

func compound(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// like matches with % for any text and _ for one character. Once the steps are used up
// nothing matches, and the question fails.
func (e *env) like(s, pattern string) bool {
	text, want := []rune(s), []rune(pattern)
	i, j, star, mark := 0, 0, -1, 0
	e.steps += len(text) + len(want)
	for i < len(text) {
		if e.steps++; e.steps > maxSteps {
			return false
		}
		switch {
		case j < len(want) && want[j] == '%':
			star, mark = j, i
			j++
		case j < len(want) && (want[j] == '_' || want[j] == text[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(want) && want[j] == '%' {
		j++
	}
	return j == len(want)
}
