package logs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	kmsshape "bawn.dev/internal/shape/kms"
	shape "bawn.dev/internal/shape/logs"
	"bawn.dev/internal/store"
)

// Whatever was put in, and in whatever batches, comes back in order, whole and once:
// page by page, forward and backward, and merged over streams.
func TestOrderIsThatOfTime(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		rng := rand.New(rand.NewPCG(1, 2))
		b.group(t, "g", "")
		base := b.now() - 3600_000
		var all []string
		perStream := map[string][]string{}
		for s := range 3 {
			name := fmt.Sprint("s", s)
			b.stream(t, "g", name)
			for batch := range 15 {
				at := base + rng.Int64N(1_000_000)
				var events []shape.InputLogEvent
				for i := range 1 + rng.IntN(6) {
					at += rng.Int64N(300_000)
					text := fmt.Sprintf("%015d %s %d %d", at, name, batch, i)
					events = append(events, shape.InputLogEvent{Timestamp: at, Message: text})
					perStream[name] = append(perStream[name], text)
					all = append(all, text)
				}
				b.put(t, "g", name, events...)
			}
		}
		b.service.budget = 1 // every call stops as soon as it can, and the next goes on
		defer func() { b.service.budget = scanBudget }()
		byTime := func(a, b string) int { return strings.Compare(a[:15], b[:15]) }
		same := func(what string, got, want []string) {
			t.Helper()
			if !slices.IsSortedFunc(got, byTime) {
				t.Errorf("%s: not in order", what)
			}
			got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d events, not %d", what, len(got), len(want))
			}
		}
		for name, want := range perStream {
			for _, limit := range []int32{1, 7, 1000} {
				in := &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: name, StartFromHead: ptr(true), Limit: &limit}
				same("forward", pages(t, b, in, true), want)
				in.StartFromHead, in.NextToken = nil, ""
				same("backward", pages(t, b, in, false), want)
			}
		}
		for _, limit := range []int32{1, 10, 10_000} {
			got, ids := filter(t, b, &shape.FilterLogEventsInput{LogGroupName: "g", Limit: &limit})
			same("filtered", got, all)
			if len(ids) != len(all) {
				t.Errorf("%d event ids for %d events", len(ids), len(all))
			}
		}
		// A window in time is that window.
		from, to := base+400_000, base+900_000
		var window []string
		for _, text := range all {
			if at := text[:15]; at >= fmt.Sprintf("%015d", from) && at <= fmt.Sprintf("%015d", to) {
				window = append(window, text)
			}
		}
		got, _ := filter(t, b, &shape.FilterLogEventsInput{LogGroupName: "g", StartTime: &from, EndTime: &to})
		same("window", got, window)
	})
}

// filter follows tokens to the end.
func filter(t *testing.T, b *bench, in *shape.FilterLogEventsInput) (got []string, ids map[string]bool) {
	t.Helper()
	ids = map[string]bool{}
	for {
		page := apitest.Must[shape.FilterLogEventsOutput](t, b.admin, "logs:FilterLogEvents", in)
		for _, e := range page.Events {
			got = append(got, e.Message)
			ids[e.EventId] = true
		}
		if in.NextToken = page.NextToken; in.NextToken == "" {
			return got, ids
		}
	}
}

// pages follows tokens until one repeats.
func pages(t *testing.T, b *bench, in *shape.GetLogEventsInput, forward bool) []string {
	t.Helper()
	var all []string
	for {
		page := apitest.Must[shape.GetLogEventsOutput](t, b.admin, "logs:GetLogEvents", in)
		var texts []string
		for _, e := range page.Events {
			texts = append(texts, e.Message)
		}
		next := page.NextBackwardToken
		if forward {
			next = page.NextForwardToken
			all = append(all, texts...)
		} else {
			all = append(texts, all...)
		}
		if next == in.NextToken {
			if len(texts) > 0 {
				t.Error("the last page is not empty")
			}
			return all
		}
		in.NextToken = next
	}
}

