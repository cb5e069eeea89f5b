package logs

import "testing"

func TestBoto3(t *testing.T) { onBoth(t, boto3) }

// boto3 makes the calls that `aws logs tail --follow` (CLI version 2) and the
// SageMaker SDK's log reader make.
func boto3(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
import time
l = client("logs")
g = "/aws/sagemaker/TrainingJobs"
l.create_log_group(logGroupName=g, tags={"team": "red"})
refused(l.create_log_group, "ResourceAlreadyExistsException", logGroupName=g)
refused(l.create_log_stream, "ResourceNotFoundException", logGroupName="none", logStreamName="s")
for s in ("job-a/algo-1-1", "job-a/algo-1-2", "job-b/algo-1-1"):
    l.create_log_stream(logGroupName=g, logStreamName=s)
refused(l.create_log_stream, "ResourceAlreadyExistsException", logGroupName=g, logStreamName="job-a/algo-1-1")
now = int(time.time() * 1000)
for i, s in enumerate(("job-a/algo-1-1", "job-a/algo-1-2", "job-b/algo-1-1")):
    l.put_log_events(logGroupName=g, logStreamName=s, logEvents=[
        {"timestamp": now - 1000 + i, "message": "first of " + s}, {"timestamp": now + i, "message": "ERROR in " + s}])
refused(l.put_log_events, "ResourceNotFoundException", logGroupName=g, logStreamName="none", logEvents=[{"timestamp": now, "message": "x"}])
refused(l.put_log_events, "InvalidParameterException", logGroupName=g, logStreamName="job-a/algo-1-1",
    logEvents=[{"timestamp": now, "message": "x"}, {"timestamp": now - 5, "message": "y"}])

groups = l.describe_log_groups(logGroupNamePrefix="/aws/sage")["logGroups"]
assert [x["logGroupName"] for x in groups] == [g] and groups[0]["arn"].endswith(g + ":*") and groups[0]["storedBytes"] > 0, groups
assert l.describe_log_groups(logGroupNamePattern="TRAINING")["logGroups"]
assert not l.describe_log_groups(logGroupNamePrefix="training")["logGroups"]

# The SDK: streams of a job by prefix, then each from its head by token.
streams = l.describe_log_streams(logGroupName=g, logStreamNamePrefix="job-a/", orderBy="LogStreamName")["logStreams"]
assert [s["logStreamName"] for s in streams] == ["job-a/algo-1-1", "job-a/algo-1-2"], streams
assert streams[0]["lastEventTimestamp"] == now and streams[0]["firstEventTimestamp"] == now - 1000, streams
page = l.get_log_events(logGroupName=g, logStreamName="job-a/algo-1-1", startFromHead=True)
assert [e["message"] for e in page["events"]] == ["first of job-a/algo-1-1", "ERROR in job-a/algo-1-1"], page
again = l.get_log_events(logGroupName=g, logStreamName="job-a/algo-1-1", startFromHead=True, nextToken=page["nextForwardToken"])
assert again["events"] == [] and again["nextForwardToken"] == page["nextForwardToken"]
paged = [s["logStreamName"] for p in l.get_paginator("describe_log_streams").paginate(
    logGroupName=g, orderBy="LastEventTime", descending=True, PaginationConfig={"PageSize": 1}) for s in p["logStreams"]]
assert paged == ["job-b/algo-1-1", "job-a/algo-1-2", "job-a/algo-1-1"], paged

# tail --follow: filter from a start time, remember ids at the newest timestamp, ask again.
seen, start, got = set(), now - 5000, []
def tail():
    global start, seen
    fresh = []
    for p in l.get_paginator("filter_log_events").paginate(logGroupIdentifier=groups[0]["logGroupArn"], interleaved=True, startTime=start):
        for e in p["events"]:
            if e["eventId"] not in seen:
                seen.add(e["eventId"]); fresh.append(e["message"]); start = max(start, e["timestamp"])
    return fresh
assert len(tail()) == 6 and tail() == []
l.put_log_events(logGroupName=g, logStreamName="job-b/algo-1-1", logEvents=[{"timestamp": now + 2, "message": "one more"}])
assert tail() == ["one more"] and tail() == []

f = lambda **kw: [e["message"] for e in l.filter_log_events(logGroupName=g, **kw)["events"]]
assert f(filterPattern="ERROR", logStreamNamePrefix="job-a/") == ["ERROR in job-a/algo-1-1", "ERROR in job-a/algo-1-2"]
assert f(filterPattern='-ERROR "of job-b"') == ["first of job-b/algo-1-1"]
assert f(logStreamNames=["job-b/algo-1-1"], endTime=now - 1) == ["first of job-b/algo-1-1"]
refused(l.filter_log_events, "InvalidParameterException", logGroupName=g, filterPattern="{ $.level = 1 }")
refused(l.filter_log_events, "ResourceNotFoundException", logGroupName=g, logStreamNames=["none"])
refused(l.get_log_events, "InvalidParameterException", logGroupName=g, logStreamName="job-a/algo-1-1", nextToken="f/1")
refused(l.get_log_events, "ResourceNotFoundException", logGroupName=g, logStreamName="none")
l.delete_log_group(logGroupName=g)
refused(l.delete_log_group, "ResourceNotFoundException", logGroupName=g)
`)
}
