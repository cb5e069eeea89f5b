package server_test

import (
	"testing"
	"time"

	"bawn.dev/internal/server/servertest"
)

// An auditor asks a running server in SQL who read an object, as whom, and who was
// refused, in her own account alone; and finds her answer after a restart.
func TestLakeOfRunningServer(t *testing.T) {
	b := servertest.Start(t)
	query := b.Python(t, `
import time
ct, s3, iam, org = client("cloudtrail"), client("s3"), client("iam"), client("organizations")
eds = ct.create_event_data_store(Name="all", RetentionPeriod=7, AdvancedEventSelectors=[
    {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
    {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}]}])["EventDataStoreArn"].split("/")[1]
s3.create_bucket(Bucket="scans")
s3.put_object(Bucket="scans", Key="a.dcm", Body=b"x")

def person(name, policy):
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": policy}))
    k = iam.create_access_key(UserName=name)["AccessKey"]
    return dict(aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
ada = person("ada", [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::scans/*"}])
bob = person("bob", [{"Effect": "Allow", "Action": "cloudtrail:*", "Resource": "*"}, {"Effect": "Deny", "Action": "cloudtrail:GetQueryResults", "Resource": "arn:aws:cloudtrail:*:*:eventdatastore/" + eds}])
for _ in range(3):
    client("s3", **ada).get_object(Bucket="scans", Key="a.dcm")
refused(client("s3", **bob).get_object, "AccessDenied", Bucket="scans", Key="a.dcm")

def wait(ct, q):
    while (d := ct.describe_query(QueryId=q))["QueryStatus"] in ("QUEUED", "RUNNING"):
        time.sleep(0.05)
    assert d["QueryStatus"] == "FINISHED", d
    return q
def rows(statement):
    q = wait(ct, ct.start_query(QueryStatement=statement.replace("$", eds))["QueryId"])
    return [[v for column in row for v in column.values()] for row in ct.get_query_results(QueryId=q)["QueryResultRows"]]

assert rows("SELECT userIdentity.userName, count(*) FROM $ WHERE eventName = 'GetObject' AND requestParameters.key = 'a.dcm' AND errorCode IS NULL GROUP BY userIdentity.userName") == [["ada", "3"]]
assert rows("SELECT userIdentity.userName, errorCode FROM $ WHERE eventName = 'GetObject' AND errorCode IS NOT NULL") == [["bob", "AccessDenied"]]
assert rows("SELECT DISTINCT resources[1].ARN FROM $ WHERE resources[1].ARN = 'arn:aws:s3:::scans/a.dcm'") == [["arn:aws:s3:::scans/a.dcm"]]
assert rows("SELECT count(DISTINCT recipientAccountId) FROM $") == [["1"]]
assert rows("SELECT count(*) FROM $ WHERE userIdentity.accessKeyId = '%s' AND userIdentity.userName <> 'ada'" % ada["aws_access_key_id"]) == [["0"]]

theirs = client("cloudtrail", **bob)
q = wait(theirs, theirs.start_query(QueryStatement="SELECT eventName FROM " + eds)["QueryId"])
refused(theirs.get_query_results, "AccessDeniedException", QueryId=q)
print(q)
`)
	b.Restart(t)
	b.Python(t, `
out = client("cloudtrail").get_query_results(QueryId=sys.argv[1].strip())
assert out["QueryStatus"] == "FINISHED" and {"eventName": "CreateEventDataStore"} in out["QueryResultRows"][-1], out["QueryResultRows"][-3:]
`, query)
}

// What a store shows is not pruned, and no store promises more than the record keeps.
func TestStoresHoldTheRecord(t *testing.T) {
	b := servertest.Start(t)
	b.Config.Retain = 30
	b.Restart(t)
	eds := b.Python(t, `
ct = client("cloudtrail")
e = refused(ct.create_event_data_store, "InvalidParameterException", Name="all", RetentionPeriod=31)
assert "30 days" in str(e), e
client("iam").create_user(UserName="before")
made = ct.create_event_data_store(Name="all")
assert made["RetentionPeriod"] == 30, made
client("iam").create_user(UserName="after")
print(made["EventDataStoreArn"].split("/")[1])
`)
	later := time.Now().AddDate(0, 0, 60)
	pass(t, b, later, 31*day)
	if gone, err := b.PruneAt(t.Context(), later); err != nil {
		t.Errorf("%d pruned, %v", gone, err)
	}
	b.Python(t, `
import time
ct = client("cloudtrail")
q = ct.start_query(QueryStatement="SELECT requestParameters.userName FROM %s WHERE eventName = 'CreateUser'" % sys.argv[1].strip())["QueryId"]
while ct.describe_query(QueryId=q)["QueryStatus"] in ("QUEUED", "RUNNING"):
    time.sleep(0.05)
rows = ct.get_query_results(QueryId=q)["QueryResultRows"]
assert rows == [[{"userName": "after"}]], (rows, ct.describe_query(QueryId=q))
`, eds)
}
