package cloudtrail

import (
	"context"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/cloudtrail"
	s3shape "bawn.dev/internal/shape/s3"
)

// What boto3 shows of a store's life and its queries.
func TestLakeByClient(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.Advance(past)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			done <- b.service.Answer(ctx, b.Door.Store, func(err error) { t.Error(err) })
		}()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		b.Python(t, b.admin, `
import time
ct, s3 = client("cloudtrail"), client("s3")
made = ct.create_event_data_store(Name="some", TagsList=[{"Key": "Team", "Value": "a"}], AdvancedEventSelectors=[
    {"Name": "m", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
    {"Name": "d", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}]}])
arn = made["EventDataStoreArn"]
eds = arn.split("/")[1]
assert arn.startswith("arn:aws:cloudtrail:us-east-1:123456789012:eventdatastore/"), made
assert made["RetentionPeriod"] == 366 and made["TerminationProtectionEnabled"] and made["MultiRegionEnabled"] and not made["OrganizationEnabled"], made
assert made["Status"] == "ENABLED" and made["TagsList"] == [{"Key": "Team", "Value": "a"}] and made["BillingMode"] == "EXTENDABLE_RETENTION_PRICING", made
refused(ct.create_event_data_store, "EventDataStoreAlreadyExistsException", Name="some")
refused(ct.create_event_data_store, "InvalidEventSelectorsException", Name="other", AdvancedEventSelectors=[{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Insight"]}]}])
refused(ct.create_event_data_store, "UnsupportedOperationException", Name="other", OrganizationEnabled=True)
refused(ct.create_event_data_store, "InvalidParameterException", Name="other", BillingMode="FIXED_RETENTION_PRICING")
refused(ct.create_event_data_store, "InvalidTagParameterException", Name="other", TagsList=[{"Key": "aws:x", "Value": "x"}])
for call, extra in (ct.create_event_data_store, {"Name": "other", "KmsKeyId": "alias/x"}), (ct.start_query, {"QueryStatement": "SELECT 1 FROM " + eds, "DeliveryS3Uri": "s3://logs"}), \
        (ct.start_query, {"QueryAlias": "a", "QueryParameters": ["x"]}), (ct.start_query, {"QueryStatement": "SELECT 1 FROM " + eds, "EventDataStoreOwnerAccountId": "123456789012"}):
    e = refused(call, **extra)
    assert any(name in str(e) for name in list(extra)[-2:]), e

def query(statement, status="FINISHED", **kw):
    q = ct.start_query(QueryStatement=statement.replace("$", eds))["QueryId"]
    while (d := ct.describe_query(QueryId=q))["QueryStatus"] in ("QUEUED", "RUNNING"):
        pass
    assert d["QueryStatus"] == status, d
    assert d["QueryString"] == statement.replace("$", eds)
    return q, d

def rows(statement):
    q, d = query(statement)
    out, page = [], ct.get_query_results(QueryId=q)
    return [{k: v for column in row for k, v in column.items()} for row in page["QueryResultRows"]]

s3.create_bucket(Bucket="data")
for i in range(5):
    s3.put_object(Bucket="data", Key="k%d" % i, Body=b"x")
s3.get_object(Bucket="data", Key="k1")
assert rows("SELECT eventName, count(*) AS n FROM $ WHERE eventSource = 's3.amazonaws.com' GROUP BY eventName ORDER BY n DESC, eventName") == [
    {"eventName": "PutObject", "n": "5"}, {"eventName": "CreateBucket", "n": "1"}, {"eventName": "GetObject", "n": "1"}]
who = rows("SELECT userIdentity.userName, requestParameters['key'] AS k, eventTime FROM $ WHERE eventName = 'GetObject' AND element_at(requestParameters, 'bucketName') = 'data'")
assert [(r["userName"], r["k"]) for r in who] == [("admin", "k1")], who
assert rows("SELECT count(*) FROM $ WHERE eventName = 'CreateEventDataStore' AND errorCode IS NULL") == [{"_col0": "1"}]
assert len(rows("SELECT requestParameters.queryStatement FROM $ WHERE eventName = 'StartQuery' AND requestParameters.queryStatement LIKE 'SELECT userIdentity.userName,%'")) == 1

q, d = query("SELECT eventName, userIdentity.arn FROM $ WHERE eventName = 'PutObject'")
stats = d["QueryStatistics"]
assert stats["EventsMatched"] == 5 and stats["EventsScanned"] == 5 and stats["BytesScanned"] > 500 and stats["ExecutionTimeInMillis"] >= 0 and stats["CreationTime"], stats
page, seen = {"NextToken": None}, 0
while "NextToken" in page:
    page = ct.get_query_results(QueryId=q, MaxQueryResults=2, **({"NextToken": page["NextToken"]} if page["NextToken"] else {}))
    assert page["QueryStatistics"]["TotalResultsCount"] == 5 and page["QueryStatistics"]["ResultsCount"] == len(page["QueryResultRows"]) <= 2, page
    seen += len(page["QueryResultRows"])
    last = page.get("NextToken", None) or last
assert seen == 5
other, _ = query("SELECT eventName FROM $ WHERE eventName = 'PutObject'")
refused(ct.get_query_results, "InvalidNextTokenException", QueryId=other, NextToken=last)
refused(ct.get_query_results, "InvalidNextTokenException", QueryId=q, NextToken="none at all")
refused(ct.get_query_results, "QueryIdNotFoundException", QueryId="00000000-0000-4000-8000-000000000000")
refused(ct.describe_query, "QueryIdNotFoundException", QueryId="00000000-0000-4000-8000-000000000000", EventDataStore=arn)
refused(ct.cancel_query, "InactiveQueryException", QueryId=q)
for statement, named in ("SELECT eventName FROM $ JOIN $ ON 1 = 1", "JOIN"), ("SELECT a FROM $", "column"), ("DROP TABLE cloudtrail_stores", "SELECT"), \
        ("SELECT eventName FROM $ UNION SELECT eventName FROM $", "UNION"), ("SELECT 1 FROM sqlite_master", "event data store"):
    e = refused(ct.start_query, "InvalidQueryStatementException", QueryStatement=statement.replace("$", eds))
    assert named in str(e), e
refused(ct.start_query, "EventDataStoreNotFoundException", QueryStatement="SELECT eventName FROM 00000000-0000-4000-8000-000000000000")
listed = ct.list_queries(EventDataStore=eds, QueryStatus="FINISHED", MaxResults=3)
assert len(listed["Queries"]) == 3 and listed["NextToken"], listed
more = ct.list_queries(EventDataStore=eds, QueryStatus="FINISHED", NextToken=listed["NextToken"])
assert {x["QueryId"] for x in more["Queries"]}.isdisjoint({x["QueryId"] for x in listed["Queries"]}) and more["Queries"]
refused(ct.list_queries, "InvalidDateRangeException", EventDataStore=eds, StartTime=2, EndTime=1)

got = ct.get_event_data_store(EventDataStore=eds)
assert got["Name"] == "some" and got["AdvancedEventSelectors"][0]["FieldSelectors"] == [{"Field": "eventCategory", "Equals": ["Management"]}], got
up = ct.update_event_data_store(EventDataStore=arn, Name="renamed", RetentionPeriod=30, TerminationProtectionEnabled=True)
assert up["Name"] == "renamed" and up["RetentionPeriod"] == 30 and up["UpdatedTimestamp"] >= up["CreatedTimestamp"], up
refused(ct.delete_event_data_store, "EventDataStoreTerminationProtectedException", EventDataStore=arn)
ct.stop_event_data_store_ingestion(EventDataStore=arn)
refused(ct.stop_event_data_store_ingestion, "InvalidEventDataStoreStatusException", EventDataStore=arn)
assert ct.get_event_data_store(EventDataStore=arn)["Status"] == "STOPPED_INGESTION"
ct.start_event_data_store_ingestion(EventDataStore=arn)
refused(ct.start_event_data_store_ingestion, "InvalidEventDataStoreStatusException", EventDataStore=arn)
refused(ct.restore_event_data_store, "InvalidEventDataStoreStatusException", EventDataStore=arn)
ct.add_tags(ResourceId=arn, TagsList=[{"Key": "Env", "Value": "x"}])
ct.remove_tags(ResourceId=arn, TagsList=[{"Key": "Team"}])
assert ct.list_tags(ResourceIdList=[arn])["ResourceTagList"] == [{"ResourceId": arn, "TagsList": [{"Key": "Env", "Value": "x"}]}]

ct.update_event_data_store(EventDataStore=arn, TerminationProtectionEnabled=False)
ct.delete_event_data_store(EventDataStore=arn)
assert ct.get_event_data_store(EventDataStore=arn)["Status"] == "PENDING_DELETION"
for call, kw in (ct.start_query, {"QueryStatement": "SELECT 1 FROM " + eds}), (ct.get_query_results, {"QueryId": q}), (ct.describe_query, {"QueryId": q}), \
        (ct.cancel_query, {"QueryId": q}), (ct.list_queries, {"EventDataStore": eds}), (ct.update_event_data_store, {"EventDataStore": eds, "Name": "x" * 3}), \
        (ct.delete_event_data_store, {"EventDataStore": eds}), (ct.list_tags, {"ResourceIdList": [arn]}), (ct.add_tags, {"ResourceId": arn, "TagsList": [{"Key": "a", "Value": "b"}]}):
    refused(call, "InactiveEventDataStoreException", **kw)
assert ct.restore_event_data_store(EventDataStore=arn)["Status"] == "ENABLED"
assert ct.get_query_results(QueryId=q)["QueryStatus"] == "FINISHED"

for i in range(9):
    ct.create_event_data_store(Name="more%d" % i)
refused(ct.create_event_data_store, "EventDataStoreMaxLimitExceededException", Name="more9")
refused(ct.update_event_data_store, "EventDataStoreAlreadyExistsException", EventDataStore=arn, Name="more1")
page = ct.list_event_data_stores(MaxResults=4)
assert [x["Name"] for x in page["EventDataStores"]] == ["more0", "more1", "more2", "more3"], page
page = ct.list_event_data_stores(NextToken=page["NextToken"])
assert len(page["EventDataStores"]) == 6 and "NextToken" not in page, page
for bad in arn.replace("us-east-1", "eu-west-1"), "not-one", "arn:aws:s3:::data", arn + "x":
    refused(ct.get_event_data_store, "EventDataStoreARNInvalidException", EventDataStore=bad)
refused(ct.get_event_data_store, "EventDataStoreNotFoundException", EventDataStore=arn[:-1] + ("0" if arn[-1] != "0" else "1"))
`)
	})
}

