package sagemaker

import (
	"context"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/store"
)

// A phase is what is to be done next for a job.
type phase string

// The phases of a job, in their order.
const (
	accepted  phase = "accepted"  // get a key and a place in the network
	ordered   phase = "ordered"   // prepare the volume, bring what it needs
	running   phase = "running"   // all is there: start it, if it is not, and see it through
	uploading phase = "uploading" // it has ended: take away what it made
	ending    phase = "ending"    // it is told: clear the host
	done      phase = "done"
)

// A job is a training job as its row says.
type job struct {
	id                        string // of the workload on the host
	account, name, shown, arn string // shown as the caller wrote it; the others in lower case
	phase                     phase
	status                    shape.TrainingJobStatus
	secondary                 shape.SecondaryStatus
	transitions               []transition
	roleID, role              string
	person                    *api.Person
	created, modified         time.Time
	started, ended            time.Time // of the training; zero for not yet
	request                   []byte    // sealed
	reason                    []byte    // sealed; empty unless it failed
	outcome                   string    // what the workload's end means, once it has ended
	model                     string    // where the model is
	kmsKey                    string    // of the volume, as it was asked for
	volumeKey                 []byte    // as KMS sealed it
	vpc                       string
	network                   *spec.Network // nil: none was reserved
	logStream                 string
	logNext                   int64
}

// A transition is one of SecondaryStatusTransitions.
type transition struct {
	Status  shape.SecondaryStatus
	Start   time.Time
	End     time.Time `json:",omitzero"`
	Message string
}

func (s *Service) jobARN(account, name string) string {
	return "arn:aws:sagemaker:" + s.Region + ":" + account + ":training-job/" + name
}

func versionKey(account, name string) string { return "sagemaker:job/" + account + "/" + name }

// enter puts the job into a secondary status.
func (j *job) enter(status shape.SecondaryStatus, now time.Time, message string) {
	now = now.UTC().Truncate(time.Microsecond)
	j.modified = now
	if n := len(j.transitions); n > 0 {
		last := &j.transitions[n-1]
		if last.Status == status {
			return
		}
		if last.End.IsZero() {
			last.End = now
		}
	}
	j.secondary = status
	j.transitions = append(j.transitions, transition{Status: status, Start: now, Message: message})
}

func (j *job) over() bool {
	return j.status != shape.TrainingJobStatusInProgress && j.status != shape.TrainingJobStatusStopping
}

func (j *job) stopping() bool { return j.status == shape.TrainingJobStatusStopping }

const (
	requests seal.Purpose = "training job request"
	reasons  seal.Purpose = "training job failure"
)

func (s *Service) sealRequest(j *job, in *shape.CreateTrainingJobInput) error {
	plain, err := json.Marshal(in, json.Deterministic(true), json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true))
	if err != nil {
		return err
	}
	defer clear(plain)
	j.request, err = requests.Seal(s.Key[:], plain, []byte(j.id+" "+j.arn))
	return err
}

// openRequest is what the job was made with.
func (s *Service) openRequest(j *job) (*shape.CreateTrainingJobInput, error) {
	plain, err := requests.Open(s.Key[:], j.request, []byte(j.id+" "+j.arn))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	in := &shape.CreateTrainingJobInput{}
	return in, json.Unmarshal(plain, in)
}

func (s *Service) sealReason(j *job, text string) (err error) {
	j.reason, err = reasons.Seal(s.Key[:], []byte(text), []byte(j.id))
	return err
}

func (s *Service) openReason(j *job) (string, error) {
	if len(j.reason) == 0 {
		return "", nil
	}
	plain, err := reasons.Open(s.Key[:], j.reason, []byte(j.id))
	return string(plain), err
}

// found is a job that a request names, or the fact that there is none.
type found struct {
	*job
	resource api.Resource
}

func (s *Service) find(sn *store.Snapshot, account, name string) (*found, error) {
	name = strings.ToLower(name)
	f := &found{resource: api.Resource{
		ARN: s.jobARN(account, name), Account: account, Type: recordType, Missing: notFound(),
	}}
	version, err := sn.Version(versionKey(account, name))
	if err != nil || version == 0 {
		return f, err
	}
	if f.job, err = s.jobNamed(sn, account, name); err != nil || f.job == nil {
		return f, err
	}
	f.resource.Missing = nil
	f.resource.Tags, err = tagsOf(sn, f.id)
	return f, err
}

// Resolve finds training jobs by ARN, for other services.
func (s *Service) Resolve(_ context.Context, sn *store.Snapshot, name string) (*api.Foreign, error) {
	account, job, ok := s.cutARN(name)
	if !ok {
		return nil, nil
	}
	f, err := s.find(sn, account, job)
	if err != nil {
		return nil, err
	}
	return &api.Foreign{Resource: f.resource}, nil
}

// cutARN takes the ARN of a training job of this region apart.
func (s *Service) cutARN(name string) (account, job string, ok bool) {
	a, err := arn.Parse(name)
	job, isJob := strings.CutPrefix(a.Resource, "training-job/")
	if err != nil || !isJob || a.Partition != "aws" || a.Service != "sagemaker" || a.Region != s.Region || a.Account == "" || job == "" {
		return "", "", false
	}
	return a.Account, job, true
}

// on resolves a job of the caller's account and states the demand of its operation.
func (s *Service) on(c *api.Call, action, name string) (*found, []api.Demand, error) {
	f, err := s.find(c.Snapshot, c.Account, name)
	if err != nil {
		return nil, nil, err
	}
	return f, api.On("sagemaker:"+action, f.resource), nil
}

func (s *Service) stoppedJob(_ context.Context, c *api.Call, in *shape.StopTrainingJobInput) (*found, []api.Demand, error) {
	return s.on(c, "StopTrainingJob", in.TrainingJobName)
}

// stopTrainingJob writes down that the job is to stop; Run does it.
func (s *Service) stopTrainingJob(_ context.Context, c *api.Call, _ *shape.StopTrainingJobInput, f *found) (api.Commit[shape.StopTrainingJobOutput], error) {
	return func(tx *store.Tx) (*shape.StopTrainingJobOutput, error) {
		j, err := s.jobByID(tx, f.id)
		if err != nil {
			return nil, err
		}
		if j.over() {
			return nil, invalid("The request was rejected because the training job is in status %s.", j.status)
		}
		if j.stopping() {
			return &shape.StopTrainingJobOutput{}, nil
		}
		j.status = shape.TrainingJobStatusStopping
		j.enter(shape.SecondaryStatusStopping, c.Now, "Stopping the training job")
		tx.AfterCommit(s.notify)
		return &shape.StopTrainingJobOutput{}, j.save(tx)
	}, nil
}
