package iam

import (
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/store"
)

// Migrations are the tables of the service. Times are microseconds since 1970.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "iam", Version: 1, SQL: []string{
		// Users and roles. Names are unique in a kind and account, without regard to case.
		`CREATE TABLE iam_entities (
			id TEXT PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL,
			folded TEXT NOT NULL, description TEXT NOT NULL, trust TEXT NOT NULL, max_session INTEGER NOT NULL,
			created INTEGER NOT NULL, not_before INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX iam_entities_name ON iam_entities (account, kind, folded)`,
		// Customer-managed policies.
		`CREATE TABLE iam_policies (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL,
			description TEXT NOT NULL, document TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX iam_policies_name ON iam_policies (account, folded)`,
		`CREATE TABLE iam_attachments (
			owner TEXT NOT NULL, policy TEXT NOT NULL, arn TEXT NOT NULL, account TEXT NOT NULL,
			PRIMARY KEY (owner, policy)) WITHOUT ROWID`,
		`CREATE INDEX iam_attachments_policy ON iam_attachments (policy, account)`,
		`CREATE TABLE iam_inline (
			owner TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (owner, name)) WITHOUT ROWID`,
		// Tags of users, roles and policies. Keys are unique without regard to case.
		`CREATE TABLE iam_tags (
			owner TEXT NOT NULL, folded TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
			PRIMARY KEY (owner, folded)) WITHOUT ROWID`,
		`CREATE TABLE iam_access_keys (
			id TEXT PRIMARY KEY, owner TEXT NOT NULL, active BOOLEAN NOT NULL, sealed BLOB NOT NULL,
			created INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX iam_access_keys_owner ON iam_access_keys (owner)`,
		// Which unique id a principal of a role's trust policy had when that was written.
		`CREATE TABLE iam_bindings (
			owner TEXT NOT NULL, principal TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (owner, principal)) WITHOUT ROWID`,
		`CREATE INDEX iam_bindings_id ON iam_bindings (id)`,
	}}, {Room: "iam", Version: 2, SQL: []string{
		// Which users are in which groups. Groups are entities.
		`CREATE TABLE iam_members (
			user_id TEXT NOT NULL, group_id TEXT NOT NULL, PRIMARY KEY (user_id, group_id)) WITHOUT ROWID`,
		`CREATE INDEX iam_members_group ON iam_members (group_id)`,
		// When an access key or role was last used, and for an access key where.
		`CREATE TABLE iam_last_used (
			id TEXT PRIMARY KEY, used BIGINT NOT NULL, service TEXT NOT NULL) WITHOUT ROWID`,
	}}, {Room: "iam", Version: 3, SQL: []string{
		// The versions of customer-managed policies. The policy says which one is the
		// default (standard) and the highest number that was ever given (latest).
		`CREATE TABLE iam_policy_versions (
			policy TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL, created INTEGER NOT NULL,
			PRIMARY KEY (policy, number)) WITHOUT ROWID`,
		`INSERT INTO iam_policy_versions (policy, number, document, created) SELECT id, 1, document, created FROM iam_policies`,
		`ALTER TABLE iam_policies DROP COLUMN document`,
		`ALTER TABLE iam_policies ADD COLUMN standard INTEGER NOT NULL DEFAULT 1`,
		`ALTER TABLE iam_policies ADD COLUMN latest INTEGER NOT NULL DEFAULT 1`,
		`ALTER TABLE iam_policies ADD COLUMN updated INTEGER NOT NULL DEFAULT 0`,
		`UPDATE iam_policies SET updated = created`,
		// Permissions boundaries of users and roles.
		`CREATE TABLE iam_boundaries (
			owner TEXT PRIMARY KEY, policy TEXT NOT NULL, arn TEXT NOT NULL, account TEXT NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX iam_boundaries_policy ON iam_boundaries (policy, account)`,
		// An account has one alias, and an alias one account.
		`CREATE TABLE iam_aliases (account TEXT PRIMARY KEY, alias TEXT NOT NULL UNIQUE) WITHOUT ROWID`,
	}}, {Room: "iam", Version: 4, SQL: []string{
		// Identity providers. Of OIDC the name is the URL without https://, of SAML the
		// metadata is what was uploaded.
		`CREATE TABLE iam_providers (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, thumbprints TEXT NOT NULL,
			metadata TEXT NOT NULL, valid_until BIGINT NOT NULL, created BIGINT NOT NULL) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX iam_providers_name ON iam_providers (account, kind, name)`,
		`CREATE TABLE iam_provider_clients (
			owner TEXT NOT NULL, client TEXT NOT NULL, PRIMARY KEY (owner, client)) WITHOUT ROWID`,
		// Virtual MFA devices, their seeds sealed. The owner is empty while a device is nobody's.
		`CREATE TABLE iam_devices (
			id TEXT PRIMARY KEY, serial TEXT NOT NULL UNIQUE, account TEXT NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL,
			owner TEXT NOT NULL, created BIGINT NOT NULL, enabled BIGINT NOT NULL, last_step BIGINT NOT NULL,
			drift BIGINT NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX iam_devices_owner ON iam_devices (owner)`,
		`CREATE INDEX iam_devices_account ON iam_devices (account)`,
	}}}
}

const entityColumns = `id, kind, account, path, name, description, trust, max_session, created, not_before`

func scanEntity(scan func(...any) error) (*entity, error) {
	e := &entity{}
	var maxSession, created, notBefore int64
	err := scan(&e.id, &e.kind, &e.account, &e.path, &e.name, &e.description, &e.trust, &maxSession, &created, &notBefore)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e.maxSession = time.Duration(maxSession) * time.Second
	e.created = time.UnixMicro(created).UTC()
	if notBefore != 0 {
		e.notBefore = time.UnixMicro(notBefore).UTC()
	}
	return e, nil
}

func entityByID(q querier, id string) (*entity, error) {
	return scanEntity(q.QueryRow(`SELECT `+entityColumns+` FROM iam_entities WHERE id = ?`, id).Scan)
}

func entityByName(q querier, k kind, account, name string) (*entity, error) {
	return scanEntity(q.QueryRow(`SELECT `+entityColumns+` FROM iam_entities
		WHERE account = ? AND kind = ? AND folded = ?`, account, string(k), fold(name)).Scan)
}

func insertEntity(tx *store.Tx, e *entity) error {
	_, err := tx.Exec(`INSERT INTO iam_entities (id, kind, account, path, name, folded, description, trust, max_session, created, not_before)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		e.id, string(e.kind), e.account, e.path, e.name, fold(e.name), e.description, e.trust,
		int64(e.maxSession/time.Second), e.created.UnixMicro())
	if err != nil {
		return err
	}
	if err := putTags(tx, e.id, e.tags); err != nil {
		return err
	}
	if err := putBoundary(tx, e, e.boundary); err != nil {
		return err
	}
	return tx.Touch(e.key(), nameKey(e.kind, e.account, e.name))
}

// count answers a SELECT COUNT.
func count(q querier, query string, args ...any) (int, error) {
	var n int
	err := q.QueryRow(query, args...).Scan(&n)
	return n, err
}

// fold makes names comparable that differ in case only.
func fold(name string) string { return strings.ToLower(name) }