// Other accounts learn nothing of a store and its queries, who may not, cannot, and a
// store shows its own account's events alone.
func TestLakesOfOthers(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all", TagsList: []shape.Tag{{Key: "team", Value: "a"}}})
	other := b.User(t, apitest.Other, "other", apitest.Admin)
	theirs := b.lake(t, other, &shape.CreateEventDataStoreInput{Name: "all", AdvancedEventSelectors: everything()})
	b.act(t, "one")
	query := b.ask(t, b.admin, arn, "SELECT eventName FROM $ WHERE eventName = 'CreateAlias'")
	b.answering(t)

	if got := b.rows(t, other, theirs, "SELECT DISTINCT recipientAccountId FROM $"); got != apitest.Other {
		t.Errorf("a store has events of %s", got)
	}
	if got := b.rows(t, other, theirs, "SELECT count(*) FROM $ WHERE recipientAccountId = '"+apitest.Account+"' OR eventName = 'CreateAlias'"); got != "0" {
		t.Errorf("a store has %s events of another account", got)
	}
	refused[shape.GetEventDataStoreOutput](t, other, "cloudtrail:GetEventDataStore", &shape.GetEventDataStoreInput{EventDataStore: arn}, "EventDataStoreNotFoundException")
	refused[shape.GetEventDataStoreOutput](t, other, "cloudtrail:GetEventDataStore", &shape.GetEventDataStoreInput{EventDataStore: id(arn)}, "EventDataStoreNotFoundException")
	refused[shape.DeleteEventDataStoreOutput](t, other, "cloudtrail:DeleteEventDataStore", &shape.DeleteEventDataStoreInput{EventDataStore: arn}, "EventDataStoreNotFoundException")
	refused[shape.StartQueryOutput](t, other, "cloudtrail:StartQuery", &shape.StartQueryInput{QueryStatement: "SELECT eventName FROM " + id(arn)}, "EventDataStoreNotFoundException")
	refused[shape.DescribeQueryOutput](t, other, "cloudtrail:DescribeQuery", &shape.DescribeQueryInput{QueryId: query}, "QueryIdNotFoundException")
	refused[shape.GetQueryResultsOutput](t, other, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query, EventDataStore: theirs}, "QueryIdNotFoundException")
	refused[shape.GetQueryResultsOutput](t, other, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query, EventDataStore: arn}, "EventDataStoreNotFoundException")
	refused[shape.CancelQueryOutput](t, other, "cloudtrail:CancelQuery", &shape.CancelQueryInput{QueryId: query}, "QueryIdNotFoundException")
	refused[shape.ListTagsOutput](t, other, "cloudtrail:ListTags", &shape.ListTagsInput{ResourceIdList: []string{arn}}, "ResourceNotFoundException")
	if out := apitest.Must[shape.ListEventDataStoresOutput](t, other, "cloudtrail:ListEventDataStores", &shape.ListEventDataStoresInput{}); len(out.EventDataStores) != 1 {
		t.Errorf("another account has %+v", out.EventDataStores)
	}

	second := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "second"})
	some := b.User(t, apitest.Account, "some", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"cloudtrail:*","Resource":"*"},
		{"Effect":"Deny","Action":["cloudtrail:StartQuery","cloudtrail:GetQueryResults","cloudtrail:DescribeQuery","cloudtrail:CancelQuery"],"Resource":"`+arn+`"},
		{"Effect":"Deny","Action":"cloudtrail:DeleteEventDataStore","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}},
		{"Effect":"Deny","Action":"cloudtrail:AddTags","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"b"}}}]}`)
	b.rows(t, some, second, "SELECT eventName FROM $")
	refused[shape.StartQueryOutput](t, some, "cloudtrail:StartQuery", &shape.StartQueryInput{QueryStatement: "SELECT eventName FROM " + id(arn)}, "AccessDenied")
	refused[shape.GetQueryResultsOutput](t, some, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query}, "AccessDenied")
	refused[shape.GetQueryResultsOutput](t, some, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query, EventDataStore: second}, "QueryIdNotFoundException")
	refused[shape.DescribeQueryOutput](t, some, "cloudtrail:DescribeQuery", &shape.DescribeQueryInput{QueryId: query}, "AccessDenied")
	refused[shape.CancelQueryOutput](t, some, "cloudtrail:CancelQuery", &shape.CancelQueryInput{QueryId: query}, "AccessDenied")
	refused[shape.DeleteEventDataStoreOutput](t, some, "cloudtrail:DeleteEventDataStore", &shape.DeleteEventDataStoreInput{EventDataStore: arn}, "AccessDenied")
	refused[shape.CreateEventDataStoreOutput](t, some, "cloudtrail:CreateEventDataStore", &shape.CreateEventDataStoreInput{Name: "tagged", TagsList: []shape.Tag{{Key: "team", Value: "b"}}}, "AccessDenied")
	nobody := b.User(t, apitest.Account, "nobody")
	refused[shape.GetQueryResultsOutput](t, nobody, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: "00000000-0000-4000-8000-000000000000"}, "AccessDenied")
	refused[shape.StartQueryOutput](t, nobody, "cloudtrail:StartQuery", &shape.StartQueryInput{QueryStatement: "SELECT eventName FROM 00000000-0000-4000-8000-000000000000"}, "AccessDenied")
}

