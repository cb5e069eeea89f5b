package cloudtrail

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/lake"
	shape "bawn.dev/internal/shape/cloudtrail"
	s3shape "bawn.dev/internal/shape/s3"
)

// texts lists the texts in an event by the columns that they are under.
func texts(into map[string]bool, column string, v any) {
	switch v := v.(type) {
	case string:
		if column != "eventTime" {
			into[column+" = '"+strings.ReplaceAll(v, "'", "''")+"'"] = true
		}
	case []any:
		for i, x := range v {
			texts(into, fmt.Sprintf("%s[%d]", column, i+1), x)
			if m, ok := x.(map[string]any); ok && column == "resources" {
				into[fmt.Sprintf("any_match(resources, x -> x.ARN = '%s')", m["ARN"])] = true
			}
		}
	case map[string]any:
		for name, x := range v {
			texts(into, column+`."`+name+`"`, x)
		}
	}
}

// Whatever text of an event is asked for, and whenever it was, what the index leaves out
// is nothing that looking at each event would find.
func TestIndexLeavesNothingOut(t *testing.T) {
	b := newBench(t)
	users := []*apitest.Caller{b.admin, b.User(t, apitest.Account, "some", apitest.Admin), b.User(t, apitest.Account, "nobody"), b.Role(t, apitest.Account, "role", apitest.Admin)}
	begin := b.Now()
	for i, c := range users {
		apitest.Call[s3shape.PutObjectOutput](t, c, "s3:PutObject", &s3shape.PutObjectInput{Bucket: "logs", Key: fmt.Sprint("k", i), Body: strings.NewReader("x")})
		apitest.Call[s3shape.CopyObjectOutput](t, c, "s3:CopyObject", &s3shape.CopyObjectInput{Bucket: "logs", Key: "copy", CopySource: fmt.Sprint("logs/k", i)})
		apitest.Call[shape.ListTrailsOutput](t, c, "cloudtrail:ListTrails", &shape.ListTrailsInput{})
		b.Advance(1700 * time.Millisecond)
	}
	all := func(context.Context, period) (choice, error) {
		return choice{Global: true, Advanced: everything()}, nil
	}
	v := &view{account: apitest.Account, periods: []period{{}}, records: lazily{b}, chosen: all, turn: func(context.Context) error { return nil }}
	matched := func(where string, source lake.Source) int64 {
		t.Helper()
		s, err := lake.Parse("SELECT count(*) FROM some-store WHERE " + where)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Run(t.Context(), source, lake.Limits{Events: 1e6, Rows: 1e6, Bytes: 1e9, Memory: 1e9}, b.Now())
		if err != nil {
			t.Fatal(err)
		}
		return r.Matched
	}
	whole := func(ctx context.Context, _ lake.Hint, fn func([]byte) error) error {
		return v.source(ctx, lake.Hint{}, fn)
	}
	asked := map[string]bool{}
	for _, e := range b.events(t) {
		for name, x := range e {
			texts(asked, name, x)
		}
	}
	for at := begin.Add(-time.Second); at.Before(b.Now()); at = at.Add(500 * time.Millisecond) {
		for _, op := range []string{"<", "<=", "=", ">=", ">"} {
			asked[fmt.Sprintf("eventTime %s '%s'", op, at.UTC().Format("2006-01-02 15:04:05.000"))] = true
		}
	}
	if len(asked) < 100 {
		t.Fatalf("only %d questions", len(asked))
	}
	for _, where := range slices.Sorted(maps.Keys(asked)) {
		got, want := matched(where, v.source), matched(where, whole)
		if got != want || want == 0 && !strings.HasPrefix(where, "eventTime") {
			t.Errorf("%s: %d by the index, %d of all", where, got, want)
		}
	}
}
