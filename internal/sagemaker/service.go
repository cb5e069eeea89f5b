// Package sagemaker runs training jobs: it takes the request, decides who may make
// it in which role, and leads the job through its states on a host that isolates
// it, following SageMaker's container contract.
//
// It trusts package api to decide every demand, the key service to guard the key of
// the job's volume, and the host to isolate what it is told to run; it takes
// everything that comes from a workload (exit codes, log lines, the failure file,
// what it leaves as a model) for data that an attacker may have chosen. What is done
// for a job is done as its execution role on behalf of the person who made it, and
// decided anew each time: when the role stops trusting sagemaker.amazonaws.com, or
// the person is removed, or the volume's key is turned off, the job ends. A role that
// may not use that key itself has a grant of it, for that volume only and until it is
// gone; workloads can use it too and never see what sealed their volume. Whoever
// controls requests chooses what runs inside a sandbox that she may start in a role
// that she may pass; she names no path, address or user of the host. Environment,
// hyperparameters and failure texts are sealed at rest and never in a record.
package sagemaker

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/sagemaker"
)

// principal is as whom the service acts, and whom execution roles must trust.
const principal = "sagemaker.amazonaws.com"

// Config is what the service is made of. Region, Key, Door and RetireGrants are needed;
// without Machines no job can be made, without Network and S3Endpoint none with
// VpcConfig.
type Config struct {
	Region string
	Key    seal.Key // seals requests and failure texts
	// Door is a function, since the door is made after its services.
	Door func() *api.Door
	// RetireGrants ends the grants of a name that were made as a role, if there are any.
	RetireGrants func(ctx context.Context, role api.Claim, name string) error
	Machines     Machines
	Network      Network
	// S3Endpoint is the VPC endpoint by which an interface reaches S3. An *api.Error
	// says to the owner of the job which of route table, security group or endpoint
	// is missing.
	S3Endpoint func(ctx context.Context, vpc, subnet, networkInterface string) (*api.Origin, error)
	// Sessions makes the credentials that workloads use; nil: they get none.
	Sessions Sessions
	// CA is the workload authority's certificate, PEM, for jobs in a VPC.
	CA []byte
	// Trouble hears of a step of a job that failed for reasons of ours and will be
	// tried again; may be nil.
	Trouble func(job string, err error)
}

// Service is SageMaker, as far as training jobs go.
type Service struct {
	Config
	wake chan struct{}
	poll time.Duration // how often a running workload is looked at
	keys time.Duration // how often its right to its key is asked for
}

// New makes the service. It fails when something that is needed is missing.
func New(cfg Config) (*Service, error) {
	if cfg.Region == "" || cfg.Door == nil || cfg.Key == (seal.Key{}) || cfg.RetireGrants == nil {
		return nil, errors.New("sagemaker: region, key, door and RetireGrants are needed")
	}
	if cfg.Trouble == nil {
		cfg.Trouble = func(string, error) {}
	}
	return &Service{Config: cfg, wake: make(chan struct{}, 1), poll: 500 * time.Millisecond, keys: 2 * time.Second}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "sagemaker", Resolver: s.Resolve, Operations: []api.Operation{
		api.Write("CreateTrainingJob", s.newJob, s.createTrainingJob).
			Demands("sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"),
		api.Read("DescribeTrainingJob", s.describedJob, s.describeTrainingJob),
		api.Read("ListTrainingJobs", s.listingJobs, s.listTrainingJobs),
		api.Write("StopTrainingJob", s.stoppedJob, s.stopTrainingJob),
		api.Write("AddTags", s.tagged, s.addTags),
		api.Read("ListTags", s.listedTags, s.listTags),
	}}
}

// ServicePolicy says what the service may do on its own: deliver the log lines of
// jobs, nothing else.
func ServicePolicy() []policy.Doc {
	p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
		"Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],
		"Resource":"arn:aws:logs:*:*:log-group:`+logGroup+`:*"}]}`), policy.Identity)
	if err != nil {
		return nil // and the service may do nothing; a test reads it
	}
	return []policy.Doc{{Name: "service policy of " + principal, Policy: p}}
}
