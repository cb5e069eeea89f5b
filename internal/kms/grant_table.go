package kms

import (
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/store"
)

// grantTables are migration 4. holder and retirer are ids of principals; operations is
// a set; hint is one of the constraint's pairs; request is what CreateGrant asked for,
// where that had a name: asked for again it is the same grant.
var grantTables = []string{
	`ALTER TABLE kms_keys ADD COLUMN grants INTEGER NOT NULL DEFAULT 0`,
	`CREATE TABLE kms_grants (
		id TEXT PRIMARY KEY, key TEXT NOT NULL, name TEXT NOT NULL, issuer TEXT NOT NULL,
		grantee TEXT NOT NULL, holder TEXT NOT NULL, retiring TEXT NOT NULL, retirer TEXT NOT NULL,
		operations INTEGER NOT NULL, kind TEXT NOT NULL, pairs TEXT NOT NULL, hint TEXT NOT NULL,
		request TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE INDEX kms_grants_key ON kms_grants (key, id)`,
	`CREATE INDEX kms_grants_holder ON kms_grants (key, holder, hint, operations)`,
	`CREATE INDEX kms_grants_retirer ON kms_grants (retirer, id)`,
	`CREATE INDEX kms_grants_request ON kms_grants (request) WHERE request <> ''`,
}

const grantColumns = "SELECT id, key, name, issuer, grantee, holder, retiring, retirer, operations, kind, pairs, created FROM kms_grants "

func scanGrant(scan func(...any) error) (*grant, error) {
	g := &grant{}
	var kind, pairs string
	var created int64
	if err := scan(&g.id, &g.key, &g.name, &g.issuer, &g.grantee.arn, &g.grantee.id, &g.retiring.arn, &g.retiring.id,
		&g.operations, &kind, &pairs, &created); err != nil {
		return nil, err
	}
	g.created = time.UnixMicro(created)
	var err error
	g.constraint, err = readConstraint(kind, pairs)
	return g, err
}

// grantByID finds a grant; a missing one is nil. The decision depends on it.
func grantByID(sn *store.Snapshot, id string) (*grant, error) {
	g, err := scanGrant(sn.QueryRow(grantColumns+"WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = sn.Version(holdingKey(g.key, g.grantee.id))
	return g, err
}

// candidates gives each the holders' grants of a key that have the wanted operations
// and may admit its pairs, until that answers false.
func candidates(sn *store.Snapshot, key string, holders []string, w wanted, each func(*grant) bool) error {
	query := grantColumns + "WHERE key = ? AND holder IN (" + places(len(holders)) + ") AND operations & ? = ?"
	args := []any{key}
	for _, h := range holders {
		args = append(args, h)
	}
	args = append(args, int64(w.operations), int64(w.operations))
	if w.operations&^withoutContext != 0 {
		hints := make([]any, 1, 1+len(w.pairs))
		hints[0] = ""
		for name, value := range w.pairs {
			hints = append(hints, hintOf(name, value))
		}
		for len(hints)&(len(hints)-1) != 0 { // few distinct statements
			hints = append(hints, "")
		}
		query += " AND hint IN (" + places(len(hints)) + ")"
		args = append(args, hints...)
	}
	return eachGrant(sn, query, args, each)
}

func places(n int) string { return "?" + strings.Repeat(", ?", n-1) }

func eachGrant(q querier, query string, args []any, each func(*grant) bool) error {
	rows, err := q.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		g, err := scanGrant(rows.Scan)
		if err != nil {
			return err
		}
		if !each(g) {
			return nil
		}
	}
	return rows.Err()
}

func listGrants(q querier, where string, args ...any) (all []*grant, err error) {
	err = eachGrant(q, grantColumns+where, args, func(g *grant) bool {
		all = append(all, g)
		return true
	})
	return all, err
}

// insertGrant stores a grant, unless the key has too many. request is empty where every
// request makes another grant.
func insertGrant(tx *store.Tx, g *grant, request string) error {
	count, err := countGrants(tx, g.key, +1)
	if err != nil {
		return err
	}
	if count > maxGrants {
		return fail("LimitExceededException", "A key has at most %d grants.", maxGrants)
	}
	pairs, err := g.constraint.text()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO kms_grants (id, key, name, issuer, grantee, holder, retiring, retirer, operations, kind, pairs, hint, request, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		g.id, g.key, g.name, g.issuer, g.grantee.arn, g.grantee.id, g.retiring.arn, g.retiring.id,
		int64(g.operations), g.constraint.kind, pairs, g.constraint.hint(), request, g.created.UnixMicro()); err != nil {
		return err
	}
	// A key that is remembered without grants must be read again.
	if count == 1 {
		if err := tx.Touch(versionKey(g.key)); err != nil {
			return err
		}
	}
	return tx.Touch(holdingKey(g.key, g.grantee.id))
}

func deleteGrant(tx *store.Tx, g *grant) error {
	if _, err := tx.Exec("DELETE FROM kms_grants WHERE id = ?", g.id); err != nil {
		return err
	}
	if _, err := countGrants(tx, g.key, -1); err != nil {
		return err
	}
	return tx.Touch(holdingKey(g.key, g.grantee.id))
}

func countGrants(tx *store.Tx, key string, change int) (count int, err error) {
	if _, err := tx.Exec("UPDATE kms_keys SET grants = grants + ? WHERE id = ?", change, key); err != nil {
		return 0, err
	}
	err = tx.QueryRow("SELECT grants FROM kms_keys WHERE id = ?", key).Scan(&count)
	return count, err
}

// sameRequest is the id of the grant that a request made before, or empty.
func sameRequest(q querier, request string) (string, error) {
	var id string
	err := q.QueryRow("SELECT id FROM kms_grants WHERE request = ? AND request <> ''", request).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}