// A store has what was chosen when it happened, from its creation on, for its period.
func TestLakeIsAView(t *testing.T) {
	b := newBench(t)
	b.act(t, "before")
	b.Advance(time.Second)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	const aliases = "SELECT requestParameters.aliasName FROM $ WHERE eventName = 'CreateAlias' ORDER BY eventTime"
	step := func(alias string) {
		b.Advance(time.Second)
		b.act(t, alias)
		b.Advance(time.Second)
	}
	step("one")
	update := func(in *shape.UpdateEventDataStoreInput) {
		in.EventDataStore = arn
		apitest.Must[shape.UpdateEventDataStoreOutput](t, b.admin, "cloudtrail:UpdateEventDataStore", in)
	}
	update(&shape.UpdateEventDataStoreInput{AdvancedEventSelectors: []shape.AdvancedEventSelector{{FieldSelectors: []shape.AdvancedFieldSelector{is1("eventCategory", "Management"), is1("readOnly", "true")}}}})
	step("unheard")
	update(&shape.UpdateEventDataStoreInput{AdvancedEventSelectors: usualLake()})
	step("two")
	apitest.Must[shape.StopEventDataStoreIngestionOutput](t, b.admin, "cloudtrail:StopEventDataStoreIngestion", &shape.StopEventDataStoreIngestionInput{EventDataStore: arn})
	step("stopped")
	apitest.Must[shape.StartEventDataStoreIngestionOutput](t, b.admin, "cloudtrail:StartEventDataStoreIngestion", &shape.StartEventDataStoreIngestionInput{EventDataStore: arn})
	step("three")
	update(&shape.UpdateEventDataStoreInput{TerminationProtectionEnabled: no()})
	apitest.Must[shape.DeleteEventDataStoreOutput](t, b.admin, "cloudtrail:DeleteEventDataStore", &shape.DeleteEventDataStoreInput{EventDataStore: arn})
	step("deleted")
	apitest.Must[shape.RestoreEventDataStoreOutput](t, b.admin, "cloudtrail:RestoreEventDataStore", &shape.RestoreEventDataStoreInput{EventDataStore: arn})
	step("four")
	if got := b.rows(t, b.admin, arn, aliases); got != "alias/one alias/two alias/three alias/four" {
		t.Errorf("the store has %s", got)
	}
	// Who narrows, stops or deletes it is in it.
	if got := b.rows(t, b.admin, arn, "SELECT eventName, count(*) FROM $ WHERE eventName LIKE '%EventDataStore%' AND readOnly = false GROUP BY eventName"); got !=
		"CreateEventDataStore,1 DeleteEventDataStore,1 RestoreEventDataStore,1 StartEventDataStoreIngestion,1 StopEventDataStoreIngestion,1 UpdateEventDataStore,2" {
		t.Errorf("the store has %s", got)
	}
	// What is asked by the index and what is looked at one by one are the same.
	for _, where := range []string{"eventName = 'CreateAlias'", "userIdentity.userName = 'admin' AND eventName = 'CreateAlias'", "eventSource = 'kms.amazonaws.com' AND eventName LIKE 'CreateA%'", "errorCode = 'NotFoundException' AND eventName <> 'x'", "userIdentity.arn LIKE '%' AND eventTime > '2020-01-01' AND eventName IN ('CreateAlias')"} {
		if got := b.rows(t, b.admin, arn, "SELECT count(*) FROM $ WHERE "+where); got != "4" {
			t.Errorf("%s: %s", where, got)
		}
	}
	b.Advance(8 * 24 * time.Hour)
	update(&shape.UpdateEventDataStoreInput{RetentionPeriod: days(7)})
	step("late")
	if got := b.rows(t, b.admin, arn, aliases); got != "alias/late" {
		t.Errorf("after the period the store has %s", got)
	}
	swept(t, b)
	if got := b.rows(t, b.admin, arn, aliases); got != "alias/late" {
		t.Errorf("after a sweep the store has %s", got)
	}
}

