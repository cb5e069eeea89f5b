package cloudtrail

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/lake"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/trail"
)

// Queries wait for each other, are refused when there are too many, take turns by
// account, and can be cancelled; what ran when the server ended has failed.
func TestQueriesWait(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
		other := b.User(t, apitest.Other, "other", apitest.Admin)
		theirs := b.lake(t, other, &shape.CreateEventDataStoreInput{Name: "all"})
		var queries []string
		for range maxRunning {
			queries = append(queries, b.ask(t, b.admin, arn, "SELECT eventName FROM $"))
			b.Advance(time.Millisecond)
		}
		refused[shape.StartQueryOutput](t, b.admin, "cloudtrail:StartQuery", &shape.StartQueryInput{QueryStatement: "SELECT eventName FROM " + id(arn)}, "MaxConcurrentQueriesException")
		if out := apitest.Must[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: queries[0]}); out.QueryStatus != shape.QueryStatusQueued || len(out.QueryResultRows) != 0 {
			t.Errorf("%+v", out)
		}
		if out := apitest.Must[shape.CancelQueryOutput](t, b.admin, "cloudtrail:CancelQuery", &shape.CancelQueryInput{QueryId: queries[9]}); out.QueryStatus != shape.QueryStatusCancelled {
			t.Errorf("%+v", out)
		}
		refused[shape.CancelQueryOutput](t, b.admin, "cloudtrail:CancelQuery", &shape.CancelQueryInput{QueryId: queries[9]}, "InactiveQueryException")
		last := b.ask(t, other, theirs, "SELECT eventName FROM $")
		for range 2 {
			if _, err := b.service.AnswerNext(t.Context(), b.Door.Store); err != nil {
				t.Fatal(err)
			}
		}
		if d := b.described(t, other, last); d.QueryStatus != shape.QueryStatusFinished {
			t.Errorf("the other account's query is %s after two", d.QueryStatus)
		}

		// The server is killed while a query runs: the next one says so, and goes on with the others.
		running := b.interrupted(t, queries[1])
		if d := b.described(t, b.admin, running); d.QueryStatus != shape.QueryStatusRunning {
			t.Errorf("%+v", d)
		}
		if err := b.service.abandoned(t.Context(), b.Door.Store); err != nil {
			t.Fatal(err)
		}
		b.answering(t)
		if d := b.described(t, b.admin, running); d.QueryStatus != shape.QueryStatusFailed || d.ErrorMessage == "" {
			t.Errorf("%+v", d)
		}
		for i, q := range queries[2:9] {
			if d := b.described(t, b.admin, q); d.QueryStatus != shape.QueryStatusFinished {
				t.Errorf("query %d: %+v", i, d)
			}
		}
		if d := b.described(t, b.admin, queries[9]); d.QueryStatus != shape.QueryStatusCancelled {
			t.Errorf("%+v", d)
		}
	})
}

// interrupted has the worker die in the middle of the next query, which must be this one.
func (b *bench) interrupted(t *testing.T, query string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	dying := *b.service
	dying.Records = dies{lazily{b}, cancel}
	if _, err := dying.AnswerNext(ctx, b.Door.Store); err == nil {
		t.Fatal("nothing was interrupted")
	}
	return query
}

