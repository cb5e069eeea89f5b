package sagemaker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/host"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/store"
)

// A request is a job that is about to be made.
type request struct {
	*found
	role *api.Entity
}

// newJob checks the request and demands all that it amounts to: to make the job,
// to tag it, and to pass the role to the service.
func (s *Service) newJob(ctx context.Context, c *api.Call, in *shape.CreateTrainingJobInput) (*request, []api.Demand, error) {
	if err := check(in); err != nil {
		return nil, nil, err
	}
	f, err := s.find(c.Snapshot, c.Account, in.TrainingJobName)
	if err != nil {
		return nil, nil, err
	}
	r := &request{found: f}
	target := api.Resource{ARN: f.resource.ARN, Account: c.Account, Type: f.resource.Type}
	keys, err := s.conditions(ctx, c, in)
	if err != nil {
		return nil, nil, err
	}
	demands := []api.Demand{{Action: "sagemaker:CreateTrainingJob", Resource: target, Keys: keys}}
	if len(in.Tags) > 0 {
		tagging := policy.Context{}
		if err := setTags(tagging, in.Tags); err != nil {
			return nil, nil, err
		}
		tagging.Set("sagemaker:TaggingAction", "CreateTrainingJob")
		demands = append(demands, api.Demand{Action: "sagemaker:AddTags", Resource: target, Keys: tagging})
	}
	pass, err := s.passed(ctx, c, in.RoleArn, target.ARN, r)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range s.foreign(c, in) {
		if err := s.mustBe(ctx, c, name); err != nil {
			return nil, nil, err
		}
	}
	return r, append(demands, pass), nil
}

// passed finds the role and demands that the caller may pass it.
func (s *Service) passed(ctx context.Context, c *api.Call, role, job string, r *request) (api.Demand, error) {
	a, err := arn.Parse(role)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || !strings.HasPrefix(a.Resource, "role/") {
		return api.Demand{}, invalid("%s is not the ARN of a role.", role)
	}
	if a.Account != c.Account {
		return api.Demand{}, invalid("RoleArn: Cross-account pass role is not allowed.")
	}
	f, err := c.Resource(ctx, role)
	if err != nil {
		return api.Demand{}, err
	}
	resource := f.Resource
	if resource.Missing != nil {
		resource.Missing = untrusted(role)
	}
	r.role, _ = f.Detail.(*api.Entity)
	keys := policy.Context{}
	keys.Set("iam:PassedToService", principal)
	keys.Set("iam:AssociatedResourceArn", job)
	return api.Demand{Action: "iam:PassRole", Resource: resource, Keys: keys}, nil
}

// conditions are the condition keys of CreateTrainingJob.
func (s *Service) conditions(ctx context.Context, c *api.Call, in *shape.CreateTrainingJobInput) (policy.Context, error) {
	keys := policy.Context{}
	keys.Set("sagemaker:InstanceTypes", string(in.ResourceConfig.InstanceType))
	keys.Set("sagemaker:MaxRuntimeInSeconds", fmt.Sprint(maxSeconds(in)))
	keys.Set("sagemaker:NetworkIsolation", fmt.Sprint(truth(in.EnableNetworkIsolation)))
	keys.Set("sagemaker:InterContainerTrafficEncryption", fmt.Sprint(truth(in.EnableInterContainerTrafficEncryption)))
	for name, id := range map[string]string{
		"sagemaker:VolumeKmsKey": in.ResourceConfig.VolumeKmsKeyId, "sagemaker:OutputKmsKey": in.OutputDataConfig.KmsKeyId,
	} {
		if id == "" {
			continue
		}
		key, err := s.keyARN(ctx, c, id)
		if err != nil {
			return nil, err
		}
		keys.Set(name, key)
	}
	if v := in.VpcConfig; v != nil {
		keys.Set("sagemaker:VpcSubnets", v.Subnets...)
		keys.Set("sagemaker:VpcSecurityGroupIds", v.SecurityGroupIds...)
	}
	return keys, setTags(keys, in.Tags)
}

// keyARN is the ARN of the key that an id names: an alias stands for its key, so
// that no policy on keys is passed by under another name.
func (s *Service) keyARN(ctx context.Context, c *api.Call, id string) (string, error) {
	name := keyName(s.Region, c.Account, id)
	f, err := c.Resource(ctx, name)
	if err != nil {
		return "", err
	}
	if f.Resource.Missing != nil {
		return name, nil
	}
	return f.Resource.ARN, nil
}

// keyName completes the name of a key in an account.
func keyName(region, account, id string) string {
	if strings.HasPrefix(id, "arn:") {
		return id
	}
	if !strings.HasPrefix(id, "alias/") {
		id = "key/" + id
	}
	return "arn:aws:kms:" + region + ":" + account + ":" + id
}

