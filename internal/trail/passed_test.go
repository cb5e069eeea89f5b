package trail_test

import (
	"testing"
	"time"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// Time in which something was recorded counts as what it is, other time to a limit.
func TestPassed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		tr := newPruning(t, s, newSigner(t))
		passed := func(now, long, quiet, want int) {
			t.Helper()
			got, err := tr.Passed(t.Context(), noon.Add(time.Duration(now)*time.Minute), time.Duration(long)*time.Minute, time.Duration(quiet)*time.Minute)
			if err != nil || want < 0 != got.IsZero() || want >= 0 && !got.Equal(noon.Add(time.Duration(want)*time.Minute)) {
				t.Errorf("%d minutes before %d it is %s, %v; want minute %d", long, now, got, err, want)
			}
		}
		passed(100, 10, 1, -1) // of nothing
		for i := range 101 {
			r := minute(i)
			if i%3 == 0 {
				r.Account = "210987654321"
			}
			add(t, s, tr, r)
		}
		passed(100, 30, 5, 70)
		passed(100, 100, 5, 0)
		passed(100, 101, 5, -1)
		passed(103, 30, 5, 73)
		passed(105, 30, 5, 75)
		passed(106, 30, 5, 75)
		// A clock that jumps for years, and once more, and back.
		const years = 10 * 365 * 24 * 60
		passed(years, 30, 5, 75)
		add(t, s, tr, minute(years), minute(years+1))
		passed(years+1, 30, 5, 76)
		passed(2*years, 30, 5, 81)
		passed(2*years, 4, 5, 2*years-4)
		add(t, s, tr, minute(2*years))
		passed(101, 30, 5, 71)
	})
}
