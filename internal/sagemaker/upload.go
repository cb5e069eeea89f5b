package sagemaker

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/host"
	"bawn.dev/internal/shape/s3"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/store"
)

// An outcome is what a workload's end means.
type outcome string

const (
	completed   outcome = "completed"
	stopped     outcome = "stopped"
	timedOut    outcome = "timed out"
	outOfMemory outcome = "out of memory"
	lost        outcome = "lost"
	// What ended a lost one, where the host knows, stands behind a colon. A workload
	// that failed has its exit code behind the word.
	failedWith outcome = "failed with "
)

// outcomeOf reads how a workload ended. Who stopped a job, or let its time run out,
// hears that and not with what status it took it.
func outcomeOf(j *job, state host.State) outcome {
	exit := state.Exit
	switch {
	case exit != nil && exit.Reason != "":
		return lost + ": " + outcome(exit.Reason)
	case exit == nil || exit.Lost:
		return lost
	case j.stopping():
		return stopped
	case state.TimedOut:
		return timedOut
	case exit.OOM:
		return outOfMemory
	case exit.Code == 0:
		return completed
	}
	return failedWith + outcome(fmt.Sprint(exit.Code))
}

// upload takes what the workload left: its last lines, the model of one that did
// not fail, the other output of each. It can be repeated.
func (w *worker) upload(ctx context.Context, j *job) error {
	if why, gone := strings.CutPrefix(j.outcome, string(lost)); gone {
		return internalError("the sandbox of the job ended, and not by the job's doing%s. Please try again.", why)
	}
	in, err := w.openRequest(j)
	if err != nil {
		return err
	}
	if err := w.guarded(ctx, j, func(ctx context.Context) error { return w.take(ctx, j, in) }); err != nil {
		return err
	}
	switch outcome(j.outcome) {
	case stopped:
		return w.stopped(ctx, j)
	case timedOut:
		return w.end(ctx, j, shape.TrainingJobStatusStopped, shape.SecondaryStatusMaxRuntimeExceeded, nil)
	}
	return w.end(ctx, j, shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, nil)
}

// take does the taking.
func (w *worker) take(ctx context.Context, j *job, in *shape.CreateTrainingJobInput) error {
	if err := w.drain(ctx, j); err != nil {
		return err
	}
	err := w.archive(ctx, j, in.OutputDataConfig, volumeOutput+"/data", "output.tar.gz", true)
	if code, failed := strings.CutPrefix(j.outcome, string(failedWith)); failed || outcome(j.outcome) == outOfMemory {
		if _, ours := errors.AsType[*failure](err); err != nil && !ours {
			return err
		}
		return w.algorithmError(ctx, j, code) // what it says matters more than where it could not be put
	}
	if err != nil {
		return err
	}
	if err := w.archive(ctx, j, in.OutputDataConfig, volumeModel, "model.tar.gz", false); err != nil {
		return err
	}
	return w.move(ctx, j, "TrainingJobModelUploaded", func(_ *store.Tx, j *job) error {
		j.model = artifact(in.OutputDataConfig, j, "model.tar.gz")
		return nil
	})
}

// algorithmError is the failure of a program that said so: with the text that it
// left, if it left one.
func (w *worker) algorithmError(ctx context.Context, j *job, code string) error {
	if outcome(j.outcome) == outOfMemory {
		return clientError("Please use an instance type with more memory, or reduce the size of training data processed on an instance.")
	}
	text, err := w.Machines.ReadFile(ctx, j.id, volumeOutput+"/failure", 4*maxReason)
	if err != nil && !errors.Is(err, host.ErrNotFound) {
		return err
	}
	said := strings.TrimSpace(strings.ToValidUTF8(string(text), "\uFFFD"))
	end := ", exit code: " + code
	return &failure{"AlgorithmError", clip(said, maxReason-len("AlgorithmError: ")-len(end)) + end}
}

func artifact(o *shape.OutputDataConfig, j *job, name string) string {
	return strings.TrimRight(o.S3OutputPath, "/") + "/" + j.shown + "/output/" + name
}

// small is the size in bytes up to which an archive is looked into.
const small = 4 << 10

// archive streams a directory of the volume into an object.
func (w *worker) archive(ctx context.Context, j *job, o *shape.OutputDataConfig, dir, name string, ifAny bool) error {
	body, err := w.Machines.Archive(ctx, j.id, dir)
	if ifAny && errors.Is(err, host.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	buffered := bufio.NewReaderSize(body, small)
	if ifAny {
		head, err := buffered.Peek(small)
		if errors.Is(err, io.EOF) && empty(head) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	uri := artifact(o, j, name)
	bucket, key, _ := cutS3(uri)
	in := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: buffered, ContentType: "application/x-tar"}
	if o.KmsKeyId != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = s3.ServerSideEncryptionAwsKms, keyName(w.Region, j.account, o.KmsKeyId)
	}
	c, err := w.atS3(ctx, j)
	if err != nil {
		return err
	}
	if _, err := api.Invoke[s3.PutObjectOutput](ctx, c, "s3:PutObject", in); err != nil {
		return because(err, "Failed to upload %s", uri)
	}
	return nil
}

// empty says whether a whole archive holds no file.
func empty(archive []byte) bool {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return len(archive) == 0
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil || h.Typeflag != tar.TypeDir {
			return false
		}
	}
}
