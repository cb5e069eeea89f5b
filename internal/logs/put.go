package logs

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
	"unicode/utf8"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/logs"
	"bawn.dev/internal/store"
)

// AWS's limits of PutLogEvents.
const (
	eventOverhead = 26        // bytes that each event counts beside its text
	maxBatch      = 1 << 20   // bytes
	maxEvent      = 256 << 10 // bytes, with the overhead
	maxSpan       = 24 * time.Hour
	tooOld        = 14 * 24 * time.Hour
	tooNew        = 2 * time.Hour
)

func (s *Service) putting(_ context.Context, c *api.Call, in *shape.PutLogEventsInput) (*found, []api.Demand, error) {
	f, err := s.find(c, in.LogGroupName)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.on("PutLogEvents", in.LogStreamName)}, nil
}

func (s *Service) putLogEvents(ctx context.Context, c *api.Call, in *shape.PutLogEventsInput, f *found) (api.Commit[shape.PutLogEventsOutput], error) {
	events, rejected, err := accepted(in.LogEvents, c.Now)
	if err != nil {
		return nil, err
	}
	st, err := streamRow(c.Snapshot, f.group, in.LogStreamName)
	if err != nil || st == nil {
		return nil, either(err, noStream())
	}
	out := &shape.PutLogEventsOutput{NextSequenceToken: sequenceToken(st.id), RejectedLogEventsInfo: rejected}
	if len(events) == 0 {
		return func(*store.Tx) (*shape.PutLogEventsOutput, error) { return out, nil }, nil
	}
	key, err := s.openKey(ctx, c, f.group, st)
	if err != nil {
		return nil, err
	}
	defer key.Zero()
	b := &batch{id: strings.ToLower(rand.Text()), first: events[0].Time, last: events[len(events)-1].Time, ingested: c.Now.UnixMilli()}
	for _, e := range events {
		b.stored += int64(len(e.Message)) + eventOverhead
	}
	if b.sealed, err = sealEvents(&key, st.id, b.id, events); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutLogEventsOutput, error) { return out, insertBatch(tx, f.group, st, b) }, nil
}

// accepted checks a batch as AWS does: what is wrong with its form refuses all of
// it, events that are too old or too new are left out and told of.
func accepted(in []shape.InputLogEvent, now time.Time) ([]event, *shape.RejectedLogEventsInfo, error) {
	size := 0
	for i, e := range in {
		size += len(e.Message) + eventOverhead
		switch {
		case len(e.Message)+eventOverhead > maxEvent:
			return nil, nil, invalid("Log event too large: %d bytes exceeds limit of %d", len(e.Message)+eventOverhead, maxEvent)
		case !utf8.ValidString(e.Message):
			return nil, nil, invalid("A log event is not valid text.")
		case i > 0 && e.Timestamp < in[i-1].Timestamp:
			return nil, nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatch {
		return nil, nil, invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	}
	if len(in) > 0 && in[len(in)-1].Timestamp-in[0].Timestamp > maxSpan.Milliseconds() {
		return nil, nil, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	oldest, newest := now.Add(-tooOld).UnixMilli(), now.Add(tooNew).UnixMilli()
	low, high := 0, len(in)
	for low < high && in[low].Timestamp < oldest {
		low++
	}
	for high > low && in[high-1].Timestamp > newest {
		high--
	}
	var rejected *shape.RejectedLogEventsInfo
	if low > 0 || high < len(in) {
		rejected = &shape.RejectedLogEventsInfo{}
		if end := int32(low); low > 0 {
			rejected.TooOldLogEventEndIndex = &end
		}
		if start := int32(high); high < len(in) {
			rejected.TooNewLogEventStartIndex = &start
		}
	}
	events := make([]event, 0, high-low)
	for _, e := range in[low:high] {
		events = append(events, event{e.Timestamp, e.Message})
	}
	return events, rejected, nil
}