func days(n int32) *int32 { return &n }

func swept(t testing.TB, b *bench) {
	t.Helper()
	if err := b.service.Sweep(context.Background(), b.Door.Store); err != nil {
		t.Fatal(err)
	}
}

// What is not chosen, such as who read which object, is not shown, whatever is asked.
func TestLakeShowsWhatIsChosen(t *testing.T) {
	b := newBench(t)
	arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "management"})
	data := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "data", AdvancedEventSelectors: everything()[1:]})
	apitest.Must[s3shape.PutObjectOutput](t, b.admin, "s3:PutObject", &s3shape.PutObjectInput{Bucket: "logs", Key: "a", Body: strings.NewReader("x")})
	for lake, want := range map[string]string{arn: "0", data: "1"} {
		if got := b.rows(t, b.admin, lake, "SELECT count(*) FROM $ WHERE eventName = 'PutObject' OR resources[1].ARN = 'arn:aws:s3:::logs/a'"); got != want {
			t.Errorf("%s events, want %s", got, want)
		}
		for _, where := range []string{"any_match(resources, r -> r.ARN = 'arn:aws:s3:::logs/a')", "any_match(resources, r -> r.ARN LIKE '%logs/a')", "resources[1].ARN = 'arn:aws:s3:::logs/a'"} {
			query := b.ask(t, b.admin, lake, "SELECT count(*) FROM $ WHERE "+where)
			b.answering(t)
			out := apitest.Must[shape.GetQueryResultsOutput](t, b.admin, "cloudtrail:GetQueryResults", &shape.GetQueryResultsInput{QueryId: query})
			looked := *b.described(t, b.admin, query).QueryStatistics.EventsScanned
			if got := joined(out.QueryResultRows); got != want || !strings.Contains(where, "LIKE") && looked > 1 {
				t.Errorf("%s: %s events of %d, want %s", where, got, looked, want)
			}
		}
	}
	if got := b.rows(t, b.admin, data, "SELECT DISTINCT eventCategory FROM $"); got != "Data" {
		t.Errorf("categories: %s", got)
	}
}

