package cloudtrail

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/lake"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	maxRunning = 10  // queries of an account that run or wait, as at AWS
	maxWaiting = 200 // of all accounts
	maxAnswers = 100 // queries of an account that are kept: the oldest go
	// answered is how long the result of a query is kept, as at AWS.
	answered = 7 * 24 * time.Hour
)

// queriesKey changes with every query of an account that comes or goes.
func queriesKey(account string) string { return "cloudtrail:queries/" + account }

// What queries ask and what comes of it is sealed: it has parameters of calls.
const questions seal.Purpose = "cloudtrail query"

func (s *Service) askedLake(_ context.Context, c *api.Call, in *shape.StartQueryInput) (*foundLake, []api.Demand, error) {
	if in.QueryStatement == "" {
		return nil, nil, badParameter("QueryStatement is needed.")
	}
	question, err := lake.Parse(in.QueryStatement)
	if err != nil {
		return nil, nil, fail("InvalidQueryStatementException", "The query is not valid: %s", err)
	}
	if !lakeID.MatchString(question.Store) {
		return nil, nil, fail("InvalidQueryStatementException", "The query is not valid: FROM takes the id of an event data store")
	}
	return s.onLake(c, "StartQuery", question.Store)
}

func (s *Service) startQuery(_ context.Context, c *api.Call, in *shape.StartQueryInput, f *foundLake) (api.Commit[shape.StartQueryOutput], error) {
	if err := f.active(); err != nil {
		return nil, err
	}
	k := &queryRow{id: uuid.New(), account: c.Account, store: f.id, created: c.Now.UnixMicro(), status: string(shape.QueryStatusQueued)}
	var err error
	if k.statement, err = questions.Seal(s.Key[:], []byte(in.QueryStatement), []byte(k.id)); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.StartQueryOutput, error) {
		if err := admitQuery(tx, c.Account); err != nil {
			return nil, err
		}
		if err := insertQuery(tx, k); err != nil {
			return nil, err
		}
		tx.AfterCommit(s.wake)
		return &shape.StartQueryOutput{QueryId: k.id}, tx.Touch(queriesKey(c.Account))
	}, nil
}

// admitQuery makes room for one more query of an account, or refuses it.
func admitQuery(tx *store.Tx, account string) error {
	const busy = "status IN ('QUEUED', 'RUNNING')"
	own, err := count(tx, "SELECT COUNT(*) FROM cloudtrail_queries WHERE account = ? AND "+busy, account)
	if err != nil {
		return err
	}
	all, err := count(tx, "SELECT COUNT(*) FROM cloudtrail_queries WHERE "+busy)
	if err != nil {
		return err
	}
	if own >= maxRunning || all >= maxWaiting {
		return fail("MaxConcurrentQueriesException", "You are already running the maximum number of concurrent queries. The maximum number of concurrent queries is %d.", maxRunning)
	}
	old, err := queryRows(tx, "account = ? AND NOT "+busy+" ORDER BY created DESC, id LIMIT 1000 OFFSET ?", account, maxAnswers-maxRunning-1)
	if err != nil {
		return err
	}
	for _, k := range old {
		if err := deleteQuery(tx, k.id); err != nil {
			return err
		}
	}
	return nil
}

// foundQuery is a query that a request names, and the store that it asks.
type foundQuery struct {
	*foundLake
	query *queryRow
}

// query looks up a query, which who may do so on its store may see.
func (s *Service) query(c *api.Call, action, id, name string) (*foundQuery, []api.Demand, error) {
	if id == "" {
		return nil, nil, badParameter("QueryId is needed.")
	}
	if _, err := c.Snapshot.Version(queriesKey(c.Account)); err != nil {
		return nil, nil, err
	}
	k, err := one(queryRows(c.Snapshot, "id = ? AND account = ?", id, c.Account))
	if err != nil {
		return nil, nil, err
	}
	if k == nil && name == "" { // of which store is not known: who may of any hears that there is none
		r := api.Resource{ARN: s.lakeARN(c.Account, "*"), Account: c.Account, Type: "AWS::CloudTrail::EventDataStore", Missing: noQuery(id)}
		return &foundQuery{}, api.On("cloudtrail:"+action, r), nil
	}
	if name == "" {
		name = k.store
	}
	f, demands, err := s.onLake(c, action, name)
	if err != nil {
		return nil, nil, err
	}
	if f.lakeRow != nil && (k == nil || k.store != f.id || c.Now.Sub(moment(cmp.Or(k.ended, c.Now.UnixMicro()))) >= answered) {
		demands[0].Resource.Missing = noQuery(id)
	}
	return &foundQuery{f, k}, demands, nil
}

