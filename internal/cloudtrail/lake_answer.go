package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bawn.dev/internal/lake"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// What one query may take. It works half of the time, at most, and lets others have the
// machine for the rest.
const (
	maxWork   = 30 * time.Second
	maxSlice  = 50 * time.Millisecond // of work, until it gives way
	maxEvents = 2_000_000
	maxRows   = 20_000
	maxResult = 4 << 20
	maxMemory = 32 << 20
)

// poll is how often it is seen to that queries of other copies are answered too, and
// sweep how often what is due to go goes.
const (
	poll  = time.Second
	sweep = time.Minute
)

func (s *Service) wake() {
	select {
	case s.asked <- struct{}{}:
	default:
	}
}

// Answer answers queries, one after the other, until ctx ends. Among several copies of
// the server one does so. One that runs when its server ends has failed.
func (s *Service) Answer(ctx context.Context, st *store.Store, problem func(error)) error {
	for ctx.Err() == nil {
		err := st.Lead(ctx, "cloudtrail-queries", func(ctx context.Context) error { return s.answering(ctx, st, problem) })
		if err != nil && ctx.Err() == nil {
			problem(err)
			wait(ctx, poll)
		}
	}
	return nil
}

func (s *Service) answering(ctx context.Context, st *store.Store, problem func(error)) error {
	if err := s.abandoned(ctx, st); err != nil {
		return err
	}
	tick, due := time.NewTicker(poll), time.NewTicker(sweep)
	defer tick.Stop()
	defer due.Stop()
	for {
		more, err := s.AnswerNext(ctx, st)
		if err != nil && ctx.Err() == nil {
			problem(err)
			if err := s.abandoned(ctx, st); err != nil {
				return err
			}
		}
		select {
		case <-due.C:
			if err := s.Sweep(ctx, st); err != nil && ctx.Err() == nil {
				problem(err)
			}
		default:
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.asked:
		case <-tick.C:
		}
	}
}

// abandoned ends the queries that nobody answers any more.
func (s *Service) abandoned(ctx context.Context, st *store.Store) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM cloudtrail_results WHERE query IN (SELECT id FROM cloudtrail_queries WHERE status = 'RUNNING')")
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE cloudtrail_queries SET status = 'FAILED', ended = ?, error = ? WHERE status = 'RUNNING'",
			s.Now().UnixMicro(), "The query was interrupted by a restart. Start it again.")
		return err
	})
}

// AnswerNext answers one query that waits, and says whether there was one: the oldest of
// the account that waited longest for its turn.
func (s *Service) AnswerNext(ctx context.Context, st *store.Store) (bool, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return false, err
	}
	waiting, err := queryRows(sn, "status = 'QUEUED' ORDER BY created, id LIMIT ?", maxWaiting)
	sn.Close()
	if err != nil || len(waiting) == 0 {
		return false, err
	}
	next := waiting[0]
	for _, k := range waiting {
		if s.served[k.account] < s.served[next.account] {
			next = k
		}
	}
	s.turns++
	s.served[next.account] = s.turns
	return true, s.answer(ctx, st, next)
}

// errCancelled ends a query that was cancelled.
var errCancelled = errors.New("cloudtrail: the query was cancelled")

// errWork ends a query that worked for too long.
var errWork = errors.New("cloudtrail: the query takes too long")

func (s *Service) answer(ctx context.Context, st *store.Store, k *queryRow) error {
	k.run = uuid.New()
	begun := false
	err := st.Update(ctx, func(tx *store.Tx) error {
		done, err := tx.Exec("UPDATE cloudtrail_queries SET status = 'RUNNING', run = ? WHERE id = ? AND status = 'QUEUED'", k.run, k.id)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		begun = n == 1
		return err
	})
	if err != nil || !begun {
		return err
	}
	w := &work{service: s, store: st, query: k, limit: s.work, begun: time.Now()}
	result, err := w.run(ctx)
	w.rest()
	if err == nil {
		err = s.keepResult(ctx, st, k.id, result)
	}
	if ctx.Err() != nil {
		return ctx.Err() // the next one to lead finds it abandoned
	}
	k.status, k.failure = outcome(err)
	ended := st.Update(ctx, func(tx *store.Tx) error { return w.end(tx, result) })
	if k.status == string(shape.QueryStatusFailed) && k.failure == broken {
		return errors.Join(fmt.Errorf("query %s: %w", k.id, err), ended)
	}
	return ended
}

const broken = "An internal error occurred."

