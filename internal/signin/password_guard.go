package signin

import (
	"database/sql"
	"errors"
	"sync"
	"time"

	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/store"
)

// Guesses are slowed in three ways. Of one person at one source few are free; of one
// person from everywhere some more, so that one source alone locks nobody out; both
// are rows, and outlive the server. Of one source at all persons together some are
// free, in memory. A browser that its person signed in with a second factor before has
// its own count, and a passkey is no guess: whoever keeps others busy at the front
// door does not keep her out.
const (
	freeHere       = 5
	freeEverywhere = 25
	firstWait      = 15 * time.Second
	longestWait    = 15 * time.Minute
	// forgottenAfter is when a failure counts no more.
	forgottenAfter = 24 * time.Hour

	sourceBurst  = 30
	sourceRefill = 6 * time.Second
	sources      = 1 << 16
)

// A guard counts the wrong guesses of one kind.
type guard struct {
	id       string
	free     int
	failures int
	until    time.Time // no guess before
}

func guardKey(id string) string { return "signin:guard/" + id }

// guards are those that stand before a person's password and codes. They are the same
// for a name that nobody has.
func guards(sn *store.Snapshot, userID, remembered, source string, now time.Time) ([]*guard, error) {
	list := []*guard{{id: userID + " " + netlimit.Network(source), free: freeHere}, {id: userID, free: freeEverywhere}}
	if remembered != "" {
		list = []*guard{{id: userID + " " + remembered, free: freeHere}}
	}
	for _, g := range list {
		if _, err := sn.Version(guardKey(g.id)); err != nil {
			return nil, err
		}
		var until, at int64
		err := sn.QueryRow(`SELECT failures, until, at FROM signin_guards WHERE id = ?`, g.id).Scan(&g.failures, &until, &at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if g.until = time.UnixMicro(until); now.Sub(time.UnixMicro(at)) > forgottenAfter {
			g.failures, g.until = 0, time.Time{}
		}
	}
	return list, nil
}

// wait is how long no guess is looked at; 0 for one that may be made.
func wait(list []*guard, now time.Time) time.Duration {
	longest := time.Duration(0)
	for _, g := range list {
		longest = max(longest, g.until.Sub(now))
	}
	return longest
}

// failed counts a wrong guess. The next may be made after a time that doubles.
func failed(tx *store.Tx, list []*guard, now time.Time) error {
	if _, err := tx.Exec(`DELETE FROM signin_guards WHERE at < ?`, now.Add(-forgottenAfter).UnixMicro()); err != nil {
		return err
	}
	for _, g := range list {
		n, until := g.failures+1, now
		if over := n - g.free; over >= 0 {
			until = now.Add(min(longestWait, firstWait<<min(over, 16)))
		}
		if _, err := tx.Exec(`DELETE FROM signin_guards WHERE id = ?`, g.id); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO signin_guards (id, failures, until, at) VALUES (?, ?, ?, ?)`, g.id, n, until.UnixMicro(), now.UnixMicro()); err != nil {
			return err
		}
		if err := tx.Touch(guardKey(g.id)); err != nil {
			return err
		}
	}
	return nil
}

// relieved forgets the wrong guesses, after the right one.
func relieved(tx *store.Tx, list []*guard) error {
	for _, g := range list {
		if err := forget(tx, g.id); err != nil {
			return err
		}
	}
	return nil
}

// forget removes a guard, if it is there.
func forget(tx *store.Tx, id string) error {
	gone, err := tx.Exec(`DELETE FROM signin_guards WHERE id = ?`, id)
	if err != nil {
		return err
	}
	if n, err := gone.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return tx.Touch(guardKey(id))
}

// unlock forgets every wrong guess at a person.
func unlock(tx *store.Tx, userID string) error {
	ids, err := store.Collect(tx, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM signin_guards WHERE id = ? OR id LIKE ?`, userID, userID+" %")
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := forget(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// A crowd counts the guesses of each source. Right ones are given back: a whole
// hospital may sit behind one address.
type crowd struct {
	mu    sync.Mutex
	spent map[string]spending
}

type spending struct {
	tokens float64
	at     time.Time
}

// take takes one guess of a source, if it has one left.
func (c *crowd) take(source string, now time.Time) bool { return c.change(source, 1, now) }

// give gives one back.
func (c *crowd) give(source string, now time.Time) { c.change(source, -1, now) }

func (c *crowd) change(source string, n float64, now time.Time) bool {
	source = netlimit.Network(source)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spent == nil || len(c.spent) >= sources {
		c.forget(now)
	}
	s := c.spent[source]
	s.tokens = max(0, s.tokens-float64(now.Sub(s.at))/float64(sourceRefill))
	s.at = now
	if n > 0 && s.tokens+n > sourceBurst {
		return false
	}
	s.tokens = max(0, s.tokens+n)
	c.spent[source] = s
	return true
}

// forget drops the sources that may guess as often as one that never did, or, if that
// is none, all: each of so many starts anew.
func (c *crowd) forget(now time.Time) {
	kept := map[string]spending{}
	for source, s := range c.spent {
		if s.tokens > float64(now.Sub(s.at))/float64(sourceRefill) {
			kept[source] = s
		}
	}
	if len(kept) >= sources {
		kept = map[string]spending{}
	}
	c.spent = kept
}
