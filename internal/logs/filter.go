package logs

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/logs"
)

// maxPrefixed bounds how many streams a prefix may stand for.
const maxPrefixed = 100

func (s *Service) filtered(_ context.Context, c *api.Call, in *shape.FilterLogEventsInput) (*found, []api.Demand, error) {
	f, err := s.named(c, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.demand("FilterLogEvents")}, nil
}

// filterLogEvents reads the streams of a group together, in order of time, and
// answers those that the pattern matches. An answer may be empty and still have a
// token: then there was more to look through than one call does.
func (s *Service) filterLogEvents(ctx context.Context, c *api.Call, in *shape.FilterLogEventsInput, f *found) (*shape.FilterLogEventsOutput, error) {
	p, err := parsePattern(in.FilterPattern)
	if err != nil {
		return nil, err
	}
	q := scan{group: f.group, limit: maxEvents, match: p.match}
	if in.Limit != nil {
		q.limit = min(max(int(*in.Limit), 1), maxEvents)
	}
	if q.streams, err = s.chosen(c, in, f.group); err != nil {
		return nil, err
	}
	q.from, q.to = between(in.StartTime, in.EndTime, true)
	if in.NextToken != "" {
		here, err := parsePosition(in.NextToken)
		if err != nil {
			return nil, err
		}
		q.from = later(q.from, here)
	}
	out := &shape.FilterLogEventsOutput{Events: []shape.FilteredLogEvent{}, SearchedLogStreams: []shape.SearchedLogStream{}}
	if q.streams != nil && len(q.streams) == 0 {
		return out, nil
	}
	got, err := s.run(ctx, c, q)
	if err != nil {
		return nil, err
	}
	if !got.done {
		out.NextToken = got.upTo.String()
	}
	for _, e := range got.entries {
		out.Events = append(out.Events, shape.FilteredLogEvent{
			EventId: e.position.String(), IngestionTime: &e.ingested, LogStreamName: e.stream.name, Message: e.message, Timestamp: &e.time,
		})
	}
	return out, nil
}

// chosen are the streams that a request names, by name or prefix; nil for all.
func (s *Service) chosen(c *api.Call, in *shape.FilterLogEventsInput, g *group) ([]*stream, error) {
	prefix := in.LogStreamNamePrefix
	switch {
	case len(in.LogStreamNames) > 0 && prefix != "":
		return nil, invalid("logStreamNames and logStreamNamePrefix cannot both be given.")
	case prefix != "":
		found, err := streamRows(c.Snapshot, "grp = ? AND substr(name, 1, length(?)) = ? ORDER BY name LIMIT ?", g.id, prefix, prefix, maxPrefixed+1)
		if err != nil {
			return nil, err
		}
		if len(found) > maxPrefixed {
			return nil, invalid("The prefix stands for more than %d log streams.", maxPrefixed)
		}
		return append([]*stream{}, found...), nil
	}
	var streams []*stream
	for _, name := range in.LogStreamNames {
		st, err := streamRow(c.Snapshot, g, name)
		if err != nil || st == nil {
			return nil, either(err, noStream())
		}
		streams = append(streams, st)
	}
	return streams, nil
}
