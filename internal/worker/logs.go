package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/host"
)

const (
	// quiet is how long a running workload's log must give nothing before what
	// there is is taken for all that is there. A line that comes a moment late is
	// in the next answer.
	quiet = 50 * time.Millisecond
	// maxLogBytes bounds the text of one answer.
	maxLogBytes = 4 << 20
)

// Logs implements [host.Files].
func (w *Worker) Logs(ctx context.Context, id string, from int64, max int) (host.Lines, error) {
	out := host.Lines{Lines: []driver.Line{}, Next: from}
	if from < 0 || max < 0 {
		return out, fmt.Errorf("%w: a negative offset or bound", host.ErrInvalid)
	}
	x, err := w.find(id)
	if err != nil {
		return out, err
	}
	r := x.now()
	if r.Phase == host.Prepared {
		return out, nil // it has said nothing yet
	}
	if r.Phase == host.Locked || r.Locking {
		return out, host.ErrPhase
	}
	handle, err := w.config.Driver.Recover(ctx, id)
	if err != nil {
		return out, err
	}
	ctx, release := x.within(ctx)
	defer release()
	read, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(quiet, cancel)
	defer idle.Stop()
	if r.Phase == host.Exited {
		idle.Stop() // it ends by itself
	}
	size := 0
	for line, err := range handle.Logs(read, from) {
		switch {
		case err != nil && ctx.Err() == nil && read.Err() != nil:
			return out, nil // nothing more for now
		case errors.Is(err, fs.ErrNotExist):
			// A start that failed left no log.
			out.End = r.Phase == host.Exited
			return out, nil
		case err != nil:
			return out, err
		case len(out.Lines) == min(max, host.MaxLines) || size+len(line.Text) > maxLogBytes:
			return out, nil
		}
		if r.Phase == host.Running {
			idle.Reset(quiet)
		}
		out.Lines, out.Next = append(out.Lines, line), line.Next
		size += len(line.Text)
	}
	out.End = true
	return out, nil
}
