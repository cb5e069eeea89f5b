package cloudtrail

import (
	"context"
	"time"

	"bawn.dev/internal/store"
)

// Sweep takes away the queries whose time is over, what deleted stores left, and the
// periods of which no store shows anything any more.
func (s *Service) Sweep(ctx context.Context, st *store.Store) error {
	now := s.Now()
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	old, err := queryRows(sn, "ended > 0 AND ended <= ? ORDER BY ended LIMIT ?", now.Add(-answered).UnixMicro(), maxAnswers)
	var lakes []*lakeRow
	if err == nil {
		lakes, err = overdue(sn, now)
	}
	sn.Close()
	if err != nil {
		return err
	}
	for _, k := range old {
		err := st.Update(ctx, func(tx *store.Tx) error {
			if err := deleteQuery(tx, k.id); err != nil {
				return err
			}
			return tx.Touch(queriesKey(k.account))
		})
		if err != nil {
			return err
		}
	}
	for _, l := range lakes {
		err := st.Update(ctx, func(tx *store.Tx) error { return l.sweep(tx, now) })
		if err != nil {
			return err
		}
	}
	return nil
}

// overdue are the stores that have something to go.
func overdue(q store.Querier, now time.Time) (due []*lakeRow, err error) {
	lakes, err := allLakes(q)
	if err != nil {
		return nil, err
	}
	for _, l := range lakes {
		n, err := count(q, "SELECT COUNT(*) FROM cloudtrail_spans WHERE store = ? AND until > 0 AND until < ? AND choice = ''", l.id, l.cutoff(now).UnixMicro())
		if err != nil {
			return nil, err
		}
		if n > 0 || l.gone(now) {
			due = append(due, l)
		}
	}
	return due, nil
}

func (l *lakeRow) sweep(tx *store.Tx, now time.Time) error {
	if !l.gone(now) {
		_, err := tx.Exec("DELETE FROM cloudtrail_spans WHERE store = ? AND until > 0 AND until < ? AND choice = ''", l.id, l.cutoff(now).UnixMicro())
		return err
	}
	n, err := count(tx, "SELECT COUNT(*) FROM cloudtrail_stores WHERE id = ? AND deleted = ?", l.id, l.deleted)
	if err != nil || n == 0 {
		return err // it was restored meanwhile
	}
	own, err := queryRows(tx, "account = ? AND store = ?", l.account, l.id)
	if err != nil {
		return err
	}
	for _, k := range own {
		if err := deleteQuery(tx, k.id); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		"DELETE FROM cloudtrail_spans WHERE store = ?", "DELETE FROM cloudtrail_tags WHERE trail = ?", "DELETE FROM cloudtrail_stores WHERE id = ?",
	} {
		if _, err := tx.Exec(statement, l.id); err != nil {
			return err
		}
	}
	return tx.Touch(lakeKey(l.id), lakesKey(l.account), queriesKey(l.account))
}

// Holds is the time from which on event data stores need the record, those that can be
// restored too; the zero time if there are none.
func (s *Service) Holds(q store.Querier) (since time.Time, err error) {
	lakes, err := allLakes(q)
	now := s.Now()
	for _, l := range lakes {
		if from := later(moment(l.created), l.cutoff(now)); !l.gone(now) && (since.IsZero() || from.Before(since)) {
			since = from
		}
	}
	return since, err
}

// cutoff is the time of the oldest event that a store shows.
func (l *lakeRow) cutoff(now time.Time) time.Time { return now.AddDate(0, 0, -int(l.retention)) }
