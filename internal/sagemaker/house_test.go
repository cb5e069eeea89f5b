package sagemaker

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/iam"
	"bawn.dev/internal/kms"
	"bawn.dev/internal/logs"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/s3"
	"bawn.dev/internal/seal"
	ec2shape "bawn.dev/internal/shape/ec2"
	iamshape "bawn.dev/internal/shape/iam"
	kmsshape "bawn.dev/internal/shape/kms"
	logshape "bawn.dev/internal/shape/logs"
	s3shape "bawn.dev/internal/shape/s3"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/store"
)

// A house has the real IAM, KMS, S3 and logs round the service, and a machine in
// memory.
type house struct {
	*apitest.Rig
	t                    testing.TB
	service              *Service
	config               Config
	machine              *machine
	admin                api.Claim
	key                  *apitest.Caller // the admin's
	person               *api.Person     // on whose behalf the admin acts
	bucket               string
	role                 string
	people               *iam.Service
	ec2                  *ec2.Service
	subnet, group, table string // of a VPC without endpoints
	vpc                  string
}

type policies map[string][]policy.Doc

func (p policies) ServicePolicy(principal string) []policy.Doc { return p[principal] }

func document(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

const trustSageMaker = `{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}`

func newHouse(t testing.TB, programs map[string]program) *house {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newHouseOver(t, st, dir, programs)
}

func newHouseOver(t testing.TB, st *store.Store, dir string, programs map[string]program) *house {
	t.Helper()
	h := &house{t: t, bucket: "data", machine: newMachine(t, programs)}
	var err error
	door := func() *api.Door { return h.Door }
	h.people, err = iam.New(iam.Config{Key: seal.NewKey()})
	h.must(err)
	root := seal.NewKey()
	keys, err := kms.New(kms.Config{Region: apitest.Region, Key: root[:], Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		return h.Door.Happened(ctx, e, change)
	}})
	h.must(err)
	blobs, err := blob.OpenDir(filepath.Join(dir, "blobs"))
	h.must(err)
	t.Cleanup(func() { blobs.Close() })
	objects, err := s3.New(s3.Config{Region: apitest.Region, Blobs: blobs})
	h.must(err)
	lines, err := logs.New(logs.Config{Region: apitest.Region, Begin: func(ctx context.Context, claim api.Claim, via string) (*api.Call, error) {
		return h.Door.Begin(ctx, claim, via)
	}})
	h.must(err)
	h.ec2, err = ec2.New(ec2.Config{Region: apitest.Region})
	h.must(err)
	h.config = Config{
		Region: apitest.Region, Key: seal.NewKey(), Door: door, Machines: h.machine, Network: h.ec2, S3Endpoint: h.s3Endpoint,
		Sessions: issuer{}, CA: []byte("CERTIFICATE"),
		RetireGrants: func(ctx context.Context, role api.Claim, name string) error {
			return keys.RetireNamed(ctx, h.Store, role, name)
		},
	}
	h.service, err = New(h.config)
	h.must(err)
	h.service.keys = 0
	h.Rig = apitest.Over(t, st, dir, apitest.Options{
		Migrations:  [][]store.Migration{iam.Migrations(), kms.Migrations(), s3.Migrations(), logs.Migrations(), ec2.Migrations(), Migrations()},
		Credentials: map[string]api.Credentials{"AKIA": h.people},
		Principals:  h.people,
		Contribute: func(s *authz.Sources) {
			s.ServicePolicies = policies{principal: ServicePolicy()}
			s.Endpoints = h.ec2
		},
	}, h.people.API(), keys.API(), objects.API(), lines.API(), h.ec2.API(), h.service.API())
	h.bootstrap()
	h.furnish()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.ec2.Run(ctx, h.Store, obeys{}, nil)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return h
}

