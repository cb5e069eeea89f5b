package trail

import (
	"encoding/binary"
	"hash/maphash"
	"strings"
	"testing"
)

// A copy that does not seal, and calls whose changes never commit, keep so much of
// records about many things with long names and no more.
func TestRecentIsBounded(t *testing.T) {
	c := recent{seed: maphash.MakeSeed()}
	long := strings.Repeat("a", 2000)
	stored := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for i := range 3 * maxRecent {
		terms := []string{"", byEvent + "x"}
		for range i % 64 {
			terms = append(terms, long)
		}
		c.put(appended{stored: stored(i), terms: terms})
		if i%3 == 0 {
			c.take(stored(i))
		}
		if i%5 == 0 {
			c.put(appended{stored: stored(i), terms: terms})
		}
	}
	sum := 0
	for _, a := range c.all {
		sum += a.size()
	}
	if sum != c.held || sum > maxRecentBytes+1<<20 || len(c.all) > maxRecent {
		t.Errorf("%d records of %d bytes are kept, %d are counted", len(c.all), sum, c.held)
	}
	last := 3*maxRecent - 1
	if a := c.take(stored(last)); len(a.terms) != 2+last%64 {
		t.Errorf("of the last one %d terms", len(a.terms))
	}
}
