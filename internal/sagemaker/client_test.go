package sagemaker

import (
	"context"
	"testing"

	"bawn.dev/internal/api/apitest"
	iamshape "bawn.dev/internal/shape/iam"
)

// The flow of a data scientist with boto3: data in, a job, its waiter, its log as the
// SageMaker SDK follows it, the model out; and what the API refuses.
func TestBoto3(t *testing.T) {
	h := newHouse(t, only(train))
	h.private()
	h.endpoint(openPolicy)
	h.service.poll = 1
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.service.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	h.Python(t, h.key, `
import io, tarfile
sm, logs, s3 = client("sagemaker"), client("logs"), client("s3")
role = "`+h.role+`"
request = dict(
    TrainingJobName="Boto-Job", RoleArn=role,
    AlgorithmSpecification={"TrainingImage": "`+testImage+`", "TrainingInputMode": "File"},
    InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "CompressionType": "None", "RecordWrapperType": "None",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/", "S3DataDistributionType": "FullyReplicated"}}}],
    OutputDataConfig={"S3OutputPath": "s3://data/out", "KmsKeyId": ""},
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    StoppingCondition={"MaxRuntimeInSeconds": 600}, HyperParameters={"depth": "3"}, Environment={"A": "b"},
    VpcConfig={"Subnets": ["`+h.subnet+`"], "SecurityGroupIds": ["`+h.group+`"]},
    Tags=[{"Key": "team", "Value": "red"}],
    # What the SDK sends unasked.
    ProfilerConfig={"S3OutputPath": "s3://data/out", "DisableProfiler": True}, DebugHookConfig={"S3OutputPath": "s3://data/out", "CollectionConfigurations": []},
)
arn = sm.create_training_job(**request)["TrainingJobArn"]
assert arn.endswith(":training-job/boto-job"), arn
refused(sm.create_training_job, "ResourceInUse", **request)
sm.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="Boto-Job", WaiterConfig={"Delay": 0, "MaxAttempts": 100000})
d = sm.describe_training_job(TrainingJobName="Boto-Job")
assert d["TrainingJobStatus"] == "Completed" and d["ProfilingStatus"] == "Disabled", d
assert [t["Status"] for t in d["SecondaryStatusTransitions"]] == ["Starting", "Downloading", "Training", "Uploading", "Completed"], d
assert d["HyperParameters"] == {"depth": "3"} and d["VpcConfig"]["Subnets"] == ["`+h.subnet+`"] and not d["EnableNetworkIsolation"], d
assert d["TrainingEndTime"] >= d["TrainingStartTime"] >= d["CreationTime"] and d["BillableTimeInSeconds"] >= 1, d
bucket, key = d["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").split("/", 1)
tar = tarfile.open(fileobj=io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
assert "model.bin" in tar.getnames(), tar.getnames()
stream = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="Boto-Job/")["logStreams"][0]["logStreamName"]
events = logs.get_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream, startFromHead=True)["events"]
assert events[0]["message"] == "rows: 4,5,6", events
assert sm.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "red"}]
assert {t["Key"] for t in sm.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": ""}])["Tags"]} == {"team", "more"}
assert [j["TrainingJobName"] for p in sm.get_paginator("list_training_jobs").paginate(NameContains="boto", StatusEquals="Completed") for j in p["TrainingJobSummaries"]] == ["Boto-Job"]
refused(sm.stop_training_job, "ValidationException", TrainingJobName="Boto-Job")
refused(sm.describe_training_job, "ValidationException", TrainingJobName="none")
refused(sm.create_training_job, "ValidationException", **dict(request, TrainingJobName="two", ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}))
e = refused(sm.create_training_job, None, **dict(request, TrainingJobName="spot", EnableManagedSpotTraining=True))
assert "EnableManagedSpotTraining" in str(e), e
`)
	// Somebody else who may read jobs but not pass the role makes none.
	who := h.user("eve", allJobs)
	key := call[iamshape.CreateAccessKeyOutput](h, h.admin, "iam:CreateAccessKey", &iamshape.CreateAccessKeyInput{UserName: "eve"}).AccessKey
	_ = who
	h.Python(t, &apitest.Caller{AccessKeyID: key.AccessKeyId, Secret: key.SecretAccessKey}, `
sm = client("sagemaker")
d = sm.describe_training_job(TrainingJobName="Boto-Job")
e = refused(sm.create_training_job, "AccessDeniedException", TrainingJobName="hers", RoleArn=d["RoleArn"],
    AlgorithmSpecification=d["AlgorithmSpecification"], OutputDataConfig=d["OutputDataConfig"], ResourceConfig=d["ResourceConfig"], StoppingCondition=d["StoppingCondition"])
assert "iam:PassRole" in str(e), e
`)
}
