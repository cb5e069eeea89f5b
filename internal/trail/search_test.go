package trail_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

// Pages of a search over accounts and alternatives are together what a look at every
// record finds: each once, newest first, whatever their size.
func TestSearchFindsEachRecordOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		tr := newTrail(t, s, newSigner(t))
		draw := rand.New(rand.NewPCG(1, 2))
		var all []*trail.Record
		for i := range 600 {
			r := minute(draw.IntN(200)) // many at the same time
			r.Account = []string{"111111111111", "222222222222", "333333333333"}[draw.IntN(3)]
			r.RequestID = fmt.Sprint(i)
			r.UserIdentity.AccessKeyID = []string{"AKIA1", "AKIA2", ""}[draw.IntN(3)]
			if draw.IntN(3) == 0 {
				r.UserIdentity.InScopeOf = &trail.InScopeOf{IssuerType: "AWS::SageMaker::TrainingJob", CredentialsIssuedTo: "arn:aws:sagemaker:us-east-1:1:training-job/j"}
			}
			all = append(all, r)
			add(t, s, tr, r)
		}
		var queries []trail.Query
		window := trail.Query{Start: noon.Add(10 * time.Minute), End: noon.Add(150 * time.Minute)}
		for _, account := range []string{"111111111111", "333333333333"} {
			for _, change := range []func(*trail.Query){
				func(q *trail.Query) { q.AccessKeyID = "AKIA1" }, func(q *trail.Query) { q.Scope = "j" }, func(q *trail.Query) { q.Username = "bob" },
			} {
				q := window
				q.Account = account
				change(&q)
				queries = append(queries, q)
			}
		}
		odd := func(r *trail.Record) bool { return !r.ReadOnly }
		var want []string
		for _, r := range all {
			if odd(r) && slices.ContainsFunc(queries, func(q trail.Query) bool { return q.Matches(r) }) {
				want = append(want, r.RequestID)
			}
		}
		slices.Sort(want)
		if len(want) < 50 {
			t.Fatalf("only %d records are to be found", len(want))
		}
		for _, limit := range []int{1, 7, 50, 1000} {
			var got []string
			var newest time.Time
			for after := ""; ; {
				found, err := tr.Search(t.Context(), trail.Search{Queries: queries, Only: odd, Limit: limit, After: after})
				must(t, err)
				if len(found.Entries) > limit {
					t.Errorf("%d of %d", len(found.Entries), limit)
				}
				for _, e := range found.Entries {
					if !newest.IsZero() && e.Record.EventTime.After(newest) {
						t.Errorf("%s is newer than what came before", e.Record.RequestID)
					}
					newest = e.Record.EventTime
					got = append(got, e.Record.RequestID)
				}
				if after = found.Next; after == "" {
					break
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("by %d: %d records, not %d", limit, len(got), len(want))
			}
		}
		accounts, err := tr.Accounts(t.Context())
		must(t, err)
		if !slices.Equal(accounts, []string{"111111111111", "222222222222", "333333333333"}) {
			t.Errorf("accounts: %v", accounts)
		}
		for _, bad := range []trail.Search{{Limit: 0}, {Limit: 1001}, {Limit: 1, Queries: []trail.Query{{}}}, {Limit: 1, After: "1.2x"}, {Limit: 1, After: "x"}} {
			if _, err := tr.Search(t.Context(), bad); err == nil {
				t.Errorf("%+v is answered", bad)
			}
		}
	})
}