// other is the administrator of another account.
func (h *house) other() api.Claim {
	h.t.Helper()
	var id string
	h.must(h.Store.Update(h.t.Context(), func(tx *store.Tx) (err error) {
		id, _, err = h.people.Bootstrap(tx, apitest.Other, "admin", h.Now())
		return err
	}))
	sn, err := h.Store.Snapshot(h.t.Context())
	h.must(err)
	defer sn.Close()
	_, claim, err := h.people.Credential(h.t.Context(), sn, id, "", h.Now())
	h.must(err)
	return claim
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) bootstrap() {
	h.key = &apitest.Caller{}
	h.must(h.Store.Update(h.t.Context(), func(tx *store.Tx) (err error) {
		h.key.AccessKeyID, h.key.Secret, err = h.people.Bootstrap(tx, apitest.Account, "admin", h.Now())
		return err
	}))
	sn, err := h.Store.Snapshot(h.t.Context())
	h.must(err)
	defer sn.Close()
	_, h.admin, err = h.people.Credential(h.t.Context(), sn, h.key.AccessKeyID, "", h.Now())
	h.must(err)
	h.person = &api.Person{UserID: "ada", IdentityStoreARN: "arn:aws:identitystore::" + apitest.Account + ":identitystore/d-1234567890"}
	h.admin.Person = h.person
}

// furnish makes a bucket with data and an execution role with least privilege.
func (h *house) furnish() {
	call[s3shape.CreateBucketOutput](h, h.admin, "s3:CreateBucket", &s3shape.CreateBucketInput{Bucket: h.bucket})
	h.put("train/a.csv", "1,2,3")
	h.put("train/deep/b.csv", "4,5,6")
	h.role = h.newRole("execution", trustSageMaker,
		`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::data","Condition":{"StringLike":{"s3:prefix":"train/*"}}},
		 {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/train/*"},
		 {"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::data/out/*"}`)
}

func (h *house) newRole(name, trust, statements string) string {
	h.t.Helper()
	r := call[iamshape.CreateRoleOutput](h, h.admin, "iam:CreateRole", &iamshape.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: document(trust)}).Role
	call[iamshape.PutRolePolicyOutput](h, h.admin, "iam:PutRolePolicy", &iamshape.PutRolePolicyInput{RoleName: name, PolicyName: "p", PolicyDocument: document(statements)})
	return r.Arn
}

func (h *house) user(name, statements string) api.Claim {
	h.t.Helper()
	u := call[iamshape.CreateUserOutput](h, h.admin, "iam:CreateUser", &iamshape.CreateUserInput{UserName: name}).User
	call[iamshape.PutUserPolicyOutput](h, h.admin, "iam:PutUserPolicy", &iamshape.PutUserPolicyInput{UserName: name, PolicyName: "p", PolicyDocument: document(statements)})
	return api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: u.UserId}
}

func (h *house) put(key, text string) {
	h.t.Helper()
	call[s3shape.PutObjectOutput](h, h.admin, "s3:PutObject", &s3shape.PutObjectInput{Bucket: h.bucket, Key: key, Body: strings.NewReader(text)})
}

