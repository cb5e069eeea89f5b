package server

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/host"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// What root did on the host (see [host.Journal]) comes into the record when the server
// hears of it: each deed once, in the order and with the time of the host's journal.

// deedMigrations hold how far each journal is in the record.
var deedMigrations = []store.Migration{{Room: "server deeds", Version: 1, SQL: []string{
	`CREATE TABLE server_deeds (journal TEXT PRIMARY KEY, seq INTEGER NOT NULL)`,
}}}

// deedsEvery is how often the host is asked for what it has to tell.
const deedsEvery = 2 * time.Second

// hearing takes what the host tells into the record until ctx ends. A host that does not
// answer is no trouble of the record's: its journal waits.
func (s *Server) hearing(ctx context.Context) error {
	told := ""
	for ctx.Err() == nil {
		more, err := s.hear(ctx, s.host)
		switch {
		case errors.Is(err, host.ErrUnavailable):
		case err != nil && ctx.Err() == nil && err.Error() != told:
			told = err.Error()
			s.log.Warn("what was done on the host is not in the record yet", "err", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(deedsEvery):
		}
	}
	return nil
}

// deeds are a host's, as it tells them.
type deeds interface {
	Deeds(ctx context.Context, after int64) (host.Deeds, error)
}

// hear records what a host has to tell, and says whether there may be more.
func (s *Server) hear(ctx context.Context, from deeds) (more bool, err error) {
	first, err := from.Deeds(ctx, 0)
	if err != nil || first.Journal == "" {
		return false, err
	}
	known, err := s.heard(ctx, first.Journal)
	if err != nil {
		return false, err
	}
	all := first
	if known > 0 {
		if all, err = from.Deeds(ctx, known); err != nil || all.Journal != first.Journal {
			return false, err
		}
	}
	if len(all.Deeds) == 0 {
		return false, nil
	}
	return true, s.store.Update(ctx, func(tx *store.Tx) error {
		var seq int64
		err := tx.QueryRow(`SELECT seq FROM server_deeds WHERE journal = ?`, all.Journal).Scan(&seq)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if seq != known {
			return nil // another copy was quicker
		}
		for _, d := range all.Deeds {
			details, err := json.Marshal(d.Details, json.Deterministic(true))
			if err != nil {
				return err
			}
			if d.Seq != seq+1 {
				return errors.New("the host's journal lacks a line")
			}
			seq = d.Seq
			if err := s.trail.Append(tx, &trail.Record{
				EventTime: d.Time, EventSource: "bawn", EventName: d.Name, Region: s.cfg.Region, Account: s.cfg.AccountID,
				UserIdentity: trail.UserIdentity{Type: "Operator", UserName: d.Operator, AccountID: s.cfg.AccountID},
				EventType:    "BawnAdministration", ManagementEvent: true, RequestParameters: details,
			}); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`INSERT INTO server_deeds (journal, seq) VALUES (?, ?) ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq`, all.Journal, seq)
		return err
	})
}

// heard is the last deed of a journal that is in the record.
func (s *Server) heard(ctx context.Context, journal string) (seq int64, err error) {
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer sn.Close()
	err = sn.QueryRow(`SELECT seq FROM server_deeds WHERE journal = ?`, journal).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return seq, err
}
