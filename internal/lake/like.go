package lake

// maxSteps bounds the steps that the LIKEs of a question take on one event: patterns and
// texts that are made for it cost the product of their lengths.
const maxSteps = 5_000_000

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