// Work, events, rows and bytes of a query are bounded, and a cancelled one stops.
func TestQueryBounds(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	for i := range 50 {
		b.act(t, fmt.Sprint("some", i))
	}
	ended := func(statement string, want shape.QueryStatus) {
		t.Helper()
		query := b.ask(t, b.admin, arn, statement)
		b.answering(t)
		out := apitest.Must[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query})
		if out.QueryStatus != want || len(out.QueryResultRows) != 0 || out.ErrorMessage == "" {
			t.Errorf("%.60s: %+v", statement, out)
		}
	}
	b.service.work = 0
	ended("SELECT count(*) FROM $", shape.QueryStatusTimedOut)
	b.service.work = maxWork
	columns := strings.TrimSuffix(strings.Repeat("userIdentity, requestParameters, ", 40), ", ")
	if got := b.rows(t, b.admin, arn, "SELECT "+columns+" FROM $ LIMIT 1"); len(got) < 5000 {
		t.Errorf("a row of %d bytes", len(got))
	}
	b.rows(t, b.admin, arn, "SELECT eventName FROM $ -- "+strings.Repeat("a", 9000))
	ended("SELECT eventName FROM $ WHERE requestParameters.queryStatement LIKE '%"+strings.Repeat("a", 4400)+"b'", shape.QueryStatusFailed)

	query := b.ask(t, b.admin, arn, "SELECT count(*) FROM $")
	stopped := *b.service
	stopped.Records = between{lazily{b}, func() {
		apitest.Must[shape.CancelQueryOutput](t, b.admin, "cloudtrail:CancelQuery", &shape.CancelQueryInput{QueryId: query})
	}}
	if _, err := stopped.AnswerNext(t.Context(), b.Door.Store); err != nil {
		t.Fatal(err)
	}
	if d := b.described(t, b.admin, query); d.QueryStatus != shape.QueryStatusCancelled || d.QueryStatistics == nil {
		t.Errorf("%+v", d)
	}

	// A store that is deleted before its query's turn shows nothing any more.
	query = b.ask(t, b.admin, arn, "SELECT count(*) FROM $")
	apitest.Must[shape.UpdateEventDataStoreOutput](t, b.admin, "cloudtrail:UpdateEventDataStore", &shape.UpdateEventDataStoreInput{EventDataStore: arn, TerminationProtectionEnabled: no()})
	apitest.Must[shape.DeleteEventDataStoreOutput](t, b.admin, "cloudtrail:DeleteEventDataStore", &shape.DeleteEventDataStoreInput{EventDataStore: arn})
	b.answering(t)
	apitest.Must[shape.RestoreEventDataStoreOutput](t, b.admin, "cloudtrail:RestoreEventDataStore", &shape.RestoreEventDataStoreInput{EventDataStore: arn})
	if d := b.described(t, b.admin, query); d.QueryStatus != shape.QueryStatusFailed || !strings.Contains(d.ErrorMessage, "inactive") {
		t.Errorf("%+v", d)
	}
}

// Results are read in pages that are whole, are sealed where they lie, and go.
func TestResults(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	r := &lake.Result{Columns: []string{"a", "b"}}
	for i := range 2500 {
		r.Rows = append(r.Rows, []string{fmt.Sprint(i), strings.Repeat("marker ", 100)})
	}
	query := b.ask(t, b.admin, arn, "SELECT eventName FROM $ WHERE userAgent = 'marker in a statement'")
	b.answering(t)
	ctx := t.Context()
	if err := b.service.keepResult(ctx, b.Door.Store, query, r); err != nil {
		t.Fatal(err)
	}
	if err := b.Door.Store.Update(ctx, doing("UPDATE cloudtrail_queries SET results = 2500 WHERE id = ?", query)); err != nil {
		t.Fatal(err)
	}
	sn, err := b.Door.Store.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	for _, limit := range []int{1, 7, 1000} {
		var got []string
		for from := 0; from < 2500; {
			rows, err := b.service.resultRows(sn, &queryRow{id: query, results: 2500}, int64(from), limit)
			if err != nil || len(rows) == 0 || len(rows) > limit {
				t.Fatal(len(rows), err)
			}
			for _, row := range rows {
				got = append(got, row[0]["a"])
			}
			if from += len(rows); limit == 1 && from > 50 {
				break
			}
		}
		for i, a := range got {
			if a != fmt.Sprint(i) {
				t.Fatalf("with %d a page, row %d is %s", limit, i, a)
			}
		}
	}
	sn.Close()
	if err := filepath.WalkDir(b.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), "marker marker") {
			t.Errorf("%s has the result in clear", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}

	// One query's part under another's name is refused.
	second := b.ask(t, b.admin, arn, "SELECT eventName FROM $ LIMIT 1")
	b.answering(t)
	if err := b.Door.Store.Update(ctx, doing("UPDATE cloudtrail_results SET content = (SELECT content FROM cloudtrail_results WHERE query = ? AND first = 0) WHERE query = ?", query, second)); err != nil {
		t.Fatal(err)
	}
	refused[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: second}, "InternalFailure")

	// So is a result that was cut.
	get := &shape.GetQueryResultsInput{QueryId: query}
	if out := apitest.Must[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", get); len(out.QueryResultRows) == 0 || out.NextToken == "" {
		t.Errorf("%d rows", len(out.QueryResultRows))
	}
	for _, cut := range []string{"UPDATE cloudtrail_queries SET results = 1000 WHERE id = ?", "DELETE FROM cloudtrail_results WHERE first = 0 AND query = ?"} {
		if err := b.Door.Store.Update(ctx, doing(cut, query)); err != nil {
			t.Fatal(err)
		}
		refused[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", get, "InternalFailure")
	}

	b.Advance(answered)
	refused[shape.DescribeQueryOutput](t, b.admin, "cloudtrail:DescribeQuery", &shape.DescribeQueryInput{QueryId: query}, "QueryIdNotFoundException")
	swept(t, b)
	if n := b.count(t, "SELECT COUNT(*) FROM cloudtrail_results"); n != 0 {
		t.Errorf("%d parts of results are left", n)
	}
}

