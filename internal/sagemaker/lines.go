package sagemaker

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/driver"
	"bawn.dev/internal/host"
	"bawn.dev/internal/shape/logs"
	"bawn.dev/internal/store"
)

// The limits of one PutLogEvents.
const (
	maxLines     = 1000
	maxLineBatch = 1 << 20 // bytes
	lineOverhead = 26      // bytes
)

// forward delivers the lines that are there now, and says whether there were more
// than one call takes. When the log service takes none (the group's key is off) they
// stay where they are, for the next time. After a crash between a delivery and the
// note of it, its lines are delivered once more.
func (w *worker) forward(ctx context.Context, j *job) (more bool, err error) {
	sent, lines, err := w.deliver(ctx, j)
	if _, refused := errors.AsType[*undelivered](err); refused {
		return false, nil
	}
	return sent == maxLines || sent < len(lines.Lines), err
}

// drain delivers what is left of an ended workload's log. Lines that the log
// service does not take are given up, and the record says so.
func (w *worker) drain(ctx context.Context, j *job) error {
	for {
		sent, lines, err := w.deliver(ctx, j)
		if u, refused := errors.AsType[*undelivered](err); refused {
			details := map[string]any{"logStreamName": j.logStream, "undeliveredFrom": j.logNext, "errorCode": u.code}
			return w.tell(ctx, j, "TrainingJobLogUndelivered", details, func(*store.Tx, *job) error { return nil })
		}
		switch {
		case err != nil:
			return err
		case sent < len(lines.Lines):
		case lines.End:
			return nil
		case sent == 0:
			return errors.New("sagemaker: the end of the log is not there yet")
		}
	}
}

// undelivered says that the log service took no lines.
type undelivered struct{ code string }

func (u *undelivered) Error() string { return "sagemaker: log lines were refused: " + u.code }

// deliver sends one batch of the lines that are there and says how many it sent.
func (w *worker) deliver(ctx context.Context, j *job) (sent int, lines host.Lines, err error) {
	lines, err = w.Machines.Logs(ctx, j.id, j.logNext, maxLines)
	if err != nil {
		return 0, lines, err
	}
	events, next := batchOf(lines.Lines)
	if len(events) == 0 {
		return 0, lines, nil
	}
	if err := w.put(ctx, j, events); err != nil {
		e, told := errors.AsType[*api.Error](err)
		switch {
		case errors.Is(err, api.ErrGone):
			return 0, lines, &undelivered{"ErrGone"}
		case told && !e.Server:
			return 0, lines, &undelivered{e.Code}
		}
		return 0, lines, err
	}
	err = w.Door().Store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE sagemaker_jobs SET log_next = ? WHERE id = ?", next, j.id)
		return err
	})
	if err != nil {
		return 0, lines, err
	}
	j.logNext = next
	return len(events), lines, nil
}

// batchOf makes as many lines into events as one call takes, and says where the
// next ones begin.
func batchOf(lines []driver.Line) (events []logs.InputLogEvent, next int64) {
	size, last := 0, int64(0)
	for _, l := range lines {
		text := l.Text
		if text == "" {
			text = " " // an event cannot be empty
		}
		size += len(text) + lineOverhead
		at := max(l.Time.UnixMilli(), last) // the order written, whatever the clock did
		if size > maxLineBatch || len(events) > 0 && at-events[0].Timestamp > 24*3600*1000 {
			break
		}
		last = at
		events = append(events, logs.InputLogEvent{Message: text, Timestamp: at})
		next = l.Next
	}
	return events, next
}

// put writes events as the service, on behalf of the job's person. The group and
// the stream come into being with the first line.
func (w *worker) put(ctx context.Context, j *job, events []logs.InputLogEvent) error {
	c, err := w.Door().Begin(ctx, api.Claim{
		Kind: api.KindService, Account: j.account, ID: principal, SourceARN: j.arn, SourceAccount: j.account, Person: j.person,
	}, principal)
	if err != nil {
		return err
	}
	in := &logs.PutLogEventsInput{LogGroupName: logGroup, LogStreamName: j.logStream, LogEvents: events}
	_, err = api.Invoke[logs.PutLogEventsOutput](ctx, c, "logs:PutLogEvents", in)
	if !is(err, "ResourceNotFoundException") {
		return err
	}
	_, err = api.Invoke[logs.CreateLogGroupOutput](ctx, c, "logs:CreateLogGroup", &logs.CreateLogGroupInput{LogGroupName: logGroup})
	if err != nil && !is(err, "ResourceAlreadyExistsException") {
		return err
	}
	_, err = api.Invoke[logs.CreateLogStreamOutput](ctx, c, "logs:CreateLogStream", &logs.CreateLogStreamInput{LogGroupName: logGroup, LogStreamName: j.logStream})
	if err != nil && !is(err, "ResourceAlreadyExistsException") {
		return err
	}
	_, err = api.Invoke[logs.PutLogEventsOutput](ctx, c, "logs:PutLogEvents", in)
	return err
}

func is(err error, code string) bool {
	e, ok := errors.AsType[*api.Error](err)
	return ok && e.Code == code
}
