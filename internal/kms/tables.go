package kms

import (
	"database/sql"
	"errors"
	"time"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Migrations are the tables of the service.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "kms", Version: 1, SQL: []string{
		`CREATE TABLE kms_keys (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, description TEXT NOT NULL, managed BOOLEAN NOT NULL,
			enabled BOOLEAN NOT NULL, policy TEXT NOT NULL, material INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX kms_keys_account ON kms_keys (account, id)`,
		`CREATE TABLE kms_materials (
			key TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL, created INTEGER NOT NULL,
			PRIMARY KEY (key, version)) WITHOUT ROWID`,
		`CREATE TABLE kms_tags (
			key TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, name)) WITHOUT ROWID`,
		`CREATE TABLE kms_aliases (
			account TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
			PRIMARY KEY (account, name)) WITHOUT ROWID`,
		`CREATE INDEX kms_aliases_key ON kms_aliases (key, name)`,
	}}, {Room: "kms", Version: 2, SQL: []string{
		// Whom a key's policy means: see policy.Bindings.
		`ALTER TABLE kms_keys ADD COLUMN bindings TEXT NOT NULL DEFAULT ''`,
	}}, {Room: "kms", Version: 3, SQL: []string{
		`ALTER TABLE kms_keys ADD COLUMN spec TEXT NOT NULL DEFAULT 'SYMMETRIC_DEFAULT'`,
		`ALTER TABLE kms_keys ADD COLUMN usage TEXT NOT NULL DEFAULT 'ENCRYPT_DECRYPT'`,
		`ALTER TABLE kms_keys ADD COLUMN origin TEXT NOT NULL DEFAULT 'AWS_KMS'`,
		// Times are 0 where there is none.
		`ALTER TABLE kms_keys ADD COLUMN deletion INTEGER NOT NULL DEFAULT 0`,
		`ALTER TABLE kms_keys ADD COLUMN importing BOOLEAN NOT NULL DEFAULT FALSE`,
		`ALTER TABLE kms_keys ADD COLUMN expires INTEGER NOT NULL DEFAULT 0`,
		`ALTER TABLE kms_keys ADD COLUMN rotation INTEGER NOT NULL DEFAULT 0`,
		`ALTER TABLE kms_keys ADD COLUMN rotates INTEGER NOT NULL DEFAULT 0`,
	}}, {Room: "kms", Version: 4, SQL: grantTables}, {Room: "kms", Version: 5, SQL: materialColumns}}
}

// A querier is a snapshot or a transaction.
type querier interface {
	Query(query string, args ...any) (*store.Rows, error)
	QueryRow(query string, args ...any) store.Row
}

// row reads a key's row, or answers nil.
func row(q querier, id string) (*key, error) {
	k := &key{id: id}
	var created, deletion, expires, rotates int64
	var bindings string
	err := q.QueryRow(`SELECT account, description, managed, enabled, policy, bindings, material, created,
		spec, usage, origin, deletion, importing, expires, rotation, rotates, grants FROM kms_keys WHERE id = ?`, id).
		Scan(&k.account, &k.description, &k.managed, &k.enabled, &k.text, &bindings, &k.version, &created,
			&k.spec, &k.usage, &k.origin, &deletion, &k.importing, &expires, &k.rotation, &rotates, &k.grants)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k.created, k.deletion, k.expires, k.rotates = time.UnixMicro(created), moment(deletion), moment(expires), moment(rotates)
	k.bindings, err = policy.ReadBindings(bindings)
	return k, err
}

// moment and micros read and write a time that may be none.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// insertKey stores a key, with its first material unless that is imported later.
func insertKey(tx *store.Tx, k *key, wrapped []byte) error {
	if _, err := tx.Exec(`INSERT INTO kms_keys (id, account, description, managed, enabled, policy, bindings, material, created,
		spec, usage, origin, importing, rotation, rotates)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		k.id, k.account, k.description, k.managed, k.enabled, k.text, k.bindings.Text(), k.version, k.created.UnixMicro(),
		string(k.spec), string(k.usage), string(k.origin), k.importing, k.rotation, micros(k.rotates)); err != nil {
		return err
	}
	if k.version > 0 {
		if _, err := tx.Exec("INSERT INTO kms_materials (key, version, wrapped, created) VALUES (?, ?, ?, ?)",
			k.id, k.version, wrapped, k.created.UnixMicro()); err != nil {
			return err
		}
	}
	for name, value := range k.tags {
		if err := putTag(tx, k.id, name, value); err != nil {
			return err
		}
	}
	return tx.Touch(versionKey(k.id))
}

func putTag(tx *store.Tx, id, name, value string) error {
	_, err := tx.Exec(`INSERT INTO kms_tags (key, name, value) VALUES (?, ?, ?)
		ON CONFLICT (key, name) DO UPDATE SET value = excluded.value`, id, name, value)
	return err
}

func wrappedMaterial(q querier, id materialID) ([]byte, error) {
	var wrapped []byte
	err := q.QueryRow("SELECT wrapped FROM kms_materials WHERE key = ? AND version = ?", id.key, id.version).Scan(&wrapped)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return wrapped, err
}

func tagsOf(q querier, id string) (map[string]string, error) {
	tags := map[string]string{}
	rows, err := q.Query("SELECT name, value FROM kms_tags WHERE key = ?", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		tags[name] = value
	}
	return tags, rows.Err()
}

// column reads a column of text.
func column(q querier, query string, args ...any) ([]string, error) {
	rows, err := q.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func aliasTarget(q querier, account, name string) (string, error) {
	var id string
	err := q.QueryRow("SELECT key FROM kms_aliases WHERE account = ? AND name = ?", account, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}
