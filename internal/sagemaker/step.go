package sagemaker

import (
	"context"
	"errors"
	"maps"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/host"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/store"
)

// A worker leads one job. It remembers nothing that it needs.
type worker struct {
	*Service
	checked time.Time // when the right to the volume's key was last asked for
	tries   int       // how often the same step has failed in a row, for reasons of ours
}

// finished is the wait of a job that needs nothing more.
const finished time.Duration = -1

// errMoved says that the job is no longer where this worker saw it.
var errMoved = errors.New("sagemaker: the job has moved on")

// step does the next thing for a job and says how long to wait until the one after
// that. What the job is to blame for ends it; an error is trouble of ours, and the
// step is done again.
func (w *worker) step(ctx context.Context, id string) (time.Duration, error) {
	j, err := w.load(ctx, id)
	if err != nil {
		return 0, err
	}
	if j == nil || j.phase == done {
		return finished, nil
	}
	var wait time.Duration
	switch j.phase {
	case accepted:
		err = w.order(ctx, j)
	case ordered:
		wait, err = w.prepare(ctx, j)
	case running:
		wait, err = w.watch(ctx, j)
	case uploading:
		err = w.upload(ctx, j)
	case ending:
		err = w.clear(ctx, j)
	default:
		err = internalError("the job is in the unknown phase %q", j.phase)
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return 0, w.end(ctx, j, shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, f)
	}
	switch {
	case err == nil, errors.Is(err, errMoved):
		w.tries = 0
		return wait, nil
	case errors.Is(err, host.ErrUnavailable), ctx.Err() != nil, j.phase == ending:
		return 0, err
	}
	if w.tries++; w.tries >= patience {
		f := &failure{"InternalServerError", "We encountered an internal error. Please try again."}
		return 0, errors.Join(err, w.end(ctx, j, shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, f))
	}
	return 0, err
}

// patience is how often a step is tried that fails for reasons of ours.
const patience = 60

func (w *worker) load(ctx context.Context, id string) (*job, error) {
	sn, err := w.Door().Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	return w.jobByID(sn, id)
}

// move changes the job's row, if it still is in the phase in which the worker saw
// it, with a record that carries its role and person.
func (w *worker) move(ctx context.Context, j *job, name string, change func(*store.Tx, *job) error) error {
	return w.tell(ctx, j, name, nil, change)
}

// tell is move with more to say in the record.
func (w *worker) tell(ctx context.Context, j *job, name string, details map[string]any, change func(*store.Tx, *job) error) error {
	door := w.Door()
	var now *job
	event := api.Event{
		Service: "sagemaker", Name: name, Claim: j.claim(),
		Resources: []api.Resource{
			{ARN: j.arn, Account: j.account, Type: recordType}, {ARN: j.role, Account: j.account, Type: "AWS::IAM::Role"},
		},
		Details: map[string]any{"trainingJobName": j.shown, "roleArn": j.role},
	}
	maps.Copy(event.Details, details)
	// The record is made before the change runs: what it says of the new state is set
	// on a copy of the row first.
	preview := *j
	preview.transitions = append([]transition{}, j.transitions...)
	if err := change(nil, &preview); err != nil {
		return err
	}
	event.Details["trainingJobStatus"], event.Details["secondaryStatus"] = preview.status, preview.secondary
	err := door.Happened(ctx, event, func(tx *store.Tx) error {
		var err error
		if now, err = w.jobByID(tx, j.id); err != nil {
			return err
		}
		if now == nil || now.phase != j.phase {
			return errMoved
		}
		if err := change(tx, now); err != nil {
			return err
		}
		return now.save(tx)
	})
	if err == nil {
		*j = *now
	}
	return err
}

// recordType is what a record calls a job.
const recordType = "AWS::SageMaker::TrainingJob"

// claim is as whom everything is done for the job.
func (j *job) claim() api.Claim {
	return api.Claim{Kind: api.KindRole, Account: j.account, ID: j.roleID, SessionName: "SageMaker", Person: j.person,
		Workload: j.arn, WorkloadType: recordType}
}

// order gets the job a key for its volume and an interface, if it wants one.
func (w *worker) order(ctx context.Context, j *job) error {
	if j.stopping() {
		return w.stopped(ctx, j)
	}
	in, err := w.openRequest(j)
	if err != nil {
		return err
	}
	if missing, err := lacking(ctx, w.Machines); err != nil {
		return err
	} else if missing != "" {
		return internalError("this machine cannot isolate the job: %s", missing)
	}
	sealed, err := w.newVolumeKey(ctx, j)
	if err != nil {
		return err
	}
	err = w.move(ctx, j, stateChange, func(tx *store.Tx, j *job) error {
		j.phase, j.volumeKey = ordered, sealed
		if isolated(in) || tx == nil {
			return nil
		}
		return w.reserve(ctx, tx, j, in.VpcConfig)
	})
	return because(err, "The network interface could not be made")
}

const stateChange = "TrainingJobStateChange"

