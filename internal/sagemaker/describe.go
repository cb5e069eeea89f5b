package sagemaker

import (
	"context"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/store"
)

func (s *Service) describedJob(_ context.Context, c *api.Call, in *shape.DescribeTrainingJobInput) (*found, []api.Demand, error) {
	return s.on(c, "DescribeTrainingJob", in.TrainingJobName)
}

func (s *Service) describeTrainingJob(_ context.Context, _ *api.Call, _ *shape.DescribeTrainingJobInput, f *found) (*shape.DescribeTrainingJobOutput, error) {
	j := f.job
	in, err := s.openRequest(j)
	if err != nil {
		return nil, err
	}
	reason, err := s.openReason(j)
	if err != nil {
		return nil, err
	}
	no, seconds := false, int32(maxSeconds(in))
	out := &shape.DescribeTrainingJobOutput{
		TrainingJobName: j.shown, TrainingJobArn: j.arn, TrainingJobStatus: j.status, SecondaryStatus: j.secondary, FailureReason: reason,
		ModelArtifacts: &shape.ModelArtifacts{S3ModelArtifacts: j.model}, RoleArn: j.role,
		AlgorithmSpecification: in.AlgorithmSpecification, InputDataConfig: in.InputDataConfig, OutputDataConfig: in.OutputDataConfig,
		ResourceConfig: in.ResourceConfig, VpcConfig: in.VpcConfig, StoppingCondition: &shape.StoppingCondition{MaxRuntimeInSeconds: &seconds},
		HyperParameters: in.HyperParameters, Environment: in.Environment,
		EnableNetworkIsolation: either(in.EnableNetworkIsolation, &no), EnableManagedSpotTraining: &no,
		EnableInterContainerTrafficEncryption: either(in.EnableInterContainerTrafficEncryption, &no),
		CreationTime:                          j.created, LastModifiedTime: j.modified, TrainingStartTime: j.started,
		ProfilingStatus: shape.ProfilingStatusDisabled,
	}
	if !j.started.IsZero() && !j.ended.IsZero() {
		spent := int32(max(1, j.ended.Sub(j.started)/time.Second))
		out.TrainingTimeInSeconds, out.BillableTimeInSeconds = &spent, &spent
	}
	if j.over() {
		out.TrainingEndTime = j.ended
	}
	for _, t := range j.transitions {
		out.SecondaryStatusTransitions = append(out.SecondaryStatusTransitions, shape.SecondaryStatusTransition{
			Status: t.Status, StartTime: t.Start, EndTime: t.End, StatusMessage: t.Message,
		})
	}
	return out, nil
}

func either(b, otherwise *bool) *bool {
	if b != nil {
		return b
	}
	return otherwise
}

func (s *Service) listingJobs(context.Context, *api.Call, *shape.ListTrainingJobsInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("sagemaker:ListTrainingJobs", api.Any), nil
}

// sorting is the column of each order, and what stands before the name in a token.
func sorting(by shape.SortBy) (column string, position func(*job) string) {
	switch by {
	case shape.SortByName:
		return "name", func(*job) string { return "" }
	case shape.SortByStatus:
		return "status", func(j *job) string { return string(j.status) }
	}
	return "created", func(j *job) string { return strconv.FormatInt(j.created.UnixMicro(), 10) }
}

func (s *Service) listTrainingJobs(_ context.Context, c *api.Call, in *shape.ListTrainingJobsInput, _ struct{}) (*shape.ListTrainingJobsOutput, error) {
	where, args := "account = ?", []any{c.Account}
	add := func(condition string, values ...any) {
		where += " AND " + condition
		args = append(args, values...)
	}
	if name := strings.ToLower(in.NameContains); name != "" {
		add("replace(name, ?, '') <> name", name)
	}
	if in.StatusEquals != "" {
		add("status = ?", string(in.StatusEquals))
	}
	for _, bound := range []struct {
		condition string
		at        time.Time
	}{
		{"created > ?", in.CreationTimeAfter}, {"created < ?", in.CreationTimeBefore},
		{"modified > ?", in.LastModifiedTimeAfter}, {"modified < ?", in.LastModifiedTimeBefore},
	} {
		if !bound.at.IsZero() {
			add(bound.condition, bound.at.UnixMicro())
		}
	}
	column, position := sorting(in.SortBy)
	compare, direction := ">", ""
	if in.SortOrder == shape.SortOrderDescending {
		compare, direction = "<", " DESC"
	}
	if in.NextToken != "" {
		text, err := decodeToken(in.NextToken)
		if err != nil {
			return nil, err
		}
		at, name, ok := strings.Cut(text, "/")
		if !ok {
			return nil, badToken()
		}
		var place any = at
		switch column {
		case "name":
			place = name
		case "created":
			if place, err = strconv.ParseInt(at, 10, 64); err != nil {
				return nil, badToken()
			}
		}
		add("("+column+", name) "+compare+" (?, ?)", place, name)
	}
	limit := 10
	if in.MaxResults != nil {
		limit = min(max(int(*in.MaxResults), 1), 100)
	}
	jobs, err := store.Collect(c.Snapshot, func(r *store.Rows) (*job, error) { return s.scanJob(r.Scan) },
		"SELECT "+jobColumns+" FROM sagemaker_jobs WHERE "+where+" ORDER BY "+column+direction+", name"+direction+" LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, err
	}
	out := &shape.ListTrainingJobsOutput{TrainingJobSummaries: []shape.TrainingJobSummary{}}
	if len(jobs) > limit {
		jobs = jobs[:limit]
		last := jobs[limit-1]
		out.NextToken = encodeToken(position(last) + "/" + last.name)
	}
	for _, j := range jobs {
		summary := shape.TrainingJobSummary{
			TrainingJobName: j.shown, TrainingJobArn: j.arn, TrainingJobStatus: j.status, SecondaryStatus: j.secondary,
			CreationTime: j.created, LastModifiedTime: j.modified,
		}
		if j.over() {
			summary.TrainingEndTime = j.ended
		}
		out.TrainingJobSummaries = append(out.TrainingJobSummaries, summary)
	}
	return out, nil
}