func (h *house) get(key string) (string, *api.Error) {
	h.t.Helper()
	out, e := apitest.CallAs[s3shape.GetObjectOutput](h.t, h.Rig, h.admin, "", "s3:GetObject", &s3shape.GetObjectInput{Bucket: h.bucket, Key: key})
	if e != nil {
		return "", e
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	h.must(err)
	return string(b), nil
}

func call[Out any](h *house, who api.Claim, action string, in any) *Out {
	h.t.Helper()
	out, err := apitest.CallAs[Out](h.t, h.Rig, who, "", action, in)
	if err != nil {
		h.t.Fatalf("%s: %v", action, err)
	}
	return out
}

// refused demands that a call fails with a code and a message with the text in it.
func refused(h *house, who api.Claim, in *shape.CreateTrainingJobInput, code, text string) {
	h.t.Helper()
	_, err := apitest.CallAs[shape.CreateTrainingJobOutput](h.t, h.Rig, who, "", "sagemaker:CreateTrainingJob", in)
	if err == nil {
		h.t.Errorf("%s was not refused", in.TrainingJobName)
	} else if err.Code != code || !strings.Contains(err.Message, text) {
		h.t.Errorf("%v, not %s with %q", err, code, text)
	}
}

func ptr[T any](v T) *T { return &v }

// request is a job that can be run.
func (h *house) request(name string) *shape.CreateTrainingJobInput {
	return &shape.CreateTrainingJobInput{
		TrainingJobName: name, RoleArn: h.role,
		AlgorithmSpecification: &shape.AlgorithmSpecification{TrainingImage: testImage, TrainingInputMode: shape.TrainingInputModeFile},
		InputDataConfig: []shape.Channel{{ChannelName: "train", ContentType: "text/csv", DataSource: &shape.DataSource{
			S3DataSource: &shape.S3DataSource{S3DataType: shape.S3DataTypeS3Prefix, S3Uri: "s3://data/train/"},
		}}},
		OutputDataConfig:  &shape.OutputDataConfig{S3OutputPath: "s3://data/out/"},
		ResourceConfig:    &shape.ResourceConfig{InstanceType: "ml.m5.large", InstanceCount: ptr(int32(1)), VolumeSizeInGB: ptr(int32(1))},
		StoppingCondition: &shape.StoppingCondition{MaxRuntimeInSeconds: ptr(int32(600))},
		HyperParameters:   map[string]string{"depth": "hyper-secret-value"}, Environment: map[string]string{"TOKEN": "env-secret-value"},
	}
}

// create makes a job and answers its workload's id.
func (h *house) create(in *shape.CreateTrainingJobInput) string {
	h.t.Helper()
	call[shape.CreateTrainingJobOutput](h, h.admin, "sagemaker:CreateTrainingJob", in)
	return h.job(in.TrainingJobName).id
}

func (h *house) job(name string) *job {
	h.t.Helper()
	sn, err := h.Store.Snapshot(h.t.Context())
	h.must(err)
	defer sn.Close()
	j, err := h.service.jobNamed(sn, apitest.Account, strings.ToLower(name))
	h.must(err)
	return j
}

func (h *house) describe(name string) *shape.DescribeTrainingJobOutput {
	h.t.Helper()
	return call[shape.DescribeTrainingJobOutput](h, h.admin, "sagemaker:DescribeTrainingJob", &shape.DescribeTrainingJobInput{TrainingJobName: name})
}

// settle leads a job until it would wait: its program runs.
func (h *house) settle(id string) {
	h.t.Helper()
	w := &worker{Service: h.service}
	for {
		wait, err := w.step(h.t.Context(), id)
		h.must(err)
		if wait != 0 {
			return
		}
	}
}

// finish leads a job to its end, and waits for its program when it must.
func (h *house) finish(id string) {
	h.t.Helper()
	w := &worker{Service: h.service}
	for {
		wait, err := w.step(h.t.Context(), id)
		h.must(err)
		if wait == finished {
			return
		}
		if wait > 0 {
			h.exit(id)
		}
	}
}

// exit waits until the job's program has ended.
func (h *house) exit(id string) {
	h.t.Helper()
	p, err := h.machine.handle(h.t.Context(), id)
	h.must(err)
	_, err = p.Wait(h.t.Context())
	h.must(err)
}

func (h *house) stop(name string) {
	h.t.Helper()
	call[shape.StopTrainingJobOutput](h, h.admin, "sagemaker:StopTrainingJob", &shape.StopTrainingJobInput{TrainingJobName: name})
}

// log is what a job said, as the log service has it.
func (h *house) log(j *job) []string {
	h.t.Helper()
	out, err := apitest.CallAs[logshape.GetLogEventsOutput](h.t, h.Rig, h.admin, "", "logs:GetLogEvents", &logshape.GetLogEventsInput{
		LogGroupName: logGroup, LogStreamName: j.logStream, StartFromHead: ptr(true),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	var lines []string
	for _, e := range out.Events {
		lines = append(lines, e.Message)
	}
	return lines
}

func (h *house) newKey() *kmsshape.KeyMetadata {
	h.t.Helper()
	return call[kmsshape.CreateKeyOutput](h, h.admin, "kms:CreateKey", &kmsshape.CreateKeyInput{}).KeyMetadata
}

// ended checks how a job ended.
func (h *house) ended(name string, status shape.TrainingJobStatus, secondary shape.SecondaryStatus, reason string) *shape.DescribeTrainingJobOutput {
	h.t.Helper()
	d := h.describe(name)
	if d.TrainingJobStatus != status || d.SecondaryStatus != secondary {
		h.t.Errorf("%s is %s, %s (%s), not %s, %s", name, d.TrainingJobStatus, d.SecondaryStatus, d.FailureReason, status, secondary)
	}
	if reason == "" != (d.FailureReason == "") || !strings.Contains(d.FailureReason, reason) {
		h.t.Errorf("%s failed because of %q, not %q", name, d.FailureReason, reason)
	}
	return d
}

type issuer struct{}

func (issuer) Issue(claim api.Claim) (Credentials, error) {
	return Credentials{AccessKeyID: "ASIATEST" + claim.ID, SecretAccessKey: "secret", SessionToken: claim.SessionName + " for " + claim.Person.UserID, Expiration: claim.Expires}, nil
}

// obeys is a machine that has every VPC at once.
type obeys struct{}

func (obeys) ApplyVPC(context.Context, *netmodel.VPC) error { return nil }
func (obeys) RemoveVPC(context.Context, string) error       { return nil }
func (obeys) VPCs(context.Context) ([]string, error)        { return nil, nil }

func (obeys) ApplyTransit(context.Context, *netmodel.TransitGateway) error { return nil }
func (obeys) RemoveTransit(context.Context, string) error                  { return nil }
func (obeys) Transits(context.Context) ([]string, error)                   { return nil, nil }

// s3Endpoint is how a server connects the two services.
func (h *house) s3Endpoint(ctx context.Context, vpc, _, networkInterface string) (*api.Origin, error) {
	sn, err := h.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	e, verdict, err := h.ec2.Reach(sn, vpc, networkInterface, "s3")
	if err != nil {
		return nil, err
	}
	if !verdict.Allowed {
		return nil, &api.Error{Code: "Unreachable", Status: 400, Message: verdict.Why}
	}
	return &api.Origin{EndpointID: e.ID, VPC: e.VPC, VPCAccount: e.Account, TLS: true}, nil
}

// private makes a VPC with a private subnet.
func (h *house) private() {
	h.t.Helper()
	h.vpc = call[ec2shape.CreateVpcOutput](h, h.admin, "ec2:CreateVpc", &ec2shape.CreateVpcInput{CidrBlock: "10.0.0.0/16"}).Vpc.VpcId
	h.subnet = call[ec2shape.CreateSubnetOutput](h, h.admin, "ec2:CreateSubnet", &ec2shape.CreateSubnetInput{VpcId: h.vpc, CidrBlock: "10.0.0.0/24"}).Subnet.SubnetId
	h.group = call[ec2shape.CreateSecurityGroupOutput](h, h.admin, "ec2:CreateSecurityGroup", &ec2shape.CreateSecurityGroupInput{
		GroupName: "jobs", Description: "jobs", VpcId: h.vpc,
	}).GroupId
	tables := call[ec2shape.DescribeRouteTablesOutput](h, h.admin, "ec2:DescribeRouteTables", &ec2shape.DescribeRouteTablesInput{})
	for _, table := range tables.RouteTables {
		if table.VpcId == h.vpc {
			h.table = table.RouteTableId
		}
	}
}

// endpoint gives the subnet its way to S3.
func (h *house) endpoint(policy string) string {
	h.t.Helper()
	return call[ec2shape.CreateVpcEndpointOutput](h, h.admin, "ec2:CreateVpcEndpoint", &ec2shape.CreateVpcEndpointInput{
		VpcId: h.vpc, ServiceName: "com.amazonaws." + apitest.Region + ".s3", VpcEndpointType: ec2shape.VpcEndpointTypeGateway,
		RouteTableIds: []string{h.table}, PolicyDocument: policy,
	}).VpcEndpoint.VpcEndpointId
}