// Names of columns are the asker's too: a page is as long with long ones.
func TestPagesOfLongNames(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	for i := range 150 {
		b.act(t, fmt.Sprint("some", i))
	}
	query := b.ask(t, b.admin, arn, `SELECT 1 AS "`+strings.Repeat("あ", 9900)+`" FROM $`)
	b.answering(t)
	rows, pages := 0, 0
	for token := ""; pages == 0 || token != ""; pages++ {
		out := apitest.Must[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query, NextToken: token})
		if raw, err := json.Marshal(out.QueryResultRows); err != nil || len(raw) > pageBytes+100_000 || len(out.QueryResultRows) == 0 {
			t.Fatalf("a page of %d rows in %d bytes, %v", len(out.QueryResultRows), len(raw), err)
		}
		rows, token = rows+len(out.QueryResultRows), out.NextToken
	}
	if pages < 4 || rows < 150 {
		t.Errorf("%d rows on %d pages", rows, pages)
	}
}

// An account keeps so many answers: the oldest go first.
func TestAnswersAreFew(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	var all []string
	for range maxAnswers + 3 {
		all = append(all, b.ask(t, b.admin, arn, "SELECT eventName FROM $ LIMIT 1"))
		b.answering(t)
		b.Advance(time.Millisecond)
	}
	if n := b.count(t, "SELECT COUNT(*) FROM cloudtrail_queries"); n > maxAnswers {
		t.Errorf("%d queries are kept", n)
	}
	refused[shape.DescribeQueryOutput](t, b.admin, "cloudtrail:DescribeQuery", &shape.DescribeQueryInput{QueryId: all[0]}, "QueryIdNotFoundException")
	b.described(t, b.admin, all[len(all)-1])
}