// A call that began before a change of the store and ends after it, as one does whose
// body is sent slowly, changes it after that: no event is shown twice.
func TestChangesOutOfOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.Advance(past)
		arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all", AdvancedEventSelectors: everything()})
		update := func(selectors []shape.AdvancedEventSelector) {
			t.Helper()
			apitest.Must[shape.UpdateEventDataStoreOutput](t, b.admin, "cloudtrail:UpdateEventDataStore", &shape.UpdateEventDataStoreInput{EventDataStore: arn, AdvancedEventSelectors: selectors})
		}
		b.Advance(10 * time.Second)
		b.act(t, "some")
		b.Advance(10 * time.Second)
		update(everything()[:1])
		b.Advance(-15 * time.Second)
		update(everything())
		apitest.Must[shape.StopEventDataStoreIngestionOutput](t, b.admin, "cloudtrail:StopEventDataStoreIngestion", &shape.StopEventDataStoreIngestionInput{EventDataStore: arn})
		apitest.Must[shape.StartEventDataStoreIngestionOutput](t, b.admin, "cloudtrail:StartEventDataStoreIngestion", &shape.StartEventDataStoreIngestionInput{EventDataStore: arn})
		b.Advance(time.Minute)
		if got := b.rows(t, b.admin, arn, "SELECT eventName, count(*) FROM $ WHERE NOT readOnly AND eventName <> 'StartQuery' GROUP BY eventName"); got !=
			"CreateAlias,1 CreateEventDataStore,1 StartEventDataStoreIngestion,1 StopEventDataStoreIngestion,1 UpdateEventDataStore,2" {
			t.Errorf("the store has %s", got)
		}
	})
}

