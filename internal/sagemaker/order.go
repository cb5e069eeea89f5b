package sagemaker

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"syscall"

	"bawn.dev/internal/host"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/spec"
)

// What the container contract calls /opt/ml lies in these directories of the volume.
const (
	volumeInput  = "input"
	volumeModel  = "model"
	volumeOutput = "output"
	volumeTrust  = "trust"

	opt       = "/opt/ml/"
	trustPath = "/opt/bawn"
	caFile    = "ca.pem"

	hostname = "algo-1" // as SageMaker calls the first instance
	grace    = 120      // seconds from SIGTERM to SIGKILL, as SageMaker has it
)

// describe says to the host what the job is. The image is resolved now: what was
// there when the job was made may be gone.
func (w *worker) describe(ctx context.Context, j *job, in *shape.CreateTrainingJobInput) (*host.Order, error) {
	ref := in.AlgorithmSpecification.TrainingImage
	image, err := w.Machines.Image(ctx, ref)
	if errors.Is(err, host.ErrNotFound) {
		return nil, clientError("The image %s is not on this host.", ref)
	}
	if err != nil {
		return nil, err
	}
	o := &host.Order{Spec: spec.Workload{
		ID: j.id, Account: j.account, Kind: spec.TrainingJob, Image: spec.Image{Digest: image.Digest, Ref: ref},
		Env: w.environment(j, in, image), User: image.User, WorkingDir: image.Config.WorkingDir,
		Mounts: []spec.Mount{
			{Source: volumeInput, Target: opt + "input"}, {Source: volumeModel, Target: opt + "model"}, {Source: volumeOutput, Target: opt + "output"},
		},
		Limits: jobLimits(in), Network: spec.Network{Mode: spec.None},
		Stop: spec.Stop{Signal: int(syscall.SIGTERM), GraceSeconds: grace},
	}}
	s := &o.Spec
	s.Command, s.Args = command(in.AlgorithmSpecification, image)
	if s.WorkingDir == "" {
		s.WorkingDir = "/"
	}
	if w.trusted(j) {
		s.Mounts = append(s.Mounts, spec.Mount{Source: volumeTrust, Target: trustPath, ReadOnly: true})
	}
	self := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if j.network != nil {
		s.Network = *j.network
		self = j.network.Interface.Address
	}
	s.Network.Hostname = hostname
	s.Network.Hosts = append(s.Network.Hosts[:len(s.Network.Hosts):len(s.Network.Hosts)], spec.Host{Address: self, Name: hostname})
	if err := s.Validate(); err != nil {
		return nil, clientError("The job cannot be run: %s", err)
	}
	return o, nil
}

// command is the argument vector: what the request says, or the image's entry point
// with the argument that SageMaker gives to training images.
func command(a *shape.AlgorithmSpecification, image host.Image) (argv, args []string) {
	argv, args = a.ContainerEntrypoint, a.ContainerArguments
	if len(argv) == 0 {
		argv = image.Config.Entrypoint
		if len(args) == 0 {
			args = []string{"train"}
		}
	}
	if len(argv) == 0 {
		return args[:1], args[1:]
	}
	return argv, args
}

// environment is the image's, then the request's, then what the job is told of
// itself, which nobody else sets.
func (w *worker) environment(j *job, in *shape.CreateTrainingJobInput, image host.Image) map[string]string {
	env := map[string]string{}
	for _, pair := range image.Config.Env {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	for name, value := range in.Environment {
		env[name] = value
	}
	set := map[string]string{
		"TRAINING_JOB_NAME": j.shown, "TRAINING_JOB_ARN": j.arn, "AWS_REGION": w.Region, "AWS_DEFAULT_REGION": w.Region,
		"CURRENT_HOST": hostname,
	}
	if j.network != nil && w.Sessions != nil {
		set["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = w.CredentialsPath(j.id)
	}
	if w.trusted(j) {
		for _, name := range []string{"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} {
			set[name] = trustPath + "/" + caFile
		}
	}
	for name, value := range set {
		env[name] = value
	}
	return env
}

// trusted says that the job gets the workload authority's certificate.
func (w *worker) trusted(j *job) bool { return j.network != nil && len(w.CA) > 0 }

// CredentialsPath is where a workload asks for its credentials. It cannot be
// guessed, and does not change while the job runs.
func (s *Service) CredentialsPath(id string) string {
	mac := hmac.New(sha256.New, s.Key[:])
	mac.Write([]byte("credentials path of " + id))
	return "/v2/credentials/" + hex.EncodeToString(mac.Sum(nil))
}
