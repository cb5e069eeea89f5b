package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// attempts bounds how often a change is run again after PostgreSQL found that it
// cannot be put in one order with its neighbours.
const attempts = 16

func (s *Store) openPostgres(ctx context.Context, cfg Config) error {
	s.dialect = postgres
	pc, err := pgx.ParseConfig(cfg.DatabaseURL)
	if err != nil {
		return errors.New("store: the database URL does not parse") // its text may hold a password
	}
	pc.RuntimeParams["application_name"] = "bawn"
	// Rows of a lost client must not stay locked.
	pc.RuntimeParams["idle_in_transaction_session_timeout"] = "300000"
	s.readers = stdlib.OpenDB(*pc)
	s.readers.SetMaxIdleConns(0) // connections are kept by this package

	for setting, bad := range map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"} {
		var got string
		if err := s.readers.QueryRowContext(ctx, "SHOW "+setting).Scan(&got); err != nil {
			return fmt.Errorf("store: connect: %w", err)
		}
		if got == bad {
			return fmt.Errorf("store: the server has %s = %s: it would acknowledge what is not durable", setting, got)
		}
	}
	var encoding string
	if err := s.readers.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("store: the database's encoding is %s, not UTF8", encoding)
	}
	return s.alone(ctx, func(tx *Tx) error {
		for _, statement := range append(ownTables, "CREATE SEQUENCE IF NOT EXISTS version_sequence") {
			if _, err := tx.Exec(schema(statement)); err != nil {
				return err
			}
		}
		return nil
	})
}

// updatePostgres runs a change in a SERIALIZABLE transaction of its own, again
// when PostgreSQL found no order for it and its neighbours.
func (s *Store) updatePostgres(ctx context.Context, fn func(*Tx) error) ([]func(), error) {
	contended := make(map[string]bool)
	for attempt := 1; ; attempt++ {
		after, err := s.tryPostgres(ctx, fn, contended)
		if !retryable(err) || attempt == attempts || ctx.Err() != nil {
			return after, err
		}
		// Neighbours that met once should not meet again.
		pause := time.NewTimer(rand.N(time.Millisecond << min(attempt, 7)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		}
	}
}

func (s *Store) tryPostgres(ctx context.Context, fn func(*Tx) error, contended map[string]bool) (after []func(), err error) {
	c, err := s.begin(ctx, "BEGIN ISOLATION LEVEL SERIALIZABLE")
	if err != nil {
		return nil, err
	}
	// Goexit runs this too: the connection goes back, or is closed with its
	// transaction.
	unfinished := errors.New("store: the update ended its goroutine")
	broken := unfinished
	defer func() { s.release(c, broken) }()

	tx := &Tx{store: s, conn: c, ctx: ctx, contended: contended}
	if err := tx.run(fn); err != nil {
		if retryable(tx.err) {
			err = tx.err // whatever fn made of it
		}
		broken = c.control(context.WithoutCancel(ctx), "ROLLBACK")
		return nil, err
	}
	broken = commitPostgres(ctx, c)
	return tx.after, broken
}

// commitPostgres commits and reads the answer: PostgreSQL answers the COMMIT of
// a failed transaction with ROLLBACK and no error.
func commitPostgres(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return c.sql.Raw(func(driver any) error {
		tag, err := driver.(*stdlib.Conn).Conn().Exec(ctx, "COMMIT")
		if err == nil && tag.String() != "COMMIT" {
			err = fmt.Errorf("store: the server answered %s to COMMIT", tag)
		}
		return err
	})
}

// rewritten is the query with PostgreSQL's placeholders.
func (s *Store) rewritten(query string) string {
	if text, ok := s.texts.Load(query); ok {
		return text.(string)
	}
	text, _ := s.texts.LoadOrStore(query, placeholders(query))
	return text.(string)
}

// confirmedPostgres reads versions and holds their rows until the commit: a
// concurrent Touch waits, so that nothing decided on the old state commits after
// the change was acknowledged. Rows that do not exist yet are covered by
// SERIALIZABLE.
//
// The lock is shared, or callers in one role would wait for each other, unless an
// earlier attempt of this change could not touch what it had so confirmed.
func (t *Tx) confirmedPostgres(now Dependencies, keys []string) error {
	lock := " ORDER BY key FOR SHARE"
	for _, k := range keys {
		if t.contended[k] {
			lock = " ORDER BY key FOR UPDATE"
		}
	}
	if t.confirmed == nil {
		t.confirmed = make(map[string]bool)
	}
	for _, k := range keys {
		t.confirmed[k] = true
	}
	return readVersions(t, now, keys, lock)
}

// touchPostgres gives a key a new version. To turn a shared lock into an
// exclusive one is to wait for others who may do the same: instead of a deadlock
// (found only after a second) the change starts again, exclusively.
func (t *Tx) touchPostgres(key string) error {
	if t.confirmed[key] && !t.contended[key] {
		t.contended[key] = true
		if _, err := t.Exec("SELECT FROM versions WHERE key = ? FOR UPDATE NOWAIT", key); err != nil {
			return err
		}
	}
	_, err := t.Exec(`INSERT INTO versions (key, version) VALUES (?, nextval('version_sequence'))
		ON CONFLICT (key) DO UPDATE SET version = nextval('version_sequence')`, key)
	return err
}
