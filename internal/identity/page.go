package identity

import (
	"database/sql"
	"errors"
	"strings"
	"sync"
	"time"

	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

func pageSize(n *int32) int {
	if n == nil {
		return 100
	}
	return int(*n)
}

// cut ends a list of up to limit+1 items: what is left, and the token that leads on.
func cut[T any](list []T, limit int, id func(T) string) ([]T, string) {
	if len(list) <= limit {
		return list, ""
	}
	return list[:limit], id(list[limit-1])
}

// filtered is the value of the one filter that AWS has for a list: equality of one
// attribute. There may be none.
func filtered(filters []shape.Filter, attribute string) (value string, ok bool, err error) {
	if len(filters) > 1 {
		return "", false, invalid("One filter can be given.")
	}
	for _, f := range filters {
		if !strings.EqualFold(f.AttributePath, attribute) {
			return "", false, invalid("%s is the attribute to filter by, not %q.", attribute, f.AttributePath)
		}
		value, ok = f.AttributeValue, true
	}
	return value, ok, nil
}

// maxPeople and maxGroups are AWS's quotas.
const (
	maxPeople = 100_000
	maxGroups = 100_000
)

// A quota bounds the rows of a table. Counting them all costs what they are, so it
// counts now and then, and from then on what was made: the bound holds as long as it
// matters, give or take those of other copies.
type quota struct {
	table string
	what  string
	max   int

	mu      sync.Mutex
	counted bool
	rows    int // at most, if no other copy makes any
	made    int // since they were counted
}

const recount = 1000

// room takes the room of one row, or refuses.
func (q *quota) room(sn store.Querier) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.counted || q.made >= recount || q.rows >= q.max {
		if err := sn.QueryRow(`SELECT count(*) FROM ` + q.table).Scan(&q.rows); err != nil {
			return err
		}
		q.counted, q.made = true, 0
	}
	if q.rows >= q.max {
		return tooMany("The directory has %d %s already.", q.rows, q.what)
	}
	q.rows++
	q.made++
	return nil
}

// Count is how many people and groups there are.
func (s *Service) Count(q store.Querier) (people, groups int, err error) {
	err = q.QueryRow(`SELECT (SELECT count(*) FROM identity_users), (SELECT count(*) FROM identity_groups)`).Scan(&people, &groups)
	return people, groups, err
}

// Created is when a user was made, or no time if she is not there.
func (s *Service) Created(q store.Querier, id string) (time.Time, error) {
	var created int64
	err := q.QueryRow(`SELECT created FROM identity_users WHERE id = ?`, id).Scan(&created)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return time.UnixMicro(created).UTC(), err
}
