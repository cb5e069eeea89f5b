package cloudtrail

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// deliver puts what a run selects into its bucket until nothing is left. Each file's
// name, records and hash are stored before it is put, and the run goes on behind its
// records only when all files of a harvest are there.
func (s *Service) deliver(ctx context.Context, st *store.Store, r *run) error {
	if r.ended != 0 {
		return nil
	}
	for {
		var h *harvest
		var err error
		if r.planned == 0 {
			if h, err = s.plan(ctx, st, r); err != nil || h.until == r.position {
				return err
			}
		} else if h, err = s.gather(ctx, r, nil, r.planned); err != nil {
			return err
		} else {
			h.until, h.more = r.planned, true
		}
		err = s.bring(ctx, st, r, h)
		if err != nil || len(h.logs) > 0 {
			err = errors.Join(err, s.tell(ctx, st, r, err))
		}
		if err != nil {
			return err
		}
		if err := s.advance(ctx, st, r, h); err != nil || r.ended != 0 {
			return err
		}
		if !h.more {
			return nil
		}
	}
}

// plan fixes the next files.
func (s *Service) plan(ctx context.Context, st *store.Store, r *run) (*harvest, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	turns, err := changes(sn, r.id)
	sn.Close()
	if err != nil {
		return nil, err
	}
	h, err := s.gather(ctx, r, turns, 0)
	if err == nil && len(h.logs) > 0 && !h.news && !h.more {
		h.until = r.position // that logs were delivered is delivered with what comes next, or each delivery would cause another
	}
	if err != nil || h.until == r.position {
		return h, err
	}
	turn := int64(0)
	if h.turn != nil {
		turn = h.turn.seq
	}
	now := s.Now()
	names := map[string]string{}
	for _, account := range h.accounts() {
		names[account] = s.logName(r, account, now)
	}
	err = st.Update(ctx, func(tx *store.Tx) error {
		done, err := tx.Exec("UPDATE cloudtrail_runs SET planned = ?, turn = ? WHERE id = ? AND position = ? AND planned = 0", h.until, turn, r.id, r.position)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, errElsewhere)
		}
		for _, account := range h.accounts() {
			l := h.logs[account]
			_, err := tx.Exec(`INSERT INTO cloudtrail_files (run, account, bucket, object, hash, oldest, newest, delivered) VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
				r.id, account, r.bucket, names[account], l.hash(), l.oldest, l.newest)
			if err != nil {
				return err
			}
		}
		return nil
	})
	r.planned, r.turn = h.until, turn
	return h, err
}

// errElsewhere says that another copy delivers for a trail.
var errElsewhere = errors.New("cloudtrail: another copy of the server delivers for the trail")

func (s *Service) logName(r *run, account string, now time.Time) string {
	now = now.UTC()
	return fmt.Sprintf("%s/%s/%s/%s_CloudTrail_%s_%s_%.16s.json.gz", logs(r.prefix, r.organization, account, "CloudTrail"), s.Region,
		now.Format("2006/01/02"), account, s.Region, now.Format("20060102T1504Z"), rand.Text())
}

// bring puts the planned files that are not there yet.
func (s *Service) bring(ctx context.Context, st *store.Store, r *run, h *harvest) error {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	waiting, err := files(sn, "run = ? AND delivered = 0", r.id)
	sn.Close()
	if err != nil {
		return err
	}
	for _, f := range waiting {
		l := h.logs[f.account]
		if l == nil || l.hash() != f.hash {
			return fmt.Errorf("cloudtrail: the records of %s are not what they were", f.object)
		}
		// The trail may deliver elsewhere by now.
		if home := logs(r.prefix, r.organization, f.account, "CloudTrail"); f.bucket != r.bucket || !strings.HasPrefix(f.object, home+"/") {
			f.bucket, f.object = r.bucket, s.logName(r, f.account, s.Now())
			err := st.Update(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE cloudtrail_files SET bucket = ?, object = ? WHERE seq = ?", f.bucket, f.object, f.seq)
				return err
			})
			if err != nil {
				return err
			}
		}
		packed, err := zipped(l.content)
		if err != nil {
			return err
		}
		if err := s.put(ctx, s.place(r, f.object), packed, nil); err != nil {
			return err
		}
		err = st.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE cloudtrail_files SET delivered = ? WHERE seq = ?", s.Now().UnixMicro(), f.seq)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) place(r *run, object string) place {
	return place{account: r.account, arn: s.arn(r.account, r.name), bucket: r.bucket, object: object, kmsKey: r.kmsKey}
}

// tell writes into the trail's status how a delivery went.
func (s *Service) tell(ctx context.Context, st *store.Store, r *run, failure error) error {
	now := s.Now().UnixMicro()
	return st.Update(ctx, func(tx *store.Tx) error {
		if failure != nil {
			_, err := tx.Exec("UPDATE cloudtrail_trails SET attempted = ?, failure = ? WHERE id = ?", now, code(failure), r.trail)
			return err
		}
		_, err := tx.Exec("UPDATE cloudtrail_trails SET attempted = ?, delivered = ?, failure = '' WHERE id = ?", now, now, r.trail)
		return err
	})
}

// code is what a status tells of a failure.
func code(err error) string {
	e, told := errors.AsType[*api.Error](err)
	if !told {
		return "InternalError"
	}
	return cmp.Or(e.Code, "InternalError")
}

// advance leaves the records of a harvest behind, and does what comes after them.
func (s *Service) advance(ctx context.Context, st *store.Store, r *run, h *harvest) error {
	now := s.Now().UnixMicro()
	next := *r
	next.position, next.planned, next.turn, next.opening = h.until, 0, 0, h.opening
	err := st.Update(ctx, func(tx *store.Tx) error {
		next.choice, next.ended = r.choice, 0
		if r.turn != 0 {
			var choice string
			if err := tx.QueryRow("SELECT choice FROM cloudtrail_turns WHERE seq = ?", r.turn).Scan(&choice); err != nil {
				return err
			}
			if choice == "" {
				next.ended = now
			} else {
				next.choice = choice
			}
			if _, err := tx.Exec("DELETE FROM cloudtrail_turns WHERE seq = ?", r.turn); err != nil {
				return err
			}
		}
		if !r.validation {
			if _, err := tx.Exec("DELETE FROM cloudtrail_files WHERE run = ? AND delivered > 0", r.id); err != nil {
				return err
			}
		}
		done, err := tx.Exec("UPDATE cloudtrail_runs SET position = ?, planned = 0, turn = 0, opening = ?, choice = ?, ended = ? WHERE id = ? AND planned = ?",
			next.position, next.opening, next.choice, next.ended, r.id, r.planned)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, errElsewhere)
		}
		return nil
	})
	if err == nil {
		*r = next
	}
	return err
}
