package store

import (
	"maps"
	"slices"
	"strings"
)

// Dependencies is what a decision was based on: entity keys ("kms:key/…",
// "iam:role/AROA…") with the versions that it saw. 0 stands for never touched.
type Dependencies map[string]int64

// readVersions fills deps with the current versions of the keys that it lacks,
// in one statement with the locking clause, if any.
func readVersions(q interface {
	Query(string, ...any) (*Rows, error)
}, deps Dependencies, keys []string, lock string) error {
	var missing []any
	for _, k := range keys {
		if _, ok := deps[k]; !ok && !slices.Contains(missing, any(k)) {
			missing = append(missing, k)
		}
	}
	// Chunks keep the number of distinct statements and of parameters small.
	for chunk := range slices.Chunk(missing, 64) {
		for _, k := range chunk {
			deps[k.(string)] = 0
		}
		rows, err := q.Query("SELECT key, version FROM versions WHERE key IN (?"+
			strings.Repeat(",?", len(chunk)-1)+")"+lock, chunk...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var key string
			var version int64
			if err := rows.Scan(&key, &version); err != nil {
				rows.Close()
				return err
			}
			deps[key] = version
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

func inOrder(deps Dependencies, keys []string) []int64 {
	versions := make([]int64, len(keys))
	for i, k := range keys {
		versions[i] = deps[k]
	}
	return versions
}

// Touch gives each key a version that no key ever had: every write to an entity
// that decisions read must touch its key, in the same transaction. Rows of keys
// are never deleted, so that an entity that is deleted and made again is not
// taken for the old one.
func (t *Tx) Touch(keys ...string) error {
	// One order for all: two transactions cannot wait for each other's rows.
	for _, key := range slices.Sorted(slices.Values(keys)) {
		var err error
		if t.store.dialect == postgres {
			err = t.touchPostgres(key)
		} else {
			t.store.version++ // only the writer's goroutine is here
			_, err = t.Exec(`INSERT INTO versions (key, version) VALUES (?, ?)
				ON CONFLICT (key) DO UPDATE SET version = excluded.version`, key, t.store.version)
			if t.touched == nil {
				t.touched = make(map[string]int64)
			}
			t.touched[key] = t.store.version
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Unchanged returns ErrChanged unless every key still has the version that deps
// says. What it confirmed stays true until the transaction has committed.
func (t *Tx) Unchanged(deps Dependencies) error {
	now := make(Dependencies, len(deps))
	keys := slices.Sorted(maps.Keys(deps))
	read := func() error { return t.current(now, keys) }
	if t.store.dialect == postgres {
		read = func() error { return t.confirmedPostgres(now, keys) }
	}
	if err := read(); err != nil {
		return err
	}
	if !maps.Equal(now, deps) {
		return ErrChanged
	}
	return nil
}
