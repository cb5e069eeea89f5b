package logs

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/logs"
)

func (s *Service) readStream(_ context.Context, c *api.Call, in *shape.GetLogEventsInput) (*found, []api.Demand, error) {
	f, err := s.named(c, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.on("GetLogEvents", in.LogStreamName)}, nil
}

// between are the bounds of a scan in time: startTime is part of it, endTime is
// not where one event is read, and is where a group is filtered.
func between(start, end *int64, inclusive bool) (from, to position) {
	from, to = theStart, theEnd
	if start != nil {
		from.time = *start
	}
	if end != nil && *end < theEnd.time {
		to.time = *end
		if inclusive {
			to.time++
		}
	}
	return from, to
}

// getLogEvents reads one stream. Without a token it answers the latest events, or
// the first ones if asked; a token goes on from where its answer ended, forward or
// backward. At either end the answer is empty and repeats the token.
func (s *Service) getLogEvents(ctx context.Context, c *api.Call, in *shape.GetLogEventsInput, f *found) (*shape.GetLogEventsOutput, error) {
	st, err := streamRow(c.Snapshot, f.group, in.LogStreamName)
	if err != nil || st == nil {
		return nil, either(err, noStream())
	}
	q := scan{group: f.group, streams: []*stream{st}, limit: maxEvents}
	if in.Limit != nil {
		q.limit = min(max(int(*in.Limit), 1), maxEvents)
	}
	q.from, q.to = between(in.StartTime, in.EndTime, false)
	q.backward = in.StartFromHead == nil || !*in.StartFromHead
	here := q.from // where an empty answer stands
	if in.NextToken != "" {
		direction, text, _ := strings.Cut(in.NextToken, "/")
		if here, err = parsePosition(text); err != nil || direction != "f" && direction != "b" {
			return nil, badToken()
		}
		if q.backward = direction == "b"; q.backward {
			q.to = earlier(q.to, here)
		} else {
			q.from = later(q.from, here)
		}
	}
	got, err := s.run(ctx, c, q)
	if err != nil {
		return nil, err
	}
	begin, end := here, here
	switch entries := got.entries; {
	case len(entries) > 0 && q.backward:
		slices.Reverse(entries)
		fallthrough
	case len(entries) > 0:
		begin, end = entries[0].position, entries[len(entries)-1].next()
	case !got.done && q.backward:
		begin = got.upTo
	case !got.done:
		end = got.upTo
	}
	out := &shape.GetLogEventsOutput{
		Events: []shape.OutputLogEvent{}, NextBackwardToken: "b/" + begin.String(), NextForwardToken: "f/" + end.String(),
	}
	for _, e := range got.entries {
		out.Events = append(out.Events, shape.OutputLogEvent{IngestionTime: &e.ingested, Timestamp: &e.time, Message: e.message})
	}
	return out, nil
}

func earlier(a, b position) position {
	if b.compare(a) < 0 {
		return b
	}
	return a
}

func later(a, b position) position {
	if b.compare(a) > 0 {
		return b
	}
	return a
}