// foreign are the subnets and security groups that the job needs.
func (s *Service) foreign(c *api.Call, in *shape.CreateTrainingJobInput) []string {
	var names []string
	if v := in.VpcConfig; v != nil {
		for _, id := range v.Subnets {
			names = append(names, c.ARN("ec2", "subnet/"+id))
		}
		for _, id := range v.SecurityGroupIds {
			names = append(names, c.ARN("ec2", "security-group/"+id))
		}
	}
	return names
}

// mustBe refuses what is not in the caller's account. Whether they belong together
// is said when the interface is made.
func (s *Service) mustBe(ctx context.Context, c *api.Call, name string) error {
	f, err := c.Resource(ctx, name)
	if err != nil {
		return err
	}
	if f.Resource.Missing != nil || f.Resource.Account != "" && f.Resource.Account != c.Account {
		return invalid("The VPC configuration names what does not exist in this account: %s", name)
	}
	return nil
}

// createTrainingJob writes the job; Run does the rest.
func (s *Service) createTrainingJob(ctx context.Context, c *api.Call, in *shape.CreateTrainingJobInput, r *request) (api.Commit[shape.CreateTrainingJobOutput], error) {
	trusted, err := c.Trusts(ctx, r.role, principal, r.resource.ARN)
	if err != nil {
		return nil, err
	}
	if !trusted {
		return nil, untrusted(in.RoleArn)
	}
	if err := s.able(ctx, in); err != nil {
		return nil, err
	}
	now := c.Now.UTC().Truncate(time.Microsecond)
	name := strings.ToLower(in.TrainingJobName)
	j := &job{
		id: newID(), account: c.Account, name: name, shown: in.TrainingJobName, arn: s.jobARN(c.Account, name),
		phase: accepted, status: shape.TrainingJobStatusInProgress, roleID: r.role.ID, role: r.role.ARN, person: c.Person(),
		created: now, kmsKey: in.ResourceConfig.VolumeKmsKeyId,
	}
	j.enter(shape.SecondaryStatusStarting, now, "Preparing the instances for training")
	j.logStream = fmt.Sprintf("%s/algo-1-%d", j.shown, now.Unix())
	if err := s.sealRequest(j, in); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateTrainingJobOutput, error) {
		old, err := s.jobNamed(tx, j.account, j.name)
		if err != nil {
			return nil, err
		}
		if old != nil {
			return nil, fail("ResourceInUse", "Training job names must be unique within an AWS account and region, and a training job with this name already exists (%s)", old.arn)
		}
		for _, t := range in.Tags {
			if err := putTag(tx, j.id, t.Key, t.Value); err != nil {
				return nil, err
			}
		}
		tx.AfterCommit(s.notify)
		return &shape.CreateTrainingJobOutput{TrainingJobArn: j.arn}, j.save(tx)
	}, nil
}

// able refuses a job that this machine could not isolate, or whose image it does
// not have.
func (s *Service) able(ctx context.Context, in *shape.CreateTrainingJobInput) error {
	if s.Machines == nil {
		return unable(host.ErrUnavailable.Error())
	}
	if !isolated(in) && (s.Network == nil || s.S3Endpoint == nil) {
		return notServed("VpcConfig")
	}
	missing, err := lacking(ctx, s.Machines)
	if err != nil {
		return unavailable(err)
	}
	if missing != "" {
		return unable(missing)
	}
	switch _, err := s.Machines.Image(ctx, in.AlgorithmSpecification.TrainingImage); {
	case errors.Is(err, host.ErrNotFound):
		return invalid("Requested image %s not found.", in.AlgorithmSpecification.TrainingImage)
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// lacking says in sentences what the machine cannot enforce; empty when it can.
func lacking(ctx context.Context, m Machines) (string, error) {
	can, err := m.Capabilities(ctx)
	if err != nil || can.Isolated {
		return "", err
	}
	all := append(append(append([]string{}, can.Sandbox...), can.Volumes...), can.Network...)
	if len(all) == 0 {
		all = []string{"The host says that it cannot isolate workloads, and not why."}
	}
	return strings.Join(all, " "), nil
}

func unable(why string) *api.Error {
	return invalid("This installation cannot run training jobs: %s", why)
}

func unavailable(err error) error {
	if errors.Is(err, host.ErrUnavailable) {
		return &api.Error{Code: "ServiceUnavailable", Status: 503, Server: true, Message: host.ErrUnavailable.Error()}
	}
	return err
}

// newID names a workload for the host and, as the owner of an interface, for its
// network, whose names begin with a letter.
func newID() string {
	for {
		if id := spec.NewID(); netmodel.ValidID(id) {
			return id
		}
	}
}
