package sagemaker

import (
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	kmsshape "bawn.dev/internal/shape/kms"
	shape "bawn.dev/internal/shape/sagemaker"
)

const allJobs = `{"Effect":"Allow","Action":"sagemaker:*","Resource":"*"}`

func passes(role, condition string) string {
	return `{"Effect":"Allow","Action":"iam:PassRole","Resource":"` + role + `"` + condition + `}`
}

// A role gives its permissions to whoever may pass it: without that, no job.
func TestPassRole(t *testing.T) {
	h := newHouse(t, only(train))
	for name, c := range map[string]struct {
		statements string
		allowed    bool
	}{
		"nopass":   {allJobs, false},
		"other":    {allJobs + "," + passes(h.role+"2", ""), false},
		"wrongsvc": {allJobs + "," + passes(h.role, `,"Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}`), false},
		"right":    {allJobs + "," + passes(h.role, `,"Condition":{"StringEquals":{"iam:PassedToService":"sagemaker.amazonaws.com"}}`), true},
		"nojob":    {passes(h.role, ""), false},
	} {
		who := h.user(name, c.statements)
		_, err := apitest.CallAs[shape.CreateTrainingJobOutput](t, h.Rig, who, "", "sagemaker:CreateTrainingJob", h.request(name))
		if (err == nil) != c.allowed || err != nil && err.Code != "AccessDenied" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoleMustTrust(t *testing.T) {
	h := newHouse(t, only(train))
	in := h.request("x")
	in.RoleArn = h.newRole("closed", `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`, allJobs)
	refused(h, h.admin, in, "ValidationException", "Could not assume role "+in.RoleArn)
	in.RoleArn = h.newRole("account", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+apitest.Account+`:root"},"Action":"sts:AssumeRole"}`, allJobs)
	refused(h, h.admin, in, "ValidationException", "Could not assume role")
	in.RoleArn = h.newRole("others", `{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sagemaker:us-east-1:`+apitest.Account+`:training-job/other"}}}`, allJobs)
	refused(h, h.admin, in, "ValidationException", "Could not assume role")
	in.RoleArn = "arn:aws:iam::" + apitest.Account + ":role/none"
	refused(h, h.admin, in, "ValidationException", "Could not assume role")
	in.RoleArn = "arn:aws:iam::" + apitest.Other + ":role/execution"
	refused(h, h.admin, in, "ValidationException", "Cross-account pass role is not allowed")
	who := h.user("curious", allJobs)
	in.RoleArn = "arn:aws:iam::" + apitest.Account + ":role/none"
	refused(h, who, in, "AccessDenied", "iam:PassRole") // and does not hear that there is no such role
}

// Each condition key can refuse a job, by what it is asked for.
func TestConditionKeys(t *testing.T) {
	h := newHouse(t, only(train))
	h.private()
	key := h.newKey()
	call[kmsshape.CreateAliasOutput](h, h.admin, "kms:CreateAlias", &kmsshape.CreateAliasInput{AliasName: "alias/other-name", TargetKeyId: key.KeyId})
	for i, c := range []struct {
		condition string // under which it is denied
		change    func(*shape.CreateTrainingJobInput)
	}{
		{`"ForAnyValue:StringNotLike":{"sagemaker:InstanceTypes":"ml.m5.*"}`, func(in *shape.CreateTrainingJobInput) { in.ResourceConfig.InstanceType = "ml.c5.xlarge" }},
		{`"NumericGreaterThan":{"sagemaker:MaxRuntimeInSeconds":"3600"}`, func(in *shape.CreateTrainingJobInput) { in.StoppingCondition = nil }},
		{`"Bool":{"sagemaker:NetworkIsolation":"true"}`, func(in *shape.CreateTrainingJobInput) { in.EnableNetworkIsolation = ptr(true) }},
		{`"Bool":{"sagemaker:InterContainerTrafficEncryption":"true"}`, func(in *shape.CreateTrainingJobInput) { in.EnableInterContainerTrafficEncryption = ptr(true) }},
		{`"ArnEquals":{"sagemaker:VolumeKmsKey":"` + key.Arn + `"}`, func(in *shape.CreateTrainingJobInput) { in.ResourceConfig.VolumeKmsKeyId = "alias/other-name" }},
		{`"ArnEquals":{"sagemaker:OutputKmsKey":"` + key.Arn + `"}`, func(in *shape.CreateTrainingJobInput) { in.OutputDataConfig.KmsKeyId = key.KeyId }},
		{`"Null":{"sagemaker:VpcSubnets":"false"}`, func(in *shape.CreateTrainingJobInput) { in.VpcConfig = h.inVPC("x").VpcConfig }},
		{`"ForAnyValue:StringEquals":{"sagemaker:VpcSecurityGroupIds":"` + h.group + `"}`, func(in *shape.CreateTrainingJobInput) { in.VpcConfig = h.inVPC("x").VpcConfig }},
		{`"StringEquals":{"aws:RequestTag/team":"red"}`, func(in *shape.CreateTrainingJobInput) { in.Tags = []shape.Tag{{Key: "team", Value: "red"}} }},
	} {
		who := h.user(fmt.Sprint("user", i), allJobs+","+passes(h.role, "")+`,{"Effect":"Deny","Action":"sagemaker:CreateTrainingJob","Resource":"*","Condition":{`+c.condition+`}}`)
		in := h.request(fmt.Sprint("plain", i))
		if _, err := apitest.CallAs[shape.CreateTrainingJobOutput](t, h.Rig, who, "", "sagemaker:CreateTrainingJob", in); err != nil {
			t.Errorf("%s: what it does not speak of is refused: %v", c.condition, err)
		}
		in = h.request(fmt.Sprint("changed", i))
		c.change(in)
		refused(h, who, in, "AccessDenied", "explicit deny")
	}
}

func TestTagsNeedTheirOwnPermission(t *testing.T) {
	h := newHouse(t, only(train))
	who := h.user("tagless", `{"Effect":"Allow","Action":"sagemaker:CreateTrainingJob","Resource":"*"},`+passes(h.role, ""))
	in := h.request("tags")
	in.Tags = []shape.Tag{{Key: "team", Value: "red"}}
	refused(h, who, in, "AccessDenied", "sagemaker:AddTags")
	in.Tags = []shape.Tag{{Key: "team", Value: "red"}, {Key: "Team", Value: "blue"}}
	refused(h, h.admin, in, "ValidationException", "differ in more than case")
	in.Tags = []shape.Tag{{Key: "AWS:team", Value: "red"}}
	refused(h, h.admin, in, "ValidationException", "reserved")
}

func TestNamesAreUsedOnce(t *testing.T) {
	h := newHouse(t, only(train))
	h.create(h.request("Name"))
	refused(h, h.admin, h.request("Name"), "ResourceInUse", "already exists")
	refused(h, h.admin, h.request("name"), "ResourceInUse", "training-job/name")
}

// What is not served is refused by its name.
func TestRefusedByName(t *testing.T) {
	h := newHouse(t, only(train))
	for text, change := range map[string]func(*shape.CreateTrainingJobInput){
		"TrainingInputMode Pipe": func(in *shape.CreateTrainingJobInput) { in.AlgorithmSpecification.TrainingInputMode = "Pipe" },
		"MetricDefinitions": func(in *shape.CreateTrainingJobInput) {
			in.AlgorithmSpecification.MetricDefinitions = []shape.MetricDefinition{{Name: "x", Regex: "y"}}
		},
		"EnableSageMakerMetricsTimeSeries": func(in *shape.CreateTrainingJobInput) {
			in.AlgorithmSpecification.EnableSageMakerMetricsTimeSeries = ptr(true)
		},
		"not found":            func(in *shape.CreateTrainingJobInput) { in.AlgorithmSpecification.TrainingImage = "none:1" },
		"InputMode FastFile":   func(in *shape.CreateTrainingJobInput) { in.InputDataConfig[0].InputMode = "FastFile" },
		"CompressionType Gzip": func(in *shape.CreateTrainingJobInput) { in.InputDataConfig[0].CompressionType = "Gzip" },
		"RecordIO":             func(in *shape.CreateTrainingJobInput) { in.InputDataConfig[0].RecordWrapperType = "RecordIO" },
		"ShuffleConfig":        func(in *shape.CreateTrainingJobInput) { in.InputDataConfig[0].ShuffleConfig = &shape.ShuffleConfig{} },
		"ManifestFile": func(in *shape.CreateTrainingJobInput) {
			in.InputDataConfig[0].DataSource.S3DataSource.S3DataType = "ManifestFile"
		},
		"S3Uri": func(in *shape.CreateTrainingJobInput) {
			in.InputDataConfig[0].DataSource.S3DataSource.S3Uri = "https://x/y"
		},
		"that of a directory": func(in *shape.CreateTrainingJobInput) { in.InputDataConfig[0].ChannelName = ".." },
		"used twice": func(in *shape.CreateTrainingJobInput) {
			in.InputDataConfig = append(in.InputDataConfig, in.InputDataConfig[0])
		},
		"CompressionType NONE":  func(in *shape.CreateTrainingJobInput) { in.OutputDataConfig.CompressionType = "NONE" },
		"InstanceType ml.p3":    func(in *shape.CreateTrainingJobInput) { in.ResourceConfig.InstanceType = "ml.p3.2xlarge" },
		"InstanceCount 2":       func(in *shape.CreateTrainingJobInput) { in.ResourceConfig.InstanceCount = ptr(int32(2)) },
		"VolumeSizeInGB":        func(in *shape.CreateTrainingJobInput) { in.ResourceConfig.VolumeSizeInGB = ptr(int32(0)) },
		"MaxRuntimeInSeconds":   func(in *shape.CreateTrainingJobInput) { in.StoppingCondition.MaxRuntimeInSeconds = ptr(int32(1 << 30)) },
		"zero byte":             func(in *shape.CreateTrainingJobInput) { in.Environment["X"] = "a\x00b" },
		"ContainerEntrypoint n": func(in *shape.CreateTrainingJobInput) { in.AlgorithmSpecification.ContainerEntrypoint = []string{""} },
	} {
		in := h.request("refused")
		change(in)
		refused(h, h.admin, in, "ValidationException", text)
	}
}

// What one account has, another neither sees nor touches.
func TestTwoAccounts(t *testing.T) {
	h := newHouse(t, only(untilTold))
	id := h.create(h.request("mine"))
	h.settle(id)
	arn := h.describe("mine").TrainingJobArn
	other := h.other()
	for _, err := range []*api.Error{
		second(apitest.CallAs[shape.DescribeTrainingJobOutput](t, h.Rig, other, "", "sagemaker:DescribeTrainingJob", &shape.DescribeTrainingJobInput{TrainingJobName: "mine"})),
		second(apitest.CallAs[shape.StopTrainingJobOutput](t, h.Rig, other, "", "sagemaker:StopTrainingJob", &shape.StopTrainingJobInput{TrainingJobName: "mine"})),
	} {
		if err == nil || err.Message != "Requested resource not found." {
			t.Errorf("%v", err)
		}
	}
	for _, err := range []*api.Error{
		second(apitest.CallAs[shape.ListTagsOutput](t, h.Rig, other, "", "sagemaker:ListTags", &shape.ListTagsInput{ResourceArn: arn})),
		second(apitest.CallAs[shape.AddTagsOutput](t, h.Rig, other, "", "sagemaker:AddTags", &shape.AddTagsInput{ResourceArn: arn, Tags: []shape.Tag{{Key: "x", Value: "y"}}})),
	} {
		if err == nil || err.Code != "AccessDenied" {
			t.Errorf("%v", err)
		}
	}
	if list := call[shape.ListTrainingJobsOutput](h, other, "sagemaker:ListTrainingJobs", &shape.ListTrainingJobsInput{}); len(list.TrainingJobSummaries) != 0 {
		t.Errorf("the other account sees %v", list.TrainingJobSummaries)
	}
	h.stop("mine")
	h.finish(id)
}

func second[T any](_ *T, err *api.Error) *api.Error { return err }

func TestListing(t *testing.T) {
	h := newHouse(t, only(train))
	var ids []string
	for _, name := range []string{"c-one", "a-two", "b-one"} {
		ids = append(ids, h.create(h.request(name)))
	}
	h.finish(ids[1])
	names := func(in *shape.ListTrainingJobsInput) string {
		var all []string
		in.MaxResults = ptr(int32(2))
		for {
			page := call[shape.ListTrainingJobsOutput](h, h.admin, "sagemaker:ListTrainingJobs", in)
			for _, j := range page.TrainingJobSummaries {
				all = append(all, j.TrainingJobName)
			}
			if in.NextToken = page.NextToken; in.NextToken == "" {
				return strings.Join(all, " ")
			}
		}
	}
	for want, in := range map[string]*shape.ListTrainingJobsInput{
		"c-one a-two b-one": {},
		"b-one a-two c-one": {SortOrder: "Descending"},
		"a-two b-one c-one": {SortBy: "Name"},
		"c-one b-one a-two": {SortBy: "Status", SortOrder: "Descending"},
		"c-one b-one":       {NameContains: "ONE"},
		"a-two":             {StatusEquals: "Completed"},
		"":                  {CreationTimeAfter: h.Now().Add(3600e9)},
	} {
		if got := names(in); got != want {
			t.Errorf("%+v lists %q, not %q", in, got, want)
		}
	}
	for _, token := range []string{"x", "!", encodeToken("no slash"), encodeToken("nan/x")} {
		if _, err := apitest.CallAs[shape.ListTrainingJobsOutput](t, h.Rig, h.admin, "", "sagemaker:ListTrainingJobs", &shape.ListTrainingJobsInput{NextToken: token}); err == nil {
			t.Errorf("the token %q is taken", token)
		}
	}
}

func TestInstanceTypes(t *testing.T) {
	for name, want := range map[string][2]int64{
		"ml.m5.large": {2, 8}, "ml.c5.xlarge": {4, 8}, "ml.r5.24xlarge": {96, 768}, "ml.t3.medium": {2, 4}, "ml.c4.8xlarge": {36, 60}, "ml.c5.18xlarge": {72, 144},
		"ml.m5.12xlarge": {48, 192}, "ml.m4.10xlarge": {40, 160},
	} {
		l, ok := limits(name)
		if !ok || l.MilliCPUs != want[0]*1000 || l.MemoryBytes != want[1]*gib {
			t.Errorf("%s: %+v", name, l)
		}
	}
	for _, name := range []string{"", "ml.", "ml.p3.2xlarge", "ml.g5.xlarge", "ml.m5", "m5.huge", "ml.m5.large.x"} {
		if l, ok := limits(name); ok {
			t.Errorf("%s means %+v", name, l)
		}
	}
}
