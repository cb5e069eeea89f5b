package job

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// An order is a job as the tests ask for it. The zero value is one of the smallest
// kind, in no network.
type order struct {
	program  string            // a file of testdata
	command  []string          // instead of it
	hyper    map[string]string // hyperparameters
	env      map[string]string
	place    *network
	group    string // in place; jobs, if empty
	isolated bool
	instance string
	seconds  int
	who      string // ada, if empty
	role     string
	key      string // of the volume
	image    string
}

// A status is what Describe says of a job.
type status struct {
	TrainingJobArn, TrainingJobStatus, SecondaryStatus, FailureReason, RoleArn string
	CreationTime                                                               float64
	ModelArtifacts                                                             struct{ S3ModelArtifacts string }
	SecondaryStatusTransitions                                                 []struct{ Status string }
}

var jobs atomic.Int64

func (h *house) request(name string, o order) args {
	if o.instance == "" {
		o.instance = "ml.m5.large"
	}
	if o.seconds == 0 {
		o.seconds = 600
	}
	if o.role == "" {
		o.role = h.role
	}
	if o.key == "" {
		o.key = h.key
	}
	if o.image == "" {
		o.image = imageName
	}
	in := args{
		"TrainingJobName": name, "RoleArn": o.role,
		"OutputDataConfig":  args{"S3OutputPath": "s3://" + bucket + "/models", "KmsKeyId": h.key},
		"ResourceConfig":    args{"InstanceType": o.instance, "InstanceCount": 1, "VolumeSizeInGB": 1, "VolumeKmsKeyId": o.key},
		"StoppingCondition": args{"MaxRuntimeInSeconds": o.seconds},
	}
	if len(o.command) == 0 {
		o.command = []string{"python3", "-u", "/opt/ml/input/data/code/" + o.program}
		in["InputDataConfig"] = []args{{"ChannelName": "code", "DataSource": args{"S3DataSource": args{
			"S3DataType": "S3Prefix", "S3Uri": "s3://" + bucket + "/code/" + o.program + "/", "S3DataDistributionType": "FullyReplicated"}}}}
	}
	in["AlgorithmSpecification"] = args{"TrainingImage": o.image, "TrainingInputMode": "File", "ContainerEntrypoint": o.command}
	if o.hyper != nil {
		in["HyperParameters"] = o.hyper
	}
	if o.env != nil {
		in["Environment"] = o.env
	}
	if o.place != nil {
		if o.group == "" {
			o.group = o.place.jobs
		}
		in["VpcConfig"] = args{"Subnets": []string{o.place.subnet}, "SecurityGroupIds": []string{o.group}}
	}
	if o.isolated {
		in["EnableNetworkIsolation"] = true
	}
	return in
}

// try asks for a job.
func (h *house) try(t testing.TB, o order) (name string, _ *refusal) {
	t.Helper()
	name = fmt.Sprintf("job-%d", jobs.Add(1))
	if o.who == "" {
		o.who = "ada"
	}
	return name, h.call(t, o.who, "sagemaker", "create_training_job", h.request(name, o), nil)
}

func (h *house) start(t testing.TB, o order) string {
	t.Helper()
	name, r := h.try(t, o)
	if r != nil {
		t.Fatal(r)
	}
	return name
}

// eventually asks until it is so. Who waits that long has found a defect.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for hope := time.After(2 * time.Minute); !so(); {
		select {
		case <-tick.C:
		case <-hope:
			t.Fatalf("in vain: %s", what)
		}
	}
}

// describe is what the job is now; nil while nobody answers.
func (h *house) describe(t testing.TB, name string) *status {
	t.Helper()
	var s status
	if r := h.call(t, "admin", "sagemaker", "describe_training_job", args{"TrainingJobName": name}, &s); r != nil {
		if r.Code == unreachable {
			return nil
		}
		t.Fatal(r)
	}
	return &s
}

func (s *status) over() bool {
	return s.TrainingJobStatus == "Completed" || s.TrainingJobStatus == "Failed" || s.TrainingJobStatus == "Stopped"
}

// end waits until the job is over.
func (h *house) end(t testing.TB, name string) *status {
	t.Helper()
	var s *status
	eventually(t, name+" ends", func() bool { s = h.describe(t, name); return s != nil && s.over() })
	return s
}

// completed is end, for a job that must succeed.
func (h *house) completed(t testing.TB, name string) *status {
	t.Helper()
	s := h.end(t, name)
	if s.TrainingJobStatus != "Completed" {
		t.Fatalf("%s is %s: %s\n%s", name, s.TrainingJobStatus, s.FailureReason, strings.Join(h.lines(t, name), "\n"))
	}
	return s
}

// A line is what a job has printed, and when in milliseconds.
type line struct {
	Message   string
	Timestamp int64
}

func (h *house) events(t testing.TB, name string) (all []line) {
	t.Helper()
	const group = "/aws/sagemaker/TrainingJobs"
	var streams struct {
		LogStreams []struct{ LogStreamName string }
	}
	r := h.call(t, "admin", "logs", "describe_log_streams", args{"logGroupName": group, "logStreamNamePrefix": name + "/"}, &streams)
	if r != nil || len(streams.LogStreams) == 0 {
		return nil
	}
	in := args{"logGroupName": group, "logStreamName": streams.LogStreams[0].LogStreamName, "startFromHead": true}
	for {
		var page struct {
			Events           []line
			NextForwardToken string
		}
		if r := h.call(t, "admin", "logs", "get_log_events", in, &page); r != nil {
			return nil
		}
		all = append(all, page.Events...)
		if len(page.Events) == 0 || in["nextToken"] == page.NextForwardToken {
			return all
		}
		in["nextToken"] = page.NextForwardToken
	}
}

func (h *house) lines(t testing.TB, name string) (all []string) {
	t.Helper()
	for _, e := range h.events(t, name) {
		all = append(all, e.Message)
	}
	return all
}

// says waits for a line that begins so, and answers the rest of it.
func (h *house) says(t testing.TB, name, prefix string) string {
	t.Helper()
	var rest string
	eventually(t, fmt.Sprintf("%s says %q", name, prefix), func() bool {
		over := h.describe(t, name)
		for _, l := range h.lines(t, name) {
			if after, ok := strings.CutPrefix(l, prefix); ok {
				rest = after
				return true
			}
		}
		if over != nil && over.over() {
			t.Fatalf("%s ended as %s without saying %q: %s\n%s", name, over.TrainingJobStatus, prefix, over.FailureReason, strings.Join(h.lines(t, name), "\n"))
		}
		return false
	})
	return rest
}

// found reads what a probe has printed about one thing.
func found[T any](t testing.TB, lines []string, name string) (out T) {
	t.Helper()
	for _, l := range lines {
		if rest, ok := strings.CutPrefix(l, "FOUND "+name+" "); ok {
			if err := json.Unmarshal([]byte(rest), &out); err != nil {
				t.Fatalf("%s: %v: %s", name, err, rest)
			}
			return out
		}
	}
	t.Fatalf("the probe says nothing of %s:\n%s", name, strings.Join(lines, "\n"))
	return out
}