// Who changes a store again and again fills no disk, and loses nothing by it.
func TestStoresThatChangeOften(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		arn := b.lake(t, b.admin, &shape.CreateEventDataStoreInput{Name: "all", TerminationProtectionEnabled: no(), RetentionPeriod: days(7)})
		chosen := func() int {
			return b.count(t, "SELECT sum(length(choice)) FROM cloudtrail_spans")
		}
		one := chosen()
		cycle := func() {
			t.Helper()
			b.act(t, "some")
			apitest.Must[shape.StopEventDataStoreIngestionOutput](t, b.admin, "cloudtrail:StopEventDataStoreIngestion", &shape.StopEventDataStoreIngestionInput{EventDataStore: arn})
			apitest.Must[shape.StartEventDataStoreIngestionOutput](t, b.admin, "cloudtrail:StartEventDataStoreIngestion", &shape.StartEventDataStoreIngestionInput{EventDataStore: arn})
			apitest.Must[shape.DeleteEventDataStoreOutput](t, b.admin, "cloudtrail:DeleteEventDataStore", &shape.DeleteEventDataStoreInput{EventDataStore: arn})
			apitest.Must[shape.RestoreEventDataStoreOutput](t, b.admin, "cloudtrail:RestoreEventDataStore", &shape.RestoreEventDataStoreInput{EventDataStore: arn})
		}
		for range 5 {
			cycle()
		}
		if n := chosen(); n != one {
			t.Errorf("%d characters are chosen, and were %d", n, one)
		}
		const aliases = "SELECT count(*) FROM $ WHERE eventName = 'CreateAlias'"
		if got := b.rows(t, b.admin, arn, aliases); got != "5" {
			t.Errorf("%s events", got)
		}
		b.Advance(8 * 24 * time.Hour)
		swept(t, b)
		cycle()
		if got := b.rows(t, b.admin, arn, aliases); got != "1" || b.count(t, "SELECT COUNT(*) FROM cloudtrail_spans") > 5 {
			t.Errorf("after a sweep %s events", got)
		}
		if err := b.Door.Store.Update(t.Context(), doing("UPDATE cloudtrail_spans SET choice = ? WHERE choice <> ''", strings.Repeat(" ", maxChosen))); err != nil {
			t.Fatal(err)
		}
		refused[shape.UpdateEventDataStoreOutput](t, b.admin, "cloudtrail:UpdateEventDataStore", &shape.UpdateEventDataStoreInput{EventDataStore: arn, AdvancedEventSelectors: everything()}, "ThrottlingException")
	})
}