// outcome is what became of a query, and what who asked it is told.
func outcome(err error) (status, message string) {
	var bad *lake.Invalid
	switch {
	case err == nil:
		return string(shape.QueryStatusFinished), ""
	case errors.Is(err, errCancelled):
		return string(shape.QueryStatusCancelled), ""
	case errors.Is(err, errWork):
		return string(shape.QueryStatusTimedOut), fmt.Sprintf("The query took more than %s of work. Narrow it by eventTime.", maxWork)
	case errors.Is(err, lake.ErrTooMuch), errors.Is(err, errInactive), errors.As(err, &bad):
		return string(shape.QueryStatusFailed), err.Error()
	}
	return string(shape.QueryStatusFailed), broken
}

// errInactive says that a store was deleted after it was asked.
var errInactive = errors.New("the event data store is inactive")

// work is one query on its way.
type work struct {
	service *Service
	store   *store.Store
	query   *queryRow
	limit   time.Duration
	begun   time.Time     // of the work that is not counted yet
	worked  time.Duration // since then, without pauses
}

func (w *work) run(ctx context.Context) (*lake.Result, error) {
	s, k := w.service, w.query
	statement, err := questions.Open(s.Key[:], k.statement, []byte(k.id))
	if err != nil {
		return nil, err
	}
	question, err := lake.Parse(string(statement))
	if err != nil {
		return nil, err
	}
	sn, err := w.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	l, err := one(lakeRows(sn, "id = ? AND account = ? AND deleted = 0", k.store, k.account))
	if err == nil && (l == nil || l.id != question.Store) {
		err = errInactive
	}
	if err != nil {
		return nil, err
	}
	v := &view{account: k.account, cutoff: l.cutoff(s.Now()), records: s.Records, chosen: w.chosen, turn: w.turn}
	if v.periods, err = spans(sn, l.id); err != nil {
		return nil, err
	}
	if err := sn.Close(); err != nil {
		return nil, err
	}
	source := func(ctx context.Context, hint lake.Hint, fn func([]byte) error) error {
		return v.source(ctx, hint, func(event []byte) error {
			if time.Since(w.begun) > maxSlice {
				if err := w.turn(ctx); err != nil {
					return err
				}
			}
			return fn(event)
		})
	}
	return question.Run(ctx, source, lake.Limits{Events: maxEvents, Rows: maxRows, Bytes: maxResult, Memory: maxMemory}, s.Now())
}

func (w *work) chosen(ctx context.Context, p period) (choice, error) {
	sn, err := w.store.Snapshot(ctx)
	if err != nil {
		return choice{}, err
	}
	defer sn.Close()
	return chosenIn(sn, p)
}

// rest counts the work since it was last counted.
func (w *work) rest() time.Duration {
	d := time.Since(w.begun)
	w.worked += d
	w.begun = time.Now()
	return d
}

// turn ends a query that was cancelled or takes too long, and lets others work for as
// long as it did.
func (w *work) turn(ctx context.Context) error {
	d := w.rest()
	if w.worked > w.limit {
		return errWork
	}
	sn, err := w.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	n, err := count(sn, "SELECT COUNT(*) FROM cloudtrail_queries WHERE id = ? AND run = ? AND status = 'RUNNING'", w.query.id, w.query.run)
	sn.Close()
	if err != nil {
		return err
	}
	if n == 0 {
		return errCancelled
	}
	wait(ctx, d)
	w.begun = time.Now()
	return ctx.Err()
}

// end writes what became of a query, unless it was cancelled or abandoned meanwhile.
func (w *work) end(tx *store.Tx, r *lake.Result) error {
	k := w.query
	if r != nil {
		k.looked, k.matched, k.bytes = r.Events, r.Matched, r.Bytes
	}
	if r != nil && k.status == string(shape.QueryStatusFinished) {
		k.results = int64(len(r.Rows))
	} else if _, err := tx.Exec("DELETE FROM cloudtrail_results WHERE query = ?", k.id); err != nil {
		return err
	}
	done, err := tx.Exec(`UPDATE cloudtrail_queries SET status = ?, ended = ?, looked = ?, matched = ?, bytes = ?, millis = ?, results = ?, error = ?
		WHERE id = ? AND run = ? AND status = 'RUNNING'`,
		k.status, w.service.Now().UnixMicro(), k.looked, k.matched, k.bytes, w.worked.Milliseconds(), k.results, k.failure, k.id, k.run)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	_, err = tx.Exec("DELETE FROM cloudtrail_results WHERE query = ?", k.id)
	return err
}