// Who follows a stream sees each new event once.
func TestFollow(t *testing.T) {
	b := newBench(t)
	b.group(t, "g", "")
	b.stream(t, "g", "s")
	token, at := "", b.now()
	next := func() (got []string) {
		page := apitest.Must[shape.GetLogEventsOutput](t, b.admin, "logs:GetLogEvents", &shape.GetLogEventsInput{
			LogGroupName: "g", LogStreamName: "s", StartFromHead: ptr(true), NextToken: token,
		})
		for _, e := range page.Events {
			got = append(got, e.Message)
		}
		token = page.NextForwardToken
		return got
	}
	if got := next(); got != nil {
		t.Errorf("before anything: %q", got)
	}
	for i := range 5 { // all in one millisecond
		b.put(t, "g", "s", shape.InputLogEvent{Timestamp: at, Message: fmt.Sprint("line ", i)})
		if got := next(); len(got) != 1 || got[0] != fmt.Sprint("line ", i) {
			t.Errorf("after line %d: %q", i, got)
		}
		before := token
		if got := next(); got != nil || token != before {
			t.Errorf("at the end: %q, %s", got, token)
		}
	}
}

func TestNothingInClear(t *testing.T) {
	b := newBench(t)
	b.group(t, "g", "")
	b.stream(t, "g", "s")
	b.put(t, "g", "s", shape.InputLogEvent{Timestamp: b.now(), Message: "the-patients-secret-line"})
	apitest.Must[shape.GetLogEventsOutput](t, b.admin, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"})
	apitest.NoPlaintext(t, b.Dir, "the-patients-secret-line")
}

// A group's key is the log service's to use, for that group and no other; turned
// off, it makes the events unreadable on the next call, and turned on readable again.
func TestCustomersKey(t *testing.T) {
	b := newBench(t)
	key := b.serviceKey(t, "sealed")
	b.group(t, "sealed", key.Arn)
	b.stream(t, "sealed", "s")
	b.put(t, "sealed", "s", shape.InputLogEvent{Timestamp: b.now(), Message: "line"})
	reader := b.User(t, apitest.Account, "reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:Get*","Resource":"*"}]}`)
	read := &shape.GetLogEventsInput{LogGroupName: "sealed", LogStreamName: "s"}
	if out := apitest.Must[shape.GetLogEventsOutput](t, reader, "logs:GetLogEvents", read); len(out.Events) != 1 {
		t.Errorf("%d events", len(out.Events))
	}
	apitest.Must[kmsshape.DisableKeyOutput](t, b.admin, "kms:DisableKey", &kmsshape.DisableKeyInput{KeyId: key.KeyId})
	for range 2 {
		refused[shape.GetLogEventsOutput](t, reader, "logs:GetLogEvents", read, "InvalidParameterException")
		refused[shape.FilterLogEventsOutput](t, b.admin, "logs:FilterLogEvents", &shape.FilterLogEventsInput{LogGroupName: "sealed"}, "InvalidParameterException")
		refused[shape.PutLogEventsOutput](t, b.admin, "logs:PutLogEvents", &shape.PutLogEventsInput{
			LogGroupName: "sealed", LogStreamName: "s", LogEvents: []shape.InputLogEvent{{Timestamp: b.now(), Message: "x"}},
		}, "InvalidParameterException")
	}
	apitest.Must[kmsshape.EnableKeyOutput](t, b.admin, "kms:EnableKey", &kmsshape.EnableKeyInput{KeyId: key.KeyId})
	apitest.Must[shape.GetLogEventsOutput](t, reader, "logs:GetLogEvents", read)

	refused[shape.CreateLogGroupOutput](t, b.admin, "logs:CreateLogGroup", &shape.CreateLogGroupInput{LogGroupName: "another", KmsKeyId: key.Arn}, "InvalidParameterException")
	closed := apitest.Must[kmsshape.CreateKeyOutput](t, b.admin, "kms:CreateKey", &kmsshape.CreateKeyInput{}).KeyMetadata
	refused[shape.CreateLogGroupOutput](t, b.admin, "logs:CreateLogGroup", &shape.CreateLogGroupInput{LogGroupName: "another", KmsKeyId: closed.Arn}, "InvalidParameterException")
	refused[shape.CreateLogGroupOutput](t, b.admin, "logs:CreateLogGroup", &shape.CreateLogGroupInput{LogGroupName: "another", KmsKeyId: "alias/x"}, "InvalidParameterException")
}

// Batches that somebody moves or changes in the database do not open.
func TestTampering(t *testing.T) {
	for name, statement := range map[string]string{
		"moved to another stream": "UPDATE logs_batches SET stream = (SELECT id FROM logs_streams WHERE name = 'b') WHERE stream = (SELECT id FROM logs_streams WHERE name = 'a')",
		"another batch's bytes":   "UPDATE logs_batches SET sealed = (SELECT sealed FROM logs_batches ORDER BY seq DESC LIMIT 1)",
		"a key of another stream": "UPDATE logs_streams SET data_key = (SELECT data_key FROM logs_streams WHERE name = 'b')",
	} {
		b := newBench(t)
		b.group(t, "g", "")
		for _, stream := range []string{"a", "b"} {
			b.stream(t, "g", stream)
			b.put(t, "g", stream, shape.InputLogEvent{Timestamp: b.now(), Message: "line of " + stream})
		}
		err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(statement)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, e := apitest.Call[shape.FilterLogEventsOutput](t, b.admin, "logs:FilterLogEvents", &shape.FilterLogEventsInput{LogGroupName: "g"}); e == nil || e.Code != "InternalFailure" {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestLimits(t *testing.T) {
	b := newBench(t)
	b.group(t, "g", "")
	b.stream(t, "g", "s")
	now := b.now()
	many := make([]shape.InputLogEvent, 0, 2000)
	for range 2000 {
		many = append(many, shape.InputLogEvent{Timestamp: now, Message: strings.Repeat("x", 600)})
	}
	for name, events := range map[string][]shape.InputLogEvent{
		"too large an event": {{Timestamp: now, Message: strings.Repeat("x", maxEvent-eventOverhead+1)}},
		"too large a batch":  many,
		"out of order":       {{Timestamp: now, Message: "a"}, {Timestamp: now - 1, Message: "b"}},
		"over a day":         {{Timestamp: now - 24*3600_000 - 1, Message: "a"}, {Timestamp: now, Message: "b"}},
		"not text":           {{Timestamp: now, Message: "\xff"}},
	} {
		in := &shape.PutLogEventsInput{LogGroupName: "g", LogStreamName: "s", LogEvents: events}
		if _, err := apitest.Call[shape.PutLogEventsOutput](t, b.admin, "logs:PutLogEvents", in); err == nil || err.Code != "InvalidParameterException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.put(t, "g", "s", shape.InputLogEvent{Timestamp: now, Message: strings.Repeat("x", maxEvent-eventOverhead)})
	const day = 24 * 3600_000
	out := apitest.Must[shape.PutLogEventsOutput](t, b.admin, "logs:PutLogEvents", &shape.PutLogEventsInput{LogGroupName: "g", LogStreamName: "s", LogEvents: []shape.InputLogEvent{
		{Timestamp: now - 14*day - 1000, Message: "old"}, {Timestamp: now - 14*day + 60_000, Message: "just"},
	}})
	if r := out.RejectedLogEventsInfo; r == nil || r.TooOldLogEventEndIndex == nil || *r.TooOldLogEventEndIndex != 1 {
		t.Errorf("rejected %+v", r)
	}
	out = apitest.Must[shape.PutLogEventsOutput](t, b.admin, "logs:PutLogEvents", &shape.PutLogEventsInput{LogGroupName: "g", LogStreamName: "s", LogEvents: []shape.InputLogEvent{
		{Timestamp: now, Message: "now"}, {Timestamp: now + 3*3600_000, Message: "later"},
	}})
	if r := out.RejectedLogEventsInfo; r == nil || r.TooNewLogEventStartIndex == nil || *r.TooNewLogEventStartIndex != 1 {
		t.Errorf("rejected %+v", r)
	}
}

// One answer is a mebibyte at most, and says where the next one begins.
func TestLargeAnswers(t *testing.T) {
	b := newBench(t)
	b.group(t, "g", "")
	b.stream(t, "g", "s")
	now := b.now()
	for i := range 12 {
		b.put(t, "g", "s", shape.InputLogEvent{Timestamp: now + int64(i), Message: fmt.Sprintf("%02d", i) + strings.Repeat("x", 200<<10)})
	}
	for _, forward := range []bool{true, false} {
		got := pages(t, b, &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s", StartFromHead: &forward}, forward)
		if len(got) != 12 || !slices.IsSorted(got) {
			t.Errorf("%d events", len(got))
		}
	}
}

func TestTwoAccounts(t *testing.T) {
	b := newBench(t)
	b.group(t, "g", "")
	b.stream(t, "g", "s")
	b.put(t, "g", "s", shape.InputLogEvent{Timestamp: b.now(), Message: "line"})
	other := b.User(t, apitest.Other, "admin", apitest.Admin)
	refused[shape.GetLogEventsOutput](t, other, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"}, "ResourceNotFoundException")
	refused[shape.FilterLogEventsOutput](t, other, "logs:FilterLogEvents", &shape.FilterLogEventsInput{
		LogGroupIdentifier: "arn:aws:logs:" + apitest.Region + ":" + apitest.Account + ":log-group:g",
	}, "InvalidParameterException")
	refused[shape.DeleteLogGroupOutput](t, other, "logs:DeleteLogGroup", &shape.DeleteLogGroupInput{LogGroupName: "g"}, "ResourceNotFoundException")
	if out := apitest.Must[shape.DescribeLogGroupsOutput](t, other, "logs:DescribeLogGroups", &shape.DescribeLogGroupsInput{}); len(out.LogGroups) != 0 {
		t.Errorf("%v", out.LogGroups)
	}
}

// A group that is made again has nothing of the old one.
func TestDeletedGroup(t *testing.T) {
	b := newBench(t)
	b.group(t, "g", "")
	b.stream(t, "g", "s")
	b.put(t, "g", "s", shape.InputLogEvent{Timestamp: b.now(), Message: "line"})
	apitest.Must[shape.DeleteLogGroupOutput](t, b.admin, "logs:DeleteLogGroup", &shape.DeleteLogGroupInput{LogGroupName: "g"})
	refused[shape.GetLogEventsOutput](t, b.admin, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"}, "ResourceNotFoundException")
	b.group(t, "g", "")
	refused[shape.GetLogEventsOutput](t, b.admin, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"}, "ResourceNotFoundException")
	b.stream(t, "g", "s")
	if out := apitest.Must[shape.FilterLogEventsOutput](t, b.admin, "logs:FilterLogEvents", &shape.FilterLogEventsInput{LogGroupName: "g"}); len(out.Events) != 0 {
		t.Errorf("%v", out.Events)
	}
}

func TestPolicies(t *testing.T) {
	b := newBench(t)
	b.group(t, "g", "")
	b.stream(t, "g", "s")
	b.stream(t, "g", "other")
	arn := "arn:aws:logs:" + apitest.Region + ":" + apitest.Account + ":log-group:g:"
	allow := func(action, resource string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}]}`
	}
	whole := b.User(t, apitest.Account, "whole", allow("logs:*", arn+"*"))
	one := b.User(t, apitest.Account, "one", allow("logs:GetLogEvents", arn+"log-stream:s"))
	for _, stream := range []string{"s", "other"} {
		apitest.Must[shape.GetLogEventsOutput](t, whole, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: stream})
	}
	apitest.Must[shape.FilterLogEventsOutput](t, whole, "logs:FilterLogEvents", &shape.FilterLogEventsInput{LogGroupName: "g"})
	apitest.Must[shape.GetLogEventsOutput](t, one, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: "s"})
	refused[shape.GetLogEventsOutput](t, one, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "g", LogStreamName: "other"}, "AccessDenied")
	refused[shape.FilterLogEventsOutput](t, one, "logs:FilterLogEvents", &shape.FilterLogEventsInput{LogGroupName: "g"}, "AccessDenied")
	refused[shape.GetLogEventsOutput](t, one, "logs:GetLogEvents", &shape.GetLogEventsInput{LogGroupName: "none", LogStreamName: "s"}, "AccessDenied") // and hears not that it is missing
}