func (s *Service) describedQuery(_ context.Context, c *api.Call, in *shape.DescribeQueryInput) (*foundQuery, []api.Demand, error) {
	return s.query(c, "DescribeQuery", in.QueryId, in.EventDataStore)
}

func (s *Service) describeQuery(_ context.Context, _ *api.Call, _ *shape.DescribeQueryInput, f *foundQuery) (*shape.DescribeQueryOutput, error) {
	if err := f.active(); err != nil {
		return nil, err
	}
	k := f.query
	statement, err := questions.Open(s.Key[:], k.statement, []byte(k.id))
	if err != nil {
		return nil, err
	}
	millis := int32(min(k.millis, math.MaxInt32))
	return &shape.DescribeQueryOutput{
		ErrorMessage: k.failure, QueryId: k.id, QueryStatus: shape.QueryStatus(k.status), QueryString: string(statement),
		QueryStatistics: &shape.QueryStatisticsForDescribeQuery{
			BytesScanned: &k.bytes, CreationTime: moment(k.created), EventsMatched: &k.matched, EventsScanned: &k.looked, ExecutionTimeInMillis: &millis,
		},
	}, nil
}

func (s *Service) cancelledQuery(_ context.Context, c *api.Call, in *shape.CancelQueryInput) (*foundQuery, []api.Demand, error) {
	return s.query(c, "CancelQuery", in.QueryId, in.EventDataStore)
}

func (s *Service) cancelQuery(_ context.Context, c *api.Call, in *shape.CancelQueryInput, f *foundQuery) (api.Commit[shape.CancelQueryOutput], error) {
	if err := f.active(); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CancelQueryOutput, error) {
		done, err := tx.Exec("UPDATE cloudtrail_queries SET status = 'CANCELLED', ended = ? WHERE id = ? AND status IN ('QUEUED', 'RUNNING')",
			c.Now.UnixMicro(), in.QueryId)
		if err != nil {
			return nil, err
		}
		if n, err := done.RowsAffected(); err != nil {
			return nil, err
		} else if n == 0 {
			return nil, fail("InactiveQueryException", "The query cannot be canceled because it is not running: %s", in.QueryId)
		}
		return &shape.CancelQueryOutput{QueryId: in.QueryId, QueryStatus: shape.QueryStatusCancelled}, nil
	}, nil
}

func (s *Service) queriedLake(_ context.Context, c *api.Call, in *shape.ListQueriesInput) (*foundLake, []api.Demand, error) {
	if !in.StartTime.IsZero() && !in.EndTime.IsZero() && in.EndTime.Before(in.StartTime) {
		return nil, nil, fail("InvalidDateRangeException", "The end time is before the start time.")
	}
	return s.onLake(c, "ListQueries", in.EventDataStore)
}

func (s *Service) listQueries(_ context.Context, c *api.Call, in *shape.ListQueriesInput, f *foundLake) (*shape.ListQueriesOutput, error) {
	if err := f.active(); err != nil {
		return nil, err
	}
	from, err := offset(in.NextToken, queriesKey(f.id))
	if err != nil {
		return nil, err
	}
	since, until := c.Now.Add(-answered), c.Now
	if in.StartTime.After(since) {
		since = in.StartTime
	}
	if !in.EndTime.IsZero() && in.EndTime.Before(until) {
		until = in.EndTime
	}
	limit := 1000
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	all, err := queryRows(c.Snapshot, "account = ? AND store = ? AND created >= ? AND created <= ? AND (? = '' OR status = ?) ORDER BY created DESC, id LIMIT ? OFFSET ?",
		f.account, f.id, since.UnixMicro(), until.UnixMicro(), string(in.QueryStatus), string(in.QueryStatus), limit+1, from)
	if err != nil {
		return nil, err
	}
	out := &shape.ListQueriesOutput{Queries: []shape.Query{}}
	for _, k := range all[:min(limit, len(all))] {
		out.Queries = append(out.Queries, shape.Query{CreationTime: moment(k.created), QueryId: k.id, QueryStatus: shape.QueryStatus(k.status)})
	}
	if len(all) > limit {
		out.NextToken = token(queriesKey(f.id), from+limit)
	}
	return out, nil
}

// token says where a listing goes on, and which it is.
func token(of string, at int) string {
	sum := sha256.Sum256([]byte(of))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(sum[:12], uint32(at)))
}

func offset(text, of string) (int, error) {
	if text == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 16 || token(of, int(binary.BigEndian.Uint32(b[12:]))) != text {
		return 0, fail("InvalidNextTokenException", "The next token is not one that this question was answered with.")
	}
	return int(binary.BigEndian.Uint32(b[12:])), nil
}
