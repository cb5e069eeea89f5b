package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// A server that is killed while it answers a query says afterwards that the query failed,
// and answers those that waited.
func TestKilledWhileItAnswers(t *testing.T) {
	s := newSite(t)
	s.must("init")
	p, c := s.serve()
	call := func(operation, body string) *answer {
		t.Helper()
		a, err := c.do(t.Context(), "cloudtrail", http.MethodPost, "/", http.Header{
			"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101." + operation},
		}, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var store struct{ EventDataStoreArn string }
	unmarshal(t, ok(t)(call("CreateEventDataStore", `{"Name":"all"}`), nil).body, &store)
	_, id, _ := strings.Cut(store.EventDataStoreArn, "/")
	for range 150 { // events with much to look at
		call("StartQuery", fmt.Sprintf(`{"QueryStatement":"SELECT none FROM %s -- %s"}`, id, strings.Repeat("A", 9000)))
	}
	start := func(where string) string {
		var query struct {
			QueryID string `json:"QueryId"`
		}
		unmarshal(t, ok(t)(call("StartQuery", fmt.Sprintf(`{"QueryStatement":"SELECT count(*) FROM %s WHERE %s"}`, id, where)), nil).body, &query)
		return query.QueryID
	}
	type state struct{ QueryStatus, ErrorMessage string }
	describe := func(query string) (d state) {
		unmarshal(t, ok(t)(call("DescribeQuery", fmt.Sprintf(`{"QueryId":%q}`, query)), nil).body, &d)
		return d
	}
	var long, waiting string
	for status := ""; status != "RUNNING"; { // a machine that stalls may see it only when it is over
		long = start(strings.Repeat("lower(requestParameters.queryStatement) = 'a' OR ", 180) + "readOnly")
		waiting = start("eventName = 'CreateEventDataStore'")
		for status = "QUEUED"; status == "QUEUED"; {
			status = describe(long).QueryStatus
		}
	}
	p.stop(syscall.SIGKILL)
	_, c = s.serve()
	for d := describe(waiting); d.QueryStatus != "FINISHED"; d = describe(waiting) {
		if d.QueryStatus != "QUEUED" && d.QueryStatus != "RUNNING" {
			t.Fatalf("what waited is %+v", d)
		}
	}
	if d := describe(long); d.QueryStatus != "FAILED" || !strings.Contains(d.ErrorMessage, "restart") {
		t.Errorf("what was interrupted is %+v", d)
	}
}