// A deleted store is gone in seven days, with all that was its.
func TestLakesGo(t *testing.T) {
	b := newBench(t)
	holds := func() time.Time {
		t.Helper()
		sn, err := b.Door.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		since, err := b.service.Holds(sn)
		if err != nil {
			t.Fatal(err)
		}
		return since
	}
	if at := holds(); !at.IsZero() {
		t.Errorf("without stores the record is held since %s", at)
	}
	begin := b.Now()
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all", TerminationProtectionEnabled: no(), RetentionPeriod: days(7), TagsList: []shape.Tag{{Key: "a", Value: "b"}}})
	b.rows(t, b.admin, arn, "SELECT eventName FROM $")
	b.Advance(time.Hour)
	if at := holds(); at.Before(begin.Add(-time.Second)) || at.After(begin.Add(time.Minute)) {
		t.Errorf("the record is held since %s, the store since %s", at, begin)
	}
	b.Advance(10 * 24 * time.Hour)
	if at := holds(); !at.Equal(b.Now().AddDate(0, 0, -7)) {
		t.Errorf("after ten days the record is held since %s", at)
	}
	apitest.Must[shape.DeleteEventDataStoreOutput](t, b.admin, "cloudtrail:DeleteEventDataStore", &shape.DeleteEventDataStoreInput{EventDataStore: arn})
	b.Advance(mourning - time.Minute)
	swept(t, b)
	if holds().IsZero() {
		t.Error("a store that can be restored holds nothing")
	}
	apitest.Must[shape.GetEventDataStoreOutput](t, b.admin, "cloudtrail:GetEventDataStore", &shape.GetEventDataStoreInput{EventDataStore: arn})
	b.Advance(time.Minute)
	refused[shape.RestoreEventDataStoreOutput](t, b.admin, "cloudtrail:RestoreEventDataStore", &shape.RestoreEventDataStoreInput{EventDataStore: arn}, "EventDataStoreNotFoundException")
	if !holds().IsZero() {
		t.Error("a store that is gone holds the record")
	}
	swept(t, b)
	for _, table := range []string{"cloudtrail_stores", "cloudtrail_spans", "cloudtrail_queries", "cloudtrail_results", "cloudtrail_tags"} {
		if n := b.count(t, "SELECT COUNT(*) FROM "+table); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
	b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
}

// Where the record is kept for a time only, no store promises more.
func TestRetainedRecord(t *testing.T) {
	b := newBench(t)
	b.service.Retain = 30
	refused[shape.CreateEventDataStoreOutput](t, b.admin, "cloudtrail:CreateEventDataStore", &shape.CreateEventDataStoreInput{Name: "all", RetentionPeriod: days(31)}, "InvalidParameterException")
	out := apitest.Must[shape.CreateEventDataStoreOutput](t, b.admin, "cloudtrail:CreateEventDataStore", &shape.CreateEventDataStoreInput{Name: "all"})
	if *out.RetentionPeriod != 30 {
		t.Errorf("%d days", *out.RetentionPeriod)
	}
	refused[shape.UpdateEventDataStoreOutput](t, b.admin, "cloudtrail:UpdateEventDataStore", &shape.UpdateEventDataStoreInput{EventDataStore: out.EventDataStoreArn, RetentionPeriod: days(31)}, "InvalidParameterException")
}

// A statement is on record as it was asked, and what it answered is not.
func TestQueriesOnRecord(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	statement := "SELECT eventName FROM " + id(arn) + " WHERE userAgent = 'asked'"
	query := b.ask(t, b.admin, arn, statement)
	b.answering(t)
	apitest.Must[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query})
	started := b.Records(t, apitest.Account, "StartQuery")
	if len(started) != 1 || !strings.Contains(string(started[0].RequestParameters), `"queryStatement":"SELECT eventName FROM `) ||
		!strings.Contains(string(started[0].ResponseElements), query) || started[0].Resources[0].ARN != arn {
		t.Errorf("%+v", started)
	}
	for _, r := range b.Records(t, apitest.Account, "GetQueryResults") {
		if r.ResponseElements != nil || r.Resources[0].ARN != arn {
			t.Errorf("%+v", r)
		}
	}
	if _, err := apitest.Call[shape.StartQueryOutput](t, b.admin, "cloudtrail:StartQuery", &shape.StartQueryInput{QueryStatement: statement + " ~"}); err == nil || !slices.ContainsFunc(b.Records(t, apitest.Account, "StartQuery"), func(r *trail.Record) bool { return r.ErrorCode == "InvalidQueryStatementException" }) {
		t.Errorf("%v", err)
	}
}

// Every member that events have can be asked for.
func TestSchemaHasEveryMember(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	b.act(t, "one")
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		m, ok := v.(map[string]any)
		if list, isList := v.([]any); isList && len(list) > 0 {
			m, ok = list[0].(map[string]any)
			prefix += "[1]"
		}
		if _, err := lake.Parse("SELECT " + prefix + " FROM " + id(arn)); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
		if ok && !strings.HasPrefix(prefix, "requestParameters") && !strings.HasPrefix(prefix, "responseElements") {
			for name, below := range m {
				walk(prefix+"."+name, below)
			}
		}
	}
	for _, e := range b.events(t) {
		for name, v := range e {
			walk(name, v)
		}
	}
}