// prepare brings the job's volume, its configuration and its data onto the host.
// It begins anew when it was broken off: nothing of the job has run before it is
// through.
func (w *worker) prepare(ctx context.Context, j *job) (time.Duration, error) {
	switch _, err := w.Machines.State(ctx, j.id); {
	case err == nil:
		if err := w.Machines.Remove(ctx, j.id); err != nil {
			return 0, err
		}
	case !errors.Is(err, host.ErrNotFound):
		return 0, err
	}
	if j.stopping() {
		return 0, w.stopped(ctx, j)
	}
	in, err := w.openRequest(j)
	if err != nil {
		return 0, err
	}
	if j.network != nil {
		if err := w.ready(ctx, j); err != nil {
			return 0, err
		}
	}
	o, err := w.describe(ctx, j, in)
	if err != nil {
		return 0, err
	}
	if o.Key, err = w.openVolumeKey(ctx, j); err != nil {
		return 0, err
	}
	err = w.Machines.Prepare(ctx, *o)
	clear(o.Key)
	switch {
	case errors.Is(err, host.ErrUnsupported):
		return 0, internalError("this machine cannot isolate the job: %s", err)
	case errors.Is(err, host.ErrInvalid):
		return 0, clientError("The job cannot be run: %s", err)
	case err != nil:
		return 0, err
	}
	err = w.move(ctx, j, stateChange, func(_ *store.Tx, j *job) error {
		if !j.stopping() {
			j.enter(shape.SecondaryStatusDownloading, w.Door().Now(), "Downloading input data")
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := w.guarded(ctx, j, func(ctx context.Context) error { return w.stage(ctx, j, in) }); err != nil {
		return 0, err
	}
	return 0, w.move(ctx, j, stateChange, func(_ *store.Tx, j *job) error {
		j.phase = running
		j.started = w.Door().Now().UTC().Truncate(time.Microsecond)
		if !j.stopping() {
			j.enter(shape.SecondaryStatusTraining, j.started, "Training image download completed. Training in progress.")
		}
		return nil
	})
}

// watch starts what is not started yet, sees to it that it may go on, and hands it
// on when it has ended. What the host does not know any more is never run again.
func (w *worker) watch(ctx context.Context, j *job) (time.Duration, error) {
	state, err := w.Machines.State(ctx, j.id)
	if errors.Is(err, host.ErrNotFound) {
		return 0, internalError("the host no longer has the job")
	}
	if err != nil {
		return 0, err
	}
	switch state.Phase {
	case host.Prepared:
		if j.stopping() {
			return 0, w.stopped(ctx, j)
		}
		if err := w.Machines.Start(ctx, j.id); err != nil && !errors.Is(err, host.ErrExists) {
			return 0, err
		}
		return w.poll, nil
	case host.Running:
		if err := w.mayGoOn(ctx, j); err != nil {
			return 0, err
		}
		if j.stopping() {
			if err := w.Machines.Stop(ctx, j.id); err != nil {
				return 0, err
			}
		}
		more, err := w.forward(ctx, j)
		if more {
			return 0, err
		}
		return w.poll, err
	case host.Exited:
		return 0, w.move(ctx, j, stateChange, func(_ *store.Tx, j *job) error {
			j.phase, j.outcome = uploading, string(outcomeOf(j, state))
			j.ended = w.Door().Now().UTC().Truncate(time.Microsecond)
			j.enter(shape.SecondaryStatusUploading, j.ended, "Uploading generated training model")
			return nil
		})
	}
	return 0, internalError("the job's volume was locked")
}

// stopped ends a job that was stopped.
func (w *worker) stopped(ctx context.Context, j *job) error {
	return w.end(ctx, j, shape.TrainingJobStatusStopped, shape.SecondaryStatusStopped, nil)
}

// end tells the world how the job ended. What is left on the host goes next.
func (w *worker) end(ctx context.Context, j *job, status shape.TrainingJobStatus, secondary shape.SecondaryStatus, f *failure) error {
	return w.move(ctx, j, stateChange, func(_ *store.Tx, j *job) error {
		now := w.Door().Now()
		j.phase, j.status = ending, status
		if j.ended.IsZero() {
			j.ended = now.UTC().Truncate(time.Microsecond)
		}
		message := map[shape.SecondaryStatus]string{
			shape.SecondaryStatusCompleted: "Training job completed", shape.SecondaryStatusFailed: "Training job failed",
			shape.SecondaryStatusStopped: "Training job stopped", shape.SecondaryStatusMaxRuntimeExceeded: "Training job runtime exceeded MaxRuntimeInSeconds provided",
		}[secondary]
		j.enter(secondary, now, message)
		if f == nil {
			return nil
		}
		return w.sealReason(j, clip(f.Error(), maxReason))
	})
}

const maxReason = 1024 // characters, as AWS has it

func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// clear takes the job off the host, ends the grant of its volume's key, if it had one,
// and gives its interface back.
func (w *worker) clear(ctx context.Context, j *job) error {
	if err := w.Machines.Remove(ctx, j.id); err != nil {
		return err
	}
	if err := w.RetireGrants(ctx, j.claim(), j.arn); err != nil {
		return err
	}
	return w.move(ctx, j, "TrainingJobCleared", func(tx *store.Tx, j *job) error {
		j.phase = done
		if tx == nil || j.network == nil {
			return nil
		}
		return w.Network.Release(tx, j.network.Interface.ID)
	})
}
