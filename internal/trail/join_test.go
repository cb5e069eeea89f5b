package trail

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// Whatever is asked for together, and however often an answer stops early, what is
// found is what a look at every record finds: once, newest first.
func TestTermsInCommon(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		tr, err := New(s, signerOf(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		const account = "123456789012"
		pick := func(draw *rand.Rand, kind string, n int) string { return fmt.Sprint(kind, draw.IntN(n)) }
		draw := rand.New(rand.NewPCG(1, 2))
		var all []*Record
		for range 12 {
			var some []*Record
			for range 200 {
				phase := len(all) / 400 % 2 // terms that rarely meet
				r := &Record{EventTime: scaleBegin.Add(time.Duration(draw.IntN(20_000)) * time.Millisecond), Account: account,
					EventSource: pick(draw, "source-", 2), EventName: fmt.Sprint("Name", phase*3+draw.IntN(3)), ReadOnly: draw.IntN(2) == 0,
					UserIdentity: UserIdentity{Type: "IAMUser", UserName: fmt.Sprint("user-", phase+draw.IntN(2)), AccessKeyID: pick(draw, "AKIA", 9)},
					Resources:    []Resource{{ARN: pick(draw, "arn:aws:s3:::bucket/", 50)}, {ARN: "arn:aws:s3:::bucket", Type: pick(draw, "AWS::Type", 2)}}}
				all, some = append(all, r), append(some, r)
			}
			if err := tr.Write(t.Context(), some...); err != nil {
				t.Fatal(err)
			}
			if err := tr.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		n, err := s.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		for range 120 {
			q := Query{Account: account}
			for _, set := range []func(){
				func() { q.EventSource = pick(draw, "source-", 2) }, func() { q.EventName = fmt.Sprint("Name", draw.IntN(7)) },
				func() { q.Username = pick(draw, "user-", 3) }, func() { q.AccessKeyID = pick(draw, "AKIA", 10) },
				func() { q.ResourceName = "arn:aws:s3:::bucket" }, func() { q.ResourceName = pick(draw, "arn:aws:s3:::bucket/", 50) },
				func() { q.Start = scaleBegin.Add(time.Duration(draw.IntN(15)) * time.Second) },
				func() { q.End = scaleBegin.Add(time.Duration(5+draw.IntN(15)) * time.Second) },
				func() { yes := draw.IntN(2) == 0; q.ReadOnly = &yes }, func() { q.ResourceType = pick(draw, "AWS::Type", 3) },
			} {
				if draw.IntN(3) == 0 {
					set()
				}
			}
			want := map[string]bool{}
			for _, r := range all {
				if q.Matches(r) {
					want[r.EventID] = true
				}
			}
			q.Limit = 1 + draw.IntN(MaxLimit)
			var got []Entry
			for at := beyond; ; {
				page, next, _, err := q.page(n, at)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page...)
				if next == nil {
					break
				}
				at = *next
			}
			for i, e := range got {
				if !want[e.Record.EventID] || i > 0 && got[i-1].at.compare(e.at) <= 0 {
					t.Fatalf("%+v finds %s, number %d", q, e.Record.EventID, i)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%+v finds %d of %d", q, len(got), len(want))
			}
			if q.ReadOnly != nil || q.ResourceType != "" {
				continue // which the index does not have
			}
			// In many short steps, each begun anew, as pages are.
			var places []place
			for at, more := beyond, true; more; {
				j := q.joined(n, at)
				var some []place
				if some, more, err = j.next(3, 8); err != nil {
					t.Fatal(err)
				}
				places, at = append(places, some...), j.at
			}
			if !slices.EqualFunc(places, got, func(p place, e Entry) bool { return p == e.at }) {
				t.Fatalf("%+v: %d places in steps, %d at once", q, len(places), len(got))
			}
		}
	})
}
