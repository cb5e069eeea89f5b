package catalogue

import "strings"

// NearAction is the action, as AWS writes it, that somebody who wrote name most
// likely meant; empty if none comes near.
func (c *Catalogue) NearAction(name string) string { return near(name, c.actions) }

// NearKey is the same for condition keys. Of a key in a family it corrects the
// beginning, and for one of an identity provider it knows nothing.
func (c *Catalogue) NearKey(key string) string {
	if beginning, rest, ok := strings.Cut(key, "/"); ok && rest != "" && !strings.Contains(beginning, ".") {
		for _, f := range c.families {
			if distance(strings.ToLower(beginning)+"/", f.folded) <= 2 {
				return f.written + rest
			}
		}
	}
	return near(key, c.keys)
}

// near is the value of the key that differs least from name, by two letters at
// most, or one in short names.
func near(name string, from map[string]string) (best string) {
	name = strings.ToLower(name)
	if len(name) > longest {
		return ""
	}
	least := 1 + min(2, len(name)/5)
	for known, canonical := range from {
		if len(known)-len(name) > least || len(name)-len(known) > least {
			continue
		}
		if d := distance(name, known); d < least || d == least && best != "" && canonical < best {
			least, best = d, canonical
		}
	}
	return best
}

// distance is how many letters must be put in, left out, replaced or swapped with
// their neighbours to make b of a.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
