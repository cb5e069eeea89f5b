package logs

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/logs"
	"bawn.dev/internal/store"
)

// on is a demand on one stream of the group.
func (f *found) on(action, stream string) api.Demand {
	r := f.resource
	r.ARN += stream
	r.Type = "AWS::Logs::LogStream"
	return api.Demand{Action: "logs:" + action, Resource: r}
}

func (s *Service) newStream(_ context.Context, c *api.Call, in *shape.CreateLogStreamInput) (*found, []api.Demand, error) {
	f, err := s.find(c, in.LogGroupName)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.on("CreateLogStream", in.LogStreamName)}, nil
}

func (s *Service) createLogStream(ctx context.Context, c *api.Call, in *shape.CreateLogStreamInput, f *found) (api.Commit[shape.CreateLogStreamOutput], error) {
	if old, err := streamRow(c.Snapshot, f.group, in.LogStreamName); err != nil || old != nil {
		return nil, either(err, streamExists())
	}
	key, sealed, err := s.newKey(ctx, c, f.group)
	if err != nil {
		return nil, err
	}
	key.Zero()
	st := &stream{id: strings.ToLower(rand.Text()), name: in.LogStreamName, dataKey: sealed, created: c.Now.UnixMilli()}
	return func(tx *store.Tx) (*shape.CreateLogStreamOutput, error) {
		if old, err := streamRow(tx, f.group, st.name); err != nil || old != nil {
			return nil, either(err, streamExists())
		}
		_, err := tx.Exec("INSERT INTO logs_streams ("+streamColumns+", grp) VALUES (?, ?, ?, ?, 0, 0, 0, 0, ?)",
			st.id, st.name, st.dataKey, st.created, f.id)
		return &shape.CreateLogStreamOutput{}, err
	}, nil
}

func streamExists() error {
	return fail("ResourceAlreadyExistsException", "The specified log stream already exists")
}

func either(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (s *Service) listingStreams(_ context.Context, c *api.Call, in *shape.DescribeLogStreamsInput) (*found, []api.Demand, error) {
	f, err := s.named(c, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.demand("DescribeLogStreams")}, nil
}

func (s *Service) describeLogStreams(_ context.Context, c *api.Call, in *shape.DescribeLogStreamsInput, f *found) (*shape.DescribeLogStreamsOutput, error) {
	byTime := in.OrderBy == shape.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != "" {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	p, err := pageOf(in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	compare, direction := ">", ""
	if in.Descending != nil && *in.Descending {
		compare, direction = "<", " DESC"
	}
	where, args := "grp = ?", []any{f.id}
	position := func(st *stream) string { return st.name }
	order := "name" + direction
	if byTime {
		order = "last" + direction + ", name" + direction
		position = func(st *stream) string { return fmt.Sprintf("%020d", st.last) + st.name }
	}
	switch {
	case in.NextToken == "":
	case !byTime:
		where, args = where+" AND name "+compare+" ?", append(args, p.after)
	default:
		var last int64
		if len(p.after) <= 20 {
			return nil, badToken()
		}
		if _, err := fmt.Sscanf(p.after[:20], "%d", &last); err != nil {
			return nil, badToken()
		}
		where, args = where+" AND (last, name) "+compare+" (?, ?)", append(args, last, p.after[20:])
	}
	where += " AND substr(name, 1, length(?)) = ? ORDER BY " + order + " LIMIT ?"
	streams, err := streamRows(c.Snapshot, where, append(args, in.LogStreamNamePrefix, in.LogStreamNamePrefix, p.limit+1)...)
	if err != nil {
		return nil, err
	}
	streams, next := cut(p, streams, position)
	out := &shape.DescribeLogStreamsOutput{LogStreams: []shape.LogStream{}, NextToken: next}
	for _, st := range streams {
		out.LogStreams = append(out.LogStreams, st.described(f.group))
	}
	return out, nil
}

func (st *stream) described(g *group) shape.LogStream {
	out := shape.LogStream{
		LogStreamName: st.name, Arn: g.arn + ":log-stream:" + st.name, CreationTime: &st.created,
		StoredBytes: new(int64), // which AWS no longer counts by stream
	}
	if st.ingested != 0 {
		out.FirstEventTimestamp, out.LastEventTimestamp, out.LastIngestionTime = &st.first, &st.last, &st.ingested
		out.UploadSequenceToken = sequenceToken(st.id)
	}
	return out
}

// sequenceToken is there because old clients want one. Any is accepted.
func sequenceToken(stream string) string { return "4" + stream }
