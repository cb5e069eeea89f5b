package cloudtrail

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

func id(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// lake makes an event data store and answers its ARN.
func (b *bench) lake(t testing.TB, c *apitest.Caller, in *shape.CreateEventDataStoreInput) string {
	t.Helper()
	return apitest.Must[shape.CreateEventDataStoreOutput](t, c, "cloudtrail:CreateEventDataStore", in).EventDataStoreArn
}

// everything is what a store of all management and object events selects.
func everything() []shape.AdvancedEventSelector {
	return []shape.AdvancedEventSelector{
		{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Management")}},
		{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Data"), is1("resources.type", "AWS::S3::Object")}},
	}
}

// answering answers what queries wait.
func (b *bench) answering(t testing.TB) {
	t.Helper()
	for {
		more, err := b.service.AnswerNext(context.Background(), b.Door.Store)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

// ask starts a query, $ standing for the store's id, and answers its id.
func (b *bench) ask(t testing.TB, c *apitest.Caller, lake, statement string) string {
	t.Helper()
	in := &shape.StartQueryInput{QueryStatement: strings.ReplaceAll(statement, "$", id(lake))}
	return apitest.Must[shape.StartQueryOutput](t, c, "cloudtrail:StartQuery", in).QueryId
}

// rows asks, and answers the rows with their cells joined.
func (b *bench) rows(t testing.TB, c *apitest.Caller, lake, statement string) string {
	t.Helper()
	query := b.ask(t, c, lake, statement)
	b.answering(t)
	out := apitest.Must[shape.GetQueryResultsOutput](t, c, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query})
	if out.QueryStatus != shape.QueryStatusFinished {
		t.Fatalf("%s: %s, %s", statement, out.QueryStatus, out.ErrorMessage)
	}
	return joined(out.QueryResultRows)
}

func joined(rows [][]map[string]string) string {
	var lines []string
	for _, row := range rows {
		var cells []string
		for _, column := range row {
			for _, v := range column {
				cells = append(cells, v)
			}
		}
		lines = append(lines, strings.Join(cells, ","))
	}
	return strings.Join(lines, " ")
}

func (b *bench) described(t testing.TB, c *apitest.Caller, query string) *shape.DescribeQueryOutput {
	t.Helper()
	return apitest.Must[shape.DescribeQueryOutput](t, c, "cloudtrail:DescribeQuery", &shape.DescribeQueryInput{QueryId: query})
}

// count answers a number from the database.
func (b *bench) count(t testing.TB, query string) (n int) {
	t.Helper()
	sn, err := b.Door.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if n, err = count(sn, query); err != nil {
		t.Fatal(err)
	}
	return n
}

func doing(statement string, args ...any) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	}
}

// events are all of the account's, as JSON.
func (b *bench) events(t testing.TB) []map[string]any {
	t.Helper()
	found, err := b.Trail.Search(context.Background(), trail.Search{Queries: []trail.Query{{Account: apitest.Account}}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for _, e := range found.Entries {
		var event map[string]any
		if err := json.Unmarshal(e.Event, &event); err != nil {
			t.Fatal(err)
		}
		all = append(all, event)
	}
	return all
}

// dies is a record whose reader is killed after a page.
type dies struct {
	lazily
	kill func()
}

func (d dies) Search(ctx context.Context, s trail.Search) (trail.Found, error) {
	found, err := d.lazily.Search(ctx, s)
	d.kill()
	return found, err
}

// between is a record of which somebody does something while it is read.
type between struct {
	lazily
	do func()
}

func (b between) Search(ctx context.Context, s trail.Search) (trail.Found, error) {
	found, err := b.lazily.Search(ctx, s)
	b.do()
	return found, err
}
